package negotiate_test

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/chanws/websocket/negotiate"
)

// request returns a request as a server reads it from a connection.
func request(header ...string) *http.Request {
	text := "GET /chat HTTP/1.1\r\n" +
		"Host: server.example.com\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Version: 13\r\n" + strings.Join(header, "\r\n") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		panic(err)
	}
	return r
}

// show prints bytes of the wire as lines.
func show(wire []byte) {
	fmt.Print(strings.ReplaceAll(strings.TrimSuffix(string(wire), "\r\n"), "\r\n", "\n"))
}

func ExampleIsWebSocket() {
	fmt.Println(negotiate.IsWebSocket(request()))
	fmt.Println(negotiate.IsWebSocket(httptest.NewRequest("GET", "/", nil)))
	// Output:
	// true
	// false
}

func ExampleServer() {
	h, err := negotiate.Server(request("Sec-WebSocket-Protocol: soap, chat"), &negotiate.ServerOptions{
		Subprotocols: []string{"chat"},
		Header:       http.Header{"Set-Cookie": {"seen=1"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(h.Version, h.Subprotocol)
	show(h.AppendResponse(nil))
	// Output:
	// hybi-13 chat
	// HTTP/1.1 101 Switching Protocols
	// Upgrade: websocket
	// Connection: Upgrade
	// Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
	// Sec-WebSocket-Protocol: chat
	// Set-Cookie: seen=1
}

func ExampleAppendError() {
	_, err := negotiate.Server(request("Origin: https://evil.example"), nil)
	var refusal *negotiate.Error
	if errors.As(err, &refusal) {
		show(negotiate.AppendError(nil, refusal))
	}
	// Output:
	// HTTP/1.1 403 Forbidden
	// Content-Type: text/plain; charset=utf-8
	// X-Content-Type-Options: nosniff
	// Connection: close
	// Content-Length: 27
	//
	// this origin is not allowed
}

func ExampleServerOptions_URL() {
	opts := &negotiate.ServerOptions{TrustForwarded: true}
	fmt.Println(opts.URL(request("X-Forwarded-Proto: https")))
	// Output: wss://server.example.com/chat
}

// A client of draft 76 sends eight bytes after its request, which no header
// announces and which may come later.
func ExampleServerHandshake_SetBody() {
	r := request("Origin: http://server.example.com",
		"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5", "Sec-WebSocket-Key2: 12998 5 Y3 1  .P00")
	r.Header.Del("Sec-WebSocket-Key")
	r.Header.Del("Sec-WebSocket-Version")
	h, err := negotiate.Server(r, &negotiate.ServerOptions{AllowDrafts: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(h.Version, h.NeedsBody())
	h.SetBody([8]byte([]byte("^n:ds[4U")))
	show(h.AppendResponse(nil))
	// Output:
	// hixie-76 true
	// HTTP/1.1 101 WebSocket Protocol Handshake
	// Upgrade: WebSocket
	// Connection: Upgrade
	// Sec-WebSocket-Origin: http://server.example.com
	// Sec-WebSocket-Location: ws://server.example.com/chat
	//
	// 8jKS'y:G*Co,Wxa-
}

func ExampleParseURL() {
	target, err := negotiate.ParseURL("https://[2001:db8::1]/chat?room=1")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(target.URL)
	fmt.Println(target.Address, target.Host, target.ServerName, target.Secure)
	// Output:
	// wss://[2001:db8::1]/chat?room=1
	// [2001:db8::1]:443 [2001:db8::1] 2001:db8::1 true
}

func ExampleClient() {
	target, err := negotiate.ParseURL("ws://server.example.com/chat")
	if err != nil {
		fmt.Println(err)
		return
	}
	key := [16]byte([]byte("the sample nonce")) // in earnest from crypto/rand
	h, err := negotiate.Client(target, key, &negotiate.ClientOptions{Subprotocols: []string{"chat"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	show(h.AppendRequest(nil))

	server, _ := negotiate.Server(request("Sec-WebSocket-Protocol: chat"), &negotiate.ServerOptions{Subprotocols: []string{"chat"}})
	received := append(server.AppendResponse(nil), "\x81\x02hi"...)
	_, err = h.Consume(received[:40])
	fmt.Println(err)
	n, err := h.Consume(received)
	fmt.Printf("%q %v %q\n", h.Subprotocol, err, received[n:])
	// Output:
	// GET /chat HTTP/1.1
	// Host: server.example.com
	// Upgrade: websocket
	// Connection: Upgrade
	// Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
	// Sec-WebSocket-Protocol: chat
	// Sec-WebSocket-Version: 13
	// negotiate: the message goes on
	// "chat" <nil> "\x81\x02hi"
}

func ExampleClientHandshake_Consume_refused() {
	target, _ := negotiate.ParseURL("ws://server.example.com/chat")
	h, _ := negotiate.Client(target, [16]byte{}, nil)
	received := []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\nno such.")
	n, err := h.Consume(received)
	var e *negotiate.ResponseError
	if errors.As(err, &e) {
		fmt.Println(e.Status, e.BodyLength, string(received[n:]))
	}
	fmt.Println(err)
	// Output:
	// 404 8 no such.
	// negotiate: handshake failed: the status of the response is not 101 (RFC 6455, section 4.1): status 404
}

func ExampleAppendConnect() {
	wire, err := negotiate.AppendConnect(nil, "server.example.com:443", nil, url.UserPassword("me", "secret"))
	if err != nil {
		fmt.Println(err)
		return
	}
	show(wire)
	var answer negotiate.ConnectAnswer
	n, err := answer.Consume([]byte("HTTP/1.1 200 Connection established\r\n\r\nearly data"))
	fmt.Println(n, err)
	// Output:
	// CONNECT server.example.com:443 HTTP/1.1
	// Host: server.example.com:443
	// Proxy-Authorization: Basic bWU6c2VjcmV0
	// 39 <nil>
}

func ExampleParseExtensions() {
	offers, err := negotiate.ParseExtensions([]string{`x-a; level="2"; fast, x-b`})
	fmt.Println(offers, err)
	fmt.Printf("%s\n", negotiate.AppendExtensions(nil, offers))
	// Output:
	// [{x-a [{level 2} {fast }]} {x-b []}] <nil>
	// x-a; level=2; fast, x-b
}

// A server without net/http reads up to the blank line, and has the request.
func ExampleParseRequest() {
	r, err := negotiate.ParseRequest("GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Host, r.URL, negotiate.IsWebSocket(r))
	// Output: example.com /chat true
}
