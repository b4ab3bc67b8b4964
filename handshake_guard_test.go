package websocket

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/chanws/websocket/codec"
)

// maxLifeAllocs is what a connection's life may allocate, both sides of it: 65 when
// this was written. A writer goroutine for the close frame, a ticker to wait for the
// application and a bufio.Reader for the request made it 84.
const maxLifeAllocs = 72

// TestAllocationsOfALife holds what handshake, one echo and the closing handshake
// allocate.
func TestAllocationsOfALife(t *testing.T) {
	live := newLife(t)
	allocs := testing.AllocsPerRun(200, live)
	t.Logf("%.0f allocations", allocs)
	if !raceEnabled && allocs > maxLifeAllocs {
		t.Errorf("%.0f allocations for handshake, echo and close, more than %d", allocs, maxLifeAllocs)
	}
}

func BenchmarkHandshake(b *testing.B) {
	live := newLife(b)
	b.ReportAllocs()
	for b.Loop() {
		live()
	}
}

// newLife returns a function that has one connection live and die at an echo server.
func newLife(t testing.TB) func() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-done })
	go func() {
		defer close(done)
		for serveOneLife(listener) {
		}
	}()
	request := []byte("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	message := clientEncoder.AppendFrame(nil, codec.Frame{Opcode: codec.OpBinary, Final: true, Payload: []byte("hello")})
	end := clientEncoder.AppendFrame(nil, codec.Frame{Opcode: codec.OpClose, Final: true, Payload: []byte{3, 232}})
	var room [512]byte
	return func() {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(request)
		io.ReadFull(c, room[:129]) // the response
		c.Write(message)
		io.ReadFull(c, room[:7])
		c.Write(end)
		if n, err := io.ReadFull(c, room[:5]); n != 4 || err != io.ErrUnexpectedEOF {
			t.Fatalf("%d bytes of the close frame, then %v", n, err)
		}
	}
}

func serveOneLife(listener net.Listener) bool {
	network, err := listener.Accept()
	if err != nil {
		return false
	}
	c, _, err := AcceptConn(context.Background(), network, nil)
	if err != nil {
		return true
	}
	for m := range c.Messages() {
		c.Send(context.Background(), m)
		m.Release()
	}
	<-c.Closed()
	return true
}
