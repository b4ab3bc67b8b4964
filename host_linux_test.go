package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// hasReadLoop reports whether a goroutine reads for the connection.
func hasReadLoop(c *Conn) bool {
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), fmt.Sprintf(".(*Conn).readLoop(%p", c))
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

// neighbour is another connection at rest in the place of c.
func neighbour(t *testing.T, c *Conn) (*Conn, net.Conn) {
	t.Helper()
	for {
		if other, far := restingConn(t, AcceptOptions{}); placeOf(other) == placeOf(c) {
			return other, far
		}
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

// seldom is how long those pause whom the host serves.
const seldom = frequents + 2*converses

// A message now and then, a ping, and parts of messages are dealt with by the host: no
// goroutine is started for them, though one that was would stay for restSoon.
func TestHostServes(t *testing.T) {
	c, far := restingConn(t, AcceptOptions{})
	for range 3 {
		time.Sleep(seldom)
		wantServed(t, c, far, "hi")
		wantNoReadLoop(t, c)
	}
	time.Sleep(seldom)
	say(t, far, hi[:3])
	time.Sleep(seldom)
	wantNoReadLoop(t, c)
	say(t, far, hi[3:]+"\x8a\x81\x00\x00\x00\x00o\x89\x81\x00\x00\x00\x00p"+hi)
	for range 2 {
		if m := receiveSoon(t, c); m.String() != "hi" {
			t.Fatalf("received %q", m)
		}
	}
	pong := make([]byte, 3)
	if _, err := io.ReadFull(far, pong); err != nil || string(pong) != "\x8a\x01p" {
		t.Fatalf("% x, %v", pong, err)
	}
	wantNoReadLoop(t, c)
	wantRest(t, c)
	far.SetReadDeadline(time.Now().Add(converses))
	if n, err := far.Read(pong); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("% x follows, %v", pong[:n], err)
	}
	if n := c.Stats().MessagesReceived; n != 5 {
		t.Errorf("%d messages received", n)
	}
}

func wantNoReadLoop(t *testing.T, c *Conn) {
	t.Helper()
	if hasReadLoop(c) {
		t.Fatal("a goroutine was started to read")
	}
}

// One message after another has a goroutine of its own read them, and the host is not
// told of them any more.
func TestHostLeavesConversations(t *testing.T) {
	c, far := restingConn(t, AcceptOptions{})
	for limit := time.Now().Add(20 * time.Second); !hasReadLoop(c); {
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

// Who gets messages often, if not shortly one after the other, gets a goroutine too.
func TestHostLeavesTheFrequent(t *testing.T) {
	for name, test := range map[string]struct {
		gaps []time.Duration
		want []bool // the host is to deal with it
	}{
		"seldom":     {[]time.Duration{time.Hour, restAfter, frequents, frequents, frequents, frequents}, []bool{true, true, true, true, true, true}},
		"at once":    {[]time.Duration{time.Hour, converses - 10*time.Millisecond}, []bool{true, false}},
		"frequently": {[]time.Duration{time.Hour, 100 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond}, []bool{true, true, true, false}},
		"with a pause": {
			[]time.Duration{time.Hour, 100 * time.Millisecond, 100 * time.Millisecond, frequents, 100 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond},
			[]bool{true, true, true, true, true, true, false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var i idleness
			for k, gap := range test.gaps {
				i.visited = sinceBegan() - uint32(gap.Milliseconds())
				if got := i.visit(); got != test.want[k] {
					t.Errorf("event %d, after %v: %v", k, gap, got)
				}
			}
		})
	}
}

// toldOf is what the host of c is told of.
func toldOf(t *testing.T, c *Conn) uint32 {
	t.Helper()
	events, known := told(t, placeOf(c), c.socket.idle.guest)
	if !known {
		t.Fatal("the kernel does not know it")
	}
	return events
}

// told is what the kernel tells the host of a guest of.
func told(t *testing.T, place *restingPlace, guest uint32) (events uint32, known bool) {
	t.Helper()
	place.mu.Lock()
	defer place.mu.Unlock()
	info, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(place.epoll))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(info)) {
		var fd int
		var number uint64
		if _, err := fmt.Sscanf(line, "tfd: %d events: %x data: %x", &fd, &events, &number); err == nil && number == uint64(guest) {
			return events, true
		}
	}
	return 0, false
}

// An end that comes together with the last message is told of once.
func TestHostIsToldOfTheEnd(t *testing.T) {
	c, far := restingConn(t, AcceptOptions{})
	place := placeOf(c)
	place.excuse(&c.socket)
	say(t, far, hi)
	far.(*net.TCPConn).CloseWrite()
	awaitState(t, c.transport, stateCloseWait)
	place.admit(c)
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
	time.Sleep(seldom)
	other, end := neighbour(t, c)
	wantServed(t, other, end, "others")
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
			other, end := neighbour(t, c)
			go io.WriteString(far, test.send)
			time.Sleep(seldom)
			wantServed(t, other, end, "others")
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

// A read that is short has not read all where there is urgent data, a packet, or what
// comes with rights. One event is all that there is of both messages.
func TestHostReadsOn(t *testing.T) {
	packets, err := net.Listen("unixpacket", filepath.Join(t.TempDir(), "packets"))
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	stream, err := net.Listen("unix", filepath.Join(t.TempDir(), "stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	for name, test := range map[string]struct {
		at   net.Listener
		send func(t *testing.T, far net.Conn)
	}{
		"packets": {packets, func(t *testing.T, far net.Conn) {
			say(t, far, text("one"))
			say(t, far, text("two"))
		}},
		"rights": {stream, func(t *testing.T, far net.Conn) {
			if _, _, err := far.(*net.UnixConn).WriteMsgUnix([]byte(text("one")), syscall.UnixRights(0), nil); err != nil {
				t.Fatal(err)
			}
			say(t, far, text("two"))
		}},
		"urgent data": {tcp, func(t *testing.T, far net.Conn) {
			say(t, far, text("one"))
			raw, err := far.(*net.TCPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			raw.Control(func(fd uintptr) { err = syscall.Sendto(int(fd), []byte("!"), syscall.MSG_OOB, nil) })
			if err != nil {
				t.Fatal(err)
			}
			say(t, far, text("two"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			far, err := net.Dial(test.at.Addr().Network(), test.at.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			near, err := test.at.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c := resting(t, near, AcceptOptions{})
			placeOf(c).excuse(&c.socket)
			test.send(t, far)
			time.Sleep(converses) // by then both are there
			placeOf(c).admit(c)
			for _, want := range []string{"one", "two"} {
				if m := receiveSoon(t, c); m.String() != want {
					t.Errorf("received %q, want %q", m, want)
				}
			}
		})
	}
}

// share gives a file descriptor of the socket of c that stays open after it.
func share(t *testing.T, c *Conn) int {
	t.Helper()
	file, err := c.socket.Conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return int(file.Fd())
}

// Whoever shares a socket may have made it wait, and may take what there is to read.
func TestHostReadsWithoutWaiting(t *testing.T) {
	c, far := restingConn(t, AcceptOptions{})
	fd := share(t, c)
	if err := syscall.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	place := placeOf(c)
	place.mu.Lock() // the host waits here
	say(t, far, hi)
	if _, err := syscall.Read(fd, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(converses)
	place.mu.Unlock()
	other, end := neighbour(t, c)
	wantServed(t, other, end, "others")
	say(t, far, hi)
	receiveSoon(t, c)
}

// A sender has the lock for as long as it takes to copy a message.
func TestHostDoesNotWaitForTheLock(t *testing.T) {
	c, far := restingConn(t, AcceptOptions{})
	c.mu.Lock()
	say(t, far, hi)
	time.Sleep(converses)
	other, end := neighbour(t, c)
	wantServed(t, other, end, "others")
	c.mu.Unlock()
	receiveSoon(t, c)
}

// The kernel forgets a connection that has ended, though somebody else has its socket.
func TestHostForgets(t *testing.T) {
	c, _ := restingConn(t, AcceptOptions{})
	share(t, c)
	neighbour(t, c) // so that the place stays open
	guest := c.socket.idle.guest
	c.Abort()
	wantEvent(t, c, StatusAbnormalClosure)
	if _, known := told(t, placeOf(c), guest); known {
		t.Error("the kernel tells of it still")
	}
}

// What the host finds where it reads is for the reading goroutine to tell of, once.
func TestHostReads(t *testing.T) {
	serve := func(c *Conn) bool {
		c.socket.idle.visited = sinceBegan() - 60_000
		return newHost(placeOf(c)).dealWith(c)
	}
	// guestConn is one that this test is the reader of.
	guestConn := func(t *testing.T) (*Conn, net.Conn) {
		c, far := restingConn(t, AcceptOptions{Trace: new(Trace)}) // so that a ping is left
		c.mu.Lock()
		c.resting = false
		c.mu.Unlock()
		return c, far
	}
	// servedConn is one that has read all there is: a message.
	servedConn := func(t *testing.T) *Conn {
		c, far := guestConn(t)
		say(t, far, hi)
		time.Sleep(converses)
		if !serve(c) {
			t.Error("it is one message")
		}
		return c
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
	t.Run("bytes before an error", func(t *testing.T) {
		c := servedConn(t)
		c.unsettled = &unsettled{err: syscall.ECONNRESET}
		feed(c.reader, []byte(hi))
		go c.readLoop()
		receiveSoon(t, c)
		receiveSoon(t, c)
		if e := wantEvent(t, c, StatusAbnormalClosure); !errors.Is(e.Err, syscall.ECONNRESET) {
			t.Errorf("ended for %v", e.Err)
		}
	})
	t.Run("more than fits", func(t *testing.T) {
		c, far := guestConn(t)
		go io.WriteString(far, text(strings.Repeat("x", 1<<16)))
		time.Sleep(converses)
		before := c.Stats().Reads
		if serve(c) || c.Stats().Reads != before+2 {
			t.Errorf("%d reads", c.Stats().Reads-before)
		}
		go c.readLoop()
		receiveSoon(t, c)
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
		c := servedConn(t)
		c.freeReader(time.Minute)
		if err := c.rest(); err == errResting {
			t.Error("rests, with a deadline that nobody waits for")
		}
		go c.readLoop()
	})
}
