package websocket

// A State is where a connection or an event stream stands in its life, as the
// readyState of the browsers' WebSocket and EventSource (WHATWG HTML 9.2 and
// WebSockets 3.1).
type State uint8

const (
	StateConnecting State = iota // the handshake is not complete
	StateOpen                    // messages go both ways
	StateClosing                 // a close frame was sent or received, or the connection is being torn down
	StateClosed                  // all is over; Closed has its event, or will once the last message is received
)

func (s State) String() string {
	switch s {
	case StateConnecting:
		return "connecting"
	case StateOpen:
		return "open"
	case StateClosing:
		return "closing"
	case StateClosed:
		return "closed"
	}
	return "unknown"
}
