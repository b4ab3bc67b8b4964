package conformance

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

// Timeouts bound a run. The zero value means the default of each.
type Timeouts struct {
	Light time.Duration // one light case, all in all; default 10 s
	Heavy time.Duration // one heavy case, all in all; default 120 s
	Quiet time.Duration // how long silence is watched before the suite asks with a ping; default 250 ms
	Reply time.Duration // how long one answer to one step may take; default 4 s
}

func (t Timeouts) filled() Timeouts {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&t.Light, 10*time.Second)
	set(&t.Heavy, 120*time.Second)
	set(&t.Quiet, 250*time.Millisecond)
	set(&t.Reply, 4*time.Second)
	return t
}

// session is one case on one connection. The steps run in one goroutine; one
// more reads what the peer sends, so that neither side can block the other.
type session struct {
	ctx      context.Context
	role     Role // of the peer
	conn     net.Conn
	reader   *bufio.Reader
	log      *transcript
	times    Timeouts
	random   *rand.Rand
	target   target         // where the case was sent, when the peer is a server
	asked    *message       // the peer's request, when it is a client
	before   map[string]int // how often the client sent each key before, this time included
	tls      *tls.Config    // for further connections
	stream   *http2Stream   // what carries the session over HTTP/2
	short    string         // not empty: the run is short
	response *message       // the answer to the last request, when the peer is a server
	key      string         // the Sec-WebSocket-Key that was sent

	verdict  Verdict
	reason   string
	notes    []string
	zip      *agreement
	deflater *deflater

	most     int64        // that may be held, in bytes
	held     atomic.Int64 // bytes that came and that no step has taken
	events   chan event
	reading  chan struct{}
	messages []event
	pongs    []event
	closed   *event
	ended    *event
	wrong    *event
	pings    [][]byte // sent and not yet answered
	stray    []event  // pongs that answer nothing
	closing  string   // the suite has sent its Close frame
	keys     map[[4]byte]int
	probes   int
}

// lower makes the verdict worse, never better.
func (s *session) lower(v Verdict, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if v > s.verdict {
		s.verdict, s.reason = v, text
		return
	}
	s.note("%s", text)
}

func (s *session) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(s.notes, text) {
		s.notes = append(s.notes, text)
	}
}

// startFrames begins to read frames. It is called once, after the handshake.
func (s *session) startFrames() {
	s.events = make(chan event, 4096)
	s.reading = make(chan struct{})
	s.keys = make(map[[4]byte]int)
	a := &assembler{role: s.role, keys: s.keys}
	if s.zip != nil {
		a.inflate = s.zip.inflater(s.role)
	}
	go s.readFrames(a)
}

func (s *session) readFrames(a *assembler) {
	defer close(s.reading)
	for {
		f, err := readFrame(s.reader, s.most-s.held.Load())
		if err != nil {
			s.deliver(event{kind: gotEnd, err: err})
			return
		}
		s.log.remark("the peer sent %v", f)
		s.held.Add(int64(len(f.payload)) + frameCost)
		a.room = s.most - s.held.Load()
		e, broken := a.accept(f)
		if e.compressed != "" {
			s.held.Add(int64(len(e.payload)))
		}
		if s.held.Load() > s.most {
			broken = "the peer sent more than any case asks for"
		}
		if broken != "" {
			e = event{kind: gotViolation, rule: broken}
		}
		if e.kind == none {
			continue
		}
		s.deliver(e)
		if broken != "" {
			return
		}
	}
}

func (s *session) deliver(e event) {
	e.at = time.Since(s.log.start)
	select {
	case s.events <- e:
	case <-s.ctx.Done():
	}
}

// file puts an event where the steps look for it.
func (s *session) file(e event) {
	switch e.kind {
	case gotMessage:
		s.messages = append(s.messages, e)
	case gotPing:
		s.write(s.encode(pong(string(e.payload))))
	case gotPong:
		s.filePong(e)
	case gotClose:
		s.closed = &e
	case gotEnd:
		s.ended = &e
	case gotViolation:
		s.wrong = &e
	}
}

// filePong matches a pong with a ping. RFC 6455, 5.5.3: an endpoint "MAY elect
// to send a Pong frame for only the most recently processed Ping frame", so a
// pong answers every ping before its own as well.
func (s *session) filePong(e event) {
	for i, payload := range s.pings {
		if string(payload) == string(e.payload) {
			if i > 0 {
				s.note("%d pings were answered by the pong to a later one", i)
			}
			s.pings = s.pings[i+1:]
			s.pongs = append(s.pongs, e)
			return
		}
	}
	s.stray = append(s.stray, e)
}

// over reports that nothing more can come from the peer.
func (s *session) over() bool { return s.closed != nil || s.ended != nil || s.wrong != nil }

// waited is how a wait ended.
type waited int

const (
	reached waited = iota
	tooLate
)

// watch takes events until ready says so, the peer is done, or the time is up.
func (s *session) watch(limit time.Duration, ready func() bool) waited {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for !ready() {
		if s.ended != nil || s.wrong != nil {
			return reached
		}
		select {
		case e := <-s.events:
			s.file(e)
		case <-timer.C:
			return tooLate
		case <-s.ctx.Done():
			return tooLate
		}
	}
	return reached
}

// await is watch for a thing that must come: it fails the case when the peer
// broke a rule meanwhile, or when the time is up.
func (s *session) await(what string, ready func() bool) *finding {
	late := s.watch(s.times.Reply, ready)
	if s.wrong != nil {
		return failure("%s", s.wrong.rule)
	}
	if late == tooLate {
		return failure("no %s came in time", what)
	}
	return nil
}

// ending describes how the peer ended the connection.
func (s *session) ending() string {
	switch {
	case s.closed != nil:
		return s.closed.String()
	case s.ended != nil && errors.Is(s.ended.err, io.EOF):
		return "the end of the connection without a Close frame"
	case s.ended != nil:
		return fmt.Sprintf("the end of the connection without a Close frame (%v)", s.ended.err)
	}
	return "nothing"
}

// encode turns a frame into bytes, masked as the frame or the role says.
func (s *session) encode(f frame) []byte {
	return appendFrame(make([]byte, 0, len(f.payload)+14), f, s.maskFor(f))
}

func (s *session) maskFor(f frame) *[4]byte {
	switch {
	case f.mask == maskWithKey:
		return &f.key
	case f.mask == maskNever, f.mask == maskByRole && s.role == Client:
		return nil
	}
	var key [4]byte
	for i := range key {
		key[i] = byte(s.random.Uint32())
	}
	return &key
}

// write sends bytes. An error is no finding: a peer that fails the connection
// may do so while the suite still writes, and what it said first decides.
func (s *session) write(b []byte) {
	if _, err := s.conn.Write(b); err != nil {
		s.log.remark("writing: %v", err)
	}
}

// send writes frames, at most chunk bytes a write (0: all in one).
func (s *session) send(chunk int, frames ...frame) {
	var b []byte
	for _, f := range frames {
		s.account(f)
		b = append(b, s.encode(f)...)
	}
	if chunk <= 0 {
		chunk = len(b)
	}
	for len(b) > 0 && s.ctx.Err() == nil {
		n := min(chunk, len(b))
		s.write(b[:n])
		b = b[n:]
	}
}

// account remembers what a frame obliges the peer to.
func (s *session) account(f frame) {
	switch f.opcode {
	case opPing:
		s.pings = append(s.pings, f.payload)
	case opClose:
		s.closing = "sent"
	}
}
