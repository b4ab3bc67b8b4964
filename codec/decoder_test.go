package codec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// unhex reads bytes in hex; spaces and what follows a # are for the reader.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		for _, field := range strings.Fields(line) {
			digits.WriteString(field)
		}
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decode feeds input to a Reader in chunks, whose lengths come from next, and
// gives what it made of it, a line per event.
func decode(r Reader, input []byte, next func() int) []string {
	var events []string
	for {
		event, err := r.Next()
		switch {
		case err == ErrNeedMore:
			if len(input) == 0 {
				return events
			}
			space := r.Space(0)
			n := copy(space[:min(max(next(), 1), len(space))], input)
			r.Wrote(n)
			input = input[n:]
			continue
		case err != nil:
			return append(events, err.Error())
		}
		events = append(events, describe(event))
	}
}

func describe(e FrameEvent) string {
	switch e.Opcode {
	case OpClose:
		code, reason, err := ConsumeClosePayload(e.Payload)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("close %d %q", code, reason)
	case OpPing, OpPong:
		return fmt.Sprintf("%v %q", map[Opcode]string{OpPing: "ping", OpPong: "pong"}[e.Opcode], e.Payload)
	}
	kind := map[Opcode]string{OpText: "text", OpBinary: "binary"}[e.Opcode]
	if e.Reserved != 0 {
		kind += fmt.Sprintf(" rsv%d", e.Reserved)
	}
	if !e.Final {
		kind += "..."
	}
	if len(e.Payload) > 40 {
		return fmt.Sprintf("%s of %d bytes, %x", kind, len(e.Payload), sum(e.Payload))
	}
	return fmt.Sprintf("%s %q", kind, e.Payload)
}

func sum(b []byte) (s uint64) {
	for _, c := range b {
		s = s*1099511628211 + uint64(c)
	}
	return s
}

func whole() int { return 1 << 30 }

func chunksOf(n int) func() int { return func() int { return n } }

// The frames of RFC 6455, section 5.7.
func TestExamplesOfTheRFC(t *testing.T) {
	for _, test := range []struct {
		name, input string
		role        Role
		want        []string
	}{
		{"unmasked text", "81 05 48 65 6c 6c 6f", Client, []string{`text "Hello"`}},
		{"masked text", "81 85 37 fa 21 3d 7f 9f 4d 51 58", Server, []string{`text "Hello"`}},
		{"fragmented text", "01 03 48 65 6c  80 02 6c 6f", Client, []string{`text "Hello"`}},
		{"ping", "89 05 48 65 6c 6c 6f", Client, []string{`ping "Hello"`}},
		{"masked pong", "8a 85 37 fa 21 3d 7f 9f 4d 51 58", Server, []string{`pong "Hello"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 1000} {
				r := NewDecoder(DecoderOptions{Role: test.role})
				if got := decode(r, unhex(t, test.input), chunksOf(n)); !slices.Equal(got, test.want) {
					t.Errorf("in chunks of %d: got %q, want %q", n, got, test.want)
				}
			}
		})
	}
}

// What a peer must not send, and with what it is answered.
func TestRules(t *testing.T) {
	for _, test := range []struct {
		section, name string
		role          Role
		input         string
		want          StatusCode
		offset        int64
	}{
		{"5.1", "client frame not masked", Server, "81 01 61", 1002, 0},
		{"5.1", "server frame masked", Client, "81 81 00 00 00 00 61", 1002, 0},
		{"5.2", "RSV1", Client, "c1 01 61", 1002, 0},
		{"5.2", "RSV2", Client, "a1 01 61", 1002, 0},
		{"5.2", "RSV3", Client, "91 01 61", 1002, 0},
		{"5.2", "RSV on a ping", Client, "81 01 61  f9 00", 1002, 3},
		{"5.2", "RSV on a continuation", Client, "01 01 61  c0 00", 1002, 3},
		{"5.2", "opcode 3", Client, "83 00", 1002, 0},
		{"5.2", "opcode 7", Client, "87 00", 1002, 0},
		{"5.2", "opcode 11", Client, "8b 00", 1002, 0},
		{"5.2", "opcode 15", Client, "8f 00", 1002, 0},
		{"5.2", "16-bit length of 125", Client, "82 7e 00 7d", 1002, 0},
		{"5.2", "16-bit length of 2, all there", Client, "82 7e 00 02 61 62", 1002, 0},
		{"5.2", "16-bit length of 2, masked", Server, "82 fe 00 02 00 00 00 00 61 62", 1002, 0},
		{"5.2", "64-bit length of 65535", Client, "82 7f 00 00 00 00 00 00 ff ff", 1002, 0},
		{"5.2", "64-bit length of 0", Client, "82 7f 00 00 00 00 00 00 00 00", 1002, 0},
		{"5.2", "top bit of the length", Client, "82 7f 80 00 00 00 00 00 00 00", 1002, 0},
		{"7.4.1", "length of 2^63-1", Client, "82 7f 7f ff ff ff ff ff ff ff", 1009, 0},
		{"7.4.1", "length of 2^32", Client, "82 7f 00 00 00 01 00 00 00 00", 1009, 0},
		{"7.4.1", "length over the limit by fragments", Client, "02 01 61  80 7f 00 00 00 00 03 ff ff ff", 1009, 3},
		{"5.4", "continuation of nothing", Client, "80 01 61", 1002, 0},
		{"5.4", "continuation after the end", Client, "01 01 61  80 01 62  80 01 63", 1002, 6},
		{"5.4", "text within a text", Client, "01 01 61  81 01 62", 1002, 3},
		{"5.4", "binary within a text", Client, "01 01 61  82 01 62", 1002, 3},
		{"5.5", "fragmented ping", Client, "09 00", 1002, 0},
		{"5.5", "fragmented close", Client, "08 00", 1002, 0},
		{"5.5", "ping with 126 bytes", Client, "89 7e 00 7e", 1002, 0},
		{"5.5.1", "close with one byte", Client, "88 01 03", 1002, 2},
		{"7.4", "close with 999", Client, "88 02 03 e7", 1002, 2},
		{"7.4", "close with 1004", Client, "88 02 03 ec", 1002, 2},
		{"7.4", "close with 1005", Client, "88 02 03 ed", 1002, 2},
		{"7.4", "close with 1006", Client, "88 02 03 ee", 1002, 2},
		{"7.4", "close with 1015", Client, "88 02 03 f7", 1002, 2},
		{"7.4", "close with 2999", Client, "88 02 0b b7", 1002, 2},
		{"7.4", "close with 5000", Client, "88 02 13 88", 1002, 2},
		{"5.5.1", "close reason not UTF-8", Client, "88 03 03 e8 ff", 1007, 2},
		{"8.1", "text not UTF-8", Client, "81 03 61 ff 62", 1007, 3},
		{"8.1", "text cut off in a character", Client, "81 02 61 c3", 1007, 4},
		{"8.1", "text not UTF-8 over fragments", Client, "01 02 61 e2  80 02 82 2e", 1007, 7},
		{"8.1", "the first wrong byte of a long text", Client, "81 7e ff ff 61 ed a0", 1007, 6},
	} {
		t.Run(test.section+" "+test.name, func(t *testing.T) {
			for _, chunk := range []int{1, 3, 1000} {
				r := NewDecoder(DecoderOptions{Role: test.role})
				err := firstError(r, unhex(t, test.input), chunk)
				var broken *ProtocolError
				if !errors.As(err, &broken) {
					t.Fatalf("in chunks of %d: got %v, want a ProtocolError %d", chunk, err, test.want)
				}
				if broken.Code != test.want || broken.Offset != test.offset || !strings.HasSuffix(broken.Section, test.section) {
					t.Errorf("in chunks of %d: got %v, want code %d at byte %d, section %s", chunk, err, test.want, test.offset, test.section)
				}
				if _, again := r.Next(); again != err {
					t.Errorf("then got %v", again)
				}
			}
		})
	}
}

// firstError gives what ends the events of the input.
func firstError(r Reader, input []byte, chunk int) error {
	for {
		_, err := r.Next()
		switch {
		case err == nil:
		case err == ErrNeedMore && len(input) > 0:
			n := copy(r.Space(0), input[:min(chunk, len(input))])
			r.Wrote(n)
			input = input[n:]
		default:
			return err
		}
	}
}

func TestControlFramesBetweenFragments(t *testing.T) {
	input := unhex(t, `
		01 02 c3 a4          # "ä"
		89 03 61 62 63
		00 01 e2             # the first byte of "€"
		8a 00
		00 00
		80 02 82 ac
		88 05 03 e8 62 79 65
	`)
	want := []string{`ping "abc"`, `pong ""`, `text "ä€"`, `close 1000 "bye"`}
	for n := 1; n <= len(input); n++ {
		r := NewDecoder(DecoderOptions{Role: Client})
		if got := decode(r, input, chunksOf(n)); !slices.Equal(got, want) {
			t.Errorf("in chunks of %d: got %q, want %q", n, got, want)
		}
	}
}

func TestEmptyFragmentsAreCapped(t *testing.T) {
	input := append([]byte{0x02, 0x00}, bytes.Repeat([]byte{0x00, 0x00}, maxEmptyFragments+1)...)
	got := decode(NewDecoder(DecoderOptions{Role: Client}), input, whole)
	if len(got) != 1 || !strings.Contains(got[0], "too many frames without payload") {
		t.Errorf("got %q", got)
	}
	got = decode(NewDecoder(DecoderOptions{Role: Client}), append(input[:2*maxEmptyFragments:2*maxEmptyFragments], 0x80, 0x01, 'x'), whole)
	if want := []string{`binary "x"`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReservedBitsOfAnExtension(t *testing.T) {
	r := NewDecoder(DecoderOptions{Role: Client, Reserved: RSV1})
	// Not UTF-8, but what is compressed need not be.
	got := decode(r, unhex(t, "41 01 ff  80 01 fe   81 01 61  a1 00"), whole)
	want := []string{`text rsv4 "\xff\xfe"`, `text "a"`, "websocket: protocol error 1002 at byte 9: reserved bit set without an extension that owns it (RFC 6455, section 5.2)"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParts(t *testing.T) {
	input := unhex(t, "01 02 61 62  89 00  80 04 63 64 65 66  82 00")
	r := NewDecoder(DecoderOptions{Role: Client, Parts: true})
	want := []string{`text... "ab"`, `ping ""`, `text "cdef"`, `binary ""`}
	if got := decode(r, input, whole); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	r = NewDecoder(DecoderOptions{Role: Client, Parts: true})
	want = []string{`text... "a"`, `text... "b"`, `ping ""`, `text... "c"`, `text... "d"`, `text... "e"`, `text "f"`, `binary ""`}
	if got := decode(r, input, chunksOf(1)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A length that is only claimed costs nothing.
func TestMemoryGrowsWithBytesReceived(t *testing.T) {
	r := NewDecoder(DecoderOptions{Role: Client})
	header := AppendHeader(nil, Header{Final: true, Opcode: OpBinary, Length: DefaultMaxMessageSize})
	r.Wrote(copy(r.Space(0), header))
	received := 0
	for received < 1<<20 {
		if _, err := r.Next(); err != ErrNeedMore {
			t.Fatal(err)
		}
		space := r.Space(0)
		if c := cap(r.buf.Bytes); c > max(2*minRead, 5*received) {
			t.Fatalf("a buffer of %d bytes after %d received", c, received)
		}
		n := min(len(space), 1000)
		r.Wrote(n)
		received += n
	}
}

// What has been received once is made room for at once the next time, whatever more
// is claimed; then no more is copied than came before the length was known.
func TestMemoryGrowsWithMessagesReceived(t *testing.T) {
	const size = 3 << 20
	frame := (&Encoder{}).AppendFrame(nil, Frame{Opcode: OpBinary, Final: true, Payload: make([]byte, size)})
	r := NewDecoder(DecoderOptions{Role: Client})
	decodeAll(t, r, frame)
	for i := range 3 {
		if n := bytesMoved(t, r, frame); n > maxRead+bufferRoom {
			t.Errorf("message %d: %d bytes were copied", i, n)
		}
	}
	// Within a frame, and with its buffer full, for else there is nothing to make room for.
	claim := func(length uint64) []byte {
		header := AppendHeader(nil, Header{Final: true, Opcode: OpBinary, Length: length})
		return append(header, make([]byte, minRead+bufferRoom-len(header))...)
	}
	small := (&Encoder{}).AppendFrame(nil, Frame{Opcode: OpBinary, Final: true, Payload: make([]byte, 10)})
	for _, claimed := range []struct{ length, small, limit int }{
		{size, 0, size + size/4},
		{DefaultMaxMessageSize, 0, size + size/4},
		{size, 20, 100 << 10}, // long after
		{DefaultMaxMessageSize, 20, 100 << 10},
	} {
		r := NewDecoder(DecoderOptions{Role: Client})
		decodeAll(t, r, frame)
		decodeAll(t, r, bytes.Repeat(small, claimed.small))
		decodeAll(t, r, claim(uint64(claimed.length)))
		r.Space(0)
		if c := cap(r.buf.Bytes); c > claimed.limit {
			t.Errorf("a buffer of %d bytes for %+v after a message of %d", c, claimed, size)
		}
	}
}

// bytesMoved decodes a message and counts its bytes that are not where they were read.
func bytesMoved(t *testing.T, r *Decoder, input []byte) int {
	t.Helper()
	var reads [][]byte
	for {
		n := copy(r.Space(0), input)
		reads = append(reads, r.buf.Bytes[len(r.buf.Bytes):][:n])
		r.Wrote(n)
		input = input[n:]
		event, err := r.Next()
		if err == ErrNeedMore {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer event.Buffer.Release()
		moved := 0
		for _, b := range reads {
			if &b[:cap(b)][cap(b)-1] != &event.Buffer.Bytes[:cap(event.Buffer.Bytes)][cap(event.Buffer.Bytes)-1] {
				moved += len(b)
			}
		}
		return moved
	}
}

func TestSmallMessageDoesNotPinALargeBuffer(t *testing.T) {
	for _, size := range []int{1, 32, 125, 1000, 2000, 4000, 60000, 1 << 20, 5 << 20} {
		frame := (&Encoder{}).AppendFrame(nil, Frame{Opcode: OpBinary, Final: true, Payload: make([]byte, size)})
		r := NewDecoder(DecoderOptions{Role: Client})
		for range 20 {
			for rest := frame; len(rest) > 0; {
				n := copy(r.Space(0), rest)
				r.Wrote(n)
				rest = rest[n:]
				event, err := r.Next()
				if err == ErrNeedMore {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if c := cap(event.Buffer.Bytes); c > max(2*size+2*bufferRoom, 1<<minClass+bufferRoom) {
					t.Errorf("a message of %d bytes keeps %d", size, c)
				}
			}
		}
	}
}

// Large messages stay where they were read.
func TestLargeMessagesAreNotCopied(t *testing.T) {
	const size = 64 << 10
	frame := (&Encoder{}).AppendFrame(nil, Frame{Opcode: OpBinary, Final: true, Payload: make([]byte, size)})
	r := NewDecoder(DecoderOptions{Role: Client})
	copied := 0
	for i := range 20 {
		rest := frame
		var read *Buffer
		for len(rest) > 0 {
			n := copy(r.Space(0), rest)
			read = r.buf
			r.Wrote(n)
			rest = rest[n:]
			event, err := r.Next()
			if err == ErrNeedMore {
				continue
			}
			if event.Buffer != read || &event.Payload[0] != &read.Bytes[10] && &event.Payload[0] != &read.Bytes[0] {
				copied++
			}
			event.Buffer.Release()
		}
		if i > 5 && copied > 3 {
			t.Fatalf("%d of %d messages were copied", copied, i+1)
		}
	}
}

func TestRelease(t *testing.T) {
	b := NewBuffer(100)
	use := b.Generation()
	b.ReleaseOnce(use)
	b.ReleaseOnce(use)
	first, second := NewBuffer(100), NewBuffer(100)
	if first == second {
		t.Error("a Buffer released twice has two owners")
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range []int{32, 125, 1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			encoder := &Encoder{NewKey: func() MaskKey { return MaskKey{1, 2, 3, 4} }}
			frame := encoder.AppendFrame(nil, Frame{Opcode: OpBinary, Final: true, Payload: make([]byte, size)})
			input := bytes.Repeat(frame, max(1, 4000/len(frame)))
			r := NewDecoder(DecoderOptions{Role: Server})
			rest := input
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for {
					event, err := r.Next()
					if err == nil {
						event.Buffer.Release()
						break
					}
					if len(rest) == 0 {
						rest = input
					}
					n := copy(r.Space(0), rest)
					r.Wrote(n)
					rest = rest[n:]
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, size := range []int{32, 125, 1 << 10, 64 << 10, 1 << 20} {
		for _, role := range []string{"server", "client"} {
			b.Run(fmt.Sprintf("%s/%d", role, size), func(b *testing.B) {
				encoder := new(Encoder)
				if role == "client" {
					encoder.NewKey = func() MaskKey { return MaskKey{1, 2, 3, 4} }
				}
				f := Frame{Opcode: OpBinary, Final: true, Payload: make([]byte, size)}
				var dst []byte
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					dst = encoder.AppendFrame(dst[:0], f)
				}
			})
		}
	}
}

// The limit on messages is exact, for those that come whole in one read too.
func TestLimit(t *testing.T) {
	for _, limit := range []int{1, 100, 1000} {
		for _, parts := range []bool{false, true} {
			for _, extra := range []int{0, 1} {
				frame := (&Encoder{}).AppendFrame(nil, Frame{Opcode: OpBinary, Final: true, Payload: make([]byte, limit+extra)})
				d := NewDecoder(DecoderOptions{Role: Client, MaxMessageSize: int64(limit), Parts: parts})
				d.Wrote(copy(d.Space(0), frame))
				event, err := d.Next()
				var broken *ProtocolError
				switch {
				case extra == 0 && (err != nil || len(event.Payload) != limit):
					t.Errorf("limit %d, parts %v: a message of the size gives %d bytes, %v", limit, parts, len(event.Payload), err)
				case extra == 1 && (!errors.As(err, &broken) || broken.Code != StatusMessageTooBig):
					t.Errorf("limit %d, parts %v: a message of one byte more gives %d bytes, %v", limit, parts, len(event.Payload), err)
				}
			}
		}
	}
}

// What looks like a message is none within a frame that has yet to end.
func TestFramesInAPayload(t *testing.T) {
	const payload = "\x82\x01x\x82\x01y"
	d := NewDecoder(DecoderOptions{Role: Client})
	d.Wrote(copy(d.Space(0), "\x89\x06"))
	if _, err := d.Next(); err != ErrNeedMore {
		t.Fatal(err)
	}
	d.Wrote(copy(d.Space(0), payload))
	if event, err := d.Next(); err != nil || event.Opcode != OpPing || string(event.Payload) != payload {
		t.Errorf("got %v %q, %v", event.Opcode, event.Payload, err)
	}
}

// An empty message has no Buffer.
func TestEmptyMessage(t *testing.T) {
	d := NewDecoder(DecoderOptions{Role: Client})
	d.Wrote(copy(d.Space(0), "\x82\x00\x81\x00"))
	for range 2 {
		if event, err := d.Next(); err != nil || event.Buffer != nil || event.Payload != nil {
			t.Errorf("got %+v, %v", event, err)
		}
	}
}

// There is room for more where Next was not called since a frame is complete.
func TestSpaceBehindAFrame(t *testing.T) {
	for _, size := range []int{3000, minRead + bufferRoom} {
		frame := (&Encoder{}).AppendFrame(nil, Frame{Opcode: OpBinary, Final: true, Payload: make([]byte, size)})
		d := NewDecoder(DecoderOptions{Role: Client})
		d.Wrote(copy(d.Space(0), frame[:4]))
		d.Next()
		for rest := frame[4:]; len(rest) > 0; {
			n := copy(d.Space(0), rest)
			d.Wrote(n)
			rest = rest[n:]
		}
		if len(d.Space(0)) == 0 {
			t.Errorf("%d bytes: no room", size)
		}
		if event, err := d.Next(); err != nil || len(event.Payload) != size {
			t.Errorf("%d bytes: got %d, %v", size, len(event.Payload), err)
		}
	}
}

// TestLimitOnClaims has the header of a message decide, before anything is received of it.
func TestLimitOnClaims(t *testing.T) {
	const unlimited = math.MaxInt64
	whole := uint64(math.MaxInt - MaxHeaderSize) // what a slice holds
	for _, c := range []struct {
		limit    int64
		parts    bool
		reserved Reserved
		most     uint64
	}{
		{0, false, 0, DefaultMaxMessageSize},
		{-1, false, 0, DefaultMaxMessageSize},
		{0, true, 0, unlimited},
		{-1, true, 0, unlimited},
		{0, true, RSV1, DefaultMaxMessageSize}, // comes whole
		{1000, false, 0, 1000},
		{1000, true, 0, 1000},
		{1000, true, RSV1, 1000},
		{math.MaxInt64, false, 0, min(unlimited, whole)},
		{math.MaxInt64, true, 0, unlimited},
		{1 << 40, true, 0, 1 << 40},
		{1 << 40, true, RSV1, min(1<<40, whole)},
	} {
		for _, length := range []uint64{c.most, c.most + 1} {
			if length > math.MaxInt64 {
				continue // which no header can say
			}
			d := NewDecoder(DecoderOptions{Role: Client, MaxMessageSize: c.limit, Reserved: c.reserved, Parts: c.parts})
			header := AppendHeader(nil, Header{Final: true, Opcode: OpBinary, Reserved: c.reserved, Length: length})
			d.Wrote(copy(d.Space(0), header))
			_, err := d.Next()
			if want := length > c.most; errors.Is(err, ErrMessageTooBig) != want {
				t.Errorf("%+v: %d bytes: %v", c, length, err)
			}
		}
	}
}
