package negotiate

// An Interrupter is a [Session] whose work can be cut short. A peer may send a message
// that takes long to undo, and a large one takes long to transform: without it whoever
// gives a connection up waits for that.
//
// It is optional. What a session that is none has begun is waited for.
type Interrupter interface {
	Session

	// Interrupt has the Outgoing and the Incoming that are under way, and all later
	// ones, return soon, with an error of any kind: nobody looks at what they return
	// any more. It does not wait for them. It may be called by any goroutine, at any
	// time, also after Close, and more than once.
	Interrupt()
}

// Interrupt interrupts all sessions that are an [Interrupter].
func (p *Pipeline) Interrupt() {
	if p == nil {
		return
	}
	for _, s := range p.stages {
		if i, ok := s.session.(Interrupter); ok {
			i.Interrupt()
		}
	}
}
