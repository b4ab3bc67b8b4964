package codec

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// reference is the standard word by word (WHATWG HTML, section 9.2.6), on a whole
// stream, with no thought of speed. Of this package's own is the limit of an id.
func reference(in []byte) (got parsed) {
	var data, typ, id string
	for _, line := range referenceLines(referenceDecode(in)) {
		field, value, colon := strings.Cut(line, ":")
		switch {
		// "If the line is empty (a blank line): Dispatch the event"
		case line == "":
			got.last = id
			if data != "" {
				if typ == "" {
					typ = "message"
				}
				got.events = append(got.events, Event{Type: typ, Data: strings.TrimSuffix(data, "\n"), ID: id})
			}
			data, typ = "", ""
			continue
		// "If the line starts with a U+003A COLON character (:): Ignore the line."
		case colon && field == "":
			continue
		}
		// "If value starts with a U+0020 SPACE character, remove it from value."
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			typ = value
		case "data":
			data += value + "\n"
		case "id":
			if !strings.Contains(value, "\x00") && len(value) <= MaxEventIDSize {
				id = value
			}
		case "retry":
			// "If the field value consists of only ASCII digits"
			if value != "" && strings.Trim(value, "0123456789") == "" {
				const most = uint64(1<<63-1) / uint64(time.Millisecond)
				ms, err := strconv.ParseUint(value, 10, 64)
				if err != nil {
					ms = most
				}
				got.retry, got.hasRetry = time.Duration(min(ms, most))*time.Millisecond, true
			}
		}
	}
	return got
}

// referenceLines are the lines that have an end: CRLF, LF or CR.
func referenceLines(s string) []string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	lines := strings.Split(s, "\n")
	return lines[:len(lines)-1]
}

// referenceDecode is "UTF-8 decode", with the decoder of Encoding, section 8.1.1,
// in its own words.
func referenceDecode(in []byte) string {
	var out strings.Builder
	var codePoint rune
	bytesSeen, bytesNeeded := 0, 0
	lower, upper := byte(0x80), byte(0xBF)
	for i := 0; i < len(in); i++ {
		c := in[i]
		if bytesNeeded == 0 {
			switch {
			case c <= 0x7F:
				out.WriteByte(c)
			case c >= 0xC2 && c <= 0xDF:
				bytesNeeded, codePoint = 1, rune(c&0x1F)
			case c >= 0xE0 && c <= 0xEF:
				if c == 0xE0 {
					lower = 0xA0
				}
				if c == 0xED {
					upper = 0x9F
				}
				bytesNeeded, codePoint = 2, rune(c&0xF)
			case c >= 0xF0 && c <= 0xF4:
				if c == 0xF0 {
					lower = 0x90
				}
				if c == 0xF4 {
					upper = 0x8F
				}
				bytesNeeded, codePoint = 3, rune(c&0x7)
			default:
				out.WriteString(rep)
			}
			continue
		}
		if c < lower || c > upper {
			codePoint, bytesNeeded, bytesSeen, lower, upper = 0, 0, 0, 0x80, 0xBF
			i-- // "Restore byte to ioQueue."
			out.WriteString(rep)
			continue
		}
		lower, upper = 0x80, 0xBF
		codePoint = codePoint<<6 | rune(c&0x3F)
		if bytesSeen++; bytesSeen == bytesNeeded {
			out.WriteRune(codePoint)
			codePoint, bytesNeeded, bytesSeen = 0, 0, 0
		}
	}
	if bytesNeeded != 0 {
		out.WriteString(rep)
	}
	return strings.TrimPrefix(out.String(), bom)
}

func wantReference(t *testing.T, in []byte, pieces ...[]byte) {
	t.Helper()
	if got, want := parse(0, pieces...), reference(in); !got.equal(want) {
		t.Fatalf("%q cut as %q\n got %+v\nwant %+v", in, pieces, got, want)
	}
}

func TestEventStreamVectorsReference(t *testing.T) {
	for _, v := range streamVectors {
		want := parsed{events: v.want, last: v.last, retry: v.retry, hasRetry: v.retry > 0 || v.zero}
		if got := reference([]byte(v.in)); !got.equal(want) {
			t.Errorf("%s:\n got %+v\nwant %+v", v.name, got, want)
		}
	}
}

// Streams of what means something, in any order and cut anywhere.
func TestEventParserReference(t *testing.T) {
	tokens := []string{
		"data", "event", "id", "retry", ":", ": ", " ", "\n", "\r", "\r\n", "\n\n", "data: y", "id: 3", "12", "x", "é", "\x00",
		bom, "\xEF", "\xBB", "\xE2\x82", "\xF0\x9F", "\xFF", "\xED\xA0\x80", "id: " + strings.Repeat("i", MaxEventIDSize),
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		var in []byte
		for range random.IntN(14) {
			in = append(in, tokens[random.IntN(len(tokens))]...)
		}
		var pieces [][]byte
		for rest := in; len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(6))
			if len(in) > MaxEventIDSize {
				n = min(len(rest), n*997)
			}
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		wantReference(t, in, pieces...)
	}
}

func FuzzEventParserReference(f *testing.F) {
	for _, v := range streamVectors {
		f.Add([]byte(v.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > DefaultMaxEventSize {
			return
		}
		wantReference(t, in, in)
		wantReference(t, in, split(in, 1+len(in)/3)...)
	})
}
