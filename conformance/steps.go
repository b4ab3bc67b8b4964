package conformance

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// sends writes frames in one write.
func sends(frames ...frame) Step { return sendsChunked(0, frames...) }

// sendsChunked writes frames, chunk bytes at a time.
func sendsChunked(chunk int, frames ...frame) Step {
	title := "send " + describeFrames(frames)
	if chunk > 0 {
		title += fmt.Sprintf(", %d bytes a write", chunk)
	}
	return Step{Text: title, run: func(s *session) *finding {
		s.send(chunk, frames...)
		return nil
	}}
}

// sendsBytes writes bytes that are no whole frames.
func sendsBytes(what string, b []byte) Step {
	return Step{Text: "send " + what, run: func(s *session) *finding {
		s.write(b)
		return nil
	}}
}

func describeFrames(frames []frame) string {
	const most = 8
	var parts []string
	for _, f := range frames[:min(len(frames), most)] {
		parts = append(parts, f.String())
	}
	if len(frames) > most {
		parts = append(parts, fmt.Sprintf("and %d more", len(frames)-most))
	}
	return strings.Join(parts, "; ")
}

// echoes expects one message, equal to what was sent.
func echoes(opcode byte, payload string) Step {
	return Step{
		Text: fmt.Sprintf("expect the echo: %s %s", opcodeName(opcode), bytesInBrief([]byte(payload))),
		kind: expectation,
		run: func(s *session) *finding {
			return s.expectMessage(opcode, []byte(payload))
		},
	}
}

func (s *session) expectMessage(opcode byte, payload []byte) *finding {
	if f := s.await("echo", func() bool { return len(s.messages) > 0 || s.over() }); f != nil {
		return f
	}
	if len(s.messages) == 0 {
		return s.missing("the echo", len(payload))
	}
	got := s.messages[0]
	s.messages = s.messages[1:]
	s.held.Add(-int64(got.cost))
	if got.opcode != opcode {
		return failure("the echo of a %s message came as %s", opcodeName(opcode), opcodeName(got.opcode))
	}
	if !bytes.Equal(got.payload, payload) {
		return failure("the echo differs: sent %s, received %s", bytesInBrief(payload), bytesInBrief(got.payload))
	}
	return nil
}

// missing judges a connection that ended where an answer was due. A peer may
// limit the size and the number of fragments of a message (RFC 6455, 10.4), and
// says so with 1009 or 1008.
func (s *session) missing(what string, size int) *finding {
	if s.closed != nil && (s.closed.code == 1009 || s.closed.code == 1008) && size >= 32<<10 {
		return found(Informational, "the peer does not take messages of this size or form: it closed with %d", s.closed.code)
	}
	return failure("%s was due, and %s came", what, s.ending())
}

// pongs expects the pong to the last of these pings; the ones before may have
// been answered by it as well (RFC 6455, 5.5.3).
func pongs(payloads ...string) Step {
	last := payloads[len(payloads)-1]
	return Step{
		Text: fmt.Sprintf("expect the pong %s", bytesInBrief([]byte(last))),
		kind: expectation,
		run:  func(s *session) *finding { return s.expectPong(last) },
	}
}

func (s *session) expectPong(payload string) *finding {
	answered := func() bool {
		return slices.ContainsFunc(s.pongs, func(e event) bool { return string(e.payload) == payload })
	}
	f := s.await("pong", func() bool { return answered() || len(s.stray) > 0 || s.over() })
	switch {
	case f != nil:
		return f
	case answered():
		return nil
	case len(s.stray) > 0:
		return failure("the pong carried %s, the ping %s", bytesInBrief(s.stray[0].payload), bytesInBrief([]byte(payload)))
	}
	return s.missing("a pong", 0)
}

// fails expects the peer to fail the connection with one of these codes, and
// to deliver nothing.
func fails(codes ...int) Step { return failsAfter(nil, codes...) }

// failsAfter is fails, where the peer may have echoed these messages first.
func failsAfter(echoed []frame, codes ...int) Step {
	title := "expect the connection to be failed with " + anyOf(codes)
	if len(echoed) > 0 {
		title += ", after the echo of what came before or without it"
	}
	return Step{Text: title, kind: expectation, run: func(s *session) *finding {
		return s.expectFailure(echoed, codes)
	}}
}

func anyOf(codes []int) string {
	words := make([]string, len(codes))
	for i, c := range codes {
		words[i] = fmt.Sprint(c)
	}
	return strings.Join(words, " or ")
}

func (s *session) expectFailure(echoed []frame, codes []int) *finding {
	tooMany := func() bool { return len(s.messages) > len(echoed) }
	if s.watch(s.times.Quiet, func() bool { return tooMany() || s.over() }) == tooLate {
		s.probe()
		s.watch(s.times.Reply, func() bool { return tooMany() || s.over() || s.probeAnswered() })
	}
	if f := s.echoedOnly(echoed); f != nil {
		return f
	}
	switch {
	case s.wrong != nil:
		return failure("%s", s.wrong.rule)
	case s.probeAnswered():
		return failure("the peer carried on: it answered a later ping in place of failing the connection")
	case !s.over():
		return failure("the peer neither failed the connection nor answered a later ping")
	}
	return s.judgeFailure(codes)
}

// judgeFailure weighs how the peer failed the connection. RFC 6455, 7.1.7: an
// endpoint "SHOULD send a Close frame with an appropriate status code".
func (s *session) judgeFailure(codes []int) *finding {
	switch {
	case s.closed == nil:
		s.lower(NotStrict, "the peer failed the connection without a Close frame (RFC 6455, 7.1.7: it SHOULD send one)")
	case slices.Contains(codes, s.closed.code):
	case s.closed.code == 1000 || s.closed.code == 1001:
		return failure("the peer closed with %d, which says that all is well, in place of %s", s.closed.code, anyOf(codes))
	default:
		s.lower(NotStrict, "the peer failed the connection with %v in place of %s", s.closed, anyOf(codes))
	}
	return nil
}

// echoedOnly fails when the peer delivered more than it may have.
func (s *session) echoedOnly(allowed []frame) *finding {
	for i, got := range s.messages {
		if i >= len(allowed) {
			return failure("the peer delivered %v in place of failing the connection", got)
		}
		if got.opcode != allowed[i].opcode || !bytes.Equal(got.payload, allowed[i].payload) {
			return failure("the peer delivered %v, which was not sent", got)
		}
	}
	if len(s.messages) < len(allowed) && s.over() {
		s.note("what came before the fault was not echoed")
	}
	s.messages = nil
	return nil
}

// probe asks, with a ping of its own, whether the peer is still there.
func (s *session) probe() {
	s.probes++
	s.send(0, ping(probePayload))
}

const probePayload = "are you still there?"

func (s *session) probeAnswered() bool {
	return s.probes > 0 && slices.ContainsFunc(s.pongs, func(e event) bool { return string(e.payload) == probePayload })
}

// droppedAfter expects the peer to end the connection, with a Close frame or
// without one: where the RFC only says that it MUST close. The peer may have
// echoed these messages first.
func droppedAfter(echoed []frame, codes ...int) Step {
	return Step{Text: "expect the connection to be closed, with " + anyOf(codes) + " or without a Close frame", kind: expectation,
		run: func(s *session) *finding {
			verdict, reason := s.verdict, s.reason
			f := s.expectFailure(echoed, codes)
			if f == nil && s.closed == nil {
				s.verdict, s.reason = verdict, reason
				s.note("the connection was ended without a Close frame, as it may be")
			}
			return f
		}}
}

// leftOpen runs an expectation whose failure breaks no rule, and records it.
// What no peer may ever send stays a failure.
func leftOpen(s Step) Step {
	inner := s.run
	s.Text += "; or not"
	s.run = func(s *session) *finding {
		f := inner(s)
		if f == nil || s.wrong != nil {
			return f
		}
		return found(Informational, "%s", f.text)
	}
	return s
}

// pauses watches for the peer's reaction for a moment and notes it under the
// given words: what was on the wire when the peer failed the connection.
func pauses(words string) Step {
	return Step{Text: "wait a moment: has the connection been failed " + words + "?", run: func(s *session) *finding {
		if s.over() {
			return nil
		}
		s.watch(s.times.Quiet/2, s.over)
		if s.over() {
			s.note("failed %s", words)
		}
		return nil
	}}
}

// closeReply expects a Close frame in answer to the suite's own. The codes in
// exact pass; another that may be sent is not strict.
func closeReply(exact ...int) Step {
	return Step{Text: "expect a Close frame in answer, with " + codesOrNone(exact), kind: expectation,
		run: func(s *session) *finding {
			if f := s.await("Close frame", s.over); f != nil {
				return f
			}
			if s.closed == nil {
				return failure(`no Close frame answered (RFC 6455, 5.5.1: "the endpoint MUST send a Close frame in response"): %s`, s.ending())
			}
			if !slices.Contains(exact, s.closed.code) {
				s.lower(NotStrict, "the answer was %v in place of %s", s.closed, codesOrNone(exact))
			}
			return nil
		}}
}

func codesOrNone(codes []int) string {
	words := make([]string, len(codes))
	for i, c := range codes {
		words[i] = fmt.Sprint(c)
		if c == 0 {
			words[i] = "no code"
		}
	}
	return strings.Join(words, " or ")
}

// silentUntilEnd expects nothing more but the end of the connection, which the
// server brings about (RFC 6455, 7.1.1).
func silentUntilEnd() Step {
	return Step{Text: "expect nothing more, and the end of the connection", kind: expectation,
		run: func(s *session) *finding {
			if s.role == Client {
				s.closeWrite()
			}
			late := s.watch(s.times.Reply, func() bool { return s.ended != nil || len(s.messages) > 0 })
			switch {
			case s.wrong != nil:
				return failure("%s", s.wrong.rule)
			case len(s.messages) > 0:
				return failure("%v came after the closing handshake", s.messages[0])
			case late == tooLate:
				s.lower(NotStrict, "the TCP connection stayed open after the closing handshake (RFC 6455, 7.1.1: the server SHOULD close it first)")
			}
			return nil
		}}
}

// closeWrite ends the suite's half of the connection, where it has halves.
func (s *session) closeWrite() {
	type halfCloser interface{ CloseWrite() error }
	conn := s.conn
	if r, ok := conn.(recordingConn); ok {
		conn = r.Conn
	}
	if h, ok := conn.(halfCloser); ok {
		if err := h.CloseWrite(); err != nil {
			s.log.remark("ending the write side: %v", err)
		}
	}
}

// finish ends a case whose rule is decided: it closes in good order and sees
// that nothing came that nobody asked for.
func (s *session) finish() *finding {
	if s.closing == "" {
		s.send(0, closing(1000, ""))
	}
	late := s.watch(s.times.Reply/2, s.over)
	switch {
	case s.wrong != nil:
		return failure("%s", s.wrong.rule)
	case len(s.messages) > 0:
		return failure("the peer sent %v, which answers nothing", s.messages[0])
	case late == tooLate:
		s.note("the closing handshake was not answered at the end of the case")
	}
	if len(s.stray) > 0 {
		s.lower(NotStrict, "the peer sent %v, which answers no ping", s.stray[0])
	}
	return nil
}
