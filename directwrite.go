package websocket

import (
	"sync"

	"github.com/chanws/websocket/codec"
)

// A directWrite is a frame that a sender writes itself, without waiting: head, and
// where the payload is large body, which lies where the sender has it. It is pooled,
// so that a write allocates nothing, and a connection at rest has none.
type directWrite struct {
	head *codec.Buffer
	body []byte
	hold *codec.Buffer // what body lies in, where that is ours
	size int           // of the message

	written int
	err     error
	ready   func(fd uintptr) bool // for a transport, made once
}

var directWrites = sync.Pool{New: func() any { return new(directWrite) }}

// refer makes the write of a header and the payload from where it lies, if the
// version has it so.
func (w *directWrite) refer(writer codec.Writer, f *codec.Frame) bool {
	head := codec.NewBuffer(codec.MaxHeaderSize)
	var ok bool
	if head.Bytes, ok = writer.AppendHeader(head.Bytes, *f); !ok {
		head.Release()
		return false
	}
	w.head, w.body = head, f.Payload
	return true
}

// finish gives back what the write held, but for what it has left to write after a
// write without an error.
func (w *directWrite) finish(err error) (left *codec.Buffer) {
	if err == nil && w.written < len(w.head.Bytes)+len(w.body) {
		left, w.head = w.rest(), nil
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

// rest takes head, for what has not been written of it and of body.
func (w *directWrite) rest() *codec.Buffer {
	head, n := w.head, w.written
	if n >= len(head.Bytes) {
		n, head.Bytes = n-len(head.Bytes), head.Bytes[:0]
		return head.Append(w.body[n:])
	}
	head.Bytes = head.Bytes[:copy(head.Bytes, head.Bytes[n:])]
	return head.Append(w.body)
}
