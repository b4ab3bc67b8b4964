package websocket

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// maxErrorBody is how much of the body of a refusal a HandshakeError has.
const maxErrorBody = 1 << 10

// DialOptions are the options of a client's connection. nil and the zero value are
// safe; they are never written to, and may be used by any number of calls.
type DialOptions struct {
	// Header has headers of your own for the request, such as Origin, Cookie or
	// Authorization. Those that belong to the handshake are refused.
	Header http.Header
	// Host stands for the URL's in the Host header.
	Host string
	// Subprotocols are those wanted, the most wanted first.
	Subprotocols []string
	// Extensions are those offered, the most wanted first.
	Extensions []negotiate.Extension
	// TLSConfig is for wss:// URLs. The host name is verified unless it says
	// otherwise; RootCAs has the authorities to trust. Default: as crypto/tls.
	TLSConfig *tls.Config
	// NetDialContext makes the network connection, instead of a [net.Dialer] with
	// its "happy eyeballs". network is "tcp", address host and port. It may go
	// anywhere, such as to a unix socket.
	NetDialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// HandshakeTimeout bounds all from the look-up of the name to the end of the
	// opening handshake. Default: 30 s; below 0 there is none.
	HandshakeTimeout time.Duration
	// MaxHandshakeSize is the most bytes that the head of the response may have.
	// Default: 64 KiB.
	MaxHandshakeSize int

	// MaxMessageSize is the most bytes a received message may have, after
	// decompression; a larger one closes the connection with 1009. Default:
	// DefaultMaxMessageSize, 2^26-1.
	MaxMessageSize int64
	// Fragments delivers messages in parts as they arrive; see AcceptOptions.
	Fragments bool
	// QueueMessages and QueueBytes bound what is queued to be sent, also before
	// the handshake is complete; a Send that finds no room waits. One message
	// always has room, however large. Default: 256 messages, 1 MiB.
	QueueMessages, QueueBytes int
	// ReceiveMessages and ReceiveBytes bound what is buffered in Messages for an
	// application that is not receiving, beside one message that is on its way
	// there. Default: 16 messages, 4 MiB.
	ReceiveMessages, ReceiveBytes int
	// PingInterval sends a ping as often, and ends the connection with 1006 and a
	// *TimeoutError when nothing at all has come PongTimeout after one. Default:
	// no pings; PongTimeout is PingInterval.
	PingInterval, PongTimeout time.Duration
	// CloseTimeout bounds the closing handshake, and how long Closed waits for an
	// application that does not receive. Default: 30 s.
	CloseTimeout time.Duration
	// WriteTimeout ends the connection when a write to the network takes longer.
	// Default: none.
	WriteTimeout time.Duration
	// Context ends the connection when it ends: with 1001, within a second, what
	// is not received being given up. The context given to Dial does not, it only
	// bounds that call. Default: none.
	Context context.Context
	// Logger is told of errors (Warn) and ends (Debug). Default: silent.
	Logger *slog.Logger
	// Trace is told of pings and pongs.
	Trace *Trace
}

func (o *DialOptions) settings() settings {
	return settings{
		role:            codec.Client,
		maxMessageSize:  o.MaxMessageSize,
		fragments:       o.Fragments,
		queueMessages:   o.QueueMessages,
		queueBytes:      o.QueueBytes,
		receiveMessages: o.ReceiveMessages,
		receiveBytes:    o.ReceiveBytes,
		pingInterval:    o.PingInterval,
		pongTimeout:     o.PongTimeout,
		closeTimeout:    o.CloseTimeout,
		writeTimeout:    o.WriteTimeout,
		context:         o.Context,
		logger:          o.Logger,
		trace:           o.Trace,
	}
}

// Dial opens a WebSocket to a ws:// or wss:// URL; http:// and https:// are taken
// for them, and user:password@ in it becomes Basic authentication. It returns when
// the connection is open, or has failed to: then the error is a [*HandshakeError]
// with what the server answered, or ctx's, or a [*UsageError] for options that
// contradict the protocol or a URL that is none. ctx bounds this call alone; after
// it, it has no effect on the connection.
func Dial(ctx context.Context, url string, opts *DialOptions) (*Conn, error) {
	if ctx == nil {
		return nil, &UsageError{"Dial", errNilContext}
	}
	d, err := newDialing(url, opts)
	if err != nil {
		return nil, err
	}
	if d.opts.Context != nil {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(d.opts.Context, func() { cancel(context.Cause(d.opts.Context)) })()
	}
	c := newConn(d.opts.settings())
	c.url = d.target.URL
	h, err := d.handshake(ctx, c)
	if err != nil {
		return nil, err
	}
	c.start(h)
	return c, nil
}

// Open returns a connection at once, as the WebSocket constructor of a browser
// does, and opens it meanwhile: Opened tells when it is, Closed if it fails, and
// Errors why. What is sent before waits in the queue. Errors that Dial would return
// are reported there too. Abort, a Close whose ctx ends and the Context of the
// options end the attempt.
func Open(url string, opts *DialOptions) *Conn {
	d, err := newDialing(url, opts)
	c := newConn(d.opts.settings())
	if err == nil {
		c.url = d.target.URL
	}
	c.startConnecting(func(ctx context.Context) (*handshake, error) {
		if err != nil {
			return nil, err
		}
		return d.handshake(ctx, c)
	})
	return c
}

// A dialing is one attempt to open a connection.
type dialing struct {
	opts    *DialOptions
	target  *negotiate.Target
	request *negotiate.ClientHandshake
}

// newDialing checks what can be checked before there is a network.
func newDialing(url string, opts *DialOptions) (*dialing, error) {
	d := &dialing{opts: opts}
	if opts == nil {
		d.opts = new(DialOptions)
	}
	var err error
	if d.target, err = negotiate.ParseURL(url); err != nil {
		return d, &UsageError{"url", err.Error()}
	}
	var key [16]byte
	rand.Read(key[:])
	d.request, err = negotiate.Client(d.target, key, &negotiate.ClientOptions{
		Header:         d.opts.Header,
		Host:           d.opts.Host,
		Subprotocols:   d.opts.Subprotocols,
		Extensions:     d.opts.Extensions,
		MaxHeaderBytes: d.opts.MaxHandshakeSize,
	})
	if err != nil {
		return d, &UsageError{"DialOptions", err.Error()}
	}
	return d, nil
}

// handshake connects, and completes the opening handshake for c.
func (d *dialing) handshake(ctx context.Context, c *Conn) (*handshake, error) {
	limit := d.opts.HandshakeTimeout
	if limit == 0 {
		limit = DefaultHandshakeTimeout
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, &TimeoutError{"end of the handshake", limit})
		defer cancel()
	}
	h, err := d.attempt(ctx, c)
	if err == nil {
		return h, nil
	}
	if ctx.Err() != nil {
		// What the interruption looked like to the network is of no interest.
		return nil, &HandshakeError{Reason: "interrupted", Err: contextError(ctx)}
	}
	var failed *HandshakeError
	if !errors.As(err, &failed) {
		err = &HandshakeError{Err: err}
	}
	return nil, err
}

// contextError matches ctx's error and its cause with errors.Is.
func contextError(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != ctx.Err() {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return ctx.Err()
}

func (d *dialing) attempt(ctx context.Context, c *Conn) (*handshake, error) {
	conn, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(past) })
	rest, err := d.exchange(conn)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &handshake{
		transport:   newTransport(conn),
		reader:      c.newDecoder(d.request.Pipeline),
		writer:      clientEncoder,
		pipeline:    d.request.Pipeline,
		rest:        rest,
		version:     negotiate.Hybi13,
		subprotocol: d.request.Subprotocol,
		extensions:  d.request.Pipeline.Agreed(),
		response: &http.Response{
			Status: "101 Switching Protocols", StatusCode: http.StatusSwitchingProtocols,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: d.request.Header, Body: http.NoBody,
		},
	}, nil
}

// connect makes the network connection, with TLS where the URL says so.
func (d *dialing) connect(ctx context.Context) (net.Conn, error) {
	dial := d.opts.NetDialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", d.target.Address)
	if err != nil || !d.target.Secure {
		return conn, err
	}
	secure := tls.Client(conn, d.tlsConfig())
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

func (d *dialing) tlsConfig() *tls.Config {
	config := new(tls.Config)
	if d.opts.TLSConfig != nil {
		config = d.opts.TLSConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = d.target.ServerName
	}
	if config.NextProtos == nil {
		config.NextProtos = []string{"http/1.1"}
	}
	return config
}

// exchange sends the request and reads the response; what came behind it is rest.
func (d *dialing) exchange(conn net.Conn) (rest []byte, err error) {
	buffer := codec.NewBuffer(4 << 10)
	defer func() { buffer.Release() }()
	if _, err := conn.Write(d.request.AppendRequest(buffer.Bytes)); err != nil {
		return nil, err
	}
	for {
		if len(buffer.Bytes) == cap(buffer.Bytes) {
			buffer = buffer.Grow(2 * cap(buffer.Bytes))
		}
		n, err := conn.Read(buffer.Bytes[len(buffer.Bytes):cap(buffer.Bytes)])
		buffer.Bytes = buffer.Bytes[:len(buffer.Bytes)+n]
		head, bad := d.request.Consume(buffer.Bytes)
		switch {
		case bad == nil:
			return append([]byte(nil), buffer.Bytes[head:]...), nil
		case bad != negotiate.ErrNeedMore:
			return nil, refusal(conn, bad, buffer.Bytes[head:])
		case err == io.EOF:
			return nil, &HandshakeError{Reason: "connection ended within the response", Err: io.ErrUnexpectedEOF, protocol: len(buffer.Bytes) > 0}
		case err != nil:
			return nil, err
		}
	}
}

// refusal makes the error of a response, with the beginning of its body.
func refusal(conn net.Conn, err error, rest []byte) error {
	var failed *negotiate.ResponseError
	if !errors.As(err, &failed) {
		return &HandshakeError{Err: err}
	}
	want := int64(maxErrorBody)
	if failed.BodyLength >= 0 {
		want = min(want, failed.BodyLength)
	}
	source := io.MultiReader(bytes.NewReader(rest), conn)
	if failed.Chunked {
		source = httputil.NewChunkedReader(source)
	}
	conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	body, _ := io.ReadAll(io.LimitReader(source, want))
	return &HandshakeError{
		Status: failed.Status, Header: failed.Header, Body: body, Err: failed,
		// A server may refuse. Else what is not 101 to the letter is a breach.
		protocol: failed.Status == 0 || failed.Status == http.StatusSwitchingProtocols,
	}
}

// clientEncoder has no state of its own, so one does for all.
var clientEncoder codec.Writer = &codec.Encoder{NewKey: newMaskKey}

// newMaskKey gives an unpredictable key: the generator of math/rand/v2 is ChaCha8,
// seeded by the operating system, and no one else can ask for its state.
func newMaskKey() (key codec.MaskKey) {
	binary.LittleEndian.PutUint32(key[:], mathrand.Uint32())
	return key
}
