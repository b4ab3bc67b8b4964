// A client made of npm ws, which checks the server at the URL given and prints a
// line for each check: "ok NAME" or "not ok NAME: WHY".
import { deepStrictEqual as same, ok } from "node:assert"
import { once } from "node:events"
import WebSocket from "ws"

const base = process.argv[2]
const sizes = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]

async function open(path, protocols = []) {
  const ws = new WebSocket(base + path, protocols, { perMessageDeflate: false })
  ws.closed = once(ws, "close").then(([code, reason]) => [code, String(reason)])
  ws.closed.catch(() => {})
  await once(ws, "open")
  return ws
}

// ended asks the server how its side of the connection with the id has ended.
async function ended(id) {
  const { Code, Reason, Clean } = await (await fetch(`${base.replace("ws", "http")}/ended?id=${id}`)).json()
  return [Code, Reason, Clean]
}

const checks = {
  async text() {
    const ws = await open("/echo")
    for (const size of sizes) {
      const text = "0123456789abcdef".repeat(size / 16 + 1).slice(0, size)
      ws.send(text)
      const [data, isBinary] = await once(ws, "message")
      ok(!isBinary && String(data) === text, `text of ${size} bytes differs`)
    }
    ws.send("grüße, 世界 🌍")
    same(String((await once(ws, "message"))[0]), "grüße, 世界 🌍")
    ws.close(1000)
    same(await ws.closed, [1000, ""])
  },

  async binary() {
    const ws = await open("/echo")
    for (const size of sizes) {
      const bytes = Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 31 + 7) & 255))
      ws.send(bytes)
      const [data, isBinary] = await once(ws, "message")
      ok(isBinary && bytes.equals(data), `binary of ${size} bytes differs`)
    }
    ws.close(1000)
    same(await ws.closed, [1000, ""])
  },

  async pipelined() {
    const ws = await open("/echo")
    const got = []
    ws.on("message", data => got.push(String(data)))
    for (let i = 0; i < 1000; i++) ws.send(`message ${i}`)
    while (got.length < 1000) await once(ws, "message")
    same(got, Array.from({ length: 1000 }, (_, i) => `message ${i}`))
    ws.terminate()
  },

  async fragments() {
    const ws = await open("/echo")
    ws.send("one ", { fin: false })
    ws.ping("between")
    ws.send("two ", { fin: false })
    ws.send("three", { fin: true })
    same(String((await once(ws, "message"))[0]), "one two three")
    ws.terminate()
  },

  async "our ping"() {
    const ws = await open("/echo")
    for (const payload of ["", "x", "x".repeat(125)]) {
      ws.ping(payload)
      same(String((await once(ws, "pong"))[0]), payload)
    }
    ws.terminate()
  },

  async "server's ping"() {
    const ws = await open("/ping")
    same(String((await once(ws, "message"))[0]), "pong")
    same(await ws.closed, [1000, ""])
  },

  async subprotocol() {
    const ws = await open("/echo", ["chat.v3", "chat.v2", "chat.v1"])
    same(ws.protocol, "chat.v2")
    ws.terminate()
  },

  async "no common subprotocol"() {
    const ws = new WebSocket(base + "/echo", ["other"], { perMessageDeflate: false })
    const [error] = await once(ws, "error")
    same(error.message, "Server sent no subprotocol")
  },

  async "lost without a close frame"() {
    const ws = await open("/echo?id=lost")
    ws.terminate()
    same(await ended("lost"), [1006, "", false])
  },

  async aborted() {
    const ws = await open("/abort")
    same((await ws.closed)[0], 1006)
  },
}

for (const [code, reason] of [[1000, ""], [1000, "done"], [3000, "a library's"], [4999, "ünï"], [1012, "restart"]]) {
  checks[`client closes with ${code} ${reason}`] = async () => {
    const ws = await open(`/echo?id=c${code}${reason.length}`)
    ws.close(code, reason)
    same((await ws.closed)[0], code)
    same(await ended(`c${code}${reason.length}`), [code, reason, true])
  }
}
checks["client closes without a code"] = async () => {
  const ws = await open("/echo?id=none")
  ws.close()
  same((await ws.closed)[0], 1005)
  same(await ended("none"), [1005, "", true])
}

for (const [code, reason] of [[1000, ""], [1001, "going away"], [1011, "ünï"], [4000, "r".repeat(123)], [1005, ""]]) {
  checks[`server closes with ${code}`] = async () => {
    const ws = await open(`/close?code=${code}&reason=${encodeURIComponent(reason)}&id=s${code}`)
    same(await ws.closed, [code, reason])
    same(await ended(`s${code}`), [code, code === 1005 ? "" : reason, true])
  }
}

for (const [name, check] of Object.entries(checks)) {
  const limit = new Promise((_, reject) => setTimeout(reject, 20_000, new Error("took over 20 s")).unref())
  try {
    await Promise.race([check(), limit])
    console.log(`ok ${name}`)
  } catch (error) {
    console.log(`not ok ${name}: ${String(error.message).replaceAll("\n", " ")}`)
  }
}
process.exit()
