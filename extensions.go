package websocket

import (
	"errors"

	"github.com/chanws/websocket/negotiate"
)

// extensionError makes the protocol error of what an extension could not undo.
func extensionError(err error) error {
	e := &ProtocolError{Code: StatusProtocolError, Section: "RFC 6455, section 9", Reason: err.Error(), Err: err}
	if errors.Is(err, negotiate.ErrTooBig) {
		e.Code, e.Section, e.Err = StatusMessageTooBig, "RFC 6455, section 7.4.1", errors.Join(ErrMessageTooBig, err)
	}
	return e
}
