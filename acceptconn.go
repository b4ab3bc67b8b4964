package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// AcceptConn accepts a WebSocket on a network connection that no HTTP server is in
// charge of: a plain one, TLS, a pipe. It reads the request itself, within
// MaxHandshakeSize and HandshakeTimeout, answers one that is not right, waits for a
// second at most for the peer to end its side, and closes the connection then; the
// error is a [*HandshakeError], and the request is returned if it could be read. ctx
// bounds the call alone.
func AcceptConn(ctx context.Context, c net.Conn, opts *AcceptOptions) (*Conn, *http.Request, error) {
	if ctx == nil {
		return nil, nil, &UsageError{"AcceptConn", errNilContext}
	}
	if opts == nil {
		opts = &noAcceptOptions
	}
	growStackToShake()
	l := newLimit(opts)
	defer l.impose(c)()
	stop := interruptAfter(ctx, c)
	conn, request, err := acceptOn(ctx, c, opts, l)
	if !stop() {
		if conn != nil {
			conn.Abort()
		}
		err = &HandshakeError{Reason: "interrupted", Err: interruption(ctx)}
	}
	if err != nil {
		c.Close()
		return nil, request, err
	}
	return conn, request, nil
}

// interruptAfter interrupts what is under way on c when ctx ends, unless it is stopped
// before; stop reports false when it has come too late.
func interruptAfter(ctx context.Context, c net.Conn) (stop func() bool) {
	if ctx.Done() == nil {
		return neverInterrupted
	}
	return context.AfterFunc(ctx, func() { interrupt(c) })
}

func neverInterrupted() bool { return true }

// acceptOn takes one step after the other. Where one fails it has refused the peer.
func acceptOn(ctx context.Context, c net.Conn, opts *AcceptOptions, l limit) (*Conn, *http.Request, error) {
	head, rest, err := receiveHead(ctx, c, opts)
	if err != nil {
		return nil, nil, refuseConn(ctx, c, err)
	}
	request, err := readRequest(c, head)
	if err != nil {
		return nil, nil, refuseConn(ctx, c, err)
	}
	agreed, err := agree(request, opts)
	if err != nil {
		return nil, request, refuseConn(ctx, c, err)
	}
	conn := opts.newConn(agreed)
	conn.requestHead, conn.secure = packRequest(request), opts.secure(request)
	a := accepting{ctx, conn, c, agreed, l}
	if err := a.begin(rest); err != nil {
		return nil, request, err
	}
	return conn, request, nil
}

// receiveHead completes the handshake of TLS and receives the head of the request.
func receiveHead(ctx context.Context, c net.Conn, opts *AcceptOptions) (head string, rest []byte, err error) {
	if secure, ok := c.(*tls.Conn); ok {
		if err := secure.HandshakeContext(ctx); err != nil {
			return "", nil, &HandshakeError{Reason: "TLS", Err: err}
		}
	}
	return readRequestHead(c, positive(opts.MaxHandshakeSize, negotiate.DefaultMaxHeaderBytes))
}

// readRequestHead reads up to the blank line that ends the head of a request.
func readRequestHead(c net.Conn, limit int) (head string, rest []byte, err error) {
	buffer := codec.NewBuffer(min(limit, 4<<10))
	defer func() { buffer.Release() }()
	for {
		if len(buffer.Bytes) >= limit {
			return "", nil, &negotiate.Error{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: "the head of the request is too long"}
		}
		if len(buffer.Bytes) == cap(buffer.Bytes) {
			buffer = buffer.Grow(2 * cap(buffer.Bytes))
		}
		n, err := c.Read(buffer.Bytes[len(buffer.Bytes):min(limit, cap(buffer.Bytes))])
		from := max(len(buffer.Bytes)-3, 0)
		buffer.Bytes = buffer.Bytes[:len(buffer.Bytes)+n]
		if i := bytes.Index(buffer.Bytes[from:], []byte("\r\n\r\n")); i >= 0 {
			end := from + i + 4
			return string(buffer.Bytes[:end]), bytes.Clone(buffer.Bytes[end:]), nil
		}
		if err != nil {
			return "", nil, headError(err, len(buffer.Bytes))
		}
	}
}

// headError says how the head of a request came to no end. Who has sent nothing
// gets no answer.
func headError(err error, received int) error {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return &negotiate.Error{Status: http.StatusRequestTimeout, Reason: "the request took too long", Err: err}
	case err == io.EOF && received > 0:
		return &negotiate.Error{Status: http.StatusBadRequest, Reason: "the request ends within its head", Err: io.ErrUnexpectedEOF}
	}
	return &HandshakeError{Reason: "the request could not be read", Err: err}
}

// readRequest makes the request of its head.
func readRequest(c net.Conn, head string) (*http.Request, error) {
	request, err := negotiate.ParseRequest(head)
	if err != nil {
		return nil, &negotiate.Error{Status: http.StatusBadRequest, Section: "RFC 9112, section 3", Reason: "malformed request", Err: err}
	}
	request.RemoteAddr = addressOf(c.RemoteAddr())
	request.TLS = stateOfTLS(c)
	return request, nil
}

// stateOfTLS is what a request tells of TLS; nil without.
func stateOfTLS(c net.Conn) *tls.ConnectionState {
	secure, ok := c.(*tls.Conn)
	if !ok {
		return nil
	}
	state := secure.ConnectionState()
	return &state
}

// maxUnread is how much of what a refused peer still sends is read.
const maxUnread = 256 << 10

// refuseConn answers a request that is not right, unless ctx has ended.
func refuseConn(ctx context.Context, c net.Conn, err error) error {
	if failed, ok := err.(*HandshakeError); ok {
		return failed
	}
	refused := refusalOf(err)
	c.SetDeadline(time.Now().Add(lingerTimeout))
	if ctx.Err() != nil { // looked at here, as its end sets the deadline too
		return refusedError(refused)
	}
	if _, err := c.Write(negotiate.AppendError(nil, refused)); err != nil {
		return refusedError(refused)
	}
	// "If a server performs an immediate close of a TCP connection, there is a
	// significant risk that the client will not be able to read the last HTTP
	// response" (RFC 9112, section 9.6): what comes after the close resets it.
	if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		io.Copy(io.Discard, io.LimitReader(c, maxUnread))
	}
	return refusedError(refused)
}
