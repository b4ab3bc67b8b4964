package websocket

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/chanws/websocket/codec"
)

// Sentinel errors, to be compared with [errors.Is].
var (
	// ErrClosed is returned by calls on a connection or stream that is closing
	// or closed. What ended it is told by Closed, and by errors.As with a
	// [*CloseError] where a closing handshake was the cause.
	ErrClosed = errors.New("websocket: closed")

	// ErrQueueFull is returned by the Try variants when the outbound queue has
	// no room, in messages or in bytes. Nothing was queued.
	ErrQueueFull = errors.New("websocket: outbound queue is full")

	// ErrPingUnsupported is returned by Ping and Pong where the protocol version
	// spoken has no such frames (hixie-75 and hixie-76).
	ErrPingUnsupported = errors.New("websocket: this protocol version has no ping")

	// ErrNilContext is returned by calls that were given a nil context; those of
	// a Conn return a [*UsageError] that matches it.
	ErrNilContext = errors.New("websocket: nil context")

	// ErrMessageTooBig is in the chain of the error that ends a connection whose
	// peer sent a message over the limit (close code 1009).
	ErrMessageTooBig = codec.ErrMessageTooBig
)

// A CloseError tells with which code and reason a connection was closed
// (RFC 6455, section 7.4), and whether the peer or this side said so first. It
// matches [ErrClosed].
type CloseError struct {
	// Code is the status code: the peer's where Received is set, else ours.
	Code StatusCode
	// Reason is the text that came with it, at most 123 bytes; often empty.
	Reason string
	// Received tells that the peer's close frame came before this side closed.
	Received bool
}

func (e *CloseError) Error() string {
	s := "websocket: closed by this side: "
	if e.Received {
		s = "websocket: closed by the peer: "
	}
	s += strconv.Itoa(int(e.Code))
	if e.Reason != "" {
		s += " " + strconv.Quote(e.Reason)
	}
	return s
}

// Is reports that a CloseError is an [ErrClosed].
func (e *CloseError) Is(target error) bool { return target == ErrClosed }

// A ProtocolError says which rule the peer broke: the close code sent for it
// and the section of the RFC.
type ProtocolError = codec.ProtocolError

// A UsageError is returned, before anything is sent, by a call that can not be
// carried out as it was made: a nil context, a text that is not UTF-8, a close code
// that must not be sent, an option that contradicts another.
type UsageError struct {
	Call   string // the function or the option, such as "Send"
	Reason string
}

func (e *UsageError) Error() string { return "websocket: " + e.Call + ": " + e.Reason }

// Is reports that a UsageError for a nil context is an [ErrNilContext].
func (e *UsageError) Is(target error) bool {
	return target == ErrNilContext && e.Reason == errNilContext
}

// A TimeoutError ends a connection that waited for its peer for too long. It
// matches [os.ErrDeadlineExceeded] and is a [net.Error].
type TimeoutError struct {
	What  string        // what did not come, such as "a pong"
	After time.Duration // how long it was waited for
}

func (e *TimeoutError) Error() string {
	return "websocket: no " + e.What + " within " + e.After.String()
}

// Timeout reports true.
func (e *TimeoutError) Timeout() bool { return true }

// Temporary reports false: the connection is over.
func (e *TimeoutError) Temporary() bool { return false }

// Is reports that a TimeoutError is an [os.ErrDeadlineExceeded].
func (e *TimeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

const (
	errNilContext   = "nil context"
	errDiscardedFmt = "websocket: %d messages discarded: they were not received within %v of Close"
)

var (
	errAborted      = errors.New("websocket: aborted by this side")
	errContextEnded = errors.New("websocket: the connection's context ended")
	errUnexpected   = fmt.Errorf("websocket: connection ended without a close frame: %w", io.ErrUnexpectedEOF)
)

// ownDoing reports whether what ended a connection is what the application wanted.
func ownDoing(err error) bool {
	return errors.Is(err, errAborted) || errors.Is(err, errContextEnded)
}
