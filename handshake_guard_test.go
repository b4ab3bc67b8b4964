package websocket

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/chanws/websocket/codec"
)

// maxLifeAllocs is what a connection's life may allocate, both sides of it: 50 when
// this was written. With http.ReadRequest for the request it was 65; a writer goroutine
// for the close frame and a ticker to wait for the application made it 84.
const maxLifeAllocs = 55

// TestAllocationsOfALife holds what handshake, one echo and the closing handshake
// allocate.
func TestAllocationsOfALife(t *testing.T) {
	wantAllocations(t, maxLifeAllocs, newLife(t))
}

// wantAllocations holds f to a number of allocations in all of the process.
func wantAllocations(t *testing.T, most float64, f func()) {
	t.Helper()
	allocs := testing.AllocsPerRun(200, f)
	t.Logf("%.0f allocations", allocs)
	if !raceEnabled && allocs > most {
		t.Errorf("%.0f allocations, more than %.0f", allocs, most)
	}
}

// serveEach serves connections, one after the other, and gives the address.
func serveEach(t testing.TB, serve func(net.Conn)) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serve(c)
		}
	}()
	return listener.Addr().String()
}

// TestStackOfAccept holds that Accept finds room in the 4 KiB of stack that the goroutine
// of net/http has by then: to move it to 8 KiB took 3% of the processor time of
// handshake, echo and close.
func TestStackOfAccept(t *testing.T) {
	const conns = 100
	beginSmall()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	accepted, leave := make(chan error), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		accepted <- err
		if err == nil {
			<-leave
			c.Abort()
		}
	}))
	defer server.Close()
	defer close(leave)
	before := stackInUse()
	for range conns {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(handshakeRequest)
		if err := <-accepted; err != nil {
			t.Fatal(err)
		}
	}
	// That of the handler, and 2 KiB of the one that reads.
	each := (stackInUse() - before) / conns
	t.Logf("%d bytes of stack each", each)
	if each > 7<<10 && !raceEnabled { // whose frames are larger
		t.Errorf("%d bytes of stack each", each)
	}
}

// beginSmall has new goroutines begin with 2 KiB of stack. They do with what those before
// used on average at the last collection.
func beginSmall() {
	leave := make(chan struct{})
	defer close(leave)
	for range 1000 {
		go func() { <-leave }()
	}
	runtime.GC()
}

func stackInUse() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.StackInuse)
}

var handshakeRequest = []byte("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")

func BenchmarkHandshake(b *testing.B) {
	live := newLife(b)
	b.ReportAllocs()
	for b.Loop() {
		live()
	}
}

// newLife returns a function that has one connection live and die at an echo server.
func newLife(t testing.TB) func() {
	address := serveEach(t, serveOneLife)
	message := clientEncoder.AppendFrame(nil, codec.Frame{Opcode: codec.OpBinary, Final: true, Payload: []byte("hello")})
	end := clientEncoder.AppendFrame(nil, codec.Frame{Opcode: codec.OpClose, Final: true, Payload: []byte{3, 232}})
	var room [512]byte
	return func() {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(handshakeRequest)
		io.ReadFull(c, room[:129]) // the response
		c.Write(message)
		io.ReadFull(c, room[:7])
		c.Write(end)
		if n, err := io.ReadFull(c, room[:5]); n != 4 || err != io.ErrUnexpectedEOF {
			t.Fatalf("%d bytes of the close frame, then %v", n, err)
		}
	}
}

func serveOneLife(network net.Conn) {
	c, _, err := AcceptConn(context.Background(), network, nil)
	if err != nil {
		return
	}
	for m := range c.Messages() {
		c.Send(context.Background(), m)
		m.Release()
	}
	<-c.Closed()
}
