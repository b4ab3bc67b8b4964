package negotiate

import (
	"errors"
	"net/http"
	"strconv"
)

// ErrNeedMore is returned by the Consume methods while the bytes end before
// the head of the message does: read more, append, and call again.
var ErrNeedMore = errors.New("negotiate: the message goes on")

// ErrHeaderTooBig is in the chain of the error of a Consume method when a head
// is longer than the limit.
var ErrHeaderTooBig = errors.New("negotiate: header too big")

// An Error is a handshake refused by the server: the HTTP response to send, and
// the rule that was broken. Send it with [AppendError], or through net/http:
// Header, then Status, then Reason as the body.
type Error struct {
	// Status is the HTTP status code to answer with, 400 to 599.
	Status int
	// Header has what to send along, such as Allow or Sec-WebSocket-Version.
	// It may be nil.
	Header http.Header
	// Section names the rule, such as "RFC 6455, section 4.2.1". Empty where a
	// caller's own option is at fault.
	Section string
	// Reason says what was wrong in a few words. It never holds what the peer
	// sent, so that it is safe as a body and in a log.
	Reason string
	// Err is the cause that is not told to the peer, often nil.
	Err error
}

// Error gives status, reason, section and cause on one line.
func (e *Error) Error() string {
	text := "negotiate: refused with " + strconv.Itoa(e.Status) + ": " + withSection(e.Reason, e.Section)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// AppendError appends e as a whole HTTP/1.1 response with a short text body,
// for a server that has no net/http under it. The connection is to be closed
// after it. A header of e that would break the response is left out.
func AppendError(dst []byte, e *Error) []byte {
	body := e.Reason
	if body == "" {
		body = http.StatusText(e.Status)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(e.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(e.Status)...)
	dst = append(dst, "\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"...)
	dst = appendErrorHeader(dst, e.Header)
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body))+1, 10)
	dst = append(dst, "\r\n\r\n"...)
	dst = append(dst, body...)
	return append(dst, '\n')
}

// appendErrorHeader appends what an Error sends along. Upgrade goes hand in
// hand with its connection option (RFC 9110, section 7.8), beside the close
// that ends every response of AppendError.
func appendErrorHeader(dst []byte, h http.Header) []byte {
	if h.Get("Upgrade") == "" {
		dst = append(dst, "Connection: close\r\n"...)
	} else {
		dst = append(dst, "Connection: Upgrade, close\r\nUpgrade: websocket\r\n"...)
	}
	for _, v := range h["Sec-Websocket-Version"] {
		if validValue(v) {
			dst = appendField(dst, "Sec-WebSocket-Version", v)
		}
	}
	if checkHeader(h) != "" {
		return dst
	}
	return appendOwn(dst, h)
}

// A ResponseError is a handshake failed on the client: the server answered
// something else than the 101 that was asked for.
type ResponseError struct {
	// Status is the HTTP status code, 0 where the answer was not HTTP.
	Status int
	// Header is the response's, nil where the answer was not HTTP.
	Header http.Header
	// BodyLength is how many bytes of body follow the head that Consume has
	// consumed: the Content-Length, 0 if there is none, and -1 if the body goes
	// on to the end of its chunks (see Chunked) or of the connection.
	BodyLength int64
	// Chunked tells that the body is in chunks (RFC 9112, section 7.1).
	Chunked bool
	// Section names the rule, such as "RFC 6455, section 4.1".
	Section string
	// Reason says what was wrong in a few words; it holds nothing that was sent
	// or received.
	Reason string
	// Err is the cause, such as [ErrHeaderTooBig] or an extension's error.
	Err error
}

// Error gives reason, status, section and cause on one line.
func (e *ResponseError) Error() string {
	return answerText("handshake failed", e.Reason, e.Section, e.Status, e.Err)
}

// answerText puts an answer that is not the one wanted into words.
func answerText(what, reason, section string, status int, cause error) string {
	text := "negotiate: " + what + ": " + withSection(reason, section)
	if status != 0 {
		text += ": status " + strconv.Itoa(status)
	}
	if cause != nil {
		text += ": " + cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *ResponseError) Unwrap() error { return e.Err }

// An OptionError is returned for options that can not be put in a handshake.
type OptionError struct {
	Option  string // the field's name, such as "Subprotocols"
	Section string // the rule, such as "RFC 6455, section 4.1"; may be empty
	Reason  string // what is wrong with it; never the value itself
}

// Error gives option, reason and section on one line.
func (e *OptionError) Error() string {
	return "negotiate: option " + e.Option + ": " + withSection(e.Reason, e.Section)
}

func withSection(reason, section string) string {
	if section == "" {
		return reason
	}
	return reason + " (" + section + ")"
}
