package conformance

import (
	"errors"
	"fmt"
)

// The suite inflates by its own few lines rather than by compress/flate,
// because it has to see what no ordinary inflater tells: how far back the peer
// referred, which decides whether the window it agreed to was kept.

var errInflate = errors.New("the DEFLATE data is not valid")

// inflater inflates a peer's messages, one after another.
type inflater struct {
	window  int    // the agreed window in bytes
	fresh   string // not empty: each message begins with an empty window
	history []byte
	blocks  int   // of the last message
	most    int64 // bytes that the message may have
}

// message inflates one message as it stands on the wire, without the tail that
// RFC 7692, 7.2.1 removes.
func (i *inflater) message(compressed []byte, most int64) ([]byte, error) {
	i.most = most
	if i.fresh != "" {
		i.history = nil
	}
	in := bitReader{data: append(append([]byte(nil), compressed...), 0, 0, 0xff, 0xff)}
	out := append([]byte(nil), i.history...)
	start := len(out)
	i.blocks = 0
	for !in.empty() {
		var err error
		if out, err = i.block(&in, out, start); err != nil {
			return nil, err
		}
		i.blocks++
	}
	plain := out[start:]
	i.history = append([]byte(nil), out[max(0, len(out)-i.window):]...)
	return plain, nil
}

func (i *inflater) block(in *bitReader, out []byte, start int) ([]byte, error) {
	final := in.bits(1)
	kind := in.bits(2)
	var err error
	switch kind {
	case 0:
		out, err = in.stored(out)
	case 1:
		out, err = i.coded(in, out, start, &fixedLiterals, &fixedDistances)
	case 2:
		var literals, distances huffman
		if literals, distances, err = in.tables(); err == nil {
			out, err = i.coded(in, out, start, &literals, &distances)
		}
	default:
		err = errInflate
	}
	if final == 1 {
		// RFC 7692, 7.2.3.4 and 7.2.3.5: a block with BFINAL ends at a byte
		// boundary for the next to begin.
		in.align()
	}
	if err == nil && in.short != "" {
		err = errInflate
	}
	return out, err
}

func (i *inflater) coded(in *bitReader, out []byte, start int, literals, distances *huffman) ([]byte, error) {
	for in.short == "" {
		symbol := literals.next(in)
		switch {
		case symbol < 0 || symbol > 285:
			return out, errInflate
		case symbol < 256:
			out = append(out, byte(symbol))
		case symbol == 256:
			return out, nil
		default:
			length := lengthBase[symbol-257] + in.bits(lengthExtra[symbol-257])
			code := distances.next(in)
			if code < 0 || code > 29 {
				return out, errInflate
			}
			back := distanceBase[code] + in.bits(distanceExtra[code])
			if back > len(out) {
				return out, errInflate
			}
			if back > i.window {
				return out, fmt.Errorf("it refers %d bytes back, and the agreed window has %d", back, i.window)
			}
			if int64(len(out)-start) > i.most {
				return out, errors.New("it is longer than any case asks for")
			}
			for ; length > 0; length-- {
				out = append(out, out[len(out)-back])
			}
		}
	}
	return out, errInflate
}

// bitReader reads DEFLATE's bits: RFC 1951, 3.1.1.
type bitReader struct {
	data  []byte
	hold  uint64
	have  int
	short string // not empty: more was read than there is
}

func (r *bitReader) bits(n int) int {
	for r.have < n {
		if len(r.data) == 0 {
			r.short = "short"
			return 0
		}
		r.hold |= uint64(r.data[0]) << r.have
		r.data = r.data[1:]
		r.have += 8
	}
	v := int(r.hold & (1<<n - 1))
	r.hold >>= n
	r.have -= n
	return v
}

func (r *bitReader) align() {
	r.hold >>= r.have % 8
	r.have -= r.have % 8
}

func (r *bitReader) empty() bool { return r.have < 8 && len(r.data) == 0 }

func (r *bitReader) stored(out []byte) ([]byte, error) {
	r.align()
	n := r.bits(16)
	if r.bits(16) != n^0xffff || r.short != "" {
		return out, errInflate
	}
	for ; n > 0 && r.have > 0; n-- {
		out = append(out, byte(r.bits(8)))
	}
	if n > len(r.data) {
		return out, errInflate
	}
	out = append(out, r.data[:n]...)
	r.data = r.data[n:]
	return out, nil
}

// huffman is a canonical code: how many codes there are of each length, and
// the symbols in order.
type huffman struct {
	count   [16]int
	symbols []int
}

func newHuffman(lengths []int) huffman {
	var h huffman
	for _, l := range lengths {
		h.count[l]++
	}
	h.count[0] = 0
	for want := 1; want < 16; want++ {
		for symbol, l := range lengths {
			if l == want {
				h.symbols = append(h.symbols, symbol)
			}
		}
	}
	return h
}

// next reads a symbol, or returns -1 where the bits are none's.
func (h *huffman) next(in *bitReader) int {
	code, first, index := 0, 0, 0
	for length := 1; length < 16; length++ {
		code |= in.bits(1)
		if in.short != "" {
			return -1
		}
		n := h.count[length]
		if code-n < first {
			return h.symbols[index+code-first]
		}
		index += n
		first = (first + n) << 1
		code <<= 1
	}
	return -1
}

// tables reads the two codes of a block with dynamic codes: RFC 1951, 3.2.7.
func (r *bitReader) tables() (literals, distances huffman, err error) {
	nliterals, ndistances, ncodes := r.bits(5)+257, r.bits(5)+1, r.bits(4)+4
	var lengths [19]int
	for i := range ncodes {
		lengths[codeOrder[i]] = r.bits(3)
	}
	codes := newHuffman(lengths[:])
	var all []int
	for len(all) < nliterals+ndistances && r.short == "" {
		symbol := codes.next(r)
		last, times := 0, 1
		switch {
		case symbol < 0 || symbol == 16 && len(all) == 0:
			return literals, distances, errInflate
		case symbol < 16:
			last = symbol
		case symbol == 16:
			last, times = all[len(all)-1], 3+r.bits(2)
		case symbol == 17:
			times = 3 + r.bits(3)
		default:
			times = 11 + r.bits(7)
		}
		for ; times > 0; times-- {
			all = append(all, last)
		}
	}
	if len(all) != nliterals+ndistances {
		return literals, distances, errInflate
	}
	return newHuffman(all[:nliterals]), newHuffman(all[nliterals:]), nil
}

var (
	codeOrder     = [...]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	lengthBase    = [...]int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra   = [...]int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distanceBase  = [...]int{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distanceExtra = [...]int{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}

	fixedLiterals  = newHuffman(fixedLiteralLengths())
	fixedDistances = newHuffman(slicesOf(5, 30))
)

// fixedLiteralLengths are the code lengths of RFC 1951, 3.2.6.
func fixedLiteralLengths() []int {
	lengths := slicesOf(8, 144)
	lengths = append(lengths, slicesOf(9, 112)...)
	lengths = append(lengths, slicesOf(7, 24)...)
	return append(lengths, slicesOf(8, 8)...)
}

func slicesOf(value, times int) []int {
	s := make([]int, times)
	for i := range s {
		s[i] = value
	}
	return s
}
