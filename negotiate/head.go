package negotiate

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// DefaultMaxHeaderBytes is the limit on the head of a response where the
// options say none: 64 KiB.
const DefaultMaxHeaderBytes = 64 << 10

// A head is the status line and headers of a response. Of the headers it has those of
// the handshake; few ask for the others.
type head struct {
	minor  int // of the HTTP version 1.x
	status int
	fields string // the header lines, all well-formed

	upgrade, accept, subprotocol soleField
	upgrades                     bool // Connection lists it
	extensions                   []string
}

// A soleField is a header that must not occur twice.
type soleField struct {
	lines int
	value string // of the last line
}

func (f *soleField) note(value string) {
	f.lines++
	f.value = value
}

// note takes over what the handshake looks at.
func (h *head) note(name, value string) {
	switch {
	case equalFold(name, "Upgrade"):
		h.upgrade.note(value)
	case equalFold(name, "Connection"):
		h.upgrades = h.upgrades || listHas(value, "upgrade")
	case equalFold(name, "Sec-WebSocket-Accept"):
		h.accept.note(value)
	case equalFold(name, "Sec-WebSocket-Protocol"):
		h.subprotocol.note(value)
	case equalFold(name, "Sec-WebSocket-Extensions"):
		h.extensions = append(h.extensions, value)
	}
}

// A fault is what is wrong with a head: the rule and a few words.
type fault struct {
	section, reason string
	err             error
}

// failure makes the error of it: the answer is not taken for HTTP.
func (f *fault) failure() *ResponseError {
	return &ResponseError{Section: f.section, Reason: f.reason, Err: f.err}
}

var (
	faultTooBig = &fault{"", "the head of the response is too big", ErrHeaderTooBig}
	faultNoHTTP = &fault{"RFC 9112, section 4", "the answer is not HTTP/1.1", nil}
	faultLine   = &fault{"RFC 9112, section 2.2", "a line of the head does not end with CR LF", nil}
	faultStatus = &fault{"RFC 9112, section 4", "the status line is malformed", nil}
	faultField  = &fault{"RFC 9112, section 5", "a header line is malformed", nil}
)

// A headReader finds the heads at the beginning of a buffer that grows. Each
// byte is looked at once, however many calls bring it.
//
// Invariant: start <= line <= scanned <= len(b) of the last call.
type headReader struct {
	limit   int // on all heads together; DefaultMaxHeaderBytes if less than 1
	start   int // of the head looked for
	line    int // start of the line looked at
	scanned int // no line ends before it, from line on
}

// next returns the first final response in b and where it ends. Interim
// responses before it are skipped.
//
// "A client MUST be able to parse one or more 1xx responses received prior to
// a final response, even if the client does not expect one" (RFC 9110, section
// 15.2). 101 is final here: the protocol changes after it.
func (r *headReader) next(b []byte) (head, int, *fault, error) {
	for {
		end, f := r.scan(b)
		if f != nil || end == 0 {
			return head{}, 0, f, ErrNeedMore
		}
		h, f := parseHead(string(b[r.start:end]))
		if f != nil {
			return head{}, end, f, nil
		}
		if h.status >= 200 || h.status == http.StatusSwitchingProtocols {
			return h, end, nil, nil
		}
		r.start, r.line, r.scanned = end, end, end
	}
}

// scan returns the end of the head that begins at start, 0 while it is not
// there. Faults are told as soon as bytes show them, and the same ones for any
// division of the bytes into calls.
func (r *headReader) scan(b []byte) (end int, f *fault) {
	if !prefixOf(b[r.start:], "HTTP/1.") {
		return 0, faultNoHTTP
	}
	limit := r.most()
	for {
		i := bytes.IndexByte(b[r.scanned:], '\n')
		if i < 0 {
			r.scanned = len(b)
			if len(b) >= limit {
				return 0, faultTooBig
			}
			return 0, nil
		}
		end = r.scanned + i + 1
		if end > limit {
			return 0, faultTooBig
		}
		// A lone LF may end a line for one reader and not for the next.
		if end-r.line < 2 || b[end-2] != '\r' {
			return 0, faultLine
		}
		if end-r.line == 2 {
			return end, nil
		}
		r.line, r.scanned = end, end
	}
}

// most is the limit that holds.
func (r *headReader) most() int {
	if r.limit < 1 {
		return DefaultMaxHeaderBytes
	}
	return r.limit
}

// prefixOf reports whether b begins as prefix does, as far as it goes.
func prefixOf(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

// parseHead reads a whole head, the blank line included.
func parseHead(s string) (head, *fault) {
	line, fields, _ := strings.Cut(s, "\r\n")
	minor, status, ok := consumeStatus(line)
	if !ok {
		return head{}, faultStatus
	}
	h := head{minor: minor, status: status, fields: fields}
	if !eachField(fields, h.note) {
		return head{}, faultField
	}
	return h, nil
}

// consumeStatus reads a status line: "HTTP-version SP status-code SP [
// reason-phrase ]" (RFC 9112, section 4). The space before a reason that is
// empty is often left out.
func consumeStatus(line string) (minor, status int, ok bool) {
	if len(line) < len("HTTP/1.1 101") || line[:7] != "HTTP/1." || !isDigit(line[7]) || line[8] != ' ' {
		return 0, 0, false
	}
	for i := 9; i < 12; i++ {
		if !isDigit(line[i]) {
			return 0, 0, false
		}
		status = status*10 + int(line[i]-'0')
	}
	reason := line[12:]
	ok = status >= 100 && (reason == "" || reason[0] == ' ' && validValue(reason))
	return int(line[7] - '0'), status, ok
}

// eachField reads header lines, up to a blank one or to the end. It reports false for
// lines that are folded, have white space before the colon or control characters: they
// are read differently by different readers.
func eachField(s string, do func(name, value string)) bool {
	for s != "" {
		var line string
		line, s, _ = strings.Cut(s, "\r\n")
		if line == "" {
			return s == ""
		}
		name, value, found := strings.Cut(line, ":")
		value = trimSpace(value)
		if !found || !validToken(name) || !validValue(value) {
			return false
		}
		do(name, value)
	}
	return true
}

// fieldsOf gives the header lines, which are well-formed, by their names.
func fieldsOf(lines string) http.Header {
	fields := newFieldSet(lines)
	eachField(lines, func(name, value string) { fields.add(canonical(name), value) })
	return fields.header
}

// A fieldSet has headers by their names.
type fieldSet struct {
	header http.Header
	values []string // room for the values of as many: one allocation
}

// maxFieldsAhead is the most header lines that are made room for at once. A line may
// be four bytes, and the room for it a hundred.
const maxFieldsAhead = 64

// newFieldSet has room for all of the lines, where they are not too many.
func newFieldSet(lines string) fieldSet {
	n := min(strings.Count(lines, "\r\n"), maxFieldsAhead)
	return fieldSet{make(http.Header, n), make([]string, n)}
}

// add adds a value to those of a name, which is canonical.
func (f *fieldSet) add(name, value string) {
	if had := f.header[name]; had != nil {
		f.header[name] = append(had, value)
		return
	}
	if len(f.values) == 0 {
		f.header[name] = []string{value}
		return
	}
	f.values[0] = value
	f.header[name], f.values = f.values[:1:1], f.values[1:]
}

// canonical is http.CanonicalHeaderKey without the memory, for the names every
// handshake has.
func canonical(name string) string {
	switch name {
	case "Sec-WebSocket-Accept":
		return "Sec-Websocket-Accept"
	case "Sec-WebSocket-Key":
		return "Sec-Websocket-Key"
	case "Sec-WebSocket-Version":
		return "Sec-Websocket-Version"
	case "Sec-WebSocket-Protocol":
		return "Sec-Websocket-Protocol"
	case "Sec-WebSocket-Extensions":
		return "Sec-Websocket-Extensions"
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// bodyLength tells how much follows the head of an error response: bytes, or
// -1 for all there is.
//
// "If a message is received with both a Transfer-Encoding and a Content-Length
// header field, the Transfer-Encoding overrides the Content-Length" (RFC 9112,
// section 6.3)
func bodyLength(status int, header http.Header) (length int64, chunked bool) {
	codings := header["Transfer-Encoding"]
	if len(codings) > 0 {
		return -1, listContains(codings[len(codings)-1:], "chunked")
	}
	switch status {
	case http.StatusSwitchingProtocols, http.StatusNoContent, http.StatusNotModified:
		return 0, false
	}
	lengths := header["Content-Length"]
	if len(lengths) != 1 {
		return -1, false
	}
	n, err := strconv.ParseUint(lengths[0], 10, 63)
	if err != nil {
		return -1, false
	}
	return int64(n), false
}
