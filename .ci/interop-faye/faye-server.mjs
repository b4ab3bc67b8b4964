// A server made of faye-websocket. It prints its port, and later for each connection
// that ends a line of JSON. /echo echoes, /close?code=&reason= closes, /ping pings and
// tells of the pong, /abort cuts the connection, /tell sends what it knows of the
// connection. max= sets maxLength, deflate= adds permessage-deflate.
import { createServer } from "node:http"
import WebSocket from "faye-websocket"
import deflate from "permessage-deflate"

const server = createServer()
server.on("upgrade", (request, socket, head) => {
  const url = new URL(request.url, "ws://localhost")
  const query = url.searchParams
  const options = { headers: { "X-Server": "faye", "Set-Cookie": "server=faye; Path=/" } }
  if (query.has("max")) options.maxLength = +query.get("max")
  if (query.has("deflate")) options.extensions = [deflate]
  const ws = new WebSocket(request, socket, head, ["chat.v1", "chat.v2"], options)
  ws.on("close", ({ code, reason }) => console.log(JSON.stringify({ Path: request.url, Code: code, Reason: reason })))
  ws.on("open", () => serve(ws, url, request))
})
function serve(ws, url, request) {
  const query = url.searchParams
  switch (url.pathname) {
    case "/echo":
      ws.on("message", event => ws.send(event.data))
      break
    case "/close":
      try {
        ws.close(+query.get("code"), query.get("reason") ?? "")
      } catch (error) {
        ws.send(error.message)
        ws.close()
      }
      break
    case "/ping":
      ws.ping("are you there?", () => ws.send("pong"))
      break
    case "/abort":
      request.socket.destroy()
      break
    case "/tell":
      ws.send(JSON.stringify({ URL: ws.url, Version: ws.version, Protocol: ws.protocol, Headers: request.headers }))
      break
    default:
      ws.close(4404, "no such path")
  }
}

server.listen(0, "127.0.0.1", () => console.log(server.address().port))
