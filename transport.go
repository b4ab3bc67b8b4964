package websocket

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/chanws/websocket/codec"
)

// A transport carries the bytes of a connection. One goroutine reads and one
// writes at a time; the rest may be called by any.
type transport interface {
	// read waits for input for c. A transport that can keeps no buffer while it
	// waits. It may go on as long as c deals with what was read.
	read(c consumer) error

	// rest, after errIdle, has c served or woken when there is input. It reports false where a
	// goroutine has to wait after all.
	rest(c *Conn) bool

	// write writes all of the buffers, and waits for as long as that takes. It
	// may change the slice but not the bytes.
	write(buffers net.Buffers) error

	// tryWrite writes what can be written without waiting, which may be nothing.
	tryWrite(*directWrite) error

	// canTry reports whether tryWrite ever writes anything.
	canTry() bool

	// setReadDeadline and setWriteDeadline end what is under way. The connection
	// is over when one expires.
	setReadDeadline(time.Time) error
	setWriteDeadline(time.Time) error

	// closeWrite tells the peer that nothing follows, if there is a way to.
	closeWrite() error

	// close frees what the transport holds, after the last read and write; abort
	// does so without a word to the peer.
	close() error
	abort() error

	localAddr() net.Addr
	remoteAddr() net.Addr
}

// A consumer deals with what a transport reads.
type consumer interface {
	// input is what it is to be put into.
	input() codec.Reader

	// consumes reports whether consume ever does anything.
	consumes() bool

	// consume deals with what was read as far as nobody has to wait for that, and
	// reports whether that was all of it.
	consume() bool
}

// errIdle is what the read of a transport returns when nothing comes, if it needs no
// goroutine to wait for that.
var errIdle = errors.New("websocket: idle")

// newTransport returns the transport of c for a net.Conn. That of a plain socket is put
// where c has room for it.
func newTransport(network net.Conn, c *Conn) transport {
	if c.socket.init(network) {
		return &c.socket
	}
	return &connTransport{network}
}

// connTransport is any net.Conn: TLS, pipes, and what applications bring.
type connTransport struct {
	net.Conn
}

// waitingRead is how many bytes a connection that has to hold a buffer while it
// waits holds.
const waitingRead = 4 << 10

func (t *connTransport) read(c consumer) error {
	r := c.input()
	limit := 0
	if r.Rest() == 0 {
		limit = waitingRead
	}
	n, err := t.Conn.Read(r.Space(limit))
	if n > 0 {
		r.Wrote(n)
		return nil
	}
	return err
}

// write writes one after the other: small frames come in one buffer already.
func (t *connTransport) write(buffers net.Buffers) error {
	for _, b := range buffers {
		if n, err := t.Conn.Write(b); err != nil {
			return err
		} else if n < len(b) {
			return io.ErrShortWrite
		}
	}
	return nil
}

func (t *connTransport) tryWrite(*directWrite) error        { return nil }
func (t *connTransport) rest(*Conn) bool                    { return false }
func (t *connTransport) canTry() bool                       { return false }
func (t *connTransport) setReadDeadline(d time.Time) error  { return t.SetReadDeadline(d) }
func (t *connTransport) setWriteDeadline(d time.Time) error { return t.SetWriteDeadline(d) }
func (t *connTransport) close() error                       { return t.Conn.Close() }
func (t *connTransport) localAddr() net.Addr                { return t.LocalAddr() }
func (t *connTransport) remoteAddr() net.Addr               { return t.RemoteAddr() }

// abort does without the alert that ends TLS: it waits for a peer that may not read.
func (t *connTransport) abort() error { return bare(t.Conn).Close() }

// bare is the network connection below TLS, of which a proxy may have made two layers.
func bare(c net.Conn) net.Conn {
	for {
		switch layer := c.(type) {
		case *tls.Conn:
			c = layer.NetConn()
		case *tunnel:
			c = layer.Conn
		default:
			return c
		}
	}
}

func (t *connTransport) closeWrite() error {
	if c, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// interrupt ends what is under way on a connection: by a deadline, or where it has
// none, as those of some tunnels, by its end.
func interrupt(c net.Conn) {
	if c.SetDeadline(past) != nil {
		c.Close()
	}
}
