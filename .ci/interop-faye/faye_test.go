// Package interop runs the library against npm faye-websocket, the one that it is
// modelled on: its client against our server, its server against our client. It is
// run by .ci/faye.
//
// The drafts from before RFC 6455 are not in it: faye-websocket's client speaks
// hybi-13 alone, and so does our own, so that there is nobody to speak them to.
package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/negotiate"
	"github.com/chanws/websocket/negotiate/deflate"
)

// patience is how long anything may take that takes milliseconds.
const patience = 10 * time.Second

// limit is the most bytes of a message where there is a limit.
const limit = 1000

var sizes = []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20}

func extensions() []negotiate.Extension { return []negotiate.Extension{deflate.New(nil)} }

// start runs a program until the test ends, and gives the lines that it prints.
func start(t *testing.T, args ...string) <-chan string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", args...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			lines <- s.Text()
		}
		cmd.Wait()
	}()
	t.Cleanup(func() { <-ended })
	return lines
}

func nextLine(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line, ok := <-lines:
		if !ok {
			t.Fatal("the peer ended")
		}
		return line
	case <-time.After(patience):
		t.Fatal("no line from the peer")
	}
	return ""
}

// A counter counts the bytes of a connection.
type counter struct {
	net.Conn
	in, out atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Add(int64(n))
	return n, err
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.out.Add(int64(n))
	return n, err
}

type countingListener struct{ net.Listener }

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &counter{Conn: c}, nil
}

type counterKey struct{}

// A proxy takes CONNECT from user:secret and tells of the requests that it took.
type proxy struct {
	url   string
	taken chan *http.Request
}

func startProxy(t *testing.T) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{"http://user:secret@" + l.Addr().String(), make(chan *http.Request, 100)}
	var tunnels sync.WaitGroup
	tunnels.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tunnels.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		tunnels.Wait()
	})
	return p
}

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	from := bufio.NewReader(c)
	r, err := http.ReadRequest(from)
	if err != nil || r.Method != http.MethodConnect {
		io.WriteString(c, "HTTP/1.1 405 Method Not Allowed\r\n\r\n")
		return
	}
	if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("user:secret")) {
		io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
		return
	}
	to, err := net.Dial("tcp", r.Host)
	if err != nil {
		io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	defer to.Close()
	p.taken <- r
	io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	back := make(chan struct{})
	go func() {
		defer close(back)
		io.Copy(c, to)
		c.Close()
	}()
	io.Copy(to, from)
	to.Close()
	<-back
}

// A server is ours. /ended?id= tells how the connection that was opened with the id
// has ended.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	ended map[string]chan websocket.CloseEvent
}

func (s *server) event(id string) chan websocket.CloseEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended[id] == nil {
		s.ended[id] = make(chan websocket.CloseEvent, 1000)
	}
	return s.ended[id]
}

func newServer(t *testing.T) *server {
	s := &server{ended: make(map[string]chan websocket.CloseEvent)}
	mux := http.NewServeMux()
	handle := func(path string, opts websocket.AcceptOptions, serve func(*http.Request, *websocket.Conn)) {
		opts.Subprotocols = []string{"chat.v1", "chat.v2"}
		opts.Header = http.Header{"X-Server": {"ours"}, "Set-Cookie": {"server=ours; Path=/"}}
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, &opts)
			if err != nil {
				return
			}
			serve(r, ws)
			for m := range ws.Messages() {
				m.Release()
			}
			s.event(r.URL.Query().Get("id")) <- <-ws.Closed()
		})
	}
	ctx := t.Context()
	handle("/echo", websocket.AcceptOptions{}, echo)
	handle("/max", websocket.AcceptOptions{MaxMessageSize: limit, Extensions: extensions()}, echo)
	handle("/parts", websocket.AcceptOptions{}, func(r *http.Request, ws *websocket.Conn) {
		for i, part := range []string{"one ", "two ", "", "three"} {
			m := websocket.Text(part)
			m.Final = i == 3
			if err := ws.SendFragment(ctx, m); err != nil {
				t.Error(err)
			}
			if err := ws.Pong(ctx, []byte("between")); err != nil {
				t.Error(err)
			}
		}
	})
	handle("/large", websocket.AcceptOptions{Extensions: extensions()}, func(_ *http.Request, ws *websocket.Conn) {
		ws.Send(ctx, websocket.Text(strings.Repeat("x", limit)))
		ws.Send(ctx, websocket.Text(strings.Repeat("x", limit+1)))
	})
	handle("/deflate", websocket.AcceptOptions{Extensions: extensions()}, func(r *http.Request, ws *websocket.Conn) {
		if len(ws.Extensions()) != 1 {
			t.Errorf("extensions are %v", ws.Extensions())
		}
		c := r.Context().Value(counterKey{}).(*counter)
		for m := range ws.Messages() {
			if m.String() == "count" {
				ws.SendJSON(ctx, []int64{c.in.Load(), c.out.Load()})
				continue
			}
			ws.Send(ctx, m)
		}
	})
	handle("/close", websocket.AcceptOptions{}, func(r *http.Request, ws *websocket.Conn) {
		code, _ := strconv.Atoi(r.FormValue("code"))
		ws.Close(ctx, websocket.StatusCode(code), r.FormValue("reason"))
	})
	handle("/abort", websocket.AcceptOptions{}, func(_ *http.Request, ws *websocket.Conn) { ws.Abort() })
	handle("/ping", websocket.AcceptOptions{}, func(_ *http.Request, ws *websocket.Conn) {
		if _, err := ws.Ping(ctx, []byte("are you there?")); err == nil {
			ws.Send(ctx, websocket.Text("pong"))
		}
		ws.Close(ctx, websocket.StatusNormalClosure, "")
	})
	handle("/tell", websocket.AcceptOptions{}, func(r *http.Request, ws *websocket.Conn) {
		ws.SendJSON(ctx, map[string]string{"X-Client": r.Header.Get("X-Client"), "Cookie": r.Header.Get("Cookie")})
	})
	pings := make(chan string, 1000)
	pinged := &websocket.Trace{PingReceived: func(payload []byte) { pings <- string(payload) }}
	handle("/pinged", websocket.AcceptOptions{Trace: pinged}, func(_ *http.Request, ws *websocket.Conn) {
		ws.Send(ctx, websocket.Text(<-pings))
		ws.Send(ctx, websocket.Text(<-pings))
	})
	handle("/refused", websocket.AcceptOptions{Check: func(*http.Request) error {
		return &websocket.HandshakeError{Status: http.StatusForbidden, Header: http.Header{"X-Why": {"because"}}, Reason: "no"}
	}}, echo)
	mux.HandleFunc("/keep-alive", keepAlive)
	mux.HandleFunc("/ended", func(w http.ResponseWriter, r *http.Request) {
		select {
		case e := <-s.event(r.FormValue("id")):
			json.NewEncoder(w).Encode(e)
		case <-time.After(patience):
			http.Error(w, "not ended", http.StatusRequestTimeout)
		}
	})
	s.Server = httptest.NewUnstartedServer(mux)
	s.Listener = countingListener{s.Listener}
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, counterKey{}, c)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *server) wsURL() string { return "ws" + strings.TrimPrefix(s.URL, "http") }

func echo(_ *http.Request, ws *websocket.Conn) {
	for m := range ws.Messages() {
		ws.Send(context.Background(), m)
		m.Release()
	}
}

// keepAlive answers with two words in Connection, as some servers and proxies do,
// and ends the connection.
func keepAlive(w http.ResponseWriter, r *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
}

func TestClient(t *testing.T) {
	s, p := newServer(t), startProxy(t)
	ran, said := 0, ""
	for line := range start(t, "faye-client.mjs", s.wsURL(), p.url) {
		if name, ok := strings.CutPrefix(line, "ok "); ok {
			ran++
			t.Run(name, func(*testing.T) {})
		} else if why, ok := strings.CutPrefix(line, "not ok "); ok {
			ran++
			name, why, _ := strings.Cut(why, ": ")
			t.Run(name, func(t *testing.T) { t.Error(why) })
		} else {
			said = line
		}
	}
	if said != fmt.Sprint("ran ", ran) || ran < 40 {
		t.Errorf("%d checks came, and then %q", ran, said)
	}
	if n := len(p.taken); n != 2 {
		t.Errorf("%d connections went through the proxy, not 2", n)
	}
	for range len(p.taken) {
		if r := <-p.taken; r.Host != s.Listener.Addr().String() || r.Header.Get("X-Proxy") != "faye" {
			t.Errorf("the proxy was asked for %q with %v", r.Host, r.Header)
		}
	}
}

func TestKeepAliveUpgrade(t *testing.T) {
	p := &peer{base: newServer(t).wsURL()}
	p.dial(t, "/keep-alive", nil)
}

// faye-websocket says 1002 of a handshake that has failed, as its checks tell; here
// it is 1006, as with browsers.
func TestRefused(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws := websocket.Open(newServer(t).wsURL()+"/refused", nil)
	wantClosed(ctx, t, ws, websocket.StatusAbnormalClosure, "", false)
}

// A peer is faye-websocket's server, and what it prints.
type peer struct {
	base  string
	lines <-chan string
}

func TestServer(t *testing.T) {
	lines := start(t, "faye-server.mjs")
	p := &peer{"ws://127.0.0.1:" + nextLine(t, lines), lines}
	for _, c := range []struct {
		name string
		opts *websocket.DialOptions
		path string
	}{
		{"plain", nil, "/echo"},
		{"deflate", &websocket.DialOptions{Extensions: extensions()}, "/echo?deflate=1"},
		{"deflate that the server does not speak", &websocket.DialOptions{Extensions: extensions()}, "/echo"},
	} {
		t.Run("text "+c.name, func(t *testing.T) { p.text(t, c.path, c.opts) })
		t.Run("binary "+c.name, func(t *testing.T) { p.binary(t, c.path, c.opts) })
		t.Run("parts "+c.name, func(t *testing.T) { p.parts(t, c.path, c.opts) })
	}
	t.Run("deflated on the wire", p.deflated)
	t.Run("pipelined", p.pipelined)
	t.Run("our ping", p.ping)
	t.Run("our pings at an interval", p.pings)
	t.Run("server's ping", p.pong)
	t.Run("subprotocol", p.subprotocol)
	t.Run("headers", p.headers)
	t.Run("aborted", p.aborted)
	t.Run("proxy", p.proxy)
	t.Run("proxy that refuses", p.proxyRefuses)
	for _, query := range []string{"", "&deflate=1"} {
		t.Run("more than the server takes"+query, func(t *testing.T) { p.tooBigForServer(t, query) })
		t.Run("more than we take"+query, func(t *testing.T) { p.tooBigForUs(t, query) })
	}
	for _, c := range []struct {
		code   websocket.StatusCode
		reason string
		seen   websocket.StatusCode
	}{
		{1000, "", 1000}, {1000, "done", 1000}, {1001, "going away", 1001}, {1002, "", 1002}, {1003, "", 1003},
		{1007, "", 1007}, {1008, "no", 1008}, {1009, "", 1009}, {1010, "", 1010}, {1011, "", 1011},
		{3000, "a library's", 3000}, {4000, strings.Repeat("r", 123), 4000}, {4999, "ünï", 4999},
		// What faye-websocket makes of a frame without a code, and of codes that are
		// registered since.
		{1005, "", 1000}, {1012, "restart", 1002}, {1013, "later", 1002}, {1014, "", 1002},
	} {
		t.Run(fmt.Sprintf("client closes with %d and %d bytes", c.code, len(c.reason)), func(t *testing.T) {
			p.clientCloses(t, c.code, c.reason, c.seen)
		})
	}
	for _, c := range []struct {
		code   websocket.StatusCode
		reason string
	}{{1000, ""}, {1000, "done"}, {3000, ""}, {4999, "ünï"}, {4000, strings.Repeat("r", 123)}} {
		t.Run(fmt.Sprintf("server closes with %d and %d bytes", c.code, len(c.reason)), func(t *testing.T) {
			ctx, ws := p.dial(t, fmt.Sprintf("/close?code=%d&reason=%s", c.code, url.QueryEscape(c.reason)), nil)
			wantClosed(ctx, t, ws, c.code, c.reason, true)
		})
	}
	t.Run("server closes with a code that it does not send", func(t *testing.T) {
		ctx, ws := p.dial(t, "/close?code=1011", nil)
		want(ctx, t, ws, websocket.Text("Failed to execute 'close' on WebSocket: The code must be either 1000, or between 3000 and 4999. 1011 is neither."))
		wantClosed(ctx, t, ws, 1000, "", true)
	})
}

func (p *peer) dial(t *testing.T, path string, opts *websocket.DialOptions) (context.Context, *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	ws, err := websocket.Dial(ctx, p.base+path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ws.Abort)
	return ctx, ws
}

func send(ctx context.Context, t *testing.T, ws *websocket.Conn, m websocket.Message) {
	t.Helper()
	if err := ws.Send(ctx, m); err != nil {
		t.Fatal(err)
	}
}

func want(ctx context.Context, t *testing.T, ws *websocket.Conn, m websocket.Message) {
	t.Helper()
	select {
	case got, ok := <-ws.Messages():
		if !ok {
			t.Fatalf("closed: %+v", <-ws.Closed())
		}
		if got.Type != m.Type || !got.Final || !bytes.Equal(got.Data, m.Data) {
			t.Fatalf("got a %v of %d bytes, want a %v of %d", got.Type, len(got.Data), m.Type, len(m.Data))
		}
		got.Release()
	case <-ctx.Done():
		t.Fatal("no message came")
	}
}

func wantClosed(ctx context.Context, t *testing.T, ws *websocket.Conn, code websocket.StatusCode, reason string, clean bool) {
	t.Helper()
	select {
	case e := <-ws.Closed():
		if e.Code != code || e.Reason != reason || e.Clean != clean {
			t.Fatalf("closed with %d %q, clean %v (%v), want %d %q, %v", e.Code, e.Reason, e.Clean, e.Err, code, reason, clean)
		}
	case <-ctx.Done():
		t.Fatal("not closed")
	}
}

// wantSeen waits for what the server says of the end of the connection to path.
func (p *peer) wantSeen(t *testing.T, path string, code websocket.StatusCode, reason string) {
	t.Helper()
	for {
		var e struct {
			Path, Reason string
			Code         websocket.StatusCode
		}
		if err := json.Unmarshal([]byte(nextLine(t, p.lines)), &e); err != nil {
			t.Fatal(err)
		}
		if e.Path != path {
			continue
		}
		if e.Code != code || e.Reason != reason {
			t.Errorf("the server sees %+v, want %d %q", e, code, reason)
		}
		return
	}
}

func (p *peer) text(t *testing.T, path string, opts *websocket.DialOptions) {
	ctx, ws := p.dial(t, path, opts)
	for _, size := range sizes {
		m := websocket.Text(strings.Repeat("0123456789abcdef", size/16+1)[:size])
		send(ctx, t, ws, m)
		want(ctx, t, ws, m)
	}
	m := websocket.Text("grüße, 世界 🌍")
	send(ctx, t, ws, m)
	want(ctx, t, ws, m)
}

func (p *peer) binary(t *testing.T, path string, opts *websocket.DialOptions) {
	ctx, ws := p.dial(t, path, opts)
	for _, size := range sizes {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i*31 + 7)
		}
		m := websocket.Binary(data)
		send(ctx, t, ws, m)
		want(ctx, t, ws, m)
	}
}

func (p *peer) parts(t *testing.T, path string, opts *websocket.DialOptions) {
	ctx, ws := p.dial(t, path, opts)
	for i, part := range []string{"one ", "two ", "", "three"} {
		m := websocket.Text(part)
		m.Final = i == 3
		if err := ws.SendFragment(ctx, m); err != nil {
			t.Fatal(err)
		}
		if _, err := ws.Ping(ctx, []byte("between")); err != nil {
			t.Fatal(err)
		}
	}
	want(ctx, t, ws, websocket.Text("one two three"))
}

func (p *peer) deflated(t *testing.T) {
	var c *counter
	ctx, ws := p.dial(t, "/echo?deflate=1", &websocket.DialOptions{
		Extensions: extensions(),
		NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			c = &counter{Conn: conn}
			return c, err
		},
	})
	if got := ws.Extensions(); len(got) != 1 || got[0].Name != deflate.Name {
		t.Errorf("extensions are %v", got)
	}
	m := websocket.Text(strings.Repeat("0123456789abcdef", 1<<16))
	send(ctx, t, ws, m)
	want(ctx, t, ws, m)
	if in, out := c.in.Load(), c.out.Load(); in > 100_000 || out > 100_000 {
		t.Errorf("%d bytes came and %d went", in, out)
	}
}

func (p *peer) pipelined(t *testing.T) {
	ctx, ws := p.dial(t, "/echo", nil)
	go func() {
		for i := range 1000 {
			if err := ws.Send(ctx, websocket.Text(fmt.Sprint("message ", i))); err != nil {
				t.Error(err)
			}
		}
	}()
	for i := range 1000 {
		want(ctx, t, ws, websocket.Text(fmt.Sprint("message ", i)))
	}
	if err := ws.Close(ctx, websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

func (p *peer) ping(t *testing.T) {
	ctx, ws := p.dial(t, "/echo", nil)
	for _, payload := range []string{"", "x", strings.Repeat("x", 125)} {
		if trip, err := ws.Ping(ctx, []byte(payload)); err != nil || trip <= 0 {
			t.Fatal(trip, err)
		}
	}
}

func (p *peer) pings(t *testing.T) {
	pongs := make(chan struct{}, 1000)
	ctx, _ := p.dial(t, "/echo", &websocket.DialOptions{
		PingInterval: time.Second,
		Trace:        &websocket.Trace{PongReceived: func([]byte) { pongs <- struct{}{} }},
	})
	for range 2 {
		select {
		case <-pongs:
		case <-ctx.Done():
			t.Fatal("no pong")
		}
	}
}

func (p *peer) pong(t *testing.T) {
	ctx, ws := p.dial(t, "/ping", nil)
	want(ctx, t, ws, websocket.Text("pong"))
}

func (p *peer) subprotocol(t *testing.T) {
	for want, offered := range map[string][]string{"chat.v2": {"chat.v3", "chat.v2", "chat.v1"}, "": {"other"}} {
		_, ws := p.dial(t, "/echo", &websocket.DialOptions{Subprotocols: offered})
		if got := ws.Subprotocol(); got != want {
			t.Errorf("subprotocol is %q, want %q", got, want)
		}
	}
}

func (p *peer) headers(t *testing.T) {
	ctx, ws := p.dial(t, "/tell?a=b", &websocket.DialOptions{
		Header:       http.Header{"X-Client": {"ours"}, "Cookie": {"a=b"}, "Origin": {"http://elsewhere.example"}},
		Subprotocols: []string{"chat.v1"},
	})
	var told struct {
		URL, Version, Protocol string
		Headers                map[string]string
	}
	select {
	case m := <-ws.Messages():
		if err := m.JSON(&told); err != nil {
			t.Fatal(err)
		}
	case <-ctx.Done():
		t.Fatal("nothing came")
	}
	if told.URL != p.base+"/tell?a=b" || told.Version != "hybi-13" || told.Protocol != "chat.v1" {
		t.Errorf("the server saw %+v", told)
	}
	for name, value := range map[string]string{"x-client": "ours", "cookie": "a=b", "origin": "http://elsewhere.example"} {
		if told.Headers[name] != value {
			t.Errorf("the server saw %s: %q", name, told.Headers[name])
		}
	}
	if ws.URL().String() != told.URL || ws.Version() != told.Version {
		t.Errorf("we saw %v %v", ws.URL(), ws.Version())
	}
	if h := ws.Response().Header; h.Get("X-Server") != "faye" || h.Get("Set-Cookie") != "server=faye; Path=/" {
		t.Errorf("we saw %v", h)
	}
}

func (p *peer) aborted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws := websocket.Open(p.base+"/abort", nil)
	wantClosed(ctx, t, ws, websocket.StatusAbnormalClosure, "", false)
}

func (p *peer) proxy(t *testing.T) {
	proxy := startProxy(t)
	address, err := url.Parse(proxy.url)
	if err != nil {
		t.Fatal(err)
	}
	opts := &websocket.DialOptions{
		Proxy:       http.ProxyURL(address),
		ProxyHeader: http.Header{"X-Proxy": {"ours"}},
		Extensions:  extensions(),
	}
	for _, path := range []string{"/echo", "/echo?deflate=1"} {
		p.text(t, path, opts)
		p.binary(t, path, opts)
	}
	if n := len(proxy.taken); n != 4 {
		t.Errorf("%d connections went through the proxy, not 4", n)
	}
	for range len(proxy.taken) {
		if r := <-proxy.taken; "ws://"+r.Host != p.base || r.Header.Get("X-Proxy") != "ours" {
			t.Errorf("the proxy was asked for %q with %v", r.Host, r.Header)
		}
	}
}

func (p *peer) proxyRefuses(t *testing.T) {
	address, err := url.Parse(startProxy(t).url)
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword("other", "secret")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = websocket.Dial(ctx, p.base+"/echo", &websocket.DialOptions{Proxy: http.ProxyURL(address)})
	var refused *websocket.ProxyError
	if !errors.As(err, &refused) {
		t.Errorf("the error is %v", err)
	}
}

func (p *peer) tooBigForServer(t *testing.T, query string) {
	path := fmt.Sprintf("/echo?max=%d%s", limit, query)
	ctx, ws := p.dial(t, path, &websocket.DialOptions{Extensions: extensions()})
	m := websocket.Text(strings.Repeat("x", limit))
	send(ctx, t, ws, m)
	want(ctx, t, ws, m)
	send(ctx, t, ws, websocket.Text(strings.Repeat("x", limit+1)))
	wantClosed(ctx, t, ws, websocket.StatusMessageTooBig, "WebSocket frame length too large", true)
	p.wantSeen(t, path, websocket.StatusMessageTooBig, "WebSocket frame length too large")
}

func (p *peer) tooBigForUs(t *testing.T, query string) {
	path := "/echo?ours" + query
	ctx, ws := p.dial(t, path, &websocket.DialOptions{MaxMessageSize: limit, Extensions: extensions()})
	m := websocket.Text(strings.Repeat("x", limit))
	send(ctx, t, ws, m)
	want(ctx, t, ws, m)
	send(ctx, t, ws, websocket.Text(strings.Repeat("x", limit+1)))
	select {
	case e := <-ws.Closed():
		if e.Code != websocket.StatusMessageTooBig || !errors.Is(e.Err, websocket.ErrMessageTooBig) {
			t.Errorf("we see %+v", e)
		}
		p.wantSeen(t, path, websocket.StatusMessageTooBig, e.Reason)
	case <-ctx.Done():
		t.Fatal("not closed")
	}
}

func (p *peer) clientCloses(t *testing.T, code websocket.StatusCode, reason string, seen websocket.StatusCode) {
	path := fmt.Sprintf("/echo?id=%d%s", code, url.QueryEscape(reason))
	ctx, ws := p.dial(t, path, nil)
	if err := ws.Close(ctx, code, reason); err != nil {
		t.Fatal(err)
	}
	wantClosed(ctx, t, ws, seen, reason, true)
	p.wantSeen(t, path, seen, reason)
}
