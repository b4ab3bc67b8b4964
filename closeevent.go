package websocket

// A CloseEvent is the last word on a connection, as the CloseEvent of the
// browsers' WebSocket: exactly one arrives on [Conn.Closed].
type CloseEvent struct {
	// Code is the peer's status code where its close frame came first, ours
	// where this side began; 1005 where the frame had none and 1006 where no
	// closing handshake took place (RFC 6455, section 7.1.5).
	Code StatusCode
	// Reason is the text that came with the code, often empty.
	Reason string
	// Clean tells that close frames went both ways.
	Clean bool
	// Err is the first cause of the end: nil after a clean close, else the
	// network's error, a [*ProtocolError], a *HandshakeError or a timeout.
	Err error
}
