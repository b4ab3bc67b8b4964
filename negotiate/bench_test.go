package negotiate

import (
	"strings"
	"testing"
)

// browserRequest has what a browser sends.
const browserRequest = "GET /chat HTTP/1.1\r\n" +
	"Host: server.example.com\r\n" +
	"Connection: keep-alive, Upgrade\r\n" +
	"Pragma: no-cache\r\n" +
	"Cache-Control: no-cache\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
	"Upgrade: websocket\r\n" +
	"Origin: https://server.example.com\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Protocol: chat, superchat\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"

func BenchmarkServer(b *testing.B) {
	r := readRequest(b, browserRequest)
	opts := &ServerOptions{Subprotocols: []string{"chat"}}
	buffer := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		h, err := Server(r, opts)
		if err != nil {
			b.Fatal(err)
		}
		buffer = h.AppendResponse(buffer[:0])
	}
}

func BenchmarkClient(b *testing.B) {
	target, err := ParseURL("ws://server.example.com/chat")
	if err != nil {
		b.Fatal(err)
	}
	response := []byte(strings.Replace(sampleResponse, "Sec-WebSocket-Protocol: chat\r\n", "", 1))
	buffer := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		h, err := Client(target, [16]byte([]byte("the sample nonce")), nil)
		if err != nil {
			b.Fatal(err)
		}
		buffer = h.AppendRequest(buffer[:0])
		if _, err := h.Consume(response); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseURL(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseURL("ws://server.example.com/chat"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConsumeBytewise has a head of 60 KiB come byte by byte: its time is
// to grow with the bytes, not with their square.
func BenchmarkConsumeBytewise(b *testing.B) {
	target, _ := ParseURL("ws://server.example.com/chat")
	response := []byte("HTTP/1.1 101 X\r\nX-A: " + strings.Repeat("b", 60<<10))
	b.SetBytes(int64(len(response)))
	for b.Loop() {
		h, _ := Client(target, [16]byte{}, nil)
		for i := range response {
			if _, err := h.Consume(response[:i]); err != ErrNeedMore {
				b.Fatal(err)
			}
		}
	}
}
