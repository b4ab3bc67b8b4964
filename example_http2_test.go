package websocket_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/chanws/websocket"
	wshttp2 "github.com/chanws/websocket/negotiate/http2"
)

// Over HTTP/2 Shutdown waits for the WebSockets, as they are requests. What it calls
// first ends their context, and so closes them with 1001. The server speaks RFC 8441
// as the package negotiate/http2/xconnect is imported.
func ExampleHTTP2Config() {
	ctx, goAway := context.WithCancel(context.Background())
	server := httptest.NewUnstartedServer(websocket.Handler(echoServer, &websocket.AcceptOptions{Context: ctx}))
	server.EnableHTTP2 = true
	server.Config.HTTP2 = websocket.HTTP2Config()
	server.Config.RegisterOnShutdown(goAway)
	server.StartTLS()

	transport := &wshttp2.Transport{TLSConfig: trustingServer(server)}
	ws, err := websocket.Dial(context.Background(), "wss"+server.URL[len("https"):], &websocket.DialOptions{RoundTripper: transport})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ws.Response().Proto)
	fmt.Println(server.Config.Shutdown(context.Background()))
	fmt.Println((<-ws.Closed()).Code)
	transport.CloseIdleConnections()
	// Output:
	// HTTP/2.0
	// <nil>
	// 1001
}
