package websocket_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/chanws/websocket"
	wshttp2 "github.com/chanws/websocket/negotiate/http2"
	_ "github.com/chanws/websocket/negotiate/http2/xconnect" // for all of this test binary
	"golang.org/x/net/http2"
)

// streams are the links of HTTP/2. Their peers see the bytes of one stream.
var streams = []link{{"server", "h2"}, {"client", "h2"}}

// openStream is open for a stream of HTTP/2.
func openStream(t testing.TB, l link, opts websocket.AcceptOptions) (*websocket.Conn, *peer) {
	t.Helper()
	if l.role == "server" {
		return acceptedStream(t, opts)
	}
	return dialledStream(t, opts)
}

// An untilLogged is done when a message is logged: of the channels of a connection
// none tells of its end without taking something from the test.
type untilLogged struct {
	message string
	done    chan struct{}
}

func (u *untilLogged) Enabled(context.Context, slog.Level) bool { return true }
func (u *untilLogged) WithAttrs([]slog.Attr) slog.Handler       { return u }
func (u *untilLogged) WithGroup(string) slog.Handler            { return u }

func (u *untilLogged) Handle(_ context.Context, r slog.Record) error {
	if r.Message == u.message {
		close(u.done)
	}
	return nil
}

// h2Server serves HTTP/2, and is gone with the test.
func h2Server(t testing.TB, handler http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.EnableHTTP2 = true
	s.Config.HTTP2 = websocket.HTTP2Config()
	s.Config.HTTP2.MaxReceiveBufferPerStream = 1 << 20 // room for a peer that waits for nobody
	s.StartTLS()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// acceptedStream has the server of net/http accept what a client of bytes asks for.
func acceptedStream(t testing.TB, opts websocket.AcceptOptions) (*websocket.Conn, *peer) {
	t.Helper()
	accepted := make(chan *websocket.Conn, 1)
	ended := &untilLogged{"websocket closed", make(chan struct{})}
	opts.Logger = slog.New(ended)
	s := h2Server(t, websocket.Handler(func(c *websocket.Conn) {
		accepted <- c
		<-ended.done // the test receives, not this
	}, &opts))
	client := &http2.Transport{TLSClientConfig: trustingServer(s), DisableCompression: true}
	t.Cleanup(client.CloseIdleConnections)
	conn, response := connectStream(t, client, s.URL, http.Header{"Sec-Websocket-Version": {"13"}})
	if response.StatusCode != 200 {
		t.Fatalf("status %d", response.StatusCode)
	}
	return <-accepted, &peer{t: t, conn: conn, raw: conn, in: bufio.NewReader(conn), masks: true}
}

// connectStream sends an extended CONNECT.
func connectStream(t testing.TB, client http.RoundTripper, url string, header http.Header) (*tunnel, *http.Response) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	out, in := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, "CONNECT", url+"/chat", out)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	if r.Header[":protocol"] == nil {
		r.Header[":protocol"] = []string{"websocket"}
	}
	response, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	return &tunnel{in: response.Body, out: in, end: in.Close, abort: func() { cancel(); response.Body.Close() }}, response
}

// dialledStream has the client open a stream to a server of bytes.
func dialledStream(t testing.TB, opts websocket.AcceptOptions) (*websocket.Conn, *peer) {
	t.Helper()
	peers := make(chan *tunnel, 1)
	s := h2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		control.Flush()
		how := make(chan error, 2)
		var mu sync.Mutex
		peers <- &tunnel{
			in:    r.Body,
			out:   writerFunc(func(b []byte) (int, error) { return writeFlushed(&mu, w, control, b, r.Context()) }),
			end:   func() error { how <- nil; return nil },
			abort: func() { how <- http.ErrAbortHandler },
		}
		var err error
		select {
		case err = <-how:
		case <-r.Context().Done():
		}
		control.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		mu.Lock() // the response is used by nobody any more
		if err != nil {
			panic(err)
		}
	}))
	transport := &wshttp2.Transport{TLSConfig: trustingServer(s)}
	t.Cleanup(transport.CloseIdleConnections)
	dialOptions := clientOptions(opts, nil)
	dialOptions.RoundTripper = transport
	c, err := websocket.Dial(context.Background(), "wss"+s.URL[len("https"):]+"/chat", dialOptions)
	if err != nil {
		t.Fatal(err)
	}
	conn := <-peers
	t.Cleanup(func() { conn.Close() })
	return c, &peer{t: t, conn: conn, raw: conn, in: bufio.NewReader(conn)}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// writeFlushed writes to a response as long as its request goes on.
func writeFlushed(mu *sync.Mutex, w io.Writer, control *http.ResponseController, b []byte, request context.Context) (int, error) {
	if !mu.TryLock() {
		return 0, net.ErrClosed
	}
	defer mu.Unlock()
	if request.Err() != nil {
		return 0, net.ErrClosed
	}
	n, err := w.Write(b)
	if err == nil {
		err = control.Flush()
	}
	return n, err
}

// A tunnel is a stream as a net.Conn, for the peer.
type tunnel struct {
	in    io.ReadCloser
	out   io.Writer
	end   func() error // of our side, in order
	abort func()

	once  sync.Once
	timer *time.Timer
}

func (c *tunnel) Read(b []byte) (int, error)  { return c.in.Read(b) }
func (c *tunnel) Write(b []byte) (int, error) { return c.out.Write(b) }
func (c *tunnel) LocalAddr() net.Addr         { return nil }
func (c *tunnel) RemoteAddr() net.Addr        { return nil }

func (c *tunnel) Close() error {
	c.once.Do(func() { c.end() })
	return nil
}

// SetReadDeadline, as no test waits for one to expire, ends everything.
func (c *tunnel) SetReadDeadline(d time.Time) error {
	if c.timer == nil {
		c.timer = time.AfterFunc(time.Until(d), c.abort)
	}
	c.timer.Reset(time.Until(d))
	return nil
}

func (c *tunnel) SetWriteDeadline(time.Time) error { return nil }
func (c *tunnel) SetDeadline(time.Time) error      { return nil }
