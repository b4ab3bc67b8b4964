package websocket_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chanws/websocket"
)

// serve runs an HTTP server for the test.
func serve(t *testing.T, h http.Handler, change func(*http.Server)) (address string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	if change != nil {
		change(s.Config)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// call makes a raw connection to a server, which plays the peer.
func call(t *testing.T, address string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &peer{t: t, conn: conn, raw: conn, in: bufio.NewReader(conn), masks: true}
}

// echoAll sends back what comes.
func echoAll(c *websocket.Conn) {
	for m := range c.Messages() {
		if c.Send(context.Background(), m) != nil {
			return
		}
		m.Release()
	}
}

// wrapped is the writer of some middleware, which unwraps.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestAcceptThroughMiddleware(t *testing.T) {
	leavesNothing(t)
	inner := websocket.Handler(echoAll, nil)
	p := call(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(wrapped{wrapped{w}}, r)
	}), nil))
	p.write([]byte(sampleRequest))
	if h := p.wantHead(); h.Get("Sec-WebSocket-Accept") != acceptFor(sampleKey) {
		t.Errorf("got %v", h)
	}
	p.sendFrame(0x81, "through")
	p.wantFrame(0x81, "through")
	p.sendClose(1000, "")
	p.wantClose(1000)
	p.wantEOF()
}

// A writer that can not be taken over is answered with an error.
func TestAcceptWithoutHijacker(t *testing.T) {
	leavesNothing(t)
	w := httptest.NewRecorder()
	c, err := websocket.Accept(w, upgradeRequest(t), nil)
	var failed *websocket.HandshakeError
	if c != nil || !errors.As(err, &failed) || failed.Status != 500 || w.Code != 500 || w.Body.Len() == 0 {
		t.Errorf("got %v, %v, %d %q", c, err, w.Code, w.Body)
	}
	wantIs(t, "Accept", err, http.ErrNotSupported)
}

// Frames that came in one packet with the request are not lost.
func TestAcceptTakesWhatCameAlong(t *testing.T) {
	leavesNothing(t)
	p := call(t, serve(t, websocket.Handler(echoAll, nil), nil))
	b := append([]byte(sampleRequest), p.encode(0x81, []byte("early"))...)
	b = append(b, p.encode(0x82, []byte(strings.Repeat("x", 3000)))...)
	last := p.encode(0x81, []byte("cut in two"))
	p.write(append(b, last[:7]...))
	p.wantHead()
	p.wantFrame(0x81, "early")
	p.wantFrame(0x82, strings.Repeat("x", 3000))
	p.write(last[7:])
	p.wantFrame(0x81, "cut in two")
	p.sendClose(1000, "")
	p.wantClose(1000)
	p.wantEOF()
}

// Deadlines of the server are for its requests, and cleared.
func TestAcceptClearsDeadlines(t *testing.T) {
	leavesNothing(t)
	const limit = 500 * time.Millisecond // for a busy machine to take the request in
	p := call(t, serve(t, websocket.Handler(echoAll, &websocket.AcceptOptions{HandshakeTimeout: limit}), func(s *http.Server) {
		s.ReadTimeout, s.WriteTimeout, s.ReadHeaderTimeout, s.IdleTimeout = limit, limit, limit, limit
	}))
	p.write([]byte(sampleRequest))
	p.wantHead()
	<-time.After(limit + limit/2)
	p.sendFrame(0x81, "still here")
	p.wantFrame(0x81, "still here")
	p.sendClose(1000, "")
	p.wantClose(1000)
	p.wantEOF()
}

// A request that is not right is answered, with a reason, and left to net/http.
func TestAcceptRefuses(t *testing.T) {
	for _, test := range []struct {
		name, from, to string
		status         int
		header, value  string
	}{
		{"method", "GET", "POST", 405, "Allow", "GET"},
		{"no Upgrade", "Upgrade: websocket\r\n", "", 426, "Upgrade", "websocket"},
		{"no Connection", "Connection: Upgrade\r\n", "", 400, "", ""},
		{"no key", "Sec-WebSocket-Key: " + sampleKey + "\r\n", "", 400, "", ""},
		{"short key", sampleKey, "AAAA", 400, "", ""},
		{"version 12", "Version: 13", "Version: 12", 426, "Sec-WebSocket-Version", "13"},
		{"no version", "Sec-WebSocket-Version: 13\r\n", "", 426, "Sec-WebSocket-Version", "13"},
		{"a body", "\r\n\r\n", "\r\nContent-Length: 6\r\n\r\n\x81\x80\x00\x00\x00\x00", 400, "", ""},
		{"a body in chunks", "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "", ""},
		{"another origin", "\r\n\r\n", "\r\nOrigin: http://elsewhere.com\r\n\r\n", 403, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			leavesNothing(t)
			refused := make(chan error, 1)
			p := call(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, err := websocket.Accept(w, r, nil)
				refused <- err
			}), nil))
			p.write([]byte(strings.Replace(sampleRequest, test.from, test.to, 1)))
			response, err := http.ReadResponse(p.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != test.status || len(body) < 5 || test.header != "" && response.Header.Get(test.header) != test.value {
				t.Errorf("got %v, %q, want %d", response, body, test.status)
			}
			var failed *websocket.HandshakeError
			if err := <-refused; !errors.As(err, &failed) || failed.Status != test.status || !strings.Contains(string(body), failed.Reason) {
				t.Errorf("Accept: %v", err)
			}
		})
	}
}

// Whatever middleware has put into a request, there is one.
func TestRequestAfterMiddleware(t *testing.T) {
	leavesNothing(t)
	accepted := make(chan *http.Request, 1)
	p := call(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-User", r.FormValue("user"))
		r.Header.Set("Host", "elsewhere.example")
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Abort()
		accepted <- c.Request()
	}), nil))
	p.write([]byte(strings.Replace(sampleRequest, "/chat", "/chat?user=a%00b", 1)))
	p.wantHead()
	r := <-accepted
	if r == nil {
		t.Fatal("no request")
	}
	if r.Host != "example.com" || r.URL.Path != "/chat" || r.Header.Get("X-User") != "a\x00b" {
		t.Errorf("host %q, path %q, header %q", r.Host, r.URL.Path, r.Header)
	}
}

// A request may be cut off at any byte.
func TestAcceptCutOff(t *testing.T) {
	leavesNothing(t)
	accepted := make(chan struct{}, 1000)
	address := serve(t, websocket.Handler(func(*websocket.Conn) { accepted <- struct{}{} }, nil), nil)
	for cut := range len(sampleRequest) {
		p := call(t, address)
		p.write([]byte(sampleRequest[:cut]))
		p.conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, p.conn)
		p.hangUp()
	}
	if len(accepted) > 0 {
		t.Errorf("%d parts of a request were accepted", len(accepted))
	}
}

// The handler holds the request until all is over, whatever serve does.
func TestHandler(t *testing.T) {
	for name, test := range map[string]struct {
		serve func(*websocket.Conn)
		code  int // 0 for none
	}{
		"returns at once":  {func(*websocket.Conn) {}, 1000},
		"closes":           {func(c *websocket.Conn) { c.Close(context.Background(), 4000, "") }, 4000},
		"panics":           {func(*websocket.Conn) { panic(http.ErrAbortHandler) }, 0},
		"aborts":           {func(c *websocket.Conn) { c.Abort() }, 0},
		"leaves a message": {func(c *websocket.Conn) { c.Send(context.Background(), websocket.Text("last")) }, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			kept := make(chan *websocket.Conn, 1)
			done := make(chan struct{})
			h := websocket.Handler(func(c *websocket.Conn) { kept <- c; test.serve(c) }, nil)
			p := call(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(done)
				h.ServeHTTP(w, r)
			}), nil))
			p.write([]byte(sampleRequest))
			p.wantHead()
			p.sendFrame(0x81, "nobody receives this")
			if name == "leaves a message" {
				p.wantFrame(0x81, "last")
			}
			if test.code > 0 {
				p.wantClose(test.code)
				select {
				case <-done:
					t.Error("the request is over before the connection")
				default:
				}
				p.sendClose(test.code, "")
			}
			p.wantEnd()
			<-done
			c := <-kept
			if s := c.State(); s != websocket.StateClosed {
				t.Errorf("state is %v after the handler", s)
			}
			<-c.Closed()
		})
	}
}

// What a connection keeps of its request.
func TestAcceptKeepsTheRequest(t *testing.T) {
	on(t, []link{{"server", "tcp"}, {"server", "tls"}}, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{Subprotocols: []string{"chat"}})
		if r := c.Request(); r.Host != "example.com" || r.URL.Path != "/chat" || c.Version() != "hybi-13" || c.Subprotocol() != "" || c.Response() != nil {
			t.Errorf("got %+v, %s, %q", r, c.Version(), c.Subprotocol())
		}
		if got := c.URL().String(); got != "ws://example.com/chat" { // the request says nothing of TLS
			t.Errorf("URL is %s", got)
		}
		c.Abort()
		p.wantEnd()
		wantClosed(t, c, 1006)
	})
}

// The copy of a request has the headers that the request had, whatever is in their
// values: middleware may have put there what came in another form.
func TestRequestCopyHoldsNoInjection(t *testing.T) {
	leavesNothing(t)
	near, p := dialled(t, link{"server", "pipe"})
	go p.wantHead()
	r := upgradeRequest(t)
	r.Header["X-User"] = []string{"me\r\nX-Admin: true\n\nGET"}
	r.Header["Content-Length"] = []string{"3"}
	c, err := websocket.Accept(&hijackable{conn: near}, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Request()
	if got == nil || got.Header.Get("X-Admin") != "" || !strings.HasPrefix(got.Header.Get("X-User"), "me") {
		t.Fatalf("got %+v", got)
	}
	if body, err := io.ReadAll(got.Body); len(body) > 0 || err != nil {
		t.Errorf("body %q, %v", body, err)
	}
	c.Abort()
	wantClosed(t, c, 1006)
}

// A lineWriter gives what is written to it, a Write at a time.
type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) { w <- string(p); return len(p), nil }

// The log tells of errors and ends, and not of what may be a secret.
func TestLogger(t *testing.T) {
	leavesNothing(t)
	lines := make(lineWriter, 10)
	logger := slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	accepted := make(chan *websocket.Conn, 1)
	p := call(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Logger: logger})
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}), nil))
	p.write([]byte(strings.Replace(sampleRequest, "/chat", "/chat?token=s3cret", 1)))
	p.wantHead()
	p.send("ff ff")
	p.wantClose(1002)
	p.hangUp()
	wantClosed(t, <-accepted, 1002)
	log := ""
	for !strings.Contains(log, "websocket closed") {
		log += wantResult(t, "the log", (chan string)(lines))
	}
	for _, want := range []string{"level=WARN", "protocol error 1002", "level=DEBUG", "code=1002", "clean=false", "url=ws://example.com/chat"} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the log:\n%s", want, log)
		}
	}
	if strings.Contains(log, "s3cret") {
		t.Errorf("the log tells a secret:\n%s", log)
	}
}

// What the application does itself is nothing to be warned of.
func TestLoggerDoesNotWarnOfAnAbort(t *testing.T) {
	leavesNothing(t)
	lines := make(lineWriter, 10)
	c, p := open(t, link{"server", "pipe"}, websocket.AcceptOptions{Logger: slog.New(slog.NewTextHandler(lines, nil))})
	c.Abort()
	wantClosed(t, c, 1006)
	p.hangUp()
	wantErrorAs[error](t, c) // which Errors tells of all the same
	select {
	case line := <-lines:
		t.Errorf("logged %q", line)
	default:
	}
}
