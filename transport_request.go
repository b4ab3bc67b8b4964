package websocket

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// requestTransport is a stream of HTTP/2 or HTTP/3 on the client: what goes is the
// body of the request, what comes that of the response. Its context is the
// request's: when it ends, the stream is reset.
type requestTransport struct {
	out           *upstream
	in            io.ReadCloser
	cancel        context.CancelFunc
	local, remote net.Addr

	mu                    sync.Mutex
	ended                 bool // the peer has ended its side
	expired               bool
	readTimer, writeTimer *time.Timer
}

func (t *requestTransport) read(c consumer) error {
	err := readStream(t.in, c.input())
	if err == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = t.ended || err == io.EOF
	if t.expired && err != io.EOF {
		return os.ErrDeadlineExceeded
	}
	return err
}

func (t *requestTransport) write(buffers net.Buffers) error { return t.out.write(buffers) }
func (t *requestTransport) tryWrite(*directWrite) error     { return nil }
func (t *requestTransport) rest(*Conn) bool                 { return false }
func (t *requestTransport) canTry() bool                    { return false }
func (t *requestTransport) localAddr() net.Addr             { return t.local }
func (t *requestTransport) remoteAddr() net.Addr            { return t.remote }

// setReadDeadline resets the stream when the deadline has come: there is no other
// way to end a read, and none is needed.
func (t *requestTransport) setReadDeadline(d time.Time) error {
	t.limit(&t.readTimer, d, t.readExpired)
	return nil
}

// setWriteDeadline resets the stream too, but leaves what was received to be read.
func (t *requestTransport) setWriteDeadline(d time.Time) error {
	t.limit(&t.writeTimer, d, t.writeExpired)
	return nil
}

// limit calls expired when the deadline has come.
func (t *requestTransport) limit(timer **time.Timer, d time.Time, expired func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if *timer != nil {
		(*timer).Stop()
	}
	left := time.Until(d)
	switch {
	case d.IsZero():
	case left <= 0:
		*timer = time.AfterFunc(0, expired)
	case *timer == nil:
		*timer = time.AfterFunc(left, expired)
	default:
		(*timer).Reset(left)
	}
}

func (t *requestTransport) writeExpired() {
	t.mu.Lock()
	t.expired = true
	t.mu.Unlock()
	t.out.fail(os.ErrDeadlineExceeded) // before the request is over, so that the write fails
	t.cancel()
}

// readExpired closes the body, as x/net/http2 does not see the end of a context
// while it waits for the peer to give it room to write.
func (t *requestTransport) readExpired() {
	t.writeExpired()
	t.in.Close()
}

// closeWrite ends our side of the stream.
func (t *requestTransport) closeWrite() error {
	t.out.end()
	return nil
}

// close ends the stream: in order where the peer has ended its side, which needs no
// more than that we end ours; else by a reset.
func (t *requestTransport) close() error {
	t.mu.Lock()
	inOrder := t.ended && !t.expired
	t.mu.Unlock()
	if !inOrder {
		return t.abort()
	}
	t.stopTimers()
	t.out.end()
	t.out.atClose(time.AfterFunc(lingerTimeout, t.cancel))
	return nil
}

// abort resets the stream, with CANCEL. It does not wait for that, since the
// connection below, which others share, may be stuck.
func (t *requestTransport) abort() error {
	t.stopTimers()
	t.out.fail(net.ErrClosed)
	t.cancel()
	// What was not read counts against the window of the whole connection until
	// the body is closed.
	go t.in.Close()
	return nil
}

func (t *requestTransport) stopTimers() {
	t.setReadDeadline(time.Time{})
	t.setWriteDeadline(time.Time{})
}

// An upstream is the body of a request, written to as long as the stream lasts. In
// contrast to an [io.Pipe] a write returns when the other side comes back for more,
// that is when it has written what it got: till then more can gather in the queue.
type upstream struct {
	mu      sync.Mutex
	changed sync.Cond
	data    net.Buffers // to be read
	taken   bool        // all of it was, and is being written
	over    bool        // nothing follows data
	err     error
	timer   *time.Timer
}

func newUpstream() *upstream {
	u := new(upstream)
	u.changed.L = &u.mu
	return u
}

func (u *upstream) write(buffers net.Buffers) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over && u.err == nil {
		return net.ErrClosed
	}
	u.data = buffers
	u.changed.Broadcast()
	for (len(u.data) > 0 || u.taken) && u.err == nil {
		u.changed.Wait()
	}
	if len(u.data) == 0 && u.err == net.ErrClosed {
		// The request was over before the other side came back, as when the peer
		// has ended the stream for what was written. If it got lost, reading tells.
		return nil
	}
	u.data = nil
	return u.err
}

// Read gives what is written, as much as fits.
func (u *upstream) Read(p []byte) (n int, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.taken {
		u.taken = false
		u.changed.Broadcast()
	}
	for len(u.data) == 0 && !u.over && u.err == nil {
		u.changed.Wait()
	}
	switch {
	case u.err != nil:
		return 0, u.err
	case len(u.data) == 0:
		return 0, io.EOF
	}
	n, _ = u.data.Read(p)
	u.taken = len(u.data) == 0
	return n, nil
}

// Close is called when the request is over.
func (u *upstream) Close() error {
	u.fail(net.ErrClosed)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.timer != nil {
		u.timer.Stop()
	}
	return nil
}

// end lets nothing follow.
func (u *upstream) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = true
	u.changed.Broadcast()
}

// fail ends what is under way.
func (u *upstream) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == nil {
		u.err = err
	}
	u.changed.Broadcast()
}

// atClose stops the timer when the request is over.
func (u *upstream) atClose(t *time.Timer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.timer = t
	if u.err != nil {
		t.Stop()
	}
}
