package websocket

import (
	"container/list"
	"sync"

	"github.com/chanws/websocket/codec"
)

// An eventBlock is what can be queued: an event, or bytes that are encoded.
type eventBlock struct {
	event Event
	bytes []byte // used instead of event if not nil
}

func (b eventBlock) size() int {
	if b.bytes != nil {
		return len(b.bytes)
	}
	return codec.EventSize(b.event)
}

func (b eventBlock) appendTo(dst []byte) ([]byte, error) {
	if b.bytes != nil {
		return append(dst, b.bytes...), nil
	}
	return codec.AppendEvent(dst, b.event)
}

// A queueWaiter is a call that waits for room in the queue, or for the queue to
// be written up to a mark.
type queueWaiter struct {
	block []byte        // encoded, to be queued
	mark  uint64        // blocks that have to be written
	done  chan struct{} // closed after err is set
	err   error
	elem  *list.Element // nil once it is done
	in    *list.List
}

func (w *queueWaiter) finish(err error) {
	w.in.Remove(w.elem)
	w.elem, w.err = nil, err
	close(w.done)
}

// An eventQueue is the outbound queue of an EventSource: bytes ready to be
// written. Its bounds cover what is queued together with what is being written.
// It belongs to the EventSource's mutex.
type eventQueue struct {
	maxEvents, maxBytes int

	buf     *eventBuffer // queued; nil if nothing is
	events  int          // in buf
	busy    *eventBuffer // being written; nil if nothing is
	waiting int          // blocks in busy

	queued  uint64     // blocks ever queued
	written uint64     // blocks ever written
	senders *list.List // of *queueWaiter, first come first served
	flushes *list.List // of *queueWaiter, in order of mark
}

type eventBuffer struct{ b []byte }

// maxPooledBuffer keeps one burst from holding memory for good.
const maxPooledBuffer = 256 << 10

var eventBuffers = sync.Pool{New: func() any { return new(eventBuffer) }}

func newEventQueue(maxEvents, maxBytes int) eventQueue {
	return eventQueue{maxEvents: maxEvents, maxBytes: maxBytes, senders: list.New(), flushes: list.New()}
}

// put queues b, or returns ErrQueueFull, an *EventFieldError or an
// *EventSizeError and leaves the queue as it was. What has no room is not encoded:
// to refuse an event must not cost as much as to send it.
func (q *eventQueue) put(b eventBlock) error {
	size := b.size()
	if size > q.maxBytes {
		return &EventSizeError{Size: size, Limit: q.maxBytes}
	}
	if q.senders.Len() > 0 || !q.fits(size) {
		return ErrQueueFull
	}
	buf := q.buf
	if buf == nil {
		buf = eventBuffers.Get().(*eventBuffer)
	}
	all, err := b.appendTo(buf.b)
	if err == nil {
		buf.b, q.buf = all, buf
		q.events++
		q.queued++
	} else if q.buf == nil {
		eventBuffers.Put(buf)
	}
	return err
}

// wait makes b, for which put had no room, the last of those that wait for some.
func (q *eventQueue) wait(b eventBlock) (*queueWaiter, error) {
	block, err := b.appendTo(make([]byte, 0, b.size()))
	if err != nil {
		return nil, err
	}
	w := &queueWaiter{block: block, done: make(chan struct{}), in: q.senders}
	w.elem = q.senders.PushBack(w)
	return w, nil
}

// waitFlushed waits for all that is queued now; nil if that is nothing.
func (q *eventQueue) waitFlushed() *queueWaiter {
	if q.written == q.queued {
		return nil
	}
	w := &queueWaiter{mark: q.queued, done: make(chan struct{}), in: q.flushes}
	w.elem = q.flushes.PushBack(w)
	return w
}

// take gives all that is queued, to be written.
func (q *eventQueue) take() []byte {
	q.busy, q.waiting = q.buf, q.events
	q.buf, q.events = nil, 0
	return q.busy.b
}

// wrote makes the room of what was taken free, and lets waiters have it.
func (q *eventQueue) wrote() {
	q.written += uint64(q.waiting)
	q.drop(q.busy)
	q.busy, q.waiting = nil, 0
	for e := q.flushes.Front(); e != nil; e = q.flushes.Front() {
		w := e.Value.(*queueWaiter)
		if w.mark > q.written {
			break
		}
		w.finish(nil)
	}
	for e := q.senders.Front(); e != nil; e = q.senders.Front() {
		w := e.Value.(*queueWaiter)
		if !q.fits(len(w.block)) {
			break
		}
		if q.buf == nil {
			q.buf = eventBuffers.Get().(*eventBuffer)
		}
		q.buf.b = append(q.buf.b, w.block...)
		q.events++
		q.queued++
		w.finish(nil)
	}
}

func (q *eventQueue) fits(size int) bool {
	if q.buf != nil {
		size += len(q.buf.b)
	}
	return q.events+q.waiting < q.maxEvents && size+q.busyBytes() <= q.maxBytes
}

func (q *eventQueue) busyBytes() int {
	if q.busy == nil {
		return 0
	}
	return len(q.busy.b)
}

// failSenders makes everyone who waits for room give up.
func (q *eventQueue) failSenders(err error) {
	for e := q.senders.Front(); e != nil; e = q.senders.Front() {
		e.Value.(*queueWaiter).finish(err)
	}
}

// fail drops what is queued and makes everyone who waits give up.
func (q *eventQueue) fail(err error) {
	q.failSenders(err)
	for e := q.flushes.Front(); e != nil; e = q.flushes.Front() {
		e.Value.(*queueWaiter).finish(err)
	}
	q.drop(q.buf)
	q.buf, q.events = nil, 0
}

func (q *eventQueue) drop(b *eventBuffer) {
	if b != nil && cap(b.b) <= maxPooledBuffer {
		b.b = b.b[:0]
		eventBuffers.Put(b)
	}
}
