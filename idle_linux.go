package websocket

import (
	"errors"
	"os"
	"sync"
	"time"
)

// restAfter is how long nothing has to come, once or twice over, before a connection
// gives its reading goroutine back. To get another one then takes some 2 us, which is
// nothing for one that is used as seldom; a goroutine that waits is 2.5 KB.
const restAfter = 200 * time.Millisecond

// idleness notices that nothing comes. Its clock is the read deadline, which is there
// already, as long as nobody has set it to end the connection.
type idleness struct {
	// The reader's own.
	ticking bool // the deadline is set
	busy    bool // something has come since

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
			t.idle.busy = true
			return t.readErr
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || t.isFinal() {
			return err
		}
		t.idle.ticking = false
		if !t.idle.busy {
			return errIdle
		}
	}
}

// tick sets the clock.
func (t *socketTransport) tick() {
	t.idle.ticking, t.idle.busy = true, false
	t.idle.mu.Lock()
	defer t.idle.mu.Unlock()
	if !t.idle.final {
		t.SetReadDeadline(time.Now().Add(restAfter))
	}
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

func (t *socketTransport) rest(c *Conn) bool { return resting.admit(t, c) }

func (t *socketTransport) close() error {
	resting.discharge(t)
	return t.Conn.Close()
}

func (t *socketTransport) abort() error { return t.close() }
