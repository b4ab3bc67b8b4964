// Package http2 opens WebSockets over HTTP/2 (RFC 8441): many of them on one
// connection. It is apart so that only who uses it links golang.org/x/net/http2. A
// [Transport] is the RoundTripper of a client's options:
//
//	var transport http2.Transport
//	ws, err := websocket.Dial(ctx, url, &websocket.DialOptions{RoundTripper: &transport})
//
// A server needs nothing of it: see websocket.Handler, websocket.Hold,
// websocket.HTTP2Config and the package xconnect below this one.
package http2
