"""A client made of python3-websockets, which checks the server at the URL given and
prints a line for each check: "ok NAME" or "not ok NAME: WHY"."""

import asyncio
import json
import sys
import urllib.parse
import urllib.request

import websockets

BASE = sys.argv[1]
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]


def connect(path, **options):
    return websockets.connect(BASE + path, compression=None, max_size=None, **options)


async def ended(name):
    """How the server's side of the connection has ended."""
    url = BASE.replace("ws", "http", 1) + "/ended?id=" + name
    read = lambda: json.load(urllib.request.urlopen(url))
    event = await asyncio.get_running_loop().run_in_executor(None, read)
    return event["Code"], event["Reason"], event["Clean"]


async def same(a, b):
    assert a == b, f"{a!r} is not {b!r}"


async def text():
    async with connect("/echo") as ws:
        for size in SIZES:
            message = ("0123456789abcdef" * (size // 16 + 1))[:size]
            await ws.send(message)
            assert await ws.recv() == message, f"text of {size} bytes differs"


async def binary():
    async with connect("/echo") as ws:
        for size in SIZES:
            message = (bytes((i * 31 + 7) & 255 for i in range(256)) * (size // 256 + 1))[:size]
            await ws.send(message)
            assert await ws.recv() == message, f"binary of {size} bytes differs"


async def fragments():
    async with connect("/echo") as ws:
        await ws.send(["one ", "two ", "three"])
        await same(await ws.recv(), "one two three")


async def ping():
    async with connect("/echo") as ws:
        await (await ws.ping(b"x" * 125))


async def pinged():
    async with connect("/ping") as ws:
        await same(await ws.recv(), "pong")


async def subprotocol():
    async with connect("/echo", subprotocols=["chat.v3", "chat.v2"]) as ws:
        await same(ws.subprotocol, "chat.v2")


async def client_closes(code, reason):
    name = f"py{code}"
    async with connect("/echo?id=" + name) as ws:
        await ws.close(code, reason)
        await same(ws.close_code, code)
    await same(await ended(name), (code, reason, True))


async def server_closes(code, reason):
    async with connect(f"/close?code={code}&reason={urllib.parse.quote(reason)}") as ws:
        await ws.wait_closed()
        await same((ws.close_code, ws.close_reason), (code, reason))


CHECKS = {
    "text": text,
    "binary": binary,
    "fragments": fragments,
    "our ping": ping,
    "server's ping": pinged,
    "subprotocol": subprotocol,
    "client closes with 1000": lambda: client_closes(1000, ""),
    "client closes with 3000": lambda: client_closes(3000, "a library's"),
    "client closes with 4999": lambda: client_closes(4999, "ünï"),
    "server closes with 1001": lambda: server_closes(1001, "going away"),
    "server closes with 1011": lambda: server_closes(1011, "ünï"),
    "server closes with 4000": lambda: server_closes(4000, "r" * 123),
}


async def main():
    for name, check in CHECKS.items():
        try:
            await asyncio.wait_for(check(), 20)
            print("ok", name)
        except Exception as error:
            print(f"not ok {name}: {type(error).__name__} {error}")


asyncio.run(main())
