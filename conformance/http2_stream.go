package conformance

import (
	"io"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/net/http2"
)

// http2Stream is a stream of HTTP/2 as a net.Conn: its bytes are those of DATA
// frames, one a write where they fit. The connection of a server under test is the
// stream's own, and ends with it.
type http2Stream struct {
	conn *http2Conn
	id   uint32

	// Guarded by the connection's lock.
	head    *message // the latest from the peer
	in      []byte
	ended   bool // by the peer
	err     error
	window  int64
	sentEnd bool
	closed  bool
	timer   *time.Timer
	unacked int // bytes read that the peer's window does not have back
}

// sendHead sends a request or a response.
func (s *http2Stream) sendHead(m message, t target) error {
	c := s.conn
	return c.write(func() error {
		block, err := c.appendBlock(m, "https", t.host)
		if err != nil {
			return err
		}
		return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: block, EndHeaders: true})
	})
}

// readHead waits for the peer's.
func (s *http2Stream) readHead() (*message, error) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for s.head == nil && s.err == nil {
		c.changed.Wait()
	}
	if s.head == nil {
		return nil, s.err
	}
	return s.head, nil
}

func (s *http2Stream) Read(b []byte) (int, error) {
	c := s.conn
	c.mu.Lock()
	for len(s.in) == 0 && !s.ended && s.err == nil {
		c.changed.Wait()
	}
	if len(s.in) == 0 {
		defer c.mu.Unlock()
		if s.err != nil && !s.ended {
			return 0, s.err
		}
		return 0, io.EOF
	}
	n := copy(b, s.in)
	s.in = slices.Delete(s.in, 0, n)
	back := 0
	if s.unacked += n; s.unacked >= 32<<10 {
		back, s.unacked = s.unacked, 0
	}
	alive := !s.ended && s.err == nil
	c.mu.Unlock()
	if back == 0 {
		return n, nil
	}
	err := c.write(func() error {
		if alive {
			if err := c.framer.WriteWindowUpdate(s.id, uint32(back)); err != nil {
				return err
			}
		}
		return c.framer.WriteWindowUpdate(0, uint32(back))
	})
	if err != nil {
		c.fail(err)
	}
	return n, nil
}

func (s *http2Stream) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		m, err := s.room(len(b))
		if err == nil {
			err = s.conn.write(func() error { return s.conn.framer.WriteData(s.id, false, b[:m]) })
		}
		if err != nil {
			return n, err
		}
		n, b = n+m, b[m:]
	}
	return n, nil
}

// room waits until something may be sent, and takes it from the windows.
func (s *http2Stream) room(n int) (int, error) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for s.err == nil && !s.sentEnd && min(s.window, c.window) <= 0 {
		c.changed.Wait()
	}
	switch {
	case s.err != nil:
		return 0, s.err
	case s.sentEnd:
		return 0, net.ErrClosed
	}
	n = int(min(int64(min(n, c.frame)), s.window, c.window))
	s.window -= int64(n)
	c.window -= int64(n)
	return n, nil
}

// CloseWrite ends the suite's side with END_STREAM, which stands for TCP's FIN (RFC
// 8441, 5).
func (s *http2Stream) CloseWrite() error {
	c := s.conn
	c.mu.Lock()
	if s.sentEnd || s.err != nil {
		defer c.mu.Unlock()
		return s.err
	}
	s.sentEnd = true
	c.mu.Unlock()
	return c.write(func() error { return c.framer.WriteData(s.id, true, nil) })
}

// Close ends the stream: both sides, by a reset where the peer has not ended its own.
func (s *http2Stream) Close() error {
	err := s.CloseWrite()
	c := s.conn
	c.mu.Lock()
	reset := !s.closed && !s.ended && s.err == nil
	s.closed = true
	if s.err == nil {
		s.err = net.ErrClosed
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	delete(c.streams, s.id)
	unread := s.unacked + len(s.in)
	s.unacked, s.in = 0, nil
	c.changed.Broadcast()
	c.mu.Unlock()
	if c.peer == Server {
		return c.network.Close()
	}
	return s.leave(reset, unread, err)
}

// leave gives the connection back to others.
func (s *http2Stream) leave(reset bool, unread int, err error) error {
	c := s.conn
	return c.write(func() error {
		if reset && err == nil {
			// "A server can send a complete response prior to the client sending an entire
			// request [...] by sending a RST_STREAM with an error code of NO_ERROR" (RFC
			// 9113, 8.1)
			if err := c.framer.WriteRSTStream(s.id, http2.ErrCodeNo); err != nil {
				return err
			}
		}
		if unread == 0 {
			return err
		}
		return c.framer.WriteWindowUpdate(0, uint32(unread))
	})
}

// SetDeadline ends the stream at a time.
func (s *http2Stream) SetDeadline(at time.Time) error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = time.AfterFunc(time.Until(at), func() { s.conn.endStream(s.id, os.ErrDeadlineExceeded) })
	return nil
}

func (s *http2Stream) SetReadDeadline(at time.Time) error  { return s.SetDeadline(at) }
func (s *http2Stream) SetWriteDeadline(at time.Time) error { return s.SetDeadline(at) }
func (s *http2Stream) LocalAddr() net.Addr                 { return s.conn.network.LocalAddr() }
func (s *http2Stream) RemoteAddr() net.Addr                { return s.conn.network.RemoteAddr() }
