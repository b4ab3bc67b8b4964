package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// readLoops counts the goroutines that read for a connection.
func readLoops() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), ".(*Conn).readLoop(")
}

// text is a message as a client sends it.
func text(s string) string {
	return string(clientEncoder.AppendFrame(nil, codec.Frame{Opcode: codec.OpText, Final: true, Payload: []byte(s)}))
}

func receiveSoon(t *testing.T, c *Conn) Message {
	t.Helper()
	select {
	case m := <-c.Messages():
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("nothing received")
		panic("unreachable")
	}
}

// wantServed receives a message that came to a connection at rest.
func wantServed(t *testing.T, c *Conn, far net.Conn, s string) {
	t.Helper()
	say(t, far, text(s))
	if m := receiveSoon(t, c); m.String() != s {
		t.Fatalf("received %q, want %q", m, s)
	}
}

// A message now and then, a ping, and parts of messages are dealt with by the host: no
// goroutine is started for them, though one that was would stay for restSoon.
func TestHostServes(t *testing.T) {
	c, far := restingConn(t, AcceptOptions{})
	for range 3 {
		time.Sleep(2 * converses)
		wantServed(t, c, far, "hi")
		wantNoReadLoop(t)
	}
	time.Sleep(2 * converses)
	say(t, far, hi[:3])
	time.Sleep(2 * converses)
	wantNoReadLoop(t)
	say(t, far, hi[3:]+"\x89\x81\x00\x00\x00\x00p"+hi)
	for range 2 {
		if m := receiveSoon(t, c); m.String() != "hi" {
			t.Fatalf("received %q", m)
		}
	}
	pong := make([]byte, 3)
	if _, err := io.ReadFull(far, pong); err != nil || string(pong) != "\x8a\x01p" {
		t.Fatalf("% x, %v", pong, err)
	}
	wantNoReadLoop(t)
	wantRest(t, c)
	if n := c.Stats().MessagesReceived; n != 5 {
		t.Errorf("%d messages received", n)
	}
}

func wantNoReadLoop(t *testing.T) {
	t.Helper()
	if readLoops() > 0 {
		t.Fatal("a goroutine was started to read")
	}
}

// One message after another has a goroutine of its own read them, and the host is not
// told of them any more.
func TestHostLeavesConversations(t *testing.T) {
	c, far := restingConn(t, AcceptOptions{})
	for limit := time.Now().Add(20 * time.Second); readLoops() == 0; {
		if time.Now().After(limit) {
			t.Fatal("no goroutine reads")
		}
		wantServed(t, c, far, "a")
		wantServed(t, c, far, "b")
	}
	wantServed(t, c, far, "settled") // now at the latest it has told the kernel
	if told := toldOf(t, c); told&syscall.EPOLLIN != 0 {
		t.Errorf("the host is told of %#x", told)
	}
	wantRest(t, c)
	if told := toldOf(t, c); told&syscall.EPOLLIN == 0 {
		t.Errorf("the host is told of %#x", told)
	}
	wantServed(t, c, far, "after a rest")
}

// toldOf is what the kernel tells the host of c of, as the kernel has it.
func toldOf(t *testing.T, c *Conn) (events uint32) {
	t.Helper()
	place := placeOf(c)
	place.mu.Lock()
	defer place.mu.Unlock()
	info, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(place.epoll))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(info)) {
		var fd int
		var guest uint64
		if _, err := fmt.Sscanf(line, "tfd: %d events: %x data: %x", &fd, &events, &guest); err == nil && guest == c.socket.idle.guest {
			return events
		}
	}
	t.Fatalf("no guest %d in %s", c.socket.idle.guest, info)
	panic("unreachable")
}

// An end that comes together with the last message is told of once.
func TestHostIsToldOfTheEnd(t *testing.T) {
	c, far := restingConn(t, AcceptOptions{})
	place := placeOf(c)
	place.excuse(&c.socket)
	say(t, far, hi)
	far.(*net.TCPConn).CloseWrite()
	awaitState(t, c.transport, stateCloseWait)
	place.admit(&c.socket, c)
	receiveSoon(t, c)
	wantEvent(t, c, StatusAbnormalClosure)
}

// A heldExtension has its first message wait.
type heldExtension struct{ hold chan struct{} }

func (heldExtension) Name() string                      { return "x-held" }
func (heldExtension) Reserved() negotiate.Reserved      { return 0 }
func (heldExtension) Client() negotiate.ClientExtension { return nil }
func (heldExtension) Close()                            {}

func (e heldExtension) Server([][]negotiate.Param) ([]negotiate.Param, negotiate.Session, bool) {
	return nil, e, true
}

func (e heldExtension) Incoming(dst []byte, _ negotiate.Message, _ int64) ([]byte, bool, error) {
	<-e.hold
	return dst, false, nil
}

func (e heldExtension) Outgoing(dst []byte, _ negotiate.Message) ([]byte, negotiate.Reserved, bool, error) {
	return dst, 0, false, nil
}

// An extension may be the application's, and wait.
func TestHostWaitsForNoExtension(t *testing.T) {
	near, far := roomyPair(t)
	e := heldExtension{make(chan struct{})}
	say(t, far, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: x-held\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	c, _, err := AcceptConn(t.Context(), near, &AcceptOptions{Extensions: []negotiate.Extension{e}})
	if err != nil || len(c.Extensions()) != 1 {
		t.Fatal(c, err)
	}
	t.Cleanup(c.Abort)
	defer close(e.hold)
	wantRest(t, c)
	say(t, far, hi)
	time.Sleep(2 * converses)
	for range restingPlaces {
		other, end := restingConn(t, AcceptOptions{})
		wantServed(t, other, end, "others")
	}
}

// What the host may not do, or may have to wait for, is not done by it: it has others to
// look after.
func TestHostWaitsForNobody(t *testing.T) {
	hold := make(chan struct{})
	held := &Trace{PingReceived: func([]byte) { <-hold }}
	for name, test := range map[string]struct {
		opts AcceptOptions
		send string
	}{
		"application that does not receive": {AcceptOptions{ReceiveMessages: 2}, strings.Repeat(hi, 10)},
		"application that is told of pings": {AcceptOptions{Trace: held}, "\x89\x80\x00\x00\x00\x00"},
		"more than is read at once":         {AcceptOptions{}, text(strings.Repeat("x", 1<<20))},
		"peer's close frame":                {AcceptOptions{}, hi + "\x88\x80\x00\x00\x00\x00"},
		"protocol error":                    {AcceptOptions{}, hi + "\xff\x80\x00\x00\x00\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			c, far := restingConn(t, test.opts)
			var others []*Conn // in all places
			var ends []net.Conn
			for range restingPlaces {
				other, end := restingConn(t, AcceptOptions{})
				others, ends = append(others, other), append(ends, end)
			}
			go io.WriteString(far, test.send)
			time.Sleep(2 * converses)
			for i, other := range others {
				wantServed(t, other, ends[i], "others")
			}
			if name == "application that is told of pings" {
				close(hold)
				return
			}
			if m := receiveSoon(t, c); m.Data[0] != 'h' && m.Data[0] != 'x' {
				t.Errorf("received %q", m)
			}
		})
	}
}

// What the host finds where it reads is for the reading goroutine to tell of, once.
func TestHostReads(t *testing.T) {
	serve := func(c *Conn) bool {
		c.socket.idle.visited = 0
		return newHost(placeOf(c)).suffices(guest{c, &c.socket})
	}
	// guestConn is one that this test is the reader of.
	guestConn := func(t *testing.T) (*Conn, net.Conn) {
		c, far := restingConn(t, AcceptOptions{Trace: new(Trace)}) // so that a ping is left
		if !c.takeReader() {
			t.Fatal("does not rest")
		}
		return c, far
	}
	t.Run("nothing", func(t *testing.T) {
		c, _ := guestConn(t)
		if !serve(c) {
			t.Error("there is nothing to do")
		}
		go c.readLoop()
	})
	t.Run("end", func(t *testing.T) {
		c, far := guestConn(t)
		far.Close()
		awaitState(t, c.transport, stateCloseWait)
		if serve(c) {
			t.Error("an end suffices")
		}
		go c.readLoop()
		wantEvent(t, c, StatusAbnormalClosure)
	})
	t.Run("reset", func(t *testing.T) {
		c, far := guestConn(t)
		far.(*net.TCPConn).SetLinger(0)
		far.Close()
		awaitState(t, c.transport, stateClose)
		if serve(c) {
			t.Error("a reset suffices")
		}
		go c.readLoop()
		if e := wantEvent(t, c, StatusAbnormalClosure); !errors.Is(e.Err, syscall.ECONNRESET) {
			t.Errorf("ended for %v", e.Err)
		}
	})
	t.Run("a message behind what is left", func(t *testing.T) {
		c, far := guestConn(t)
		say(t, far, hi+"\x89\x80\x00\x00\x00\x00"+text("behind"))
		time.Sleep(converses)
		if serve(c) || c.unsettled == nil || c.unsettled.event.Opcode != codec.OpPing {
			t.Errorf("left %+v", c.unsettled)
		}
		go c.readLoop()
		receiveSoon(t, c)
		if m := receiveSoon(t, c); m.String() != "behind" {
			t.Errorf("received %q", m)
		}
	})
	t.Run("a deadline meanwhile", func(t *testing.T) {
		c, far := guestConn(t)
		say(t, far, hi)
		time.Sleep(converses)
		if !serve(c) {
			t.Error("more than one message")
		}
		c.freeReader(time.Minute)
		if err := c.rest(); err == errResting {
			t.Error("rests, with a deadline that nobody waits for")
		}
		go c.readLoop()
	})
}
