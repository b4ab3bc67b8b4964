package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
	"unicode/utf8"
)

// transcripts are inputs with something in them.
var transcripts = []string{
	"81 05 48 65 6c 6c 6f",
	"81 85 37 fa 21 3d 7f 9f 4d 51 58",
	"01 03 48 65 6c 80 02 6c 6f 89 05 48 65 6c 6c 6f",
	"01 82 00 00 00 00 c3 a4 89 83 01 02 03 04 61 62 63 80 81 00 00 00 00 e2 88 85 00 00 00 00 03 e8 62 79 65",
	"01 02 c3 a4 00 01 e2 8a 00 00 00 80 02 82 ac 88 05 03 e8 62 79 65",
	"82 7e 00 7e 00 82 7f 00 00 00 00 00 01 00 00 00",
	"82 7f 7f ff ff ff ff ff ff ff 00", "81 7f 80 00 00 00 00 00 00 00", "82 7f 00 00 00 00 00 00 ff ff", "82 7e 00 7d",
	"c1 01 ff 80 01 fe 81 03 61 ff 62", "41 01 ff 00 01 fe 80 00",
	"88 01 03", "88 02 03 ed", "88 04 03 e8 e2 82", "09 00", "0f 81",
	"02 00 00 00 00 00 00 00 80 00",
}

// FuzzChunks: any division of the input gives the same events, and the same error
// at the same byte; parts put together are the messages.
func FuzzChunks(f *testing.F) {
	for _, s := range transcripts {
		for flags := range byte(8) {
			f.Add(unhex(f, s), flags, []byte{1, 3, 2})
		}
	}
	big := (&Encoder{}).AppendFrame(nil, Frame{Opcode: OpText, Final: true, Payload: bytes.Repeat([]byte("€"), 4000)})
	f.Add(append(big, 0x89, 0), byte(0), []byte{200, 255, 1})
	f.Add(append(big, 0x89, 0), byte(4), []byte{255, 7})
	// A length near the greatest there is, behind some frames, and no limit.
	huge := append(bytes.Repeat(unhex(f, "82 05 48 65 6c 6c 6f"), 5), unhex(f, "82 7f 7f ff ff ff ff ff ff f0")...)
	f.Add(append(huge, make([]byte, 20_000)...), byte(5), []byte{255})
	f.Fuzz(func(t *testing.T, input []byte, flags byte, chunks []byte) {
		options := DecoderOptions{Role: Role(flags & 1), MaxMessageSize: 1 << 16}
		if flags&2 != 0 {
			options.Reserved = RSV1
		}
		want := decode(NewDecoder(options), input, whole)
		i := 0
		next := func() int {
			if len(chunks) == 0 {
				return 1
			}
			i++
			return int(chunks[i%len(chunks)]) * (1 + i%5)
		}
		if got := decode(NewDecoder(options), input, next); !slices.Equal(got, want) {
			t.Errorf("in chunks %v: got %q, whole %q", chunks, got, want)
		}
		if got := decode(&idling{NewDecoder(options)}, input, next); !slices.Equal(got, want) {
			t.Errorf("idling: got %q, want %q", got, want)
		}
		options.Parts = true
		if got := decode(&joined{Reader: NewDecoder(options)}, input, next); !slices.Equal(got, want) {
			t.Errorf("parts in chunks %v: got %q, want %q", chunks, got, want)
		}
		if flags&4 != 0 {
			options.Parts, options.MaxMessageSize = false, math.MaxInt64
			decode(NewDecoder(options), input, next)
		}
	})
}

// idling lets the buffer go whenever it can.
type idling struct{ *Decoder }

func (r *idling) Next() (FrameEvent, error) {
	event, err := r.Decoder.Next()
	if err == ErrNeedMore {
		r.Idle()
		if again, err := r.Decoder.Next(); err != ErrNeedMore {
			return again, errors.New("Next after Idle gives something new")
		}
	}
	return event, err
}

// joined puts the parts of messages together.
type joined struct {
	Reader
	message []byte
}

func (r *joined) Next() (FrameEvent, error) {
	event, err := r.Reader.Next()
	for err == nil && !event.Opcode.IsControl() {
		r.message = append(r.message, event.Payload...)
		if event.Final {
			event.Payload = r.message
			r.message = nil
			return event, nil
		}
		event, err = r.Reader.Next()
	}
	return event, err
}

// FuzzRoundTrip: what is encoded is decoded as it was, and the payload is left
// alone.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("hello"), true, byte(1), uint32(0x01020304), 2)
	f.Add([]byte{}, false, byte(2), uint32(0), 0)
	f.Add(bytes.Repeat([]byte("x"), 126), true, byte(2), uint32(0xffffffff), 100)
	f.Add(bytes.Repeat([]byte("€"), 70_000/3), true, byte(1), uint32(0x80), 65_537)
	f.Fuzz(func(t *testing.T, payload []byte, client bool, op byte, key uint32, cut int) {
		opcode := OpText + Opcode(op&1)
		if opcode == OpText && !utf8.Valid(payload) {
			return
		}
		encoder, role := new(Encoder), Client
		if client {
			role = Server
			encoder.NewKey = func() (k MaskKey) { binary.BigEndian.PutUint32(k[:], key); return k }
		}
		cut = int(uint(cut) % uint(len(payload)+1))
		before := bytes.Clone(payload)
		whole := Frame{Opcode: opcode, Final: true, Payload: payload}
		wire := encoder.AppendFrame(nil, whole)
		wire = encoder.AppendFrame(wire, Frame{Opcode: OpPing, Final: true, Payload: payload[:min(cut, 125)]})
		wire = encoder.AppendFrame(wire, Frame{Opcode: opcode, Payload: payload[:cut]})
		wire = encoder.AppendFrame(wire, Frame{Opcode: OpContinuation, Final: true, Payload: payload[cut:]})
		if !bytes.Equal(payload, before) {
			t.Fatal("AppendFrame has changed the payload")
		}
		sealed := bytes.Clone(payload)
		wire, ok := encoder.Seal(wire, Frame{Opcode: opcode, Final: true, Payload: sealed})
		if !ok {
			t.Fatal("Seal is not for this frame")
		}
		wire = append(wire, sealed...)
		message := describe(FrameEvent{Opcode: opcode, Final: true, Payload: payload})
		want := []string{message, describe(FrameEvent{Opcode: OpPing, Payload: payload[:min(cut, 125)]}), message, message}
		if got := decode(NewDecoder(DecoderOptions{Role: role}), wire, chunksOf(1+cut)); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// FuzzHeader: what is read as a header is written as the same bytes, and takes no
// more of them than are there.
func FuzzHeader(f *testing.F) {
	for _, s := range transcripts {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := ConsumeHeader(b)
		if err != nil {
			for i := range b {
				if _, _, early := ConsumeHeader(b[:i]); early == nil || early != ErrNeedMore && early.Error() != err.Error() {
					t.Errorf("after %d bytes %v, after all %v", i, early, err)
				}
			}
			return
		}
		if n < 2 || n > min(len(b), MaxHeaderSize) {
			t.Fatalf("a header of %d bytes in %d", n, len(b))
		}
		if h.Length > math.MaxInt64 || h.Opcode.IsControl() && (h.Length > MaxControlPayload || !h.Final) {
			t.Errorf("got %+v", h)
		}
		if again := AppendHeader(nil, h); !bytes.Equal(again, b[:n]) {
			t.Errorf("%x was read as %+v and written as %x", b[:n], h, again)
		}
		for i := range n {
			if _, _, err := ConsumeHeader(b[:i]); err != ErrNeedMore {
				t.Errorf("after %d of %d bytes: %v", i, n, err)
			}
		}
	})
}

// FuzzClosePayload: what is accepted in a close frame may be sent, and is the same
// bytes again.
func FuzzClosePayload(f *testing.F) {
	for _, s := range []string{"", "03", "03 e8", "03 e8 62 79 65", "03 ed", "0b b7", "13 87 c3 a4", "03 e8 ff"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		code, reason, err := ConsumeClosePayload(p)
		if err != nil {
			var broken *ProtocolError
			if !errors.As(err, &broken) || broken.Code != StatusProtocolError && broken.Code != StatusInvalidFramePayload {
				t.Errorf("got %v", err)
			}
			if len(p) >= 2 && utf8.Valid(p[2:]) && StatusCode(binary.BigEndian.Uint16(p)).Sendable() {
				t.Errorf("%x was refused: %v", p, err)
			}
			return
		}
		if err := CheckClose(code, reason); err != nil && len(p) <= MaxControlPayload {
			t.Errorf("%x was accepted and may not be sent: %v", p, err)
		}
		if again := AppendClosePayload(nil, code, reason); !bytes.Equal(again, p) {
			t.Errorf("%x was read as %d %q and written as %x", p, code, reason, again)
		}
	})
}

// FuzzText: the check in chunks agrees with utf8.Valid, and fails at the first
// byte after which nothing could make it valid.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a", "é", "€", "\U0001F600", "\xff", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x80\x80\x80", "\xc0\xaf", "abc\xe2\x28\xa1", "\xef\xbf\xbd"} {
		for n := range 3 {
			f.Add([]byte(s), n+1)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, chunk int) {
		chunk = 1 + int(uint(chunk)%uint(len(text)+1))
		var check textCheck
		bad := -1
		for at := 0; at < len(text) && bad < 0; at += chunk {
			part := text[at:min(at+chunk, len(text))]
			if i, ok := check.next(part); !ok {
				bad = at + i
			}
		}
		if valid := bad < 0 && check.complete(); valid != utf8.Valid(text) {
			t.Errorf("%x in chunks of %d: %v, utf8.Valid says %v", text, chunk, valid, utf8.Valid(text))
		}
		if want := firstBad(text); bad != want {
			t.Errorf("%x in chunks of %d: bad at %d, want %d", text, chunk, bad, want)
		}
	})
}

// firstBad looks for the first byte that no continuation makes good, by trying.
func firstBad(text []byte) int {
	for i := range text {
		if !canGoOn(text[:i+1]) {
			return i
		}
	}
	return -1
}

// canGoOn reports whether some text of UTF-8 begins with the bytes: characters and
// the beginning of one, which is completed by one of these ends.
func canGoOn(b []byte) bool {
	if utf8.Valid(b) {
		return true
	}
	for _, end := range []string{"\x80", "\xbf", "\x80\x80", "\xbf\x80", "\x80\x80\x80", "\xbf\x80\x80", "\x90\x80\x80", "\x8f\x80\x80", "\x9f\x80", "\xa0\x80"} {
		if utf8.Valid(append(bytes.Clone(b), end...)) {
			return true
		}
	}
	return false
}
