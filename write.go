package websocket

import (
	"context"
	"errors"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

const (
	// maxWrite is about how many bytes are written at once, where they are not one
	// frame, so that one connection does not keep others from the processor.
	maxWrite = 64 << 10

	// byReference is from which size on a payload is written from where it lies,
	// instead of being copied behind its header. Against copying it takes as much
	// processor time at 64 KiB and 0.6 of it at 1 MiB (BenchmarkEcho).
	byReference = 32 << 10
)

// A carry is what a direct write left over: bytes already encoded.
type carry struct {
	buffer   *codec.Buffer
	messages int  // as counted in the budget
	size     int  // likewise
	close    bool // of a close frame
}

// Send sends a message, a whole one: a part that was received with the option Fragments
// is sent on with SendFragment. It returns nil when the message is in the queue or on the
// socket, in order after all sent before it; the caller's bytes are free again
// then. While the queue is full it waits; when ctx ends first, nothing was queued.
// ctx bounds this call alone. Before the handshake is complete messages queue.
//
// Errors: ctx's, [ErrClosed] with what closed the connection, a [*UsageError] for a
// text that is not UTF-8, an unknown type or a nil context.
func (c *Conn) Send(ctx context.Context, m Message) error {
	if ctx == nil {
		return &UsageError{"Send", errNilContext}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var f outFrame
	if err := f.set("Send", &m); err != nil {
		return err
	}
	return c.sendFrame(ctx, &f)
}

// TrySend sends a message as Send does, but never waits: where the queue has no
// room it returns [ErrQueueFull].
func (c *Conn) TrySend(m Message) error {
	var f outFrame
	if err := f.set("TrySend", &m); err != nil {
		return err
	}
	return c.trySendFrame(&f)
}

// SendFragment sends a part of a message, for those too large to hold or not yet
// known in full: the first with its type, which is that of all, the last with Final set
// (RFC 6455, section 5.4). Between them no other message can be sent, as the protocol has no
// way to tell whose a part is: Send returns a [*UsageError] meanwhile. Waiting and
// errors are as for Send. A text must be UTF-8 as a whole; its parts are not
// checked.
func (c *Conn) SendFragment(ctx context.Context, m Message) error {
	if ctx == nil {
		return &UsageError{"SendFragment", errNilContext}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.Type != TextMessage && m.Type != BinaryMessage {
		return &UsageError{"SendFragment", "unknown message type " + m.Type.String()}
	}
	f := outFrame{Frame: codec.Frame{Opcode: codec.Opcode(m.Type), Final: m.Final, Payload: m.Data}, part: true}
	return c.sendFrame(ctx, &f)
}

// An outFrame is a frame on its way into the queue.
type outFrame struct {
	codec.Frame
	part     bool // of a message sent by SendFragment
	prepared *Prepared
}

// set makes the frame of a message, if it is one that can be sent.
func (f *outFrame) set(call string, m *Message) error {
	switch {
	case m.Type != TextMessage && m.Type != BinaryMessage:
		return &UsageError{call, "unknown message type"}
	case m.Type == TextMessage && !utf8.Valid(m.Data):
		return &UsageError{call, "text is not UTF-8 (RFC 6455, section 5.6)"}
	}
	f.Opcode, f.Final, f.Payload = codec.Opcode(m.Type), true, m.Data
	return nil
}

// sendFrame queues the frame or writes it, and waits for room.
func (c *Conn) sendFrame(ctx context.Context, f *outFrame) error {
	switch err := c.admit(f); err {
	case errWriteNow:
		return c.writeNow(f)
	case ErrQueueFull:
		return c.sendLate(ctx, f)
	default:
		return err
	}
}

// trySendFrame is sendFrame for those who do not wait.
func (c *Conn) trySendFrame(f *outFrame) error {
	if err := c.admit(f); err != errWriteNow {
		return err
	}
	return c.writeNow(f)
}

// errWriteNow tells the caller of admit to write.
var errWriteNow = errors.New("websocket: not queued but to be written")

// admit queues the frame, or makes the caller the writer, who is to call writeNow.
// Where the queue has no room it returns ErrQueueFull.
//
// It returns before the write is made, and what writes has small frames: a goroutine
// that does no more than send and receive then keeps the stack of 2 KiB that it
// began with.
func (c *Conn) admit(f *outFrame) error {
	// Without a defer, which takes 0.05 of the processor time of pipelined-32 of the
	// bench module.
	c.mu.Lock()
	err := c.admitLocked(f)
	c.mu.Unlock()
	return err
}

func (c *Conn) admitLocked(f *outFrame) error {
	if err := c.refuse(f); err != nil {
		return err
	}
	if c.canWriteNow() && !c.transformsAside(f) {
		c.begin(f)
		c.writing = true
		return errWriteNow
	}
	if !c.fits(len(f.Payload)) {
		return ErrQueueFull
	}
	c.budget.take(len(f.Payload))
	c.enqueue(f)
	return nil
}

// writeNow writes the frame without waiting.
func (c *Conn) writeNow(f *outFrame) error {
	w, err := c.encodeNow(f)
	if err == nil {
		err = c.transport.tryWrite(w)
	}
	return c.wroteNow(w, err)
}

// sendLate queues the frame as soon as there is room.
func (c *Conn) sendLate(ctx context.Context, f *outFrame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refuse(f); err != nil {
		return err
	}
	if c.fits(len(f.Payload)) {
		// The queue has been written since admit looked at it. To wait now would be for
		// room that nobody is left to give.
		c.budget.take(len(f.Payload))
		c.enqueue(f)
		return nil
	}
	w := c.budget.wait(len(f.Payload))
	closing := c.signals.wait(closing)
	c.mu.Unlock()
	var err error
	select {
	case <-w.granted:
	case <-ctx.Done():
		err = ctx.Err()
	case <-closing:
	}
	c.mu.Lock()
	if err == nil {
		err = c.refuse(f)
	}
	if err != nil {
		c.budget.leave(c.queueRoom, w)
		return err
	}
	c.enqueue(f)
	return nil
}

// refuse says why the frame can not be sent now.
func (c *Conn) refuse(f *outFrame) error {
	switch {
	case c.closeQueued || c.broken || c.phase > StateOpen:
		return c.closedError()
	case c.writer != nil && !c.writer.Supports(f.Opcode):
		return &UsageError{"Send", "the protocol version " + c.versionLocked() + " has no such messages"}
	case f.part && c.writer != nil && !c.writer.Supports(codec.OpContinuation):
		return &UsageError{"SendFragment", "the protocol version " + c.versionLocked() + " has no fragments"}
	case c.parting && !f.part:
		return &UsageError{"Send", "a message sent in fragments is not complete (RFC 6455, section 5.4)"}
	}
	return nil
}

// begin makes the frame the next one, after which the order is fixed.
func (c *Conn) begin(f *outFrame) {
	c.queued++
	if !f.part {
		return
	}
	if c.parting {
		f.Opcode = codec.OpContinuation
	}
	c.parting = !f.Final
}

// enqueue puts the frame into the queue, its room having been taken, and sees to
// it that there is a writer.
func (c *Conn) enqueue(f *outFrame) {
	c.put(f)
	c.kick()
}

// put puts the frame into the queue, its room having been taken.
func (c *Conn) put(f *outFrame) {
	c.begin(f)
	if c.data == nil {
		c.data = batches.Get().(*batch)
	}
	if f.prepared != nil {
		c.data.addPrepared(f.prepared)
	} else {
		c.data.add(c.encoder(), f.Frame)
	}
}

// encoder gives the Writer, if frames can be encoded when they are queued: not before
// the version is known, nor where extensions have to see them in order.
func (c *Conn) encoder() codec.Writer {
	if c.pipeline != nil {
		return nil
	}
	return c.writer
}

// canWriteNow reports whether a send may put its bytes on the socket itself: when
// nothing waits, neither to be sent nor to be received, which would make for more
// to send in the same write.
func (c *Conn) canWriteNow() bool {
	return c.phase == StateOpen && c.nothingQueued() &&
		c.transport.canTry() && len(c.messages) == 0 && !c.backlog.Load() && !c.budget.waited()
}

// transformsAside reports whether a message is better transformed by a write loop, which
// ends, than by the goroutine that sends. To compress takes 8 KiB of stack, of which one
// that waits keeps 4: 2 KB more each of 2000 idle connections. Those who send often have
// them, as another goroutine a message is 0.04 of the processor time of its echo.
func (c *Conn) transformsAside(f *outFrame) bool {
	if f.prepared != nil || !c.transforms(&f.Frame) {
		return false
	}
	const often = 100 // ms
	now, last := sinceBegan(), c.transformed
	c.transformed = now
	return now-last >= often
}

// nothingQueued reports whether there is neither a writer nor work for one.
func (c *Conn) nothingQueued() bool {
	return !c.writing && c.data == nil && c.urgent == nil && c.carry == nil
}

// kick starts the write loop if there is something to write and nobody to do it.
func (c *Conn) kick() {
	if c.writing || c.broken || c.transport == nil {
		return
	}
	if c.data != nil || c.urgent != nil || c.carry != nil {
		c.writing = true
		s := starts.Get().(*start)
		s.conn = c
		go s.run()
	}
}

// A start is what a write loop is started with, so that to do that allocates nothing.
type start struct {
	conn *Conn
	run  func()
}

var starts sync.Pool

func init() {
	starts.New = func() any {
		s := new(start)
		s.run = func() {
			c := s.conn
			s.conn = nil
			starts.Put(s)
			c.writeLoop()
		}
		return s
	}
}

// encodeNow encodes the frame for a direct write. A large payload is written from
// where it lies.
func (c *Conn) encodeNow(f *outFrame) (*directWrite, error) {
	w := directWrites.Get().(*directWrite)
	w.size, w.close = len(f.Payload), f.Opcode == codec.OpClose
	if f.prepared != nil {
		frame, ok, err := c.wireFrame(f.prepared)
		if err != nil || ok {
			w.body = frame
			return w, err
		}
	}
	transformed, err := c.transformOutgoing(&f.Frame)
	if err != nil {
		return w, err
	}
	if len(f.Payload) >= byReference && w.refer(c.writer, f.Frame) {
		w.hold = transformed
		return w, nil
	}
	w.head = codec.NewBuffer(codec.MaxHeaderSize + len(f.Payload))
	w.head.Bytes = c.writer.AppendFrame(w.head.Bytes, f.Frame)
	if transformed != nil {
		transformed.Release()
	}
	return w, nil
}

// wroteNow ends the turn of a direct writer. What did not go out is left to the
// write loop.
func (c *Conn) wroteNow(w *directWrite, err error) error {
	size, closes := w.size, w.close
	left := w.finish(err)
	c.mu.Lock()
	if closes {
		c.sent.count(0, 0, 1)
	} else {
		c.sent.count(1, size, 1)
	}
	c.leaveWriter()
	switch {
	case err != nil:
		c.failLocked(err)
		err = c.closedError()
	case left != nil && c.broken:
		c.atEnd().lost = true
		c.written++
		left.Release()
	case left != nil:
		c.carry = &carry{buffer: left, messages: 1, size: len(left.Bytes), close: closes}
		c.budget.take(c.carry.size)
	default:
		c.written++
		c.closeSent = c.closeSent || closes
	}
	c.settleFlushes()
	c.kick()
	c.mu.Unlock()
	if err != nil {
		c.freeReader(lingerTimeout)
	}
	return err
}

// writeLoop is the writer as long as there is something to write.
func (c *Conn) writeLoop() {
	if c.pipeline != nil {
		growStackToTransform()
	}
	for {
		work, ok := c.takeWork()
		if !ok {
			return
		}
		writes, err := c.writeAll(work)
		if !c.finishWork(work, writes, err) {
			return
		}
	}
}

// work is what the write loop takes in one turn: all there is.
type work struct {
	carry         *carry
	control, data *batch
}

// takeWork takes what is queued, or ends the writer.
func (c *Conn) takeWork() (work, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.urgent != nil {
		c.urgent.answerPing(c.encoder())
		if c.urgent.pinged {
			c.takePings()
		}
	}
	w := work{c.carry, c.urgent, c.data}
	if c.broken || w == (work{}) {
		c.leaveWriter()
		c.settleFlushes()
		return w, false
	}
	c.carry, c.urgent, c.data = nil, nil, nil
	return w, true
}

// leaveWriter ends being the writer.
func (c *Conn) leaveWriter() {
	c.writing = false
	if x := c.extra(); x.stopped != nil {
		close(x.stopped)
		x.stopped = nil
	}
}

// writeAll writes the work and tells in how many writes.
func (c *Conn) writeAll(w work) (writes int, err error) {
	if w.carry != nil {
		if err := c.write(w.carry.buffer.Bytes, nil); err != nil {
			return 0, err
		}
		writes++
	}
	switch {
	case w.data == nil && w.control == nil:
		return writes, nil
	case w.control == nil:
		if encoded, ok := w.data.encoded(); ok {
			n, err := c.writeEncoded(encoded)
			return writes + n, err
		}
	}
	n, err := c.pack(w)
	return writes + n, err
}

// writeEncoded writes whole frames from where they lie.
func (c *Conn) writeEncoded(b []byte) (writes int, err error) {
	for len(b) > 0 && err == nil {
		n := min(len(b), maxWrite)
		err = c.write(b[:n], nil)
		b = b[n:]
		writes++
	}
	return writes, err
}

// pack encodes what is queued and writes it, many frames at a time.
func (c *Conn) pack(w work) (writes int, err error) {
	size := 0
	for _, b := range [...]*batch{w.control, w.data} {
		if b != nil {
			size += b.size + b.count*codec.MaxHeaderSize
		}
	}
	p := packer{conn: c, out: codec.NewBuffer(min(size, maxWrite))}
	for _, b := range [...]*batch{w.control, w.data} {
		for i := 0; b != nil && i < len(b.pieces) && err == nil; i++ {
			err = p.add(&b.pieces[i], b.bytes(&b.pieces[i]))
		}
	}
	if err == nil {
		err = p.flush()
	}
	p.out.Release()
	return p.writes, err
}

// A packer encodes frames and writes them, many at a time.
type packer struct {
	conn   *Conn
	out    *codec.Buffer
	writes int
}

// add encodes the frame, and writes when there is enough.
func (p *packer) add(o *outgoing, payload []byte) error {
	if o.encoded {
		return p.append(payload)
	}
	if o.prepared != nil {
		if ok, err := p.addPrepared(o.prepared); ok || err != nil {
			return err
		}
	}
	c := p.conn
	f := codec.Frame{Opcode: o.opcode, Final: o.final, Payload: payload}
	transformed, err := c.transformOutgoing(&f)
	if err != nil {
		return err
	}
	if transformed != nil {
		defer transformed.Release()
	}
	// A prepared payload is not to be masked in place.
	large := len(f.Payload) >= byReference && (o.prepared == nil || transformed != nil)
	need := len(f.Payload) + codec.MaxHeaderSize
	if large {
		need = codec.MaxHeaderSize
	}
	if len(p.out.Bytes)+need > cap(p.out.Bytes) {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if large {
		var ok bool
		if p.out.Bytes, ok = c.writer.Seal(p.out.Bytes, f); ok {
			return p.writeWith(f.Payload)
		}
	}
	p.out.Bytes = c.writer.AppendFrame(p.out.Bytes, f)
	return nil
}

// append adds encoded frames.
func (p *packer) append(b []byte) error {
	for {
		n := min(len(b), cap(p.out.Bytes)-len(p.out.Bytes))
		p.out.Bytes = append(p.out.Bytes, b[:n]...)
		if b = b[n:]; len(b) == 0 {
			return nil
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
}

func (p *packer) flush() error {
	if len(p.out.Bytes) == 0 {
		return nil
	}
	p.writes++
	err := p.conn.write(p.out.Bytes, nil)
	p.out.Bytes = p.out.Bytes[:0]
	return err
}

// write writes one or both within the timeout. The deadline is set and cleared under the
// lock, as that which ends the connection is.
func (c *Conn) write(first, second []byte) error {
	if c.writeTimeout <= 0 {
		return c.writeUnbounded(first, second)
	}
	if err := c.setWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
		return err
	}
	if err := c.writeUnbounded(first, second); err != nil {
		return err
	}
	return c.setWriteDeadline(time.Time{})
}

// buffersOfTwo are what transports write, so that a write allocates nothing.
var buffersOfTwo = sync.Pool{New: func() any { return new([2][]byte) }}

// writeUnbounded writes, however long that takes.
func (c *Conn) writeUnbounded(first, second []byte) error {
	b := buffersOfTwo.Get().(*[2][]byte)
	n := 0
	for _, p := range [...][]byte{first, second} {
		if len(p) > 0 {
			b[n] = p
			n++
		}
	}
	var err error
	if c.pingInterval > 0 {
		err = c.writeWatched(b[:n])
	} else {
		err = c.transport.write(b[:n])
	}
	*b = [2][]byte{}
	buffersOfTwo.Put(b)
	return err
}

// setWriteDeadline sets a deadline unless the connection is over.
func (c *Conn) setWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return errAborted
	}
	return c.transport.setWriteDeadline(t)
}

// finishWork gives back what the work held, and reports whether to look for more.
// Where there is none the writer has left before anybody hears that all is written:
// who then ends the connection need not stop it, which would reset a stream.
func (c *Conn) finishWork(w work, writes int, err error) bool {
	c.mu.Lock()
	messages, size := 0, 0
	if w.data != nil {
		messages, size = w.data.counted()
	}
	c.sent.count(messages, size, writes)
	if err != nil {
		c.failLocked(c.writeFailed(err))
	} else {
		c.wroteData(w.data)
	}
	if w.carry != nil {
		c.written += uint64(w.carry.messages)
		c.closeSent = c.closeSent || err == nil && w.carry.close
		c.give(w.carry.messages, w.carry.size)
		w.carry.buffer.Release()
	}
	c.give(messages, size)
	if w.control != nil {
		if w.control.pinged && err == nil {
			c.wrotePing()
		}
		if w.control.lane > 0 {
			c.extras.pinging.lane.give(controlRoom, w.control.lane, w.control.laneSize)
		}
		w.control.recycle()
	}
	if w.data != nil {
		w.data.recycle()
	}
	c.settleFlushes()
	mute := err == nil && c.closeSent && !c.writer.Supports(codec.OpClose)
	left := err == nil && !mute && c.data == nil && c.urgent == nil && c.carry == nil
	if left {
		c.leaveWriter()
	}
	c.mu.Unlock()
	if mute {
		// The peer can not be told but by the end of the stream.
		c.transport.closeWrite()
	}
	if err != nil || mute {
		c.freeReader(lingerTimeout)
	}
	return !left
}

// wroteData notes that the frames are with the operating system.
func (c *Conn) wroteData(data *batch) {
	if data == nil {
		return
	}
	c.written += uint64(data.count)
	c.closeSent = c.closeSent || data.close
}

// transforms reports whether the extensions are to see the frame: they work on whole
// messages.
func (c *Conn) transforms(f *codec.Frame) bool {
	return c.pipeline != nil && f.Final && f.Opcode != codec.OpContinuation && !f.Opcode.IsControl()
}

// transformOutgoing has the extensions do to a message what they do. The buffer,
// if there is one, holds the result and is to be released after use.
func (c *Conn) transformOutgoing(f *codec.Frame) (*codec.Buffer, error) {
	if !c.transforms(f) {
		return nil, nil
	}
	return c.transform(f) // apart, as others are not to pay for its defer
}

func (c *Conn) transform(f *codec.Frame) (*codec.Buffer, error) {
	returned := false
	defer func() {
		if !returned {
			c.loseWriter()
		}
	}()
	buffer := codec.NewBuffer(len(f.Payload))
	in := negotiate.Message{Text: f.Opcode == codec.OpText, Data: f.Payload}
	out, bits, transformed, err := c.pipeline.Outgoing(buffer.Bytes, in)
	returned = true
	if err != nil || !transformed {
		buffer.Release()
		return nil, err
	}
	buffer.Bytes = out
	f.Payload, f.Reserved = out, codec.Reserved(bits)
	return buffer, nil
}

// errExtension is what ends a connection whose writer does not come back.
var errExtension = errors.New("websocket: an extension has panicked or ended its goroutine")

// loseWriter fails the connection where an extension that the writer has called panics
// or ends the goroutine, which is the application's: it may go on, and the connection
// would wait for its writer for ever. What of the panic becomes is not decided here.
func (c *Conn) loseWriter() {
	c.mu.Lock()
	c.leaveWriter()
	c.failLocked(errExtension)
	c.mu.Unlock()
	c.freeReader(lingerTimeout)
}
