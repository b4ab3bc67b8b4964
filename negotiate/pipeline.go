package negotiate

import "errors"

var (
	// ErrTooBig is in the chain of the error of [Session.Incoming] and
	// [Pipeline.Incoming] for a message over the limit (close code 1009).
	ErrTooBig = errors.New("negotiate: message too big")

	// ErrReserved is returned by [Pipeline.Incoming] for a message with a bit
	// that no extension agreed on owns (close code 1002; RFC 6455, section
	// 5.2), and by [Pipeline.Outgoing] if a session sets one that is not its.
	ErrReserved = errors.New("negotiate: reserved bit without an extension")
)

// A Pipeline is the sessions agreed on for one connection, in the order of the
// server's answer. Outgoing messages pass them in that order, incoming ones
// in reverse. A nil pipeline has no sessions and leaves messages as they are.
//
// "Should the extensions modify the data and/or framing, the order of
// operations on the data should be assumed to be the same as the order in which
// the extensions are listed in the server's response" (RFC 6455, section 9.1)
//
// Like a [Session], it may work on one outgoing and one incoming message at
// once.
type Pipeline struct {
	stages   []stage
	agreed   []Offer
	reserved Reserved
}

// A stage is a session and the bits it owns; no two stages own the same.
type stage struct {
	session Session
	bits    Reserved
}

// NewPipeline returns a pipeline of one session, for whoever agreed on the
// extension by other means than a handshake of this package.
func NewPipeline(agreed Offer, bits Reserved, s Session) *Pipeline {
	p := &Pipeline{}
	p.add(agreed, bits, s)
	return p
}

func (p *Pipeline) add(agreed Offer, bits Reserved, s Session) {
	p.stages = append(p.stages, stage{s, bits})
	p.agreed = append(p.agreed, agreed)
	p.reserved |= bits
}

// orNil returns nil for a pipeline without sessions.
func (p *Pipeline) orNil() *Pipeline {
	if len(p.stages) == 0 {
		return nil
	}
	return p
}

// Reserved returns the bits that frames may carry: those some session owns.
func (p *Pipeline) Reserved() Reserved {
	if p == nil {
		return 0
	}
	return p.reserved
}

// Agreed lists the extensions in the order outgoing messages pass them. It is
// not to be changed.
func (p *Pipeline) Agreed() []Offer {
	if p == nil {
		return nil
	}
	return p.agreed
}

// Outgoing is [Session.Outgoing] through all sessions. m.Reserved is not
// looked at.
func (p *Pipeline) Outgoing(dst []byte, m Message) (out []byte, bits Reserved, transformed bool, err error) {
	if p == nil {
		return dst, 0, false, nil
	}
	m.Reserved = 0
	if len(p.stages) == 1 {
		return p.stages[0].outgoing(dst, m)
	}
	for i := range p.stages {
		// Each appends to memory of its own: it reads what the one before made.
		next, set, changed, err := p.stages[i].outgoing(nil, m)
		if err != nil {
			return dst, 0, false, err
		}
		if changed {
			m.Data, bits, transformed = next, bits|set, true
		}
	}
	if transformed {
		dst = append(dst, m.Data...)
	}
	return dst, bits, transformed, nil
}

// Incoming is [Session.Incoming] through all sessions in reverse. Each sees the
// reserved bits that are its own. The limit holds after every session.
func (p *Pipeline) Incoming(dst []byte, m Message, limit int64) (out []byte, transformed bool, err error) {
	if m.Reserved&^p.Reserved() != 0 {
		return dst, false, ErrReserved
	}
	if p == nil {
		return dst, false, nil
	}
	if len(p.stages) == 1 {
		return p.stages[0].incoming(dst, m, limit)
	}
	for i := len(p.stages) - 1; i >= 0; i-- {
		next, changed, err := p.stages[i].incoming(nil, m, limit)
		if err != nil {
			return dst, false, err
		}
		if changed {
			m.Data, transformed = next, true
		}
	}
	if transformed {
		dst = append(dst, m.Data...)
	}
	return dst, transformed, nil
}

// outgoing holds the session to the bits it owns.
func (s *stage) outgoing(dst []byte, m Message) (out []byte, bits Reserved, transformed bool, err error) {
	out, bits, transformed, err = s.session.Outgoing(dst, m)
	return s.hold(dst, out, bits, transformed, err)
}

// hold passes on what a session returned for dst, if the bits are its own.
func (s *stage) hold(dst, out []byte, bits Reserved, transformed bool, err error) ([]byte, Reserved, bool, error) {
	switch {
	case err != nil || !transformed:
		return dst, 0, false, err
	case bits&^s.bits != 0:
		return dst, 0, false, ErrReserved
	}
	return out, bits, true, nil
}

// incoming shows the session its own bits and holds it to the limit.
func (s *stage) incoming(dst []byte, m Message, limit int64) (out []byte, transformed bool, err error) {
	m.Reserved &= s.bits
	out, transformed, err = s.session.Incoming(dst, m, limit)
	switch {
	case err != nil || !transformed:
		return dst, false, err
	case int64(len(out)-len(dst)) > limit:
		return dst, false, ErrTooBig
	}
	return out, true, nil
}

// Close closes all sessions.
func (p *Pipeline) Close() {
	if p == nil {
		return
	}
	for _, s := range p.stages {
		s.session.Close()
	}
}

// appendField appends the Sec-WebSocket-Extensions header; nothing without
// sessions.
func (p *Pipeline) appendField(dst []byte) []byte {
	if p == nil {
		return dst
	}
	dst = append(dst, "Sec-WebSocket-Extensions: "...)
	return append(AppendExtensions(dst, p.agreed), "\r\n"...)
}
