package negotiate

import (
	"crypto/md5"
	"encoding/binary"
	"math"
	"net/http"
	"strings"
)

const (
	sectionHixie75 = "draft-hixie-thewebsocketprotocol-75, section 4.2"
	sectionHixie76 = "draft-hixie-thewebsocketprotocol-76, section 5.2"
)

// A hixieSite is what both drafts echo so that the client sees who answered.
type hixieSite struct{ origin, location string }

// newHixieSite reads the origin, which these drafts can not do without, and
// builds the URL that the client compares with its own.
func newHixieSite(r *http.Request, opts *ServerOptions, section string) (hixieSite, *Error) {
	origins := r.Header["Origin"]
	if len(origins) != 1 || origins[0] == "" || !validValue(origins[0]) {
		return hixieSite{}, badRequest(section, "the Origin header is missing, malformed or repeated")
	}
	u := requestURL(r, opts)
	location := u.String()
	if !validValue(location) {
		return hixieSite{}, badRequest(section, "the request's URL has control characters")
	}
	return hixieSite{origin: origins[0], location: location}, nil
}

// appendFields appends the headers that begin the answer of both drafts, in
// the order and to the letter that their clients compare.
func (s *hixieSite) appendFields(dst []byte, prefix string) []byte {
	dst = append(dst, "Upgrade: WebSocket\r\nConnection: Upgrade\r\n"...)
	dst = append(dst, prefix...)
	dst = appendField(dst, "WebSocket-Origin", s.origin)
	dst = append(dst, prefix...)
	return appendField(dst, "WebSocket-Location", s.location)
}

// A hixie75Reply is the answer of draft 75, without any proof.
type hixie75Reply struct{ hixieSite }

func newHixie75(r *http.Request, opts *ServerOptions) (reply, *Error) {
	site, e := newHixieSite(r, opts, sectionHixie75)
	if e != nil {
		return nil, e
	}
	return &hixie75Reply{site}, nil
}

func (h *hixie75Reply) appendStatusLine(dst []byte) []byte {
	return append(dst, "HTTP/1.1 101 Web Socket Protocol Handshake\r\n"...)
}

func (h *hixie75Reply) appendUpgrade(dst []byte) []byte { return h.appendFields(dst, "") }

func (h *hixie75Reply) appendProtocol(dst []byte, name string) []byte {
	return appendField(dst, "WebSocket-Protocol", name)
}

func (h *hixie75Reply) appendBody(dst []byte) []byte { return dst }

// A hixie76Reply is the answer of draft 76. Its body proves that the server
// read both keys and the eight bytes after the request.
type hixie76Reply struct {
	hixieSite
	numbers  [2]uint32
	answer   [md5.Size]byte
	answered bool
}

func newHixie76(r *http.Request, opts *ServerOptions) (reply, *Error) {
	site, e := newHixieSite(r, opts, sectionHixie76)
	if e != nil {
		return nil, e
	}
	h := &hixie76Reply{hixieSite: site}
	for i, name := range [...]string{"Sec-Websocket-Key1", "Sec-Websocket-Key2"} {
		keys := r.Header[name]
		if len(keys) != 1 {
			return nil, badRequest(sectionHixie76, "Sec-WebSocket-Key1 or -Key2 is missing or repeated")
		}
		number, ok := hixieNumber(keys[0])
		if !ok {
			return nil, badRequest(sectionHixie76, "Sec-WebSocket-Key1 or -Key2 is malformed")
		}
		h.numbers[i] = number
	}
	return h, nil
}

func (h *hixie76Reply) appendStatusLine(dst []byte) []byte {
	return append(dst, "HTTP/1.1 101 WebSocket Protocol Handshake\r\n"...)
}

func (h *hixie76Reply) appendUpgrade(dst []byte) []byte { return h.appendFields(dst, "Sec-") }

func (h *hixie76Reply) appendProtocol(dst []byte, name string) []byte {
	return appendField(dst, "Sec-WebSocket-Protocol", name)
}

func (h *hixie76Reply) appendBody(dst []byte) []byte { return append(dst, h.answer[:]...) }

// NeedsBody reports whether the response has to wait for [SetBody]: that is so
// for hixie-76, whose client sends eight bytes after the request's head, maybe
// later. No Content-Length announces them.
//
// [SetBody]: ServerHandshake.SetBody
func (h *ServerHandshake) NeedsBody() bool {
	r, ok := h.reply.(*hixie76Reply)
	return ok && !r.answered
}

// SetBody gives the eight bytes that followed the request's head, from which
// the response is made. For other versions than hixie-76 it does nothing.
func (h *ServerHandshake) SetBody(body [8]byte) {
	if r, ok := h.reply.(*hixie76Reply); ok {
		r.answer, r.answered = hixieAnswer(r.numbers, body), true
	}
}

// hixieAnswer is the MD5 sum of the challenge: both numbers as 32 bits, high
// byte first, and the eight bytes (draft 76, section 5.2, steps 7 and 8).
func hixieAnswer(numbers [2]uint32, body [8]byte) [md5.Size]byte {
	var challenge [16]byte
	binary.BigEndian.PutUint32(challenge[0:], numbers[0])
	binary.BigEndian.PutUint32(challenge[4:], numbers[1])
	copy(challenge[8:], body[:])
	return md5.Sum(challenge[:])
}

// hixieNumber returns the number hidden in a key of draft 76: its digits, read
// as one number of at most 32 bits, divided by its spaces. ok is false if there
// are no digits or no spaces, the number is too large or the division leaves a
// rest (section 5.2, steps 4 to 6).
func hixieNumber(key string) (number uint32, ok bool) {
	var product, spaces uint64
	digits := false
	for i := range len(key) {
		switch c := key[i]; {
		case c == ' ':
			spaces++
		case isDigit(c):
			digits = true
			product = product*10 + uint64(c-'0')
		}
		if product > math.MaxUint32 {
			return 0, false
		}
	}
	if !digits || spaces == 0 || product%spaces != 0 {
		return 0, false
	}
	return uint32(product / spaces), true
}

// hixieLists makes comma-separated lists of the drafts' lists of subprotocols,
// which have spaces between their names.
func hixieLists(lists []string) []string {
	commas := make([]string, len(lists))
	for i, list := range lists {
		commas[i] = strings.ReplaceAll(list, " ", ",")
	}
	return commas
}
