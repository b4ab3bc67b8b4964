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
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// maxErrorBody is how much of the body of a refusal a HandshakeError has.
const maxErrorBody = 1 << 10

// DialOptions are the options of a client's connection. nil and the zero value are
// safe; they are never written to, and may be used by any number of calls. Numbers and
// times below 0 stand for the default, as 0 does, unless it says otherwise.
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
	// its "happy eyeballs". network is "tcp", address host and port, those of the
	// proxy where there is one. It may go anywhere, such as to a unix socket; then
	// Proxy should be [NoProxy]. It has to return soon when ctx ends: Dial waits for it,
	// and so does Closed after an Abort.
	NetDialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// Proxy chooses the proxy for a request, as in [http.Transport]; a nil URL means
	// none. The request has the URL as http:// or https://, without user. The
	// schemes are http and https (CONNECT, for ws:// as for wss://: a proxy may
	// have to be told to allow it for other ports than 443), and socks5 and socks5h,
	// which are the same here: names are looked up by the proxy. user:password@ in
	// the URL is for the proxy. RemoteAddr is the proxy's then. Errors are in a
	// [*ProxyError]. Default: [http.ProxyFromEnvironment], which reads HTTP_PROXY
	// (for ws://), HTTPS_PROXY (for wss://) and NO_PROXY, once in the life of a
	// process, and spares localhost; [NoProxy] is none at all.
	Proxy func(*http.Request) (*url.URL, error)
	// ProxyHeader has headers of your own for the CONNECT, such as a
	// Proxy-Authorization that stands for user and password of the proxy's URL.
	ProxyHeader http.Header
	// ProxyTLSConfig is for https:// proxies, as TLSConfig is for the server.
	ProxyTLSConfig *tls.Config
	// MaxRedirects is how many redirects (301, 302, 303, 307, 308) are followed,
	// from 0 to 10. Never from wss to ws, nor in a circle; a [*RedirectError] says
	// so. What is for one host does not go to another, or to another port than that of
	// wss:// instead of ws://: Authorization, Cookie and Proxy-Authorization in Header,
	// the user information of the URL, and Host. Other headers and the TLSConfig go
	// everywhere, and who redirects may choose any address that can be reached from
	// here. Default: 0, a redirect is a refusal.
	MaxRedirects int
	// Jar gives the cookies to send, behind those in Header, and stores those of
	// every response, refusals and redirects included. It knows ws:// as http://,
	// and wss:// as https://. Default: none.
	Jar http.CookieJar
	// RoundTripper opens the connection with an extended CONNECT, as a stream of
	// HTTP/2 (RFC 8441) or HTTP/3 (RFC 9220): the package negotiate/http2 has one,
	// an http3.Transport of quic-go is one. It makes the network connections, so
	// TLSConfig, NetDialContext and Proxy are used only where it returns a
	// *negotiate.UpgradeError that has no connection: for a server that speaks neither.
	// Its connections are shared; Response tells which version of HTTP it became.
	// Default: none, HTTP/1.1.
	//
	// Flush waits until messages are with that connection.
	RoundTripper http.RoundTripper
	// HandshakeTimeout bounds all from the look-up of the name to the end of the
	// opening handshake, with proxies and redirects. Default: 30 s; below 0 there
	// is none.
	HandshakeTimeout time.Duration
	// MaxHandshakeSize is the most bytes that the head of a response may have, the
	// server's or the proxy's. Default: 64 KiB.
	MaxHandshakeSize int

	// MaxMessageSize is the most bytes a received message may have, after
	// decompression; a larger one closes the connection with 1009. For no limit set
	// math.MaxInt64. Default: DefaultMaxMessageSize, 2^26-1.
	MaxMessageSize int64
	// Fragments delivers messages in parts as they arrive; see AcceptOptions.
	Fragments bool
	// QueueMessages and QueueBytes bound what is queued to be sent, also before
	// the handshake is complete; a Send that finds no room waits. One message
	// always has room, however large. Default: 256 messages, 1 MiB.
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
	// Default: none.
	WriteTimeout time.Duration
	// Context ends the connection when it ends: with 1001, within a second, what
	// is not received being given up. The context given to Dial does not, it only
	// bounds that call. Default: none.
	Context context.Context
	// Logger is told of errors (Warn), and of ends, with an Abort and the end of Context
	// as their causes (Debug), with the URL without its query, which may have secrets.
	// Default: silent.
	Logger *slog.Logger
	// Trace is told of pings and pongs.
	Trace *Trace
}

func (o *DialOptions) settings() settings {
	return settings{
		role:            codec.Client,
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

// Dial opens a WebSocket to a ws:// or wss:// URL; http:// and https:// are taken
// for them, and user:password@ in it becomes Basic authentication. It returns when
// the connection is open, or has failed to: then the error is a [*HandshakeError]
// with what the server answered, or ctx's, or a [*UsageError] for options that
// contradict the protocol or a URL that is none. ctx bounds this call alone; after
// it, it has no effect on the connection. A server that chooses none of the subprotocols
// is no error: Subprotocol tells.
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
		c.makeExtra().target = d.target.URL
	}
	c.startConnecting(func(ctx context.Context) (*handshake, error) {
		if err != nil {
			return nil, err
		}
		return d.handshake(ctx, c)
	})
	return c
}

// A dialing is one attempt to open a connection, redirects included.
type dialing struct {
	opts    *DialOptions
	target  *negotiate.Target
	request *negotiate.ClientHandshake

	// What goes to the target: that of opts, until a redirect leads elsewhere.
	header  http.Header
	host    string
	user    *url.Userinfo // known where redirects are followed
	visited []string      // requests made
}

// noOptions stands for nil. Options are only read.
var noOptions DialOptions

// plainDialer makes the network connections where the options have nothing for that.
var plainDialer net.Dialer

// newDialing checks what can be checked before there is a network.
func newDialing(address string, opts *DialOptions) (*dialing, error) {
	if opts == nil {
		opts = &noOptions
	}
	d := &dialing{opts: opts, header: opts.Header, host: opts.Host}
	target, err := negotiate.ParseURL(address)
	if err != nil {
		return d, &UsageError{"url", strings.TrimPrefix(err.Error(), "negotiate: URL: ")}
	}
	if opts.MaxRedirects < 0 || opts.MaxRedirects > maxRedirects {
		return d, &UsageError{"MaxRedirects", "not from 0 to 10"}
	}
	if opts.MaxRedirects > 0 {
		if u, err := url.Parse(address); err == nil {
			d.user = u.User
		}
	}
	if opts.ProxyHeader != nil {
		if _, err := negotiate.AppendConnect(nil, "proxy.invalid:1", opts.ProxyHeader, nil); err != nil {
			return d, &UsageError{"ProxyHeader", err.Error()}
		}
	}
	if err := d.aim(target); err != nil {
		return d, &UsageError{"DialOptions", err.Error()}
	}
	return d, nil
}

// errVisited is returned by aim for a request that was made before.
var errVisited = errors.New("websocket: visited")

// aim prepares the request to the target.
func (d *dialing) aim(target *negotiate.Target) (err error) {
	header := d.withCookies(d.header, target)
	if d.opts.MaxRedirects > 0 {
		// A cookie set by the redirect makes another request of it.
		visit := target.URL.String() + "\n" + header.Get("Cookie")
		if slices.Contains(d.visited, visit) {
			return errVisited
		}
		d.visited = append(d.visited, visit)
	}
	var key [16]byte
	rand.Read(key[:])
	d.target = target
	d.request, err = negotiate.Client(target, key, &negotiate.ClientOptions{
		Header:         header,
		Host:           d.host,
		Subprotocols:   d.opts.Subprotocols,
		Extensions:     d.opts.Extensions,
		MaxHeaderBytes: d.opts.MaxHandshakeSize,
	})
	return err
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
	for err == errRedirected {
		h, err = d.attempt(ctx, c)
	}
	if err == nil {
		return h, nil
	}
	if interrupted(ctx) {
		// What the interruption looked like to the network is of no interest.
		return nil, &HandshakeError{Reason: "interrupted", Err: interruption(ctx)}
	}
	var failed *HandshakeError
	if !errors.As(err, &failed) {
		err = &HandshakeError{Err: err}
	}
	return nil, err
}

// interrupted reports whether ctx has ended. The network has timers of its own for
// the same deadline, and they may be the first to tell.
func interrupted(ctx context.Context) bool {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

// interruption matches ctx's error and its cause with errors.Is.
func interruption(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != ctx.Err() {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return ctx.Err()
}

func (d *dialing) attempt(ctx context.Context, c *Conn) (*handshake, error) {
	h, conn, err := d.begin(ctx, c)
	if h != nil || err != nil {
		return h, err
	}
	var rest []byte
	err = within(ctx, conn, func() (err error) {
		rest, err = d.exchange(conn)
		return err
	})
	if err != nil {
		d.request.Pipeline.Close()
		return nil, err
	}
	return &handshake{
		transport:   newTransport(conn, c),
		reader:      c.readerFor(negotiate.Hybi13, d.request.Pipeline),
		writer:      clientEncoder,
		pipeline:    d.request.Pipeline,
		rest:        rest,
		version:     negotiate.Hybi13,
		subprotocol: d.request.Subprotocol,
		target:      d.target.URL,
		upgraded:    d.request,
	}, nil
}

// within runs one step of the handshake on conn, and interrupts it when ctx ends.
// conn is closed if the step fails.
func within(ctx context.Context, conn net.Conn, step func() error) error {
	stop := context.AfterFunc(ctx, func() { interrupt(conn) })
	err := step()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
	}
	return err
}

// connect makes the connection to the server, with TLS where the URL says so.
func (d *dialing) connect(ctx context.Context) (net.Conn, error) {
	conn, err := d.reach(ctx)
	if err != nil || !d.target.Secure {
		return conn, err
	}
	return secure(ctx, conn, d.opts.TLSConfig, d.target.ServerName)
}

// dialNetwork makes the network connection, to the server or to a proxy.
func (d *dialing) dialNetwork(ctx context.Context, network, address string) (net.Conn, error) {
	if d.opts.NetDialContext != nil {
		return d.opts.NetDialContext(ctx, network, address)
	}
	if _, err := netip.ParseAddrPort(address); err == nil {
		ctx = untimed{ctx}
	}
	return plainDialer.DialContext(ctx, network, address)
}

// untimed hides the deadline of a context, which ends then all the same. A net.Dialer
// has two uses for a deadline: to share the time between the addresses of a name, and to
// set a timer of its own, which wakes a processor that waits for the network.
type untimed struct{ context.Context }

func (untimed) Deadline() (time.Time, bool) { return time.Time{}, false }

// exchange sends the request and reads the response; what came behind it is rest.
func (d *dialing) exchange(conn net.Conn) (rest []byte, err error) {
	buffer := codec.NewBuffer(4 << 10)
	defer func() { buffer.Release() }()
	if _, err := conn.Write(d.request.AppendRequest(buffer.Bytes)); err != nil {
		return nil, err
	}
	buffer, n, err := readHead(conn, buffer, d.request)
	var response *negotiate.ResponseError
	switch {
	case err == nil:
		if d.opts.Jar != nil {
			d.keepCookies(d.request.Header())
		}
		return append([]byte(nil), buffer.Bytes[n:]...), nil
	case err == io.EOF:
		return nil, &HandshakeError{Reason: "connection ended within the response", Err: io.ErrUnexpectedEOF, protocol: len(buffer.Bytes) > 0}
	case !errors.As(err, &response):
		return nil, err
	}
	d.keepCookies(response.Header)
	if err = d.follow(response); err == errRedirected {
		return nil, err
	}
	return nil, refusal(conn, err, response, buffer.Bytes[n:])
}

// A headConsumer is a ClientHandshake or a ConnectAnswer of the package negotiate.
type headConsumer interface {
	Consume(b []byte) (n int, err error)
}

// readHead reads into the buffer until the end of a head has been found, or a fault in
// it. The buffer returned stands for the one given.
func readHead(conn net.Conn, b *codec.Buffer, h headConsumer) (*codec.Buffer, int, error) {
	for {
		if len(b.Bytes) == cap(b.Bytes) {
			b = b.Grow(2 * cap(b.Bytes))
		}
		n, err := conn.Read(b.Bytes[len(b.Bytes):cap(b.Bytes)])
		b.Bytes = b.Bytes[:len(b.Bytes)+n]
		head, bad := h.Consume(b.Bytes)
		if bad != negotiate.ErrNeedMore {
			return b, head, bad
		}
		if err != nil {
			return b, 0, err
		}
	}
}

// refusal makes the error of a response, with the beginning of its body.
func refusal(conn net.Conn, err error, response *negotiate.ResponseError, rest []byte) error {
	want := int64(maxErrorBody)
	if response.BodyLength >= 0 {
		want = min(want, response.BodyLength)
	}
	source := io.MultiReader(bytes.NewReader(rest), conn)
	if response.Chunked {
		source = httputil.NewChunkedReader(source)
	}
	// Not by a deadline: one that is there already may be nearer.
	defer time.AfterFunc(lingerTimeout, func() { interrupt(conn) }).Stop()
	body, _ := io.ReadAll(io.LimitReader(source, want))
	return &HandshakeError{
		Status: response.Status, Header: response.Header, Body: body, Err: err,
		// A server may refuse. Else what is not 101 to the letter is a breach.
		protocol: response.Status == 0 || response.Status == http.StatusSwitchingProtocols,
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
