package websocket

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// NetConn gives the connection the methods of a [net.Conn], for code that wants a
// stream of bytes: a Write is a message of the given type, and Read gives the
// payloads of the messages received, of any type, one after the other, so that
// io.Copy(c, c) echoes. It receives from Messages, so nobody else should.
//
// Read gives io.EOF after a clean close with code 1000 or 1001 or without a code, else
// what ended the connection. A Write of nothing sends nothing. Close closes with 1000,
// and gives up what has not been read: calls of Read, one under way included, and of
// Write return an error that is [net.ErrClosed] and [ErrClosed] from then on. Deadlines
// bound the calls, not the connection. A Write of a TextMessage must be UTF-8.
func (c *Conn) NetConn(t MessageType) net.Conn {
	return &netConn{conn: c, messageType: t, closed: make(chan struct{})}
}

type netConn struct {
	conn        *Conn
	messageType MessageType
	reading     sync.Mutex // one Read at a time
	message     Message
	rest        []byte // of message
	read, write deadline
	closing     sync.Once
	closed      chan struct{} // when Close has been called
}

// errNetConnClosed is what calls return after Close.
var errNetConnClosed = fmt.Errorf("%w: %w", ErrClosed, net.ErrClosed)

func (n *netConn) Read(p []byte) (int, error) {
	n.reading.Lock()
	defer n.reading.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	for {
		ctx := n.read.context()
		if err := n.refuse(ctx); err != nil {
			return 0, err
		}
		if len(n.rest) > 0 {
			k := copy(p, n.rest)
			n.rest = n.rest[k:]
			return k, nil
		}
		if err := n.receive(ctx); err != nil {
			return 0, err
		}
	}
}

// refuse says why a call is over, whatever it could do still.
func (n *netConn) refuse(ctx context.Context) error {
	if closedAlready(n.closed) {
		return errNetConnClosed
	}
	return ctx.Err()
}

// receive waits for the next message.
func (n *netConn) receive(ctx context.Context) error {
	n.message.Release()
	n.message = Message{}
	select {
	case m, ok := <-n.conn.Messages():
		if !ok {
			return n.awaitEnd(ctx)
		}
		n.message, n.rest = m, m.Data
		return nil
	case <-ctx.Done():
	case <-n.closed:
	}
	return n.refuse(ctx)
}

// awaitEnd waits for the end of the connection, which tells how the stream ends.
func (n *netConn) awaitEnd(ctx context.Context) error {
	n.conn.cameBack()
	select {
	case <-n.conn.whenEnded():
		return n.conn.streamEnd()
	case <-ctx.Done():
	case <-n.closed:
	}
	return n.refuse(ctx)
}

// streamEnd is how a stream of bytes ends.
func (c *Conn) streamEnd() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.atEnd().event
	switch {
	case e.Clean && (e.Code == StatusNormalClosure || e.Code == StatusGoingAway || e.Code == StatusNoStatusReceived):
		return io.EOF
	case e.Err != nil:
		return e.Err
	}
	return c.closedError()
}

func (n *netConn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	err := n.conn.Send(n.write.context(), Message{Type: n.messageType, Final: true, Data: p})
	switch {
	case err == nil:
		return len(p), nil
	case closedAlready(n.closed):
		return 0, errNetConnClosed
	}
	return 0, err
}

func (n *netConn) Close() error {
	n.closing.Do(func() { close(n.closed) })
	n.conn.giveUpReceived()
	return n.conn.Close(context.Background(), StatusNormalClosure, "")
}

// giveUpReceived has Closed not wait for somebody to receive.
func (c *Conn) giveUpReceived() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandonReceived()
}

func (n *netConn) LocalAddr() net.Addr  { return addrOr(n.conn.LocalAddr()) }
func (n *netConn) RemoteAddr() net.Addr { return addrOr(n.conn.RemoteAddr()) }

func (n *netConn) SetReadDeadline(t time.Time) error  { n.read.set(t); return nil }
func (n *netConn) SetWriteDeadline(t time.Time) error { n.write.set(t); return nil }

func (n *netConn) SetDeadline(t time.Time) error {
	n.read.set(t)
	n.write.set(t)
	return nil
}

// addrOr gives an address where there is none yet, as a net.Conn always has one.
func addrOr(a net.Addr) net.Addr {
	if a == nil {
		return noAddr{}
	}
	return a
}

type noAddr struct{}

func (noAddr) Network() string { return "websocket" }
func (noAddr) String() string  { return "not connected" }

// A deadline bounds calls, those under way included, and can be moved.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	ctx   *deadlineContext
}

// A deadlineContext ends with [os.ErrDeadlineExceeded], as the calls of a net.Conn.
type deadlineContext struct {
	context.Context
	done chan struct{}
}

func (d *deadlineContext) Done() <-chan struct{} { return d.done }

func (d *deadlineContext) Err() error {
	if closedAlready(d.done) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (d *deadline) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current()
}

func (d *deadline) current() *deadlineContext {
	if d.ctx == nil {
		d.ctx = &deadlineContext{context.Background(), make(chan struct{})}
	}
	return d.ctx
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.current(); closedAlready(d.ctx.done) {
		d.ctx = nil
	}
	ctx := d.current()
	switch wait := time.Until(t); {
	case t.IsZero():
	case wait <= 0:
		close(ctx.done)
	default:
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() { d.expire(ctx, &timer) })
		d.timer = timer
	}
}

// expire ends the context, unless the deadline was moved at the last moment. The
// timer is known under the lock: it may expire before it is.
func (d *deadline) expire(ctx *deadlineContext, timer **time.Timer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == *timer {
		close(ctx.done)
	}
}

func closedAlready(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
