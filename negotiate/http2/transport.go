package http2

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/chanws/websocket/negotiate"
)

// A Transport keeps connections of HTTP/2 and sends extended CONNECTs over them. The
// zero value is ready for use, by any number of goroutines; it must not be copied,
// nor its fields be changed, after the first use. As connections are shared, one
// Transport is for those who may share a TLSConfig. The head of a response may have 64
// KiB; with a larger one the request fails.
type Transport struct {
	// TLSConfig is for connections to https and wss URLs; it is cloned. The host
	// name is verified unless it says otherwise: a ServerName in it is what every
	// host is verified by, so such a Transport is for one host. NextProtos is the
	// Transport's. Default: as crypto/tls.
	TLSConfig *tls.Config
	// NetDialContext makes the network connections: network is "tcp", address host
	// and port. Default: a [net.Dialer].
	NetDialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// IdleTimeout is how long a connection without WebSockets is kept for the
	// next; it has to be longer than one takes to be made. Default: 10 s; below 0 it is
	// kept until it ends.
	IdleTimeout time.Duration
	// PingInterval sends a PING of HTTP/2 when nothing was received for as long,
	// and ends the connection with all its WebSockets when none comes back within
	// 15 s. Default: 30 s; below 0 none is sent.
	PingInterval time.Duration
	// WriteTimeout ends a connection, with all its WebSockets, on which nothing
	// could be written for as long. Default: 30 s; below 0 there is none.
	WriteTimeout time.Duration

	// mu is never held while a ClientConn is asked for more than a reservation:
	// all else may wait for a server that does not read.
	mu    sync.Mutex
	hosts map[string]*host
	h2    *http2.Transport
}

const (
	defaultIdleTimeout  = 10 * time.Second
	defaultPingInterval = 30 * time.Second
	defaultWriteTimeout = 30 * time.Second
	lostPingTimeout     = 15 * time.Second
	dialTimeout         = 30 * time.Second
	closeTimeout        = 250 * time.Millisecond
)

// orDefault gives value, the default where it is 0, and 0 where it is below.
func orDefault(value, instead time.Duration) time.Duration {
	if value == 0 {
		return instead
	}
	return max(value, 0)
}

// RoundTrip sends an extended CONNECT for "websocket", as websocket.Dial makes it,
// over a connection that has room for one more stream, or a new one. The error is a
// [*negotiate.UpgradeError] where the server has only HTTP/1.1 or does not offer
// extended CONNECT, with a connection to upgrade instead; and for URLs without TLS,
// where there is nothing to tell which version the server speaks.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, &negotiate.UpgradeError{Reason: "no TLS"}
	}
	ctx := r.Context()
	c, err := t.conn(ctx, r.URL)
	if err != nil {
		return nil, err
	}
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: c.network, Reused: true})
	}
	request := r.Clone(ctx)
	request.Header[":protocol"] = []string{"websocket"}
	request.Proto, request.ProtoMajor, request.ProtoMinor = "HTTP/2.0", 2, 0
	return c.send(request)
}

// CloseIdleConnections closes connections that have no WebSocket. It does not wait for
// those that have.
func (t *Transport) CloseIdleConnections() {
	for _, c := range t.takeIdle() {
		c.Close()
	}
}

func (t *Transport) takeIdle() (idle []*conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.hosts {
		idle = append(idle, h.takeIdle()...)
	}
	return idle
}

// conn gives a connection to a host, on which a stream is reserved.
func (t *Transport) conn(ctx context.Context, u *url.URL) (*conn, error) {
	for came := time.Now(); ctx.Err() == nil; {
		c, f := t.reserve(u)
		if c != nil {
			return c, nil
		}
		c, err := f.wait(ctx, came)
		if upgrade, ok := err.(*negotiate.UpgradeError); ok && upgrade.Conn == nil {
			return nil, t.upgrade(ctx, f.host, upgrade.Reason)
		}
		if c != nil || err != nil {
			return c, err
		}
	}
	return nil, ctx.Err()
}

// reserve finds a connection with room for a stream, or the flight to wait for.
func (t *Transport) reserve(u *url.URL) (*conn, *flight) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.host(u)
	if c := h.reserve(); c != nil {
		return c, nil
	}
	return nil, h.board()
}

// host finds those of the connections that go to a host.
func (t *Transport) host(u *url.URL) *host {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	address := net.JoinHostPort(u.Hostname(), port)
	if t.hosts == nil {
		t.hosts = make(map[string]*host)
		t.h2 = t.configure()
	}
	h := t.hosts[address]
	if h == nil {
		h = &host{transport: t, address: address, name: u.Hostname()}
		t.hosts[address] = h
	}
	return h
}

func (t *Transport) configure() *http2.Transport {
	return &http2.Transport{
		DisableCompression: true,
		IdleConnTimeout:    orDefault(t.IdleTimeout, defaultIdleTimeout),
		ReadIdleTimeout:    orDefault(t.PingInterval, defaultPingInterval),
		PingTimeout:        lostPingTimeout,
		WriteByteTimeout:   orDefault(t.WriteTimeout, defaultWriteTimeout),
		MaxHeaderListSize:  negotiate.DefaultMaxHeaderBytes,
		// The frames that a server may send us: no larger than needed.
		MaxReadFrameSize: 16 << 10,
	}
}

// dial makes a TLS connection on which one of the protocols is spoken.
func (t *Transport) dial(ctx context.Context, h *host, protocols ...string) (*tls.Conn, error) {
	dial := t.NetDialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", h.address)
	if err != nil {
		return nil, err
	}
	config := new(tls.Config)
	if t.TLSConfig != nil {
		config = t.TLSConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = h.name
	}
	config.NextProtos = protocols
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// upgrade makes a connection for HTTP/1.1 instead.
func (t *Transport) upgrade(ctx context.Context, h *host, reason string) error {
	conn, err := t.dial(ctx, h, "http/1.1")
	if err != nil {
		return err
	}
	return &negotiate.UpgradeError{Conn: conn, Reason: reason}
}
