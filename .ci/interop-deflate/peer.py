"""Echoes as a server or as a client, as peer.mjs does."""

import asyncio
import json
import sys

import websockets
from websockets.extensions import permessage_deflate as pmd

NAMES = {
    "serverNoContextTakeover": "server_no_context_takeover",
    "clientNoContextTakeover": "client_no_context_takeover",
    "serverMaxWindowBits": "server_max_window_bits",
    "clientMaxWindowBits": "client_max_window_bits",
}


def arguments(options):
    return {NAMES[name]: value for name, value in options.items()}


async def echo(ws, path=None):
    async for message in ws:
        await ws.send(message)


async def serve(options):
    factory = pmd.ServerPerMessageDeflateFactory(**arguments(options))
    server = await websockets.serve(
        echo, "127.0.0.1", 0, extensions=[factory], compression=None, max_size=1 << 26
    )
    print(server.sockets[0].getsockname()[1], flush=True)


async def dial(url, options):
    given = {"client_max_window_bits": True, **arguments(options)}
    factory = pmd.ClientPerMessageDeflateFactory(**given)
    try:
        async with websockets.connect(url, extensions=[factory], compression=None, max_size=1 << 26) as ws:
            await echo(ws)
    except Exception as e:
        print(f"python: {e}", file=sys.stderr, flush=True)


async def main():
    loop = asyncio.get_running_loop()
    running = set()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        job = json.loads(line)
        if job["role"] == "server":
            await serve(job["options"])
            continue
        task = asyncio.create_task(dial(job["url"], job["options"]))
        running.add(task)
        task.add_done_callback(running.discard)
        print("dialled", flush=True)


asyncio.run(main())
