package websocket_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/negotiate"
)

// The user and password of all proxies and URLs here. No error may show them.
const (
	proxyUser     = "us3r"
	proxyPassword = "s3cret"
)

var proxyBasic = "Basic " + base64.StdEncoding.EncodeToString([]byte(proxyUser+":"+proxyPassword))

// wantNoSecret fails the test if the text of an error shows user or password.
func wantNoSecret(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{proxyUser, proxyPassword, proxyBasic[len("Basic "):]} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%v: shows %s", err, secret)
		}
	}
}

// newOrigin starts a server that echoes.
func newOrigin(t *testing.T, start func(http.Handler) *httptest.Server) *httptest.Server {
	t.Helper()
	server := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		for m := range c.Messages() {
			if c.Send(context.Background(), m) != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = quietLog
	return server
}

// trusting is a TLS configuration that knows the certificate of the server, which is
// for example.com and 127.0.0.1.
func trusting(server *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return &tls.Config{RootCAs: pool}
}

// listen runs serve for each connection to the address it returns. They are closed at
// the end of the test at the latest.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	ended := make(chan struct{})
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				served := make(chan struct{})
				running.Go(func() {
					select {
					case <-ended:
					case <-served:
					}
					conn.Close()
				})
				serve(conn)
				close(served)
			})
		}
	})
	t.Cleanup(func() { close(ended); l.Close(); running.Wait() })
	return l.Addr().String()
}

// splice carries bytes both ways until one side ends.
func splice(a io.ReadWriter, aIn io.Reader, b net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(b, aIn)
		b.Close()
	}()
	io.Copy(a, b)
	if c, ok := a.(io.Closer); ok {
		c.Close()
	}
	<-done
}

// A connectProxy is an HTTP proxy all of whose tunnels lead to one address.
type connectProxy struct {
	to       string // address
	answer   string // to a CONNECT; what is empty is 200
	password string // to ask for, a Proxy-Authorization
	requests chan *http.Request
}

func newConnectProxy(to string) *connectProxy {
	return &connectProxy{to: to, answer: "HTTP/1.1 200 OK\r\n\r\n", requests: make(chan *http.Request, 100)}
}

func (p *connectProxy) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	p.requests <- r
	if p.password != "" && r.Header.Get("Proxy-Authorization") != p.password {
		io.WriteString(conn, "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"r\"\r\nContent-Length: 6\r\n\r\ndenied")
		return
	}
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	io.WriteString(conn, p.answer)
	splice(conn, in, out)
}

// request is the next that the proxy got.
func (p *connectProxy) request(t *testing.T) *http.Request {
	t.Helper()
	select {
	case r := <-p.requests:
		return r
	default:
		t.Fatal("the proxy got no request")
		return nil
	}
}

// proxyTo is the option for a proxy, with user and password.
func proxyTo(scheme, address string) func(*http.Request) (*url.URL, error) {
	return http.ProxyURL(&url.URL{Scheme: scheme, Host: address, User: url.UserPassword(proxyUser, proxyPassword)})
}

// wantEcho dials, and talks with the server of newOrigin.
func wantThroughProxy(t *testing.T, address string, opts *websocket.DialOptions) {
	t.Helper()
	c, err := websocket.Dial(t.Context(), address, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if err := c.Send(t.Context(), websocket.Text("through")); err != nil {
		t.Fatal(err)
	}
	if m := <-c.Messages(); string(m.Data) != "through" {
		t.Errorf("received %q", m.Data)
	}
	if err := c.Close(t.Context(), websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

// wantDialError dials in vain. Whatever the fault, the error is a *HandshakeError or a
// *UsageError without secrets.
func wantDialError(t *testing.T, address string, opts *websocket.DialOptions) error {
	t.Helper()
	c, err := websocket.Dial(t.Context(), address, opts)
	if err == nil {
		c.Abort()
		t.Fatal("dialled")
	}
	var failed *websocket.HandshakeError
	var misused *websocket.UsageError
	if !errors.As(err, &failed) && !errors.As(err, &misused) {
		t.Errorf("%T: %v", err, err)
	}
	wantNoSecret(t, err)
	return err
}

// wantProxyError is wantDialError where the proxy is at fault.
func wantProxyError(t *testing.T, address string, opts *websocket.DialOptions) *websocket.ProxyError {
	t.Helper()
	err := wantDialError(t, address, opts)
	var failed *websocket.HandshakeError
	var proxied *websocket.ProxyError
	if !errors.As(err, &failed) || !errors.As(err, &proxied) {
		t.Fatalf("%T: %v", err, err)
	}
	if failed.Status != 0 || failed.Header != nil {
		t.Errorf("the proxy's status %d is taken for the server's", failed.Status)
	}
	return proxied
}

func TestProxyConnect(t *testing.T) {
	plain, secure := newOrigin(t, httptest.NewServer), newOrigin(t, httptest.NewTLSServer)
	for _, test := range []struct {
		url, asked string
		to         *httptest.Server
	}{
		{"ws://example.com/", "example.com:80", plain},
		{"ws://us3r:s3cret@example.com:8080/a?b", "example.com:8080", plain},
		{"ws://[fe80::1%25eth0]/", "[fe80::1]:80", plain},
		{"wss://example.com/", "example.com:443", secure},
	} {
		t.Run(test.url, func(t *testing.T) {
			p := newConnectProxy(test.to.Listener.Addr().String())
			wantThroughProxy(t, test.url, &websocket.DialOptions{
				Proxy:       proxyTo("http", listen(t, p.serve)),
				ProxyHeader: http.Header{"X-Own": {"a", "b"}},
				Header:      http.Header{"Authorization": {"for the server"}},
				TLSConfig:   trusting(secure),
			})
			r := p.request(t)
			if r.Method != http.MethodConnect || r.RequestURI != test.asked || r.Host != test.asked {
				t.Errorf("%s %s for %s", r.Method, r.RequestURI, r.Host)
			}
			if len(r.Header) != 2 || len(r.Header["X-Own"]) != 2 || r.Header.Get("Proxy-Authorization") != proxyBasic {
				t.Errorf("the proxy got %v", r.Header)
			}
		})
	}
}

func TestProxyPasswords(t *testing.T) {
	p := newConnectProxy(newOrigin(t, httptest.NewServer).Listener.Addr().String())
	p.password = proxyBasic
	address := listen(t, p.serve)
	wantThroughProxy(t, "ws://example.com", &websocket.DialOptions{Proxy: proxyTo("http", address)})
	wantThroughProxy(t, "ws://example.com", &websocket.DialOptions{
		Proxy:       http.ProxyURL(&url.URL{Scheme: "http", Host: address, User: url.User("other")}),
		ProxyHeader: http.Header{"Proxy-Authorization": {proxyBasic}},
	})
	err := wantProxyError(t, "ws://example.com", &websocket.DialOptions{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: address}),
	})
	if err.Status != 407 || err.Header.Get("Proxy-Authenticate") != `Basic realm="r"` || err.Proxy != "http://"+address {
		t.Errorf("%+v", err)
	}
	p.password = "Basic else"
	wantProxyError(t, "ws://example.com", &websocket.DialOptions{Proxy: proxyTo("http", address)})
}

// answering reads a request and answers it with a text, and then nothing more.
func answering(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.WriteString(conn, answer)
		}
	}
}

func TestProxyFaults(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		status int
		cause  error
	}{
		"nothing":       {"", 0, io.ErrUnexpectedEOF},
		"garbage":       {"\x05\x00 who are you", 0, nil},
		"TLS":           {"\x15\x03\x01\x00\x02\x02\x16", 0, nil},
		"lines of LF":   {"HTTP/1.1 200 OK\n\n", 0, nil},
		"bad header":    {"HTTP/1.1 200 OK\r\nA B: c\r\n\r\n", 0, nil},
		"403":           {"HTTP/1.1 403 No\r\n\r\n", 403, nil},
		"407":           {"HTTP/1.1 407 " + proxyPassword + "\r\nEcho: " + proxyBasic + "\r\n\r\n" + proxyUser, 407, nil},
		"502, of 1.0":   {"HTTP/1.0 502 No\r\nContent-Length: 1000000000\r\n\r\n", 502, nil},
		"redirect":      {"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n", 302, nil},
		"101":           {"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, nil},
		"large":         {"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 5000) + "\r\n\r\n", 0, negotiate.ErrHeaderTooBig},
		"endless lines": {"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 1000), 0, negotiate.ErrHeaderTooBig},
		"interim alone": {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 500), 0, negotiate.ErrHeaderTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			err := wantProxyError(t, "ws://example.com", &websocket.DialOptions{
				Proxy:            proxyTo("http", listen(t, answering(test.answer))),
				MaxHandshakeSize: 4000,
				MaxRedirects:     3,
			})
			if err.Status != test.status || (err.Header != nil) != (test.status != 0) {
				t.Errorf("status %d, header %v", err.Status, err.Header)
			}
			if test.cause != nil && !errors.Is(err, test.cause) {
				t.Errorf("%v: not for %v", err, test.cause)
			}
		})
	}
}

func TestProxyAnswerCutAtEachByte(t *testing.T) {
	const answer = "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"
	cut := make(chan int, 1)
	opts := &websocket.DialOptions{Proxy: proxyTo("http", listen(t, func(conn net.Conn) {
		answering(answer[:<-cut])(conn)
	}))}
	for n := range len(answer) {
		cut <- n
		if err := wantProxyError(t, "wss://example.com", opts); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	cut <- len(answer)
	err := wantDialError(t, "wss://example.com", opts)
	var proxied *websocket.ProxyError
	if errors.As(err, &proxied) {
		t.Errorf("the tunnel was open: %v", err)
	}
}

// TestProxyAnswerByteByByte has answers that come in pieces: over a pipe each write is
// a read.
func TestProxyAnswerByteByByte(t *testing.T) {
	client, server := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer server.Close()
		in := bufio.NewReader(server)
		http.ReadRequest(in)
		for _, b := range []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n") {
			server.Write([]byte{b})
		}
		http.ReadRequest(in)
		for _, b := range []byte("HTTP/1.1 418 Teapot\r\nContent-Length: 3\r\n\r\ntea") {
			server.Write([]byte{b})
		}
	}()
	err := wantDialError(t, "ws://example.com", &websocket.DialOptions{
		Proxy:          proxyTo("http", "proxy.example:3128"),
		NetDialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil },
	})
	<-served
	var failed *websocket.HandshakeError
	if !errors.As(err, &failed) || failed.Status != 418 || string(failed.Body) != "tea" {
		t.Errorf("%v", err)
	}
}

// TestProxyEarlyData has bytes behind the proxy's answer: a length means nothing there
// (RFC 9110, section 9.3.6), what follows came through the tunnel.
func TestProxyEarlyData(t *testing.T) {
	plain, secure := newOrigin(t, httptest.NewServer), newOrigin(t, httptest.NewTLSServer)
	opts := func(to *httptest.Server, answer string) *websocket.DialOptions {
		p := newConnectProxy(to.Listener.Addr().String())
		p.answer = answer
		return &websocket.DialOptions{Proxy: proxyTo("http", listen(t, p.serve)), TLSConfig: trusting(secure)}
	}
	const length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	wantThroughProxy(t, "ws://example.com", opts(plain, length))
	wantThroughProxy(t, "wss://example.com", opts(secure, length))
	wantThroughProxy(t, "ws://example.com", opts(plain, length+"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"))

	err := wantDialError(t, "ws://example.com", opts(plain, length+"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"))
	var failed *websocket.HandshakeError
	if !errors.As(err, &failed) || failed.Status != 503 || string(failed.Body) != "busy" {
		t.Errorf("%v", err)
	}
	err = wantDialError(t, "wss://example.com", opts(secure, length+"no TLS here"))
	var record tls.RecordHeaderError
	if !errors.As(err, &record) || string(record.RecordHeader[:]) != "no TL" {
		t.Errorf("%v", err)
	}
}

func TestProxyUnreachable(t *testing.T) {
	for _, scheme := range []string{"http", "https", "socks5"} {
		err := wantProxyError(t, "ws://example.com", &websocket.DialOptions{
			Proxy: proxyTo(scheme, "proxy.example"),
			NetDialContext: func(_ context.Context, network, address string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial to " + address, Net: network, Err: syscall.ECONNREFUSED}
			},
		})
		port := map[string]string{"http": "80", "https": "443", "socks5": "1080"}[scheme]
		if !errors.Is(err, syscall.ECONNREFUSED) || err.Proxy != scheme+"://proxy.example:"+port ||
			!strings.Contains(err.Error(), "dial to proxy.example:"+port) {
			t.Errorf("%s: %+v", scheme, err)
		}
	}
}

func TestProxyOfTLSHasTheServerVerified(t *testing.T) {
	origin := newOrigin(t, httptest.NewTLSServer)
	p := newConnectProxy(origin.Listener.Addr().String())
	opts := &websocket.DialOptions{Proxy: proxyTo("http", listen(t, p.serve)), TLSConfig: trusting(origin)}
	err := wantDialError(t, "wss://wrong.example", opts)
	var name x509.HostnameError
	if !errors.As(err, &name) || name.Host != "wrong.example" {
		t.Errorf("%v", err)
	}
	opts.TLSConfig = nil
	opts.ProxyTLSConfig = trusting(origin)
	err = wantDialError(t, "wss://example.com", opts)
	var authority x509.UnknownAuthorityError
	if !errors.As(err, &authority) {
		t.Errorf("%v", err)
	}
}

func TestProxyOverTLS(t *testing.T) {
	plain, secure := newOrigin(t, httptest.NewServer), newOrigin(t, httptest.NewTLSServer)
	proxied := func(to *httptest.Server) string {
		p := newConnectProxy(to.Listener.Addr().String())
		p.password = proxyBasic
		return listen(t, func(conn net.Conn) {
			p.serve(tls.Server(conn, &tls.Config{Certificates: secure.TLS.Certificates}))
		})
	}
	config := trusting(secure)
	address := proxied(plain)
	wantThroughProxy(t, "ws://wrong.example", &websocket.DialOptions{Proxy: proxyTo("https", address), ProxyTLSConfig: config})
	wantThroughProxy(t, "wss://example.com", &websocket.DialOptions{
		Proxy: proxyTo("https", proxied(secure)), ProxyTLSConfig: config, TLSConfig: config,
	})

	err := wantProxyError(t, "ws://example.com", &websocket.DialOptions{Proxy: proxyTo("https", address), TLSConfig: config})
	var authority x509.UnknownAuthorityError
	if !errors.As(err, &authority) {
		t.Errorf("%v", err)
	}
	err = wantProxyError(t, "ws://example.com", &websocket.DialOptions{
		Proxy: proxyTo("https", "proxy.example"), ProxyTLSConfig: config,
		NetDialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	})
	var name x509.HostnameError
	if !errors.As(err, &name) || name.Host != "proxy.example" {
		t.Errorf("%v", err)
	}
	if config.ServerName != "" || config.NextProtos != nil {
		t.Error("an option was written to")
	}
}

// TestProxyChoice has what the function of the options is asked, and what it answers.
func TestProxyChoice(t *testing.T) {
	asked := make(chan *http.Request, 1)
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	refused := errors.New("not now")
	for address, want := range map[string]string{
		"ws://us3r:s3cret@example.com:80/a?b": "http://example.com/a?b",
		"wss://example.com:80/":               "https://example.com:80/",
	} {
		header := http.Header{"A": {"b"}}
		_, err := websocket.Dial(ctx, address, &websocket.DialOptions{
			Header: header,
			Proxy:  func(r *http.Request) (*url.URL, error) { r.Header.Set("A", "c"); asked <- r; return nil, refused },
		})
		if !errors.Is(err, refused) {
			t.Errorf("%v", err)
		}
		r := <-asked
		if r.URL.String() != want || r.Host != r.URL.Host || r.Method != "GET" || r.Context().Value(key{}) != "value" {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		if header.Get("A") != "b" {
			t.Error("the options were written to")
		}
	}
}

func TestNoSecretInURLErrors(t *testing.T) {
	for _, raw := range []string{
		"http://us3r:s3cret#x@proxy.example", "http://us3r:s3cret%zz@proxy.example", "us3r:s3cret@proxy.example:80",
		"http://us3r:s3cret/x@proxy.example", "http://us3r:s3c ret@proxy.example", "http://us3r:s3cret@proxy.example:99999999",
		"us3r://s3cret@proxy.example", "http://us%3ar:s3cret@proxy.example", "http://us3r:s3cret@", "http://us3r:s3cret@[::1%25/]", "s3cret",
	} {
		wantProxyError(t, "ws://example.com", &websocket.DialOptions{
			Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(raw) },
		})
		wantProxyError(t, "ws://example.com", &websocket.DialOptions{
			Proxy: func(*http.Request) (*url.URL, error) {
				if u, err := url.Parse(raw); err == nil {
					return u, nil
				}
				return &url.URL{Scheme: "http", Host: "us3r:s3cret@proxy.example"}, nil
			},
		})
		wantDialError(t, "ws"+strings.TrimPrefix(raw, "http"), nil)
	}
	for _, opts := range []*websocket.DialOptions{
		{ProxyHeader: http.Header{"Proxy-Authorization": {"s3cret\r\n"}}},
		{ProxyHeader: http.Header{"s3cret\n": {"a"}}},
		{ProxyHeader: http.Header{"Content-Length": {"s3cret"}}},
		{Header: http.Header{"Authorization": {"s3cret\n"}}},
		{Host: "us3r:s3cret@host"},
	} {
		var misused *websocket.UsageError
		if err := wantDialError(t, "ws://us3r:s3cret@example.com", opts); !errors.As(err, &misused) {
			t.Errorf("%T: %v", err, err)
		}
	}
}

// TestProxyStalls ends handshakes that stop at each of their steps, by the timeout and
// by the context.
func TestProxyStalls(t *testing.T) {
	stall := func(conn net.Conn) { io.Copy(io.Discard, conn) }
	after := func(answer string) func(net.Conn) {
		return func(conn net.Conn) { answering(answer)(conn); stall(conn) }
	}
	socks := func(answers ...string) func(net.Conn) {
		return func(conn net.Conn) {
			request := make([]byte, 300)
			for _, answer := range answers {
				conn.Read(request)
				io.WriteString(conn, answer)
			}
			stall(conn)
		}
	}
	const open = "HTTP/1.1 200 OK\r\n\r\n"
	for name, test := range map[string]struct {
		scheme, url string
		serve       func(net.Conn)
	}{
		"TLS with the proxy":          {"https", "ws://example.com", stall},
		"the proxy's answer":          {"http", "ws://example.com", after("")},
		"within the proxy's answer":   {"http", "ws://example.com", after(open[:15])},
		"TLS in the tunnel":           {"http", "wss://example.com", after(open)},
		"the response":                {"http", "ws://example.com", after(open)},
		"early data of the response":  {"http", "ws://example.com", after(open + "HTTP/1.1 1")},
		"SOCKS, the choice of method": {"socks5", "ws://example.com", stall},
		"SOCKS, the password":         {"socks5", "ws://example.com", socks("\x05\x02")},
		"SOCKS, the answer":           {"socks5", "ws://example.com", socks("\x05\x02", "\x01\x00")},
		"SOCKS, within the answer":    {"socks5", "ws://example.com", socks("\x05\x00", "\x05\x00\x00\x01\x00")},
		"SOCKS, TLS":                  {"socks5", "wss://example.com", socks("\x05\x00", "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				err := dialPipe(t, t.Context(), test.serve, test.url, test.scheme)
				var timeout *websocket.TimeoutError
				if !errors.As(err, &timeout) || !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
					t.Errorf("after %v: %v", time.Since(begin), err)
				}
				gone := errors.New("gone")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second/2, func() { cancel(gone) })
				err = dialPipe(t, ctx, test.serve, test.url, test.scheme)
				if !errors.Is(err, context.Canceled) || !errors.Is(err, gone) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// dialPipe dials in vain, for a second, through a proxy at the other end of a pipe.
func dialPipe(t *testing.T, ctx context.Context, serve func(net.Conn), address, scheme string) error {
	t.Helper()
	client, server := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		serve(server)
		server.Close()
	}()
	c, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		Proxy:            proxyTo(scheme, "proxy.example"),
		NetDialContext:   func(context.Context, string, string) (net.Conn, error) { return client, nil },
		HandshakeTimeout: time.Second,
	})
	<-served
	if err == nil {
		c.Abort()
		t.Fatal("dialled")
	}
	wantNoSecret(t, err)
	return err
}

// TestProxyFromEnvironment runs itself again, as the environment is read once in the
// life of a process.
func TestProxyFromEnvironment(t *testing.T) {
	const again = "WEBSOCKET_TEST_PROXY_FROM_ENVIRONMENT"
	if address := os.Getenv(again); address != "" {
		wantThroughProxy(t, "ws://example.com", nil)
		wantThroughProxy(t, address, nil) // of the loopback, which is spared
		if err := wantProxyError(t, "wss://example.com", nil); !strings.HasPrefix(err.Proxy, "socks5://127.0.0.1:") {
			t.Errorf("%v", err)
		}
		wantDirect(t, "ws://spared.example", nil)
		wantDirect(t, "ws://example.com", websocket.NoProxy)
		return
	}
	origin := newOrigin(t, httptest.NewServer)
	p := newConnectProxy(origin.Listener.Addr().String())
	p.password = proxyBasic
	hangUp := listen(t, func(net.Conn) {})
	child := exec.Command(os.Args[0], "-test.run=^TestProxyFromEnvironment$", "-test.count=1")
	child.Env = append(os.Environ(), again+"="+strings.Replace(origin.URL, "http:", "ws:", 1),
		"HTTP_PROXY=http://"+proxyUser+":"+proxyPassword+"@"+listen(t, p.serve),
		"HTTPS_PROXY=socks5://"+proxyUser+":"+proxyPassword+"@"+hangUp,
		"NO_PROXY=spared.example", "REQUEST_METHOD=")
	if out, err := child.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASS")) {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := len(p.requests); n != 1 {
		t.Errorf("the proxy was asked %d times", n)
	}
}

// wantDirect fails the test if a proxy is chosen for the address.
func wantDirect(t *testing.T, address string, choose func(*http.Request) (*url.URL, error)) {
	t.Helper()
	dialled := ""
	wantDialError(t, address, &websocket.DialOptions{
		Proxy: choose,
		NetDialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = address
			return nil, syscall.ECONNREFUSED
		},
	})
	if "ws://"+strings.TrimSuffix(dialled, ":80") != address {
		t.Errorf("%s: dialled %s", address, dialled)
	}
}

// A socksProxy is a SOCKS5 server all of whose connections lead to one address.
type socksProxy struct {
	to     string
	method byte // 0, or 2 for user and password
	asked  chan string
}

func (p *socksProxy) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	block := func(n int) []byte {
		b := make([]byte, n)
		io.ReadFull(in, b)
		return b
	}
	methods := block(int(block(2)[1]))
	if !bytes.Contains(methods, []byte{p.method}) {
		conn.Write([]byte{5, 0xFF})
		return
	}
	conn.Write([]byte{5, p.method})
	if p.method == 2 {
		user := string(block(int(block(2)[1])))
		if user += ":" + string(block(int(block(1)[0]))); user != proxyUser+":"+proxyPassword {
			conn.Write([]byte{1, 1})
			return
		}
		conn.Write([]byte{1, 0})
	}
	var host string
	switch request := block(4); request[3] {
	case 1:
		host = net.IP(block(4)).String()
	case 3:
		host = string(block(int(block(1)[0])))
	case 4:
		host = net.IP(block(16)).String()
	}
	port := block(2)
	p.asked <- fmt.Sprintf("%s %d", host, int(port[0])<<8|int(port[1]))
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		conn.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	conn.Write([]byte{5, 0, 0, 3, 4, 'h', 'o', 's', 't', 0, 80})
	splice(conn, in, out)
}

func TestProxySOCKS(t *testing.T) {
	plain, secure := newOrigin(t, httptest.NewServer), newOrigin(t, httptest.NewTLSServer)
	config := trusting(secure)
	for _, test := range []struct {
		url, asked string
		method     byte
		to         *httptest.Server
	}{
		{"ws://example.com", "example.com 80", 0, plain},
		{"ws://example.com:8080", "example.com 8080", 2, plain},
		{"ws://192.0.2.1", "192.0.2.1 80", 2, plain},
		{"ws://[fe80::1%25eth0]", "fe80::1 80", 0, plain},
		{"wss://example.com", "example.com 443", 2, secure},
	} {
		p := &socksProxy{test.to.Listener.Addr().String(), test.method, make(chan string, 10)}
		address := listen(t, p.serve)
		for _, scheme := range []string{"socks5", "socks5h"} {
			wantThroughProxy(t, test.url, &websocket.DialOptions{Proxy: proxyTo(scheme, address), TLSConfig: config})
			if asked := <-p.asked; asked != test.asked {
				t.Errorf("%s: asked for %s", test.url, asked)
			}
		}
	}
	p := &socksProxy{secure.Listener.Addr().String(), 0, make(chan string, 10)}
	err := wantDialError(t, "wss://wrong.example", &websocket.DialOptions{Proxy: proxyTo("socks5", listen(t, p.serve)), TLSConfig: config})
	var name x509.HostnameError
	if !errors.As(err, &name) {
		t.Errorf("%v", err)
	}
}

func TestProxySOCKSFaults(t *testing.T) {
	p := &socksProxy{"127.0.0.1:1", 2, make(chan string, 10)}
	address := listen(t, p.serve)
	for name, user := range map[string]*url.Userinfo{
		"no password":    nil,
		"wrong password": url.UserPassword(proxyUser, proxyPassword+"?"),
		"long password":  url.UserPassword(proxyUser, strings.Repeat(proxyPassword, 100)),
		"no way there":   url.UserPassword(proxyUser, proxyPassword),
	} {
		err := wantProxyError(t, "ws://example.com", &websocket.DialOptions{
			Proxy: http.ProxyURL(&url.URL{Scheme: "socks5", Host: address, User: user}),
		})
		if err.Status != 0 || err.Proxy != "socks5://"+address {
			t.Errorf("%s: %+v", name, err)
		}
	}
	wantProxyError(t, "ws://"+strings.Repeat("a.", 130)+"example", &websocket.DialOptions{Proxy: proxyTo("socks5", address)})
	wantProxyError(t, "ws://example.com", &websocket.DialOptions{Proxy: proxyTo("socks5", listen(t, func(conn net.Conn) {
		io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		io.Copy(io.Discard, conn)
	}))})
}

func TestProxySOCKSAnswerCutAtEachByte(t *testing.T) {
	const answer = "\x05\x02" + "\x01\x00" + "\x05\x00\x00\x03\x04host\x00\x50"
	cut := make(chan int, 1)
	opts := &websocket.DialOptions{Proxy: proxyTo("socks5", listen(t, func(conn net.Conn) {
		io.WriteString(conn, answer[:<-cut])
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, conn)
	}))}
	for n := range len(answer) {
		cut <- n
		wantProxyError(t, "ws://example.com", opts)
	}
}
