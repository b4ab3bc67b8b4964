package main

import (
	"net"

	"github.com/gobwas/ws"
)

var gobwasBatchPeer = &peer{
	name: "gobwas-batch", reference: true, module: "github.com/gobwas/ws",
	about: "gobwas with what this library does by itself written around it by hand, as no documentation of gobwas shows it: " +
		"answers are collected until the next read, and broadcasts go through a queue for each connection; only where that matters",
	serve: serveGobwasBatch,
	able: func(s *scenario) bool {
		return s.Deflate == noDeflate && (s.Kind == kindBroadcast || s.Kind == kindEcho && s.Depth > 1)
	},
}

func serveGobwasBatch(j *serverJob) error {
	var all hub[*gobwasQueue]
	return acceptLoop(j.listener(), func(c net.Conn) {
		if _, err := ws.Upgrade(c); err != nil {
			c.Close()
			return
		}
		if !j.broadcast() {
			c = &collectingConn{Conn: c}
		}
		buffered := gobwasReader(c, j)
		s := &gobwasConn{conn: c, r: buffered, buffered: buffered, state: ws.StateServerSide}
		if !j.broadcast() {
			go s.loop(s.write)
			return
		}
		q := newGobwasQueue(c)
		all.add(q)
		go q.pump()
		go func() {
			defer close(q.gone)
			s.loop(func(h ws.Header, _ []byte) error { return s.queue(h, &all) })
		}()
	})
}

// A collectingConn keeps what is written until a read, which may wait for the peer.
// So the answers to all frames that one read has brought go out in one write. It is
// for one goroutine.
type collectingConn struct {
	net.Conn
	out []byte
}

// maxCollected bounds what is kept: as much as a read brings.
const maxCollected = 64 << 10

func (c *collectingConn) Write(b []byte) (int, error) {
	c.out = append(c.out, b...)
	if len(c.out) < maxCollected {
		return len(b), nil
	}
	return len(b), c.flush()
}

func (c *collectingConn) Read(b []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// Close writes the rest, such as the answer to a close frame.
func (c *collectingConn) Close() error {
	return firstError(c.flush(), c.Conn.Close())
}

func (c *collectingConn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// A gobwasQueue is the frames that a connection has still to get.
type gobwasQueue struct {
	conn   net.Conn
	frames chan []byte   // never closed, as others go on to send on it
	gone   chan struct{} // closed when nobody reads the connection any more
}

func newGobwasQueue(c net.Conn) *gobwasQueue {
	return &gobwasQueue{conn: c, frames: make(chan []byte, chanQueue), gone: make(chan struct{})}
}

// queue compiles the frame that is in the buffer and has it sent to all.
func (c *gobwasConn) queue(h ws.Header, all *hub[*gobwasQueue]) error {
	frame, err := c.compile(h)
	if err != nil {
		return err
	}
	all.each(func(q *gobwasQueue) {
		select {
		case q.frames <- frame:
		default: // as with gorilla-chan, who does not read is dropped
			q.conn.Close()
		}
	})
	return nil
}

// pump writes all that is there in one call.
func (q *gobwasQueue) pump() {
	defer q.conn.Close()
	batch := make([][]byte, 0, chanQueue)
	left := new(net.Buffers) // here, as WriteTo would have it allocated each time
	for {
		select {
		case frame := <-q.frames:
			batch = append(batch[:0], frame)
		case <-q.gone:
			return
		}
		for n := len(q.frames); n > 0; n-- { // nobody else receives
			batch = append(batch, <-q.frames)
		}
		*left = batch
		if _, err := left.WriteTo(q.conn); err != nil {
			return
		}
	}
}
