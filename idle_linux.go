package websocket

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// restAfter is how long nothing has to come, once or twice over, before a connection
// gives its reading goroutine back. To get another one then takes some 2 us, which is
// nothing for one that is used as seldom; a goroutine that waits is 2.5 KB.
const restAfter = 500 * time.Millisecond

// restSoon is restAfter for a connection that is new, and for one that was woken from a
// long rest: what has come is one message, as a rule. Else those of a server that get
// one now and then would all have a goroutine at once, whose record the runtime never
// gives back. Without it 10,000 idle connections take 0.4 KB more each.
//
// One that has rested newRests times, and never for long, is in a conversation with
// pauses: it would lose more by its rests than they are worth.
const (
	restSoon = 10 * time.Millisecond
	longRest = 5 * time.Second
	newRests = 3
)

// began is what rests are counted from.
var began = time.Now()

// idleness notices that nothing comes. Its clock is the read deadline, which is there
// already, as long as nobody has set it to end the connection.
type idleness struct {
	// The reader's own.
	ticking  bool          // the deadline is set
	busy     bool          // something has come since
	restless bool          // there is no place to rest: the clock stands still
	brief    uint8         // how often the clock was set to restSoon
	rests    uint8         // how often it has rested, up to newRests
	rested   time.Duration // when the last rest began, until the clock is set again

	mu    sync.Mutex
	final bool // the deadline is to end the connection

	guest uint64 // the restingPlace's own
}

// await reads, or returns errIdle where nothing has come for some time.
func (t *socketTransport) await() error {
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
	if i.rested != 0 && (i.rests < newRests || time.Since(began)-i.rested >= longRest) {
		i.rests = min(i.rests+1, newRests)
		i.brief = 0
	}
	i.rested = 0
	if i.brief == 2 {
		return restAfter
	}
	i.brief++
	return restSoon
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
	if t.isFinal() {
		return false
	}
	t.idle.rested = time.Since(began)
	if inBubble() || !resting.admit(t, c) {
		t.idle.restless = true
		return false
	}
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
	resting.discharge(t)
	return t.Conn.Close()
}

func (t *socketTransport) abort() error { return t.close() }
