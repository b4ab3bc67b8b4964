package websocket_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chanws/websocket"
)

// wantEchoAndClose sends a message over a dialled connection, gets it back and closes.
func wantEchoAndClose(t *testing.T, c *websocket.Conn, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), websocket.Text("hello")); err != nil {
		t.Errorf("Send: %v", err)
	}
	wantMessage(t, c, "hello")
	if err := c.Close(context.Background(), 1000, ""); err != nil {
		t.Errorf("Close: %v", err)
	}
	wantClosed(t, c, 1000)
}

func TestDialOverIPv6(t *testing.T) {
	leavesNothing(t)
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: websocket.Handler(echoAll, nil)}
	go s.Serve(ln)
	defer s.Close()
	c, err := websocket.Dial(t.Context(), "ws://"+ln.Addr().String()+"/", nil)
	wantEchoAndClose(t, c, err)
}

func TestDialAUnixSocket(t *testing.T) {
	leavesNothing(t)
	path := filepath.Join(t.TempDir(), "socket")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: websocket.Handler(echoAll, nil)}
	go s.Serve(ln)
	defer s.Close()
	c, err := websocket.Dial(t.Context(), "ws://localhost/", &websocket.DialOptions{
		NetDialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			if address != "localhost:80" {
				t.Errorf("address is %s", address)
			}
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	})
	wantEchoAndClose(t, c, err)
}

// The name in the certificate is the one dialled, or there is no connection.
func TestDialVerifiesTheName(t *testing.T) {
	leavesNothing(t)
	s := httptest.NewUnstartedServer(websocket.Handler(echoAll, nil))
	s.Config.ErrorLog = nil
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	toServer := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
	}
	dial := func(host string, config *tls.Config) (*websocket.Conn, error) {
		return websocket.Dial(t.Context(), "wss://"+host+"/", &websocket.DialOptions{TLSConfig: config, NetDialContext: toServer})
	}
	trusting := &tls.Config{RootCAs: roots}
	c, err := dial("example.com", trusting)
	wantEchoAndClose(t, c, err)
	if trusting.ServerName != "" {
		t.Error("Dial has written to the TLSConfig")
	}
	var wrongName x509.HostnameError
	if c, err := dial("elsewhere.org", trusting); c != nil || !errors.As(err, &wrongName) {
		t.Errorf("wrong name: %v, %v", c, err)
	}
	var unknown x509.UnknownAuthorityError
	if c, err := dial("example.com", nil); c != nil || !errors.As(err, &unknown) {
		t.Errorf("unknown authority: %v, %v", c, err)
	}
	c, err = dial("elsewhere.org", &tls.Config{RootCAs: roots, ServerName: "example.com"})
	wantEchoAndClose(t, c, err)
}

// dialRaw dials a server that answers with this.
func dialRaw(t *testing.T, url, answer string, opts *websocket.DialOptions) (http.Header, *websocket.Conn, error) {
	t.Helper()
	near, p := dialled(t, link{"client", "tcp"})
	opts.NetDialContext = func(context.Context, string, string) (net.Conn, error) { return near, nil }
	head := result(func() http.Header {
		h := p.wantHead()
		p.raw.Write([]byte(strings.ReplaceAll(answer, "ACCEPT", acceptFor(h.Get("Sec-WebSocket-Key")))))
		return h
	})
	c, err := websocket.Dial(t.Context(), url, opts)
	p.hangUp()
	return <-head, c, err
}

const refusing = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\nX-Why: because\r\n\r\nno\nno\n"

func TestDialRequest(t *testing.T) {
	leavesNothing(t)
	own := http.Header{"Origin": {"http://example.com"}, "Cookie": {"a=b"}}
	options := &websocket.DialOptions{Header: own, Subprotocols: []string{"one", "two"}}
	h, _, err := dialRaw(t, "ws://us%65r:p%40ss@example.com:8080/a%20b?c=d", refusing, options)
	if err == nil {
		t.Error("no error")
	}
	for name, want := range map[string]string{
		"":                       "GET /a%20b?c=d HTTP/1.1",
		"Host":                   "example.com:8080",
		"Authorization":          "Basic dXNlcjpwQHNz", // user:p@ss
		"Upgrade":                "websocket",
		"Sec-Websocket-Version":  "13",
		"Sec-Websocket-Protocol": "one, two",
		"Origin":                 "http://example.com",
		"Cookie":                 "a=b",
	} {
		if got := strings.Join(h[name], "; "); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if len(own) != 2 {
		t.Errorf("the options have become %v", own)
	}
}

// A refusal tells status, headers and at most 1 KiB of the body.
func TestDialRefused(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 200)
	for _, test := range []struct {
		name, answer string
		status       int
		body         string
	}{
		{"short", refusing, 401, "no\nno\n"},
		{"long", "HTTP/1.1 403 Forbidden\r\nContent-Length: 3200\r\n\r\n" + long, 403, long[:1024]},
		{"long, to the end of the connection", "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n" + long, 403, long[:1024]},
		{"no body", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK", 404, ""},
		{"redirect", "HTTP/1.1 302 Found\r\nLocation: ws://elsewhere.com/\r\nContent-Length: 0\r\n\r\n", 302, ""},
		{"chunked", "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n4\r\n req\r\n0\r\n\r\n", 400, "bad req"},
		{"200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"},
	} {
		t.Run(test.name, func(t *testing.T) {
			leavesNothing(t)
			_, c, err := dialRaw(t, "ws://example.com", test.answer, &websocket.DialOptions{})
			var failed *websocket.HandshakeError
			if c != nil || !errors.As(err, &failed) {
				t.Fatalf("Dial: %v, %v", c, err)
			}
			if failed.Status != test.status || string(failed.Body) != test.body || failed.Header == nil {
				t.Errorf("got %d, %q, %v, want %d, %q", failed.Status, failed.Body, failed.Header, test.status, test.body)
			}
		})
	}
}

// No request goes where a redirect says.
func TestDialDoesNotFollow(t *testing.T) {
	leavesNothing(t)
	var followed atomic.Int32
	target := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }), nil)
	address := serve(t, http.RedirectHandler("http://"+target+"/", http.StatusTemporaryRedirect), nil)
	_, err := websocket.Dial(t.Context(), "ws://user:secret@"+address+"/", nil)
	var failed *websocket.HandshakeError
	if !errors.As(err, &failed) || failed.Status != 307 || failed.Header.Get("Location") != "http://"+target+"/" {
		t.Errorf("Dial: %v", err)
	}
	if n := followed.Load(); n > 0 {
		t.Errorf("%d requests to where it was redirected", n)
	}
}

func TestDialLimitsTheResponse(t *testing.T) {
	for _, test := range []struct{ limit, size int }{{0, 70_000}, {2000, 3000}} {
		leavesNothing(t)
		answer := "HTTP/1.1 101 Switching Protocols\r\nX-Long: " + strings.Repeat("x", test.size) + "\r\n" + switching("")[34:]
		if _, c, err := dialRaw(t, "ws://example.com", answer, &websocket.DialOptions{MaxHandshakeSize: test.limit}); c != nil || err == nil {
			t.Errorf("a head of %d bytes: %v, %v", test.size, c, err)
		}
	}
}

// A context that ends bounds Dial at any stage, and nothing after it.
func TestDialContext(t *testing.T) {
	leavesNothing(t)
	for stage := range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		near, p := dialled(t, link{"client", "tcp"})
		go func() {
			if stage == 1 {
				p.wantHead()
			} else if stage == 2 {
				p.wantHead()
				p.write([]byte("HTTP/1.1 101 Swi"))
			}
			cancel()
		}()
		_, err := websocket.Dial(ctx, "ws://example.com", &websocket.DialOptions{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if stage == 0 {
				<-ctx.Done()
				near.Close()
				return nil, ctx.Err()
			}
			return near, nil
		}})
		wantIs(t, fmt.Sprint("Dial, stage ", stage), err, context.Canceled)
		io.Copy(io.Discard, p.conn) // to its end: the connection was closed
	}
	address := serve(t, websocket.Handler(echoAll, nil), nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c, err := websocket.Dial(ctx, "ws://"+address, nil)
	cancel()
	wantEchoAndClose(t, c, err)
}

// Frames that came in one packet with the response are not lost.
func TestDialTakesWhatCameAlong(t *testing.T) {
	leavesNothing(t)
	answer := strings.Replace(switching(""), acceptFor(""), "ACCEPT", 1) + "\x81\x05early\x88\x02\x03\xe8"
	_, c, err := dialRaw(t, "ws://example.com", answer, &websocket.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantMessage(t, c, "early")
	wantNoMessage(t, c)
	<-c.Closed()
	if r := c.Response(); r.StatusCode != 101 || r.Header.Get("Upgrade") != "websocket" {
		t.Errorf("response is %+v", r)
	}
}

func TestDialMisuse(t *testing.T) {
	leavesNothing(t)
	for _, url := range []string{"", "example.com", "ftp://example.com", "ws://", "ws://exa mple.com", "ws://example.com:99999", "/path", "ws://example.com/#fragment"} {
		_, err := websocket.Dial(t.Context(), url, nil)
		wantUsage(t, "Dial "+url, err)
		wantUsage(t, "Open "+url, wantClosed(t, websocket.Open(url, nil), 1006).Err)
	}
	for name, options := range map[string]*websocket.DialOptions{
		"a header with a line end":  {Header: http.Header{"X": {"a\r\nb: c"}}},
		"a name with a line end":    {Header: http.Header{"X\n": {"a"}}},
		"a header of the handshake": {Header: http.Header{"Sec-WebSocket-Key": {"a"}}},
		"a host with a line end":    {Host: "a\r\nb"},
		"a subprotocol twice":       {Subprotocols: []string{"a", "a"}},
		"a subprotocol of no token": {Subprotocols: []string{"a b"}},
	} {
		_, err := websocket.Dial(t.Context(), "ws://127.0.0.1:1", options)
		wantUsage(t, name, err)
	}
}
