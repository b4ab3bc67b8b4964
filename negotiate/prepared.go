package negotiate

// A Preparer is a [Session] that can share its work with others: what one of them
// has made of a message, all of them that are alike may send. That is how a message
// for many connections is transformed once, and not for each.
//
// It is optional. The messages of a session that is none pass its Outgoing, one
// connection after the other. PreparedKey and SentPrepared are called as Outgoing is:
// by the goroutine that sends, so never beside it.
type Preparer interface {
	Session

	// PreparedKey tells which sessions are alike: those with keys that are equal
	// make the same of a message in Prepare. It must be comparable, and best depends
	// on nothing but what was agreed on and the options.
	PreparedKey() any

	// Prepare is [Session.Outgoing] without a memory: what it makes can be
	// understood whatever was sent before, and the session is afterwards as it was.
	// It may be called beside any other method but Close.
	Prepare(dst []byte, m Message) (out []byte, bits Reserved, transformed bool, err error)

	// SentPrepared tells that m is the next message to go out, as a Prepare of a
	// session that is alike has transformed it. What the peer remembers of m this
	// session has to know too. It is not called for what Prepare left as it was.
	SentPrepared(m Message)
}

// PreparedKey returns the key of [Preparer] for messages that pass the pipeline. It
// reports false where every message has to pass it by itself: where a session is no
// Preparer, or where there are several sessions. A nil pipeline has the key nil.
func (p *Pipeline) PreparedKey() (key any, ok bool) {
	if p == nil {
		return nil, true
	}
	s, ok := p.preparer()
	if !ok {
		return nil, false
	}
	return s.PreparedKey(), true
}

// Prepare is [Preparer.Prepare] through the pipeline, of which PreparedKey has
// reported true.
func (p *Pipeline) Prepare(dst []byte, m Message) (out []byte, bits Reserved, transformed bool, err error) {
	s, ok := p.preparer()
	if !ok {
		return dst, 0, false, nil
	}
	m.Reserved = 0
	out, bits, transformed, err = s.Prepare(dst, m)
	return p.stages[0].hold(dst, out, bits, transformed, err)
}

// SentPrepared is [Preparer.SentPrepared] for the pipeline.
func (p *Pipeline) SentPrepared(m Message) {
	if s, ok := p.preparer(); ok {
		s.SentPrepared(m)
	}
}

// preparer returns the one session there is, if it is a Preparer.
func (p *Pipeline) preparer() (Preparer, bool) {
	if p == nil || len(p.stages) != 1 {
		return nil, false
	}
	s, ok := p.stages[0].session.(Preparer)
	return s, ok
}
