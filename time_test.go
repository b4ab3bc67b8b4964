package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket"
)

// Time is the connection's: these tests run in a bubble where it passes by itself
// once all wait. A goroutine that is left over there fails the test.

// timed runs the test in a bubble, in both roles.
func timed(t *testing.T, test func(t *testing.T, l link)) {
	t.Helper()
	for _, l := range pipes {
		t.Run(l.role, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, l) })
		})
	}
}

// wantAfter finds that the time since is what it should be.
func wantAfter(t testing.TB, what string, began time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(began); got != want {
		t.Errorf("%s after %v, want %v", what, got, want)
	}
}

// pass lets time pass.
func pass(d time.Duration) { <-time.After(d) }

func TestCloseTimeout(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{CloseTimeout: 7 * time.Second})
		began := time.Now()
		closing := result(func() error { return c.Close(context.Background(), 1000, "") })
		p.wantClose(1000) // and does not answer
		err := <-closing
		wantAfter(t, "Close", began, 7*time.Second)
		var timeout *websocket.TimeoutError
		if !errors.As(err, &timeout) || timeout.After != 7*time.Second {
			t.Errorf("Close: %v", err)
		}
		wantIs(t, "Closed", wantClosed(t, c, 1006).Err, os.ErrDeadlineExceeded)
	})
}

func TestCloseTimeoutByDefault(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		began := time.Now()
		closing := result(func() error { return c.Close(context.Background(), 1000, "") })
		p.wantClose(1000)
		<-closing
		wantAfter(t, "Close", began, 30*time.Second)
		wantClosed(t, c, 1006)
	})
}

// The close timeout holds where the peer does not even read the close frame.
func TestCloseTimeoutOfAPeerThatDoesNotRead(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, _ := open(t, l, websocket.AcceptOptions{})
		began := time.Now()
		c.Close(context.Background(), 1000, "")
		wantAfter(t, "Close", began, 30*time.Second)
		wantClosed(t, c, 1006)
	})
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		began := time.Now()
		p.sendClose(1000, "")
		synctest.Wait()
		for range c.Messages() {
		}
		<-c.Closed()
		wantAfter(t, "closed", began, 30*time.Second)
	})
}

// What is told of a close timeout is what was waited for: not for the close frame of a
// peer that sent it.
func TestCloseTimeoutTellsWhatIsMissing(t *testing.T) {
	for want, end := range map[string]func(c *websocket.Conn, p *peer){
		"no room to write the close frame within 2s": func(_ *websocket.Conn, p *peer) { p.sendClose(1000, "") },
		"no close frame from the peer within 2s": func(c *websocket.Conn, p *peer) {
			go c.Close(context.Background(), 1000, "")
			p.wantClose(1000)
		},
	} {
		t.Run(want, func(t *testing.T) {
			timed(t, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{CloseTimeout: 2 * time.Second})
				end(c, p)
				for range c.Messages() {
				}
				if e := <-c.Closed(); e.Err == nil || e.Err.Error() != "websocket: "+want {
					t.Errorf("closed with %+v", e)
				}
			})
		})
	}
}

// The peer answers Close, but goes on to send for ever before.
func TestCloseTimeoutOfAPeerThatGoesOn(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{CloseTimeout: time.Second})
		sending := result(func() error {
			for {
				if _, err := p.conn.Write(p.encode(0x81, []byte("x"))); err != nil {
					return err
				}
				pass(time.Millisecond)
			}
		})
		began := time.Now()
		closing := result(func() error { return c.Close(context.Background(), 1000, "") })
		p.wantClose(1000)
		<-closing
		wantAfter(t, "Close", began, time.Second)
		<-sending
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// A server that has answered the close frame and does not close TCP is left alone
// after a second (RFC 6455, section 7.1.1).
func TestClientDoesNotWaitForTheServerForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := open(t, link{"client", "pipe"}, websocket.AcceptOptions{})
		began := time.Now()
		p.sendClose(1000, "")
		p.wantClose(1000)
		if e := wantClosed(t, c, 1000); !e.Clean {
			t.Errorf("closed with %+v", e)
		}
		// The second begins with the answer, which waits 20 ms for the application.
		wantAfter(t, "closed", began, time.Second+20*time.Millisecond)
	})
}

func TestHandshakeTimeout(t *testing.T) {
	readAll := func(far net.Conn) { io.Copy(io.Discard, far) }
	for name, server := range map[string]func(far net.Conn){
		"dialling":                 nil,
		"sending the request":      func(net.Conn) {},
		"waiting for the response": readAll,
		"a response a byte a second": func(far net.Conn) {
			go readAll(far)
			for _, b := range []byte(switching(sampleKey)) {
				pass(time.Second)
				if _, err := far.Write([]byte{b}); err != nil {
					return
				}
			}
		},
	} {
		for limit, want := range map[time.Duration]time.Duration{0: 30 * time.Second, 5 * time.Second: 5 * time.Second} {
			t.Run(name+" "+want.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var serving sync.WaitGroup
					options := &websocket.DialOptions{
						HandshakeTimeout: limit,
						NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
							if server == nil {
								<-ctx.Done()
								return nil, ctx.Err()
							}
							near, far := net.Pipe()
							serving.Go(func() { server(far) })
							return near, nil
						},
					}
					began := time.Now()
					_, err := websocket.Dial(context.Background(), "ws://example.com", options)
					var failed *websocket.HandshakeError
					if !errors.As(err, &failed) || !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("Dial: %v", err)
					}
					wantAfter(t, "Dial", began, want)
					began = time.Now()
					c := websocket.Open("ws://example.com", options)
					wantClosedSometime(t, c)
					wantAfter(t, "Open", began, want)
					serving.Wait()
				})
			})
		}
	}
}

// wantClosedSometime receives the one event, however long it takes.
func wantClosedSometime(t testing.TB, c *websocket.Conn) websocket.CloseEvent {
	t.Helper()
	e, ok := <-c.Closed()
	if !ok || e.Code != 1006 {
		t.Errorf("closed with %+v, %v", e, ok)
	}
	return e
}

// wantKeepalive reads a ping that was sent for PingInterval, and gives its payload.
func (p *peer) wantKeepalive() string {
	p.t.Helper()
	f, err := p.readFrame()
	if err != nil || f.first != 0x89 || len(f.payload) != 4 {
		p.t.Errorf("peer: got %v, %v, want a keepalive", f, err)
	}
	return string(f.payload)
}

func TestPongTimeout(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{PingInterval: 10 * time.Second, PongTimeout: 3 * time.Second})
		began := time.Now()
		p.conn.SetReadDeadline(time.Time{})
		for i := range 3 {
			pass(time.Until(began.Add(time.Duration(i+1) * 10 * time.Second)))
			p.sendFrame(0x8a, p.wantKeepalive())
		}
		pass(time.Until(began.Add(40 * time.Second)))
		p.wantKeepalive() // and nothing comes back
		e := wantClosed(t, c, 1006)
		wantAfter(t, "closed", began, 43*time.Second)
		var timeout *websocket.TimeoutError
		if !errors.As(e.Err, &timeout) || timeout.After != 3*time.Second {
			t.Errorf("closed with %+v", e)
		}
		wantErrorAs[*websocket.TimeoutError](t, c)
	})
}

// PongTimeout is PingInterval where it is not set.
func TestPongTimeoutByDefault(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, _ := open(t, l, websocket.AcceptOptions{PingInterval: 4 * time.Second})
		began := time.Now()
		wantClosed(t, c, 1006)
		wantAfter(t, "closed", began, 8*time.Second)
	})
}

// readSlowly reads so many bytes, 64 KiB each 2 seconds.
func (p *peer) readSlowly(n int) {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Time{})
	for b := make([]byte, 64<<10); n > 0; n -= len(b) {
		pass(2 * time.Second)
		b = b[:min(n, len(b))]
		if _, err := io.ReadFull(p.in, b); err != nil {
			p.t.Fatalf("peer: %v, with %d bytes to read", err, n)
		}
	}
}

// A peer that reads slowly is alive: it can not answer what it has not got. The time for
// its pong begins when the ping has been written.
func TestSlowReaderIsNoDeadPeer(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"no WriteTimeout": 0, "a long WriteTimeout": time.Minute} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{PingInterval: 10 * time.Second, PongTimeout: 3 * time.Second, WriteTimeout: timeout})
				const size = 1 << 20
				c.TrySend(websocket.Binary(make([]byte, size)))
				if l.role == "server" {
					p.readSlowly(10 + size)
				} else {
					p.readSlowly(14 + size)
				}
				keepalive := p.wantKeepalive()
				pass(2900 * time.Millisecond)
				p.sendFrame(0x8a, keepalive)
				p.wantKeepalive()
				began := time.Now()
				wantClosed(t, c, 1006) // as nothing comes back
				wantAfter(t, "closed", began, 3*time.Second)
			})
		})
	}
}

// One that stops reading is dead: after twice the time at most, as it may have read just
// after that began.
func TestReaderThatStops(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{PingInterval: 10 * time.Second, PongTimeout: 3 * time.Second})
		c.TrySend(websocket.Binary(make([]byte, 1<<20)))
		p.readSlowly(640 << 10)
		began := time.Now()
		var timeout *websocket.TimeoutError
		if e := wantClosed(t, c, 1006); !errors.As(e.Err, &timeout) || timeout.After != 3*time.Second {
			t.Errorf("closed with %+v", e)
		}
		if d := time.Since(began); d < 3*time.Second || d > 6*time.Second {
			t.Errorf("closed after %v", d)
		}
	})
}

// The WriteTimeout is for the whole of a write, with a keepalive too.
func TestWriteTimeoutOfASlowReader(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{PingInterval: 10 * time.Second, WriteTimeout: 5 * time.Second})
		began := time.Now()
		c.TrySend(websocket.Binary(make([]byte, 1<<20)))
		p.readSlowly(128 << 10)
		wantClosed(t, c, 1006)
		if d := time.Since(began); d < 5*time.Second || d > 6*time.Second {
			t.Errorf("closed after %v", d)
		}
	})
}

// Whatever comes is a sign of life: a byte of a frame that goes on for hours.
func TestAnyByteIsLife(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{PingInterval: 10 * time.Second, PongTimeout: 5 * time.Second})
		go func() {
			for {
				if _, err := p.conn.Read(make([]byte, 100)); err != nil {
					return
				}
			}
		}()
		for _, b := range p.encode(0x81, make([]byte, 100)) {
			pass(4900 * time.Millisecond)
			p.write([]byte{b})
		}
		wantMessage(t, c, string(make([]byte, 100)))
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// While the writer is stuck one ping waits, as it will be answered, and not one for each
// interval; but not none because of a pong that waits too, which nobody answers.
func TestOnePingWaits(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{PingInterval: time.Second, PongTimeout: time.Hour})
		p.conn.SetReadDeadline(time.Time{})
		c.TrySend(websocket.Text("under way"))
		synctest.Wait() // it is being written
		if err := c.Pong(t.Context(), []byte("here I am")); err != nil {
			t.Fatal(err)
		}
		pass(10*time.Second + time.Millisecond)
		began := time.Now()
		p.wantFrame(0x81, "under way")
		p.wantFrame(0x8a, "here I am")
		p.wantKeepalive()
		wantAfter(t, "all that waited", began, 0)
		c.TrySend(websocket.Text("next"))
		p.wantFrame(0x81, "next")
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// Abort does not wait for a message that nobody receives.
func TestAbortWithMessagesWaiting(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 1})
		p.sendFrame(0x81, "one")
		p.sendFrame(0x81, "two")
		synctest.Wait()
		began := time.Now()
		c.Abort()
		wantClosed(t, c, 1006)
		wantAfter(t, "closed", began, 0)
	})
}

// An application that does not receive does not make the peer dead: its pong is
// there, behind the messages.
func TestBlockedApplicationIsNoDeadPeer(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{PingInterval: 10 * time.Second, ReceiveMessages: 1})
		go func() {
			for {
				f, err := p.readFrame()
				if errors.Is(err, os.ErrDeadlineExceeded) {
					continue
				}
				if err != nil {
					return
				}
				if f.first == 0x89 {
					p.conn.SetWriteDeadline(time.Time{})
					p.conn.Write(p.encode(0x8a, f.payload))
				}
			}
		}()
		p.sendFrame(0x81, "one")
		p.sendFrame(0x81, "two")
		pass(time.Hour)
		wantMessage(t, c, "one")
		wantMessage(t, c, "two")
		pass(time.Hour)
		if s := c.State(); s != websocket.StateOpen {
			t.Errorf("state is %v", s)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

func TestWriteTimeout(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, _ := open(t, l, websocket.AcceptOptions{WriteTimeout: 5 * time.Second})
		began := time.Now()
		if err := c.Send(t.Context(), websocket.Text("nobody reads this")); err != nil {
			t.Errorf("Send: %v", err)
		}
		e := wantClosedSometime(t, c)
		if d := time.Since(began); d < 5*time.Second || d > 6*time.Second {
			t.Errorf("closed after %v", d)
		}
		var timeout *websocket.TimeoutError
		if !errors.As(e.Err, &timeout) || timeout.After != 5*time.Second {
			t.Errorf("closed with %+v", e)
		}
	})
}

// A timeout for writes is none for the time between them.
func TestWriteTimeoutOfAnIdleConnection(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{WriteTimeout: 5 * time.Second})
		for range 3 {
			if err := c.Send(t.Context(), websocket.Text("hello")); err != nil {
				t.Errorf("Send: %v", err)
			}
			p.wantFrame(0x81, "hello")
			pass(time.Minute)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// What comes after Close waits a second to be received.
func TestGraceOfLeaving(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 1})
		closing := result(func() error { return c.Close(context.Background(), 1000, "") })
		p.wantClose(1000)
		began := time.Now()
		for _, s := range []string{"one", "two", "three", "four"} {
			p.sendFrame(0x81, s)
		}
		wantAfter(t, "discarded", began, time.Second)
		p.sendClose(1000, "")
		p.hangUp()
		if err := <-closing; err != nil {
			t.Errorf("Close: %v", err)
		}
		wantMessage(t, c, "one")
		wantNoMessage(t, c)
		wantClosed(t, c, 1000)
		if err := <-c.Errors(); err == nil {
			t.Error("Errors does not tell that messages were discarded")
		}
	})
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 1})
		closing := result(func() error { return c.Close(context.Background(), 1000, "") })
		p.wantClose(1000)
		go func() {
			for _, s := range []string{"one", "two", "three", "four"} {
				p.sendFrame(0x81, s)
			}
			p.sendClose(1000, "")
			p.hangUp()
		}()
		for _, s := range []string{"one", "two", "three", "four"} {
			pass(900 * time.Millisecond) // slow, but there
			wantMessage(t, c, s)
		}
		wantNoMessage(t, c)
		<-closing
		wantClosed(t, c, 1000)
	})
}

// Once it has received something after Close, an application may be slow: where its inbox
// was full then, where it became full later, in messages and in bytes.
func TestCloseWaitsForASlowReceiver(t *testing.T) {
	for name, test := range map[string]struct{ before, receiveMessages, receiveBytes int }{
		"full":          {20, 3, 0},
		"full later":    {3, 10, 0},
		"full in bytes": {20, 10, 16},
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: test.receiveMessages, ReceiveBytes: test.receiveBytes})
				p.conn.SetWriteDeadline(time.Time{})
				send := func(from, to int) {
					for i := from; i < to; i++ {
						p.conn.Write(p.encode(0x81, fmt.Appendf(nil, "%08d", i)))
					}
				}
				sent := result(func() error { send(0, test.before); return nil })
				synctest.Wait()
				closing := result(func() error { return c.Close(context.Background(), 1000, "") })
				p.wantClose(1000)
				wantMessage(t, c, "00000000")
				go func() {
					<-sent
					send(test.before, 20)
					p.conn.Write(p.encode(0x88, []byte(closePayload(1000, ""))))
					p.hangUp()
				}()
				for i := 1; i < 20; i++ {
					pass(1400 * time.Millisecond)
					wantMessage(t, c, fmt.Sprintf("%08d", i))
				}
				wantNoMessage(t, c)
				if err := <-closing; err != nil {
					t.Errorf("Close: %v", err)
				}
				wantClosed(t, c, 1000)
			})
		})
	}
}

// A slow receiver has the close timeout, and no more; what is discarded then is the end.
func TestCloseTimeoutOfASlowReceiver(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 1, CloseTimeout: 10 * time.Second})
		go func() {
			for i := range 20 {
				p.conn.Write(p.encode(0x81, fmt.Append(nil, i)))
			}
		}()
		began := time.Now()
		closing := result(func() error { return c.Close(context.Background(), 1000, "") })
		p.wantClose(1000)
		got := 0
		for m := range c.Messages() {
			if m.String() != fmt.Sprint(got) {
				t.Errorf("got %q, want %d", m.Data, got)
			}
			got++
			pass(3 * time.Second)
		}
		<-closing
		if d := time.Since(began); got < 4 || d > 16*time.Second {
			t.Errorf("received %d messages in %v", got, d)
		}
		wantClosed(t, c, 1006)
	})
}

// The context of the options ends the connection within a second, even where
// somebody has called Close before, who would wait for longer.
func TestContextOptionTakesASecond(t *testing.T) {
	for name, before := range map[string]func(c *websocket.Conn, p *peer){
		"at rest": func(*websocket.Conn, *peer) {},
		"in Close": func(c *websocket.Conn, p *peer) {
			go c.Close(context.Background(), 1000, "")
			p.wantClose(1000)
		},
		"with messages that nobody receives": func(c *websocket.Conn, p *peer) {
			for range 2 {
				p.sendFrame(0x81, "x")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, l link) {
				ctx, cancel := context.WithCancel(context.Background())
				c, p := open(t, l, websocket.AcceptOptions{Context: ctx, ReceiveMessages: 1})
				before(c, p)
				began := time.Now()
				cancel()
				<-c.Closed()
				wantAfter(t, "closed", began, time.Second)
			})
		})
	}
}

// The end of the context is what ended the connection, whatever it is that comes of it,
// and is told of once.
func TestContextOptionIsTheCause(t *testing.T) {
	for name, then := range map[string]func(c *websocket.Conn, p *peer){
		"nothing":     func(*websocket.Conn, *peer) {},
		"an EOF":      func(_ *websocket.Conn, p *peer) { p.hangUp() },
		"an Abort":    func(c *websocket.Conn, _ *peer) { c.Abort() },
		"a late read": func(_ *websocket.Conn, p *peer) { p.wantClose(1001) },
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, l link) {
				ctx, cancel := context.WithCancel(context.Background())
				c, p := open(t, l, websocket.AcceptOptions{Context: ctx})
				cancel()
				synctest.Wait()
				then(c, p)
				wantIs(t, "Closed", wantClosed(t, c, 1006).Err, context.Canceled)
				wantIs(t, "Errors", <-c.Errors(), context.Canceled)
				if err, ok := <-c.Errors(); ok {
					t.Errorf("Errors has %v too", err)
				}
			})
		})
	}
}

// Closed becomes ready by itself once the last message has been received, for those
// who keep the channels in variables.
func TestClosedOfHoistedChannels(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		messages, closed := c.Messages(), c.Closed()
		p.sendFrame(0x81, "one")
		p.sendFrame(0x81, "two")
		p.sendClose(1000, "")
		p.wantClose(1000)
		p.hangUp()
		for range 2 {
			pass(10 * time.Second)
			select {
			case e := <-closed:
				t.Errorf("closed with %+v before the last message", e)
			default:
			}
			<-messages
		}
		began := time.Now()
		if e := <-closed; e.Code != 1000 {
			t.Errorf("closed with %+v", e)
		}
		if d := time.Since(began); d > 50*time.Millisecond {
			t.Errorf("Closed was ready after %v", d)
		}
	})
}

// Messages that nobody receives are given up once the connection has been gone for
// the close timeout.
func TestAbandonedMessages(t *testing.T) {
	for name, end := range map[string]func(p *peer){
		"EOF": func(p *peer) { p.hangUp() },
		"close frame": func(p *peer) {
			p.sendClose(1000, "")
			p.wantClose(1000)
			p.hangUp()
		},
		"violation": func(p *peer) {
			p.send("ff ff")
			p.wantClose(1002)
			p.hangUp()
		},
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{CloseTimeout: 12 * time.Second})
				p.sendFrame(0x81, "never received")
				end(p)
				began := time.Now()
				<-c.Closed()
				wantAfter(t, "closed", began, 12*time.Second)
			})
		})
	}
}

// An application that receives, however slowly, has every message before Closed is ready,
// be it in Messages when the connection fails, or on its way there.
func TestFailureWaitsForASlowReceiver(t *testing.T) {
	for name, fail := range map[string]func(c *websocket.Conn, p *peer){
		"an EOF":          func(_ *websocket.Conn, p *peer) { p.hangUp() },
		"a write timeout": func(c *websocket.Conn, _ *peer) { c.Send(context.Background(), websocket.Text("not read")) },
	} {
		for _, messages := range []int{12, 40} {
			t.Run(fmt.Sprint(name, " with ", messages), func(t *testing.T) {
				timed(t, func(t *testing.T, l link) {
					c, p := open(t, l, websocket.AcceptOptions{WriteTimeout: 100 * time.Millisecond})
					var all []byte
					for i := range messages {
						all = append(all, p.encode(0x81, fmt.Append(nil, i))...)
					}
					p.write(all)
					fail(c, p)
					for i := range messages {
						select {
						case m := <-c.Messages():
							if m.String() != fmt.Sprint(i) {
								t.Fatalf("got %q, want %d", m.Data, i)
							}
						case e := <-c.Closed():
							t.Fatalf("closed with %+v before message %d", e, i)
						}
						pass(20 * time.Second)
					}
					wantNoMessage(t, c)
					wantClosed(t, c, 1006)
				})
			})
		}
	}
}

// What nobody receives after a failure is given up and told of, as nobody has asked for
// that.
func TestFailureTellsOfDiscardedMessages(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 1, CloseTimeout: 7 * time.Second, WriteTimeout: time.Second})
		p.write(append(p.encode(0x81, []byte("kept")), p.encode(0x81, []byte("discarded"))...))
		synctest.Wait()
		began := time.Now()
		c.Send(context.Background(), websocket.Text("not read"))
		<-c.Closed()
		wantAfter(t, "closed", began, 8*time.Second)
		wantMessage(t, c, "kept")
		wantNoMessage(t, c)
		if err := <-c.Errors(); err == nil || !strings.Contains(err.Error(), "1 messages discarded") {
			t.Errorf("Errors begins with %v", err)
		}
	})
}

// That an answer can not be written takes nothing from what the peer has said: not even
// where the application takes longer for it than the connection lingers.
func TestWriteFailureLosesNothingReceived(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		const messages = 30
		c, p := open(t, l, websocket.AcceptOptions{WriteTimeout: 100 * time.Millisecond})
		p.conn.SetWriteDeadline(time.Time{})
		go func() {
			for i := range messages {
				p.conn.Write(p.encode(0x81, fmt.Append(nil, i)))
			}
			p.conn.Write(p.encode(0x88, []byte(closePayload(1000, "bye"))))
		}()
		synctest.Wait()
		for i := range messages {
			wantMessage(t, c, fmt.Sprint(i))
			c.Send(t.Context(), websocket.Text("not read"))
			pass(3 * time.Second)
		}
		wantNoMessage(t, c)
		if e := wantClosed(t, c, 1000); e.Reason != "bye" || e.Clean {
			t.Errorf("closed with %+v", e)
		}
	})
}

// The same on sockets, whose clock of idleness is the read deadline too.
func TestResetLosesNothingReceived(t *testing.T) {
	on(t, sockets, func(t *testing.T, l link) {
		const messages = 20
		c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 1})
		var all []byte // in one write, as a reset takes back what the network has yet to take
		for i := range messages {
			all = append(all, p.encode(0x82, fmt.Appendf(nil, "%2000d", i))...)
		}
		p.write(append(all, p.encode(0x88, []byte(closePayload(1000, "bye")))...))
		p.hangUp()
		for c.Send(t.Context(), websocket.Text("an answer")) == nil {
			pass(time.Millisecond)
		}
		pass(lingers + 100*time.Millisecond)
		for i := range messages {
			wantMessage(t, c, fmt.Sprintf("%2000d", i))
		}
		wantNoMessage(t, c)
		if e := wantClosed(t, c, 1000); e.Reason != "bye" {
			t.Errorf("closed with %+v", e)
		}
	})
}

// lingers is how long a failed connection waits for more to come.
const lingers = time.Second

// A peer that goes on to send does not keep a failed connection for longer than the close
// timeout, whether the application receives or not.
func TestFailureEndsInTime(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{WriteTimeout: time.Second, CloseTimeout: 5 * time.Second})
		sending := result(func() error {
			for {
				if _, err := p.conn.Write(p.encode(0x81, []byte("x"))); err != nil {
					return err
				}
				pass(300 * time.Millisecond)
			}
		})
		began := time.Now()
		c.Send(t.Context(), websocket.Text("not read"))
		for range c.Messages() {
		}
		if d := time.Since(began); d < 6*time.Second || d > 8*time.Second {
			t.Errorf("ended after %v", d)
		}
		wantClosed(t, c, 1006)
		<-sending
	})
}
