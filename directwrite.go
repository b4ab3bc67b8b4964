package websocket

import (
	"sync"

	"github.com/chanws/websocket/codec"
)

// A directWrite is a frame that a sender writes itself, without waiting: head and
// body, of which one may be missing. A small frame is all head; the payload of a large
// one and a prepared frame are body, and are written from where they lie. It is
// pooled, so that a write allocates nothing, and a connection at rest has none.
type directWrite struct {
	head *codec.Buffer
	body []byte
	hold *codec.Buffer // what body lies in, where that is ours
	size int           // of the message

	close bool // of a close frame, which is no message

	written int
	err     error
	ready   func(fd uintptr) bool // for a transport, made once
}

var directWrites = sync.Pool{New: func() any { return new(directWrite) }}

// refer makes the write of a header and the payload from where it lies, if the
// version has it so.
func (w *directWrite) refer(writer codec.Writer, f codec.Frame) bool {
	head := codec.NewBuffer(codec.MaxHeaderSize)
	var ok bool
	if head.Bytes, ok = writer.AppendHeader(head.Bytes, f); !ok {
		head.Release()
		return false
	}
	w.head, w.body = head, f.Payload
	return true
}

// finish gives back what the write held, but for what it has left to write after a
// write without an error.
func (w *directWrite) finish(err error) (left *codec.Buffer) {
	if err == nil {
		left = w.rest()
	}
	if w.head != nil {
		w.head.Release()
	}
	if w.hold != nil {
		w.hold.Release()
	}
	*w = directWrite{ready: w.ready}
	directWrites.Put(w)
	return left
}

// rest takes out what has not been written.
func (w *directWrite) rest() *codec.Buffer {
	head, n := w.headBytes(), w.written
	switch {
	case n == len(head)+len(w.body):
		return nil
	case w.head == nil:
		return codec.LendBuffer(w.body[n:])
	}
	left := w.head
	w.head = nil
	if n >= len(head) {
		left.Bytes = left.Bytes[:0]
		return left.Append(w.body[n-len(head):])
	}
	left.Bytes = left.Bytes[:copy(left.Bytes, left.Bytes[n:])]
	return left.Append(w.body)
}

func (w *directWrite) headBytes() []byte {
	if w.head == nil {
		return nil
	}
	return w.head.Bytes
}
