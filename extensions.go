package websocket

import (
	"errors"
	"fmt"

	"github.com/chanws/websocket/negotiate"
)

// extensionError makes the protocol error of a message of size bytes that an extension
// could not undo. Its reason goes to the peer, so it has none of the extension's own
// words, which may tell of more than the peer should know: those are in the chain.
func extensionError(err error, size int, limit int64) *ProtocolError {
	if errors.Is(err, negotiate.ErrTooBig) {
		return &ProtocolError{
			Code: StatusMessageTooBig, Section: "RFC 6455, section 7.4.1", Offset: -1,
			Reason: fmt.Sprintf("message of %d bytes becomes more than the limit of %d", size, limit),
			Err:    fmt.Errorf("%w: %w", ErrMessageTooBig, err),
		}
	}
	return &ProtocolError{
		Code: StatusProtocolError, Section: "RFC 6455, section 9", Offset: -1,
		Reason: "message that an extension can not undo", Err: err,
	}
}
