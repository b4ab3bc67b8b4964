// A client made of faye-websocket, which checks the server at the URL given, through
// the proxy at the other where the name of the check says so, and prints a line for
// each check: "ok NAME" or "not ok NAME: WHY".
import { deepStrictEqual as same, ok, throws } from "node:assert"
import WebSocket from "faye-websocket"
import deflate from "permessage-deflate"

const [base, proxy] = process.argv.slice(2)
const sizes = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]

function dial(path, protocols = [], options = {}) {
  const ws = new WebSocket.Client(base + path, protocols, options)
  ws.closed = new Promise(resolve => ws.on("close", ({ code, reason }) => resolve([code, reason])))
  ws.failed = new Promise(resolve => ws.on("error", ({ message }) => resolve(message)))
  ws.got = []
  ws.wake = () => {}
  ws.on("message", ({ data }) => {
    ws.got.push(data)
    ws.wake()
  })
  return ws
}

async function open(path, protocols, options) {
  const ws = dial(path, protocols, options)
  const opened = new Promise(resolve => ws.on("open", resolve))
  const failed = ws.failed.then(why => {
    throw new Error(why)
  })
  failed.catch(() => {})
  await Promise.race([opened, failed])
  return ws
}

async function next(ws) {
  while (ws.got.length === 0) await new Promise(resolve => (ws.wake = resolve))
  return ws.got.shift()
}

// ended asks the server how its side of the connection with the id has ended.
async function ended(id) {
  const { Code, Reason, Clean } = await (await fetch(`${base.replace("ws", "http")}/ended?id=${id}`)).json()
  return [Code, Reason, Clean]
}

async function texts(ws) {
  for (const size of sizes) {
    const text = "0123456789abcdef".repeat(size / 16 + 1).slice(0, size)
    ws.send(text)
    ok((await next(ws)) === text, `text of ${size} bytes differs`)
  }
  ws.send("grüße, 世界 🌍")
  same(await next(ws), "grüße, 世界 🌍")
}

async function binaries(ws) {
  for (const size of sizes) {
    const bytes = Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 31 + 7) & 255))
    ws.send(bytes)
    const data = await next(ws)
    ok(data instanceof Buffer && bytes.equals(data), `binary of ${size} bytes differs`)
  }
}

async function done(ws) {
  ws.close()
  same(await ws.closed, [1000, ""])
}

const checks = {
  async text() {
    const ws = await open("/echo")
    await texts(ws)
    await done(ws)
  },

  async binary() {
    const ws = await open("/echo")
    await binaries(ws)
    await done(ws)
  },

  async pipelined() {
    const ws = await open("/echo")
    for (let i = 0; i < 1000; i++) ws.send(`message ${i}`)
    for (let i = 0; i < 1000; i++) same(await next(ws), `message ${i}`)
    await done(ws)
  },

  async "in parts"() {
    const ws = await open("/parts")
    same(await next(ws), "one two three")
    await done(ws)
  },

  async "sent before it is open"() {
    const ws = dial("/echo")
    ws.send("early")
    same(await next(ws), "early")
    await done(ws)
  },

  async "our ping"() {
    const ws = await open("/echo")
    for (const payload of ["", "x", "x".repeat(125)]) {
      await new Promise(resolve => ok(ws.ping(payload, resolve)))
    }
    await done(ws)
  },

  async "our pings at an interval"() {
    const ws = await open("/pinged", [], { ping: 0.02 })
    same(await next(ws), "1")
    same(await next(ws), "2")
    await done(ws)
  },

  async "server's ping"() {
    const ws = await open("/ping")
    same(await next(ws), "pong")
    same(await ws.closed, [1000, ""])
  },

  async subprotocol() {
    const ws = await open("/echo", ["chat.v3", "chat.v2", "chat.v1"])
    same(ws.protocol, "chat.v2")
    await done(ws)
  },

  async "no common subprotocol"() {
    const ws = await open("/echo", ["other"])
    same(ws.protocol, "")
    await done(ws)
  },

  async headers() {
    const ws = await open("/tell", [], { headers: { "X-Client": "faye", Cookie: "a=b" } })
    same(JSON.parse(await next(ws)), { "X-Client": "faye", Cookie: "a=b" })
    same(ws.statusCode, 101)
    same(ws.headers["x-server"], "ours")
    same(ws.headers["set-cookie"], "server=ours; Path=/")
    same(ws.version, "hybi-13")
    await done(ws)
  },

  async refused() {
    const ws = dial("/refused")
    same(await ws.failed, "Error during WebSocket handshake: Unexpected response code: 403")
    same([ws.statusCode, ws.headers["x-why"]], [403, "because"])
    same((await ws.closed)[0], 1002)
  },

  async "page of another host"() {
    const ws = dial("/echo", [], { headers: { Origin: "http://elsewhere.example" } })
    same(await ws.failed, "Error during WebSocket handshake: Unexpected response code: 403")
  },

  // faye-websocket wants the one word; our client takes it.
  async "Connection: keep-alive, Upgrade"() {
    const ws = dial("/keep-alive")
    same(await ws.failed, "Error during WebSocket handshake: 'Connection' header value is not 'Upgrade'")
  },

  async deflate() {
    const ws = await open("/deflate", [], { extensions: [deflate] })
    ok(/^permessage-deflate\b/.test(ws.headers["sec-websocket-extensions"]), "not agreed on")
    await texts(ws)
    ws.send("count")
    for (const bytes of JSON.parse(await next(ws))) ok(bytes < 100_000, `${bytes} bytes on the wire`)
    await binaries(ws)
    await done(ws)
  },

  async "deflate that the server does not speak"() {
    const ws = await open("/echo", [], { extensions: [deflate] })
    same(ws.headers["sec-websocket-extensions"], undefined)
    await texts(ws)
    await done(ws)
  },

  async "deflate with options"() {
    const options = { noContextTakeover: true, requestNoContextTakeover: true, maxWindowBits: 10, requestMaxWindowBits: 10 }
    const ws = await open("/deflate", [], { extensions: [deflate.configure(options)] })
    await texts(ws)
    await binaries(ws)
    await done(ws)
  },

  async "more than the server takes"() {
    const ws = await open("/max?id=max")
    ws.send("x".repeat(1000))
    same((await next(ws)).length, 1000)
    ws.send("x".repeat(1001))
    same((await ws.closed)[0], 1009)
    same((await ended("max"))[0], 1009)
  },

  async "more than the server takes, deflated"() {
    const ws = await open("/max?id=max-deflate", [], { extensions: [deflate] })
    ws.send("x".repeat(1001))
    same((await ws.closed)[0], 1009)
    same((await ended("max-deflate"))[0], 1009)
  },

  async "more than we take"() {
    const ws = await open("/large?id=large", [], { maxLength: 1000 })
    same(await ws.failed, "WebSocket frame length too large")
    same(await ws.closed, [1009, "WebSocket frame length too large"])
    same(await ended("large"), [1009, "WebSocket frame length too large", true])
  },

  async "more than we take, deflated"() {
    const ws = await open("/large?id=large-deflate", [], { maxLength: 1000, extensions: [deflate] })
    same(await ws.failed, "WebSocket frame length too large")
    same(await ws.closed, [1009, "WebSocket frame length too large"])
    same(await ended("large-deflate"), [1009, "WebSocket frame length too large", true])
  },

  async aborted() {
    const ws = await open("/abort")
    same(await ws.closed, [1006, ""])
  },

  async "closes with a code that is not for clients"() {
    const ws = await open("/echo")
    for (const code of [1001, 1011, 2999]) throws(() => ws.close(code), /must be either 1000/)
    await done(ws)
  },

  async proxy() {
    const ws = await open("/echo", [], { proxy: { origin: proxy, headers: { "X-Proxy": "faye" } } })
    await texts(ws)
    await binaries(ws)
    await done(ws)
  },

  async "proxy and deflate"() {
    const ws = await open("/deflate", [], { proxy: { origin: proxy, headers: { "X-Proxy": "faye" } }, extensions: [deflate] })
    await texts(ws)
    await done(ws)
  },

  async "proxy that refuses"() {
    const ws = dial("/echo", [], { proxy: { origin: proxy.replace("user:", "other:") } })
    ok((await ws.failed).startsWith("Can't establish a connection to the server at"))
  },
}

for (const [code, reason] of [[1000, ""], [1000, "done"], [3000, "a library's"], [4999, "ünï"], [4000, "r".repeat(123)]]) {
  checks[`client closes with ${code} and ${reason.length} characters`] = async () => {
    const ws = await open(`/echo?id=c${code}${reason.length}`)
    ws.close(code, reason)
    same(await ws.closed, [code, reason])
    same(await ended(`c${code}${reason.length}`), [code, reason, true])
  }
}

// sent is what the server closes with, seen what comes here and goes back.
function serverCloses(sent, reason, seen = sent) {
  checks[`server closes with ${sent} and ${reason.length} characters`] = async () => {
    const ws = await open(`/close?code=${sent}&reason=${encodeURIComponent(reason)}&id=s${sent}${reason.length}`)
    same(await ws.closed, [seen, reason])
    same(await ended(`s${sent}${reason.length}`), [seen, reason, true])
  }
}
for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999]) serverCloses(code, "")
serverCloses(1001, "going away")
serverCloses(1011, "ünï")
serverCloses(4000, "r".repeat(123))
serverCloses(1005, "", 1000)
for (const code of [1012, 1013, 1014]) serverCloses(code, "registered since", 1002)

for (const [name, check] of Object.entries(checks)) {
  const limit = new Promise((_, reject) => setTimeout(reject, 5_000, new Error("took over 5 s")).unref())
  try {
    await Promise.race([check(), limit])
    console.log(`ok ${name}`)
  } catch (error) {
    console.log(`not ok ${name}: ${String(error.message).replaceAll("\n", " ")}`)
  }
}
console.log(`ran ${Object.keys(checks).length}`)
process.exit()
