package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Opcodes and bits of RFC 6455, section 5.2. The load has its own few lines of
// the protocol so that it takes the side of no library.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	finBit   = 0x80
	rsv1Bit  = 0x40
	maskBit  = 0x80
)

// randomBytes are the same in each run.
func randomBytes(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 'b'})
	_, _ = r.Read(b) // never fails
	return b
}

// appendHeader appends the header of one whole frame, but for the mask.
func appendHeader(dst []byte, first byte, n int, mask byte) []byte {
	dst = append(dst, first)
	switch {
	case n < 126:
		return append(dst, mask|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, mask|126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, mask|127), uint64(n))
	}
}

// appendServerFrame appends a frame as a server sends it: this is what an echo
// has to be, to the byte.
func appendServerFrame(dst []byte, first byte, payload []byte) []byte {
	return append(appendHeader(dst, first, len(payload), 0), payload...)
}

// appendClientFrame appends a masked frame.
func appendClientFrame(dst []byte, first byte, payload []byte, key [4]byte) []byte {
	dst = append(appendHeader(dst, first, len(payload), maskBit), key[:]...)
	for i, b := range payload {
		dst = append(dst, b^key[i&3])
	}
	return dst
}

// A header is the beginning of a frame.
type header struct {
	first  byte
	masked bool
	key    [4]byte
	length int
	size   int // of the header itself
}

// parseHeader reads a header. It reports false if b does not hold all of it.
func parseHeader(b []byte) (h header, ok bool, err error) {
	if len(b) < 2 {
		return h, false, nil
	}
	h.first, h.masked, h.length, h.size = b[0], b[1]&maskBit != 0, int(b[1]&0x7f), 2
	switch h.length {
	case 126:
		h.size = 4
		if len(b) < h.size {
			return h, false, nil
		}
		h.length = int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.size = 10
		if len(b) < h.size {
			return h, false, nil
		}
		n := binary.BigEndian.Uint64(b[2:])
		if n > 1<<30 {
			return h, false, fmt.Errorf("a frame of %d bytes", n)
		}
		h.length = int(n)
	}
	if h.masked {
		h.size += 4
		if len(b) < h.size {
			return h, false, nil
		}
		copy(h.key[:], b[h.size-4:])
	}
	return h, true, nil
}
