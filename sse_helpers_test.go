package websocket

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A pipeListener is a network in memory, without buffers: a write waits for its
// reader. It works inside a synctest bubble.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// servePipe serves h in memory; the client ends with the test.
func servePipe(t *testing.T, server *http.Server) (*http.Client, *pipeListener) {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	served := make(chan struct{})
	go func() { defer close(served); server.Serve(l) }()
	tr := &http.Transport{DialContext: l.dial}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		server.Close()
		<-served
	})
	return &http.Client{Transport: tr}, l
}

// serveBoth runs the test over HTTP/1.1 and HTTP/2, on the loopback interface.
func serveBoth(t *testing.T, test func(t *testing.T, start func(http.Handler) *httptest.Server)) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			test(t, func(h http.Handler) *httptest.Server {
				return startServer(t, proto, h, nil)
			})
		})
	}
}

func startServer(t *testing.T, proto string, h http.Handler, configure func(*http.Server)) *httptest.Server {
	checked := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Proto != proto {
			t.Errorf("the request came over %s, want %s", r.Proto, proto)
		}
		h.ServeHTTP(w, r)
	})
	s := httptest.NewUnstartedServer(checked)
	if configure != nil {
		configure(s.Config)
	}
	if proto == "HTTP/2.0" {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.Client().CloseIdleConnections()
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// A reader reads a response line by line.
type lineReader struct {
	t    *testing.T
	resp *http.Response
	buf  *bufio.Reader
}

func get(t *testing.T, c *http.Client, url string, header ...string) *lineReader {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return &lineReader{t: t, resp: resp, buf: bufio.NewReader(resp.Body)}
}

// want reads exactly the text.
func (r *lineReader) want(text string) {
	r.t.Helper()
	got := make([]byte, len(text))
	n, err := io.ReadFull(r.buf, got)
	if err != nil || string(got) != text {
		r.t.Fatalf("got %q, %v\nwant %q", got[:n], err, text)
	}
}

func (r *lineReader) wantEnd() {
	r.t.Helper()
	if rest, err := io.ReadAll(r.buf); err != nil || len(rest) > 0 {
		r.t.Fatalf("got %q, %v, want the end", rest, err)
	}
}

// wantClosed wants one event on a Closed channel, and no more.
func wantClosed(t *testing.T, closed <-chan CloseEvent, code StatusCode, clean bool) CloseEvent {
	t.Helper()
	select {
	case ev, ok := <-closed:
		if !ok || ev.Code != code || ev.Clean != clean || (ev.Err == nil) != clean {
			t.Fatalf("closed with %+v, %v, want %d", ev, ok, code)
		}
		if again, ok := <-closed; ok {
			t.Fatalf("closed twice: %+v", again)
		}
		return ev
	case <-time.After(time.Minute):
		t.Fatal("not closed")
	}
	panic("unreachable")
}

// A recorder is a ResponseWriter in memory that counts, and blocks on demand.
type recorder struct {
	header http.Header
	gate   chan struct{} // if not nil, each Write takes one from it

	mu      sync.Mutex
	writes  []string
	flushes int
	status  int
	fail    error
}

func newRecorder() *recorder { return &recorder{header: http.Header{}} }

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = status
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.gate != nil {
		<-w.gate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return 0, w.fail
	}
	w.writes = append(w.writes, string(b))
	return len(b), nil
}

func (w *recorder) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushes++
	return nil
}

func (w *recorder) SetWriteDeadline(time.Time) error { return nil }

func (w *recorder) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.writes, "")
}

// accept makes an EventSource on a recorder; end is the end of its request.
func accept(t *testing.T, w http.ResponseWriter, opts *EventSourceOptions) (es *EventSource, end context.CancelFunc) {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	es, err := AcceptEventSource(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		es.Abort()
		if r, ok := w.(*recorder); ok && r.gate != nil {
			close(r.gate)
		}
		<-es.done
		end()
	})
	return es, end
}
