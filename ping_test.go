package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket"
)

// A ping is answered with what it said, to the byte (RFC 6455, section 5.5.3).
func TestPongHasThePayloadOfThePing(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		for _, payload := range []string{"", "x", "\x00\xff\x80", string(bytes.Repeat([]byte("p"), 125))} {
			p.sendFrame(0x89, payload)
			p.wantFrame(0x8a, payload)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in
// response to previous Ping frame(s), the endpoint MAY elect to send a Pong frame
// for only the most recently processed Ping frame." RFC 6455, section 5.5.3.
func TestOnlyTheLatestPingIsAnswered(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		for i := range 100 {
			p.sendFrame(0x89, fmt.Sprint("ping ", i))
			synctest.Wait()
		}
		p.wantFrame(0x8a, "ping 0") // was on its way when the others came
		p.wantFrame(0x8a, "ping 99")
		p.sendFrame(0x89, "one more")
		p.wantFrame(0x8a, "one more")
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// A flood of pings or pongs from a peer that does not read costs no memory, and
// the connection lives.
func TestFloodOfControlFrames(t *testing.T) {
	for name, first := range map[string]byte{"pings": 0x89, "pongs": 0x8a} {
		t.Run(name, func(t *testing.T) {
			on(t, sockets, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{})
				payload := string(bytes.Repeat([]byte("f"), 125))
				flood := bytes.Repeat(p.encode(first, []byte(payload)), 1000)
				before := heap()
				for range 80 { // 10 MB
					p.write(flood)
				}
				p.sendFrame(first, "the last")
				p.sendFrame(0x82, "after the flood")
				wantMessage(t, c, "after the flood")
				if grown := heap() - before; grown > 2<<20 {
					t.Errorf("the heap has grown by %d bytes", grown)
				}
				if first == 0x89 {
					// What has not gone out by now is one pong.
					last, n := "", 0
					for ; last != "the last"; n++ {
						f, err := p.readFrame()
						if err != nil || f.first != 0x8a {
							t.Fatalf("got %v, %v after %d pongs", f, err, n)
						}
						last = string(f.payload)
					}
				}
				if err := c.Send(t.Context(), websocket.Text("alive")); err != nil {
					t.Errorf("Send: %v", err)
				}
				p.wantFrame(0x81, "alive")
				c.Abort()
				wantClosed(t, c, 1006)
			})
		})
	}
}

// heap gives the bytes of the heap that are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Pings and pongs pass the data that waits, so that a full queue does not starve
// them, and have bounds of their own.
func TestControlFramesPassTheQueue(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 3})
		c.TrySend(websocket.Text("under way"))
		synctest.Wait()
		c.TrySend(websocket.Text("queued"))
		c.TrySend(websocket.Text("queued too"))
		wantIs(t, "TrySend", c.TrySend(websocket.Text("no room")), websocket.ErrQueueFull)
		p.sendFrame(0x89, "in between")
		if err := c.Pong(t.Context(), []byte("here I am")); err != nil {
			t.Errorf("Pong: %v", err)
		}
		synctest.Wait()
		p.wantFrame(0x81, "under way")
		p.wantFrame(0x8a, "here I am")
		p.wantFrame(0x8a, "in between")
		p.wantFrame(0x81, "queued")
		p.wantFrame(0x81, "queued too")
		c.Abort()
		wantClosed(t, c, 1006)
	})
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n := 0
		for c.Pong(ctx, []byte("x")) == nil {
			if n++; n > 1000 {
				t.Fatal("the lane of control frames has no bound")
			}
		}
		for range n {
			p.wantFrame(0x8a, "x")
		}
		if err := c.Pong(context.Background(), []byte("y")); err != nil {
			t.Errorf("Pong: %v", err)
		}
		p.wantFrame(0x8a, "y")
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

func TestPing(t *testing.T) {
	type answer struct {
		trip time.Duration
		err  error
	}
	ping := func(c *websocket.Conn, ctx context.Context, payload string) <-chan answer {
		return result(func() answer {
			trip, err := c.Ping(ctx, []byte(payload))
			return answer{trip, err}
		})
	}
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		one := ping(c, t.Context(), "one")
		p.wantFrame(0x89, "one")
		pass(3 * time.Second)
		p.sendFrame(0x8a, "another")
		p.sendFrame(0x8a, "")
		synctest.Wait()
		select {
		case a := <-one:
			t.Errorf("Ping returned %v for another pong", a)
		default:
		}
		p.sendFrame(0x8a, "one")
		if a := <-one; a.err != nil || a.trip != 3*time.Second {
			t.Errorf("Ping: %v", a)
		}

		// A later pong answers the pings before it, and not those after.
		var pings []<-chan answer
		for _, payload := range []string{"a", "b", "c"} {
			pings = append(pings, ping(c, context.Background(), payload))
			p.wantFrame(0x89, payload)
		}
		p.sendFrame(0x8a, "b")
		for _, i := range []int{0, 1} {
			if a := <-pings[i]; a.err != nil {
				t.Errorf("Ping %d: %v", i, a)
			}
		}
		synctest.Wait()
		select {
		case a := <-pings[2]:
			t.Errorf("Ping returned %v for an earlier pong", a)
		default:
		}

		// One that gives up is forgotten, and does no harm.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		gone := ping(c, ctx, "gone")
		p.wantFrame(0x89, "gone")
		if a := <-gone; !errors.Is(a.err, context.DeadlineExceeded) {
			t.Errorf("Ping: %v", a)
		}
		p.sendFrame(0x8a, "gone")
		if s := c.State(); s != websocket.StateOpen {
			t.Errorf("state is %v", s)
		}

		// What waits when the connection ends gets an error.
		p.hangUp()
		if a := <-pings[2]; !errors.Is(a.err, websocket.ErrClosed) {
			t.Errorf("Ping: %v", a)
		}
		wantClosed(t, c, 1006)
	})
}

// A ping that the writer has not taken yet is not answered, whatever pong comes.
func TestPongBeforeThePing(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		c.TrySend(websocket.Text("under way"))
		synctest.Wait()
		began := time.Now()
		pinging := result(func() time.Duration { trip, _ := c.Ping(context.Background(), nil); return trip })
		pass(time.Second)
		p.sendFrame(0x8a, "") // a sign of life that nobody has asked for
		pass(time.Second)
		p.wantFrame(0x81, "under way")
		p.wantFrame(0x89, "")
		p.sendFrame(0x8a, "")
		if trip := <-pinging; trip != 2*time.Second {
			t.Errorf("Ping: %v", trip)
		}
		wantAfter(t, "Ping", began, 2*time.Second)
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// A Ping does not take the pong to an earlier keepalive for its own, but one to a later
// answers it too.
func TestPingAmongKeepalives(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{PingInterval: 10 * time.Second})
		p.conn.SetReadDeadline(time.Time{})
		ping := func() <-chan time.Duration {
			return result(func() time.Duration { trip, _ := c.Ping(context.Background(), nil); return trip })
		}
		pass(10 * time.Second)
		keepalive := p.wantKeepalive()
		first := ping()
		p.wantFrame(0x89, "")
		pass(time.Second)
		p.sendFrame(0x8a, keepalive)
		pass(time.Second)
		p.sendFrame(0x8a, "")
		if trip := <-first; trip != 2*time.Second {
			t.Errorf("Ping, between two keepalives: %v", trip)
		}
		second := ping()
		p.wantFrame(0x89, "")
		for range 3 {
			pass(8 * time.Second)
			p.conn.SetReadDeadline(time.Time{})
			keepalive = p.wantKeepalive()
			pass(2 * time.Second)
			p.sendFrame(0x81, "busy")
			wantMessage(t, c, "busy")
		}
		p.sendFrame(0x8a, keepalive)
		if trip := <-second; trip != 30*time.Second {
			t.Errorf("Ping, before a keepalive: %v", trip)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// The payload of a ping is the caller's.
func TestPingLeavesThePayload(t *testing.T) {
	on(t, sockets, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		payload := []byte("mine")
		done := result(func() error { _, err := c.Ping(context.Background(), payload); return err })
		p.wantFrame(0x89, "mine")
		p.sendFrame(0x8a, "mine")
		if err := wantResult(t, "Ping", done); err != nil || string(payload) != "mine" {
			t.Errorf("Ping: %v, the payload is %q", err, payload)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

func TestTrace(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		var events []string
		note := func(kind string) func([]byte) {
			return func(payload []byte) { events = append(events, kind+string(payload)) }
		}
		c, p := open(t, l, websocket.AcceptOptions{Trace: &websocket.Trace{
			PingReceived: note("ping received "), PongReceived: note("pong received "),
			PingSent: note("ping sent "), PongSent: note("pong sent "),
		}, PingInterval: time.Minute})
		p.sendFrame(0x89, "a")
		p.wantFrame(0x8a, "a")
		p.sendFrame(0x8a, "b")
		synctest.Wait()
		pinging := result(func() error { _, err := c.Ping(context.Background(), []byte("c")); return err })
		p.wantFrame(0x89, "c")
		synctest.Wait()
		p.sendFrame(0x8a, "c")
		<-pinging
		c.Pong(t.Context(), []byte("d"))
		p.wantFrame(0x8a, "d")
		pass(time.Minute)
		keepalive := p.wantKeepalive()
		synctest.Wait()
		want := []string{"ping received a", "pong sent a", "pong received b", "ping sent c", "pong received c", "pong sent d", "ping sent " + keepalive}
		if !slices.Equal(events, want) {
			t.Errorf("got %q, want %q", events, want)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}
