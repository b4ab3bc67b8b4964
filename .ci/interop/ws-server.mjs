// A server made of npm ws. It prints its port, and later for each connection that
// ends a line of JSON. /echo echoes, /close?code=&reason= closes, /abort cuts the
// connection, /ping pings and sends the payload of the pong as a text.
import { WebSocketServer } from "ws"

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  handleProtocols: offered => (offered.has("chat.v2") ? "chat.v2" : false),
})
server.on("listening", () => console.log(server.address().port))
server.on("connection", (ws, request) => {
  const url = new URL(request.url, "ws://localhost")
  const query = url.searchParams
  ws.on("error", error => console.error(error.message))
  ws.on("close", (code, reason) => console.log(JSON.stringify({ Path: request.url, Code: code, Reason: String(reason) })))
  switch (url.pathname) {
    case "/echo":
      ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }))
      break
    case "/close":
      ws.close(query.get("code") ? +query.get("code") : undefined, query.get("reason") ?? "")
      break
    case "/abort":
      ws.terminate()
      break
    case "/ping":
      ws.on("pong", payload => ws.send(String(payload)))
      ws.ping("are you there?")
      break
    default:
      ws.close(1008, "no such path")
  }
})
