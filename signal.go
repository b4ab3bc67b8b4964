package websocket

// A signal is raised once and stays so. It is guarded by the connection's lock, and
// has a channel only from when somebody waits for it: an idle connection has five.
type signal struct {
	ch     chan struct{}
	raised bool
}

// alreadyRaised is the channel of signals that nobody had waited for.
var alreadyRaised = func() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}()

// wait returns a channel that is closed when the signal is raised.
func (s *signal) wait() <-chan struct{} {
	switch {
	case s.ch != nil:
		return s.ch
	case s.raised:
		return alreadyRaised
	}
	s.ch = make(chan struct{})
	return s.ch
}

func (s *signal) raise() {
	if !s.raised && s.ch != nil {
		close(s.ch)
	}
	s.raised = true
}
