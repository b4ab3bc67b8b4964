package codec

import (
	"slices"
	"strings"
	"testing"
)

func TestHixie(t *testing.T) {
	tooLong := "websocket: protocol error 1009 at byte 11: message of 11 bytes or more, the limit is 10 (draft-hixie-thewebsocketprotocol-76, section 5.3)"
	for _, test := range []struct {
		name, input string
		version     HixieVersion
		want        []string
	}{
		{"texts", "00 48 65 6c 6c 6f ff  00 ff  00 c3 a4 ff", Hixie76, []string{`text "Hello"`, `text ""`, `text "ä"`}},
		{"a frame of another type ends with 0xFF and is skipped", "01 61 62 ff 00 63 ff", Hixie76, []string{`text "c"`}},
		{"a frame with a length is skipped", "80 03 00 ff 00  00 61 ff", Hixie75, []string{`text "a"`}},
		{"a length of several bytes", "81 80 80 02 ff ff  00 61 ff", Hixie75, []string{`text "a"`}},
		{"the closing handshake", "00 61 ff ff 00", Hixie76, []string{`text "a"`, `close 1005 ""`}},
		{"no closing handshake yet", "ff 00 00 61 ff", Hixie75, []string{`text "a"`}},
		{"a closing handshake with a length that is no length", "ff 80 00", Hixie76, []string{`close 1005 ""`}},
		{"a text over the limit", "00" + strings.Repeat(" 61", 11), Hixie76, []string{tooLong}},
		{"a length over the limit", "80 0b", Hixie76, []string{strings.Replace(tooLong, "byte 11", "byte 1", 1)}},
		{"a length over 64 bits", "80" + strings.Repeat(" ff", 20), Hixie76, []string{
			"websocket: protocol error 1009 at byte 1: message of 127 bytes or more, the limit is 10 (draft-hixie-thewebsocketprotocol-76, section 5.3)"}},
		{"not UTF-8", "00 61 c3 28 ff", Hixie76, []string{
			"websocket: protocol error 1007 at byte 3: text is not UTF-8 (draft-hixie-thewebsocketprotocol-76, section 5.3)"}},
		{"cut off in a character", "00 61 c3 ff", Hixie75, []string{
			"websocket: protocol error 1007 at byte 3: text is not UTF-8 (draft-hixie-thewebsocketprotocol-75, section 4.2)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			input := unhex(t, test.input)
			for n := 1; n <= len(input); n++ {
				got := decode(NewHixieDecoder(test.version, 10), input, chunksOf(n))
				if !slices.Equal(got, test.want) {
					t.Errorf("in chunks of %d: got %q, want %q", n, got, test.want)
				}
			}
		})
	}
}

func TestHixieEncoder(t *testing.T) {
	hello := Frame{Opcode: OpText, Final: true, Payload: []byte("Hello")}
	closing := Frame{Opcode: OpClose, Final: true, Payload: []byte{3, 232}}
	for _, version := range []HixieVersion{Hixie75, Hixie76} {
		e := HixieEncoder{version}
		if got, want := e.AppendFrame(nil, hello), unhex(t, "00 48 65 6c 6c 6f ff"); !slices.Equal(got, want) {
			t.Errorf("%v: got % x, want % x", version, got, want)
		}
		want := map[HixieVersion]string{Hixie75: "", Hixie76: "ff 00"}[version]
		if got := e.AppendFrame(nil, closing); !slices.Equal(got, unhex(t, want)) {
			t.Errorf("%v: got % x, want %s", version, got, want)
		}
		if e.Supports(OpBinary) || e.Supports(OpPing) || e.Supports(OpContinuation) || !e.Supports(OpText) {
			t.Errorf("%v: supports the wrong frames", version)
		}
	}
}

func FuzzHixieDecoder(f *testing.F) {
	f.Add([]byte("\x00Hello\xff\xff\x00"), uint8(3), true)
	f.Add([]byte("\x80\x82\x01abc\x00\xc3\xa4\xff"), uint8(1), false)
	f.Fuzz(func(t *testing.T, input []byte, chunk uint8, later bool) {
		version := Hixie75
		if later {
			version = Hixie76
		}
		whole := decode(NewHixieDecoder(version, 100), input, whole)
		parts := decode(NewHixieDecoder(version, 100), input, chunksOf(int(chunk)))
		if !slices.Equal(whole, parts) {
			t.Errorf("whole: %q, in chunks of %d: %q", whole, chunk, parts)
		}
	})
}
