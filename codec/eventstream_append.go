package codec

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// An EventFieldError is returned for an event that the format can not carry as
// it is. Nothing of it was written.
type EventFieldError struct {
	Field  string // "Type", "ID", "ClearID" or "Retry"
	Reason string // what is wrong with it
}

func (e *EventFieldError) Error() string {
	return fmt.Sprintf("websocket: event %s %s", e.Field, e.Reason)
}

// AppendEvent appends the event as one block of an event stream. Exactly one
// event comes out at the other end: one without Data is an event with empty
// data. On error dst is returned as it was, with an [*EventFieldError]: CR, LF,
// NUL and invalid UTF-8 have no place in a Type or ID. The format takes more as an
// ID than what can come back as the Last-Event-ID of a request, which is what it is
// for; so refused are also other control characters but tab, a space or tab at
// either end, and more than MaxEventIDSize bytes.
//
// Data may be any text. CRLF, CR and LF all arrive as LF, and what is not UTF-8
// arrives as U+FFFD.
func AppendEvent(dst []byte, e Event) ([]byte, error) {
	if err := checkEvent(e); err != nil {
		return dst, err
	}
	if e.Type != "" && e.Type != "message" {
		dst = append(dst, "event: "...)
		dst = append(dst, e.Type...)
		dst = append(dst, '\n')
	}
	switch {
	case e.ClearID:
		dst = append(dst, "id:\n"...)
	case e.ID != "":
		dst = append(dst, "id: "...)
		dst = append(dst, e.ID...)
		dst = append(dst, '\n')
	}
	dst = appendLines(dst, "data: ", e.Data)
	return append(dst, '\n'), nil
}

// EventSize is how many bytes AppendEvent appends for an event that it does not
// refuse, found without making them. What is beyond an int is the largest int.
func EventSize(e Event) int {
	lf, cr, crlf := int64(strings.Count(e.Data, "\n")), int64(strings.Count(e.Data, "\r")), int64(0)
	if cr > 0 {
		crlf = int64(strings.Count(e.Data, "\r\n"))
	}
	const lineEnd = int64(len("\ndata: ")) // of which lf and cr count a byte
	size := int64(len("data: \n\n")) + int64(len(e.Data)) + (lf+cr)*(lineEnd-1) - crlf*lineEnd
	if e.Type != "" && e.Type != "message" {
		size += int64(len("event: \n")) + int64(len(e.Type))
	}
	switch {
	case e.ClearID:
		size += int64(len("id:\n"))
	case e.ID != "":
		size += int64(len("id: \n")) + int64(len(e.ID))
	}
	return int(min(size, math.MaxInt))
}

// AppendComment appends text as a comment, one line of it each, which a receiver
// ignores. Proxies are known to drop silent connections: "To protect against such
// proxy servers, authors can include a comment line (one starting with a ':'
// character) every 15 seconds or so." (WHATWG HTML, section 9.2.7)
func AppendComment(dst []byte, text string) []byte {
	return append(appendLines(dst, ": ", text), '\n')
}

// AppendRetry appends a retry field: how long the receiver is to wait before it
// connects again, rounded up to milliseconds. On error, for a negative time, dst
// is returned as it was.
func AppendRetry(dst []byte, d time.Duration) ([]byte, error) {
	if d < 0 {
		return dst, &EventFieldError{Field: "Retry", Reason: "is negative"}
	}
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		ms++
	}
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, ms, 10)
	return append(dst, "\n\n"...), nil
}

func checkEvent(e Event) error {
	if reason := checkValue(e.Type); reason != "" {
		return &EventFieldError{Field: "Type", Reason: reason}
	}
	if reason := cmp.Or(checkValue(e.ID), checkHeaderValue(e.ID)); reason != "" {
		return &EventFieldError{Field: "ID", Reason: reason}
	}
	if e.ClearID && e.ID != "" {
		return &EventFieldError{Field: "ClearID", Reason: "is set together with an ID"}
	}
	return nil
}

// checkValue says what keeps s from being the value of one line.
func checkValue(s string) string {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\r', '\n':
			return "contains a line end"
		case 0:
			return "contains NUL"
		}
	}
	if !utf8.ValidString(s) {
		return "is not UTF-8"
	}
	return ""
}

// checkHeaderValue says what keeps s from being the value of a header field, as it is
// (RFC 9110, section 5.5), for those who get it to send it back.
func checkHeaderValue(s string) string {
	if len(s) > MaxEventIDSize {
		return fmt.Sprintf("has more than %d bytes", MaxEventIDSize)
	}
	if strings.Trim(s, " \t") != s {
		return "starts or ends with a space or tab"
	}
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return "contains a control character"
		}
	}
	return ""
}

// appendLines appends each line of s with the prefix; an empty s is one line.
func appendLines(dst []byte, prefix, s string) []byte {
	lf, cr := -1, -1
	for off := 0; ; {
		if lf < off {
			lf = indexStringFrom(s, off, '\n')
		}
		if cr < off {
			cr = indexStringFrom(s, off, '\r')
		}
		end := min(lf, cr)
		dst = append(dst, prefix...)
		dst = append(dst, s[off:end]...)
		dst = append(dst, '\n')
		if end == len(s) {
			return dst
		}
		off = end + 1
		if off < len(s) && cr == end && lf == off {
			off++
		}
	}
}

func indexStringFrom(s string, from int, c byte) int {
	if i := strings.IndexByte(s[from:], c); i >= 0 {
		return from + i
	}
	return len(s)
}
