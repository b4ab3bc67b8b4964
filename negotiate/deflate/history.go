package deflate

import "math/bits"

// A history is the last bytes of the messages compressed in one direction, at most
// max of them: what the compression of the next one may refer to. It takes no more
// memory than twice what it has seen.
type history struct {
	bytes []byte
	max   int // 0: nothing is kept
}

// minHistory is the least that is allocated for one.
const minHistory = 256

// add appends a message and forgets what has become too old.
func (h *history) add(p []byte) {
	if len(p) >= h.max {
		h.bytes = append(h.room(h.max)[:0], p[len(p)-h.max:]...)
		return
	}
	b := h.room(min(len(h.bytes)+len(p), h.max))
	if old := len(b) + len(p) - h.max; old > 0 {
		b = b[:copy(b, b[old:])]
	}
	h.bytes = append(b, p...)
}

// room returns the bytes, where size of them fit.
func (h *history) room(size int) []byte {
	if size <= cap(h.bytes) {
		return h.bytes
	}
	size = min(h.max, max(minHistory, 1<<bits.Len(uint(size-1))))
	return append(make([]byte, 0, size), h.bytes...)
}

// last returns at most n of the bytes, the most recent.
func (h *history) last(n int) []byte {
	if len(h.bytes) <= n {
		return h.bytes
	}
	return h.bytes[len(h.bytes)-max(n, 0):]
}
