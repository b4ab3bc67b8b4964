package conformance

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The drafts before the RFC. Nobody has to speak them: a server that refuses
// them does not implement this group.
var (
	ruleHixie75      = Rule{"draft-hixie-thewebsocketprotocol-75", "4 and 5", "The server answers with 101 Web Socket Protocol Handshake, WebSocket-Origin and WebSocket-Location; text is sent as 0x00, UTF-8, 0xFF."}
	ruleHixie76      = Rule{"draft-hixie-thewebsocketprotocol-76", "5.2", "The challenge is each key's number, divided by its spaces, as a big-endian 32-bit integer, and the eight bytes that follow the request. The answer is its MD5."}
	ruleHixieKeys    = Rule{"draft-hixie-thewebsocketprotocol-76", "5.2", "“If either /spaces_1/ or /spaces_2/ is zero, then abort the WebSocket connection.” “If /key-number_1/ is not an integral multiple of /spaces_1/, then abort the WebSocket connection.” The same holds for the second key."}
	ruleHixieClose   = Rule{"draft-hixie-thewebsocketprotocol-76", "5.3", "A frame of type 0xFF and length 0 ends the connection; the answer is 0xFF 0x00, if that was not sent before."}
	ruleHixieDiscard = Rule{"draft-hixie-thewebsocketprotocol-76", "5.3", "After a frame type with the high-order bit set comes a length, and that many bytes, which are discarded."}
)

// hixie is a handshake of one of the two drafts.
type hixie struct {
	keys  []string // two of them for draft 76
	body  string
	edits []edit
}

var (
	draft75 = hixie{}
	draft76 = hixie{keys: []string{"4 @1  46546xW%0l 1 5", "12998 5 Y3 1  .P00"}, body: "^n:ds[4U"}
)

func (h hixie) head(s *session) []byte {
	m := message{line: "GET " + s.target.path + " HTTP/1.1", fields: []field{
		{"Host", s.target.host}, {"Connection", "Upgrade"}, {"Upgrade", "WebSocket"}, {"Origin", "http://" + s.target.host},
	}}
	for i, k := range h.keys {
		m.fields = append(m.fields, field{fmt.Sprintf("Sec-WebSocket-Key%d", i+1), k})
	}
	return m.changed(h.edits).bytes()
}

func hixieCases() []Case {
	var cases []Case
	for _, v := range []struct {
		name string
		h    hixie
		rule Rule
	}{{"75", draft75, ruleHixie75}, {"76", draft76, ruleHixie76}} {
		for _, n := range []int{0, 1, 125, 126, 1000, 65536} {
			cases = append(cases, Case{
				ID: fmt.Sprintf("%s.text.%d", v.name, n), Title: fmt.Sprintf("a text of %d bytes", n), Rule: v.rule,
				steps: plan(v.h.opens(0), hixieSends(0, letters(n)), hixieEchoes(letters(n))),
			})
		}
		cases = append(cases, Case{
			ID: v.name + ".text.utf8", Title: "text in several scripts", Rule: v.rule,
			steps: plan(v.h.opens(0), hixieSends(0, "κόσμε 視野 👋"), hixieEchoes("κόσμε 視野 👋")),
		}, Case{
			ID: v.name + ".text.chunk1", Title: "text and handshake in single bytes", Rule: v.rule,
			steps: plan(v.h.opens(1), hixieSends(1, "Hello"), hixieEchoes("Hello")),
		}, Case{
			ID: v.name + ".text.pipelined", Title: "three texts in one write", Rule: v.rule,
			steps: plan(v.h.opens(0), hixieSends(0, "a", "", "c"), hixieEchoes("a"), hixieEchoes(""), hixieEchoes("c")),
		}, Case{
			ID: v.name + ".discard", Title: "a frame with a length is discarded", Rule: ruleHixieDiscard,
			steps: plan(v.h.opens(0), sendsBytes("a frame of type 0x80 with 3 bytes", []byte("\x80\x03abc")), sendsBytes("one of 130 bytes", append([]byte{0x80, 0x81, 0x02}, letters(130)...)), hixieSends(0, "after"), hixieEchoes("after")),
		}, Case{
			ID: v.name + ".origin", Title: "the answer names origin and location", Rule: v.rule,
			steps: plan(v.h.opens(0), v.h.answerFields()),
		})
	}
	cases = append(cases, hixie76Cases()...)
	for i := range cases {
		cases[i].ID = "hixie." + cases[i].ID
		cases[i].Roles, cases[i].opening = Server, openingByHand
	}
	return cases
}

func hixie76Cases() []Case {
	refused := func(id, title string, first, second string) Case {
		h := hixie{keys: []string{first, second}, body: draft76.body}
		return Case{ID: "76.key." + id, Title: title, Rule: ruleHixieKeys, steps: plan(draft76.spoken(), h.refused())}
	}
	early := Step{Text: "send request, body and a text in one write", run: func(s *session) *finding {
		s.write(append(append(draft76.head(s), draft76.body...), "\x00early\xff"...))
		return draft76.readAnswer(s)
	}}
	late := Step{Text: "send the request, and its eight bytes a moment later", run: func(s *session) *finding {
		s.write(draft76.head(s))
		s.watchSilence()
		s.write([]byte(draft76.body))
		return draft76.readAnswer(s)
	}}
	return []Case{
		{ID: "76.body.late", Title: "the eight bytes come after the request", Rule: ruleHixie76, steps: plan(late, hixieSends(0, "Hello"), hixieEchoes("Hello"))},
		{ID: "76.body.early-text", Title: "a text in one write with the request", Rule: ruleHixie76, steps: plan(early, hixieEchoes("early"))},
		{ID: "76.close", Title: "the closing handshake", Rule: ruleHixieClose, steps: plan(draft76.opens(0), sendsBytes("0xff 0x00", []byte{0xff, 0x00}), hixieCloses())},
		{ID: "76.close.after-text", Title: "a text, then the closing handshake", Rule: ruleHixieClose, steps: plan(draft76.opens(0), hixieSends(0, "last"), hixieEchoes("last"), sendsBytes("0xff 0x00", []byte{0xff, 0x00}), hixieCloses())},
		refused("no-spaces", "a key without spaces", "4154654645", draft76.keys[1]),
		refused("no-spaces-second", "a second key without spaces", draft76.keys[0], "129985310"),
		refused("no-digits", "a key without digits", "a b c", draft76.keys[1]),
		refused("not-divisible", "a key whose number is no multiple of its spaces", "1 0 0 1", draft76.keys[1]),
		refused("too-large", "a key whose number is above 32 bits", "99999999999 9", draft76.keys[1]),
		refused("empty", "an empty key", "", draft76.keys[1]),
	}
}

// watchSilence waits a moment for bytes that should not come yet.
func (s *session) watchSilence() {
	deadline, _ := s.ctx.Deadline()
	_ = s.conn.SetReadDeadline(time.Now().Add(s.times.Quiet / 2))
	_, _ = s.reader.Peek(1)
	_ = s.conn.SetReadDeadline(deadline)
}

// opens does the handshake, chunk bytes a write.
func (h hixie) opens(chunk int) Step {
	return Step{Text: "open by the draft's handshake, " + writesOf(chunk), run: func(s *session) *finding {
		b := append(h.head(s), h.body...)
		if chunk == 0 {
			chunk = len(b)
		}
		for part := range slices.Chunk(b, chunk) {
			s.write(part)
		}
		return h.readAnswer(s)
	}}
}

// spoken asks first, on a connection of its own, whether the server speaks the
// draft at all: only then does a refusal of bad keys mean anything.
func (h hixie) spoken() Step {
	return Step{Text: "see on another connection that the draft is spoken", run: func(s *session) *finding {
		conn, err := dial(s.ctx, s.target, Options{TLS: s.tls})
		if err != nil {
			return found(Undecided, "no second connection: %v", err)
		}
		other := newSession(Server, conn, Options{Timeouts: s.times})
		other.target, other.ctx = s.target, s.ctx
		defer other.close()
		if deadline, ok := s.ctx.Deadline(); ok {
			_ = conn.SetDeadline(deadline)
		}
		return h.opens(0).run(other)
	}}
}

func (h hixie) readAnswer(s *session) *finding {
	if f := s.readResponse(); f != nil {
		return found(Unimplemented, "the server does not speak this draft: %s", f.text)
	}
	if s.response.status() != 101 || !strings.EqualFold(s.response.get("Upgrade"), "websocket") {
		return found(Unimplemented, "the server does not speak this draft: %s", s.response.line)
	}
	if len(h.keys) == 0 {
		return nil
	}
	var got [16]byte
	if _, err := io.ReadFull(s.reader, got[:]); err != nil {
		return failure("the 16 bytes of the answer did not come: %v", err)
	}
	if want := h.challenge(); got != want {
		return failure("the answer was %x, want %x", got, want)
	}
	return nil
}

func (h hixie) challenge() [16]byte {
	var b []byte
	for _, k := range h.keys {
		digits, spaces := "", 0
		for _, r := range k {
			switch {
			case r >= '0' && r <= '9':
				digits += string(r)
			case r == ' ':
				spaces++
			}
		}
		n, _ := strconv.ParseUint(digits, 10, 64)
		b = binary.BigEndian.AppendUint32(b, uint32(n/uint64(max(spaces, 1))))
	}
	return md5.Sum(append(b, h.body...))
}

func (h hixie) answerFields() Step {
	prefix := ""
	if len(h.keys) > 0 {
		prefix = "Sec-"
	}
	return Step{Text: "expect " + prefix + "WebSocket-Origin and -Location", kind: expectation, run: func(s *session) *finding {
		origin, location := s.response.get(prefix+"WebSocket-Origin"), s.response.get(prefix+"WebSocket-Location")
		if origin != "http://"+s.target.host || location != s.target.String() {
			return failure("origin was %q and location %q, want %q and %q", origin, location, "http://"+s.target.host, s.target.String())
		}
		return nil
	}}
}

func hixieSends(chunk int, texts ...string) Step {
	var b []byte
	for _, t := range texts {
		b = append(append(append(b, 0x00), t...), 0xff)
	}
	return Step{Text: fmt.Sprintf("send %d texts as 0x00 ... 0xff, %s", len(texts), writesOf(chunk)), run: func(s *session) *finding {
		size := chunk
		if size == 0 {
			size = len(b)
		}
		for part := range slices.Chunk(b, size) {
			s.write(part)
		}
		return nil
	}}
}

func hixieEchoes(want string) Step {
	return Step{Text: "expect the echo " + bytesInBrief([]byte(want)), kind: expectation, run: func(s *session) *finding {
		b, err := readUntil(s.reader, 0xff, len(want)+mostHead)
		if err != nil {
			return failure("the echo did not come: %v", err)
		}
		if !bytes.Equal(b, []byte("\x00"+want+"\xff")) {
			return failure("the echo was %s", bytesInBrief(b))
		}
		return nil
	}}
}

func hixieCloses() Step {
	return Step{Text: "expect 0xff 0x00 and the end of the connection", kind: expectation, run: func(s *session) *finding {
		var b [2]byte
		if _, err := io.ReadFull(s.reader, b[:]); err != nil || b != [2]byte{0xff, 0x00} {
			return failure("the answer was %x (%v)", b, err)
		}
		if rest, err := s.reader.Peek(1); err == nil {
			return failure("%x came after the closing handshake", rest)
		}
		return nil
	}}
}

// refused expects that no handshake takes place.
func (h hixie) refused() Step {
	return Step{Text: "send the request; expect an HTTP error or the end of the connection", kind: expectation, run: func(s *session) *finding {
		s.write(append(h.head(s), h.body...))
		if f := s.readResponse(); f != nil {
			return nil
		}
		if s.response.status() == 101 {
			return failure("the request was accepted")
		}
		return nil
	}}
}
