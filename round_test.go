package websocket

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
	"github.com/chanws/websocket/negotiate/deflate"
)

// A tape is a transport that keeps what is written, call by call. It takes at most
// room bytes without waiting.
type tape struct {
	mu     sync.Mutex
	writes []string
	room   int
	shared [][]byte // as tryWrite was given them
	wrote  chan struct{}
	ended  chan struct{}
	end    func()
}

func newTape(room int) *tape {
	t := &tape{room: room, wrote: make(chan struct{}, 100), ended: make(chan struct{})}
	t.end = sync.OnceFunc(func() { close(t.ended) })
	return t
}

func (t *tape) write(buffers net.Buffers) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes = append(t.writes, string(bytes.Join(buffers, nil)))
	t.wrote <- struct{}{}
	return nil
}

func (t *tape) tryWrite(w *directWrite) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Concat(w.headBytes(), w.body)
	w.written = min(t.room, len(all))
	t.room -= w.written
	t.writes = append(t.writes, string(all[:w.written]))
	t.shared = append(t.shared, w.body)
	return nil
}

func (t *tape) read(consumer) error {
	<-t.ended
	return io.EOF
}

func (t *tape) setReadDeadline(d time.Time) error {
	if !d.IsZero() {
		t.end()
	}
	return nil
}

func (t *tape) rest(*Conn) bool                    { return false }
func (t *tape) canTry() bool                       { return true }
func (t *tape) setWriteDeadline(_ time.Time) error { return nil }
func (t *tape) closeWrite() error                  { return nil }
func (t *tape) close() error                       { return nil }
func (t *tape) abort() error                       { return nil }
func (t *tape) localAddr() net.Addr                { return nil }
func (t *tape) remoteAddr() net.Addr               { return nil }

// want finds what was written, in hex, in these calls, and forgets it.
func (t *tape) want(tb testing.TB, writes ...string) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	var got []string
	for _, w := range t.writes {
		got = append(got, hex.EncodeToString([]byte(w)))
	}
	for i := range writes {
		writes[i] = strings.ReplaceAll(writes[i], " ", "")
	}
	if !slices.Equal(got, writes) {
		tb.Errorf("wrote %q, want %q", got, writes)
	}
	t.writes = nil
}

// taped makes a connection upon a tape, and ends it with the test.
func taped(t testing.TB, tape *tape, writer codec.Writer, sessions ...negotiate.Session) *Conn {
	var pipeline *negotiate.Pipeline
	if len(sessions) > 0 {
		pipeline = negotiate.NewPipeline(negotiate.Offer{Name: "x"}, negotiate.RSV1, sessions[0])
	}
	c := newConn((&AcceptOptions{QueueMessages: 100}).settings())
	c.start(&handshake{transport: tape, reader: c.readerFor(negotiate.Hybi13, pipeline), writer: writer, pipeline: pipeline})
	t.Cleanup(func() {
		c.Abort()
		<-c.Closed()
	})
	return c
}

func mustPrepare(t testing.TB, m Message) *Prepared {
	t.Helper()
	p, err := Prepare(m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// queued has the connection queue the messages, as broadcasts do whose rounds have not
// come yet.
func queued(t testing.TB, c *Conn, texts ...string) {
	t.Helper()
	for i, text := range texts {
		scheduled, err := c.queueForRound(mustPrepare(t, Text(text)))
		if err != nil || scheduled != (i == 0) {
			t.Errorf("%s: %v, %v", text, scheduled, err)
		}
	}
}

// What was queued before its round comes is one write.
func TestRoundWritesAllAtOnce(t *testing.T) {
	tape := newTape(1000)
	c := taped(t, tape, serverEncoder)
	queued(t, c, "a", "b", "c")
	if n := c.BufferedAmount(); n != 3 {
		t.Errorf("BufferedAmount is %d", n)
	}
	tape.want(t)
	c.writeScheduled()
	tape.want(t, "81 01 61 81 01 62 81 01 63")
	if s := c.Stats(); s.MessagesSent != 3 || s.Writes != 1 || s.BytesSent != 3 || c.BufferedAmount() != 0 {
		t.Errorf("%+v, %d buffered", s, c.BufferedAmount())
	}
	c.writeScheduled() // nothing left
	tape.want(t)
	queued(t, c, "d")
	c.writeScheduled()
	tape.want(t, "81 01 64")
}

// What does not go out in its round goes with the write loop, before what comes next,
// and is in the budget until then.
func TestRoundLeavesTheRest(t *testing.T) {
	for _, texts := range [][]string{{"abcd"}, {"ab", "cd"}} {
		tape := newTape(3)
		c := taped(t, tape, serverEncoder)
		queued(t, c, texts...)
		flushed := make(chan error, 1)
		go func() { flushed <- c.Flush(context.Background()) }()
		c.writeScheduled()
		<-tape.wrote
		if err := <-flushed; err != nil {
			t.Error(err)
		}
		if len(texts) == 1 {
			tape.want(t, "81 04 61", "62 63 64")
		} else {
			tape.want(t, "81 02 61", "62 81 02 63 64")
		}
		if n := c.BufferedAmount(); n != 0 {
			t.Errorf("BufferedAmount is %d", n)
		}
	}
}

// Whatever else is sent while a connection waits for its round goes after what is
// queued, and does not wait for the round.
func TestRoundIsOvertaken(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(c *Conn)
		want string
	}{
		{"Send", func(c *Conn) { c.Send(context.Background(), Text("x")) }, "81 01 61 81 01 78"},
		{"SendPrepared", func(c *Conn) { c.SendPrepared(context.Background(), mustPrepare(t, Text("x"))) }, "81 01 61 81 01 78"},
		{"SendFragment", func(c *Conn) { c.SendFragment(context.Background(), Message{Type: TextMessage, Data: []byte("x")}) }, "81 01 61 01 01 78"},
		{"Pong", func(c *Conn) { c.Pong(context.Background(), []byte("x")) }, "8a 01 78 81 01 61"},
		{"a ping", func(c *Conn) { c.gotPing([]byte("x")) }, "8a 01 78 81 01 61"},
		{"Close", func(c *Conn) {
			ended, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
			defer cancel()
			c.Close(ended, 1000, "")
		}, "81 01 61 88 02 03 e8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tape := newTape(1000)
			c := taped(t, tape, serverEncoder)
			queued(t, c, "a")
			test.send(c)
			<-tape.wrote
			tape.want(t, test.want)
			c.writeScheduled() // finds nothing
			tape.want(t)
		})
	}
}

// A connection that ends before its round comes has nothing written.
func TestRoundAfterAbort(t *testing.T) {
	tape := newTape(1000)
	c := taped(t, tape, serverEncoder)
	queued(t, c, "a", "b")
	c.Abort()
	<-c.Closed()
	c.writeScheduled()
	tape.want(t)
	if n := c.BufferedAmount(); n != 0 {
		t.Errorf("BufferedAmount is %d", n)
	}
}

// Who came before a sequence panics, or ends its goroutine, has the message and gets the
// next, and what a sequence that takes its time has given does not wait for the rest.
func TestBroadcastOfASequenceThatDoesNotEnd(t *testing.T) {
	for name, rest := range map[string]func(){
		"panics":             func() { panic("the application's mistake") },
		"ends its goroutine": runtime.Goexit,
		"takes an hour":      func() { time.Sleep(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tape := newTape(1000)
				c := taped(t, tape, serverEncoder)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					defer func() { recover() }()
					mustPrepare(t, Text("a")).Broadcast(func(yield func(*Conn) bool) {
						yield(c)
						rest()
					})
				}()
				time.Sleep(roundPatience)
				synctest.Wait()
				tape.want(t, "81 01 61")
				if missed := mustPrepare(t, Text("b")).Broadcast(slices.Values([]*Conn{c})); missed != nil {
					t.Errorf("missed %v", missed)
				}
				synctest.Wait()
				tape.want(t, "81 01 62")
				<-ended
			})
		})
	}
}

// A sequence is one round where it is quick, and as many as it needs where it is not.
func TestRoundsOfASlowSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tape := newTape(1000)
		c := taped(t, tape, serverEncoder)
		m := mustPrepare(t, Text("a"))
		for _, test := range []struct {
			pause time.Duration
			want  []string
		}{{0, []string{"81 01 61 81 01 61 81 01 61"}}, {2 * roundPatience, []string{"81 01 61", "81 01 61", "81 01 61"}}} {
			m.Broadcast(func(yield func(*Conn) bool) {
				for range 3 {
					yield(c)
					time.Sleep(test.pause)
				}
			})
			synctest.Wait()
			tape.want(t, test.want...)
		}
	})
}

// Rounds that are behind do not fill the queue: from half of it on a broadcast writes.
func TestRoundsBehind(t *testing.T) {
	tape := newTape(1 << 20)
	c := taped(t, tape, serverEncoder)
	m := mustPrepare(t, Text("a"))
	for range 100_000 / 50 {
		if _, err := c.queueForRound(m); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.BufferedAmount(); n > 50 {
		t.Errorf("BufferedAmount is %d", n)
	}
	if s := c.Stats(); s.Writes < 39 || s.Writes > 40 {
		t.Errorf("%+v", s)
	}
}

// A server's frame is written from where it lies, at once and in a round; nothing of it
// is copied, and nothing allocated.
func TestPreparedIsNotCopied(t *testing.T) {
	tape := newTape(1 << 30)
	c := taped(t, tape, serverEncoder)
	m := mustPrepare(t, Binary(make([]byte, 1000)))
	c.TrySendPrepared(m)
	c.queueForRound(m)
	c.writeScheduled()
	for i, b := range tape.shared {
		if &b[0] != &m.plain.frame[0] {
			t.Errorf("write %d: a copy", i)
		}
	}
	if len(tape.shared) != 2 {
		t.Errorf("%d writes", len(tape.shared))
	}
}

// A still is a transport that takes everything.
type still struct{ *tape }

func (still) tryWrite(w *directWrite) error {
	w.written = len(w.headBytes()) + len(w.body)
	return nil
}

func TestPreparedAllocatesNothing(t *testing.T) {
	extension := deflate.New(nil)
	for _, compressed := range []bool{false, true} {
		var pipeline *negotiate.Pipeline
		if compressed {
			pipeline = negotiate.NewPipeline(negotiate.Offer{}, negotiate.RSV1, session(t, extension, "permessage-deflate"))
		}
		c := newConn((&AcceptOptions{}).settings())
		c.start(&handshake{transport: still{newTape(0)}, reader: c.readerFor(negotiate.Hybi13, pipeline), writer: serverEncoder, pipeline: pipeline})
		m := mustPrepare(t, Text(strings.Repeat("abc ", 300)))
		room := slices.Values([]*Conn{c})
		for name, send := range map[string]func(){
			"SendPrepared":    func() { c.SendPrepared(t.Context(), m) },
			"TrySendPrepared": func() { c.TrySendPrepared(m) },
			"a round":         func() { c.queueForRound(m); c.queueForRound(m); c.writeScheduled() },
		} {
			if n := testing.AllocsPerRun(1000, send); n > 0 && !raceEnabled {
				t.Errorf("%s, compressed %v: %v allocations", name, compressed, n)
			}
		}
		// A few for the iteration and the goroutine, for any number of connections.
		if n := testing.AllocsPerRun(1000, func() { m.Broadcast(room) }); n > 6 && !raceEnabled {
			t.Errorf("Broadcast: %v allocations", n)
		}
		c.Abort()
		<-c.Closed()
	}
}

// session has a server agree on an extension.
func session(t testing.TB, e negotiate.Extension, offer string) negotiate.Session {
	t.Helper()
	offers, err := negotiate.ParseExtensions([]string{offer})
	if err != nil {
		t.Fatal(err)
	}
	_, s, ok := e.Server([][]negotiate.Param{offers[0].Params})
	if !ok {
		t.Fatal("declined", offer)
	}
	return s
}

// An inflating is the peer's side of permessage-deflate: of what came before it knows no
// more than the window agreed on.
type inflating struct {
	window  int
	history []byte
}

// take reads one frame of the wire and gives the message and the rest.
func (p *inflating) take(t testing.TB, wire []byte) (message string, compressed bool, rest []byte) {
	t.Helper()
	h, n, err := codec.ConsumeHeader(wire)
	if err != nil || !h.Final || h.Masked {
		t.Fatalf("%+v, %v", h, err)
	}
	payload, rest := wire[n:n+int(h.Length)], wire[n+int(h.Length):]
	if h.Reserved == 0 {
		return string(payload), false, rest
	}
	in := io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))
	got, err := io.ReadAll(flate.NewReaderDict(in, p.history))
	if err != nil {
		t.Fatalf("does not inflate: %v", err)
	}
	p.history = append(p.history, got...)
	p.history = p.history[max(0, len(p.history)-p.window):]
	return string(got), true, rest
}

// Prepared messages among others, compressed: every peer inflates all of them, with and
// without takeover, and with the window that it asked for. Those who agreed on the same
// get the same bytes, for which was compressed once.
func TestPreparedCompressed(t *testing.T) {
	var mu sync.Mutex
	asked := map[int]int{} // by size, which tells the prepared messages
	extension := deflate.New(&deflate.Options{Compress: func(m negotiate.Message) bool {
		mu.Lock()
		defer mu.Unlock()
		asked[len(m.Data)]++
		return true
	}})
	type side struct {
		inflating
		conn *Conn
		tape *tape
	}
	var sides []*side
	for _, offer := range []struct {
		params string
		window int
	}{
		{"", 1 << 15},
		{"; server_no_context_takeover", 0},
		{"; server_max_window_bits=9", 1 << 9},
		{"; server_max_window_bits=10", 1 << 10},
		{"; server_max_window_bits=9; server_no_context_takeover", 0},
	} {
		for range 2 {
			tape := newTape(1 << 20)
			c := taped(t, tape, serverEncoder, session(t, extension, "permessage-deflate"+offer.params))
			sides = append(sides, &side{inflating{window: offer.window}, c, tape})
		}
	}
	line := func(i, n int) string {
		var b strings.Builder
		for k := 0; b.Len() < n; k++ {
			fmt.Fprintf(&b, `{"item":%d,"of":%d},`, k*i, i)
		}
		return b.String()[:n]
	}
	var want []string
	prepared := map[int]bool{}
	for i := range 12 {
		text := line(i, 600+i)
		if i == 11 {
			text = "short"
		}
		want = append(want, text)
		m := mustPrepare(t, Text(text))
		for _, s := range sides {
			switch i % 3 {
			case 0:
				s.conn.Send(context.Background(), Text(text))
				s.conn.Flush(context.Background()) // it may have been left to the write loop
			case 1:
				s.conn.SendPrepared(context.Background(), m)
			case 2: // two in a round
				s.conn.queueForRound(m)
				s.conn.queueForRound(m)
				s.conn.writeScheduled()
			}
		}
		if i%3 > 0 && len(text) > 100 {
			prepared[len(text)] = true
		}
		if i%3 == 2 {
			want = append(want, text)
		}
	}
	for i, s := range sides {
		wire := []byte(strings.Join(s.tape.writes, ""))
		for k, w := range want {
			got, compressed, rest := s.take(t, wire)
			if got != w || compressed != (len(w) > 100) {
				t.Fatalf("side %d, message %d: %q, compressed %v, want %q", i, k, got, compressed, w)
			}
			wire = rest
		}
		if len(wire) > 0 {
			t.Errorf("side %d: % x follows", i, wire)
		}
	}
	for size := range prepared {
		if n := asked[size]; n != 3 { // windows of 9, 10 and 15 bits
			t.Errorf("the message of %d bytes was compressed %d times", size, n)
		}
	}
	if sides[0].tape.writes[1] != sides[2].tape.writes[1] {
		t.Error("with and without takeover the bytes differ")
	}
}

// A numbered is an extension that can not share: it numbers what passes.
type numbered struct{ n byte }

func (s *numbered) Outgoing(dst []byte, m negotiate.Message) ([]byte, negotiate.Reserved, bool, error) {
	s.n++
	return append(append(dst, m.Data...), '0'+s.n), negotiate.RSV1, true, nil
}

func (s *numbered) Incoming(dst []byte, _ negotiate.Message, _ int64) ([]byte, bool, error) {
	return dst, false, nil
}

func (s *numbered) Close() {}

// Where frames can not be shared each connection encodes for itself, on every path.
func TestPreparedFallsBack(t *testing.T) {
	fixed := &codec.Encoder{NewKey: func() codec.MaskKey { return codec.MaskKey{1, 2, 3, 4} }}
	for _, test := range []struct {
		name     string
		writer   codec.Writer
		sessions []negotiate.Session
		want     [3]string
	}{
		{"an extension that is no Preparer", serverEncoder, []negotiate.Session{new(numbered)},
			[3]string{"c1 02 61 31", "c1 02 61 32", "c1 02 61 33 c1 02 61 34"}},
		{"a client", fixed, nil, [3]string{"81 81 01020304 60", "81 81 01020304 60", "81 81 01020304 60 81 81 01020304 60"}},
		{"hixie-76", codec.HixieEncoder{Version: codec.Hixie76}, nil, [3]string{"00 61 ff", "00 61 ff", "00 61 ff 00 61 ff"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tape := newTape(1 << 20)
			c := taped(t, tape, test.writer, test.sessions...)
			a := mustPrepare(t, Text("a"))
			if err := c.TrySendPrepared(a); err != nil {
				t.Error(err)
			}
			tape.want(t, test.want[0])
			c.queueForRound(a)
			c.writeScheduled()
			tape.want(t, test.want[1])
			c.queueForRound(a)
			c.queueForRound(a)
			c.writeScheduled()
			tape.want(t, test.want[2])
			binary := mustPrepare(t, Binary([]byte("b")))
			if got, want := fmt.Sprint(c.TrySendPrepared(binary)), fmt.Sprint(c.TrySend(Binary([]byte("b")))); got != want {
				t.Errorf("got %v, want %v as from TrySend", got, want)
			}
			_, err := c.queueForRound(binary)
			if got, want := fmt.Sprint(err), fmt.Sprint(c.TrySend(Binary([]byte("b")))); got != want {
				t.Errorf("got %v, want %v as from TrySend", got, want)
			}
		})
	}
}

// A Prepared does not grow with the connections it is sent on.
func TestPreparedFormsAreBounded(t *testing.T) {
	m := mustPrepare(t, Text(strings.Repeat("abc ", 100)))
	for i := range 3 * maxForms {
		// Functions can not be compared, so each of these extensions is unlike the others.
		extension := deflate.New(&deflate.Options{Compress: func(negotiate.Message) bool { return true }})
		tape := newTape(1 << 20)
		c := taped(t, tape, serverEncoder, session(t, extension, "permessage-deflate"))
		for range 2 {
			if err := c.TrySendPrepared(m); err != nil {
				t.Error(err)
			}
		}
		peer := inflating{window: 1 << 15}
		wire := []byte(strings.Join(tape.writes, ""))
		for len(wire) > 0 {
			got, _, rest := peer.take(t, wire)
			if got != string(m.payload) {
				t.Fatalf("connection %d: %q", i, got)
			}
			wire = rest
		}
	}
	if n := m.forms.Load().length; n != maxForms {
		t.Errorf("%d forms", n)
	}
}

// What one message costs without the network: encoded or compressed for each of 100
// connections, prepared for them, or broadcast to them in rounds.
func BenchmarkToMany(b *testing.B) {
	for _, compressed := range []string{"", "permessage-deflate", "permessage-deflate; server_no_context_takeover"} {
		var conns []*Conn
		extension := deflate.New(nil)
		for range 100 {
			var pipeline *negotiate.Pipeline
			if compressed != "" {
				pipeline = negotiate.NewPipeline(negotiate.Offer{}, negotiate.RSV1, session(b, extension, compressed))
			}
			c := newConn((&AcceptOptions{}).settings())
			c.start(&handshake{transport: still{newTape(0)}, reader: c.readerFor(negotiate.Hybi13, pipeline), writer: serverEncoder, pipeline: pipeline})
			conns = append(conns, c)
		}
		message := func(i int) Message {
			var text []byte
			for k := 0; len(text) < 1000; k++ {
				text = fmt.Appendf(text, `{"id":%d,"name":"item %d","price":%d.99},`, k*i, k, i%100)
			}
			return Message{Type: TextMessage, Data: text}
		}
		name := "plain"
		if compressed != "" {
			name = strings.ReplaceAll(compressed, "; ", ",")
		}
		b.Run(name+"/Send", func(b *testing.B) {
			for i := range b.N/100 + 1 {
				m := message(i)
				for _, c := range conns {
					c.TrySend(m)
				}
			}
		})
		b.Run(name+"/SendPrepared", func(b *testing.B) {
			for i := range b.N/100 + 1 {
				p := mustPrepare(b, message(i))
				for _, c := range conns {
					c.TrySendPrepared(p)
				}
			}
		})
		b.Run(name+"/rounds", func(b *testing.B) {
			for i := range b.N/100 + 1 {
				p := mustPrepare(b, message(i))
				for _, c := range conns {
					c.queueForRound(p)
				}
				for _, c := range conns {
					c.writeScheduled()
				}
			}
		})
		for _, c := range conns {
			c.Abort()
			<-c.Closed()
		}
	}
}

// Who waits for a broadcast to be written is told that it was not.
func TestFlushOfARoundThatFails(t *testing.T) {
	near, far := roomyPair(t)
	defer far.Close()
	c := newConn((&AcceptOptions{}).settings())
	c.mu.Lock()
	c.open(&handshake{transport: newTransport(near, c), reader: c.readerFor(negotiate.Hybi13, nil), writer: serverEncoder})
	c.mu.Unlock()
	p, err := Prepare(Text("hi"))
	if err != nil {
		t.Fatal(err)
	}
	if scheduled, err := c.queueForRound(p); !scheduled || err != nil {
		t.Fatal(scheduled, err)
	}
	c.mu.Lock()
	f := c.addFlush()
	c.mu.Unlock()
	near.Close()
	c.writeScheduled()
	<-f.done
	if !errors.Is(f.err, ErrClosed) {
		t.Errorf("Flush: %v", f.err)
	}
	c.Abort() // there is no read loop
}
