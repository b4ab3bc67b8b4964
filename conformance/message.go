package conformance

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// field is one header field, in the order and spelling of the wire.
type field struct{ name, value string }

// message is the head of an HTTP request or response.
type message struct {
	line   string // the request line or the status line
	fields []field
}

// bytes writes the head, CR LF and all.
func (m message) bytes() []byte {
	var b strings.Builder
	b.WriteString(m.line + "\r\n")
	for _, f := range m.fields {
		b.WriteString(f.name + ": " + f.value + "\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// values returns every value of a field, split at commas.
func (m message) values(name string) []string {
	var list []string
	for _, f := range m.fields {
		if !strings.EqualFold(f.name, name) {
			continue
		}
		for _, v := range strings.Split(f.value, ",") {
			if v = strings.TrimSpace(v); v != "" {
				list = append(list, v)
			}
		}
	}
	return list
}

// get returns the first value of a field, whole.
func (m message) get(name string) string {
	for _, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// count returns how many fields have the name.
func (m message) count(name string) int {
	n := 0
	for _, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			n++
		}
	}
	return n
}

// contains reports whether one of the field's values is the token.
func (m message) contains(name, token string) bool {
	return slices.ContainsFunc(m.values(name), func(v string) bool { return strings.EqualFold(v, token) })
}

// status returns the status code of a response, or 0.
func (m message) status() int {
	parts := strings.SplitN(m.line, " ", 3)
	if len(parts) < 2 {
		return 0
	}
	code, err := strconv.Atoi(parts[1])
	if err != nil {
		return 0
	}
	return code
}

// target returns the request target of a request, or "".
func (m message) target() string {
	parts := strings.Split(m.line, " ")
	if len(parts) != 3 {
		return ""
	}
	return parts[1]
}

// edit changes the head of a request or response that is otherwise right.
type edit func(*message)

func without(name string) edit {
	return func(m *message) {
		m.fields = slices.DeleteFunc(m.fields, func(f field) bool { return strings.EqualFold(f.name, name) })
	}
}

// with replaces the value of a field, or adds the field.
func with(name, value string) edit {
	return func(m *message) {
		for i, f := range m.fields {
			if strings.EqualFold(f.name, name) {
				m.fields[i].value = value
				return
			}
		}
		m.fields = append(m.fields, field{name, value})
	}
}

// adding adds a field beside those of its name.
func adding(name, value string) edit {
	return func(m *message) { m.fields = append(m.fields, field{name, value}) }
}

// renaming spells a field name in another way.
func renaming(from, to string) edit {
	return func(m *message) {
		for i, f := range m.fields {
			if strings.EqualFold(f.name, from) {
				m.fields[i].name = to
			}
		}
	}
}

// line replaces a part of the first line.
func line(old, new string) edit {
	return func(m *message) { m.line = strings.Replace(m.line, old, new, 1) }
}

func (m message) changed(edits []edit) message {
	m.fields = slices.Clone(m.fields)
	for _, e := range edits {
		e(&m)
	}
	return m
}

const mostHead = 64 << 10

// readHead reads a head as the peer wrote it. It is lenient; the cases judge.
func readHead(r *bufio.Reader) (*message, error) {
	var m message
	total := 0
	for {
		line, err := readUntil(r, '\n', mostHead-total)
		if err == errEndless {
			return nil, errors.New("the head is longer than 64 KiB")
		}
		l := string(line)
		total += len(l)
		if err != nil {
			return nil, unexpectedEndOfHead(err, total)
		}
		l = strings.TrimSuffix(strings.TrimSuffix(l, "\n"), "\r")
		switch name, value, ok := strings.Cut(l, ":"); {
		case m.line == "":
			m.line = l
		case l == "":
			return &m, nil
		case !ok:
			return nil, fmt.Errorf("a header line has no colon: %q", l)
		default:
			m.fields = append(m.fields, field{name, strings.TrimSpace(value)})
		}
	}
}

var errEndless = errors.New("no end came in time")

// readUntil reads to the delimiter, at most so many bytes: one that never comes
// must not make the suite hold all that does.
func readUntil(r *bufio.Reader, delimiter byte, most int) ([]byte, error) {
	var b []byte
	for {
		part, err := r.ReadSlice(delimiter)
		b = append(b, part...)
		switch {
		case len(b) > most:
			return b, errEndless
		case err != bufio.ErrBufferFull:
			return b, err
		}
	}
}

func unexpectedEndOfHead(err error, bytesBefore int) error {
	if err == io.EOF && bytesBefore > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// acceptKey computes Sec-WebSocket-Accept (RFC 6455, 4.2.2, item 5.4).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
