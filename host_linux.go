package websocket

import (
	"errors"
	"os"
	"syscall"

	"github.com/chanws/websocket/codec"
)

// A host is the goroutine of a restingPlace: it reads for those who rest there. To wake
// another goroutine for that would cost as much again.
type host struct {
	place  *restingPlace
	events []syscall.EpollEvent

	// Argument and result of read, made once, so that a call allocates nothing.
	guest   *Conn
	read    func(fd uintptr)
	drained bool
}

func newHost(p *restingPlace) *host {
	h := &host{place: p, events: make([]syscall.EpollEvent, 64)}
	h.read = func(fd uintptr) { h.drained = h.guest.readTwice(int(fd)) }
	return h
}

// work waits, and deals with what comes up, as long as there are guests.
func (h *host) work(file *os.File, raw syscall.RawConn) {
	defer file.Close()
	for {
		err := raw.Read(h.serveAll)
		if !errors.Is(err, os.ErrDeadlineExceeded) || !h.place.goesOn(file) {
			return
		}
		h.place.look()
	}
}

// serveAll deals with all that has come up, and reports false then: the RawConn that
// calls it keeps what comes up meanwhile, and waits for no more than that.
func (h *host) serveAll(fd uintptr) bool {
	for {
		n, err := syscall.EpollWait(int(fd), h.events, 0)
		if err == syscall.EINTR {
			continue
		}
		for _, e := range h.events[:max(n, 0)] {
			h.attend(e)
		}
		if n < len(h.events) {
			return false
		}
	}
}

// attend deals with one event. The ends of connections are for goroutines of their own.
func (h *host) attend(e syscall.EpollEvent) {
	c := h.place.guest(uint32(e.Fd))
	switch {
	case c == nil:
	case e.Events == syscall.EPOLLIN:
		h.serve(c)
	default:
		go c.hangUp()
	}
}

// hangUp has the read loop of a connection see that it is over, if it is.
func (c *Conn) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.resting {
		c.socket.hangUp()
	}
	c.wakeLocked()
}

// serve reads for a connection. If that is all there is to do it goes on resting.
//
// A host does not wait for the lock of a connection: a sender has it for as long as it
// takes to copy a large message.
func (h *host) serve(c *Conn) {
	if !c.mu.TryLock() {
		go c.wake()
		return
	}
	rests := c.resting
	c.resting = false // the host is the reader now
	c.mu.Unlock()
	if rests && !(h.dealWith(c) && c.tryRest()) {
		go c.readLoop()
	}
}

// dealWith reads and reports whether all has been read and dealt with.
func (h *host) dealWith(c *Conn) bool {
	if !c.socket.idle.visit() || !c.consumes() {
		return false
	}
	h.guest, h.drained = c, false
	err := c.socket.raw.Control(h.read)
	h.guest = nil
	return err == nil && h.drained && c.consumeAll()
}

// tryRest is rest where that waits for nobody.
func (c *Conn) tryRest() bool {
	if !c.mu.TryLock() {
		return false
	}
	defer c.mu.Unlock()
	return c.restLocked() == errResting
}

// readTwice reports whether it has read all that there is, which the second read tells.
// That the first is short does not: one stops at urgent data, at what comes with rights,
// and at the end of a packet. Neither waits, even on a socket that somebody who shares it
// has made wait. Both read little: whoever has more to send gets a goroutine, and does
// not take the time of others.
func (c *Conn) readTwice(fd int) bool {
	got := 0
	for got < 2 {
		n, _, _, _, err := syscall.Recvmsg(fd, c.reader.Space(waitingRead), nil, syscall.MSG_DONTWAIT)
		if err == syscall.EAGAIN {
			return true
		}
		if err != nil && err != syscall.EINTR {
			c.unsettled = &unsettled{err: c.socket.readFailed(err)}
		}
		if n <= 0 {
			break // an end is there to be read again
		}
		c.reader.Wrote(n)
		got++
	}
	for range got {
		c.noteRead()
	}
	return false
}

// consumeAll is consume with pings and pongs.
func (c *Conn) consumeAll() bool {
	for !c.consume() {
		if !c.settleControl() {
			c.noteRead()
			return false
		}
	}
	c.reader.Idle()
	return true
}

// settleControl deals with a ping or pong that consume has left, if no code of the
// application's is told of it, and the lock is free.
func (c *Conn) settleControl() bool {
	u := c.unsettled
	if u == nil || c.trace != nil || u.event.Opcode != codec.OpPing && u.event.Opcode != codec.OpPong || !c.mu.TryLock() {
		return false
	}
	c.mu.Unlock()
	return c.resume() == nil
}
