package websocket

import (
	"container/list"
	"sync"

	"github.com/chanws/websocket/codec"
)

// An outgoing is a frame in the queue, or several encoded ones. Small payloads are in
// the batch's arena, larger ones in a buffer of their own, prepared ones where they are.
type outgoing struct {
	prepared *Prepared
	buffer   *codec.Buffer
	from, to int
	opcode   codec.Opcode
	final    bool
	encoded  bool // the bytes of the wire, in the arena
}

// inlinePayload is the largest payload in the arena.
const inlinePayload = 4 << 10

// A batch is what the queue holds and what a writer takes of it: everything, so
// that many frames leave in one write. Sends append to one batch while another is
// being written.
type batch struct {
	pieces []outgoing
	arena  []byte

	count     int  // frames
	size      int  // their payload bytes
	close     bool // the last frame is a close frame
	closeSize int  // its payload bytes

	pinged         bool          // there is a ping, which the peer has to answer
	pong           *codec.Buffer // the payload to answer the latest ping with; nil for none
	prepared       int           // frames that are, each a piece
	lane, laneSize int           // frames that the budget of the control lane has counted, and their bytes
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// Batches that grew over this are left to the garbage collector.
const maxPooledArena = 256 << 10

// add queues a frame. It is encoded at once if it is small and there is a Writer: to be
// copied once, and not again behind its header, makes a tenth more messages a second
// where many are in the queue (pipelined-32 of the bench module).
func (b *batch) add(w codec.Writer, f codec.Frame) {
	b.count++
	b.size += len(f.Payload)
	if len(f.Payload) <= inlinePayload && w != nil {
		b.encode(w, f)
		return
	}
	o := outgoing{opcode: f.Opcode, final: f.Final}
	if len(f.Payload) > inlinePayload {
		o.buffer = codec.NewBuffer(len(f.Payload))
		o.buffer.Bytes = append(o.buffer.Bytes, f.Payload...)
	} else {
		o.from = len(b.arena)
		b.arena = append(b.arena, f.Payload...)
		o.to = len(b.arena)
	}
	b.pieces = append(b.pieces, o)
}

// encode adds a frame in the bytes of the wire to those before it, if they are that too.
func (b *batch) encode(w codec.Writer, f codec.Frame) {
	from := len(b.arena)
	b.arena = w.AppendFrame(b.arena, f)
	if last := len(b.pieces) - 1; last >= 0 && b.pieces[last].encoded {
		b.pieces[last].to = len(b.arena)
		return
	}
	b.pieces = append(b.pieces, outgoing{encoded: true, from: from, to: len(b.arena)})
}

// answerPing queues the answer to the latest ping.
func (b *batch) answerPing(w codec.Writer) {
	if b.pong == nil {
		return
	}
	b.add(w, codec.Frame{Opcode: codec.OpPong, Final: true, Payload: b.pong.Bytes})
	b.pong.Release()
	b.pong = nil
}

// addClose queues a close frame, which is the last.
func (b *batch) addClose(w codec.Writer, payload []byte) {
	b.add(w, codec.Frame{Opcode: codec.OpClose, Final: true, Payload: payload})
	b.close, b.closeSize = true, len(payload)
}

// bytes are those of the payload, or of encoded frames.
func (b *batch) bytes(o *outgoing) []byte {
	switch {
	case o.prepared != nil:
		return o.prepared.payload
	case o.buffer != nil:
		return o.buffer.Bytes
	}
	return b.arena[o.from:o.to]
}

// encoded gives the bytes of the whole batch, if all of it is encoded.
func (b *batch) encoded() ([]byte, bool) {
	if len(b.pieces) != 1 || !b.pieces[0].encoded {
		return nil, false
	}
	return b.arena, true
}

// counted gives what the budget of data has counted: all but a close frame.
func (b *batch) counted() (messages, size int) {
	if b.close {
		return b.count - 1, b.size - b.closeSize
	}
	return b.count, b.size
}

// recycle gives the memory back.
func (b *batch) recycle() {
	for i := range b.pieces {
		if buffer := b.pieces[i].buffer; buffer != nil {
			buffer.Release()
		}
	}
	if b.pong != nil {
		b.pong.Release()
	}
	clear(b.pieces)
	*b = batch{pieces: b.pieces[:0], arena: b.arena[:0]}
	if cap(b.arena) <= maxPooledArena {
		batches.Put(b)
	}
}

// A budget bounds what is queued, in messages and in bytes, and lets those wait
// who find no room, first come first served. It is guarded by the connection's
// lock.
type budget struct {
	messages, bytes int
	waiters         *list.List // of *waiter; made when first used
}

// A room is what a budget may be used up to. It is not the budget's own, as connections
// with the same options share it.
type room struct{ messages, bytes int }

type waiter struct {
	size    int
	granted chan struct{} // closed when the room is the waiter's
	place   *list.Element
}

// fits reports whether a message has room now. One message always has, however
// large.
func (q *budget) fits(r room, size int) bool {
	return !q.waited() && q.admits(r, size)
}

// waited reports whether anybody waits for room.
func (q *budget) waited() bool { return q.waiters != nil && q.waiters.Len() > 0 }

func (q *budget) admits(r room, size int) bool {
	return q.messages == 0 || q.messages < r.messages && size <= r.bytes-q.bytes
}

func (q *budget) take(size int) {
	q.messages++
	q.bytes += size
}

func (q *budget) wait(size int) *waiter {
	if q.waiters == nil {
		q.waiters = list.New()
	}
	w := &waiter{size: size, granted: make(chan struct{})}
	w.place = q.waiters.PushBack(w)
	return w
}

// give returns the room of messages that are gone and hands it on.
func (q *budget) give(r room, messages, size int) {
	q.messages -= messages
	q.bytes -= size
	for q.waited() {
		w := q.waiters.Front().Value.(*waiter)
		if !q.admits(r, w.size) {
			return
		}
		q.waiters.Remove(w.place)
		w.place = nil
		q.take(w.size)
		close(w.granted)
	}
}

// leave ends the wait of w. Room that it was granted meanwhile goes to the next.
func (q *budget) leave(r room, w *waiter) {
	if w.place == nil {
		q.give(r, 1, w.size)
		return
	}
	q.waiters.Remove(w.place)
	q.give(r, 0, 0)
}

// fits and give are those of the budget of data.
func (c *Conn) fits(size int) bool      { return c.budget.fits(c.queueRoom, size) }
func (c *Conn) give(messages, size int) { c.budget.give(c.queueRoom, messages, size) }
