package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket"
)

// A Send that gives up has sent nothing, and the connection goes on.
func TestCancelledSend(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 3})
		sent := fill(t, c, 100<<10)
		for i := range 10 {
			ctx, cancel := context.WithCancel(context.Background())
			sending := result(func() error { return c.Send(ctx, websocket.Text(fmt.Sprint("cancelled ", i))) })
			cancel()
			wantIs(t, "Send", wantResult(t, "Send", sending), context.Canceled)
		}
		next := result(func() error { return c.Send(context.Background(), websocket.Text("next")) })
		for range sent {
			if f, err := p.readFrame(); err != nil || len(f.payload) != 100<<10 || bytes.Trim(f.payload, "x") != nil {
				t.Fatalf("got %v, %v", f, err)
			}
		}
		p.wantFrame(0x81, "next")
		if err := wantResult(t, "Send", next); err != nil {
			t.Errorf("Send: %v", err)
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		wantIs(t, "Send", c.Send(ended, websocket.Text("never")), context.Canceled)
		wantIs(t, "SendFragment", c.SendFragment(ended, websocket.Text("never")), context.Canceled)
		if err := c.Send(t.Context(), websocket.Text("last")); err != nil {
			t.Errorf("Send: %v", err)
		}
		p.wantFrame(0x81, "last")
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// The queue has its bounds, in messages and in bytes, and those who wait for room
// are served in order.
func TestQueueBounds(t *testing.T) {
	for _, test := range []struct {
		name            string
		messages, bytes int
		sizes           []int // all but the last fit
	}{
		{"messages", 3, 1 << 20, []int{1, 1, 1, 1}},
		{"empty messages", 3, 1 << 20, []int{0, 0, 0, 0}},
		{"bytes", 100, 1000, []int{400, 400, 200, 1}},
		{"bytes, but not the last", 100, 1000, []int{400, 400, 201}},
		{"one always fits", 100, 1000, []int{5000, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			timed(t, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{QueueMessages: test.messages, QueueBytes: test.bytes})
				total := 0
				for i, size := range test.sizes {
					err := c.TrySend(websocket.Binary(make([]byte, size)))
					if last := i == len(test.sizes)-1; !last && err != nil || last && !errors.Is(err, websocket.ErrQueueFull) {
						t.Errorf("message %d: %v", i, err)
					}
					if err == nil {
						total += size
					}
					if n := c.BufferedAmount(); n != total {
						t.Errorf("BufferedAmount is %d, want %d", n, total)
					}
				}
				waiting := bytes.Repeat([]byte("w"), 1000)
				var sends []<-chan error
				for range 5 {
					sends = append(sends, result(func() error { return c.Send(context.Background(), websocket.Binary(waiting)) }))
				}
				synctest.Wait()
				wantIs(t, "TrySend", c.TrySend(websocket.Text("")), websocket.ErrQueueFull) // no one goes before those who wait
				for range len(test.sizes) - 1 {
					p.readFrame()
				}
				for range sends {
					p.wantFrame(0x82, string(waiting))
				}
				for _, sent := range sends {
					if err := <-sent; err != nil {
						t.Errorf("Send: %v", err)
					}
				}
				synctest.Wait()
				if n := c.BufferedAmount(); n != 0 {
					t.Errorf("BufferedAmount is %d", n)
				}
				c.Abort()
				wantClosed(t, c, 1006)
			})
		})
	}
}

// Those who wait for room are served in order.
func TestWaitingInOrder(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 1})
		var sends []<-chan error
		for i := range 20 {
			sends = append(sends, result(func() error { return c.Send(context.Background(), websocket.Text(fmt.Sprint("message ", i))) }))
			synctest.Wait()
		}
		for i, sent := range sends {
			p.wantFrame(0x81, fmt.Sprint("message ", i))
			if err := <-sent; err != nil {
				t.Errorf("Send: %v", err)
			}
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// One who gives up waiting does not keep the room from those behind.
func TestGivingUpTheTurn(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 1})
		for _, s := range []string{"first"} {
			if err := c.TrySend(websocket.Text(s)); err != nil {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		second := result(func() error { return c.Send(ctx, websocket.Binary(make([]byte, 2<<20))) })
		synctest.Wait()
		third := result(func() error { return c.Send(context.Background(), websocket.Text("third")) })
		synctest.Wait()
		cancel()
		wantIs(t, "Send", <-second, context.Canceled)
		p.wantFrame(0x81, "first")
		p.wantFrame(0x81, "third")
		if err := <-third; err != nil {
			t.Errorf("Send: %v", err)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// Many who send at once: the frames of each are in its order, and whole.
func TestConcurrentSenders(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		const senders, each = 8, 100
		c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 8, QueueBytes: 64 << 10})
		var all sync.WaitGroup
		for s := range senders {
			all.Go(func() {
				for i := range each {
					size := 2 + i*s%70
					if i%10 == 0 {
						size = 20 << 10 * (s % 3)
					}
					m := websocket.Binary(bytes.Repeat([]byte{byte(i)}, max(size, 2)))
					m.Data[0] = byte(s)
					if err := c.Send(context.Background(), m); err != nil {
						t.Errorf("Send: %v", err)
						return
					}
					clear(m.Data) // it is the sender's again
					if i%20 == 7 {
						c.Pong(context.Background(), []byte("between"))
					}
				}
			})
		}
		var next [senders]byte
		for range senders * each {
			f, err := p.readFrame()
			for err == nil && f.first == 0x8a {
				f, err = p.readFrame()
			}
			if err != nil || f.first != 0x82 {
				t.Fatalf("got %v, %v", f, err)
			}
			s := f.payload[0]
			if rest := f.payload[1:]; bytes.Count(rest, []byte{next[s]}) != len(rest) {
				t.Fatalf("sender %d, message %d: got %x", s, next[s], rest[:min(len(rest), 50)])
			}
			next[s]++
		}
		all.Wait()
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

func TestSendFragment(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		part := func(s string, final bool) {
			t.Helper()
			m := websocket.Message{Type: websocket.TextMessage, Final: final, Data: []byte(s)}
			if err := c.SendFragment(t.Context(), m); err != nil {
				t.Errorf("SendFragment: %v", err)
			}
		}
		part("one \xe2\x82", false)
		wantUsage(t, "Send within a message", c.Send(t.Context(), websocket.Text("no")))
		wantUsage(t, "TrySend within a message", c.TrySend(websocket.Text("no")))
		if err := c.Pong(t.Context(), []byte("may pass")); err != nil {
			t.Errorf("Pong: %v", err)
		}
		part("", false)
		part("\xac two", true)
		if err := c.Send(t.Context(), websocket.Text("three")); err != nil {
			t.Errorf("Send: %v", err)
		}
		part("four", true)
		want := map[byte][]string{0x01: {"one \xe2\x82"}, 0x00: {""}, 0x80: {"\xac two"}, 0x81: {"three", "four"}, 0x8a: {"may pass"}}
		for range 6 {
			f, err := p.readFrame()
			if err != nil || len(want[f.first]) == 0 || want[f.first][0] != string(f.payload) {
				t.Fatalf("got %v, %v", f, err)
			}
			want[f.first] = want[f.first][1:]
		}
		wantUsage(t, "SendFragment of no type", c.SendFragment(t.Context(), websocket.Message{Data: []byte("x")}))
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

func TestReceiveFragments(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		for _, size := range []int{0, 1, 100, 5000, 100_000, 3_000_000} {
			c, p := open(t, l, websocket.AcceptOptions{Fragments: true})
			payload := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
			go func() {
				p.sendFrame(0x02, string(payload[:size/3]))
				p.sendFrame(0x89, "between")
				p.sendFrame(0x80, string(payload[size/3:]))
				p.sendFrame(0x81, "after")
			}()
			pong := result(func() error { p.wantFrame(0x8a, "between"); return nil })
			var got []byte
			for final := false; !final; {
				m, ok := <-c.Messages()
				if !ok || m.Type != websocket.BinaryMessage {
					t.Fatalf("got %+v", m)
				}
				got, final = append(got, m.Data...), m.Final
				m.Release()
			}
			if !bytes.Equal(got, payload) {
				t.Errorf("%d bytes: differs", size)
			}
			wantMessage(t, c, "after")
			wantResult(t, "the pong", pong)
			c.Abort()
			wantClosed(t, c, 1006)
			p.hangUp()
		}
	})
}

// A timeout for writes is none for the time between them, also where a Send
// writes to the socket itself.
func TestWriteTimeoutOfAnIdleSocket(t *testing.T) {
	on(t, slices.Concat(sockets, streams), func(t *testing.T, l link) {
		const limit = 300 * time.Millisecond // for a busy machine to write in
		c, p := open(t, l, websocket.AcceptOptions{WriteTimeout: limit})
		p.sendFrame(0x89, "written by the write loop")
		p.wantFrame(0x8a, "written by the write loop")
		<-time.After(limit + limit/2)
		if err := c.Send(t.Context(), websocket.Text("hello")); err != nil {
			t.Fatalf("Send: %v", err)
		}
		p.wantFrame(0x81, "hello")
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// Flush waits for what was sent, and gives up with its context.
func TestFlush(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		if err := c.Flush(t.Context()); err != nil {
			t.Errorf("Flush of nothing: %v", err)
		}
		c.TrySend(websocket.Text("one"))
		c.TrySend(websocket.Text("two"))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		wantIs(t, "Flush", c.Flush(ctx), context.DeadlineExceeded)
		flushing := result(func() error { return c.Flush(context.Background()) })
		p.wantFrame(0x81, "one")
		synctest.Wait()
		p.wantFrame(0x81, "two")
		if err := <-flushing; err != nil {
			t.Errorf("Flush: %v", err)
		}
		c.Abort()
		wantClosed(t, c, 1006)
		if err := c.Flush(context.Background()); err != nil {
			t.Errorf("Flush after the end: %v", err)
		}
	})
}

// After the end Flush tells whether all was written, however it came.
func TestFlushAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(c *websocket.Conn, p *peer){
		"Close": func(c *websocket.Conn, p *peer) {
			go c.Close(context.Background(), 1000, "")
			p.wantClose(1000)
			p.sendClose(1000, "")
		},
		"the peer's Close": func(_ *websocket.Conn, p *peer) {
			p.sendClose(1000, "")
			p.wantClose(1000)
		},
		"EOF":    func(*websocket.Conn, *peer) {},
		"breach": func(_ *websocket.Conn, p *peer) { p.send("ff ff"); p.wantClose(1002) },
		"Abort":  func(c *websocket.Conn, _ *peer) { c.Abort() },
	} {
		t.Run(name, func(t *testing.T) {
			on(t, everywhere, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{})
				if err := c.Send(t.Context(), websocket.Text("all")); err != nil {
					t.Fatal(err)
				}
				p.wantFrame(0x81, "all")
				if err := c.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				end(c, p)
				p.hangUp()
				<-c.Closed()
				if err := c.Flush(t.Context()); err != nil {
					t.Errorf("Flush: %v", err)
				}
			})
		})
	}
}

// Messages that were given up are not written: neither for one who waits for them nor for
// one who asks later.
func TestFlushOfWhatWasGivenUp(t *testing.T) {
	for name, end := range map[string]func(c *websocket.Conn, p *peer){
		"Abort":  func(c *websocket.Conn, _ *peer) { c.Abort() },
		"breach": func(_ *websocket.Conn, p *peer) { p.send("ff ff") },
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{})
				c.TrySend(websocket.Text("being written"))
				synctest.Wait()
				first := result(func() error { return c.Flush(context.Background()) })
				synctest.Wait()
				c.TrySend(websocket.Text("given up"))
				both := result(func() error { return c.Flush(context.Background()) })
				synctest.Wait()
				end(c, p)
				synctest.Wait()
				frames := p.wantEnd()
				if err := <-first; (err == nil) != (len(frames) > 0) {
					t.Errorf("Flush of the first: %v, and the peer got %v", err, frames)
				}
				wantIs(t, "Flush", <-both, websocket.ErrClosed)
				p.hangUp()
				<-c.Closed()
				wantIs(t, "Flush", c.Flush(context.Background()), websocket.ErrClosed)
			})
		})
	}
}

// Wrong use gives typed errors, and does nothing.
func TestMisuse(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		var none context.Context
		_, pingErr := c.Ping(none, nil)
		_, longPing := c.Ping(t.Context(), make([]byte, 126))
		for what, err := range map[string]error{
			"Send, nil context":         c.Send(none, websocket.Text("x")),
			"SendFragment, nil context": c.SendFragment(none, websocket.Text("x")),
			"SendJSON, nil context":     c.SendJSON(none, 1),
			"Ping, nil context":         pingErr,
			"Pong, nil context":         c.Pong(none, nil),
			"Flush, nil context":        c.Flush(none),
			"Close, nil context":        c.Close(none, 1000, ""),
			"Send, not UTF-8":           c.Send(t.Context(), websocket.Text("\xff")),
			"TrySend, not UTF-8":        c.TrySend(websocket.Text("cut \xe2\x82")),
			"Send, no type":             c.Send(t.Context(), websocket.Message{Data: []byte("x")}),
			"Send, a control frame":     c.Send(t.Context(), websocket.Message{Type: 9, Final: true}),
			"TrySend, type 0x82":        c.TrySend(websocket.Message{Type: 0x82}),
			"Ping, long payload":        longPing,
			"Pong, long payload":        c.Pong(t.Context(), make([]byte, 126)),
		} {
			wantUsage(t, what, err)
		}
		if err := c.SendJSON(t.Context(), func() {}); err == nil {
			t.Error("SendJSON of a function: no error")
		}
		own := websocket.Text("own")
		own.Release()
		own.Release()
		(websocket.Message{}).Release()
		if err := c.Send(t.Context(), own); err != nil {
			t.Errorf("Send: %v", err)
		}
		p.wantFrame(0x81, "own") // the first thing on the wire
		p.sendFrame(0x81, "received")
		m := <-c.Messages()
		m.Release()
		m.Release()
		c.Abort()
		wantClosed(t, c, 1006)
		wantIs(t, "Send", c.Send(t.Context(), own), websocket.ErrClosed)
		wantIs(t, "TrySend", c.TrySend(own), websocket.ErrClosed)
		wantIs(t, "Pong", c.Pong(t.Context(), nil), websocket.ErrClosed)
		_, err := c.Ping(t.Context(), nil)
		wantIs(t, "Ping", err, websocket.ErrClosed)
		wantUsage(t, "Send, nil context, closed", c.Send(none, own))
	})
	var none context.Context
	_, err := websocket.Dial(none, "ws://example.com", nil)
	wantUsage(t, "Dial, nil context", err)
}
