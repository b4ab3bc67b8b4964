package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket/negotiate"
)

// restingConn is a connection of a server that has given its reading goroutine back,
// and the client's end of it.
func restingConn(t *testing.T, opts AcceptOptions) (*Conn, net.Conn) {
	t.Helper()
	near, far := roomyPair(t)
	return resting(t, near, opts), far
}

// resting makes a connection of one end, which has given its reading goroutine back.
func resting(t *testing.T, near net.Conn, opts AcceptOptions) *Conn {
	t.Helper()
	c := newConn(opts.settings())
	c.start(&handshake{transport: newTransport(near, c), reader: c.readerFor(negotiate.Hybi13, nil), writer: serverEncoder})
	t.Cleanup(c.Abort)
	wantRest(t, c)
	return c
}

func (c *Conn) rests() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resting
}

func wantRest(t *testing.T, c *Conn) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !c.rests(); time.Sleep(restAfter / 20) {
		if time.Now().After(limit) {
			t.Fatal("the connection does not rest")
		}
	}
}

func wantEvent(t *testing.T, c *Conn, code StatusCode) CloseEvent {
	t.Helper()
	select {
	case e := <-c.Closed():
		if e.Code != code {
			t.Fatalf("closed with %+v, want %d", e, code)
		}
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("not closed")
		panic("unreachable")
	}
}

func TestRestEndsWithInput(t *testing.T) {
	c, far := restingConn(t, AcceptOptions{})
	for range 3 {
		if _, err := io.WriteString(far, hi); err != nil {
			t.Fatal(err)
		}
		if m := receiveSoon(t, c); m.String() != "hi" {
			t.Fatalf("received %q", m)
		}
		if err := c.Send(t.Context(), Text("ho")); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 4)
		if _, err := io.ReadFull(far, answer); err != nil || string(answer) != "\x81\x02ho" {
			t.Fatalf("%q, %v", answer, err)
		}
		wantRest(t, c)
	}
}

// Input that comes a byte at a time, with a rest before each.
func TestRestWithinAFrame(t *testing.T) {
	c, far := restingConn(t, AcceptOptions{})
	for i := range len(hi) {
		if _, err := io.WriteString(far, hi[i:i+1]); err != nil {
			t.Fatal(err)
		}
		if i < len(hi)-1 {
			wantRest(t, c)
		}
	}
	if m := <-c.Messages(); m.String() != "hi" {
		t.Errorf("received %q", m)
	}
}

// The ways in which a connection ends while it rests. That no goroutine is left is
// looked after by the package's TestMain.
func TestRestEnds(t *testing.T) {
	t.Run("Abort", func(t *testing.T) {
		c, _ := restingConn(t, AcceptOptions{})
		c.Abort()
		wantEvent(t, c, StatusAbnormalClosure)
	})
	t.Run("Close", func(t *testing.T) {
		c, far := restingConn(t, AcceptOptions{})
		closed := make(chan error, 1)
		go func() { closed <- c.Close(context.Background(), StatusNormalClosure, "") }()
		frame := make([]byte, 4)
		if _, err := io.ReadFull(far, frame); err != nil {
			t.Fatal(err)
		}
		wantRest(t, c) // while it waits for the answer
		io.WriteString(far, "\x88\x82\x00\x00\x00\x00\x03\xE8")
		if err := <-closed; err != nil {
			t.Error(err)
		}
		wantEvent(t, c, StatusNormalClosure)
	})
	t.Run("end of the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		c, _ := restingConn(t, AcceptOptions{Context: ctx})
		cancel()
		wantEvent(t, c, StatusAbnormalClosure) // the peer does not answer
	})
	t.Run("no pong", func(t *testing.T) {
		c, _ := restingConn(t, AcceptOptions{PingInterval: 3 * restAfter, PongTimeout: 3 * restAfter})
		var timeout *TimeoutError
		if e := wantEvent(t, c, StatusAbnormalClosure); !errors.As(e.Err, &timeout) {
			t.Errorf("ended for %v", e.Err)
		}
	})
	t.Run("the peer's close frame", func(t *testing.T) {
		c, far := restingConn(t, AcceptOptions{})
		io.WriteString(far, "\x88\x82\x00\x00\x00\x00\x03\xE9")
		if e := wantEvent(t, c, StatusGoingAway); !e.Clean {
			t.Errorf("ended with %+v", e)
		}
	})
	t.Run("end of the stream", func(t *testing.T) {
		c, far := restingConn(t, AcceptOptions{})
		far.(*net.TCPConn).CloseWrite()
		wantEvent(t, c, StatusAbnormalClosure)
	})
	t.Run("reset", func(t *testing.T) {
		c, far := restingConn(t, AcceptOptions{})
		far.(*net.TCPConn).SetLinger(0)
		far.Close()
		wantEvent(t, c, StatusAbnormalClosure)
	})
}

// The goroutine that waits for all goes when the last one has been closed.
func TestRestingPlaceCloses(t *testing.T) {
	a, _ := restingConn(t, AcceptOptions{})
	b, _ := neighbour(t, a)
	place := placeOf(a)
	open := func() bool {
		place.mu.Lock()
		defer place.mu.Unlock()
		return place.file != nil
	}
	a.Abort()
	wantEvent(t, a, StatusAbnormalClosure)
	if !open() {
		t.Error("closed with a guest in it")
	}
	b.Abort()
	wantEvent(t, b, StatusAbnormalClosure)
	for limit := time.Now().Add(20 * time.Second); open(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("still open")
		}
	}
}

// A deadline that has been set to end the connection, after the last read and before
// the rest, is nobody's then: there is no reader.
func TestNoRestBeforeTheEnd(t *testing.T) {
	near, _ := roomyPair(t)
	c := newConn((&AcceptOptions{}).settings())
	c.mu.Lock()
	c.open(&handshake{transport: newTransport(near, c), reader: c.readerFor("", nil), writer: serverEncoder})
	c.mu.Unlock()
	c.freeReader(time.Minute)
	if err := c.rest(); err == errResting {
		t.Error("rests, with a deadline that nobody waits for")
	}
	go c.readLoop()
	c.Abort()
	wantEvent(t, c, StatusAbnormalClosure)
}

// The clock may have expired just before the deadline was set that is to end the
// connection: what comes before that is still received.
func TestLingerAtTheEndOfTheClock(t *testing.T) {
	c, far := restingConn(t, AcceptOptions{})
	io.WriteString(far, hi)
	<-c.Messages()
	socket := c.transport.(*socketTransport)
	socket.idle.mu.Lock()
	time.Sleep(3 * restAfter) // the clock expires, once or twice, and the reader asks whose it was
	socket.idle.final = true
	socket.SetReadDeadline(time.Now().Add(time.Minute))
	socket.idle.mu.Unlock()
	select {
	case e := <-c.Closed():
		t.Fatalf("closed at once: %+v", e)
	case <-time.After(restAfter / 4):
	}
	io.WriteString(far, hi)
	if m := <-c.Messages(); m.String() != "hi" {
		t.Errorf("received %q", m)
	}
}

// Who has the socket may close it, as servers do that end what they have accepted.
func TestRestEndsWithTheSocket(t *testing.T) {
	near, _ := roomyPair(t)
	c := newConn((&AcceptOptions{}).settings())
	c.start(&handshake{transport: newTransport(near, c), reader: c.readerFor("", nil), writer: serverEncoder})
	t.Cleanup(c.Abort)
	wantRest(t, c)
	near.Close()
	lookNow(c)
	wantEvent(t, c, StatusAbnormalClosure)
}

func placeOf(c *Conn) *restingPlace { return c.transport.(*socketTransport).idle.place }

// lookNow has the resting place of c look for those whose socket has been closed.
func lookNow(c *Conn) {
	place := placeOf(c)
	place.mu.Lock()
	defer place.mu.Unlock()
	place.file.SetReadDeadline(past)
}

// In a bubble of testing/synctest no other goroutine may wake a connection.
func TestNoRestInABubble(t *testing.T) {
	outside, _ := restingConn(t, AcceptOptions{}) // the place is open
	synctest.Test(t, func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		far, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		near, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c := newConn((&AcceptOptions{}).settings())
		c.start(&handshake{transport: newTransport(near, c), reader: c.readerFor("", nil), writer: serverEncoder})
		// Real time passes in a read of the network alone.
		far.SetReadDeadline(time.Now().Add(3 * restAfter))
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		io.WriteString(far, hi)
		if m := <-c.Messages(); m.String() != "hi" {
			t.Errorf("received %q", m)
		}
		c.Abort()
		<-c.Closed()
	})
	outside.Abort()
}
