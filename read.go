package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

const (
	// leaveGrace is how long a message that arrives after the application has
	// called Close waits to be received, before the application is taken to have
	// stopped: one that has received nothing since. The goroutine that would receive
	// may be the one that is in Close.
	leaveGrace = time.Second

	// answerGrace is how long the answer to the peer's close frame waits for the
	// answer to the last message before it.
	answerGrace = 20 * time.Millisecond

	// returnGrace is how long it waits for an application that is expected back, or
	// has messages before it to receive.
	returnGrace = 250 * time.Millisecond

	// maxRoomAhead is the most bytes that are made room for before anything has been
	// made of a message by the extensions.
	maxRoomAhead = 64 << 10

	// lingerTimeout is how long a connection that is over for us waits for more from
	// the peer, and for it to end its side, so that what was sent last is not lost to
	// a reset (RFC 6455, section 7.1.1).
	lingerTimeout = time.Second

	// maxLinger is the most bytes of messages that are read for an application that takes
	// its time, after the connection has failed: more than a socket holds by default.
	maxLinger = 8 << 20
)

// connectAndRead is the read loop of a connection that has yet to be opened.
func (c *Conn) connectAndRead(ctx context.Context, connect connector) {
	h, err := connect(ctx)
	c.mu.Lock()
	if err == nil && c.broken {
		h.transport.abort()
		h.pipeline.Close()
		err = c.atEnd().cause
	}
	if err != nil {
		c.mu.Unlock()
		c.conclude(err)
		return
	}
	c.open(h)
	c.mu.Unlock()
	c.readLoop()
}

// readLoop receives until the connection ends, and ends it: the one place that
// decides how.
func (c *Conn) readLoop() {
	if c.pipeline != nil {
		growStackToTransform()
	}
	err := c.receive()
	if err == errResting {
		return // to be started again
	}
	switch e := err.(type) {
	case *CloseError:
		c.answerClose(e.Code, e.Reason)
	case *ProtocolError:
		c.failProtocol(e)
	}
	c.conclude(err)
}

// receive delivers what comes until there is nothing more to come. The error says
// why: a *CloseError for the peer's close frame, a *ProtocolError for what may not
// be, else the transport's.
//
// It, and what it calls to wait for more, have small frames: then the stack of a
// connection that rests is the 2 KiB that a goroutine begins with.
func (c *Conn) receive() error {
	err := c.resume()
	for err == nil {
		err = c.receiveNext()
		if err == codec.ErrNeedMore {
			err = c.readMore()
		}
	}
	return err
}

// unsettled is what is left to be done: an event, before all others, or the error of a
// read, when all that was read before has been dealt with.
type unsettled struct {
	event codec.FrameEvent
	err   error
}

// resume deals with an event that was left.
func (c *Conn) resume() error {
	u := c.unsettled
	if u == nil || u.err != nil {
		return nil
	}
	c.unsettled = nil
	return c.got(u.event)
}

// receiveNext deals with the next event, if the bytes at hand hold one.
func (c *Conn) receiveNext() error {
	event, err := c.reader.Next()
	if err != nil {
		return err
	}
	return c.got(event)
}

// got deals with an event.
func (c *Conn) got(event codec.FrameEvent) error {
	if event.Opcode.IsControl() {
		return c.gotControl(event)
	}
	return c.gotMessage(event)
}

// readMore reads from the transport. What is at hand does not make an event.
func (c *Conn) readMore() error {
	if c.unsettled != nil {
		return c.unsettled.err
	}
	c.noBacklog()
	c.reader.Idle()
	err := c.transport.read(c)
	if err == errIdle {
		return c.rest()
	}
	if err != nil {
		return c.lingerOn(err)
	}
	c.noteRead()
	return c.resume()
}

// lingerOn has a read made again that the linger of a failed connection has ended, if
// something came within it, or the application kept the reader from reading: what the
// peer said before it left may still be in the socket. Neither is without end, so that a peer
// which goes on to send does not keep it for ever: the first goes on for the close timeout,
// the second for as much as sockets hold.
func (c *Conn) lingerOn(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !errors.Is(err, os.ErrDeadlineExceeded) || !c.broken || c.freed || c.signals.raised(abandoned) || !c.readsOn() {
		return err
	}
	reads, end := c.received.calls.Load(), c.atEnd()
	switch {
	case c.delayed:
		if c.received.bytes.Load()-end.lingerFrom > maxLinger {
			return err
		}
	case reads == end.lingerReads || end.lingered >= c.closeTimeout:
		return err
	default:
		end.lingered += lingerTimeout
	}
	c.delayed, end.lingerReads = false, reads
	end.lingerBy = time.Now().Add(lingerTimeout)
	c.transport.setReadDeadline(end.lingerBy)
	return nil
}

// noteDelay notes that the linger is over, if it is, while the reader waited for the
// application.
func (c *Conn) noteDelay() {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := c.atEnd().lingerBy
	c.delayed = c.delayed || !by.IsZero() && !time.Now().Before(by)
}

// readsOn reports whether the transport can read after a deadline that has expired, as a
// stream can not.
func (c *Conn) readsOn() bool {
	switch c.transport.(type) {
	case *socketTransport, *connTransport:
		return true
	}
	return false
}

// noBacklog notes that what is at hand makes no message.
func (c *Conn) noBacklog() {
	if c.backlog.Load() {
		c.backlog.Store(false)
	}
}

func (c *Conn) noteRead() {
	c.received.calls.Add(1)
	if c.pingInterval > 0 {
		c.activity.Add(1)
	}
}

func (c *Conn) input() codec.Reader { return c.reader }

// consumes is false with extensions, which may be the application's: see consume.
func (c *Conn) consumes() bool { return c.pipeline == nil }

// consume deals with what has been read as far as that waits for nobody, and calls
// nothing of the application's: whoever closes the socket would wait for it, and if it
// is the same goroutine for ever. The rest is left to the read loop.
func (c *Conn) consume() bool {
	for len(c.messages) < cap(c.messages) {
		event, err := c.reader.Next()
		switch {
		case err == codec.ErrNeedMore:
			c.noteRead()
			c.noBacklog()
			return true
		case err != nil:
			return false // the reader gives it again
		case event.Opcode.IsControl() || !c.fitsInbox(len(event.Payload)):
			c.leave(event)
			return false
		}
		c.gotMessage(event) // without extensions it does not fail
	}
	return false
}

// leave leaves the event to the read loop. It is apart from consume for the sake of the
// stack: see receive.
//
//go:noinline
func (c *Conn) leave(event codec.FrameEvent) {
	c.unsettled = &unsettled{event: event}
}

// errResting ends a read loop that is started again when it is needed.
var errResting = errors.New("websocket: resting")

// rest ends the read loop until there is something to read.
func (c *Conn) rest() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.restLocked()
}

func (c *Conn) restLocked() error {
	if c.broken || c.freed || !c.transport.rest(c) {
		return nil
	}
	c.resting = true
	return errResting
}

// wake starts the read loop of a connection that rests.
func (c *Conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakeLocked()
}

func (c *Conn) wakeLocked() {
	if c.resting {
		c.resting = false
		go c.readLoop()
	}
}

// gotControl deals with a control frame.
func (c *Conn) gotControl(event codec.FrameEvent) error {
	switch event.Opcode {
	case codec.OpPing:
		c.gotPing(event.Payload)
	case codec.OpPong:
		c.gotPong(event.Payload)
	default:
		return c.gotClose(event.Payload)
	}
	return nil
}

// gotClose notes what the peer's close frame says.
func (c *Conn) gotClose(payload []byte) error {
	code, reason, err := codec.ConsumeClosePayload(payload)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.closeReceived = true
	c.atEnd().peerFirst = !c.closeQueued && c.atEnd().cause != errAborted
	c.atEnd().receivedCode, c.atEnd().receivedReason = code, reason
	c.mu.Unlock()
	return &CloseError{Code: code, Reason: reason, Received: true}
}

// gotMessage takes a message through the extensions to the application.
func (c *Conn) gotMessage(event codec.FrameEvent) error {
	// In parts come only messages without reserved bits: an extension works on whole
	// ones, and those that it has marked still come so.
	if c.pipeline != nil && (!c.fragments || event.Reserved != 0) {
		var err error
		if event, err = c.transformIncoming(event); err != nil {
			return err
		}
	}
	m := Message{Type: MessageType(event.Opcode), Final: event.Final, Data: event.Payload, buffer: event.Buffer}
	if m.buffer != nil {
		m.generation = m.buffer.Generation()
	}
	c.received.messages.Add(1)
	c.received.bytes.Add(uint64(len(m.Data)))
	if !c.backlog.Load() && c.reader.Rest() > 0 {
		c.backlog.Store(true)
	}
	c.deliver(m)
	return nil
}

// transformIncoming has the extensions undo what they do to a message. The limit
// on messages holds for what they make of it.
func (c *Conn) transformIncoming(event codec.FrameEvent) (codec.FrameEvent, error) {
	limit := c.maxMessageSize
	if limit <= 0 {
		limit = DefaultMaxMessageSize
	}
	in := negotiate.Message{
		Text:     event.Opcode == codec.OpText,
		Reserved: negotiate.Reserved(event.Reserved),
		Data:     event.Payload,
	}
	// As what it becomes is not known it grows with what comes out.
	buffer := codec.NewBuffer(int(min(4*int64(len(event.Payload)), limit, maxRoomAhead)))
	out, transformed, err := c.pipeline.Incoming(buffer.Bytes, in, limit)
	if err != nil {
		buffer.Release()
		if c.isFreed() {
			return event, errAborted // interrupted, which the peer is not to blame for
		}
		return event, extensionError(err, len(event.Payload), limit)
	}
	if !transformed {
		buffer.Release()
		return event, nil
	}
	if event.Buffer != nil {
		event.Buffer.Release()
	}
	buffer.Bytes = out
	event.Buffer, event.Payload = buffer, out
	if event.Opcode == codec.OpText && !utf8.Valid(out) {
		return event, &ProtocolError{Code: StatusInvalidFramePayload, Section: "RFC 6455, section 8.1", Reason: "text is not UTF-8", Offset: -1}
	}
	return event, nil
}

// deliver hands the message to the application, and waits for it to have room.
func (c *Conn) deliver(m Message) {
	if c.discarding > 0 {
		c.discarding++
		m.Release()
		return
	}
	if c.fitsInbox(len(m.Data)) {
		select {
		case c.messages <- m:
			c.remember(len(m.Data))
			return
		default:
		}
	}
	c.deliverWaiting(m)
}

// deliverWaiting is deliver where the application has to receive something first.
func (c *Conn) deliverWaiting(m Message) {
	if c.pingInterval > 0 {
		c.waiting.Store(true)
		defer func() {
			// The time that nothing was read in is not the peer's.
			c.activity.Add(1)
			c.waiting.Store(false)
		}()
	}
	if c.deliverLate(m) {
		c.remember(len(m.Data))
		if c.attention.Load()&watched != 0 {
			c.noteDelay()
		}
		return
	}
	c.discarding++
	m.Release()
}

// deliverLate waits for the application to receive. It reports false where it has
// given up, or left without receiving.
func (c *Conn) deliverLate(m Message) bool {
	c.mu.Lock()
	leaving, late := c.signals.wait(leaving), c.signals.raised(leaving)
	c.mu.Unlock()
	if late {
		return c.deliverLast(m)
	}
	if c.awaitInbox(len(m.Data), leaving, nil) {
		select {
		case c.messages <- m:
			return true
		case <-leaving:
		}
	}
	c.waitedAtClose()
	return c.deliverLast(m)
}

// waitedAtClose has a message that waited then not count for received before.
func (c *Conn) waitedAtClose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.atEnd().takenBefore > 0 {
		c.end.takenBefore--
	}
}

// deliverLast waits for an application that is leaving: for a grace, and once more where
// it has turned out to receive meanwhile.
func (c *Conn) deliverLast(m Message) bool {
	for {
		c.mu.Lock()
		abandoned := c.signals.wait(abandoned)
		grace := time.NewTimer(c.graceOfLeaving())
		c.mu.Unlock()
		knew := c.receiving
		if c.deliverWithin(m, abandoned, grace) {
			return true
		}
		if knew || !c.receivesStill() {
			return false
		}
	}
}

// receivesStill reports whether the application has received since Close, and not given up.
func (c *Conn) receivesStill() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.graceOfLeaving()
	return c.receiving && !c.signals.raised(abandoned)
}

// deliverWithin waits until the grace is over, and looks once more then.
func (c *Conn) deliverWithin(m Message, abandoned <-chan struct{}, grace *time.Timer) bool {
	defer grace.Stop()
	if c.awaitInbox(len(m.Data), abandoned, grace.C) {
		select {
		case c.messages <- m:
			return true
		case <-abandoned:
			return false
		case <-grace.C:
		}
	}
	select {
	case <-abandoned:
		return false
	default:
	}
	if !c.fitsInbox(len(m.Data)) {
		return false
	}
	select {
	case c.messages <- m:
		return true
	default:
		return false
	}
}

// graceOfLeaving is how long the application has to receive a message after Close: as long
// as the closing may take, if it has received any.
func (c *Conn) graceOfLeaving() time.Duration {
	left := time.Until(c.atEnd().closeBy)
	c.receiving = c.receiving || c.taken() > c.end.takenBefore+1 // which waits
	if c.receiving {
		return left
	}
	return min(leaveGrace, left)
}

// inboxSizes are the sizes of the last messages delivered, a ring.
type inboxSizes struct {
	ring []int
	next int
}

// fitsInbox reports whether a message of the size may be buffered for the
// application, beside those that are.
func (c *Conn) fitsInbox(size int) bool {
	buffered := len(c.messages)
	return buffered == 0 || c.sizes == nil && size <= c.receiveShare || c.fitsWith(buffered, size)
}

// fitsWith reports whether a message of the size may be buffered with as many others.
func (c *Conn) fitsWith(buffered, size int) bool {
	if c.sizes == nil {
		// None of them was worth noting: each has at most its share.
		return size+buffered*c.receiveShare <= c.receiveBytes
	}
	ring := c.sizes.ring
	for i := range min(buffered, len(ring)) {
		size += ring[(c.sizes.next-1-i+2*len(ring))%len(ring)]
	}
	return size <= c.receiveBytes
}

// remember notes the size of the message delivered last.
func (c *Conn) remember(size int) {
	if c.sizes == nil {
		if size <= c.receiveShare {
			return
		}
		// Those before were not noted: each has at most its share.
		ring := slices.Repeat([]int{c.receiveShare}, cap(c.messages))
		c.sizes = &inboxSizes{ring: ring}
	}
	c.sizes.ring[c.sizes.next] = size
	c.sizes.next = (c.sizes.next + 1) % len(c.sizes.ring)
}

// awaitInbox waits until a message of the size fits, and reports false where one of the
// channels ends that. A channel does not tell when something is taken from it, so this
// looks, less and less often: soon enough for one who receives, seldom for one who does
// not.
func (c *Conn) awaitInbox(size int, leaving <-chan struct{}, late <-chan time.Time) bool {
	for pause := 20 * time.Microsecond; !c.fitsInbox(size); pause = longer(pause) {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			continue
		case <-leaving:
		case <-late:
		}
		timer.Stop()
		return false
	}
	return true
}

// longer is the pause after one in awaitInbox: soon a sixteenth of the time waited so far,
// so that who has been away for long is back for no more than that before it is noticed.
func longer(pause time.Duration) time.Duration {
	if pause < 50*time.Millisecond {
		return 2 * pause
	}
	return min(pause+pause/16, 200*time.Millisecond)
}

// answerClose completes the closing handshake that the peer began, with the code and
// the reason it has sent, or answered (RFC 6455, section 5.5.1). That a page sees its
// own reason again is what browsers' users are used to.
func (c *Conn) answerClose(code StatusCode, reason string) {
	c.attention.Or(watched) // first, as the application may come back at once
	c.endMessages()
	c.awaitAnswers()
	c.writeClose(code, reason)
	c.awaitWritten(code, reason)
	if c.role == codec.Client {
		// "the server MUST close the TCP connection first"; the client waits for
		// it, but not for ever. RFC 6455, section 7.1.1.
		c.drain()
	}
}

// writeClose writes the close frame at once, if nothing waits to go out before it.
func (c *Conn) writeClose(code StatusCode, reason string) {
	if c.admitClose(code, reason) {
		c.writeNow(&outFrame{Frame: codec.Frame{Opcode: codec.OpClose, Final: true, Payload: codec.AppendClosePayload(nil, code, reason)}})
	}
}

// admitClose makes the caller the writer of the close frame, who is to call writeNow,
// if nothing waits to go out before it.
func (c *Conn) admitClose(code StatusCode, reason string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != StateOpen || c.closeQueued || c.broken || !c.nothingQueued() || !c.transport.canTry() || !c.writer.Supports(codec.OpClose) {
		return false
	}
	c.closeQueued, c.atEnd().closeCode, c.atEnd().closeReason = true, code, reason
	c.beginClosing()
	c.queued++
	c.writing = true
	return true
}

// awaitWritten waits until the close frame and all before it are with the operating
// system, or the connection has failed.
func (c *Conn) awaitWritten(code StatusCode, reason string) {
	c.mu.Lock()
	if !c.closeQueued {
		c.queueClose(code, reason)
	}
	c.beginClosing()
	if c.broken || c.written == c.queued {
		c.mu.Unlock()
		return
	}
	c.limitClosing(c.closeTimeout)
	f := c.addFlush()
	c.kick()
	c.mu.Unlock()
	<-f.done
}

// endMessages closes Messages: nothing follows.
func (c *Conn) endMessages() {
	if !c.messagesEnded {
		c.messagesEnded = true
		close(c.messages)
	}
}

// awaitAnswers lets the application answer the messages that came before the peer's
// close frame: "An endpoint MAY delay sending a Close frame until its current message
// is sent". A library that calls back has that for nothing; here the application may
// not have received them yet. It has answered when it comes back for more, to
// Messages or Closed or with Close. One that has called Messages more than once is
// expected back. One that holds the channel, as a range over it does, is not: it has a
// short time after it has received all, or a longer one in which it received nothing.
func (c *Conn) awaitAnswers() {
	// One who waits for Messages has just been woken, and is back as soon as it runs.
	runtime.Gosched()
	c.mu.Lock()
	if c.signals.raised(closing) || c.signals.raised(returned) {
		c.mu.Unlock()
		return // this side closed first, or there is nothing to wait for
	}
	done, returned := c.signals.wait(closing), c.signals.wait(returned)
	c.mu.Unlock()
	ticker := time.NewTicker(answerGrace)
	defer ticker.Stop()
	left := len(c.messages)
	for idle := time.Duration(0); idle < returnGrace; idle += answerGrace {
		select {
		case <-done:
			return
		case <-returned:
			return
		case <-ticker.C:
		}
		before := left
		if left = len(c.messages); left == 0 && before == 0 && c.attention.Load()&^watched < askedAgain {
			return
		} else if left < before {
			idle = 0
		}
	}
}

// failProtocol tells the peer which rule it broke (RFC 6455, section 7.1.7).
func (c *Conn) failProtocol(e *ProtocolError) {
	c.report(e)
	c.mu.Lock()
	if c.atEnd().cause == nil {
		c.atEnd().cause = e
	}
	if c.data != nil && c.data.close {
		c.closeQueued = false // what it said is no longer the reason
	}
	c.dropUnsent()
	if !c.closeQueued {
		c.queueClose(e.Code, fitReason(e.Reason))
	}
	c.beginClosing()
	c.limitClosing(c.closeTimeout)
	f := c.addFlush()
	c.kick()
	c.mu.Unlock()
	<-f.done
	if c.isBroken() {
		return // TLS would wait to end its side too
	}
	c.transport.closeWrite()
	c.drain()
}

// fitReason cuts a reason to what a close frame holds.
func fitReason(reason string) string {
	return strings.ToValidUTF8(reason[:min(len(reason), codec.MaxReason)], "")
}

// drain reads and discards what the peer still sends, until it ends its side.
func (c *Conn) drain() {
	if c.transport.setReadDeadline(time.Now().Add(min(lingerTimeout, c.closeTimeout))) != nil {
		return
	}
	sink := new(discard)
	for !c.isBroken() && c.transport.read(sink) == nil {
	}
	sink.Idle()
}

// discard is a Reader that forgets everything.
type discard struct{ buffer *codec.Buffer }

func (d *discard) Next() (codec.FrameEvent, error) { return codec.FrameEvent{}, codec.ErrNeedMore }
func (d *discard) Wrote(int)                       {}
func (d *discard) Rest() int                       { return 0 }
func (d *discard) input() codec.Reader             { return d }
func (d *discard) consumes() bool                  { return false }
func (d *discard) consume() bool                   { return false }

func (d *discard) Space(int) []byte {
	if d.buffer == nil {
		d.buffer = codec.NewBuffer(waitingRead)
	}
	return d.buffer.Bytes[:cap(d.buffer.Bytes)]
}

func (d *discard) Idle() {
	if d.buffer != nil {
		d.buffer.Release()
		d.buffer = nil
	}
}

// conclude ends the connection: the writer, the transport, all who wait, and the
// channels, in this order.
func (c *Conn) conclude(err error) {
	if err := c.discarded(); err != nil {
		c.report(err)
	}
	event := c.settle(err)
	if event.Err != nil {
		switch _, told := err.(*ProtocolError); {
		case errors.Is(event.Err, errContextEnded):
			c.reportContext(event.Err)
		case !told:
			c.report(event.Err)
		}
	}
	c.stopWriter()
	if c.reader != nil {
		c.reader.Idle()
	}
	switch {
	case c.transport == nil:
	case event.Clean:
		c.transport.close()
	default:
		c.transport.abort()
	}
	if c.pipeline != nil {
		c.pipeline.Close()
	}
	c.mu.Lock()
	c.phase = StateClosed
	c.atEnd().event = event
	c.stopTimers()
	c.endMessages()
	c.finished = true
	c.attention.Or(watched)
	c.signals.raise(ended)
	c.publishLocked(time.Millisecond)
	c.mu.Unlock()
	c.logEnd(event)
}

// errIgnoredFmt tells of messages discarded without a Close.
const errIgnoredFmt = "websocket: %d messages discarded: none was received for %v after the connection had failed"

// discarded tells of messages that were discarded, unless the application has said that
// it gives them up.
func (c *Conn) discarded() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.discarding == 0:
		return nil
	case !c.signals.raised(abandoned) && c.receiving:
		return fmt.Errorf(errDiscardedFmt, c.discarding, c.closeTimeout)
	case !c.signals.raised(abandoned):
		return fmt.Errorf(errDiscardedFmt, c.discarding, leaveGrace)
	case c.end.ignored:
		return fmt.Errorf(errIgnoredFmt, c.discarding, c.closeTimeout)
	}
	return nil
}

// settle decides how the connection ended (RFC 6455, section 7.1.5).
func (c *Conn) settle(err error) CloseEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beginClosing()
	received, isClose := err.(*CloseError)
	if isClose {
		event := CloseEvent{Code: received.Code, Reason: received.Reason, Clean: c.closeSent}
		if !event.Clean {
			event.Err = c.atEnd().cause
		}
		return event
	}
	if c.atEnd().cause == nil && c.closeSent && !c.writer.Supports(codec.OpClose) {
		return CloseEvent{Code: StatusNoStatusReceived, Clean: true}
	}
	if err == io.EOF {
		err = errUnexpected
	}
	c.noteCause(c.writeFailed(err)) // on a stream, that ends the reading too
	event := CloseEvent{Code: StatusAbnormalClosure, Err: c.atEnd().cause}
	if broken, ok := c.atEnd().cause.(*ProtocolError); ok {
		event.Code, event.Reason = broken.Code, broken.Reason
	}
	if failed, ok := c.atEnd().cause.(*HandshakeError); ok && failed.protocol {
		event.Code = StatusProtocolError
	}
	return event
}

// cameBack notes that the application came back to the channels: if nothing is left
// for it to receive, it has dealt with all that was.
func (c *Conn) cameBack() {
	if c.attention.Load()&watched == 0 || len(c.messages) > 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signals.raise(returned)
	c.publishLocked(time.Millisecond)
}

// publishLocked makes Closed ready if the application has received everything, and
// else looks again later. No goroutine waits meanwhile, only a timer.
func (c *Conn) publishLocked(again time.Duration) {
	if c.published || !c.finished {
		return
	}
	if len(c.messages) > 0 && !c.signals.raised(abandoned) {
		if c.atEnd().publishTimer == nil {
			c.atEnd().publishTimer = time.AfterFunc(again, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.atEnd().publishTimer = nil
				c.publishLocked(min(2*again, 50*time.Millisecond))
			})
		}
		return
	}
	c.published = true
	if c.atEnd().publishTimer != nil {
		c.atEnd().publishTimer.Stop()
	}
	if c.atEnd().abandonTimer != nil {
		c.atEnd().abandonTimer.Stop()
	}
	if ch := c.closed.Load(); ch != nil {
		c.sendEvent(*ch)
	}
	if errs := c.extra().errors; errs != nil {
		close(errs)
	}
}
