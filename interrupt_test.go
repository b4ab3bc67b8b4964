package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/negotiate"
	"github.com/chanws/websocket/negotiate/deflate"
)

// A busy is an extension whose session works on a message until it is interrupted.
type busy struct {
	begun       chan struct{}
	interrupted chan struct{}
	once        sync.Once
}

func newBusy() *busy { return &busy{begun: make(chan struct{}, 1), interrupted: make(chan struct{})} }

func (*busy) Name() string                      { return "x-busy" }
func (*busy) Reserved() negotiate.Reserved      { return negotiate.RSV2 }
func (*busy) Client() negotiate.ClientExtension { return nil }
func (*busy) Close()                            {}
func (b *busy) Interrupt()                      { b.once.Do(func() { close(b.interrupted) }) }
func (b *busy) Server([][]negotiate.Param) (_ []negotiate.Param, _ negotiate.Session, ok bool) {
	return nil, b, true
}

func (b *busy) Outgoing([]byte, negotiate.Message) ([]byte, negotiate.Reserved, bool, error) {
	return nil, 0, false, b.work()
}

func (b *busy) Incoming([]byte, negotiate.Message, int64) ([]byte, bool, error) {
	return nil, false, b.work()
}

func (b *busy) work() error {
	b.begun <- struct{}{}
	<-b.interrupted
	return errors.New("interrupted")
}

// The ways to give a connection up at once do not wait for the extensions, neither way,
// and what they say of it is what they say else.
func TestGivenUpWhileExtensionsWork(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	aborted := errors.New("websocket: aborted by this side")
	const frame = "close frame from the peer"
	for _, test := range []struct {
		name string
		opts websocket.AcceptOptions
		end  func(c *websocket.Conn)
		want error
	}{
		{"Abort", websocket.AcceptOptions{}, (*websocket.Conn).Abort, aborted},
		{"Close whose context has ended", websocket.AcceptOptions{}, func(c *websocket.Conn) {
			wantIs(t, "Close", c.Close(ended, 1000, ""), context.Canceled)
		}, context.Canceled},
		{"the close timeout", websocket.AcceptOptions{CloseTimeout: 50 * time.Millisecond}, func(c *websocket.Conn) {
			c.Close(context.Background(), 1000, "")
		}, &websocket.TimeoutError{What: frame, After: 50 * time.Millisecond}},
		{"no pong", websocket.AcceptOptions{PingInterval: 200 * time.Millisecond, PongTimeout: 100 * time.Millisecond}, func(*websocket.Conn) {
		}, &websocket.TimeoutError{What: "pong", After: 100 * time.Millisecond}},
	} {
		for _, way := range []string{"Incoming", "Outgoing"} {
			t.Run(test.name+" during "+way, func(t *testing.T) {
				leavesNothing(t)
				b := newBusy()
				defer b.Interrupt()
				test.opts.Extensions = []negotiate.Extension{b}
				c, p := acceptExtension(t, b.Name(), test.opts)
				sent := result(func() error {
					if way == "Incoming" {
						p.sendFrame(0xa1, "abc")
						return websocket.ErrClosed
					}
					return c.Send(context.Background(), websocket.Text("abc"))
				})
				wantResult(t, "the work", b.begun)
				wantResult(t, "the end", result(func() error { test.end(c); return nil }))
				e := wantClosed(t, c, 1006)
				var all []error
				for err := range c.Errors() {
					all = append(all, err)
				}
				if len(all) != 1 || all[0].Error() != e.Err.Error() {
					t.Errorf("Errors has %v, Closed %v", all, e.Err)
				}
				want := test.want
				if late := new(websocket.TimeoutError); errors.As(want, &late) && late.What == frame && way == "Outgoing" {
					want = &websocket.TimeoutError{What: "room to write the close frame", After: late.After}
				}
				if e.Err.Error() != want.Error() && !errors.Is(e.Err, want) {
					t.Errorf("closed with %+v, want %v", e, want)
				}
				if err := wantResult(t, "Send", sent); err != nil { // it may have been queued
					wantIs(t, "Send", err, websocket.ErrClosed)
				}
			})
		}
	}
}

// A peer that is gone is not sent anything either.
func TestGoneWhileExtensionsWork(t *testing.T) {
	leavesNothing(t)
	b := newBusy()
	defer b.Interrupt()
	c, p := acceptExtension(t, b.Name(), websocket.AcceptOptions{Extensions: []negotiate.Extension{b}})
	sent := result(func() error { return c.Send(context.Background(), websocket.Text("abc")) })
	wantResult(t, "the work", b.begun)
	p.hangUp()
	wantClosed(t, c, 1006)
	wantResult(t, "Send", sent)
}

// While the closing handshake goes on the extensions work on.
func TestClosingDoesNotInterruptExtensions(t *testing.T) {
	leavesNothing(t)
	b := newBusy()
	c, p := acceptExtension(t, b.Name(), websocket.AcceptOptions{Extensions: []negotiate.Extension{b}})
	p.sendFrame(0xa1, "abc")
	wantResult(t, "the work", b.begun)
	closing := result(func() error { return c.Close(context.Background(), 1000, "") })
	p.wantClose(1000)
	select {
	case <-b.interrupted:
		t.Error("they were interrupted")
	default:
	}
	c.Abort()
	wantResult(t, "Close", closing)
	wantClosed(t, c, 1006)
}

// A peer's message of nothing, which takes seconds to inflate, does not hold up an Abort.
func TestAbortWhileNothingIsInflated(t *testing.T) {
	leavesNothing(t)
	c, p := acceptExtension(t, deflate.Name, websocket.AcceptOptions{Extensions: []negotiate.Extension{deflate.New(nil)}})
	// Four dynamic blocks that hold only their end, 3 us each.
	four := unhex("04c081000000000090ff6b100007020000000040feaf41001c080000000000f9bf060170200000000000e4ff1a")
	const size = 16 << 20 // 4 s
	wrote := result(func() error {
		_, err := p.conn.Write(p.encode(0xc2, append(bytes.Repeat(four, size/len(four)), 0)))
		return err
	})
	if err := wantResult(t, "the message", wrote); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	c.Abort()
	if e := wantClosed(t, c, 1006); e.Err.Error() != "websocket: aborted by this side" {
		t.Errorf("closed with %+v", e)
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("closed %v after Abort", d)
	}
	var broken *websocket.ProtocolError
	for err := range c.Errors() {
		if errors.As(err, &broken) {
			t.Errorf("Errors blames the peer: %v", err)
		}
	}
}
