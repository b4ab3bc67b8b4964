package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chanws/websocket/codec"
)

// errStreamOver is the end of a stream whose request is over: the handler has
// returned, or the peer has reset the stream or left.
var errStreamOver = errors.New("websocket: the request has ended: its handler returned, or the peer left")

// responseTransport is a stream of HTTP/2 or HTTP/3 on the server: what comes is
// the body of the request, what goes that of the response.
//
// The response is net/http's again as soon as the handler returns: it is given to
// another request then. So every use of it is counted, and who is about to return
// takes it back by giveBack, which waits for those who use it and allows no more.
// Handlers that return without that are told by the request's context, which ends
// just before; nothing can make them wait for a write that is under way.
type responseTransport struct {
	body          io.ReadCloser
	writer        http.ResponseWriter
	control       *http.ResponseController
	request       context.Context
	local, remote net.Addr
	held          bool        // the request lasts as long as the connection
	stop          func() bool // ends looking after the request

	over atomic.Bool // nothing more is read

	mu    sync.Mutex
	users int
	left  bool // the response must not be used any more
	idle  sync.Cond

	deadline sync.Mutex
	limit    time.Time // of writes
	leased   bool      // a write is under way that has a lease
	renewal  *time.Timer
}

// use runs f, which uses the response, unless it is not ours any more.
func (t *responseTransport) use(f func() error) (err error) {
	t.mu.Lock()
	if t.left || t.request.Err() != nil {
		t.mu.Unlock()
		return errStreamOver
	}
	t.users++
	t.mu.Unlock()
	defer t.used()
	defer func() {
		// The handler has returned meanwhile, and net/http panics for it.
		if t.request.Err() != nil && recover() != nil {
			err = errStreamOver
		}
	}()
	return f()
}

// used ends a use.
func (t *responseTransport) used() {
	if !t.held {
		comeBefore(t.request)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users--; t.users == 0 {
		t.idle.Broadcast()
	}
}

// comeBefore has the end of the context come after all that this goroutine has done:
// net/http ends it in the handler's goroutine, before it takes the response back. In
// the memory model it takes a lock for that which both have had.
func comeBefore(request context.Context) {
	if request.Err() == nil {
		context.AfterFunc(request, func() {})()
	} else {
		context.Cause(request)
	}
}

// giveBack returns when the response is not used any more, and never will be.
func (t *responseTransport) giveBack() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = true
	for t.users > 0 {
		t.idle.Wait()
	}
}

// read waits with an empty read where it may, so that no buffer is held meanwhile.
// Where an empty read does not wait, the buffer does.
func (t *responseTransport) read(c consumer) error {
	if t.over.Load() {
		return io.EOF
	}
	err := readStream(t.body, c.input())
	if err != nil && err != io.EOF && t.timedOut() {
		return os.ErrDeadlineExceeded
	}
	return err
}

func readStream(in io.Reader, r codec.Reader) error {
	limit := 0
	if r.Rest() == 0 {
		if _, err := in.Read(nil); err != nil {
			return err
		}
		limit = waitingRead
	}
	n, err := in.Read(r.Space(limit))
	if n > 0 {
		r.Wrote(n)
		return nil
	}
	return err
}

// write writes, and sends what it wrote on its way. What is written apart goes in
// a DATA frame each, so a header goes in one piece with what follows it.
func (t *responseTransport) write(buffers net.Buffers) error {
	return t.use(func() error {
		defer t.lease()()
		joined := joinFirst(buffers)
		if joined != nil {
			defer joined.Release()
			if _, err := t.writer.Write(joined.Bytes); err != nil {
				return err
			}
		}
		for _, b := range buffers {
			if len(b) == 0 {
				continue
			}
			if _, err := t.writer.Write(b); err != nil {
				return err
			}
		}
		return t.control.Flush()
	})
}

// joinFirst takes as much of the buffers as fits into one DATA frame of the size
// that every peer accepts (RFC 9113, section 4.2). It returns nil where there is
// only one buffer.
func joinFirst(buffers net.Buffers) *codec.Buffer {
	if len(buffers) < 2 {
		return nil
	}
	joined := codec.NewBuffer(waitingRead)
	for i, b := range buffers {
		n := min(len(b), cap(joined.Bytes)-len(joined.Bytes))
		joined.Bytes = append(joined.Bytes, b[:n]...)
		if buffers[i] = b[n:]; n < len(b) {
			break
		}
	}
	return joined
}

func (t *responseTransport) tryWrite(*directWrite) error { return nil }
func (t *responseTransport) rest(*Conn) bool             { return false }
func (t *responseTransport) canTry() bool                { return false }
func (t *responseTransport) localAddr() net.Addr         { return t.local }
func (t *responseTransport) remoteAddr() net.Addr        { return t.remote }

// setReadDeadline ends a read. After the request is over that is done by closing the
// body; it ends by itself too, after what has come.
func (t *responseTransport) setReadDeadline(d time.Time) error {
	err := t.use(func() error { return t.control.SetReadDeadline(d) })
	switch {
	case err != errStreamOver:
		return err
	case !d.IsZero() && d.Before(time.Now()):
		return t.body.Close()
	}
	return nil
}

// setWriteDeadline ends a write: when it expires, the stream is reset. After the
// request is over there is no write.
func (t *responseTransport) setWriteDeadline(d time.Time) error {
	err := t.use(func() error {
		t.deadline.Lock()
		defer t.deadline.Unlock()
		t.limit = d
		return t.control.SetWriteDeadline(d)
	})
	if err == errStreamOver {
		return nil
	}
	return err
}

// timedOut reports whether the deadline of writes has expired: the stream is reset for
// that.
func (t *responseTransport) timedOut() bool {
	t.deadline.Lock()
	defer t.deadline.Unlock()
	return !t.limit.IsZero() && !t.limit.After(time.Now())
}

// leaseTime is how long a write may go on after a handler has returned that nothing
// holds.
const leaseTime = 3 * time.Second

// lease lets a write go on only as long as somebody says so: when a handler returns
// while the peer does not read, net/http waits for the write, and nothing may touch
// the response any more that could end it.
func (t *responseTransport) lease() (end func()) {
	if t.held {
		return func() {}
	}
	t.deadline.Lock()
	defer t.deadline.Unlock()
	t.leased = true
	t.applyDeadline()
	if t.renewal == nil {
		t.renewal = time.AfterFunc(leaseTime/3, t.renew)
	} else {
		t.renewal.Reset(leaseTime / 3)
	}
	return t.endLease
}

// renew says so, as long as the request lasts.
func (t *responseTransport) renew() {
	t.use(func() error {
		t.deadline.Lock()
		defer t.deadline.Unlock()
		if t.leased {
			t.renewal.Reset(leaseTime / 3)
			return t.applyDeadline()
		}
		return nil
	})
}

func (t *responseTransport) endLease() {
	t.deadline.Lock()
	defer t.deadline.Unlock()
	t.leased = false
	t.renewal.Stop()
	t.applyDeadline()
}

// applyDeadline sets the deadline of writes to the limit or the end of the lease,
// what comes first. A limit that is past has had its effect.
func (t *responseTransport) applyDeadline() error {
	now := time.Now()
	by := t.limit
	if !by.IsZero() && by.Before(now) {
		return nil
	}
	if until := now.Add(leaseTime); t.leased && (by.IsZero() || until.Before(by)) {
		by = until
	}
	return t.control.SetWriteDeadline(by)
}

// closeWrite can not end the response while the handler runs. But nothing is lost
// where nobody waits for the peer's end, as the end of a stream takes nothing back
// that was sent on it.
func (t *responseTransport) closeWrite() error {
	t.over.Store(true)
	return nil
}

// close returns when the response is not used any more, and never will be.
func (t *responseTransport) close() error {
	t.stop()
	t.giveBack()
	return t.body.Close()
}

// abort needs to do no more: what ends a connection at once has let the deadlines
// expire, and so reset the stream.
func (t *responseTransport) abort() error { return t.close() }
