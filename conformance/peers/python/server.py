"""An echo server with python3-websockets: server.py 9105 [deflate]"""

import asyncio
import sys

import websockets

COMPRESSION = "deflate" if sys.argv[2:] == ["deflate"] else None


async def echo(connection):
    try:
        async for message in connection:
            await connection.send(message)
    except websockets.ConnectionClosed:
        pass


async def main():
    async with websockets.serve(
        echo, "127.0.0.1", int(sys.argv[1]), max_size=2**26, compression=COMPRESSION
    ):
        await asyncio.Future()


asyncio.run(main())
