package websocket_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket"
)

func prepare(t testing.TB, m websocket.Message) *websocket.Prepared {
	t.Helper()
	p, err := websocket.Prepare(m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wantBytes reads what has to be exactly this, in hex.
func (p *peer) wantBytes(hex string) {
	p.t.Helper()
	want := unhex(hex)
	got := make([]byte, len(want))
	p.conn.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.ReadFull(p.in, got); err != nil || !bytes.Equal(got, want) {
		p.t.Fatalf("peer: got % x, %v, want % x", got[:n], err, want)
	}
}

// The bytes of a server, among those of other sends.
func TestPreparedOnTheWire(t *testing.T) {
	on(t, []link{{"server", "tcp"}, {"server", "pipe"}}, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		ctx := t.Context()
		hello, empty := prepare(t, websocket.Text("Hello")), prepare(t, websocket.Binary(nil))
		long := prepare(t, websocket.Binary(bytes.Repeat([]byte{7}, 256)))
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		part := websocket.Message{Type: websocket.TextMessage, Data: []byte("a")}
		sent := result(func() int {
			must(c.SendPrepared(ctx, hello))
			must(c.Send(ctx, websocket.Text("b")))
			must(c.TrySendPrepared(empty))
			must(c.SendFragment(ctx, part))
			wantUsage(t, "within a message", c.SendPrepared(ctx, hello))
			wantUsage(t, "within a message", c.TrySendPrepared(hello))
			missed := hello.Broadcast(slices.Values([]*websocket.Conn{c}))
			if len(missed) != 1 || missed[0].Conn != c {
				t.Errorf("within a message Broadcast missed %v", missed)
			} else {
				wantUsage(t, "within a message", missed[0].Err)
			}
			part.Final = true
			must(c.SendFragment(ctx, part))
			if missed := long.Broadcast(slices.Values([]*websocket.Conn{c, c})); missed != nil {
				t.Errorf("Broadcast missed %v", missed)
			}
			must(c.TrySendPrepared(hello))
			must(c.Send(ctx, websocket.Text("c")))
			return 0
		})
		p.wantBytes("81 05 48 65 6c 6c 6f")
		p.wantBytes("81 01 62")
		p.wantBytes("82 00")
		p.wantBytes("01 01 61")
		p.wantBytes("80 01 61")
		p.wantBytes("82 7e 01 00" + strings.Repeat("07", 256))
		p.wantBytes("82 7e 01 00" + strings.Repeat("07", 256))
		p.wantBytes("81 05 48 65 6c 6c 6f")
		p.wantBytes("81 01 63")
		wantResult(t, "sending", sent)
		if err := c.Flush(ctx); err != nil {
			t.Error(err)
		}
		if s := c.Stats(); s.MessagesSent != 9 || s.BytesSent != 5+1+0+1+1+256+256+5+1 {
			t.Errorf("%+v", s)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// Every medium and both roles: a client masks for itself, and leaves the others' bytes
// as they were.
func TestPreparedEverywhere(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 1000, QueueBytes: 64 << 20})
		var all []*websocket.Prepared
		for i, size := range ownerSizes {
			data := payloadOf(i, size)
			all = append(all, prepare(t, websocket.Binary(data)))
			copy(data, poisonous) // the caller's again
		}
		sending := result(func() error {
			for range 3 {
				for i, m := range all {
					var err error
					switch i % 3 {
					case 0:
						err = c.SendPrepared(context.Background(), m)
					case 1:
						err = c.TrySendPrepared(m)
					case 2:
						for _, miss := range m.Broadcast(slices.Values([]*websocket.Conn{c})) {
							err = miss.Err
						}
					}
					if err != nil {
						return err
					}
				}
				poison()
			}
			return nil
		})
		for range 3 {
			for i, size := range ownerSizes {
				f, err := p.readFrame()
				if err != nil || f.first != 0x82 || !bytes.Equal(f.payload, payloadOf(i, size)) {
					t.Fatalf("message %d of %d bytes: the peer got %v, %v", i, size, f, err)
				}
			}
		}
		if err := wantResult(t, "sending", sending); err != nil {
			t.Error(err)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if n := c.BufferedAmount(); n != 0 {
			t.Errorf("BufferedAmount is %d after Flush", n)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

func TestPrepareErrors(t *testing.T) {
	on(t, pipes, func(t *testing.T, l link) {
		c, _ := open(t, l, websocket.AcceptOptions{})
		_, err := websocket.Prepare(websocket.Text("\xff"))
		wantUsage(t, "not UTF-8", err)
		_, err = websocket.Prepare(websocket.Message{Data: []byte("x")})
		wantUsage(t, "no type", err)
		missed, err := websocket.Broadcast(slices.Values([]*websocket.Conn{c}), websocket.Text("\xff"))
		wantUsage(t, "not UTF-8", err)
		if missed != nil {
			t.Error(missed)
		}
		hello := prepare(t, websocket.Text("hello"))
		wantIs(t, "nil context", c.SendPrepared(nil, hello), websocket.ErrNilContext) //lint:ignore SA1012 that is the test
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		wantIs(t, "ended context", c.SendPrepared(ended, hello), context.Canceled)
		for _, bad := range []*websocket.Prepared{nil, {}} {
			wantUsage(t, "not prepared", c.SendPrepared(context.Background(), bad))
			wantUsage(t, "not prepared", c.TrySendPrepared(bad))
			if missed := bad.Broadcast(slices.Values([]*websocket.Conn{c})); len(missed) != 1 {
				t.Errorf("missed %v", missed)
			} else {
				wantUsage(t, "not prepared", missed[0].Err)
			}
		}
		if missed := hello.Broadcast(slices.Values([]*websocket.Conn{nil, c})); len(missed) != 1 || missed[0].Conn != nil {
			t.Errorf("missed %v", missed)
		} else {
			wantUsage(t, "nil connection", missed[0].Err)
		}
		c.Abort()
		wantClosed(t, c, 1006)
		wantIs(t, "closed", c.SendPrepared(context.Background(), hello), websocket.ErrClosed)
		wantIs(t, "closed", c.TrySendPrepared(hello), websocket.ErrClosed)
		for _, miss := range hello.Broadcast(slices.Values([]*websocket.Conn{c})) {
			wantIs(t, "closed", miss.Err, websocket.ErrClosed)
		}
	})
}

// What is sent before the handshake is complete waits in the queue.
func TestPreparedBeforeOpen(t *testing.T) {
	on(t, []link{{"client", "tcp"}, {"client", "pipe"}}, func(t *testing.T, l link) {
		c, p := opening(t, l, websocket.AcceptOptions{})
		one, two, three := prepare(t, websocket.Text("one")), prepare(t, websocket.Text("two")), prepare(t, websocket.Text("three"))
		if err := c.SendPrepared(t.Context(), one); err != nil {
			t.Error(err)
		}
		if err := c.TrySendPrepared(two); err != nil {
			t.Error(err)
		}
		if missed := three.Broadcast(slices.Values([]*websocket.Conn{c})); missed != nil {
			t.Error(missed)
		}
		if n := c.BufferedAmount(); n != 11 {
			t.Errorf("BufferedAmount is %d", n)
		}
		p.shakeHands()
		p.wantFrame(0x81, "one")
		p.wantFrame(0x81, "two")
		p.wantFrame(0x81, "three")
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// A prepared message counts in the budget as any other, waits as any other, and gives
// its room back when it is written.
func TestPreparedQueueBounds(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 3, QueueBytes: 1000})
		half := prepare(t, websocket.Binary(make([]byte, 500)))
		for range 2 {
			if err := c.TrySendPrepared(half); err != nil {
				t.Error(err)
			}
		}
		if n := c.BufferedAmount(); n != 1000 {
			t.Errorf("BufferedAmount is %d", n)
		}
		wantIs(t, "TrySendPrepared", c.TrySendPrepared(half), websocket.ErrQueueFull)
		missed := half.Broadcast(slices.Values([]*websocket.Conn{c}))
		if len(missed) != 1 || missed[0] != (websocket.Missed{Conn: c, Err: websocket.ErrQueueFull}) {
			t.Errorf("missed %v", missed)
		}
		waiting := result(func() error { return c.SendPrepared(context.Background(), half) })
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		wantIs(t, "SendPrepared", c.SendPrepared(ctx, half), context.DeadlineExceeded)
		for range 3 {
			p.wantFrame(0x82, string(make([]byte, 500)))
		}
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := c.BufferedAmount(); n != 0 {
			t.Errorf("BufferedAmount is %d", n)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// A broadcast skips those who do not read and reaches the others, in order; who was
// skipped lives on, and has what fitted.
func TestBroadcastSkipsTheSlow(t *testing.T) {
	on(t, sockets, func(t *testing.T, l link) {
		fast, reads := open(t, l, websocket.AcceptOptions{})
		slow, p := open(t, l, websocket.AcceptOptions{QueueMessages: 20})
		gone, _ := open(t, l, websocket.AcceptOptions{})
		gone.Abort()
		wantClosed(t, gone, 1006)
		room := []*websocket.Conn{slow, gone, fast}
		var reached int
		for i := 0; ; i++ {
			payload := payloadOf(i, 64<<10)
			missed, err := websocket.Broadcast(slices.Values(room), websocket.Binary(payload))
			if err != nil {
				t.Fatal(err)
			}
			reads.wantFrame(0x82, string(payload))
			if n := len(missed); n < 1 || missed[n-1].Conn != gone {
				t.Fatalf("missed %v", missed)
			}
			wantIs(t, "gone", missed[len(missed)-1].Err, websocket.ErrClosed)
			if len(missed) == 2 {
				if missed[0].Conn != slow {
					t.Errorf("missed %v", missed)
				}
				wantIs(t, "slow", missed[0].Err, websocket.ErrQueueFull)
				reached = i
				break
			}
		}
		if slow.State() != websocket.StateOpen {
			t.Errorf("the slow one is %v", slow.State())
		}
		flushed := result(func() error { return slow.Flush(context.Background()) })
		for i := range reached {
			f, err := p.readFrame()
			if err != nil || !bytes.Equal(f.payload, payloadOf(i, 64<<10)) {
				t.Fatalf("message %d: the slow peer got %v, %v", i, f, err)
			}
		}
		if err := wantResult(t, "Flush", flushed); err != nil {
			t.Error(err)
		}
		if n := slow.BufferedAmount(); n != 0 {
			t.Errorf("BufferedAmount is %d", n)
		}
		for _, c := range []*websocket.Conn{slow, fast} {
			c.Abort()
			wantClosed(t, c, 1006)
		}
	})
}

// A broadcast as fast as it goes does not fill the queue of a peer that reads.
func TestBroadcastFasterThanItsRounds(t *testing.T) {
	on(t, sockets, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 4})
		const n = 200 // fit into the buffers of the network
		for i := range n {
			missed, err := websocket.Broadcast(slices.Values([]*websocket.Conn{c}), websocket.Text(fmt.Sprint(i)))
			for err == nil && len(missed) > 0 { // somebody else is writing just now
				c.Flush(t.Context())
				missed, err = websocket.Broadcast(slices.Values([]*websocket.Conn{c}), websocket.Text(fmt.Sprint(i)))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			p.wantFrame(0x81, fmt.Sprint(i))
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// Many broadcast to many, while others send and answer pings, on all kinds of
// connections. Every peer gets what each of them sent in its order, and Close sends
// what was broadcast before it.
func TestBroadcastsAtOnce(t *testing.T) {
	leavesNothing(t)
	const senders, each = 4, 30
	var room []*websocket.Conn
	var peers sync.WaitGroup
	for i := range 12 {
		l := everywhere[i%len(everywhere)]
		c, p := open(t, l, websocket.AcceptOptions{})
		room = append(room, c)
		peers.Go(func() {
			next := map[string]int{}
			for {
				f, err := p.readFrame()
				if err != nil {
					t.Errorf("%v: %v", l, err)
					return
				}
				switch f.first {
				case 0x81:
					who, what, _ := strings.Cut(string(f.payload), " ")
					if what != fmt.Sprint(next[who]) {
						t.Errorf("%v: got %v, want %d", l, f, next[who])
						return
					}
					next[who]++
					if next[who] == 10 {
						p.sendFrame(0x89, "ping")
					}
				case 0x88:
					if len(next) != senders+1 {
						t.Errorf("%v: got messages of %v", l, next)
					}
					for who, n := range next {
						if n != each {
							t.Errorf("%v: got %d messages of %s", l, n, who)
						}
					}
					p.write(p.encode(0x88, f.payload))
					if !p.masks {
						p.hangUp()
					}
					return
				}
			}
		})
	}
	var sending sync.WaitGroup
	for who := range senders {
		sending.Go(func() {
			for i := range each {
				missed, err := websocket.Broadcast(slices.Values(room), websocket.Text(fmt.Sprintf("%d %d", who, i)))
				if err != nil || missed != nil {
					t.Errorf("%v, %v", missed, err)
				}
			}
		})
	}
	sending.Go(func() {
		for i := range each {
			for _, c := range room {
				if err := c.Send(context.Background(), websocket.Text(fmt.Sprintf("alone %d", i))); err != nil {
					t.Error(err)
				}
			}
		}
	})
	sending.Wait()
	var closing sync.WaitGroup
	for _, c := range room {
		closing.Go(func() {
			c.Close(context.Background(), websocket.StatusNormalClosure, "")
			<-c.Closed()
		})
	}
	closing.Wait()
	peers.Wait()
}

// Connections end in the middle of broadcasts, and nothing is left.
func TestAbortDuringBroadcast(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		var room []*websocket.Conn
		for range 5 {
			c, _ := open(t, l, websocket.AcceptOptions{})
			room = append(room, c)
		}
		m := prepare(t, websocket.Binary(make([]byte, 100_000)))
		broadcasting := result(func() int {
			for len(m.Broadcast(slices.Values(room))) < len(room) {
			}
			return 0
		})
		for _, c := range room {
			c.Abort()
			wantClosed(t, c, 1006)
		}
		wantResult(t, "Broadcast", broadcasting)
	})
}
