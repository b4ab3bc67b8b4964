package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket"
	"golang.org/x/net/nettest"
)

var _ net.Conn = (*websocket.Conn)(nil).NetConn(websocket.BinaryMessage)

// io.Copy(c, c) echoes, and ends with the connection.
func TestNetConnEchoes(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		stream := c.NetConn(websocket.BinaryMessage)
		echoing := result(func() error { _, err := io.Copy(stream, stream); return err })
		want := payloadOf(7, 500_000)
		go func() {
			for rest := want; len(rest) > 0; {
				n := min(len(rest), 30_000)
				p.sendFrame(0x82, string(rest[:n]))
				rest = rest[n:]
			}
			p.sendFrame(0x82, "") // says nothing, and is not the end
		}()
		var got []byte
		for len(got) < len(want) {
			f, err := p.readFrame()
			if err != nil || f.first != 0x82 {
				t.Fatalf("got %v, %v", f, err)
			}
			got = append(got, f.payload...)
		}
		if !bytes.Equal(got, want) {
			t.Error("the echo differs")
		}
		p.sendClose(1000, "")
		p.wantClose(1000)
		p.hangUp()
		if err := wantResult(t, "io.Copy", echoing); err != nil {
			t.Errorf("io.Copy: %v", err)
		}
		wantClosed(t, c, 1000)
	})
}

func TestNetConnEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		code int // 0 for no close frame
		want error
	}{
		{"normal", 1000, io.EOF}, {"going away", 1001, io.EOF}, {"an error", 1011, websocket.ErrClosed}, {"no close frame", 0, io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			on(t, sockets, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{})
				stream := c.NetConn(websocket.BinaryMessage)
				p.sendFrame(0x82, "the end")
				if test.code > 0 {
					p.sendClose(test.code, "")
					p.wantClose(test.code)
				}
				p.hangUp()
				b := make([]byte, 4)
				for _, want := range []string{"the ", "end"} {
					if n, err := stream.Read(b); err != nil || string(b[:n]) != want {
						t.Errorf("Read: %q, %v", b[:n], err)
					}
				}
				for range 2 {
					n, err := stream.Read(b)
					if n != 0 || !errors.Is(err, test.want) || (err == io.EOF) != (test.want == io.EOF) {
						t.Errorf("Read: %d, %v, want %v", n, err, test.want)
					}
				}
				_, err := stream.Write([]byte("late"))
				wantIs(t, "Write", err, websocket.ErrClosed)
				<-c.Closed()
			})
		})
	}
}

func TestNetConnCloses(t *testing.T) {
	on(t, sockets, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		stream := c.NetConn(websocket.TextMessage)
		if _, err := stream.Write([]byte("hello")); err != nil {
			t.Errorf("Write: %v", err)
		}
		if _, err := stream.Write([]byte("\xff")); err == nil {
			t.Error("Write of what is not UTF-8: no error")
		}
		closing := result(stream.Close)
		p.wantFrame(0x81, "hello")
		p.wantClose(1000)
		p.sendClose(1000, "")
		p.hangUp()
		if err := wantResult(t, "Close", closing); err != nil {
			t.Errorf("Close: %v", err)
		}
		wantClosed(t, c, 1000)
	})
}

// wantTimeout finds a timeout as a net.Conn has it.
func wantTimeout(t testing.TB, what string, err error) {
	t.Helper()
	var timeout net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%s: %v, want a timeout", what, err)
	}
}

// Deadlines bound the calls and not the connection, also those that are moved
// while a call waits.
func TestNetConnDeadlines(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 1})
		stream := c.NetConn(websocket.BinaryMessage)
		read := func() <-chan error {
			return result(func() error { _, err := stream.Read(make([]byte, 10)); return err })
		}
		began := time.Now()
		stream.SetReadDeadline(began.Add(time.Second))
		wantTimeout(t, "Read", <-read())
		wantAfter(t, "Read", began, time.Second)
		wantTimeout(t, "Read again", <-read())
		wantAfter(t, "Read again", began, time.Second)

		stream.SetReadDeadline(time.Time{})
		waiting := read()
		synctest.Wait()
		stream.SetReadDeadline(began.Add(time.Minute))
		stream.SetReadDeadline(began.Add(3 * time.Second))
		wantTimeout(t, "Read, brought forward", <-waiting)
		wantAfter(t, "Read, brought forward", began, 3*time.Second)

		stream.SetReadDeadline(began.Add(4 * time.Second))
		waiting = read()
		synctest.Wait()
		stream.SetReadDeadline(began.Add(10 * time.Second))
		wantTimeout(t, "Read, put off", <-waiting)
		wantAfter(t, "Read, put off", began, 10*time.Second)

		stream.SetDeadline(time.Time{})
		waiting = read()
		synctest.Wait()
		stream.SetReadDeadline(time.Now())
		wantTimeout(t, "Read, interrupted", <-waiting)

		stream.SetDeadline(time.Time{})
		for range 1000 { // deadlines that are over as soon as they are set
			stream.SetReadDeadline(time.Now().Add(1))
			wantTimeout(t, "Read, hurried", <-read())
			stream.SetReadDeadline(time.Time{})
		}

		c.TrySend(websocket.Text("fills the queue"))
		began = time.Now()
		stream.SetWriteDeadline(began.Add(2 * time.Second))
		_, err := stream.Write([]byte("never"))
		wantTimeout(t, "Write", err)
		wantAfter(t, "Write", began, 2*time.Second)
		stream.SetWriteDeadline(time.Time{})
		p.wantFrame(0x81, "fills the queue")
		synctest.Wait()
		if _, err := stream.Write([]byte("now")); err != nil {
			t.Errorf("Write: %v", err)
		}
		p.wantFrame(0x82, "now")
		p.sendFrame(0x82, "and back")
		if err := <-read(); err != nil {
			t.Errorf("Read: %v", err)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// A deadline that is past comes before what could be read still.
func TestNetConnPastDeadline(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		stream := c.NetConn(websocket.BinaryMessage)
		p.sendFrame(0x82, "0123456789")
		b := make([]byte, 5)
		for _, want := range []string{"01234", "56789"} {
			stream.SetReadDeadline(time.Unix(1, 0))
			n, err := stream.Read(b)
			wantTimeout(t, "Read", err)
			if n > 0 {
				t.Errorf("Read: %q", b[:n])
			}
			stream.SetReadDeadline(time.Time{})
			if n, err := stream.Read(b); string(b[:n]) != want || err != nil {
				t.Errorf("Read: %q, %v, want %q", b[:n], err, want)
			}
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// A Read after the last message waits for how the connection ends, within its deadline.
func TestNetConnDeadlineAtTheEnd(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		stream := c.NetConn(websocket.BinaryMessage)
		p.sendClose(1000, "") // and does not read the answer
		began := time.Now()
		for i := range 2 {
			stream.SetReadDeadline(began.Add(time.Duration(i+1) * time.Second))
			_, err := stream.Read(make([]byte, 1))
			wantTimeout(t, "Read", err)
			wantAfter(t, "Read", began, time.Duration(i+1)*time.Second)
		}
		stream.SetReadDeadline(time.Time{})
		reading := result(func() error { _, err := stream.Read(make([]byte, 1)); return err })
		p.wantClose(1000)
		p.hangUp()
		wantIs(t, "Read", <-reading, io.EOF)
		wantClosed(t, c, 1000)
	})
}

// Close ends the calls, those under way included, and nothing that was not read keeps
// Closed waiting.
func TestNetConnCloseEndsCalls(t *testing.T) {
	for name, before := range map[string]func(p *peer){
		"at rest": func(*peer) {},
		"after the last": func(p *peer) {
			p.sendClose(1000, "")
			pass(time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 1})
				stream := c.NetConn(websocket.BinaryMessage)
				before(p)
				read := func() <-chan error {
					return result(func() error { _, err := stream.Read(make([]byte, 1)); return err })
				}
				reading := read()
				synctest.Wait()
				began := time.Now()
				closing := result(stream.Close)
				for _, err := range []error{<-reading, <-read()} {
					wantIs(t, "Read", err, net.ErrClosed)
					wantIs(t, "Read", err, websocket.ErrClosed)
				}
				wantAfter(t, "Read", began, 0)
				_, err := stream.Write([]byte("late"))
				wantIs(t, "Write", err, net.ErrClosed)
				p.wantClose(1000)
				if name == "at rest" {
					for range 3 {
						p.sendFrame(0x82, "nobody reads this")
					}
					p.sendClose(1000, "")
				}
				p.hangUp()
				wantIs(t, "Close", <-closing, nil)
				wantClosed(t, c, 1000)
				wantAfter(t, "closed", began, 0)
			})
		})
	}
}

// After Close there is no rest of a message either.
func TestNetConnClosesWithTheRest(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		stream := c.NetConn(websocket.BinaryMessage)
		p.sendFrame(0x82, "12")
		stream.Read(make([]byte, 1))
		closing := result(stream.Close)
		synctest.Wait()
		n, err := stream.Read(make([]byte, 1))
		wantIs(t, "Read", err, net.ErrClosed)
		if n > 0 {
			t.Error("Read gives the rest")
		}
		c.Abort()
		<-closing
		wantClosed(t, c, 1006)
	})
}

// What others expect of a net.Conn.
func TestNetConnIsOne(t *testing.T) {
	leavesNothing(t)
	nettest.TestConn(t, func() (one, other net.Conn, stop func(), err error) {
		near, far := tcpPair(t)
		accepted := result(func() *websocket.Conn {
			c, _, err := websocket.AcceptConn(context.Background(), near, nil)
			if err != nil {
				t.Error(err)
			}
			return c
		})
		c, err := websocket.Dial(context.Background(), "ws://example.com/", clientOptions(websocket.AcceptOptions{}, far))
		if err != nil {
			return nil, nil, nil, err
		}
		s := <-accepted
		one, other = c.NetConn(websocket.BinaryMessage), s.NetConn(websocket.BinaryMessage)
		stop = func() { // and not Abort: a Close may be under way
			closing := result(one.Close)
			other.Close()
			<-closing
			<-c.Closed()
			<-s.Closed()
		}
		return one, other, stop, nil
	})
}

// The same hurry on the real clock, where the timer's goroutine may come first.
func TestNetConnHurriedDeadlines(t *testing.T) {
	leavesNothing(t)
	c, _ := open(t, link{"server", "tcp"}, websocket.AcceptOptions{})
	stream := c.NetConn(websocket.BinaryMessage)
	for range 2000 {
		stream.SetReadDeadline(time.Now().Add(time.Microsecond))
		_, err := stream.Read(make([]byte, 1))
		wantTimeout(t, "Read", err)
	}
	c.Abort()
	wantClosed(t, c, 1006)
}

func TestNetConnAddresses(t *testing.T) {
	leavesNothing(t)
	c, p := open(t, link{"server", "tcp"}, websocket.AcceptOptions{})
	stream := c.NetConn(websocket.BinaryMessage)
	if stream.LocalAddr().String() != p.conn.RemoteAddr().String() || stream.RemoteAddr().String() != p.conn.LocalAddr().String() {
		t.Errorf("addresses are %v and %v", stream.LocalAddr(), stream.RemoteAddr())
	}
	c.Abort()
	wantClosed(t, c, 1006)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	unopened := websocket.Open("ws://127.0.0.1:1", &websocket.DialOptions{Context: ctx})
	if a := unopened.NetConn(websocket.BinaryMessage).RemoteAddr(); a == nil {
		t.Error("no address at all")
	}
	<-unopened.Closed()
}
