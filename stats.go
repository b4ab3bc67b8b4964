package websocket

import "sync/atomic"

// Stats counts what a connection has done so far. Reads and Writes are those from and to
// the network, so MessagesSent over Writes tells how well sending is batched.
type Stats struct {
	MessagesReceived, MessagesSent uint64 // parts count as messages
	BytesReceived, BytesSent       uint64 // payload, without compression
	Reads, Writes                  uint64
}

// Stats tells what the connection has done so far.
func (c *Conn) Stats() Stats {
	return Stats{
		MessagesReceived: c.received.messages.Load(), MessagesSent: c.sent.messages.Load(),
		BytesReceived: c.received.bytes.Load(), BytesSent: c.sent.bytes.Load(),
		Reads: c.received.calls.Load(), Writes: c.sent.calls.Load(),
	}
}

// counters are read without the lock, so that a net.Conn of the application's may ask
// for Stats whenever it is called.
type counters struct {
	messages, bytes, calls atomic.Uint64
}

func (n *counters) count(messages, bytes, calls int) {
	n.messages.Add(uint64(messages))
	n.bytes.Add(uint64(bytes))
	n.calls.Add(uint64(calls))
}
