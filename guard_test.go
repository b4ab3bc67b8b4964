package websocket

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"unsafe"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// These tests hold counts, which are the same on a busy machine as on an idle one:
// writes and allocations for each message, and bytes copied. What an idle connection
// costs is in idle_test.go. How fast it all is, bench/ tells.

// An echoServer is a server with one connection, whose client is raw.
type echoServer struct {
	*rawClient
	conn *Conn
}

func newEchoServer(t *testing.T, size, burst int, app func(*Conn)) *echoServer {
	t.Helper()
	accepted := make(chan *Conn, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- c
		go app(c)
	}))
	client := newRawClient(t, server.Listener.Addr().String(), size, burst)
	conn := <-accepted
	t.Cleanup(func() {
		client.Close()
		<-conn.Closed()
		server.Close()
	})
	return &echoServer{client, conn}
}

func (s *echoServer) rounds(t *testing.T, n int) {
	t.Helper()
	buf := make([]byte, len(s.replies))
	for range n {
		if err := s.round(buf); err != nil {
			t.Fatal(err)
		}
	}
}

// keep is the application that never releases a message.
func keep(c *Conn) {
	for m := range c.Messages() {
		if c.Send(context.Background(), m) != nil {
			return
		}
	}
}

// A message that comes alone goes out in one write, and a burst in few.
func TestWritesPerMessage(t *testing.T) {
	for _, test := range []struct {
		name        string
		size, burst int
		most        float64 // writes for each message
	}{
		{"alone", 125, 1, 1},
		{"alone and large", 64 << 10, 1, 1.1}, // but for the first, which find the socket's buffer small
		{"burst of 64, small", 32, 64, 0.3},
		{"burst of 64 of 1 KiB", 1 << 10, 64, 0.5},
	} {
		t.Run(test.name, func(t *testing.T) {
			const rounds = 200
			s := newEchoServer(t, test.size, test.burst, echo)
			s.rounds(t, rounds)
			stats := s.conn.Stats()
			if each := float64(stats.Writes) / (rounds * float64(test.burst)); each > test.most {
				t.Errorf("%.2f writes a message, at most %v", each, test.most)
			} else {
				t.Logf("%.3f writes a message", each)
			}
		})
	}
}

// An echo allocates what the application keeps, and nothing if it gives that back.
func TestAllocationsPerMessage(t *testing.T) {
	for _, test := range []struct {
		name        string
		size, burst int
		app         func(*Conn)
		most        float64
	}{
		{"released", 125, 1, echo, 0.1},
		{"released, burst", 32, 64, echo, 0.02},
		{"released, 64 KiB", 64 << 10, 1, echo, 0.2},
		{"kept", 125, 1, keep, 1.1},
		{"kept, burst", 32, 64, keep, 1.2},
	} {
		t.Run(test.name, func(t *testing.T) {
			rounds := 4096 / test.burst
			s := newEchoServer(t, test.size, test.burst, test.app)
			s.rounds(t, 100) // and whatever is made once
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s.rounds(t, rounds)
			runtime.ReadMemStats(&after)
			each := float64(after.Mallocs-before.Mallocs) / float64(rounds*test.burst)
			if each > test.most && !raceEnabled { // which makes pools forget
				t.Errorf("%.2f allocations a message, at most %v", each, test.most)
			} else {
				t.Logf("%.3f allocations a message", each)
			}
		})
	}
}

// A span is where bytes lay when the socket had them.
type span struct {
	at, size int
}

func spanOf(b []byte) span { return span{int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), len(b)} }

// outside counts the bytes of the spans that lie elsewhere than in data: they were
// copied.
func outside(spans []span, data []byte) int {
	n, whole := 0, spanOf(data)
	for _, s := range spans {
		from, to := max(s.at, whole.at), min(s.at+s.size, whole.at+whole.size)
		n += s.size - max(to-from, 0)
	}
	return n
}

// A watchedTransport notes where the bytes lie that it reads and writes.
type watchedTransport struct {
	transport
	reads, written []span
}

func (w *watchedTransport) read(c consumer) error {
	return w.transport.read(&watchedConsumer{c, watchedReader{Reader: c.input(), watched: w}})
}

func (w *watchedTransport) tryWrite(d *directWrite) error {
	err := w.transport.tryWrite(d)
	w.wrote(d.written, d.headBytes(), d.body)
	return err
}

func (w *watchedTransport) write(buffers net.Buffers) error {
	for _, b := range buffers {
		w.wrote(len(b), b)
	}
	return w.transport.write(buffers)
}

// wrote notes the first n bytes of the buffers.
func (w *watchedTransport) wrote(n int, buffers ...[]byte) {
	for _, b := range buffers {
		b = b[:min(n, len(b))]
		n -= len(b)
		w.written = append(w.written, spanOf(b))
	}
}

type watchedConsumer struct {
	consumer
	reader watchedReader
}

func (c *watchedConsumer) input() codec.Reader { return &c.reader }

type watchedReader struct {
	codec.Reader
	watched *watchedTransport
	space   []byte
}

func (r *watchedReader) Space(limit int) []byte {
	r.space = r.Reader.Space(limit)
	return r.space
}

func (r *watchedReader) Wrote(n int) {
	r.watched.reads = append(r.watched.reads, spanOf(r.space[:n]))
	r.Reader.Wrote(n)
}

// roomyPair is two ends of TCP with room for a large message on its way.
func roomyPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if far, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	if near, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := near.(*net.TCPConn).SetWriteBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// A large message is received into the memory that the application gets, and sent
// from there: no more is copied than came in the first read, before its size was
// known, and the headers.
func TestBytesCopied(t *testing.T) {
	const size, received, sent = 64 << 10, 20 << 10, codec.MaxHeaderSize
	near, far := roomyPair(t)
	c := newConn((&AcceptOptions{}).settings())
	watched := &watchedTransport{transport: newTransport(near, c)}
	c.start(&handshake{transport: watched, reader: c.readerFor(negotiate.Hybi13, nil), writer: serverEncoder})
	defer func() {
		c.Abort()
		<-c.Closed()
	}()
	client := &rawClient{Conn: far, failed: make(chan error, 1)}
	client.prepare(size, 1)
	echoed := make(chan error, 1)
	go func() { echoed <- client.round(make([]byte, len(client.replies))) }()
	m := <-c.Messages()
	if n := outside(watched.reads, m.Data); n > received {
		t.Errorf("%d bytes were copied on their way in, at most %d", n, received)
	}
	if err := c.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := <-echoed; err != nil {
		t.Fatal(err)
	}
	if n := outside(watched.written, m.Data); n > sent {
		t.Errorf("%d bytes were copied on their way out, at most %d", n, sent)
	}
}

func say(t *testing.T, c io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Error(err)
	}
}

// hi is a masked text of two letters, with the key 0.
const hi = "\x81\x82\x00\x00\x00\x00hi"
