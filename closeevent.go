package websocket

// A CloseEvent is the last word on a connection, as the CloseEvent of the browsers'
// WebSocket: exactly one arrives on [Conn.Closed]. For [EventSource] and
// [EventStream], whose protocol has no codes, it says by analogy: 1000 after Close,
// 1001 after the end of the context in the options, else 1006.
type CloseEvent struct {
	// Code is that of the peer's close frame, 1005 where the frame had none. Where
	// none came it is the code for the rule that the peer broke, such as 1002, and
	// else 1006 (RFC 6455, section 7.1.5).
	Code StatusCode
	// Reason is the text that came with the code, often empty.
	Reason string
	// Clean tells that close frames went both ways. It is false on the side that has
	// found the peer to break a rule, which does not wait for its answer.
	Clean bool
	// Err is the first cause of the end: nil after a clean close, else the
	// network's error, a [*ProtocolError], a *HandshakeError or a timeout.
	Err error
}
