package websocket

import (
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// lookAfter is how often the resting place looks for guests whose socket somebody else
// has closed, as a server may that knows it from http.Server's ConnContext: the kernel
// tells nobody of that. To look at one takes well under a microsecond.
const lookAfter = 10 * time.Second

// A restingPlace looks after connections that have no goroutine to read, when there is
// something to read. One goroutine does so for all of its guests, their host; it is there as
// long as there is a connection that has rested and is not closed.
type restingPlace struct {
	mu     sync.Mutex
	epoll  int
	file   *os.File // the epoll, its host's to wait on and to close; nil while there are no guests
	last   uint32   // a number is not given again soon: what comes late is for nobody
	guests map[uint32]*Conn
}

// restingPlaces are as many as half of the processors that the program begins with: a
// host takes less than half of what its guests and it take together.
var restingPlaces = make([]restingPlace, (runtime.GOMAXPROCS(0)+1)/2)

// anyRestingPlace gives the places at random: connections that are opened in turn, as by
// a gateway, may be of two kinds.
func anyRestingPlace() *restingPlace {
	return &restingPlaces[rand.IntN(len(restingPlaces))]
}

// admit has c served when there is something to read. It reports false where that can
// not be arranged.
func (p *restingPlace) admit(c *Conn) bool {
	return p.enter(c, syscall.EPOLLIN|syscall.EPOLLRDHUP)
}

// watch has c, which has a goroutine to read, told of an error of its socket, of which the
// kernel always tells.
func (p *restingPlace) watch(c *Conn) bool { return p.enter(c, 0) }

func (p *restingPlace) enter(c *Conn, events uint32) bool {
	t := &c.socket
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil && !p.open() {
		return false
	}
	op := syscall.EPOLL_CTL_MOD
	if t.idle.guest == 0 {
		op = syscall.EPOLL_CTL_ADD
		t.idle.guest = p.nextNumber()
		p.guests[t.idle.guest] = c
	}
	return p.control(t, op, events)
}

// nextNumber is not 0, which stands for none.
func (p *restingPlace) nextNumber() uint32 {
	for {
		p.last++
		if p.last != 0 && p.guests[p.last] == nil {
			return p.last
		}
	}
}

// excuse ends that, for a guest that has a goroutine to read.
func (p *restingPlace) excuse(t *socketTransport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.idle.guest != 0 {
		p.control(t, syscall.EPOLL_CTL_MOD, 0)
	}
}

// control has the kernel tell of the events of a guest, each time that one comes up. If that
// can not be, the guest is removed.
func (p *restingPlace) control(t *socketTransport, op int, events uint32) bool {
	const edgeTriggered = 1 << 31 // EPOLLET, which is negative in package syscall
	event := syscall.EpollEvent{
		Events: events | edgeTriggered,
		Fd:     int32(t.idle.guest),
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

// discharge forgets a connection that is about to be closed. That ends what the kernel
// knows of it only if nobody else has its socket too.
func (p *restingPlace) discharge(t *socketTransport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.idle.guest != 0 && p.control(t, syscall.EPOLL_CTL_DEL, 0) {
		p.remove(t)
	}
}

func (p *restingPlace) remove(t *socketTransport) {
	delete(p.guests, t.idle.guest)
	t.idle.guest = 0
	if len(p.guests) == 0 {
		p.file.SetReadDeadline(past)
		p.file = nil
	}
}

// goesOn sets the time for the next look, unless there are no guests any more in the
// place that the file is of.
func (p *restingPlace) goesOn(file *os.File) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.file == file && file.SetReadDeadline(time.Now().Add(lookAfter)) == nil
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
	p.epoll, p.file, p.guests = fd, file, make(map[uint32]*Conn)
	go newHost(p).work(file, raw)
	return true
}

// look wakes the guests whose socket has been closed, so that they end.
func (p *restingPlace) look() {
	p.mu.Lock()
	guests := slices.Collect(maps.Values(p.guests))
	p.mu.Unlock()
	nothing := func(uintptr) {}
	for _, c := range guests {
		if c.socket.raw.Control(nothing) != nil {
			go c.hangUp()
		}
	}
}

// guest is nil for one that has left.
func (p *restingPlace) guest(number uint32) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.guests[number]
}
