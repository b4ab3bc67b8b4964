package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chanws/websocket"
)

// The ways in which a connection ends. None may leave a goroutine behind, which
// "on" looks after.

func TestExitPeerCloses(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		p.sendFrame(0x81, "last words")
		p.sendClose(4321, "bye")
		p.wantClose(4321)
		if l.role == "server" {
			p.wantEOF()
		}
		p.hangUp()
		wantMessage(t, c, "last words")
		wantNoMessage(t, c)
		if e := wantClosed(t, c, 4321); !e.Clean || e.Reason != "bye" {
			t.Errorf("closed with %+v", e)
		}
		var closed *websocket.CloseError
		if err := c.Send(t.Context(), websocket.Text("late")); !errors.As(err, &closed) || !closed.Received || closed.Code != 4321 {
			t.Errorf("Send after: %v, want the peer's close", err)
		}
	})
}

func TestExitPeerClosesWithoutCode(t *testing.T) {
	on(t, sockets, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		p.sendFrame(0x88, "")
		p.wantFrame(0x88, "")
		p.hangUp()
		if e := wantClosed(t, c, websocket.StatusNoStatusReceived); !e.Clean {
			t.Errorf("closed with %+v", e)
		}
	})
}

func TestExitWeClose(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		if err := c.Send(t.Context(), websocket.Text("last words")); err != nil {
			t.Fatal(err)
		}
		closing := result(func() error { return c.Close(context.Background(), 1000, "bye") })
		p.wantFrame(0x81, "last words")
		if reason := p.wantClose(1000); reason != "bye" {
			t.Errorf("reason %q", reason)
		}
		if err := c.Send(t.Context(), websocket.Text("late")); !errors.Is(err, websocket.ErrClosed) {
			t.Errorf("Send while closing: %v", err)
		}
		p.sendFrame(0x81, "one more from me")
		p.sendClose(1000, "bye")
		if l.role == "server" {
			p.wantEOF()
		}
		p.hangUp()
		wantMessage(t, c, "one more from me")
		if err := wantResult(t, "Close", closing); err != nil {
			t.Errorf("Close: %v", err)
		}
		if e := wantClosed(t, c, 1000); !e.Clean {
			t.Errorf("closed with %+v", e)
		}
	})
}

func TestExitBothClose(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		crossed := result(func() error { p.sendClose(4001, "mine"); return nil })
		closing := result(func() error { return c.Close(context.Background(), 4000, "yours") })
		f, err := p.readFrame()
		if err != nil || f.first != 0x88 {
			t.Errorf("got %v, %v, want a close frame", f, err)
		}
		wantResult(t, "the peer's close frame", crossed)
		if l.role == "server" {
			p.wantEOF() // and no second close frame
		}
		p.hangUp()
		if err := wantResult(t, "Close", closing); err != nil {
			t.Errorf("Close: %v", err)
		}
		if e := wantClosed(t, c, 4001); !e.Clean {
			t.Errorf("closed with %+v", e)
		}
	})
}

func TestExitContextOfClose(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		ctx, cancel := context.WithCancel(context.Background())
		closing := result(func() error { return c.Close(ctx, 1000, "") })
		p.wantClose(1000)
		cancel() // and the peer does not answer
		wantIs(t, "Close", wantResult(t, "Close", closing), context.Canceled)
		wantNoMessage(t, c)
		wantIs(t, "Closed", wantClosed(t, c, 1006).Err, context.Canceled)
		p.wantEnd()
	})
}

// Close gives up at once where its context has ended before.
func TestExitContextOfCloseEndedBefore(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		ended := result(func() error { p.wantEnd(); return nil })
		wantIs(t, "Close", c.Close(ctx, 1000, ""), context.Canceled)
		wantClosed(t, c, 1006)
		wantResult(t, "the peer's end", ended)
	})
}

func TestExitContextOption(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		ctx, cancel := context.WithCancelCause(context.Background())
		stops := errors.New("the service stops")
		c, p := open(t, l, websocket.AcceptOptions{Context: ctx})
		p.sendFrame(0x81, "never received")
		cancel(stops)
		p.wantClose(1001)
		p.sendClose(1001, "")
		p.hangUp()
		if e := wantClosed(t, c, 1001); !e.Clean {
			t.Errorf("closed with %+v", e)
		}
		wantIs(t, "Errors", <-c.Errors(), stops) // a clean end does not tell
	})
}

// A connection whose application does not receive, and whose peer does not read,
// ends with its context all the same.
func TestExitContextOptionWithEverythingStuck(t *testing.T) {
	on(t, []link{{"server", "tls"}, {"client", "tcp"}}, func(t *testing.T, l link) {
		ctx, cancel := context.WithCancel(context.Background())
		c, p := open(t, l, websocket.AcceptOptions{Context: ctx, ReceiveMessages: 1, QueueMessages: 4})
		fill(t, c, 64<<10)
		go func() {
			for range 10 {
				p.conn.Write(p.encode(0x81, []byte("x"))) // until nobody reads
			}
		}()
		began := time.Now()
		cancel()
		wantClosed(t, c, 1006)
		// It is a second (see TestContextOptionTakesASecond), and what a busy machine adds.
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

func TestExitApplicationStopsReceiving(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 2})
		go func() {
			for i := 0; ; i++ {
				if _, err := p.conn.Write(p.encode(0x81, fmt.Appendf(nil, "message %d", i))); err != nil {
					return
				}
			}
		}()
		wantMessage(t, c, "message 0")
		wantMessage(t, c, "message 1")
		ctx, cancel := context.WithCancel(context.Background())
		closing := result(func() error { return c.Close(ctx, 1000, "enough") })
		p.wantClose(1000) // the peer does not answer, but goes on to send
		cancel()
		wantIs(t, "Close", wantResult(t, "Close", closing), context.Canceled)
		wantClosed(t, c, 1006)
	})
}

// Whoever calls Close where it would receive gets its answer, and the messages
// that came meanwhile are discarded.
func TestExitCloseByTheReceiver(t *testing.T) {
	on(t, sockets, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 1})
		for range 50 {
			p.sendFrame(0x81, "x")
		}
		closing := result(func() error { return c.Close(context.Background(), 1000, "") })
		p.wantClose(1000)
		p.sendClose(1000, "")
		p.hangUp()
		if err := wantResult(t, "Close", closing); err != nil {
			t.Errorf("Close: %v", err)
		}
		for range c.Messages() {
		}
		wantClosed(t, c, 1000)
	})
}

func TestExitApplicationNeverReceives(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 1, CloseTimeout: 50 * time.Millisecond})
		go func() {
			for range 5 {
				p.conn.Write(p.encode(0x81, []byte("x")))
			}
			p.conn.Write(p.encode(0x88, []byte(closePayload(1000, ""))))
		}()
		c.Close(context.Background(), 1000, "") // clean or not, as the peer's frames get through
		select {
		case <-c.Closed():
		case <-time.After(patience):
			t.Error("not closed")
		}
		p.hangUp()
	})
}

func TestExitPeerStopsReading(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, _ := open(t, l, websocket.AcceptOptions{QueueMessages: 4})
		fill(t, c, 64<<10)
		waiting := result(func() error { return c.Send(context.Background(), websocket.Text("x")) })
		flushing := result(func() error { return c.Flush(context.Background()) })
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		began := time.Now()
		wantIs(t, "Close", c.Close(ctx, 1000, ""), context.DeadlineExceeded)
		wantIs(t, "Send", wantResult(t, "Send", waiting), websocket.ErrClosed)
		wantIs(t, "Flush", wantResult(t, "Flush", flushing), websocket.ErrClosed)
		wantClosed(t, c, 1006)
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("it took %v to give up", d)
		}
	})
}

func TestExitAbortDuringSend(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		for range 20 {
			c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 2})
			started := make(chan struct{})
			var once sync.Once
			var senders sync.WaitGroup
			for range 4 {
				senders.Go(func() {
					for {
						if err := c.Send(context.Background(), websocket.Binary(make([]byte, 32<<10))); err != nil {
							wantIs(t, "Send", err, websocket.ErrClosed)
							return
						}
						once.Do(func() { close(started) })
					}
				})
			}
			<-started
			began := time.Now()
			c.Abort()
			senders.Wait()
			wantNoMessage(t, c)
			wantClosed(t, c, 1006)
			if d := time.Since(began); d > 3*time.Second {
				t.Errorf("Abort took %v", d)
			}
			c.Abort()
			p.hangUp()
		}
	})
}

// Abort does not wait for anything, whatever the two loops are in.
func TestExitAbortIsAtOnce(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		quickest := time.Hour // the machine may be busy for one, but not for all
		for range 10 {
			c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 2})
			for c.TrySend(websocket.Binary(make([]byte, 1<<20))) == nil {
			}
			began := time.Now()
			c.Abort()
			wantClosed(t, c, 1006)
			quickest = min(quickest, time.Since(began))
			p.hangUp()
		}
		if quickest > 500*time.Millisecond {
			t.Errorf("Abort took %v", quickest)
		}
	})
}

func TestExitCloseTenTimesInParallel(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		var calls []<-chan error
		for range 10 {
			calls = append(calls, result(func() error { return c.Close(context.Background(), 4000, "once") }))
		}
		p.wantClose(4000)
		p.sendClose(4000, "once")
		if l.role == "server" {
			p.wantEOF() // and no second close frame
		}
		p.hangUp()
		for _, call := range calls {
			if err := wantResult(t, "Close", call); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if err := c.Close(context.Background(), 4000, "again"); err != nil {
			t.Errorf("Close after: %v", err)
		}
		wantClosed(t, c, 4000)
	})
}

// The network may end at any byte of a frame: within the header, the length, the
// key, the payload.
func TestExitWithinAFrame(t *testing.T) {
	for name, end := range map[string]func(*peer){"EOF": (*peer).hangUp, "reset": (*peer).reset} {
		t.Run(name, func(t *testing.T) {
			on(t, slices.Concat(sockets, pipes, streams), func(t *testing.T, l link) {
				whole := (&peer{masks: l.role == "server"}).encode(0x81, []byte(strings.Repeat("x", 130)))
				for _, n := range []int{0, 1, 2, 3, 4, 5, 8, 9, 100, len(whole) - 1} {
					c, p := open(t, l, websocket.AcceptOptions{})
					if n > 0 {
						p.write(whole[:n])
					}
					end(p)
					wantNoMessage(t, c)
					e := wantClosed(t, c, 1006)
					if name == "EOF" && !errors.Is(e.Err, io.ErrUnexpectedEOF) {
						t.Errorf("after %d bytes: closed with %+v", n, e)
					}
					for err := range c.Errors() {
						if !errors.Is(err, e.Err) {
							t.Errorf("after %d bytes: Errors has %v, Closed %v", n, err, e.Err)
						}
					}
				}
			})
		})
	}
}

// The network may end within the handshake too.
func TestExitHandshakeCutOff(t *testing.T) {
	on(t, []link{{"client", "tcp"}, {"client", "pipe"}}, func(t *testing.T, l link) {
		for cut := range len(switching(sampleKey)) {
			near, p := dialled(t, l)
			go func() {
				answer := switching(p.wantHead().Get("Sec-WebSocket-Key"))
				p.write([]byte(answer[:cut]))
				p.hangUp()
			}()
			c, err := websocket.Dial(t.Context(), l.url(), clientOptions(websocket.AcceptOptions{}, near))
			var failed *websocket.HandshakeError
			if !errors.As(err, &failed) || c != nil {
				t.Fatalf("cut off after %d bytes: %v, %v, want a HandshakeError", cut, c, err)
			}
		}
	})
}

// What waits for a handshake that fails gets an error each.
func TestExitHandshakeFails(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer string // "" hangs up
		code   websocket.StatusCode
	}{
		{"no answer", "", 1006},
		{"refused", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 1006},
		{"not HTTP", "SSH-2.0-server\r\n\r\n", 1002},
		{"wrong key", switching("AAAAAAAAAAAAAAAAAAAAAA=="), 1002},
		{"cut off", "HTTP/1.1 101 Switching", 1002},
	} {
		t.Run(test.name, func(t *testing.T) {
			on(t, []link{{"client", "tcp"}, {"client", "pipe"}, {"client", "tls"}}, func(t *testing.T, l link) {
				c, p := opening(t, l, websocket.AcceptOptions{QueueMessages: 1})
				if err := c.Send(t.Context(), websocket.Text("queued")); err != nil {
					t.Errorf("Send: %v", err)
				}
				calls := map[string]<-chan error{
					"Send":  result(func() error { return c.Send(context.Background(), websocket.Text("waits for room")) }),
					"Ping":  result(func() error { _, err := c.Ping(context.Background(), nil); return err }),
					"Flush": result(func() error { return c.Flush(context.Background()) }),
				}
				p.wantHead()
				calls["Close"] = result(func() error { return c.Close(context.Background(), 1000, "") })
				if test.answer != "" {
					p.write([]byte(test.answer))
				}
				p.hangUp()
				for name, call := range calls {
					if wantResult(t, name, call) == nil {
						t.Errorf("%s: no error", name)
					}
				}
				wantNoMessage(t, c)
				var failed *websocket.HandshakeError
				if e := wantClosed(t, c, test.code); !errors.As(e.Err, &failed) {
					t.Errorf("closed with %+v, want a HandshakeError", e)
				}
				wantErrorAs[*websocket.HandshakeError](t, c)
				select {
				case <-c.Opened():
					t.Error("Opened, after all")
				default:
				}
			})
		})
	}
}

// Sends before the handshake wait, and go out in order when it is done.
func TestSendsBeforeTheHandshake(t *testing.T) {
	on(t, []link{{"client", "tcp"}, {"client", "pipe"}, {"client", "tls"}}, func(t *testing.T, l link) {
		c, p := opening(t, l, websocket.AcceptOptions{QueueMessages: 5})
		if s := c.State(); s != websocket.StateConnecting {
			t.Errorf("state is %v", s)
		}
		for i := range 5 {
			if err := c.TrySend(websocket.Text(fmt.Sprint("message ", i))); err != nil {
				t.Errorf("TrySend %d: %v", i, err)
			}
		}
		wantIs(t, "TrySend", c.TrySend(websocket.Text("too many")), websocket.ErrQueueFull)
		if n := c.BufferedAmount(); n != 5*len("message 0") {
			t.Errorf("BufferedAmount is %d", n)
		}
		sending := result(func() error { return c.Send(context.Background(), websocket.Text("message 5")) })
		pinging := result(func() error { _, err := c.Ping(context.Background(), []byte("early")); return err })
		p.shakeHands()
		wantResult(t, "Opened", c.Opened())
		var got []string
		for len(got) < 7 {
			f, err := p.readFrame()
			if err != nil {
				t.Fatalf("after %q: %v", got, err)
			}
			if f.first == 0x89 {
				p.sendFrame(0x8a, string(f.payload))
			}
			got = append(got, string(f.payload))
		}
		next := 0
		for _, payload := range got {
			if payload == fmt.Sprint("message ", next) {
				next++
			} else if payload != "early" {
				t.Errorf("got %q", got)
			}
		}
		if err := wantResult(t, "Send", sending); err != nil {
			t.Errorf("Send: %v", err)
		}
		if err := wantResult(t, "Ping", pinging); err != nil {
			t.Errorf("Ping: %v", err)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// Close before the handshake is done sends what is queued, and the close frame.
func TestCloseBeforeTheHandshake(t *testing.T) {
	on(t, []link{{"client", "tcp"}, {"client", "pipe"}, {"client", "tls"}}, func(t *testing.T, l link) {
		c, p := opening(t, l, websocket.AcceptOptions{})
		if err := c.Send(t.Context(), websocket.Text("queued")); err != nil {
			t.Errorf("Send: %v", err)
		}
		header := p.wantHead()
		closing := result(func() error { return c.Close(context.Background(), 1000, "never mind") })
		for c.State() != websocket.StateClosing {
		}
		p.write([]byte(switching(header.Get("Sec-WebSocket-Key"))))
		p.wantFrame(0x81, "queued")
		p.wantClose(1000)
		p.sendClose(1000, "")
		p.hangUp()
		if err := wantResult(t, "Close", closing); err != nil {
			t.Errorf("Close: %v", err)
		}
		wantClosed(t, c, 1000)
	})
}

// An attempt to open ends where the connection is aborted, wherever it is.
func TestExitAbortWhileOpening(t *testing.T) {
	stages := map[string]func(ctx context.Context, at chan<- struct{}) (net.Conn, error){
		"dialling": func(ctx context.Context, at chan<- struct{}) (net.Conn, error) {
			close(at)
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"waiting for the response": func(ctx context.Context, at chan<- struct{}) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				io.ReadFull(far, make([]byte, 10))
				close(at)
				io.Copy(io.Discard, far)
			}()
			return near, nil
		},
		"within the response": func(ctx context.Context, at chan<- struct{}) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				go io.Copy(io.Discard, far)
				io.WriteString(far, "HTTP/1.1 101 Switch")
				close(at)
			}()
			return near, nil
		},
	}
	ends := map[string]func(c *websocket.Conn, cancel func()){
		"Abort":   func(c *websocket.Conn, _ func()) { c.Abort() },
		"Context": func(_ *websocket.Conn, cancel func()) { cancel() },
		"Close with an ended context": func(c *websocket.Conn, _ func()) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			c.Close(ctx, 1000, "")
		},
	}
	for stage, dial := range stages {
		for name, end := range ends {
			for _, url := range []string{"ws://example.com", "wss://example.com"} {
				t.Run(name+" while "+stage+" "+url[:3], func(t *testing.T) {
					leavesNothing(t)
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					at := make(chan struct{})
					c := websocket.Open(url, &websocket.DialOptions{
						Context:        ctx,
						NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, at) },
					})
					<-at
					end(c, cancel)
					wantNoMessage(t, c)
					if e := wantClosed(t, c, 1006); url == "ws://example.com" && e.Err == nil {
						t.Errorf("closed with %+v", e)
					}
				})
			}
		}
	}
}

func TestOpenToADeadAddress(t *testing.T) {
	leavesNothing(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	c := websocket.Open("ws://"+ln.Addr().String(), nil)
	wantNoMessage(t, c)
	e := wantClosed(t, c, 1006)
	var failed *websocket.HandshakeError
	var op *net.OpError
	if !errors.As(e.Err, &failed) || !errors.As(e.Err, &op) || os.IsTimeout(e.Err) {
		t.Errorf("closed with %+v", e)
	}
	wantErrorAs[*websocket.HandshakeError](t, c)
}
