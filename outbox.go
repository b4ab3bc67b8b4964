package websocket

import (
	"container/list"
	"sync"

	"github.com/chanws/websocket/codec"
)

// An outgoing is a frame in the queue. Payloads of up to inlinePayload bytes are
// in the batch's arena, larger ones in a buffer of their own, prepared ones where they
// are.
type outgoing struct {
	prepared *Prepared
	opcode   codec.Opcode
	final    bool
	buffer   *codec.Buffer
	from, to int
}

const inlinePayload = 4 << 10

// A batch is what the queue holds and what a writer takes of it: everything, so
// that many frames leave in one write. Sends append to one batch while another is
// being written.
type batch struct {
	frames []outgoing
	arena  []byte
	size   int  // payload bytes
	close  bool // the last frame is a close frame

	prepared       int // frames that are
	lane, laneSize int // frames that the budget of the control lane has counted, and their bytes
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// Batches that grew over this are left to the garbage collector.
const maxPooledArena = 256 << 10

func (b *batch) add(opcode codec.Opcode, final bool, payload []byte) {
	f := outgoing{opcode: opcode, final: final}
	if len(payload) > inlinePayload {
		f.buffer = codec.NewBuffer(len(payload))
		f.buffer.Bytes = append(f.buffer.Bytes, payload...)
	} else {
		f.from = len(b.arena)
		b.arena = append(b.arena, payload...)
		f.to = len(b.arena)
	}
	b.frames = append(b.frames, f)
	b.size += len(payload)
}

func (b *batch) payload(f *outgoing) []byte {
	if f.prepared != nil {
		return f.prepared.payload
	}
	if f.buffer != nil {
		return f.buffer.Bytes
	}
	return b.arena[f.from:f.to]
}

// counted gives what the budget of data has counted: all but a close frame.
func (b *batch) counted() (messages, size int) {
	if !b.close {
		return len(b.frames), b.size
	}
	last := &b.frames[len(b.frames)-1]
	return len(b.frames) - 1, b.size - len(b.payload(last))
}

// recycle gives the memory back.
func (b *batch) recycle() {
	for i := range b.frames {
		if buffer := b.frames[i].buffer; buffer != nil {
			buffer.Release()
		}
	}
	clear(b.frames)
	*b = batch{frames: b.frames[:0], arena: b.arena[:0]}
	if cap(b.arena) <= maxPooledArena {
		batches.Put(b)
	}
}

// A budget bounds what is queued, in messages and in bytes, and lets those wait
// who find no room, first come first served. It is guarded by the connection's
// lock.
type budget struct {
	maxMessages, maxBytes int
	messages, bytes       int
	waiters               *list.List // of *waiter; made when first used
}

type waiter struct {
	size    int
	granted chan struct{} // closed when the room is the waiter's
	place   *list.Element
}

// fits reports whether a message has room now. One message always has, however
// large.
func (q *budget) fits(size int) bool {
	return !q.waited() && q.admits(size)
}

// waited reports whether anybody waits for room.
func (q *budget) waited() bool { return q.waiters != nil && q.waiters.Len() > 0 }

func (q *budget) admits(size int) bool {
	return q.messages == 0 || q.messages < q.maxMessages && size <= q.maxBytes-q.bytes
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
func (q *budget) give(messages, size int) {
	q.messages -= messages
	q.bytes -= size
	for q.waited() {
		w := q.waiters.Front().Value.(*waiter)
		if !q.admits(w.size) {
			return
		}
		q.waiters.Remove(w.place)
		w.place = nil
		q.take(w.size)
		close(w.granted)
	}
}

// leave ends the wait of w. Room that it was granted meanwhile goes to the next.
func (q *budget) leave(w *waiter) {
	if w.place == nil {
		q.give(1, w.size)
		return
	}
	q.waiters.Remove(w.place)
	q.give(0, 0)
}
