package websocket

// A signal is something that happens once to a connection.
type signal uint8

const (
	opened    signal = iota // the handshake is complete
	closing                 // sends are refused
	leaving                 // the application has called Close, or given up what it has not received
	abandoned               // the application has given up what it has not received
	ended                   // the transport is closed
	returned                // the application has dealt with all that it has received
	numSignals
)

// signals tells which have been raised. It is guarded by the connection's lock, and
// has channels only from when somebody waits for one.
type signals struct {
	set      uint8
	channels *[numSignals]chan struct{}
}

// alreadyRaised is the channel of signals that nobody had waited for.
var alreadyRaised = func() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}()

func (s *signals) raised(which signal) bool { return s.set&(1<<which) != 0 }

// wait returns a channel that is closed when the signal is raised.
func (s *signals) wait(which signal) <-chan struct{} {
	if s.channels == nil {
		if s.raised(which) {
			return alreadyRaised
		}
		s.channels = new([numSignals]chan struct{})
	}
	ch := &s.channels[which]
	switch {
	case *ch != nil:
	case s.raised(which):
		*ch = alreadyRaised
	default:
		*ch = make(chan struct{})
	}
	return *ch
}

func (s *signals) raise(which signal) {
	if s.raised(which) {
		return
	}
	s.set |= 1 << which
	if s.channels != nil && s.channels[which] != nil {
		close(s.channels[which])
	}
}
