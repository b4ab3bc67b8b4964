//go:build unix

package websocket

import (
	"io"
	"net"
	"syscall"
)

// socketTransport is a plain TCP or Unix socket. It knows more than a net.Conn:
// it waits for input without a buffer to put it into, and it writes without
// waiting.
type socketTransport struct {
	connTransport
	raw syscall.RawConn

	// Argument and result of readReady, which the reader owns: made once, until the
	// connection rests, so that a call allocates nothing.
	consumer  consumer
	readReady func(fd uintptr) bool
	readErrno uint32 // endOfInput for that

	foresight foresight
	idle      idleness
}

// endOfInput stands among the error numbers for none.
const endOfInput = 1<<32 - 1

// init makes t the transport for c, unless that is not a plain socket. Types that embed
// one are not: they may do more in their methods than the socket does.
func (t *socketTransport) init(c net.Conn) bool {
	var raw syscall.RawConn
	var err error
	switch c := c.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	}
	if raw == nil || err != nil {
		return false
	}
	t.connTransport, t.raw = connTransport{c}, raw
	t.idle.init()
	return true
}

func (t *socketTransport) read(c consumer) error {
	t.consumer, t.readErrno = c, 0
	if t.readReady == nil {
		t.readReady = t.readAll()
	}
	return t.await()
}

// readErr is what ended the reading, if anything did.
func (t *socketTransport) readErr() error {
	switch t.readErrno {
	case 0:
		return nil
	case endOfInput:
		return io.EOF
	}
	return t.readFailed(syscall.Errno(t.readErrno))
}

func (t *socketTransport) readFailed(err error) error {
	return &net.OpError{Op: "read", Net: "tcp", Source: t.LocalAddr(), Addr: t.RemoteAddr(), Err: err}
}

// readAll makes the function that reads what is there; where that reports false, it is to
// be called again when there is more.
//
// To wait without having found nothing is possible within one call of RawConn.Read:
// readiness that comes up meanwhile is kept for it. It is noted when it comes up only,
// so there must really be nothing left.
func (t *socketTransport) readAll() func(fd uintptr) bool {
	return func(fd uintptr) bool {
		r := t.consumer.input()
		for {
			n, drained, err := t.receive(int(fd), r)
			switch {
			case n > 0:
				r.Wrote(n)
				if !drained || !t.consumer.consume() {
					return true
				}
				t.idle.stir()
				r.Idle()
				return false
			case err == nil:
				t.readErrno = endOfInput
				return true
			case err == syscall.EAGAIN:
				r.Idle()
				return false
			case err != syscall.EINTR:
				errno, _ := err.(syscall.Errno)
				t.readErrno = uint32(errno)
				return true
			}
		}
	}
}

func (t *socketTransport) canTry() bool { return true }

func (t *socketTransport) tryWrite(w *directWrite) error {
	if w.ready == nil {
		w.ready = readyToWrite(w)
	}
	if err := t.raw.Write(w.ready); err != nil {
		return err
	}
	if w.err != nil {
		return &net.OpError{Op: "write", Net: "tcp", Source: t.LocalAddr(), Addr: t.RemoteAddr(), Err: w.err}
	}
	return nil
}

// readyToWrite makes the function that a RawConn wants. It always reports that it is
// done: the rest is the write loop's.
func readyToWrite(w *directWrite) func(fd uintptr) bool {
	return func(fd uintptr) bool {
		switch {
		case w.head == nil:
			w.count(syscall.Write(int(fd), w.body))
		case len(w.body) == 0:
			w.count(syscall.Write(int(fd), w.head.Bytes))
		default:
			w.writeBoth(int(fd))
		}
		return true
	}
}

// count notes what a system call has written. One that was interrupted, or found no
// room, leaves its bytes to the write loop.
func (w *directWrite) count(n int, err error) {
	w.written += max(n, 0)
	if err != syscall.EAGAIN && err != syscall.EINTR {
		w.err = err
	}
}

// write gives all the buffers to the socket at once. One alone, as most are, needs
// no list of them.
func (t *socketTransport) write(buffers net.Buffers) error {
	if len(buffers) == 1 {
		return t.connTransport.write(buffers)
	}
	return t.writeList(buffers)
}

// writeList is apart as it makes the slice escape to the heap.
func (t *socketTransport) writeList(buffers net.Buffers) error {
	_, err := buffers.WriteTo(t.Conn)
	return err
}

func (t *socketTransport) closeWrite() error {
	return t.Conn.(interface{ CloseWrite() error }).CloseWrite()
}
