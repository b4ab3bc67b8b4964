package websocket

import (
	"context"
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
// what ended the connection. A Write of nothing sends nothing. Close closes with 1000. Deadlines bound the calls, not the
// connection. A Write of a TextMessage must be UTF-8.
func (c *Conn) NetConn(t MessageType) net.Conn {
	return &netConn{conn: c, messageType: t}
}

type netConn struct {
	conn        *Conn
	messageType MessageType
	reading     sync.Mutex // one Read at a time
	message     Message
	rest        []byte // of message
	read, write deadline
}

func (n *netConn) Read(p []byte) (int, error) {
	n.reading.Lock()
	defer n.reading.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	for len(n.rest) == 0 {
		n.message.Release()
		n.message = Message{}
		ctx := n.read.context()
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		select {
		case m, ok := <-n.conn.Messages():
			if !ok {
				return 0, n.conn.streamEnd()
			}
			n.message, n.rest = m, m.Data
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	k := copy(p, n.rest)
	n.rest = n.rest[k:]
	return k, nil
}

// streamEnd is how a stream of bytes ends.
func (c *Conn) streamEnd() error {
	c.cameBack()
	<-c.whenEnded()
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
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (n *netConn) Close() error {
	return n.conn.Close(context.Background(), StatusNormalClosure, "")
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
