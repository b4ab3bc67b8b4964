package codec

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// A Buffer is a slice of bytes that can be given back for reuse. Whoever holds
// one owns its bytes until Release; who never releases it leaves it to the
// garbage collector.
//
// The first 64 KiB come in one allocation with the Buffer itself, so that a
// received message costs one.
type Buffer struct {
	// Bytes has the capacity asked for or more, and what length its user gives it.
	Bytes []byte

	generation atomic.Uint32 // counts releases
	class      int8
}

// Sizes of buffers are those of their class and room for the longest frame header,
// so that a frame with a payload of a round size fits one buffer. A class doubles the
// one before up to 1 MiB. From there on it takes four to double, as memory has to be
// cleared before it is used for the first time: what a message leaves of its buffer
// is then a quarter of it at most.
const (
	minClass   = 6
	roundClass = 20 // the last that doubles: 1 MiB
	maxClass   = roundClass + 4*5
	bufferRoom = 16
)

// pools have what was in use at once since the last but one garbage collection, and
// no more.
var pools [maxClass + 1]sync.Pool

// classOf gives the smallest class that holds size bytes, which may be above maxClass.
func classOf(size int) int {
	size = max(size-bufferRoom, 1)
	class := bits.Len(uint(size - 1))
	if class <= roundClass {
		return max(minClass, class)
	}
	quarter := (size - 1) >> (class - 3) & 3
	return roundClass + 4*(class-roundClass-1) + quarter + 1
}

// sizeOf gives what a class holds.
func sizeOf(class int) int {
	if class <= roundClass {
		return 1 << class
	}
	n := class - roundClass
	return (4 + n&3) << (roundClass - 2 + n>>2)
}

// NewBuffer returns an empty Buffer with a capacity of at least size bytes. Above
// 32 MiB it is made for this use alone and never pooled.
func NewBuffer(size int) *Buffer {
	class := classOf(size)
	if class > maxClass {
		return &Buffer{Bytes: make([]byte, 0, size), class: -1}
	}
	if b, ok := pools[class].Get().(*Buffer); ok {
		return b
	}
	b := allocate(class)
	b.class = int8(class)
	return b
}

// LendBuffer returns a Buffer over bytes that stay their owner's: Release leaves them
// alone, and Append copies them first.
func LendBuffer(b []byte) *Buffer { return &Buffer{Bytes: b[:len(b):len(b)], class: -1} }

// Generation identifies this use of the Buffer, for [Buffer.ReleaseOnce].
func (b *Buffer) Generation() uint32 { return b.generation.Load() }

// Release gives the bytes back for reuse. They must not be touched after it.
func (b *Buffer) Release() { b.ReleaseOnce(b.generation.Load()) }

// ReleaseOnce gives the bytes back as Release does, if this is still the use that
// [Buffer.Generation] told: a copied handle that releases a second time, even
// after the Buffer went to somebody else, does nothing.
func (b *Buffer) ReleaseOnce(generation uint32) {
	if !b.generation.CompareAndSwap(generation, generation+1) || b.class < 0 {
		return
	}
	if cap(b.Bytes) > sizeOf(int(b.class))+bufferRoom {
		return // grown by append: as large a slice does not belong to this class
	}
	b.Bytes = b.Bytes[:0]
	pools[b.class].Put(b)
}

// Grow returns a Buffer with the same bytes and room for size in all; b is
// released. Nothing may refer to b's bytes any more.
func (b *Buffer) Grow(size int) *Buffer {
	larger := NewBuffer(size)
	larger.Bytes = append(larger.Bytes, b.Bytes...)
	b.Release()
	return larger
}

// Append adds p to the bytes of b, in a larger Buffer when they do not fit: then b
// is released, and must be forgotten for the one returned. It doubles, so that many
// small appends take linear time: to the next class, whose room for a header is no
// larger than that of b.
func (b *Buffer) Append(p []byte) *Buffer {
	if n := len(b.Bytes) + len(p); n > cap(b.Bytes) {
		b = b.Grow(max(n, 2*cap(b.Bytes)-bufferRoom))
	}
	b.Bytes = append(b.Bytes, p...)
	return b
}

// allocate makes the Buffer of a class, in one allocation up to 64 KiB: Go can not
// say so for an array of any size, hence the list.
func allocate(class int) *Buffer {
	if class < len(makers) {
		return makers[class]()
	}
	return &Buffer{Bytes: make([]byte, 0, sizeOf(class)+bufferRoom)}
}

// over sets b upon the array that was allocated with it.
func (b *Buffer) over(array []byte) *Buffer {
	b.Bytes = array[:0]
	return b
}

var makers = [...]func() *Buffer{
	6: func() *Buffer {
		a := new(struct {
			Buffer
			array [1<<6 + bufferRoom]byte
		})
		return a.over(a.array[:])
	},
	7: func() *Buffer {
		a := new(struct {
			Buffer
			array [1<<7 + bufferRoom]byte
		})
		return a.over(a.array[:])
	},
	8: func() *Buffer {
		a := new(struct {
			Buffer
			array [1<<8 + bufferRoom]byte
		})
		return a.over(a.array[:])
	},
	9: func() *Buffer {
		a := new(struct {
			Buffer
			array [1<<9 + bufferRoom]byte
		})
		return a.over(a.array[:])
	},
	10: func() *Buffer {
		a := new(struct {
			Buffer
			array [1<<10 + bufferRoom]byte
		})
		return a.over(a.array[:])
	},
	11: func() *Buffer {
		a := new(struct {
			Buffer
			array [1<<11 + bufferRoom]byte
		})
		return a.over(a.array[:])
	},
	12: func() *Buffer {
		a := new(struct {
			Buffer
			array [1<<12 + bufferRoom]byte
		})
		return a.over(a.array[:])
	},
	13: func() *Buffer {
		a := new(struct {
			Buffer
			array [1<<13 + bufferRoom]byte
		})
		return a.over(a.array[:])
	},
	14: func() *Buffer {
		a := new(struct {
			Buffer
			array [1<<14 + bufferRoom]byte
		})
		return a.over(a.array[:])
	},
	15: func() *Buffer {
		a := new(struct {
			Buffer
			array [1<<15 + bufferRoom]byte
		})
		return a.over(a.array[:])
	},
	16: func() *Buffer {
		a := new(struct {
			Buffer
			array [1<<16 + bufferRoom]byte
		})
		return a.over(a.array[:])
	},
}
