package main

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// closeFrame has code 1000; the server answers with the same, unmasked.
var (
	closePayload = []byte{0x03, 0xe8}
	closeFrame   = appendClientFrame(nil, finBit|opClose, closePayload, [4]byte{1, 2, 3, 4})
)

// loadChurn opens connections, echoes once, closes, and does it again.
func loadChurn(p *process, s *scenario, t *target, dur time.Duration) (values, error) {
	bs := s.bursts(t)
	l := newLoad(s.Conns)
	var turn atomic.Int64
	deadline := time.Now().Add(dur + patience)
	l.goEach(func(_ int, w *worker) error {
		i := int(turn.Add(1))
		t0 := time.Now()
		c, _, err := t.dial(i, deadline)
		if err != nil {
			return err
		}
		defer c.Close()
		buf := make([]byte, len(bs[0].reply))
		once := worker{load: l}
		if err := once.exchange(c, &bs[i%len(bs)], buf); err != nil {
			return err
		}
		if err := t.close(c); err != nil {
			return err
		}
		if w.measuring.Load() {
			w.times.add(time.Since(t0))
		}
		w.n.Add(1)
		return nil
	})
	return l.measure(p, dur)
}

// close does the closing handshake, and waits for the server to end the
// connection, as RFC 6455, section 7.1.1 asks of it.
func (t *target) close(c net.Conn) error {
	if t.tcp {
		tc, ok := c.(*net.TCPConn)
		if !ok {
			return nil
		}
		if err := tc.CloseWrite(); err != nil {
			return err
		}
		return waitEOF(c)
	}
	if _, err := c.Write(closeFrame); err != nil {
		return err
	}
	var reply [2]byte
	if _, err := io.ReadFull(c, reply[:]); err != nil {
		return err
	}
	if reply[0] != finBit|opClose || reply[1] > 125 {
		return errors.New("no close frame came back")
	}
	if _, err := io.CopyN(io.Discard, c, int64(reply[1])); err != nil {
		return err
	}
	return waitEOF(c)
}

// waitEOF waits for the end of the stream, for a second at most: a server that
// leaves it to us to close first has had the time that it may have.
func waitEOF(c net.Conn) error {
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, c)
	if n > 0 {
		return errors.New("bytes after the close frame")
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}
