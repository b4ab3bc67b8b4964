package codec

import (
	"bytes"
	"testing"
)

var allocSizes = []int{0, 32, 125, 1 << 10, 64 << 10, 1 << 20, 5 << 20}

// A message that is released costs no allocation, whatever its size and however it
// comes: alone, many in a read, in fragments.
func TestDecodeAllocs(t *testing.T) {
	masked := &Encoder{NewKey: func() MaskKey { return MaskKey{1, 2, 3, 4} }}
	for _, size := range allocSizes {
		payload := make([]byte, size)
		whole := masked.AppendFrame(nil, Frame{Opcode: OpBinary, Final: true, Payload: payload})
		first := masked.AppendFrame(nil, Frame{Opcode: OpBinary, Payload: payload[:size/2]})
		for name, input := range map[string][]byte{
			"whole":        whole,
			"many":         bytes.Repeat(whole, 50),
			"in fragments": masked.AppendFrame(first, Frame{Opcode: OpContinuation, Final: true, Payload: payload[size/2:]}),
			"ping":         masked.AppendFrame(nil, Frame{Opcode: OpPing, Final: true, Payload: payload[:min(size, 125)]}),
		} {
			if size > 64<<10 && name == "many" {
				continue
			}
			d := NewDecoder(DecoderOptions{Role: Server})
			if n := testing.AllocsPerRun(20, func() { decodeAll(t, d, input) }); n > 0 && !raceEnabled { // which makes pools forget
				t.Errorf("%d bytes, %s: %v allocations", size, name, n)
			}
		}
	}
}

// decodeAll reads the input and releases what it holds.
func decodeAll(t *testing.T, d *Decoder, input []byte) {
	for {
		event, err := d.Next()
		switch {
		case err == nil && event.Buffer != nil:
			event.Buffer.Release()
		case err == ErrNeedMore && len(input) == 0:
			d.Idle()
			return
		case err == ErrNeedMore:
			n := copy(d.Space(0), input)
			d.Wrote(n)
			input = input[n:]
		case err != nil:
			t.Fatal(err)
		}
	}
}

// A buffer that is appended to has room for twice of what it holds, and no more.
func TestAppendDoubles(t *testing.T) {
	b := NewBuffer(1)
	for n := 0; n < 3<<20; {
		p := bytes.Repeat([]byte{byte(n)}, 1+n/50)
		b = b.Append(p)
		n += len(p)
		if most := max(2*n, 1<<minClass) + bufferRoom; len(b.Bytes) != n || cap(b.Bytes) > most {
			t.Fatalf("%d bytes, room for %d, want at most %d", len(b.Bytes), cap(b.Bytes), most)
		}
		if !bytes.HasSuffix(b.Bytes, p) {
			t.Fatalf("after %d bytes: what was appended is not there", n)
		}
	}
}

// Classes are in order, each with room for the header of a payload of its size.
// From 1 MiB on no more than a quarter of a buffer is left.
func TestClasses(t *testing.T) {
	for class := minClass; class <= maxClass; class++ {
		size := sizeOf(class)
		if below, above := classOf(size+bufferRoom), classOf(size+bufferRoom+1); below != class || above != class+1 {
			t.Errorf("%d bytes and one more are of class %d and %d, want %d and the next", size, below, above, class)
		}
		if next := sizeOf(class + 1); next <= size || size >= 1<<20 && 4*next > 5*size {
			t.Errorf("%d bytes are followed by %d", size, next)
		}
	}
	if size := sizeOf(maxClass); size != 32<<20 {
		t.Errorf("up to %d bytes are pooled", size)
	}
}

func TestEncodeAllocs(t *testing.T) {
	var room [6 << 20]byte
	for name, w := range map[string]Writer{
		"server": &Encoder{}, "client": &Encoder{NewKey: func() MaskKey { return MaskKey{1, 2, 3, 4} }}, "hixie": HixieEncoder{Hixie76},
	} {
		for _, size := range allocSizes {
			f := Frame{Opcode: OpText, Final: true, Payload: make([]byte, size)}
			n := testing.AllocsPerRun(20, func() {
				w.AppendFrame(room[:0], f)
				w.AppendHeader(room[:0], f)
				w.Seal(room[:0], f)
			})
			if n > 0 {
				t.Errorf("%s, %d bytes: %v allocations", name, size, n)
			}
		}
	}
}
