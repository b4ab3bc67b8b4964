package websocket

import (
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// lookAfter is how often the resting place looks for guests whose socket somebody else
// has closed, as a server may that knows it from http.Server's ConnContext: the kernel
// tells nobody of that. To look at one takes well under a microsecond.
const lookAfter = 10 * time.Second

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
	if err == nil {
		// There is none where Go could not add the epoll to its own: nothing would wake.
		err = file.SetReadDeadline(time.Now().Add(lookAfter))
	}
	if err != nil {
		file.Close()
		return false
	}
	p.epoll, p.file, p.guests = fd, file, make(map[uint64]*Conn)
	go p.wake(file, raw)
	return true
}

// wake wakes connections until the file is closed.
func (p *restingPlace) wake(file *os.File, raw syscall.RawConn) {
	events := make([]syscall.EpollEvent, 64)
	for {
		n, err := awaitEvents(raw, events)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			p.look()
			file.SetReadDeadline(time.Now().Add(lookAfter))
			continue
		}
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			if c := p.guest(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32); c != nil {
				c.wake()
			}
		}
	}
}

func awaitEvents(raw syscall.RawConn, events []syscall.EpollEvent) (n int, err error) {
	closed := raw.Read(func(fd uintptr) bool {
		for {
			if n, err = syscall.EpollWait(int(fd), events, 0); err != syscall.EINTR {
				return n != 0
			}
		}
	})
	if closed != nil {
		return 0, closed
	}
	return n, err
}

// look wakes the guests whose socket has been closed, so that they end.
func (p *restingPlace) look() {
	p.mu.Lock()
	guests := slices.Collect(maps.Values(p.guests))
	p.mu.Unlock()
	nothing := func(uintptr) {}
	for _, c := range guests {
		if t, ok := c.currentTransport().(*socketTransport); ok && t.raw.Control(nothing) != nil {
			c.wake()
		}
	}
}

func (p *restingPlace) guest(number uint64) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.guests[number]
}
