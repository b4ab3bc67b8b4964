package codec

import "encoding/binary"

// A MaskKey is the masking key of a frame, in the order of the wire
// (RFC 6455, section 5.3).
type MaskKey [4]byte

// rotate gives the key for a payload that goes on at byte pos of the frame's.
func (k MaskKey) rotate(pos int) MaskKey {
	pos &= 3
	return MaskKey{k[pos], k[(pos+1)&3], k[(pos+2)&3], k[(pos+3)&3]}
}

// Mask masks or unmasks b in place. The first byte of b is byte pos of the
// frame's payload (RFC 6455, section 5.3):
//
//	transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4)
func Mask(b []byte, key MaskKey, pos int) {
	MaskCopy(b, b, key, pos)
}

// MaskCopy writes src, masked or unmasked, to dst, which is at least as long and
// is either src itself or apart from it.
func MaskCopy(dst, src []byte, key MaskKey, pos int) {
	dst = dst[:len(src)]
	key = key.rotate(pos)
	word := uint64(binary.LittleEndian.Uint32(key[:]))
	word |= word << 32
	// Written out, and over arrays, this has no check of bounds. crypto/subtle.XORBytes,
	// with a repeated key, takes as long at 64 KiB and 1.2 times as long at 4 KiB.
	for len(src) >= 64 && len(dst) >= 64 {
		d, s := (*[64]byte)(dst), (*[64]byte)(src)
		binary.LittleEndian.PutUint64(d[0:], binary.LittleEndian.Uint64(s[0:])^word)
		binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(s[8:])^word)
		binary.LittleEndian.PutUint64(d[16:], binary.LittleEndian.Uint64(s[16:])^word)
		binary.LittleEndian.PutUint64(d[24:], binary.LittleEndian.Uint64(s[24:])^word)
		binary.LittleEndian.PutUint64(d[32:], binary.LittleEndian.Uint64(s[32:])^word)
		binary.LittleEndian.PutUint64(d[40:], binary.LittleEndian.Uint64(s[40:])^word)
		binary.LittleEndian.PutUint64(d[48:], binary.LittleEndian.Uint64(s[48:])^word)
		binary.LittleEndian.PutUint64(d[56:], binary.LittleEndian.Uint64(s[56:])^word)
		src, dst = src[64:], dst[64:]
	}
	for len(src) >= 8 && len(dst) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^word)
		src, dst = src[8:], dst[8:]
	}
	for i := range src {
		dst[i] = src[i] ^ key[i&3]
	}
}
