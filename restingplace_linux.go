package websocket

import (
	"os"
	"sync"
	"syscall"
)

// A restingPlace wakes connections that have no goroutine to read when there is
// something to read. One goroutine waits for all of them; it is there as long as there
// is a connection that has rested and is not closed.
type restingPlace struct {
	mu     sync.Mutex
	epoll  int
	file   *os.File // the epoll, for its goroutine to wait on; nil while there are no guests
	last   uint64   // no number is given twice: what comes late is for nobody
	guests map[uint64]*Conn
}

var resting restingPlace

// admit has c woken once, when there is something to read. It reports false where that
// can not be arranged.
func (p *restingPlace) admit(t *socketTransport, c *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil && !p.open() {
		return false
	}
	op := syscall.EPOLL_CTL_MOD
	if t.idle.guest == 0 {
		op = syscall.EPOLL_CTL_ADD
		p.last++
		t.idle.guest = p.last
		p.guests[p.last] = c
	}
	event := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     int32(t.idle.guest), Pad: int32(t.idle.guest >> 32),
	}
	var err error
	if closed := t.raw.Control(func(fd uintptr) { err = syscall.EpollCtl(p.epoll, op, int(fd), &event) }); closed != nil {
		err = closed
	}
	if err != nil {
		p.remove(t)
	}
	return err == nil
}

// discharge forgets a connection that is about to be closed, which ends what the kernel
// knows of it.
func (p *restingPlace) discharge(t *socketTransport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.idle.guest != 0 {
		p.remove(t)
	}
}

func (p *restingPlace) remove(t *socketTransport) {
	delete(p.guests, t.idle.guest)
	t.idle.guest = 0
	if len(p.guests) == 0 {
		p.file.Close() // and so ends its goroutine
		p.file = nil
	}
}

// open makes the epoll and starts the goroutine.
func (p *restingPlace) open() bool {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return false
	}
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return false
	}
	p.epoll, p.file, p.guests = fd, file, make(map[uint64]*Conn)
	go p.wake(raw)
	return true
}

// wake wakes connections until the file is closed.
func (p *restingPlace) wake(raw syscall.RawConn) {
	events := make([]syscall.EpollEvent, 64)
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			var err error
			n, err = syscall.EpollWait(int(fd), events, 0)
			return n > 0 || err != nil && err != syscall.EINTR
		})
		if err != nil {
			return
		}
		for _, e := range events[:max(n, 0)] {
			if c := p.guest(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32); c != nil {
				c.wake()
			}
		}
	}
}

func (p *restingPlace) guest(number uint64) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.guests[number]
}
