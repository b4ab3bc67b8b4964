package deflate

import (
	"errors"
	"sync/atomic"

	"github.com/chanws/websocket/negotiate"
)

var _ negotiate.Interrupter = (*session)(nil)

// errInterrupted ends the work on a message that nobody waits for any more.
var errInterrupted = errors.New("deflate: interrupted")

// An interruption ends all work of a session, once it has been raised. Nil never is.
type interruption struct{ raised atomic.Bool }

// err is what those who work look at: often enough that they end within milliseconds,
// and where no byte has come out as well. A block can be of nothing but its own
// description, and a message of millions of those.
func (i *interruption) err() error {
	if i != nil && i.raised.Load() {
		return errInterrupted
	}
	return nil
}

// Interrupt is described at [negotiate.Interrupter]. Prepare goes on: what it makes is
// for other connections too.
func (s *session) Interrupt() { s.interruption.raised.Store(true) }
