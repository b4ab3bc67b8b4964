package websocket

import (
	"sync"

	"github.com/chanws/websocket/codec"
)

// An asideWrite is a message that extensions are to transform, on its way to the socket
// by a goroutine of its own. A compressor takes 8 KiB of stack, and the stack of a
// goroutine that waits shrinks to 4 KiB at best: so it is to be one that ends, and that
// of the application stays at the 2 KiB that it began with, where it does no more than
// send and receive. It is pooled, so that a write allocates nothing.
type asideWrite struct {
	conn    *Conn
	frame   outFrame
	payload *codec.Buffer
	run     func() // made once
}

var asideWrites = sync.Pool{New: func() any { return new(asideWrite) }}

// writeAside has the frame written without waiting for that, which begins with a copy.
func (c *Conn) writeAside(f *outFrame) {
	w := asideWrites.Get().(*asideWrite)
	if w.run == nil {
		w.run = w.write
	}
	w.conn = c
	w.frame = *f
	w.payload = codec.NewBuffer(len(f.Payload))
	w.payload.Bytes = append(w.payload.Bytes, f.Payload...)
	w.frame.Payload = w.payload.Bytes
	go w.run()
}

func (w *asideWrite) write() {
	growStackToCompress()
	w.conn.writeNow(&w.frame) // which ends the connection where it fails
	w.payload.Release()
	*w = asideWrite{run: w.run}
	asideWrites.Put(w)
}
