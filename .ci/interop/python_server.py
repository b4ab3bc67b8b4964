"""A server made of python3-websockets, which does as ws-server.mjs."""

import asyncio
import json
import urllib.parse

import websockets


async def serve(ws, path):
    url = urllib.parse.urlsplit(path)
    query = dict(urllib.parse.parse_qsl(url.query))
    try:
        if url.path == "/echo":
            async for message in ws:
                await ws.send(message)
        elif url.path == "/close":
            await ws.close(int(query.get("code", "1000")), query.get("reason", ""))
        elif url.path == "/abort":
            ws.transport.abort()
        elif url.path == "/ping":
            await (await ws.ping("are you there?"))
            await ws.send("are you there?")
            await ws.wait_closed()
    except websockets.ConnectionClosed:
        pass
    await ws.wait_closed()
    print(json.dumps({"Path": path, "Code": ws.close_code, "Reason": ws.close_reason or ""}), flush=True)


async def main():
    options = {"subprotocols": ["chat.v2"], "max_size": None, "compression": None}
    async with websockets.serve(serve, "127.0.0.1", 0, **options) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
