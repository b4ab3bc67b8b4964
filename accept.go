package websocket

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// AcceptOptions are the options of a server's connection. nil and the zero value
// are safe; they are never written to, and may be used by any number of calls.
type AcceptOptions struct {
	// Subprotocols are those spoken here; the first that the client offers and
	// that is among them is chosen, none if there is no such one.
	Subprotocols []string
	// SelectSubprotocol decides instead of Subprotocols. It is called when the
	// client offers any, and returns one of them, or "" for none.
	SelectSubprotocol func(r *http.Request, offered []string) string
	// OriginPatterns lists hosts whose pages may connect, beside those of the
	// request's own host: patterns of path.Match for host and port, or with a
	// scheme: "*.example.com", "https://example.com:8443".
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
	// TrustForwarded believes X-Forwarded-Proto and its kin when it comes to
	// whether the URL is ws:// or wss://. Set it only behind a proxy that sets or
	// removes them.
	TrustForwarded bool

	// MaxMessageSize is the most bytes a received message may have, after
	// decompression; a larger one closes the connection with 1009. Default:
	// DefaultMaxMessageSize, 2^26-1.
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
	// Default: none; then only Close, Abort, PingInterval and Context end a
	// connection whose peer does not read.
	WriteTimeout time.Duration
	// HandshakeTimeout bounds the time that the opening handshake takes where the
	// connection itself reads or writes it. Default: 30 s.
	HandshakeTimeout time.Duration
	// Context ends the connection when it ends: with 1001, within a second, what
	// is not received being given up. Default: none. The context of the request
	// has no such meaning.
	Context context.Context
	// Logger is told of errors (Warn) and ends (Debug). Default: silent.
	Logger *slog.Logger
	// Trace is told of pings and pongs.
	Trace *Trace
}

func (o *AcceptOptions) settings() settings {
	return settings{
		role:            codec.Server,
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

func (o *AcceptOptions) negotiation() *negotiate.ServerOptions {
	return &negotiate.ServerOptions{
		Subprotocols:            o.Subprotocols,
		SelectSubprotocol:       o.SelectSubprotocol,
		OriginPatterns:          o.OriginPatterns,
		InsecureSkipOriginCheck: o.InsecureSkipOriginCheck,
		Header:                  o.Header,
		Extensions:              o.Extensions,
		TrustForwarded:          o.TrustForwarded,
	}
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
// [*HandshakeError]: the handler only has to return. The handler may also return
// while the connection lives on; see [Handler] for the form that does not.
func Accept(w http.ResponseWriter, r *http.Request, opts *AcceptOptions) (*Conn, error) {
	if opts == nil {
		opts = new(AcceptOptions)
	}
	negotiation := opts.negotiation()
	agreed, err := negotiate.Server(r, negotiation)
	if err != nil {
		return nil, refuseRequest(w, err)
	}
	conn, rest, err := hijack(w)
	if err != nil {
		agreed.Pipeline.Close()
		return nil, refuseRequest(w, err)
	}
	if err := respond(conn, agreed, positive(opts.HandshakeTimeout, DefaultHandshakeTimeout)); err != nil {
		agreed.Pipeline.Close()
		conn.Close()
		return nil, &HandshakeError{Reason: "the response could not be sent", Err: err}
	}
	c := newConn(opts.settings())
	c.requestHead = packRequest(r)
	c.start(serverHandshake(c, agreed, newTransport(conn), rest, negotiation.URL(r)))
	return c, nil
}

// Handler returns an [http.Handler] that accepts WebSockets and calls serve with
// each. The request lasts until serve has returned and the connection has ended,
// which a connection that is still open then is made to do with 1000. Errors of the
// handshake are answered, and not reported.
func Handler(serve func(*Conn), opts *AcceptOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, opts)
		if err != nil {
			return
		}
		c.keepRequest(r)
		defer c.Abort() // where serve panics, and for what it did not receive
		serve(c)
		c.Close(context.Background(), StatusNormalClosure, "")
	})
}

// refuseRequest answers a request that is not right.
func refuseRequest(w http.ResponseWriter, err error) error {
	var refused *negotiate.Error
	if !errors.As(err, &refused) {
		refused = &negotiate.Error{Status: http.StatusInternalServerError, Reason: "the connection can not be taken over", Err: err}
	}
	for name, values := range refused.Header {
		w.Header()[name] = values
	}
	http.Error(w, refused.Reason, refused.Status)
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

// respond sends the response, and leaves the connection without deadlines.
func respond(conn net.Conn, agreed *negotiate.ServerHandshake, timeout time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	response := codec.NewBuffer(1 << 10)
	defer response.Release()
	if _, err := conn.Write(agreed.AppendResponse(response.Bytes)); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// serverHandshake is what a completed handshake leaves for the connection.
func serverHandshake(c *Conn, agreed *negotiate.ServerHandshake, t transport, rest []byte, u *url.URL) *handshake {
	return &handshake{
		transport:   t,
		reader:      c.newDecoder(agreed.Pipeline),
		writer:      serverEncoder,
		pipeline:    agreed.Pipeline,
		rest:        rest,
		version:     agreed.Version,
		subprotocol: agreed.Subprotocol,
		address:     u.String(),
	}
}

// serverEncoder has no state, so one does for all.
var serverEncoder codec.Writer = new(codec.Encoder)

// newDecoder makes the decoder that the options ask for.
func (c *Conn) newDecoder(p *negotiate.Pipeline) codec.Reader {
	return codec.NewDecoder(codec.DecoderOptions{
		Role:           c.role,
		MaxMessageSize: c.maxMessageSize,
		Reserved:       codec.Reserved(p.Reserved()),
		Parts:          c.fragments,
	})
}
