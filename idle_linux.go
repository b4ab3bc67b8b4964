package websocket

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// restAfter is how long nothing has to come, once or twice over, before a connection
// gives its reading goroutine back, which is 2.5 KB. While it rests its host reads, as
// long as there is nothing to wait for.
const restAfter = 500 * time.Millisecond

// restSoon is restAfter for a connection that is new, and for one that was woken after
// as long a rest, but not again and again. Else those of a server that all get a message
// now and then that is not for the host would all have a goroutine at once, whose record
// the runtime never gives back. Without it 10,000 idle connections take 0.4 KB more each.
const restSoon = 10 * time.Millisecond

// converses is how soon one event has to follow another for a connection that rests to
// get a goroutine: to wait is cheaper with one for whoever waits shortly.
const converses = 50 * time.Millisecond

// frequents is how soon that has to be where it goes on so: the last of as many events as
// frequentVisits gets a goroutine too. 10,000 connections that get a message each 170 ms
// take 0.9 of the processor time then.
const (
	frequents      = 250 * time.Millisecond
	frequentVisits = 4
)

// idleness notices that nothing comes. Its clock is the read deadline, which is there
// already, as long as nobody has set it to end the connection.
type idleness struct {
	mu    sync.Mutex
	final bool // the deadline is to end the connection

	// The reader's own.
	ticking  bool   // the deadline is set
	busy     bool   // something has come since
	restless bool   // there is no place to rest: the clock stands still
	reported bool   // the resting place is told of what comes
	brief    uint8  // how often the clock was set to restSoon
	visits   uint8  // while it rested, each soon after the one before
	visited  uint32 // when something came while it rested: sinceBegan

	guest uint32 // the place's own
	place *restingPlace
}

// init gives the connection its place.
func (i *idleness) init() { i.place = anyRestingPlace() }

// await reads, or returns errIdle where nothing has come for some time.
func (t *socketTransport) await() error {
	if t.idle.reported {
		t.idle.reported = false
		t.idle.place.excuse(t)
	}
	for {
		if !t.idle.ticking {
			t.tick()
		}
		err := t.raw.Read(t.readReady)
		if err == nil {
			t.idle.stir()
			return t.readErr()
		}
		if !t.idle.ticking || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		t.idle.ticking = false
		// Where the deadline is to end the connection by now, it may have been the
		// clock's when it expired: another read tells.
		if !t.idle.busy && !t.isFinal() {
			return errIdle
		}
	}
}

// stir notes that something has come.
func (i *idleness) stir() { i.busy = true }

// tick sets the clock.
func (t *socketTransport) tick() {
	t.idle.mu.Lock()
	defer t.idle.mu.Unlock()
	if t.idle.final {
		return
	}
	t.idle.ticking, t.idle.busy = true, false
	if t.idle.restless {
		t.SetReadDeadline(time.Time{})
		return
	}
	t.SetReadDeadline(time.Now().Add(t.idle.patience()))
}

// patience is what to set the clock to.
func (i *idleness) patience() time.Duration {
	if i.brief == 2 {
		return restAfter
	}
	i.brief++
	return restSoon
}

// visit notes that something has come while the connection rests, and reports whether
// its host is to deal with that.
func (i *idleness) visit() bool {
	now := sinceBegan()
	since := time.Duration(now-i.visited) * time.Millisecond
	i.visited = now
	i.brief = 2
	if since >= restAfter {
		i.brief = 0
	}
	if since >= frequents {
		i.visits = 0
	}
	i.visits++
	return since >= converses && i.visits < frequentVisits
}

func (t *socketTransport) isFinal() bool {
	t.idle.mu.Lock()
	defer t.idle.mu.Unlock()
	return t.idle.final
}

func (t *socketTransport) setReadDeadline(d time.Time) error {
	t.idle.mu.Lock()
	defer t.idle.mu.Unlock()
	t.idle.final = true
	return t.SetReadDeadline(d)
}

// rest is refused where the deadline is to end the connection: a goroutine has to be
// there to notice.
func (t *socketTransport) rest(c *Conn) bool {
	switch {
	case t.isFinal():
		return false
	case t.idle.reported:
		return true // its host has been there
	case inBubble() || !t.idle.place.admit(c):
		t.idle.restless = true
		return false
	}
	t.idle.reported = true
	t.readReady = nil
	return true
}

// inBubble reports whether the goroutine is in a bubble of testing/synctest, which has
// a time of its own, by decades. Who is outside must not use the channels of one who is
// inside, and so can not read for a connection there; nor may a bubble have to wait
// for a goroutine that serves others.
func inBubble() bool {
	var machine syscall.Timeval
	syscall.Gettimeofday(&machine)
	return time.Since(time.Unix(machine.Unix())).Abs() > 24*time.Hour
}

func (t *socketTransport) close() error {
	t.idle.place.discharge(t)
	return t.Conn.Close()
}

func (t *socketTransport) abort() error { return t.close() }
