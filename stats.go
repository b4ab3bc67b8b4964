package websocket

import "sync/atomic"

// Stats counts what a connection has done so far. A call is a read from the
// transport or a write to it, so MessagesSent over Writes tells how well sending
// is batched.
type Stats struct {
	MessagesReceived, MessagesSent uint64 // parts count as messages
	BytesReceived, BytesSent       uint64 // payload, without compression
	Reads, Writes                  uint64
}

// Stats tells what the connection has done so far.
func (c *Conn) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{
		MessagesReceived: c.received.messages.Load(), MessagesSent: c.sent.messages,
		BytesReceived: c.received.bytes.Load(), BytesSent: c.sent.bytes,
		Reads: c.received.calls.Load(), Writes: c.sent.calls,
	}
}

// received counts what the read loop does, without the lock.
type received struct {
	messages, bytes, calls atomic.Uint64
}

// sent counts what writers do. It is guarded by the connection's lock.
type sent struct {
	messages, bytes, calls uint64
}

func (n *sent) count(messages, bytes, calls int) {
	n.messages += uint64(messages)
	n.bytes += uint64(bytes)
	n.calls += uint64(calls)
}
