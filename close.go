package websocket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// contextCloseTimeout bounds the closing handshake of a connection whose context
// has ended: who ends a context wants the goroutines to end.
const contextCloseTimeout = time.Second

// A flush waits until data frames are with the operating system.
type flush struct {
	target uint64
	done   chan struct{}
	err    error
	next   *flush
}

// Close ends the connection with a closing handshake (RFC 6455, section 7): it
// refuses further sends, sends what is queued and then the close frame, and waits
// for the peer's, at most for the CloseTimeout of the options or until ctx ends;
// then it ends the connection without. So ctx is not to be the one whose end is the
// reason for closing.
//
// Messages that come meanwhile are delivered if the application goes on to receive: once
// it has received one after the call it may be as slow as the CloseTimeout allows. If
// there is no room for one and for a second nothing has been received, as when the
// goroutine that would is the one that is here, that and all after it are discarded.
// Those that Messages has already stay there, and Closed waits for them, until they are
// received, or Abort, or nothing was received for the CloseTimeout. A select loop that
// wants every last message calls "go c.Close(...)" and goes on until Closed.
//
// StatusNoStatusReceived with an empty reason sends a close frame without a code.
//
// It returns nil once the connection has closed cleanly, ctx's error if that ended
// the wait, else what ended the connection. A code that may not be sent (section
// 7.4) and a reason that is not UTF-8 or has more than 123 bytes give a
// [*UsageError], and nothing is done. It may be called in any state, by any
// goroutine, any number of times; the first call's code counts.
func (c *Conn) Close(ctx context.Context, code StatusCode, reason string) error {
	if ctx == nil {
		return &UsageError{"Close", errNilContext}
	}
	if err := codec.CheckClose(code, reason); err != nil {
		return &UsageError{"Close", strings.TrimPrefix(err.Error(), "websocket: ")}
	}
	c.writeClose(code, reason) // here and now where that can be, as ctx may have ended
	c.beginClose(code, reason, c.closeTimeout)
	ended := c.whenEnded()
	select {
	case <-ended:
		return c.outcome()
	default:
	}
	select {
	case <-ended:
		return c.outcome()
	case <-ctx.Done():
		c.abandon(fmt.Errorf("websocket: Close gave up: %w", context.Cause(ctx)))
		<-ended
		return ctx.Err()
	}
}

// whenEnded returns a channel that is closed when the connection has ended.
func (c *Conn) whenEnded() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.signals.wait(ended)
}

// outcome is the error of a connection that has ended.
func (c *Conn) outcome() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.atEnd().event.Err
}

// Abort ends the connection at once, without a closing handshake. What is queued is
// not sent, and what has been received and not been taken from Messages need not be
// taken: Closed is ready soon. Where the peer's close frame has been received, the
// answer to it may still go out. It does not wait and may be called at any time, any
// number of times. With one exception: over HTTP/2 and HTTP/3, where neither
// [Handler] nor [Hold] has the request last, it waits until the response is not used
// any more, so that a handler may return after it.
func (c *Conn) Abort() {
	c.abort()
	if t, ok := c.currentTransport().(*responseTransport); ok && !t.held {
		select {
		case <-c.whenEnded(): // with the answer to the peer's close frame
		case <-time.After(2 * answerGrace):
		}
		t.giveBack()
	}
}

func (c *Conn) abort() {
	c.mu.Lock()
	if !c.closeReceived || c.broken {
		c.mu.Unlock()
		c.abandon(errAborted)
		return
	}
	// Messages is closed before the answer goes out, so that the application can
	// answer what came before. To end the loop over it and then to abort is no
	// reason to leave the peer without.
	defer c.mu.Unlock()
	c.signals.raise(returned)
	c.limitClosing(answerGrace)
	c.abandonReceived()
}

// contextEnded ends the connection with the context of its options.
func (c *Conn) contextEnded() {
	cause := c.contextCause()
	c.reportContext(cause)
	c.beginClose(StatusGoingAway, "", min(contextCloseTimeout, c.closeTimeout))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transport == nil {
		c.giveUp(cause)
	}
	c.abandonReceived()
}

// reportContext reports the end of the context, once: it may be noticed first by what it
// leads to.
func (c *Conn) reportContext(cause error) {
	c.mu.Lock()
	told := c.atEnd().contextTold
	c.end.contextTold = true
	if !told {
		c.tell(cause)
	}
	c.mu.Unlock()
	if !told {
		c.logError(cause)
	}
}

// contextCause is the end of the context of the options.
func (c *Conn) contextCause() error {
	return fmt.Errorf("%w: %w", errContextEnded, context.Cause(c.context))
}

// noteCause notes what has ended the connection, unless something has before: the end of
// the context in the options comes before all that it leads to.
func (c *Conn) noteCause(cause error) {
	switch {
	case c.atEnd().cause != nil:
	case c.context != nil && c.context.Err() != nil:
		c.end.cause = c.contextCause()
	default:
		c.end.cause = cause
	}
}

// beginClose queues the close frame, unless one is, and starts the time that the
// handshake has.
func (c *Conn) beginClose(code StatusCode, reason string, timeout time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == StateClosed {
		return
	}
	if !c.closeQueued {
		c.queueClose(code, reason)
	}
	c.beginClosing()
	c.limitClosing(timeout)
	if !c.signals.raised(leaving) {
		c.end.takenBefore = c.taken()
		c.signals.raise(leaving)
	}
	c.kick()
}

// beginClosing refuses sends from now on, and wakes those that wait.
func (c *Conn) beginClosing() {
	c.signals.raise(closing)
	if c.phase < StateClosing {
		c.phase = StateClosing
	}
}

// queueClose puts the close frame behind the messages in the queue. A version that
// has none writes nothing for it.
func (c *Conn) queueClose(code StatusCode, reason string) {
	c.closeQueued, c.atEnd().closeCode, c.atEnd().closeReason = true, code, reason
	if c.broken {
		return // there is nobody to write it
	}
	if c.data == nil {
		c.data = batches.Get().(*batch)
	}
	c.data.addClose(c.encoder(), codec.AppendClosePayload(nil, code, reason))
	c.queued++
}

// limitClosing ends the connection if it has not ended by itself in time. The
// shortest limit counts.
func (c *Conn) limitClosing(timeout time.Duration) {
	by := time.Now().Add(timeout)
	if c.atEnd().closeTimer != nil {
		if !by.Before(c.atEnd().closeBy) {
			return
		}
		c.atEnd().closeTimer.Stop()
	}
	c.atEnd().closeBy = by
	c.atEnd().closeTimer = time.AfterFunc(timeout, func() {
		c.fail(&TimeoutError{c.missing(), timeout}, 0)
	})
}

// missing is what the closing handshake waits for.
func (c *Conn) missing() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.transport == nil:
		return "opening handshake"
	case !c.closeSent:
		return "room to write the close frame"
	}
	return "close frame from the peer"
}

// abandon ends the connection for the cause, and gives up what was received.
func (c *Conn) abandon(cause error) {
	c.mu.Lock()
	c.abandonReceived() // first, so that no time is set for the application to receive
	c.mu.Unlock()
	c.fail(cause, 0)
}

// abandonReceived gives up what the application has not received.
func (c *Conn) abandonReceived() {
	c.signals.raise(leaving)
	c.signals.raise(abandoned)
	c.publishLocked(0)
}

func (c *Conn) isBroken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

func (c *Conn) isFreed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.freed
}

// fail ends the connection for a cause that the read loop does not know of, which
// gets as long as linger to receive what has already come.
func (c *Conn) fail(cause error, linger time.Duration) {
	c.mu.Lock()
	if c.phase == StateClosed {
		c.mu.Unlock()
		return
	}
	c.giveUp(cause)
	c.mu.Unlock()
	c.freeReader(linger)
}

// failLocked is fail for the writer, which has not written all that it had.
func (c *Conn) failLocked(cause error) {
	c.atEnd().lost = true
	c.giveUp(cause)
}

// giveUp records the first cause, gives up what is queued and frees whoever waits for
// the writer, the writer itself included.
func (c *Conn) giveUp(cause error) {
	c.noteCause(cause)
	c.attention.Or(watched)
	c.beginClosing()
	c.breakOff()
	if cancel := c.extra().cancelConnect; cancel != nil {
		cancel()
	}
	if c.transport != nil {
		c.transport.setWriteDeadline(past)
	}
	if c.atEnd().abandonTimer == nil {
		c.awaitReceiver()
	}
}

// awaitReceiver gives up what the application has not received where it receives nothing
// for the close timeout.
func (c *Conn) awaitReceiver() {
	if c.published || c.signals.raised(abandoned) {
		return
	}
	if c.atEnd().abandonTimer != nil {
		c.end.abandonTimer.Stop()
	}
	taken := c.taken()
	c.end.abandonTimer = time.AfterFunc(c.closeTimeout, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.taken() != taken {
			c.awaitReceiver()
			return
		}
		c.end.ignored = !c.signals.raised(abandoned)
		c.abandonReceived()
	})
}

// taken is how many messages the application has received, and one more while the reader
// waits for it to make room.
func (c *Conn) taken() uint64 {
	waiting := len(c.messages) // read first: it grows after the count of all
	return c.received.messages.Load() - uint64(waiting)
}

// breakOff has nothing more written but what is being written.
func (c *Conn) breakOff() {
	c.broken = true
	c.dropQueued()
	c.atEnd().lost = c.end.lost || !c.writing && c.written < c.queued
	c.settleFlushes()
	c.settlePings()
}

// past is a deadline that has expired.
var past = time.Unix(1, 0)

// freeReader ends the read that is under way, after the linger. A read that has
// been ended at once stays so, whoever comes later with a linger: the writer does
// when the same end stops it. The extensions are interrupted then, both ways: what
// they work on nobody will receive, nor can it be sent.
func (c *Conn) freeReader(linger time.Duration) {
	c.mu.Lock()
	t, freed := c.transport, c.freed
	var err error
	var pipeline *negotiate.Pipeline
	switch {
	case t == nil || freed:
	case linger > 0:
		c.atEnd().lingerReads, c.end.lingerFrom = c.received.calls.Load(), c.received.bytes.Load()
		c.end.lingerBy = time.Now().Add(linger)
		err = t.setReadDeadline(c.end.lingerBy)
	default:
		c.freed = true
		err = t.setReadDeadline(past)
		pipeline = c.pipeline
	}
	c.wakeLocked()
	c.mu.Unlock()
	pipeline.Interrupt()
	if err != nil {
		t.abort() // there are connections without deadlines
	}
}

// dropQueued gives up what is not being written.
func (c *Conn) dropQueued() {
	c.dropUnsent()
	if c.carry != nil {
		messages := c.carry.messages
		if c.carry.close {
			messages--
		}
		c.unqueue(c.carry.messages, messages)
		c.give(c.carry.messages, c.carry.size)
		c.carry.buffer.Release()
		c.carry = nil
	}
}

// dropUnsent gives up what is queued, but not the rest of a frame that the peer has
// the beginning of.
func (c *Conn) dropUnsent() {
	if c.data != nil {
		messages, size := c.data.counted()
		c.unqueue(c.data.count, messages)
		c.give(messages, size)
		c.data.recycle()
	}
	if c.urgent != nil {
		c.urgent.recycle()
	}
	c.data, c.urgent = nil, nil
}

// unqueue takes the last frames in the queue, so many of them messages, for never queued.
// Who waits for them is told when those before are written.
func (c *Conn) unqueue(frames, messages int) {
	c.queued -= uint64(frames)
	c.atEnd().lost = c.end.lost || messages > 0
	for f := c.extra().flushes; f != nil; f = f.next {
		if f.target <= c.queued {
			continue
		}
		f.target = c.queued
		if messages > 0 {
			f.err = c.closedError()
		}
	}
}

// addFlush waits for what is queued so far.
func (c *Conn) addFlush() *flush {
	x := c.makeExtra()
	f := &flush{target: c.queued, done: make(chan struct{}), next: x.flushes}
	if c.end != nil && c.end.lost {
		f.err = c.closedError()
	}
	x.flushes = f
	c.settleFlushes()
	return f
}

// settleFlushes ends the waits that are over.
func (c *Conn) settleFlushes() {
	x := c.extra()
	if x.flushes == nil {
		return
	}
	var waiting *flush
	for f := x.flushes; f != nil; {
		next := f.next
		switch {
		case f.target <= c.written:
			close(f.done)
		case c.broken:
			f.err = c.closedError()
			close(f.done)
		default:
			f.next, waiting = waiting, f
		}
		f = next
	}
	x.flushes = waiting
}

// Flush waits until the messages sent so far are with the operating system, or the
// connection has ended, or ctx has. It does not tell that the peer has them. Errors:
// ctx's, [ErrClosed] where not all was written, a [*UsageError] for a nil context.
func (c *Conn) Flush(ctx context.Context) error {
	if ctx == nil {
		return &UsageError{"Flush", errNilContext}
	}
	c.mu.Lock()
	f := c.addFlush()
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	default:
	}
	select {
	case <-f.done: // by the end of the connection too
		return f.err
	case <-ctx.Done():
		c.forgetFlush(f)
		return ctx.Err()
	}
}

// forgetFlush ends the wait of one who has left.
func (c *Conn) forgetFlush(f *flush) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := &c.extras.flushes; *at != nil; at = &(*at).next {
		if *at == f {
			*at = f.next
			return
		}
	}
}

// closedError says that the connection is closed, and for what.
func (c *Conn) closedError() error {
	switch {
	case c.closeReceived && c.atEnd().peerFirst:
		return &CloseError{Code: c.atEnd().receivedCode, Reason: c.atEnd().receivedReason, Received: true}
	case c.closeReceived && c.closeSent:
		// The closing handshake was complete before anything else ended the connection.
		return &CloseError{Code: c.atEnd().closeCode, Reason: c.atEnd().closeReason}
	case c.atEnd().cause != nil:
		return fmt.Errorf("%w: %w", ErrClosed, c.atEnd().cause)
	case c.closeQueued:
		return &CloseError{Code: c.atEnd().closeCode, Reason: c.atEnd().closeReason}
	}
	return ErrClosed
}

// stopWriter ends the writer, whatever it waits for.
func (c *Conn) stopWriter() {
	c.mu.Lock()
	c.breakOff()
	if !c.writing {
		c.mu.Unlock()
		return
	}
	stopped := make(chan struct{})
	c.makeExtra().stopped = stopped
	err := c.transport.setWriteDeadline(past)
	c.mu.Unlock()
	c.pipeline.Interrupt()
	if err != nil {
		c.transport.abort()
	}
	<-stopped
}

// stopTimers ends everything that would act on the connection later.
func (c *Conn) stopTimers() {
	if c.atEnd().closeTimer != nil {
		c.end.closeTimer.Stop()
	}
	if k := c.extra().keepalive; k != nil {
		k.stop()
	}
	if stop := c.extra().stopContext; stop != nil {
		stop()
	}
	if len(c.messages) > 0 {
		c.awaitReceiver() // anew, as nothing is on its way to it any more
	}
}

// report offers an error to whoever reads Errors, and logs it. The newest is dropped where
// nobody reads.
func (c *Conn) report(err error) {
	c.mu.Lock()
	c.tell(err)
	c.mu.Unlock()
	c.logError(err)
}

// tell keeps the first error for errorChannel: most connections end with one, and few
// applications ask.
func (c *Conn) tell(err error) {
	if c.published {
		return
	}
	if c.extra().errors == nil && c.atEnd().untold == nil {
		c.end.untold = err
		return
	}
	select {
	case c.errorChannel() <- err:
	default:
	}
}

func (c *Conn) logError(err error) {
	level := slog.LevelWarn
	if ownDoing(err) {
		level = slog.LevelDebug
	}
	if c.logs(level) {
		c.logger.Log(context.Background(), level, "websocket", "error", err, "url", c.loggedURL())
	}
}

func (c *Conn) logEnd(e CloseEvent) {
	if c.logs(slog.LevelDebug) {
		c.logger.Debug("websocket closed", "code", int(e.Code), "reason", e.Reason, "clean", e.Clean, "url", c.loggedURL())
	}
}

func (c *Conn) logs(level slog.Level) bool {
	return c.logger != nil && c.logger.Enabled(context.Background(), level)
}

// loggedURL is the URL without its query: pages can not set headers, so that is where
// their tokens are.
func (c *Conn) loggedURL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.target()
	u.RawQuery, u.ForceQuery = "", false
	return u.String()
}

// writeFailed makes the cause of a write's error.
func (c *Conn) writeFailed(err error) error {
	if c.writeTimeout > 0 && errors.Is(err, os.ErrDeadlineExceeded) && !c.broken {
		return &TimeoutError{"room to write", c.writeTimeout}
	}
	return err
}
