package codec

import "unicode/utf8"

// validText tells how much of b is UTF-8: valid counts the bytes of whole
// characters, and ok is false if what follows them can not begin a character
// (RFC 3629), however the text goes on. Where ok, up to three bytes remain.
func validText(b []byte) (valid int, ok bool) {
	if utf8.Valid(b) {
		return len(b), true
	}
	// The last character may be cut off: look for its first byte.
	for back := 1; back <= min(utf8.UTFMax-1, len(b)); back++ {
		i := len(b) - back
		if utf8.RuneStart(b[i]) {
			return i, !utf8.FullRune(b[i:]) && utf8.Valid(b[:i])
		}
	}
	return 0, false
}

// firstInvalid gives the index of the first byte that can not be part of UTF-8.
func firstInvalid(b []byte) int {
	i := 0
	for i < len(b) {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		i += size
	}
	for n := 1; i+n <= len(b); n++ {
		if utf8.FullRune(b[i : i+n]) {
			return i + n - 1
		}
	}
	return len(b)
}

// A textCheck checks that a text which comes in chunks is UTF-8, and says so at
// the first byte that it can not have.
type textCheck struct {
	begun [utf8.UTFMax]byte // of a character cut off by the end of a chunk
	n     uint8
}

// next takes the next chunk; where it is not ok, bad is the index of the byte
// that is to blame.
func (t *textCheck) next(b []byte) (bad int, ok bool) {
	i := 0
	for t.n > 0 && i < len(b) {
		t.begun[t.n] = b[i]
		t.n++
		if c := t.begun[:t.n]; utf8.FullRune(c) {
			if r, size := utf8.DecodeRune(c); r == utf8.RuneError && size == 1 {
				return i, false
			}
			t.n = 0
		}
		i++
	}
	if i == len(b) {
		return 0, true
	}
	valid, ok := validText(b[i:])
	if !ok {
		return i + firstInvalid(b[i:]), false
	}
	t.n = uint8(copy(t.begun[:], b[i+valid:]))
	return 0, true
}

// complete reports whether the text may end here.
func (t *textCheck) complete() bool { return t.n == 0 }
