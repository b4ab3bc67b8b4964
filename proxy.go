package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/proxy"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// NoProxy is a [DialOptions] Proxy that turns proxies off, those of the environment
// included.
func NoProxy(*http.Request) (*url.URL, error) { return nil, nil }

// A ProxyError says why there is no way through the proxy: it could not be reached,
// did not prove who it is, refused the tunnel (RFC 9110, section 9.3.6; RFC 1928,
// section 6) or did not speak its protocol. It is in the chain of the
// [*HandshakeError] of the connection. Its text has neither user nor password.
type ProxyError struct {
	// Proxy is scheme, host and port of the proxy, such as
	// "http://proxy.example:3128"; empty where DialOptions.Proxy gave none that
	// can be used.
	Proxy string
	// Status is the HTTP status that the proxy answered with, 0 where there was
	// no HTTP answer, as with SOCKS. 407 asks for user and password, or for others.
	Status int
	// Header has the headers of that answer, such as Proxy-Authenticate.
	Header http.Header
	// Err is the cause: a *negotiate.ProxyError, the network's, that of TLS or of
	// SOCKS, or what DialOptions.Proxy returned.
	Err error
}

func (e *ProxyError) Error() string {
	s := "websocket: proxy"
	if e.Proxy != "" {
		s += " " + e.Proxy
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ProxyError) Unwrap() error { return e.Err }

// A hiddenError is in the chain with its cause, whose text may have a password in it
// and is not shown: url.Parse, which is called where proxies are chosen, quotes the
// whole of what it can not parse.
type hiddenError struct {
	text  string
	cause error
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.cause }

var errProxyScheme = errors.New("the scheme is not http, https, socks5 or socks5h")

// A proxyServer is one that a connection goes through.
type proxyServer struct {
	scheme     string
	address    string
	serverName string // for TLS to verify
	user       *url.Userinfo
}

// proxyPorts has the schemes and their ports, those of net/http.
var proxyPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

// newProxyServer reads the URL of a proxy. Its errors show nothing of it: in a URL
// that lacks a slash or an @, anything may turn out to be the password.
func newProxyServer(u *url.URL) (*proxyServer, error) {
	scheme := strings.ToLower(u.Scheme)
	port := proxyPorts[scheme]
	if port == "" {
		return nil, &ProxyError{Err: errProxyScheme}
	}
	plain := &url.URL{Scheme: "http", Host: u.Host}
	if u.Port() == "" {
		plain.Host = net.JoinHostPort(u.Hostname(), port)
	}
	if !strings.HasPrefix(scheme, "socks") {
		plain.User = u.User // to be checked for Basic authentication
	}
	target, err := negotiate.NewTarget(plain)
	if err != nil {
		return nil, &ProxyError{Err: err}
	}
	return &proxyServer{scheme, target.Address, target.ServerName, u.User}, nil
}

// String is what errors say of it.
func (p *proxyServer) String() string { return p.scheme + "://" + p.address }

// proxyServer asks which proxy leads to the target, nil for none.
func (d *dialing) proxyServer(ctx context.Context) (*proxyServer, error) {
	u, err := d.chooseProxy(ctx)
	if err != nil {
		return nil, &ProxyError{Err: &hiddenError{"DialOptions.Proxy failed", err}}
	}
	if u == nil {
		return nil, nil
	}
	return newProxyServer(u)
}

func (d *dialing) chooseProxy(ctx context.Context) (*url.URL, error) {
	if d.opts.Proxy == nil {
		// It looks at nothing but the URL.
		return http.ProxyFromEnvironment(&http.Request{URL: httpURL(d.target)})
	}
	request := &http.Request{
		Method: http.MethodGet,
		URL:    httpURL(d.target),
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: d.header.Clone(),
		Host:   d.target.Host,
	}
	return d.opts.Proxy(request.WithContext(ctx))
}

// reach makes the connection to the target, through its proxy where it has one.
//
// "If the user configured a proxy [...], the client SHOULD connect to that proxy and
// ask it to open a TCP connection to the host given by /host/ and the port given by
// /port/" (RFC 6455, section 4.1); so for ws:// as for wss://.
func (d *dialing) reach(ctx context.Context) (net.Conn, error) {
	p, err := d.proxyServer(ctx)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return d.dialNetwork(ctx, "tcp", d.target.Address)
	}
	through := d.connectThrough
	if strings.HasPrefix(p.scheme, "socks") {
		through = d.socksThrough
	}
	conn, err := through(ctx, p)
	if err != nil {
		failed := &ProxyError{Proxy: p.String(), Err: err}
		var refused *negotiate.ProxyError
		if errors.As(err, &refused) {
			failed.Status, failed.Header = refused.Status, refused.Header
		}
		return nil, failed
	}
	return conn, nil
}

// tunnelled is where the proxy shall lead: a host to be looked up there, where the
// zone of an address means nothing.
func (d *dialing) tunnelled() (hostport string, err error) {
	_, port, err := net.SplitHostPort(d.target.Address)
	return net.JoinHostPort(d.target.ServerName, port), err
}

// connectThrough opens a tunnel through an HTTP proxy.
func (d *dialing) connectThrough(ctx context.Context, p *proxyServer) (net.Conn, error) {
	hostport, err := d.tunnelled()
	if err != nil {
		return nil, err
	}
	request, err := negotiate.AppendConnect(nil, hostport, d.opts.ProxyHeader, p.user)
	if err != nil {
		return nil, err
	}
	conn, err := d.dialNetwork(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	if p.scheme == "https" {
		if conn, err = secure(ctx, conn, d.opts.ProxyTLSConfig, p.serverName); err != nil {
			return nil, err
		}
	}
	var early []byte
	err = within(ctx, conn, func() (err error) {
		early, err = openTunnel(conn, request, d.opts.MaxHandshakeSize)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(early) == 0 {
		return conn, nil // as it is: over TCP there is a fast path
	}
	return &tunnel{conn, early}, nil
}

// openTunnel sends the request to the proxy and reads its answer; what came behind it
// came through the tunnel.
func openTunnel(conn net.Conn, request []byte, limit int) (early []byte, err error) {
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	buffer := codec.NewBuffer(1 << 10)
	defer func() { buffer.Release() }()
	answer := negotiate.ConnectAnswer{MaxHeaderBytes: limit}
	buffer, n, err := readHead(conn, buffer, &answer)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return append([]byte(nil), buffer.Bytes[n:]...), nil
}

// A tunnel has bytes that came together with the proxy's answer.
type tunnel struct {
	net.Conn
	early []byte
}

func (t *tunnel) Read(b []byte) (int, error) {
	if len(t.early) == 0 {
		return t.Conn.Read(b)
	}
	n := copy(b, t.early)
	t.early = t.early[n:]
	return n, nil
}

// CloseWrite tells the other end of the tunnel that nothing follows.
func (t *tunnel) CloseWrite() error {
	if c, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// socksThrough asks a SOCKS5 proxy for the connection (RFC 1928).
func (d *dialing) socksThrough(ctx context.Context, p *proxyServer) (net.Conn, error) {
	hostport, err := d.tunnelled()
	if err != nil {
		return nil, err
	}
	var auth *proxy.Auth
	if p.user != nil {
		password, _ := p.user.Password()
		auth = &proxy.Auth{User: p.user.Username(), Password: password}
	}
	entrance := &socksEntrance{dial: d.dialNetwork}
	dialer, err := proxy.SOCKS5("tcp", p.address, auth, entrance)
	if err != nil {
		return nil, err
	}
	if _, err := dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", hostport); err != nil {
		return nil, err
	}
	return entrance.conn, nil
}

// A socksEntrance makes the connection to a SOCKS proxy, and keeps it as it is: the
// one that the package proxy returns hides that it is a TCP connection, and with
// that the fast path.
type socksEntrance struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	conn net.Conn
}

func (e *socksEntrance) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := e.dial(ctx, network, address)
	e.conn = conn
	return conn, err
}

// Dial stands for DialContext where there is no context.
func (e *socksEntrance) Dial(network, address string) (net.Conn, error) {
	return e.DialContext(context.Background(), network, address)
}

// secure runs TLS over the connection, and closes it if that fails. The name is
// verified unless config has another, or says that nothing is.
func secure(ctx context.Context, conn net.Conn, config *tls.Config, name string) (net.Conn, error) {
	if config == nil {
		config = new(tls.Config)
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = name
	}
	if config.NextProtos == nil {
		config.NextProtos = []string{"http/1.1"}
	}
	c := tls.Client(conn, config)
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}
