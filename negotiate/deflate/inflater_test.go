package deflate

import (
	"errors"
	"fmt"
)

// A strict inflater is written from RFC 1951 alone, slowly, to be independent of the
// library, and refuses references that go further back than a window.
type strict struct {
	window int
	out    []byte // all that was inflated so far
	in     []byte
	pos    int // in bits
	far    int // the furthest reference
}

var errShort = errors.New("no more bits")

// message inflates a message without its tail, and returns what it is.
func (s *strict) message(data []byte) (msg []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("strict: %v", r)
		}
	}()
	from := len(s.out)
	s.in, s.pos = append(data[:len(data):len(data)], tail...), 0
	for s.pos < 8*len(s.in) {
		if s.block(); len(s.in)*8-s.pos < 8 {
			break
		}
	}
	return s.out[from:], nil
}

func (s *strict) bits(n int) (v int) {
	for i := range n {
		if s.pos >= 8*len(s.in) {
			panic(errShort)
		}
		v |= int(s.in[s.pos/8]>>(s.pos%8)&1) << i
		s.pos++
	}
	return v
}

func (s *strict) block() {
	if s.bits(1) == 1 {
		panic("a block marked as the last")
	}
	switch s.bits(2) {
	case 0:
		s.pos = (s.pos + 7) &^ 7
		n, inverse := s.bits(16), s.bits(16)
		if n != inverse^0xffff {
			panic("length")
		}
		for range n {
			s.out = append(s.out, byte(s.bits(8)))
		}
	case 1:
		s.compressed(fixedLengths(), nil, 5)
	case 2:
		literals, distances := s.tables()
		s.compressed(literals, distances, 0)
	default:
		panic("type")
	}
}

func fixedLengths() []int {
	l := make([]int, 288)
	for i := range l {
		switch {
		case i < 144:
			l[i] = 8
		case i < 256:
			l[i] = 9
		case i < 280:
			l[i] = 7
		default:
			l[i] = 8
		}
	}
	return l
}

// canon has the symbols in the order of their codes, and how many there are of each
// length (RFC 1951, section 3.2.2).
type canon struct {
	count   [16]int
	symbols []int
}

func newCanon(lengths []int) *canon {
	c := &canon{}
	for n := 1; n <= 15; n++ {
		for symbol, l := range lengths {
			if l == n {
				c.count[n]++
				c.symbols = append(c.symbols, symbol)
			}
		}
	}
	return c
}

func (s *strict) symbol(c *canon) int {
	code, first, index := 0, 0, 0
	for n := 1; n <= 15; n++ {
		code = code<<1 | s.bits(1)
		if code-first < c.count[n] {
			return c.symbols[index+code-first]
		}
		index += c.count[n]
		first = (first + c.count[n]) << 1
	}
	panic("code")
}

// tables reads the code lengths of a dynamic block (RFC 1951, section 3.2.7).
func (s *strict) tables() (literals, distances []int) {
	nl, nd, nc := s.bits(5)+257, s.bits(5)+1, s.bits(4)+4
	lengths := make([]int, 19)
	for _, i := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:nc] {
		lengths[i] = s.bits(3)
	}
	codes := newCanon(lengths)
	var all []int
	for len(all) < nl+nd {
		v, n := s.symbol(codes), 1
		switch v {
		case 16:
			v, n = all[len(all)-1], 3+s.bits(2)
		case 17:
			v, n = 0, 3+s.bits(3)
		case 18:
			v, n = 0, 11+s.bits(7)
		}
		for range n {
			all = append(all, v)
		}
	}
	return all[:nl], all[nl:]
}

// compressed reads literals and references to the end of the block (RFC 1951,
// section 3.2.5).
func (s *strict) compressed(literals, distances []int, fixed int) {
	codes, far := newCanon(literals), newCanon(distances)
	for {
		v := s.symbol(codes)
		if v < 256 {
			s.out = append(s.out, byte(v))
			continue
		}
		if v == 256 {
			return
		}
		n := s.length(v)
		var d int
		if fixed > 0 {
			for range fixed {
				d = d<<1 | s.bits(1)
			}
		} else {
			d = s.symbol(far)
		}
		s.copy(s.distance(d), n)
	}
}

func (s *strict) length(v int) int {
	switch {
	case v < 265:
		return v - 254
	case v == 285:
		return 258
	}
	extra := (v - 261) / 4
	return 3 + (4+(v-261)%4)<<extra + s.bits(extra)
}

func (s *strict) distance(v int) int {
	if v < 4 {
		return v + 1
	}
	extra := v/2 - 1
	return 1 + (2+v%2)<<extra + s.bits(extra)
}

func (s *strict) copy(distance, n int) {
	s.far = max(s.far, distance)
	if distance > s.window || distance > len(s.out) {
		panic(fmt.Sprintf("a reference %d bytes back, of %d, in a window of %d", distance, len(s.out), s.window))
	}
	for range n {
		s.out = append(s.out, s.out[len(s.out)-distance])
	}
}
