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

	// Argument and result of readOnce, made once, so that a call allocates nothing.
	guest    guest
	readOnce func(fd uintptr)
	drained  bool
}

func newHost(p *restingPlace) *host {
	h := &host{place: p, events: make([]syscall.EpollEvent, 64)}
	h.readOnce = func(fd uintptr) { h.drained = h.guest.readOnce(int(fd)) }
	return h
}

// work waits, and deals with what comes up, as long as there are guests.
func (h *host) work(file *os.File, raw syscall.RawConn) {
	defer file.Close()
	for errors.Is(raw.Read(h.serveAll), os.ErrDeadlineExceeded) && h.place.goesOn(file) {
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
	g := h.place.guest(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32)
	switch {
	case g.conn == nil:
	case e.Events == syscall.EPOLLIN:
		h.serve(g)
	default:
		g.conn.wake()
	}
}

// serve reads for a connection once. If that is all there is to do it goes on resting.
func (h *host) serve(g guest) {
	c := g.conn
	if !c.takeReader() {
		return
	}
	if !h.suffices(g) || c.rest() != errResting {
		go c.readLoop()
	}
}

// suffices reads and reports whether all has been read and dealt with.
func (h *host) suffices(g guest) bool {
	if !g.socket.idle.visit() || !g.conn.consumes() {
		return false
	}
	h.guest, h.drained = g, false
	err := g.socket.raw.Control(h.readOnce)
	h.guest = guest{}
	return err == nil && h.drained && g.conn.consumeAll()
}

// takeReader makes the caller the reader of a connection that rests.
func (c *Conn) takeReader() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	rests := c.resting
	c.resting = false
	return rests
}

// readOnce reports whether it has read all that there is.
func (g guest) readOnce(fd int) bool {
	c := g.conn
	b := c.reader.Space(0)
	n, err := syscall.Read(fd, b)
	if n > 0 {
		c.reader.Wrote(n)
		if n < len(b) {
			return true
		}
		c.noteRead() // who goes on reads anew
		return false
	}
	switch {
	case err == nil || err == syscall.EINTR: // the end, which is there to be read again
		return false
	case err != syscall.EAGAIN:
		c.unsettled = &unsettled{err: g.socket.readFailed(err)}
		return false
	}
	return true // it came before, and was read then
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
// application's is told of it.
func (c *Conn) settleControl() bool {
	u := c.unsettled
	if u == nil || c.trace != nil || u.event.Opcode != codec.OpPing && u.event.Opcode != codec.OpPong {
		return false
	}
	return c.resume() == nil
}
