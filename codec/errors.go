package codec

import (
	"errors"
	"fmt"
)

var (
	// ErrMessageTooBig is in the chain of the error for a message over the limit.
	ErrMessageTooBig = errors.New("websocket: message too big")

	// ErrNeedMore is returned by Next when the bytes at hand hold no further event.
	ErrNeedMore = errors.New("websocket: more bytes are needed")
)

// A ProtocolError says which rule the peer broke, and with which code the
// connection is to be closed for it.
type ProtocolError struct {
	Code    StatusCode // what to close with: 1002, 1007, 1008 or 1009
	Section string     // where the rule stands, such as "RFC 6455, section 5.5"
	Reason  string     // what was wrong, in words that the peer may read
	Offset  int64      // where: bytes of the stream after the handshake, counted from 0; -1 if not known
	Err     error      // the kind of error, such as ErrMessageTooBig, or an extension's; may be nil
}

func (e *ProtocolError) Error() string {
	s := fmt.Sprintf("websocket: protocol error %d", e.Code)
	if e.Offset >= 0 {
		s += fmt.Sprintf(" at byte %d", e.Offset)
	}
	s += ": " + e.Reason + " (" + e.Section + ")"
	if e.Err != nil && !errors.Is(e.Err, ErrMessageTooBig) { // of that the reason has told
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *ProtocolError) Unwrap() error { return e.Err }

func tooBig(length, total, limit uint64) *ProtocolError {
	return &ProtocolError{
		Code:    StatusMessageTooBig,
		Section: "RFC 6455, section 7.4.1",
		Reason:  fmt.Sprintf("message of %d bytes or more, the limit is %d", total+length, limit),
		Err:     ErrMessageTooBig,
	}
}
