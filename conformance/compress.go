package conformance

import (
	"encoding/binary"
	"math/bits"
)

// The suite compresses by its own few lines as well: it has to promise a
// window smaller than compress/flate knows, and to write blocks that no
// ordinary compressor would.

// deflater compresses the suite's messages, one after another.
type deflater struct {
	window  int    // how far back it may refer
	fresh   string // not empty: no takeover
	history []byte
}

// message compresses one message: a block with fixed codes and the empty
// stored block, whose last four bytes are removed (RFC 7692, 7.2.1).
func (d *deflater) message(plain []byte) []byte {
	if d.fresh != "" {
		d.history = nil
	}
	var w bitWriter
	d.block(&w, plain)
	w.bits(0, 3) // BFINAL 0, stored
	w.align()
	return w.out
}

// block writes plain as one block with fixed codes and no BFINAL.
func (d *deflater) block(w *bitWriter, plain []byte) {
	all := append(append(make([]byte, 0, len(d.history)+len(plain)), d.history...), plain...)
	at := len(d.history)
	w.bits(0, 1)
	w.bits(1, 2)
	var last [1 << 14]int
	for i := 0; i < at; i++ {
		note(&last, all, i)
	}
	for at < len(all) {
		back, length := d.match(&last, all, at)
		if length < 4 {
			w.literal(int(all[at]))
			note(&last, all, at)
			at++
			continue
		}
		w.copy(length, back)
		for i := 0; i < length; i++ {
			note(&last, all, at+i)
		}
		at += length
	}
	w.literal(256)
	d.history = append([]byte(nil), all[max(0, len(all)-d.window):]...)
}

func note(last *[1 << 14]int, all []byte, at int) {
	if at+4 <= len(all) {
		last[hash(all[at:])] = at + 1
	}
}

func hash(b []byte) uint32 {
	return binary.LittleEndian.Uint32(b) * 0x9E3779B1 >> (32 - 14)
}

// match finds an earlier occurrence inside the window, the last one only.
func (d *deflater) match(last *[1 << 14]int, all []byte, at int) (back, length int) {
	if at+4 > len(all) {
		return 0, 0
	}
	from := last[hash(all[at:])] - 1
	// zlib keeps 262 bytes less than its window; so does the suite, for peers
	// that inflate with the same limit.
	if from < 0 || at-from > max(d.window-262, d.window/2) {
		return 0, 0
	}
	for length < 258 && at+length < len(all) && all[from+length] == all[at+length] {
		length++
	}
	return at - from, length
}

// bitWriter writes DEFLATE's bits: RFC 1951, 3.1.1.
type bitWriter struct {
	out  []byte
	hold uint64
	have int
}

func (w *bitWriter) bits(v, n int) {
	w.hold |= uint64(v) << w.have
	w.have += n
	for w.have >= 8 {
		w.out = append(w.out, byte(w.hold))
		w.hold >>= 8
		w.have -= 8
	}
}

func (w *bitWriter) align() {
	if w.have > 0 {
		w.bits(0, 8-w.have)
	}
}

// code writes a Huffman code, whose most significant bit comes first.
func (w *bitWriter) code(v, n int) {
	w.bits(int(bits.Reverse16(uint16(v))>>(16-n)), n)
}

// literal writes a symbol of the fixed code: RFC 1951, 3.2.6.
func (w *bitWriter) literal(symbol int) {
	switch {
	case symbol < 144:
		w.code(0x30+symbol, 8)
	case symbol < 256:
		w.code(0x190+symbol-144, 9)
	case symbol < 280:
		w.code(symbol-256, 7)
	default:
		w.code(0xC0+symbol-280, 8)
	}
}

func (w *bitWriter) copy(length, back int) {
	code := lastNotAbove(lengthBase[:], length)
	w.literal(257 + code)
	w.bits(length-lengthBase[code], lengthExtra[code])
	code = lastNotAbove(distanceBase[:], back)
	w.code(code, 5)
	w.bits(back-distanceBase[code], distanceExtra[code])
}

func lastNotAbove(table []int, v int) int {
	for i := len(table) - 1; i > 0; i-- {
		if table[i] <= v {
			return i
		}
	}
	return 0
}

// storedBlock writes a block that is not compressed.
func (w *bitWriter) storedBlock(final int, b []byte) {
	w.bits(final, 1)
	w.bits(0, 2)
	w.align()
	w.out = binary.LittleEndian.AppendUint16(w.out, uint16(len(b)))
	w.out = binary.LittleEndian.AppendUint16(w.out, ^uint16(len(b)))
	w.out = append(w.out, b...)
}
