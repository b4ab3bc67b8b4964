"""A client of the suite: client.py ws://127.0.0.1:9002 [name [deflate]]"""

import asyncio
import sys
import urllib.parse

import websockets

URL = sys.argv[1]
AGENT = urllib.parse.quote(sys.argv[2] if len(sys.argv) > 2 else "websockets")
COMPRESSION = "deflate" if sys.argv[3:] == ["deflate"] else None


def connect(path):
    return websockets.connect(URL + path, max_size=2**26, compression=COMPRESSION)


async def run_case(number):
    try:
        async with connect(f"/runCase?case={number}&agent={AGENT}") as connection:
            async for message in connection:
                await connection.send(message)
    except (websockets.WebSocketException, OSError, asyncio.TimeoutError, EOFError, ValueError):
        pass


async def main():
    async with connect("/getCaseCount") as connection:
        count = int(await connection.recv())
    for number in range(1, count + 1):
        await run_case(number)
    async with connect(f"/updateReports?agent={AGENT}"):
        pass


asyncio.run(main())
