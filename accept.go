package websocket

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// AcceptOptions are the options of a server's connection. nil and the zero value
// are safe; they are never written to, and may be used by any number of calls. Numbers
// and times below 0 stand for the default, as 0 does, unless it says otherwise.
type AcceptOptions struct {
	// Subprotocols are those spoken here; the first that the client offers and
	// that is among them is chosen, none if there is no such one.
	Subprotocols []string
	// SelectSubprotocol decides instead of Subprotocols. It is called when the
	// client offers any, and returns one of them, or "" for none.
	SelectSubprotocol func(r *http.Request, offered []string) string
	// OriginPatterns lists hosts whose pages may connect, beside those of the
	// request's own host, whatever their scheme. They are patterns of path.Match for the
	// origin's host and port, or for scheme, host and port where they have "://":
	// "example.com", "*.example.com" (which is a.b.example.com too, but neither
	// example.com nor another port than that of the scheme), "https://example.com:8443".
	// An address of IPv6 stands in brackets, "[::1]:8080"; brackets without a colon in them
	// are a class of characters. A "*" is every origin. What is not scheme, host and port,
	// such as "null" or "file://", matches only that and itself. Requests without an
	// Origin, which are not from pages, are let in. A malformed pattern refuses with 500
	// whom it would have to be compared to.
	OriginPatterns []string
	// InsecureSkipOriginCheck lets the pages of every origin connect, with the
	// cookies of whoever looks at them. Set it only where such cookies do not
	// decide anything.
	InsecureSkipOriginCheck bool
	// Header has headers of your own for the response. Those that belong to the
	// handshake are left out.
	Header http.Header
	// Extensions are those spoken here; the client's preference decides.
	Extensions []negotiate.Extension
	// AllowDrafts also speaks the protocols from before RFC 6455, as clients of 2010
	// and 2011 did: hixie-75, hixie-76, hybi-7 and hybi-8. The hixie drafts have
	// texts only, and no pings. Allow them only where such clients are left.
	AllowDrafts bool
	// Check looks at a request that is right so far. An error refuses it: with the
	// Status (400 to 599), Header and Reason of a *HandshakeError in its chain, else
	// with 403. The text of the error is not sent.
	Check func(r *http.Request) error
	// TrustForwarded believes X-Forwarded-Proto and its kin when it comes to
	// whether the URL is ws:// or wss://. Set it only behind a proxy that sets or
	// removes them.
	TrustForwarded bool

	// MaxMessageSize is the most bytes a received message may have, after
	// decompression; a larger one closes the connection with 1009. For no limit set
	// math.MaxInt64. Default: DefaultMaxMessageSize, 2^26-1.
	MaxMessageSize int64
	// Fragments delivers messages in parts as they arrive, for messages too large
	// to hold: Messages with Final false, and then one with Final true. Parts have
	// no relation to the sender's fragments. MaxMessageSize limits the whole
	// message then too, but has no default. Messages that an extension has
	// transformed still come whole.
	Fragments bool
	// QueueMessages and QueueBytes bound what is queued to be sent; a Send that
	// finds no room waits. One message always has room, however large. Default:
	// 256 messages, 1 MiB.
	QueueMessages, QueueBytes int
	// ReceiveMessages and ReceiveBytes bound what is buffered in Messages for an
	// application that is not receiving, beside one message that is on its way
	// there. Default: 12 messages, 4 MiB.
	ReceiveMessages, ReceiveBytes int
	// PingInterval sends a ping as often, and ends the connection with 1006 and a
	// *TimeoutError when nothing at all has come PongTimeout after it was written. While
	// it waits behind a write, the peer has to take 64 KiB within PongTimeout; what the
	// operating systems buffer counts as taken, so let PongTimeout be longer than a slow
	// peer needs for that. Time during which the application does not receive, with
	// Messages full, does not count. Default: no pings; PongTimeout is PingInterval.
	PingInterval, PongTimeout time.Duration
	// CloseTimeout bounds the closing handshake, and how long Closed waits for an
	// application that does not receive. Default: 30 s.
	CloseTimeout time.Duration
	// WriteTimeout ends the connection when a write to the network takes longer.
	// Default: none; then only Close, Abort, PingInterval and Context end a
	// connection whose peer does not read.
	WriteTimeout time.Duration
	// HandshakeTimeout bounds the time that the opening handshake takes where it is
	// not net/http that reads or writes it. Default: 30 s.
	HandshakeTimeout time.Duration
	// MaxHandshakeSize is the most bytes that the head of a request may have for
	// AcceptConn. Default: 64 KiB. With net/http its server has the limit, MaxHeaderBytes.
	// A connection keeps the head, for Request.
	MaxHandshakeSize int
	// Context ends the connection when it ends: with 1001, within a second, what
	// is not received being given up. Default: none. The context of the request
	// has no such meaning.
	Context context.Context
	// Logger is told of errors (Warn), and of ends, with an Abort and the end of Context
	// as their causes (Debug), with the URL without its query, which may have secrets.
	// Default: silent.
	Logger *slog.Logger
	// Trace is told of pings and pongs.
	Trace *Trace
}

func (o *AcceptOptions) settings() settings {
	return settings{
		role:            codec.Server,
		maxMessageSize:  o.MaxMessageSize,
		fragments:       o.Fragments,
		queueRoom:       room{o.QueueMessages, o.QueueBytes},
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

func (o *AcceptOptions) negotiation() *negotiate.ServerOptions {
	return &negotiate.ServerOptions{
		Subprotocols:            o.Subprotocols,
		SelectSubprotocol:       o.SelectSubprotocol,
		OriginPatterns:          o.OriginPatterns,
		InsecureSkipOriginCheck: o.InsecureSkipOriginCheck,
		Header:                  o.Header,
		Extensions:              o.Extensions,
		AllowDrafts:             o.AllowDrafts,
		TrustForwarded:          o.TrustForwarded,
	}
}

// noAcceptOptions stands for nil: for options are large, and would lie on the stack.
var noAcceptOptions AcceptOptions

func (o *AcceptOptions) handshakeTimeout() time.Duration {
	return positive(o.HandshakeTimeout, DefaultHandshakeTimeout)
}

// newConn makes the connection of a handshake that is agreed on. What is large of it on
// the stack is gone when it returns; see [accepting].
//
//go:noinline
func (o *AcceptOptions) newConn(agreed *negotiate.ServerHandshake) *Conn {
	c := newConn(o.settings())
	c.noteAgreed(agreed.Version, agreed.Subprotocol)
	return c
}

// secure reports whether the client has opened a wss:// URL.
func (o *AcceptOptions) secure(r *http.Request) bool {
	return o.negotiation().URL(r).Scheme == "wss"
}

// IsWebSocket reports whether r asks to open a WebSocket (RFC 6455, section 4.1).
// It says nothing about whether the request is right in all else.
func IsWebSocket(r *http.Request) bool { return negotiate.IsWebSocket(r) }

// Accept completes the opening handshake of a request to open a WebSocket (RFC
// 6455, section 4.2) and returns the connection, which is open then. It takes the
// network connection over from net/http, through [http.ResponseController], so that
// the writers of middleware work as far as they unwrap; deadlines set by the server
// are cleared.
//
// A request that is not right is answered here, and the error is a
// [*HandshakeError]: the handler only has to return. Over HTTP/1.1 the handler may
// also return while the connection lives on; see [Handler] for the form that does
// not. The context of the request ends then when the handler returns, and not when the
// peer is gone.
//
// In HTTP/2 and HTTP/3 a WebSocket is a stream of a shared connection, opened with
// CONNECT (RFC 8441, RFC 9220). There the handler must not return before the
// connection has ended, as it lives on the request. [Handler] sees to that, and so
// does [Hold] for handlers that call Accept. Within neither, a handler returns when
// Closed has been ready, or after Close or Abort: those return there when the
// response is not used any more. A handler that returns without ends the connection
// with 1006; and if something is being written in that moment, net/http may give the
// response to another request before that is over, and the answer to that one may be
// damaged. Nothing here can prevent it: a response is not to be used after the handler
// has returned, and the writing is not in the handler's hands.
//
// Flush has sent what it waited for on its way into the stream. For what a server
// needs to be told see the package negotiate/http2.
func Accept(w http.ResponseWriter, r *http.Request, opts *AcceptOptions) (*Conn, error) {
	if opts == nil {
		opts = &noAcceptOptions
	}
	agreed, err := agree(r, opts)
	if err != nil {
		return nil, refuseRequest(w, err)
	}
	if agreed.Status() == http.StatusOK {
		return acceptStream(w, r, opts, agreed)
	}
	network, rest, err := hijack(w)
	if err != nil {
		agreed.Pipeline.Close()
		return nil, refuseRequest(w, err)
	}
	c := opts.newConn(agreed)
	c.requestHead, c.secure = packRequest(r), opts.secure(r)
	a := accepting{context.Background(), c, network, agreed, newLimit(opts)}
	if err := a.begin(rest); err != nil {
		return nil, err
	}
	return c, nil
}

// agree checks a request, and what the application has to say to it.
func agree(r *http.Request, opts *AcceptOptions) (*negotiate.ServerHandshake, error) {
	agreed, err := negotiate.Server(r, opts.negotiation())
	if err != nil || opts.Check == nil {
		return agreed, err
	}
	if err := opts.Check(r); err != nil {
		agreed.Pipeline.Close()
		refused := &negotiate.Error{Status: http.StatusForbidden, Reason: "refused", Err: err}
		var how *HandshakeError
		if errors.As(err, &how) && how.Status >= 400 && how.Status <= 599 {
			refused.Status, refused.Header, refused.Reason = how.Status, how.Header, how.Reason
		}
		return nil, refused
	}
	return agreed, nil
}

// Handler returns an [http.Handler] that accepts WebSockets and calls serve with
// each. The request lasts until serve has returned and the connection has ended,
// which a connection that is still open then is made to do with 1000. Errors of the
// handshake are answered, and not reported.
func Handler(serve func(*Conn), opts *AcceptOptions) http.Handler {
	return Hold(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, opts)
		if err != nil {
			return
		}
		c.keepRequest(r)
		// Where serve panics, and for what it did not receive.
		defer func() {
			c.Abort()
			<-c.whenEnded()
		}()
		serve(c)
		c.Close(context.Background(), StatusNormalClosure, "")
	}))
}

// refuseRequest answers a request that is not right.
func refuseRequest(w http.ResponseWriter, err error) error {
	refused := refusalOf(err)
	for name, values := range refused.Header {
		w.Header()[name] = values
	}
	http.Error(w, refused.Reason, refused.Status)
	return refusedError(refused)
}

// refusalOf gives the answer that an error stands for.
func refusalOf(err error) *negotiate.Error {
	var refused *negotiate.Error
	if errors.As(err, &refused) {
		return refused
	}
	return &negotiate.Error{Status: http.StatusInternalServerError, Reason: "the connection can not be taken over", Err: err}
}

func refusedError(refused *negotiate.Error) error {
	return &HandshakeError{Status: refused.Status, Header: refused.Header, Reason: refused.Reason, Err: refused}
}

// hijack takes the connection from net/http, and the bytes that it had read ahead.
func hijack(w http.ResponseWriter) (net.Conn, []byte, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	rest := make([]byte, buffered.Reader.Buffered())
	if _, err := buffered.Reader.Read(rest); err != nil && len(rest) > 0 {
		conn.Close()
		return nil, nil, err
	}
	return conn, rest, nil
}

// An accepting completes the handshake of a request found good.
//
// It, and all that accepts a connection, has small frames: net/http has used a good part
// of the 4 KiB of stack that its goroutine has by then, and to grow it once more took 3%
// of the processor time of handshake, echo and close.
type accepting struct {
	ctx     context.Context // interrupts the network when it ends
	conn    *Conn
	network net.Conn
	agreed  *negotiate.ServerHandshake
	limit   limit
}

// A limit is when all of a handshake is to be done.
type limit struct {
	timeout time.Duration
	by      time.Time
}

func newLimit(opts *AcceptOptions) limit {
	timeout := opts.handshakeTimeout()
	return limit{timeout, time.Now().Add(timeout)}
}

// impose ends what is under way on a network connection in time: by its deadline, or where
// it has none by its end, unless that is stopped.
func (l limit) impose(c net.Conn) (stop func()) {
	if c.SetDeadline(l.by) == nil {
		return func() {}
	}
	timer := time.AfterFunc(time.Until(l.by), func() { c.Close() })
	return func() { timer.Stop() }
}

// begin responds and starts the connection. Where the response has to wait for more
// of the request, that is left to the connection, which is connecting meanwhile.
func (a *accepting) begin(rest []byte) error {
	if a.agreed.NeedsBody() {
		later := *a
		a.conn.writer = writerFor(a.agreed.Version)
		a.conn.startConnecting(func(ctx context.Context) (*handshake, error) { return later.complete(ctx, rest) })
		return nil
	}
	t, err := a.respond()
	if err != nil {
		return err
	}
	a.start(t, rest)
	return nil
}

// start starts the connection that has been responded to.
func (a *accepting) start(t transport, rest []byte) {
	h := a.handshake(t, rest)
	a.conn.start(&h)
}

func (a *accepting) handshake(t transport, rest []byte) handshake {
	return handshake{
		transport:   t,
		reader:      a.conn.readerFor(a.agreed.Version, a.agreed.Pipeline),
		writer:      writerFor(a.agreed.Version),
		pipeline:    a.agreed.Pipeline,
		rest:        rest,
		version:     a.agreed.Version,
		subprotocol: a.agreed.Subprotocol,
	}
}

// complete waits for the eight bytes that follow the request of hixie-76, maybe
// later: a proxy may want to see the response first, or send the request first.
func (a *accepting) complete(ctx context.Context, rest []byte) (*handshake, error) {
	defer a.limit.impose(a.network)()
	defer context.AfterFunc(ctx, func() { interrupt(a.network) })()
	a.ctx = ctx
	var body [8]byte
	n := copy(body[:], rest)
	if _, err := io.ReadFull(a.network, body[n:]); err != nil {
		a.network.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = &TimeoutError{"body of the request", a.limit.timeout}
		}
		return nil, &HandshakeError{Reason: "the request's body did not come", Err: err}
	}
	a.agreed.SetBody(body)
	t, err := a.respond()
	if err != nil {
		return nil, err
	}
	h := a.handshake(t, rest[n:])
	return &h, nil
}

// respond sends the response, and leaves the connection without deadlines.
func (a *accepting) respond() (transport, error) {
	t := newTransport(a.network, a.conn)
	if err := a.send(t); err != nil {
		a.agreed.Pipeline.Close()
		a.network.Close()
		return nil, &HandshakeError{Reason: "the response could not be sent", Err: err}
	}
	return t, nil
}

// send writes the response. What does not find room at once, which is little for a
// socket that has sent nothing yet, has to in time. A connection that has no deadlines has
// none to clear.
func (a *accepting) send(t transport) error {
	a.network.SetDeadline(time.Time{})
	w := directWrites.Get().(*directWrite)
	w.head = codec.NewBuffer(1 << 10)
	w.head.Bytes = a.agreed.AppendResponse(w.head.Bytes)
	err := t.tryWrite(w)
	left := w.finish(err)
	if left == nil {
		return err
	}
	defer left.Release()
	defer a.limit.impose(a.network)()
	if err := a.ctx.Err(); err != nil { // looked at here, as its end sets the deadline too
		return err
	}
	if _, err := a.network.Write(left.Bytes); err != nil {
		return err
	}
	a.network.SetDeadline(time.Time{})
	return nil
}

// The writers of a server have no state, so one of each does for all.
var (
	serverEncoder  codec.Writer = new(codec.Encoder)
	hixie75Encoder codec.Writer = codec.HixieEncoder{Version: codec.Hixie75}
	hixie76Encoder codec.Writer = codec.HixieEncoder{Version: codec.Hixie76}
)

func writerFor(version string) codec.Writer {
	switch version {
	case negotiate.Hixie75:
		return hixie75Encoder
	case negotiate.Hixie76:
		return hixie76Encoder
	}
	return serverEncoder
}

// readerFor makes the reader of a version, with what the options ask for.
func (c *Conn) readerFor(version string, p *negotiate.Pipeline) codec.Reader {
	switch version {
	case negotiate.Hixie75:
		return codec.NewHixieDecoder(codec.Hixie75, c.maxMessageSize)
	case negotiate.Hixie76:
		return codec.NewHixieDecoder(codec.Hixie76, c.maxMessageSize)
	}
	c.decoder.Init(codec.DecoderOptions{
		Role:           c.role,
		MaxMessageSize: c.maxMessageSize,
		Reserved:       codec.Reserved(p.Reserved()),
		Parts:          c.fragments,
	})
	return &c.decoder
}
