package websocket_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/negotiate"
	wshttp2 "github.com/chanws/websocket/negotiate/http2"
	"golang.org/x/net/http2"
)

// rawClient speaks HTTP/2 to a test server, and knows nothing of WebSocket.
func rawClient(t testing.TB, s *httptest.Server) *http2.Transport {
	c := &http2.Transport{TLSClientConfig: trustingServer(s), DisableCompression: true}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func trustingServer(s *httptest.Server) *tls.Config {
	return &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
}

// dialH2 opens a WebSocket to a test server over HTTP/2, with options.
func dialH2(t testing.TB, s *httptest.Server, opts websocket.DialOptions) (*websocket.Conn, error) {
	transport := &wshttp2.Transport{TLSConfig: trustingServer(s)}
	t.Cleanup(transport.CloseIdleConnections)
	opts.RoundTripper = transport
	return websocket.Dial(t.Context(), "wss"+s.URL[len("https"):]+"/chat", &opts)
}

func TestStreamRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		method string
		header http.Header
		status int
		sent   string // a header of the response
	}{
		{"other protocol", "CONNECT", http.Header{":protocol": {"connect-udp"}, "Sec-Websocket-Version": {"13"}}, 501, ""},
		{"no version", "CONNECT", http.Header{":protocol": {"websocket"}}, 400, "Sec-Websocket-Version"},
		{"other version", "CONNECT", http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"8"}}, 400, "Sec-Websocket-Version"},
		{"origin", "CONNECT", http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Origin": {"https://evil.example"}}, 403, ""},
		{"GET", "GET", http.Header{"Sec-Websocket-Version": {"13"}}, 405, "Allow"},
	} {
		t.Run(test.name, func(t *testing.T) {
			leavesNothing(t)
			s := h2Server(t, websocket.Handler(func(*websocket.Conn) { t.Error("accepted") }, nil))
			r, err := http.NewRequest(test.method, s.URL+"/chat", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = test.header
			response, err := rawClient(t, s).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != test.status || test.sent != "" && response.Header.Get(test.sent) == "" {
				t.Errorf("status %d, header %v, want %d with %q", response.StatusCode, response.Header, test.status, test.sent)
			}
		})
	}
}

func TestStreamAgreement(t *testing.T) {
	leavesNothing(t)
	s := h2Server(t, websocket.Handler(func(c *websocket.Conn) {
		r := c.Request()
		c.Send(r.Context(), websocket.Text(fmt.Sprintf("%s %s %d %s %s", r.Method, c.URL(), r.ProtoMajor, c.Subprotocol(), c.Version())))
		<-c.Messages()
	}, &websocket.AcceptOptions{Subprotocols: []string{"b"}, Header: http.Header{"X-Own": {"1"}}}))
	c, err := dialH2(t, s, websocket.DialOptions{Subprotocols: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	wantMessage(t, c, "CONNECT wss"+s.URL[len("https"):]+"/chat 2 b hybi-13")
	if r := c.Response(); r.StatusCode != 200 || r.ProtoMajor != 2 || r.Header.Get("X-Own") != "1" || c.Subprotocol() != "b" {
		t.Errorf("response %+v, subprotocol %q", r, c.Subprotocol())
	}
	if got := c.RemoteAddr().String(); got != s.Listener.Addr().String() || c.LocalAddr() == nil {
		t.Errorf("addresses %v, %v", c.LocalAddr(), got)
	}
	if err := c.Close(t.Context(), 1000, ""); err != nil {
		t.Error(err)
	}
}

func TestStreamRefusalReachesTheClient(t *testing.T) {
	leavesNothing(t)
	s := h2Server(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Own", "1")
		http.Error(w, strings.Repeat("no", 1000), http.StatusForbidden)
	}))
	c, err := dialH2(t, s, websocket.DialOptions{})
	var failed *websocket.HandshakeError
	var rule *negotiate.ResponseError
	if c != nil || !errors.As(err, &failed) || !errors.As(err, &rule) {
		t.Fatalf("%v, %v", c, err)
	}
	if failed.Status != 403 || failed.Header.Get("X-Own") != "1" || len(failed.Body) != 1024 {
		t.Errorf("%d %v, %d bytes", failed.Status, failed.Header, len(failed.Body))
	}
}

// Middleware may hide what the response can do. That is answered, since the status
// is not written before it is known.
func TestStreamWriterThatCanNotFlush(t *testing.T) {
	leavesNothing(t)
	s := h2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(struct{ http.ResponseWriter }{w}, r, nil)
		if c != nil || !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("%v, %v, want ErrNotSupported", c, err)
		}
	}))
	_, err := dialH2(t, s, websocket.DialOptions{})
	var failed *websocket.HandshakeError
	if !errors.As(err, &failed) || failed.Status != 500 {
		t.Errorf("%v, want status 500", err)
	}
}

// A handler that returns early ends the connection, and nothing touches its response
// after that.
func TestStreamHandlerReturnsEarly(t *testing.T) {
	for name, before := range map[string]func(c *websocket.Conn){
		"at once":       func(*websocket.Conn) {},
		"after sending": func(c *websocket.Conn) { c.TrySend(websocket.Text("x")); c.Flush(context.Background()) },
		"aborted":       func(c *websocket.Conn) { c.Abort() },
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			accepted := make(chan *websocket.Conn, 1)
			s := h2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := websocket.Accept(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				before(c)
				accepted <- c
			}))
			var logged lockedBuffer
			s.Config.ErrorLog = log.New(&logged, "", 0)
			for range 20 {
				client, err := dialH2(t, s, websocket.DialOptions{})
				c := <-accepted
				<-c.Request().Context().Done()
				for err := error(nil); err == nil; err = c.Send(context.Background(), websocket.Text("late")) {
				}
				if _, err := c.Ping(context.Background(), nil); err == nil {
					t.Error("Ping: no error")
				}
				if e := wantClosed(t, c, 1006); e.Err == nil {
					t.Errorf("closed with %+v", e)
				}
				if err == nil { // else the reset was faster than the response
					wantAnyClose(t, client)
				}
			}
			if s := logged.String(); s != "" {
				t.Errorf("the server logged %q", s)
			}
		})
	}
}

// With Hold a handler may return early, as it may over HTTP/1.1.
func TestHold(t *testing.T) {
	leavesNothing(t)
	s := h2Server(t, websocket.Hold(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		c.TrySend(websocket.Binary(make([]byte, 2<<20))) // is being written when the handler returns
		go echoUnlessDeaf(c)
	})))
	for range 10 {
		c, err := dialH2(t, s, websocket.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(t.Context(), websocket.Text("hello")); err != nil {
			t.Error(err)
		}
		wantMessage(t, c, string(make([]byte, 2<<20)))
		wantMessage(t, c, "hello")
		if err := c.Close(t.Context(), 1000, ""); err != nil {
			t.Error(err)
		}
	}
}

func wantAnyClose(t *testing.T, c *websocket.Conn) {
	t.Helper()
	for range c.Messages() {
	}
	select {
	case <-c.Closed():
	case <-time.After(patience):
		t.Error("not closed")
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// Handler waits for the connection even where the application panics.
func TestStreamHandlerPanics(t *testing.T) {
	leavesNothing(t)
	s := h2Server(t, websocket.Handler(func(c *websocket.Conn) {
		<-c.Messages() // the client has the response, which the panic would overtake
		c.TrySend(websocket.Binary(make([]byte, 3<<20)))
		panic(http.ErrAbortHandler)
	}, nil))
	c, err := dialH2(t, s, websocket.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), websocket.Text("now")); err != nil {
		t.Fatal(err)
	}
	for range c.Messages() {
	}
	wantClosed(t, c, 1006)
}

// The timeouts of the server are for requests that end.
func TestStreamOutlivesServerTimeouts(t *testing.T) {
	leavesNothing(t)
	s := httptest.NewUnstartedServer(websocket.Handler(echoUnlessDeaf, nil))
	s.EnableHTTP2 = true
	const timeout = 300 * time.Millisecond // enough for a handshake of TLS on a machine with much else to do
	s.Config.ReadTimeout, s.Config.WriteTimeout, s.Config.IdleTimeout = timeout, timeout, timeout
	s.StartTLS()
	t.Cleanup(s.Close)
	c, err := dialH2(t, s, websocket.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(3 * timeout) // in the server's real time
	if err := c.Send(t.Context(), websocket.Binary([]byte("still here"))); err != nil {
		t.Error(err)
	}
	wantMessage(t, c, "still here")
	if err := c.Close(t.Context(), 1000, ""); err != nil {
		t.Error(err)
	}
}

// Frames may be divided into DATA frames in any way.
func TestStreamFramesInPieces(t *testing.T) {
	on(t, streams, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		frames := append(p.encode(0x81, []byte(strings.Repeat("x", 200))), p.encode(0x89, []byte("ping"))...)
		frames = append(frames, p.encode(0x88, []byte(closePayload(1000, "bye")))...)
		for i := range frames {
			p.write(frames[i : i+1])
		}
		wantMessage(t, c, strings.Repeat("x", 200))
		p.wantFrame(0x8a, "ping")
		p.wantClose(1000)
		p.hangUp()
		wantClosed(t, c, 1000)
	})
}

// A request that ends with its headers opens a connection that is over.
func TestStreamWithoutABody(t *testing.T) {
	leavesNothing(t)
	ended := make(chan websocket.CloseEvent, 1)
	s := h2Server(t, websocket.Handler(func(c *websocket.Conn) { ended <- <-c.Closed() }, nil))
	r, err := http.NewRequest("CONNECT", s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}}
	response, err := rawClient(t, s).RoundTrip(r)
	if err != nil || response.StatusCode != 200 {
		t.Fatal(err, response)
	}
	defer response.Body.Close() // before Accept is done it would fail for that
	if e := wantResult(t, "the handler", ended); e.Code != 1006 || e.Err == nil {
		t.Errorf("closed with %+v", e)
	}
}

// Abort resets the stream. A client does it with CANCEL; the server of net/http has
// only INTERNAL_ERROR for it, and that of quic-go no way at all: the stream ends.
func TestStreamAbortResets(t *testing.T) {
	on(t, streams, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		if err := c.Send(t.Context(), websocket.Text("x")); err != nil {
			t.Fatal(err)
		}
		p.wantFrame(0x81, "x")
		c.Abort()
		_, err := p.readFrame()
		want := map[link]string{
			{"client", "h2"}: "CANCEL",
			{"server", "h2"}: "INTERNAL_ERROR",
			{"client", "h3"}: "H3_", // quic-go's server may be faster with a code of its own
			{"server", "h3"}: "EOF",
		}[l]
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the peer got %v, want %s", err, want)
		}
		wantClosed(t, c, 1006)
	})
}

// With the settings of net/http a handler that does not receive stops all others of
// its connection after 1 MiB; with HTTP2Config it does not.
func TestHTTP2Config(t *testing.T) {
	for _, test := range []struct {
		name   string
		config *http.HTTP2Config
		want   string
	}{
		{"default", nil, "stalled"},
		{"HTTP2Config", websocket.HTTP2Config(), "answered"},
	} {
		t.Run(test.name, func(t *testing.T) {
			leavesNothing(t)
			var serving sync.WaitGroup // the deaf one has a second after its end
			t.Cleanup(serving.Wait)
			echo := websocket.Handler(echoUnlessDeaf, nil)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				serving.Add(1)
				defer serving.Done()
				echo.ServeHTTP(w, r)
			}))
			s.EnableHTTP2 = true
			s.Config.HTTP2 = test.config
			s.StartTLS()
			t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
			transport := &wshttp2.Transport{TLSConfig: trustingServer(s)}
			t.Cleanup(transport.CloseIdleConnections)
			opts := &websocket.DialOptions{RoundTripper: transport}
			url := "wss" + s.URL[len("https"):]
			deaf, err := websocket.Dial(t.Context(), url+"/deaf", opts)
			if err != nil {
				t.Fatal(err)
			}
			other, err := websocket.Dial(t.Context(), url, opts)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, deaf, 64<<10)
			got := "stalled"
			if err := other.Send(t.Context(), websocket.Text("hello")); err != nil {
				t.Error(err)
			}
			select {
			case <-other.Messages():
				got = "answered"
			case <-time.After(300 * time.Millisecond):
			}
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			other.Abort()
			deaf.Abort()
			wantAnyClose(t, other)
			wantAnyClose(t, deaf)
		})
	}
}

// echoUnlessDeaf echoes, or receives nothing where the path says so.
func echoUnlessDeaf(c *websocket.Conn) {
	if c.URL().Path == "/deaf" {
		<-c.Request().Context().Done()
		return
	}
	for m := range c.Messages() {
		if c.Send(context.Background(), m) != nil {
			return
		}
	}
}

// The context of a dial bounds the handshake, and then has no effect.
func TestStreamContextOfDial(t *testing.T) {
	leavesNothing(t)
	s := h2Server(t, websocket.Handler(echoUnlessDeaf, nil))
	ctx, cancel := context.WithCancel(t.Context())
	transport := &wshttp2.Transport{TLSConfig: trustingServer(s)}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := websocket.Dial(ctx, "wss"+s.URL[len("https"):], &websocket.DialOptions{RoundTripper: transport})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := c.Send(t.Context(), websocket.Text("still here")); err != nil {
		t.Error(err)
	}
	wantMessage(t, c, "still here")
	if err := c.Close(t.Context(), 1000, ""); err != nil {
		t.Error(err)
	}
}

func TestStreamDialInterrupted(t *testing.T) {
	leavesNothing(t)
	asked := make(chan struct{})
	s := h2Server(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	transport := &wshttp2.Transport{TLSConfig: trustingServer(s)}
	t.Cleanup(transport.CloseIdleConnections)
	go func() { <-asked; cancel() }()
	c, err := websocket.Dial(ctx, "wss"+s.URL[len("https"):], &websocket.DialOptions{RoundTripper: transport})
	if c != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", c, err)
	}
}

// Redirects are followed over streams as over HTTP/1.1.
func TestStreamRedirect(t *testing.T) {
	leavesNothing(t)
	s := h2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/there":
			websocket.Handler(echoUnlessDeaf, nil).ServeHTTP(w, r)
		case "/circle/chat":
			w.Header().Set("Location", r.URL.Path)
			w.WriteHeader(http.StatusTemporaryRedirect)
		default:
			w.Header().Set("Location", "/there")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	}))
	c, err := dialH2(t, s, websocket.DialOptions{MaxRedirects: 1})
	if err != nil {
		t.Fatal(err)
	}
	if c.URL().Path != "/there" {
		t.Errorf("it led to %v", c.URL())
	}
	if err := c.Close(t.Context(), 1000, ""); err != nil {
		t.Error(err)
	}

	var failed *websocket.HandshakeError
	var redirect *websocket.RedirectError
	if _, err := dialH2(t, s, websocket.DialOptions{}); !errors.As(err, &failed) || failed.Status != 307 || errors.As(err, &redirect) {
		t.Errorf("not asked to follow: %v", err)
	}
	s.URL += "/circle"
	if _, err := dialH2(t, s, websocket.DialOptions{MaxRedirects: 3}); !errors.As(err, &failed) || failed.Status != 307 || !errors.As(err, &redirect) {
		t.Errorf("in a circle: %v", err)
	}
}

// A cancelJar ends a context when it is given cookies, and lets that take effect.
type cancelJar struct{ cancel context.CancelFunc }

func (cancelJar) Cookies(*url.URL) []*http.Cookie { return nil }

func (j cancelJar) SetCookies(*url.URL, []*http.Cookie) {
	j.cancel()
	time.Sleep(20 * time.Millisecond)
}

// Who ends the context does not wait for the rest of a refusal.
func TestDialInterruptedInARefusal(t *testing.T) {
	leavesNothing(t)
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(http.StatusForbidden)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	h1 := httptest.NewServer(refuse)
	defer h1.Close()
	for name, dial := range map[string]func(context.Context, websocket.DialOptions) (*websocket.Conn, error){
		"HTTP/1.1": func(ctx context.Context, opts websocket.DialOptions) (*websocket.Conn, error) {
			return websocket.Dial(ctx, h1.URL, &opts)
		},
		"HTTP/2": func(ctx context.Context, opts websocket.DialOptions) (*websocket.Conn, error) {
			s := h2Server(t, refuse)
			transport := &wshttp2.Transport{TLSConfig: trustingServer(s)}
			t.Cleanup(transport.CloseIdleConnections)
			opts.RoundTripper = transport
			return websocket.Dial(ctx, s.URL, &opts)
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		c, err := dial(ctx, websocket.DialOptions{Jar: cancelJar{cancel}})
		if c != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
		if d := time.Since(began); d > 900*time.Millisecond {
			t.Errorf("%s: it took %v", name, d)
		}
	}
}

// A large message over a stream: both ways, written from where it lies.
func TestStreamLargeMessages(t *testing.T) {
	leavesNothing(t)
	s := h2Server(t, websocket.Handler(echoUnlessDeaf, nil))
	c, err := dialH2(t, s, websocket.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 125, 126, 4 << 10, 16 << 10, 32 << 10, 1 << 20, 3 << 20} {
		data := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		if err := c.Send(t.Context(), websocket.Binary(data)); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-c.Messages():
			if !bytes.Equal(m.Data, data) {
				t.Errorf("%d bytes came back as %d", size, len(m.Data))
			}
			m.Release()
		case <-time.After(patience):
			t.Fatalf("%d bytes did not come back", size)
		}
	}
	if err := c.Close(t.Context(), 1000, ""); err != nil {
		t.Error(err)
	}
}

// What only HTTP/2 can say is refused in HTTP/1.1, by net/http or here.
func TestForgedProtocolOverHTTP1(t *testing.T) {
	leavesNothing(t)
	s := httptest.NewServer(websocket.Handler(func(*websocket.Conn) { t.Error("accepted") }, nil))
	defer s.Close()
	for request, want := range map[string]string{
		"CONNECT /chat HTTP/1.1\r\nHost: x\r\n:protocol: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n": "400",
		"CONNECT /chat HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Version: 13\r\n\r\n":                         "405",
	} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, request)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || fmt.Sprint(response.StatusCode) != want {
			t.Errorf("%q: %v, %v, want %s", request, response, err, want)
		}
		conn.Close()
	}
}
