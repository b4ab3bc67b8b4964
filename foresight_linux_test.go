package websocket

import (
	"errors"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// An eater takes whatever a transport reads, and says what comes next.
type eater struct {
	discard
	read     int
	consumed int
	next     func(consumed int) bool
}

func (e *eater) Wrote(n int) { e.read += n }

func (e *eater) input() codec.Reader { return e }

func (e *eater) consumes() bool { return true }

func (e *eater) consume() bool {
	e.consumed++
	return e.next(e.consumed)
}

// foreseeing is a transport that is told what is left, and its other end.
func foreseeing(t *testing.T) (transport, *net.TCPConn) {
	t.Helper()
	near, far := roomyPair(t)
	tr := newTransport(near, new(Conn)).(*socketTransport)
	t.Cleanup(func() { tr.close() })
	err := tr.raw.Control(func(fd uintptr) {
		if err := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpInq, 1); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	tr.foresight.Store(sighted)
	return tr, far.(*net.TCPConn)
}

// One call waits for input as often as all of it is dealt with, and looks for none in
// between: what comes while it is dealt with is not missed.
func TestReadWaitsWithoutLooking(t *testing.T) {
	const times = 100
	tr, far := foreseeing(t)
	e := new(eater)
	e.next = func(consumed int) bool {
		say(t, far, "again")
		return consumed < times
	}
	say(t, far, "first")
	if err := tr.read(e); err != nil || e.consumed != times || e.read != 5*times {
		t.Errorf("consumed %d times, %d bytes, %v", e.consumed, e.read, err)
	}
}

// An end that is there with the bytes before it would not be told of again.
func TestReadForeseesTheEnd(t *testing.T) {
	tr, far := foreseeing(t)
	say(t, far, "last")
	far.CloseWrite()
	awaitState(t, tr, stateCloseWait)
	e := &eater{next: func(int) bool { t.Error("there was more"); return true }}
	if err := tr.read(e); err != nil || e.read != 4 {
		t.Fatal(e.read, err)
	}
	if err := tr.read(e); err != io.EOF {
		t.Errorf("%v, want EOF", err)
	}
}

// A reset that comes with the bytes before it is not foreseen, but found soon.
func TestReadFindsAReset(t *testing.T) { testReset(t, false) }

// Where there is no place to rest nothing looks again later.
func TestReadFindsAResetWithoutAClock(t *testing.T) { testReset(t, true) }

func testReset(t *testing.T, restless bool) {
	tr, far := foreseeing(t)
	if restless {
		idle := &tr.(*socketTransport).idle
		idle.restless, idle.ticking = true, false
	}
	say(t, far, "last")
	far.SetLinger(0)
	far.Close()
	awaitState(t, tr, stateClose)
	e := &eater{next: func(int) bool { return true }}
	limit := time.AfterFunc(20*time.Second, func() { tr.abort() })
	defer limit.Stop()
	err := tr.read(e)
	for err == nil || err == errIdle {
		err = tr.read(e)
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}
}

// A connection that has long been read from ends as soon as it is reset, be it behind a
// message, which is still received.
func TestResetBehindAMessage(t *testing.T) {
	for range 5 {
		near, far := roomyPair(t)
		c := newConn((&AcceptOptions{}).settings())
		c.start(&handshake{transport: newTransport(near, c), reader: c.readerFor(negotiate.Hybi13, nil), writer: serverEncoder})
		received := make(chan string, 100)
		go func() {
			for m := range c.Messages() {
				received <- m.String()
			}
			close(received)
		}()
		for range 3 * foresightAfter {
			say(t, far, hi)
			<-received
			time.Sleep(2 * restSoon / foresightAfter) // so that the clock goes slowly by now
		}
		say(t, far, "\x81\x84\x00\x00\x00\x00last")
		far.(*net.TCPConn).SetLinger(0)
		far.Close()
		began := time.Now()
		if m := <-received; m != "last" {
			t.Fatalf("received %q", m)
		}
		e := <-c.Closed()
		if d := time.Since(began); !errors.Is(e.Err, syscall.ECONNRESET) || d > restAfter/2 {
			t.Errorf("closed with %+v after %v", e, d)
		}
	}
}

// The states of a connection that tcp_info has: the end of the peer's side has come, or
// a reset. What was sent before has come too.
const stateClose, stateCloseWait = 7, 8

// awaitState waits for a state, of which only the kernel knows.
func awaitState(t *testing.T, tr transport, state int) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		now := 0
		err := tr.(*socketTransport).raw.Control(func(fd uintptr) {
			now, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO)
		})
		if now &= 0xff; err == nil && now == state {
			return
		}
		if err != nil || time.Now().After(limit) {
			t.Fatalf("the connection is in state %d, want %d (%v)", now, state, err)
		}
	}
}

func TestBytesLeft(t *testing.T) {
	near, far := roomyPair(t)
	say(t, far, "0123456789")
	raw, err := near.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	raw.Control(func(fd uintptr) {
		if err := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpInq, 1); err != nil {
			t.Error(err)
		}
	})
	for _, want := range []int{7, 4, 1, 0} {
		err := raw.Read(func(fd uintptr) bool {
			b, control := make([]byte, 3), make([]byte, 32)
			_, size, _, _, err := syscall.Recvmsg(int(fd), b, control, 0)
			if err == syscall.EAGAIN {
				return false
			}
			if got := bytesLeft(control[:size]); err != nil || got != want {
				t.Errorf("%d bytes left, want %d (%v)", got, want, err)
			}
			for cut := range syscall.CmsgLen(4) {
				if bytesLeft(control[:cut]) != 1 {
					t.Errorf("%d bytes left by the first %d bytes of a message", bytesLeft(control[:cut]), cut)
				}
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What has been read is dealt with in order, whoever does it: messages that have no
// room, control frames and faults are the read loop's.
func TestConsumeLeavesWhatMayWait(t *testing.T) {
	near, far := roomyPair(t)
	c := newConn((&AcceptOptions{ReceiveMessages: 2}).settings())
	c.start(&handshake{transport: newTransport(near, c), reader: c.readerFor(negotiate.Hybi13, nil), writer: serverEncoder})
	defer c.Abort()
	want := func(text string) {
		t.Helper()
		select {
		case m := <-c.Messages():
			if m.String() != text {
				t.Fatalf("received %q, want %q", m, text)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%q did not come", text)
		}
	}
	for range foresightAfter + 1 {
		say(t, far, hi)
		want("hi")
	}
	text := func(s string) string { return "\x81\x81\x00\x00\x00\x00" + s }
	say(t, far, text("a")+"\x89\x81\x00\x00\x00\x00p"+text("b")+text("c")+text("d")+text("\xff")+text("e"))
	answer := make([]byte, 3)
	if _, err := io.ReadFull(far, answer); err != nil || string(answer) != "\x8a\x01p" {
		t.Fatalf("%q, %v", answer, err)
	}
	for _, s := range []string{"a", "b", "c", "d"} {
		want(s)
	}
	if e := wantEvent(t, c, StatusInvalidFramePayload); !errors.As(e.Err, new(*ProtocolError)) {
		t.Errorf("closed with %+v", e)
	}
}
