package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket/negotiate"
)

// A shout is an extension without reserved bits, which all messages pass.
type shout struct{}

func (shout) Outgoing(dst []byte, m negotiate.Message) ([]byte, negotiate.Reserved, bool, error) {
	return dst, 0, false, nil
}

func (shout) Incoming(dst []byte, m negotiate.Message, _ int64) ([]byte, bool, error) {
	return append(append(dst, m.Data...), '!'), true, nil
}

func (shout) Close() {}

// Extensions work on whole messages: what is delivered in parts does not pass them,
// its last part no more than the others.
func TestPartsDoNotPassExtensions(t *testing.T) {
	for _, test := range []struct {
		name      string
		fragments bool
		want      []string
	}{
		{"whole", false, []string{"ab!"}},
		{"in parts", true, []string{"a", "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			near, far := net.Pipe()
			go io.Copy(io.Discard, far)
			c := newConn((&DialOptions{Fragments: test.fragments}).settings())
			pipeline := negotiate.NewPipeline(negotiate.Offer{Name: "shout"}, 0, shout{})
			c.start(&handshake{transport: newTransport(near, c), reader: c.readerFor(negotiate.Hybi13, pipeline), writer: clientEncoder, pipeline: pipeline})
			go io.WriteString(far, "\x01\x01a\x80\x01b")
			for _, want := range test.want {
				if m := <-c.Messages(); m.String() != want {
					t.Errorf("got %q, want %q", m, want)
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			c.Close(ctx, StatusNormalClosure, "")
			far.Close()
			<-c.Closed()
		})
	}
}

// A mishap is an extension that does not return when it sees the message "bad".
type mishap struct{ end func() }

func (s mishap) Outgoing(dst []byte, m negotiate.Message) ([]byte, negotiate.Reserved, bool, error) {
	if string(m.Data) == "bad" {
		s.end()
	}
	return dst, 0, false, nil
}

func (s mishap) Incoming(dst []byte, _ negotiate.Message, _ int64) ([]byte, bool, error) {
	return dst, false, nil
}

func (s mishap) Close() {}

// A sharedMishap can share its work, if it comes to that.
type sharedMishap struct{ mishap }

func (s sharedMishap) PreparedKey() any               { return "mishap" }
func (s sharedMishap) SentPrepared(negotiate.Message) {}

func (s sharedMishap) Prepare(dst []byte, m negotiate.Message) ([]byte, negotiate.Reserved, bool, error) {
	return s.Outgoing(dst, m)
}

func mishappen() { panic("the application's mistake") }

// wantFailed finds that the connection has failed for its extension, for all who use it.
func wantFailed(t *testing.T, c *Conn) {
	t.Helper()
	if err := c.Send(context.Background(), Text("more")); !errors.Is(err, errExtension) || !errors.Is(err, ErrClosed) {
		t.Errorf("Send: %v", err)
	}
	if err := c.Flush(context.Background()); !errors.Is(err, errExtension) {
		t.Errorf("Flush: %v", err)
	}
	if e := <-c.Closed(); e.Code != StatusAbnormalClosure || e.Err != errExtension {
		t.Errorf("closed with %+v", e)
	}
}

// An extension that panics or ends its goroutine, which is the application's and may
// live on, fails the connection. Nobody waits for it any more.
func TestExtensionDoesNotReturn(t *testing.T) {
	for name, send := range map[string]func(t *testing.T, c *Conn){
		"Send": func(t *testing.T, c *Conn) { c.Send(context.Background(), Text("bad")) },
		"SendPrepared": func(t *testing.T, c *Conn) {
			c.SendPrepared(context.Background(), mustPrepare(t, Text("bad")))
		},
		"rounds that are behind": func(t *testing.T, c *Conn) {
			queued(t, c, "bad")
			for range c.queueRoom.messages {
				c.queueForRound(mustPrepare(t, Text("x")))
			}
		},
	} {
		for session, does := range map[string]func(end func()) negotiate.Session{
			"alone":  func(end func()) negotiate.Session { return mishap{end} },
			"shared": func(end func()) negotiate.Session { return sharedMishap{mishap{end}} },
		} {
			for how, end := range map[string]func(){"panics": mishappen, "ends its goroutine": runtime.Goexit} {
				t.Run(name+" "+session+" "+how, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c := taped(t, newTape(1000), serverEncoder, does(end))
						// The first message is left to the write loop.
						c.Send(context.Background(), Text("good"))
						c.Flush(context.Background())
						returned := true
						ended := make(chan struct{})
						go func() {
							defer close(ended)
							defer func() { recover() }()
							returned = false
							send(t, c)
							returned = true
						}()
						<-ended
						if returned {
							t.Error("the sender was not told")
						}
						wantFailed(t, c)
					})
				})
			}
		}
	}
}

// Where it ends the goroutine of a round, or of the write loop, it takes no other
// connection with it.
func TestExtensionEndsTheGoroutineOfAWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tapes []*tape
		var room []*Conn
		for i := range 3 {
			tapes = append(tapes, newTape(1000))
			if i == 1 {
				room = append(room, taped(t, tapes[i], serverEncoder, mishap{runtime.Goexit}))
			} else {
				room = append(room, taped(t, tapes[i], serverEncoder))
			}
		}
		if missed := mustPrepare(t, Text("bad")).Broadcast(slices.Values(room)); missed != nil {
			t.Errorf("missed %v", missed)
		}
		synctest.Wait()
		wantFailed(t, room[1])
		tapes[0].want(t, "81 03 62 61 64")
		tapes[1].want(t)
		tapes[2].want(t, "81 03 62 61 64")

		c := taped(t, newTape(1000), serverEncoder, mishap{runtime.Goexit})
		time.Sleep(time.Second) // in which nothing was sent: it is left to the write loop
		if err := c.Send(context.Background(), Text("bad")); err != nil {
			t.Errorf("Send: %v", err)
		}
		synctest.Wait()
		wantFailed(t, c)
	})
}

// A prepared message that could not be made is not lost silently on the connections that
// would have shared it.
func TestPreparedAfterAMishap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := taped(t, newTape(1000), serverEncoder, sharedMishap{mishap{mishappen}})
		second := taped(t, newTape(1000), serverEncoder, sharedMishap{mishap{mishappen}})
		bad := mustPrepare(t, Text("bad"))
		func() {
			defer func() { recover() }()
			first.TrySendPrepared(bad)
			t.Error("the sender was not told")
		}()
		wantFailed(t, first)
		if err := second.TrySendPrepared(bad); !errors.Is(err, errExtension) {
			t.Errorf("TrySendPrepared: %v", err)
		}
		wantFailed(t, second)
	})
}
