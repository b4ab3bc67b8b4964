package http2_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/negotiate"
	wshttp2 "github.com/chanws/websocket/negotiate/http2"
	_ "github.com/chanws/websocket/negotiate/http2/xconnect"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A site is a server and what it saw.
type site struct {
	*httptest.Server
	conns  atomic.Int64 // made to it
	protos sync.Map     // of its WebSockets
}

// serve starts a site that echoes. configure may change the server before.
func serve(t *testing.T, configure func(*httptest.Server)) *site {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	s := new(site)
	s.Server = httptest.NewUnstartedServer(websocket.Handler(func(c *websocket.Conn) {
		s.protos.Store(c.Request().Proto, true)
		for m := range c.Messages() {
			if c.Send(context.Background(), m) != nil {
				return
			}
		}
	}, nil))
	s.EnableHTTP2 = true
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	if configure != nil {
		configure(s.Server)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *site) saw(proto string) bool {
	_, ok := s.protos.Load(proto)
	return ok
}

func (s *site) transport(t *testing.T) *wshttp2.Transport {
	transport := &wshttp2.Transport{TLSConfig: &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (s *site) dial(ctx context.Context, transport http.RoundTripper) (*websocket.Conn, error) {
	return websocket.Dial(ctx, "wss"+s.URL[len("https"):], &websocket.DialOptions{RoundTripper: transport})
}

// dialMany opens n WebSockets at once.
func (s *site) dialMany(t *testing.T, transport http.RoundTripper, n int) []*websocket.Conn {
	t.Helper()
	conns := make([]*websocket.Conn, n)
	var all sync.WaitGroup
	for i := range conns {
		all.Go(func() {
			c, err := s.dial(t.Context(), transport)
			if err != nil {
				t.Error(err)
				return
			}
			conns[i] = c
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return conns
}

func echoAndClose(t *testing.T, conns ...*websocket.Conn) {
	t.Helper()
	for _, c := range conns {
		if err := c.Send(t.Context(), websocket.Text("hello")); err != nil {
			t.Error(err)
		}
		if m := <-c.Messages(); string(m.Data) != "hello" {
			t.Errorf("got %q", m.Data)
		}
	}
	for _, c := range conns {
		if err := c.Close(t.Context(), 1000, ""); err != nil {
			t.Error(err)
		}
	}
}

func TestManyShareOneConnection(t *testing.T) {
	s := serve(t, nil)
	conns := s.dialMany(t, s.transport(t), 50)
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	echoAndClose(t, conns...)
	if !s.saw("HTTP/2.0") || s.saw("HTTP/1.1") {
		t.Error("not over HTTP/2")
	}
}

// Over the peer's limit another connection is made, and not one more than needed.
func TestStreamLimit(t *testing.T) {
	for _, test := range []struct {
		limit int
		want  int64
	}{{4, 3}, {1, 10}} {
		s := serve(t, func(s *httptest.Server) { s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: test.limit} })
		transport := s.transport(t)
		conns := s.dialMany(t, transport, 10)
		if n := s.conns.Load(); n != test.want {
			t.Errorf("%d connections for 10 streams of at most %d", n, test.limit)
		}
		echoAndClose(t, conns...)
		echoAndClose(t, s.dialMany(t, transport, 4)...) // streams that ended make room
		if n := s.conns.Load(); n != test.want {
			t.Errorf("%d connections later", n)
		}
	}
}

func TestServerOfHTTP1(t *testing.T) {
	s := serve(t, func(s *httptest.Server) { s.EnableHTTP2 = false })
	conns := s.dialMany(t, s.transport(t), 5)
	if n := s.conns.Load(); n != 5 {
		t.Errorf("%d connections for 5 WebSockets", n)
	}
	if r := conns[0].Response(); r.StatusCode != 101 {
		t.Errorf("status %d", r.StatusCode)
	}
	echoAndClose(t, conns...)
}

func TestWithoutTLS(t *testing.T) {
	r, _ := http.NewRequest("CONNECT", "http://example.com", nil)
	_, err := new(wshttp2.Transport).RoundTrip(r)
	var upgrade *negotiate.UpgradeError
	if !errors.As(err, &upgrade) || upgrade.Conn != nil {
		t.Errorf("%v, want an UpgradeError", err)
	}
}

// Who leaves a dial does not end it for others; when all have, it ends.
func TestDialsLeft(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dialling := make(chan struct{})
	ended := make(chan struct{})
	transport := &wshttp2.Transport{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		close(dialling)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}}
	opts := &websocket.DialOptions{RoundTripper: transport}
	first, leaveFirst := context.WithCancel(t.Context())
	second, leaveSecond := context.WithCancel(t.Context())
	failed := make(chan error, 2)
	go func() { _, err := websocket.Dial(first, "wss://example.com", opts); failed <- err }()
	<-dialling
	go func() { _, err := websocket.Dial(second, "wss://example.com", opts); failed <- err }()
	leaveSecond()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	select {
	case <-ended:
		t.Error("the dial ended for the first too")
	default:
	}
	leaveFirst()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("nobody waits any more, but the dial goes on")
	}
}

// The certificate is verified.
func TestUnknownAuthority(t *testing.T) {
	s := serve(t, nil)
	_, err := s.dial(t.Context(), new(wshttp2.Transport))
	var unknown *tls.CertificateVerificationError
	if !errors.As(err, &unknown) {
		t.Errorf("%v, want a certificate error", err)
	}
}

// Every host is verified by the ServerName that the TLSConfig has, as by net/http; else
// by its own.
func TestServerName(t *testing.T) {
	s := serve(t, nil)
	opts := func(name string) *websocket.DialOptions {
		transport := s.transport(t)
		transport.TLSConfig.ServerName = name
		transport.NetDialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
		}
		return &websocket.DialOptions{RoundTripper: transport}
	}
	c, err := websocket.Dial(t.Context(), "wss://other.test", opts("example.com"))
	if err != nil {
		t.Fatal(err)
	}
	echoAndClose(t, c)
	var wrong x509.HostnameError
	if _, err := websocket.Dial(t.Context(), "wss://other.test", opts("")); !errors.As(err, &wrong) {
		t.Errorf("%v, want an error of the name", err)
	}
}

// Connections without WebSockets go after a while.
func TestIdleTimeout(t *testing.T) {
	s := serve(t, nil)
	transport := &wshttp2.Transport{TLSConfig: s.transport(t).TLSConfig, IdleTimeout: 20 * time.Millisecond}
	c, err := s.dial(t.Context(), transport)
	if err != nil {
		t.Fatal(err)
	}
	echoAndClose(t, c)
	// serve finds that nothing is left, with nobody to close it.
}

// When the connection is lost, so are all WebSockets on it; the next dial makes
// another.
func TestLostConnection(t *testing.T) {
	s := serve(t, nil)
	transport := s.transport(t)
	conns := s.dialMany(t, transport, 5)
	s.CloseClientConnections()
	for _, c := range conns {
		for range c.Messages() {
		}
		if e := <-c.Closed(); e.Code != 1006 || e.Err == nil {
			t.Errorf("closed with %+v", e)
		}
	}
	echoAndClose(t, s.dialMany(t, transport, 1)...)
	if n := s.conns.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}
