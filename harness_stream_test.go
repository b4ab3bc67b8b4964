package websocket_test

import (
	"bufio"
	"context"
	"crypto/tls"
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

// streams are the links of HTTP/2. Their peers see the bytes of one stream. The module
// examples/http3 runs these tests with those of HTTP/3 beside them: see there.
var streams = []link{{"server", "h2"}, {"client", "h2"}}

// A carrier makes streams of a version of HTTP.
type carrier struct {
	serve  func(t testing.TB, handler http.Handler) (url string) // https
	raw    func(t testing.TB) http.RoundTripper                  // knows nothing of WebSocket
	client func(t testing.TB) http.RoundTripper                  // for DialOptions
}

var carriers = map[string]carrier{"h2": {
	serve: func(t testing.TB, handler http.Handler) string { return h2Server(t, handler).URL },
	raw: func(t testing.TB) http.RoundTripper {
		c := &http2.Transport{TLSClientConfig: trustingAll(), DisableCompression: true}
		t.Cleanup(c.CloseIdleConnections)
		return c
	},
	client: func(t testing.TB) http.RoundTripper {
		c := &wshttp2.Transport{TLSConfig: trustingAll()}
		t.Cleanup(c.CloseIdleConnections)
		return c
	},
}}

// trustingAll trusts the one certificate that all test servers have.
func trustingAll() *tls.Config { return &tls.Config{RootCAs: certificates().roots} }

// open is open for a stream.
func (by carrier) open(t testing.TB, l link, opts websocket.AcceptOptions) (*websocket.Conn, *peer) {
	t.Helper()
	if l.role == "server" {
		return by.accepted(t, opts)
	}
	return by.dialled(t, opts)
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

// accepted has a server accept what a client of bytes asks for.
func (by carrier) accepted(t testing.TB, opts websocket.AcceptOptions) (*websocket.Conn, *peer) {
	t.Helper()
	accepted := make(chan *websocket.Conn, 1)
	ended := &untilLogged{"websocket closed", make(chan struct{})}
	opts.Logger = slog.New(ended)
	url := by.serve(t, websocket.Handler(func(c *websocket.Conn) {
		accepted <- c
		<-ended.done // the test receives, not this
	}, &opts))
	conn, response := connectStream(t, by.raw(t), url, http.Header{"Sec-Websocket-Version": {"13"}})
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
	t.Cleanup(func() { in.Close() }) // quic-go does not, when it is done with it
	r, err := http.NewRequestWithContext(ctx, "CONNECT", url+"/chat", out)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	r.Proto = "websocket" // as quic-go takes it
	if _, ok := client.(*http2.Transport); ok && r.Header[":protocol"] == nil {
		r.Header[":protocol"] = []string{"websocket"}
	}
	response, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	return &tunnel{in: response.Body, out: in, end: in.Close, abort: func() { cancel(); response.Body.Close() }}, response
}

// dialled has the client open a stream to a server of bytes.
func (by carrier) dialled(t testing.TB, opts websocket.AcceptOptions) (*websocket.Conn, *peer) {
	t.Helper()
	peers := make(chan *tunnel, 1)
	url := by.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	dialOptions := clientOptions(opts, nil)
	dialOptions.RoundTripper = by.client(t)
	c, err := websocket.Dial(context.Background(), "wss"+url[len("https"):]+"/chat", dialOptions)
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
