package websocket

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/chanws/websocket/negotiate"
)

// A HandshakeError says why the opening handshake failed (RFC 6455, section 4). For
// a server it is what was answered, for a client what came.
type HandshakeError struct {
	// Status is the HTTP status: sent by a server, received by a client; 0 where
	// there was no HTTP response.
	Status int
	// Header has the headers of that response.
	Header http.Header
	// Body is the beginning of the body that a client received, at most 1 KiB.
	Body []byte
	// Reason says what was wrong.
	Reason string
	// Err is the cause, which may name the rule and its section: a
	// *negotiate.Error, a *negotiate.ResponseError, or the network's.
	Err error

	protocol bool // the peer broke the protocol
}

func (e *HandshakeError) Error() string {
	s := "websocket: handshake failed"
	if e.Status != 0 {
		s += " with status " + strconv.Itoa(e.Status)
	}
	var refused *negotiate.Error
	var response *negotiate.ResponseError
	switch {
	case errors.As(e.Err, &refused):
		cause := refused.Err
		if own, ok := cause.(*HandshakeError); ok { // which says the same
			cause = own.Err
		}
		return s + because(refused.Reason, refused.Section, cause)
	case errors.As(e.Err, &response):
		return s + because(response.Reason, response.Section, response.Err)
	}
	return s + because(e.Reason, "", e.Err)
}

// because puts a reason, its source and a cause into words.
func because(reason, section string, cause error) (s string) {
	if reason != "" {
		s = ": " + reason
	}
	if section != "" {
		s += " (" + section + ")"
	}
	if cause != nil {
		s += ": " + cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *HandshakeError) Unwrap() error { return e.Err }
