package websocket_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket"
)

// Close never overtakes a message: a select that sees both ready loses nothing,
// whatever the end, and whether the channels are asked for each time or kept.
func TestCloseNeverOvertakesAMessage(t *testing.T) {
	const messages = 10 // fewer than are buffered, so that both are ready
	ends := map[string]func(p *peer){
		"close frame": func(p *peer) { p.sendClose(1000, "") },
		"EOF":         func(p *peer) { p.hangUp() },
		"reset":       nil, // TCP may lose what it has not delivered: see below
	}
	receive := map[string]func(c *websocket.Conn) (n int){
		"methods": func(c *websocket.Conn) (n int) {
			for {
				select {
				case _, ok := <-c.Messages():
					if !ok {
						<-c.Closed()
						return n
					}
					n++
				case <-c.Closed():
					return n
				}
			}
		},
		"variables": func(c *websocket.Conn) (n int) {
			messages, closed := c.Messages(), c.Closed()
			for {
				select {
				case _, ok := <-messages:
					if !ok {
						messages = nil
						continue
					}
					n++
				case <-closed:
					return n
				}
			}
		},
	}
	for end, finish := range ends {
		for style, count := range receive {
			t.Run(end+", "+style, func(t *testing.T) {
				on(t, append(append([]link{}, sockets...), pipes...), func(t *testing.T, l link) {
					if end == "reset" && l.medium == "pipe" {
						return // a pipe has no reset
					}
					rounds := 300
					if testing.Short() {
						rounds = 50
					}
					if end == "close frame" {
						rounds = 5 // each waits for the application, which lets it wait
					}
					for range rounds {
						c, p := open(t, l, websocket.AcceptOptions{})
						for range messages {
							p.sendFrame(0x82, "x")
						}
						if finish != nil {
							finish(p)
						} else {
							// The pong says that all was read: a reset takes nothing back.
							p.sendFrame(0x89, "sync")
							p.wantFrame(0x8a, "sync")
							p.reset()
						}
						if end == "close frame" {
							p.wantClose(1000)
							p.hangUp()
						}
						for c.State() != websocket.StateClosed {
							runtime.Gosched()
						}
						if n := count(c); n != messages {
							t.Fatalf("received %d messages of %d", n, messages)
						}
					}
				})
			})
		}
	}
}

// The same while they come: the end and the receiver run as they will.
func TestCloseNeverOvertakesAMessageUnderWay(t *testing.T) {
	on(t, sockets, func(t *testing.T, l link) {
		for round := range 300 {
			c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 1 + round%5})
			messages := round % 40
			peerDone := result(func() error {
				for range messages {
					p.sendFrame(0x82, "x")
				}
				p.sendClose(1000, "")
				p.wantClose(1000)
				p.hangUp()
				return nil
			})
			n := 0
			for open := true; open; {
				select {
				case _, ok := <-c.Messages():
					if ok {
						n++
					}
				case <-c.Closed():
					open = false
				}
			}
			if n != messages {
				t.Fatalf("received %d messages of %d", n, messages)
			}
			wantResult(t, "the peer", peerDone)
		}
	})
}

func TestCloseArguments(t *testing.T) {
	leavesNothing(t)
	c, p := open(t, link{"server", "tcp"}, websocket.AcceptOptions{})
	for _, test := range []struct {
		code   websocket.StatusCode
		reason string
	}{
		{0, ""}, {1, ""}, {999, ""}, {1004, ""}, {1005, "a reason"}, {1006, ""}, {1015, ""}, {1016, ""}, {2000, ""}, {2999, ""}, {5000, ""}, {65535, ""},
		{1000, strings.Repeat("x", 124)}, {1000, "\xff"}, {1000, "cut \xe2\x82"},
	} {
		wantUsage(t, "Close", c.Close(context.Background(), test.code, test.reason))
	}
	if s := c.State(); s != websocket.StateOpen {
		t.Errorf("state is %v", s)
	}
	reason := strings.Repeat("é", 61) + "x"
	closing := result(func() error { return c.Close(context.Background(), 4999, reason) })
	p.wantFrame(0x88, closePayload(4999, reason))
	p.sendClose(4999, reason)
	if err := wantResult(t, "Close", closing); err != nil {
		t.Errorf("Close: %v", err)
	}
	wantClosed(t, c, 4999)
}

func TestCloseWithoutCode(t *testing.T) {
	on(t, sockets, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		closing := result(func() error { return c.Close(context.Background(), websocket.StatusNoStatusReceived, "") })
		p.wantFrame(0x88, "")
		p.sendFrame(0x88, "")
		p.hangUp()
		if err := wantResult(t, "Close", closing); err != nil {
			t.Errorf("Close: %v", err)
		}
		wantClosed(t, c, websocket.StatusNoStatusReceived)
	})
}

// The close frame goes out behind all that was sent, however much that is, and
// nothing behind it.
func TestCloseSendsWhatIsQueued(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 20, QueueBytes: 64 << 20})
		payload := strings.Repeat("x", 100<<10)
		for range 20 {
			if err := c.Send(t.Context(), websocket.Text(payload)); err != nil {
				t.Fatal(err)
			}
		}
		closing := result(func() error { return c.Close(context.Background(), 1000, "") })
		for c.State() == websocket.StateOpen {
		}
		wantIs(t, "Send", c.Send(t.Context(), websocket.Text("late")), websocket.ErrClosed)
		wantIs(t, "TrySend", c.TrySend(websocket.Text("late")), websocket.ErrClosed)
		wantIs(t, "SendFragment", c.SendFragment(t.Context(), websocket.Text("late")), websocket.ErrClosed)
		_, err := c.Ping(t.Context(), nil)
		wantIs(t, "Ping", err, websocket.ErrClosed)
		wantIs(t, "Pong", c.Pong(t.Context(), nil), websocket.ErrClosed)
		for range 20 {
			p.wantFrame(0x81, payload)
		}
		p.wantClose(1000)
		p.sendClose(1000, "")
		if l.role == "server" {
			p.wantEOF()
		}
		p.hangUp()
		if err := wantResult(t, "Close", closing); err != nil {
			t.Errorf("Close: %v", err)
		}
		wantClosed(t, c, 1000)
	})
}

// Errors need not be read, and Closed need not be either.
func TestNothingNeedsReading(t *testing.T) {
	on(t, sockets, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		p.send("ff ff")
		p.wantClose(1002)
		p.hangUp()
		for c.State() != websocket.StateClosed {
		}
	})
}

// A CloseError tells who closed first, whoever answered then.
func TestCloseErrorTellsWhoWasFirst(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		closing := result(func() error { return c.Close(context.Background(), 4000, "mine") })
		if reason := p.wantClose(4000); reason != "mine" {
			t.Errorf("reason %q", reason)
		}
		p.sendClose(4000, "mine")
		p.hangUp()
		if err := <-closing; err != nil {
			t.Errorf("Close: %v", err)
		}
		var closed *websocket.CloseError
		if err := c.Send(context.Background(), websocket.Text("late")); !errors.As(err, &closed) || closed.Received || closed.Code != 4000 || closed.Reason != "mine" {
			t.Errorf("Send: %v", err)
		}
		wantClosed(t, c, 4000)
	})
}

// A closing handshake that was complete is told of, whatever ends a client's wait for the
// server to end the connection.
func TestCloseErrorAfterTheHandshake(t *testing.T) {
	leavesNothing(t)
	c, p := open(t, link{"client", "tcp"}, websocket.AcceptOptions{})
	closing := result(func() error { return c.Close(context.Background(), 4000, "mine") })
	p.wantClose(4000)
	p.sendClose(4000, "mine")
	for range c.Messages() {
	}
	c.Abort()
	if err := <-closing; err != nil {
		t.Errorf("Close: %v", err)
	}
	var closed *websocket.CloseError
	if err := c.Send(context.Background(), websocket.Text("late")); !errors.As(err, &closed) || closed.Received || closed.Code != 4000 {
		t.Errorf("Send: %v", err)
	}
	wantClosed(t, c, 4000)
	p.hangUp()
}

// The answer to the last message before the peer's close frame goes out before this
// side's, where the application is known to come back for the next.
func TestAnswerBeforeTheCloseFrame(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		go func() {
			for m := range messagesEachAskedFor(c) {
				pass(200 * time.Millisecond)
				if err := c.Send(t.Context(), m); err != nil {
					t.Errorf("Send: %v", err)
				}
			}
		}()
		p.sendFrame(0x81, "first")
		p.wantFrame(0x81, "first")
		p.sendFrame(0x81, "last")
		p.sendClose(1000, "")
		p.wantFrame(0x81, "last")
		began := time.Now()
		p.wantClose(1000)
		wantAfter(t, "the close frame", began, 0)
		p.hangUp()
		wantClosed(t, c, 1000)
	})
}

// messagesEachAskedFor are those of Messages, called for each.
func messagesEachAskedFor(c *websocket.Conn) iter.Seq[websocket.Message] {
	return func(yield func(websocket.Message) bool) {
		for {
			m, ok := <-c.Messages()
			if !ok || !yield(m) {
				return
			}
		}
	}
}

// An application that holds the channels does not make the closing slow.
func TestNoAnswerBeforeTheCloseFrame(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		closed := c.Closed()
		go func() {
			for range c.Messages() {
			}
		}()
		p.sendFrame(0x81, "first")
		p.sendFrame(0x81, "last")
		began := time.Now()
		p.sendClose(1000, "")
		p.wantClose(1000)
		if d := time.Since(began); d > 50*time.Millisecond {
			t.Errorf("the close frame came after %v", d)
		}
		p.hangUp()
		<-closed
	})
}

// The peer's close frame begins the closing, and does not end the sending: the answers to
// what came before it go out.
func TestStateAfterThePeersCloseFrame(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		p.sendFrame(0x81, "question")
		p.sendClose(1000, "")
		synctest.Wait()
		if s := c.State(); s != websocket.StateClosing {
			t.Errorf("state is %v", s)
		}
		wantMessage(t, c, "question")
		if err := c.Send(t.Context(), websocket.Text("answer")); err != nil {
			t.Errorf("Send: %v", err)
		}
		p.wantFrame(0x81, "answer")
		p.wantClose(1000)
		p.hangUp()
		wantClosed(t, c, 1000)
	})
}

// A Close whose context has ended already still tells the peer, if nothing waits before
// that.
func TestCloseWithAnEndedContext(t *testing.T) {
	leavesNothing(t)
	for _, role := range []string{"server", "client"} {
		c, p := open(t, link{role, "tcp"}, websocket.AcceptOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantIs(t, "Close", c.Close(ctx, websocket.StatusGoingAway, "over"), context.Canceled)
		if reason := p.wantClose(1001); reason != "over" {
			t.Errorf("reason %q", reason)
		}
		wantClosed(t, c, 1006)
		p.hangUp()
	}
}
