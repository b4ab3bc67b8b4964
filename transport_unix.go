//go:build unix

package websocket

import (
	"io"
	"net"
	"syscall"

	"github.com/chanws/websocket/codec"
)

// socketTransport is a plain TCP or Unix socket. It knows more than a net.Conn:
// it waits for input without a buffer to put it into, and it writes without
// waiting.
type socketTransport struct {
	connTransport
	raw syscall.RawConn

	// The arguments and results of the two functions below, which are made once
	// so that a call allocates nothing. The reader owns the first three, the
	// writer the others.
	reader     codec.Reader
	readErr    error
	readReady  func(fd uintptr) bool
	head, body []byte
	written    int
	writeErr   error
	writeReady func(fd uintptr) bool
}

// newSocketTransport returns nil for what is not a plain socket. Types that embed
// one are not: they may do more in their methods than the socket does.
func newSocketTransport(c net.Conn) transport {
	var raw syscall.RawConn
	var err error
	switch c := c.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	}
	if raw == nil || err != nil {
		return nil
	}
	t := &socketTransport{connTransport: connTransport{c}, raw: raw}
	t.readReady, t.writeReady = t.readOnce, t.writeOnce
	return t
}

func (t *socketTransport) read(r codec.Reader) error {
	t.reader, t.readErr = r, nil
	if err := t.raw.Read(t.readReady); err != nil {
		return err
	}
	return t.readErr
}

// readOnce reads what is there; false means to wait for readiness and call again.
func (t *socketTransport) readOnce(fd uintptr) bool {
	for {
		n, err := syscall.Read(int(fd), t.reader.Space(0))
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			t.reader.Idle()
			return false
		case err != nil:
			t.readErr = &net.OpError{Op: "read", Net: "tcp", Source: t.LocalAddr(), Addr: t.RemoteAddr(), Err: err}
		case n <= 0:
			t.readErr = io.EOF
		default:
			t.reader.Wrote(n)
		}
		return true
	}
}

func (t *socketTransport) canTry() bool { return true }

func (t *socketTransport) tryWrite(head, body []byte) (int, error) {
	t.head, t.body, t.written, t.writeErr = head, body, 0, nil
	err := t.raw.Write(t.writeReady)
	t.head, t.body = nil, nil
	if err != nil {
		return 0, err
	}
	return t.written, t.writeErr
}

// writeOnce always reports that it is done: the rest is the write loop's.
func (t *socketTransport) writeOnce(fd uintptr) bool {
	if len(t.body) == 0 {
		t.send(int(fd), t.head, 0)
	} else if t.send(int(fd), t.head, sendMore) {
		t.send(int(fd), t.body, 0)
	}
	return true
}

// send writes b, and reports whether it went out whole.
func (t *socketTransport) send(fd int, b []byte, flags int) bool {
	for {
		n, err := syscall.SendmsgN(fd, b, nil, nil, flags|sendQuietly)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		case nil:
			t.written += n
			return n == len(b)
		default:
			t.writeErr = &net.OpError{Op: "write", Net: "tcp", Source: t.LocalAddr(), Addr: t.RemoteAddr(), Err: err}
		}
		return false
	}
}

// write gives all the buffers to the socket at once.
func (t *socketTransport) write(buffers net.Buffers) error {
	_, err := buffers.WriteTo(t.Conn)
	return err
}

func (t *socketTransport) closeWrite() error {
	return t.Conn.(interface{ CloseWrite() error }).CloseWrite()
}
