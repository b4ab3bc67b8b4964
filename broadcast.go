package websocket

import (
	"iter"
	"sync"
	"time"

	"github.com/chanws/websocket/codec"
)

// A Missed is a connection that a broadcast did not reach, and why.
type Missed struct {
	Conn *Conn
	// Err is what [Conn.TrySendPrepared] returns: [ErrQueueFull] for a peer that does
	// not read as fast as is sent to it, [ErrClosed], or a [*UsageError] for a
	// connection that can not take the message, as one that is nil.
	Err error
}

// Broadcast prepares a message and sends it to all connections; see
// [Prepared.Broadcast]. The error is that of [Prepare]: then nothing was sent.
//
//	missed, err := websocket.Broadcast(maps.Keys(room), m)
//	for _, miss := range missed {
//		delete(room, miss.Conn)
//		miss.Conn.Abort()
//	}
func Broadcast(conns iter.Seq[*Conn], m Message) ([]Missed, error) {
	p, err := Prepare(m)
	if err != nil {
		return nil, err
	}
	return p.Broadcast(conns), nil
}

// Broadcast sends the message to all connections and never waits for one of them. A
// connection whose queue is full, or that is closed, does not get it, and is returned
// with the reason, so that the caller can abort it, or leave it without: a Broadcast
// does nothing to it. nil means that all have the message, written or in their queue.
//
// Before the message on each connection go those sent on it before, by whichever call.
// Broadcasts that run at the same time may reach different connections in a different
// order; let them take turns where that matters.
//
// The messages are written by other goroutines, after Broadcast has returned or beside
// it, none of which waits for a peer. Broadcasts that follow each other faster than
// that share writes. The sequence may hold a lock of the application's: nothing else
// of it is called, but for the functions in the options of extensions. It may also take
// its time, or panic: those who came before have the message nevertheless.
func (p *Prepared) Broadcast(conns iter.Seq[*Conn]) []Missed {
	var missed []Missed
	var gathered gathering
	defer gathered.end()
	for c := range conns {
		scheduled, err := c.queueForRound(p)
		if err != nil {
			missed = append(missed, Missed{c, err})
		}
		if scheduled {
			gathered.add(c)
		}
	}
	return missed
}

// roundPatience is how long a connection waits for more to come into its round. A
// sequence that is in memory takes less than a microsecond for each.
const roundPatience = 5 * time.Millisecond

// A gathering is a Broadcast's: it makes rounds of the connections, and sees to it that
// each of them has its round, whatever the sequence does.
type gathering struct {
	mu    sync.Mutex
	round *round      // nil while none has connections
	late  *time.Timer // nil while none is needed
}

func (g *gathering) add(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.round == nil {
		g.round = newRound()
	}
	if g.late == nil {
		g.late = time.AfterFunc(roundPatience, g.end)
	}
	if g.round.add(c) {
		g.start()
	}
}

// start has the round written.
func (g *gathering) start() {
	if g.round != nil {
		go g.round.write()
		g.round = nil
	}
}

// end starts the round as it is, when nothing more comes, or not soon.
func (g *gathering) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.start()
	if g.late != nil {
		g.late.Stop()
		g.late = nil
	}
}

// A round is some connections that have something queued which the round will write.
//
// To put each message on its socket at once would take as many writes as messages, and
// to start each connection's own writer a goroutine for each of them, most of which
// find one message. A goroutine for many connections costs next to nothing for each of
// them, and comes late enough to find what further broadcasts have queued meanwhile.
type round struct {
	conns   [roundSize]*Conn
	n       int
	written int // so many of them
}

// roundSize is how many connections a goroutine writes to, for each of which it takes
// some 5 us. Fewer would let more processors share the work, but find less to write at
// once: with 8 broadcasts in flight to 1000 connections 64 took 3.3 us of CPU a message,
// 256 also 3.3 and 1024 took 2.5; with one in flight there was no difference.
const roundSize = 256

var rounds = sync.Pool{New: func() any { return new(round) }}

func newRound() *round { return rounds.Get().(*round) }

// add reports whether the round is full then.
func (r *round) add(c *Conn) bool {
	r.conns[r.n] = c
	r.n++
	return r.n == roundSize
}

func (r *round) write() {
	defer r.end()
	for r.written < r.n {
		c := r.conns[r.written]
		r.written++
		c.writeScheduled()
	}
}

// end gives the round back, or has the rest of it written where an extension has ended
// the goroutine.
func (r *round) end() {
	if r.written < r.n {
		go r.write()
		return
	}
	clear(r.conns[:r.n])
	r.n, r.written = 0, 0
	rounds.Put(r)
}

// queueForRound queues a prepared message. It reports whether the connection is to be
// part of a round; if not, somebody else writes the message.
//
// A connection that waits for its round has no writer. Whatever else is sent on it
// starts one, which takes all that is queued; the round then finds nothing.
func (c *Conn) queueForRound(p *Prepared) (scheduled bool, err error) {
	switch {
	case !p.valid():
		return false, &UsageError{"Broadcast", errNotPrepared}
	case c == nil:
		return false, &UsageError{"Broadcast", "nil connection"}
	}
	f := p.outFrame()
	c.mu.Lock()
	if c.phase != StateOpen || !c.transport.canTry() {
		c.mu.Unlock()
		return false, c.trySendFrame(&f)
	}
	defer c.mu.Unlock()
	if c.scheduled && !c.writing && !c.budget.roomy(c.queueRoom, len(f.Payload)) {
		c.writeBehind()
	}
	if err := c.refuse(&f); err != nil {
		return false, err
	}
	if !c.fits(len(f.Payload)) {
		return false, ErrQueueFull
	}
	c.budget.take(len(f.Payload))
	c.put(&f)
	if c.writing || c.scheduled {
		return false, nil
	}
	c.scheduled = true
	return true, nil
}

// writeBehind writes where rounds are behind, which is not the peer's fault. It is called
// with the lock and does without it, to have it again however the writing ends.
func (c *Conn) writeBehind() {
	c.mu.Unlock()
	defer c.mu.Lock()
	c.writeScheduled()
}

// roomy reports whether half of the room is left after a message of the size.
func (q *budget) roomy(r room, size int) bool {
	return q.messages < r.messages/2 && size <= r.bytes/2-q.bytes
}

// writeScheduled writes what is queued, as the writer, without waiting. What does not
// go out is left to the write loop, as is more than one turn may take. Without a writer
// nothing is queued that would go first.
func (c *Conn) writeScheduled() {
	c.mu.Lock()
	c.scheduled = false
	data := c.data
	switch {
	case c.writing || c.broken || data == nil:
		c.mu.Unlock()
		return
	case data.prepared < data.count || data.count > 1 && data.size > maxWrite:
		c.kick()
		c.mu.Unlock()
		return
	}
	c.data = nil
	c.writing = true
	c.mu.Unlock()
	w, err := c.encodeBatch(data)
	if err == nil {
		err = c.transport.tryWrite(w)
	}
	c.wroteScheduled(data, w.finish(err), err)
}

// encodeBatch encodes prepared messages for a direct write.
func (c *Conn) encodeBatch(data *batch) (*directWrite, error) {
	if data.count == 1 {
		f := data.pieces[0].prepared.outFrame()
		return c.encodeNow(&f)
	}
	w := directWrites.Get().(*directWrite)
	w.head = codec.NewBuffer(data.size + data.count*codec.MaxHeaderSize)
	for i := range data.pieces {
		var err error
		if w.head.Bytes, err = c.appendPrepared(w.head.Bytes, data.pieces[i].prepared); err != nil {
			return w, err
		}
	}
	return w, nil
}

// appendPrepared appends the frame of a prepared message.
func (c *Conn) appendPrepared(dst []byte, p *Prepared) ([]byte, error) {
	frame, ok, err := c.wireFrame(p)
	if ok || err != nil {
		return append(dst, frame...), err
	}
	f := p.outFrame().Frame
	transformed, err := c.transformOutgoing(&f)
	if err != nil {
		return dst, err
	}
	if transformed != nil {
		defer transformed.Release()
	}
	return c.writer.AppendFrame(dst, f), nil
}

// wroteScheduled ends being the writer, after a turn that wrote all but what is left.
func (c *Conn) wroteScheduled(data *batch, left *codec.Buffer, err error) {
	c.mu.Lock()
	messages, size := data.count, data.size
	c.sent.count(messages, size, 1)
	c.leaveWriter()
	if err != nil {
		c.failLocked(c.writeFailed(err)) // before they count as written for those who Flush
	}
	if left != nil && c.broken {
		c.atEnd().lost = true
		left.Release()
		left = nil
	}
	if err == nil && left != nil {
		c.carry = &carry{buffer: left, messages: messages, size: min(size, len(left.Bytes))}
		c.give(0, size-c.carry.size)
	} else {
		c.written += uint64(messages)
		c.give(messages, size)
	}
	data.recycle()
	c.settleFlushes()
	c.kick()
	c.mu.Unlock()
	if err != nil {
		c.freeReader(lingerTimeout)
	}
}
