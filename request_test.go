package websocket

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
)

// A packed head gives the headers that the request had, whether they are the usual ones
// or not.
func TestPackedRequest(t *testing.T) {
	usual := http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	with := func(name string, values ...string) http.Header {
		h := usual.Clone()
		h[name] = values
		return h
	}
	without := usual.Clone()
	delete(without, "Upgrade")
	for name, header := range map[string]http.Header{
		"usual":              usual,
		"another case":       with("Upgrade", "WebSocket"),
		"more in one":        with("Connection", "keep-alive, Upgrade"),
		"two of a usual one": with("Upgrade", "websocket", "h2c"),
		"one that is not":    without,
		"others":             with("Cookie", "a=1", "b=2"),
		"none":               {},

		// What no peer can send, and middleware can put there.
		"control characters":   with("X-User", "a\x00b", "c\x7f"),
		"no name for a header": with("a b", "1"),
		"not canonical":        with("x-user", "1"),
		"the request's own":    with("Host", "example.org"),
		"no number":            with("Content-Length", "many"),
		"spaces":               with("X-User", " a ", ""),
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/chat?room=1", nil)
			r.Header = header
			got := unpackHead(packRequest(r))
			if !reflect.DeepEqual(got.Header, header) {
				t.Errorf("%v, was %v", got.Header, header)
			}
			if got.Host != r.Host || got.RequestURI != r.RequestURI || got.URL.String() != r.URL.String() {
				t.Errorf("%s %s, %v", got.Host, got.RequestURI, got.URL)
			}
		})
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Host, r.Header = "127.0.0.1:39999", usual
	if head := packRequest(r); len(head) > 96 {
		t.Errorf("%d bytes are kept of the least request: %q", len(head), head)
	}
}

// The URL is what the client has opened, though a handler may see a part of it.
func TestURLBehindStripPrefix(t *testing.T) {
	for name, handler := range map[string]func(chan<- string) http.Handler{
		"Handler": func(got chan<- string) http.Handler {
			return Handler(func(c *Conn) { got <- c.URL().String() }, nil)
		},
		"Accept": func(got chan<- string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := Accept(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				got <- c.URL().String()
				c.Abort()
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 1)
			s := httptest.NewServer(http.StripPrefix("/api", handler(got)))
			defer s.Close()
			address := "ws" + s.URL[len("http"):] + "/api/chat?room=1"
			c, err := Dial(t.Context(), address, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Abort()
			if url := <-got; url != address {
				t.Errorf("the server has %s", url)
			}
			if url := c.URL().String(); url != address {
				t.Errorf("the client has %s", url)
			}
		})
	}
}

// To ask for the URL neither reads the request that the application has, nor makes one.
func TestURLLeavesTheRequestAlone(t *testing.T) {
	asked := make(chan *Conn, 1)
	s := httptest.NewServer(Handler(func(c *Conn) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				if room := c.URL().Query().Get("room"); room != "1" {
					t.Errorf("room %q", room)
				}
			}
		}()
		if room := c.Request().FormValue("room"); room != "1" {
			t.Errorf("room %q in the form", room)
		}
		<-done
	}, nil))
	defer s.Close()
	c, err := Dial(t.Context(), "ws"+s.URL[len("http"):]+"/chat?room=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	<-c.Closed()

	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			t.Error(err)
		}
		asked <- c
	}))
	defer s.Close()
	if c, err = Dial(t.Context(), "ws"+s.URL[len("http"):], nil); err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	accepted := <-asked
	defer accepted.Abort()
	if accepted.URL().Host != s.Listener.Addr().String() || accepted.extra().request != nil {
		t.Errorf("%v, request %v", accepted.URL(), accepted.extra().request)
	}
}

func TestURLOfTheRequest(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*http.Request)
		opts   *AcceptOptions
		want   string
	}{
		"as it is":                    {func(*http.Request) {}, nil, "ws://example.com/chat?room=1"},
		"behind a proxy":              {func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }, &AcceptOptions{TrustForwarded: true}, "wss://example.com/chat?room=1"},
		"not trusted":                 {func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }, nil, "ws://example.com/chat?room=1"},
		"absolute":                    {func(r *http.Request) { r.RequestURI = "http://example.com/all?room=2" }, nil, "ws://example.com/all?room=2"},
		"that of an extended CONNECT": {func(r *http.Request) { r.RequestURI = "example.com:443" }, nil, "ws://example.com/chat?room=1"},
		"made by hand":                {func(r *http.Request) { r.RequestURI = "" }, nil, "ws://example.com/chat?room=1"},
		"a header with NUL":           {func(r *http.Request) { r.Header.Set("X-Odd", "a\x00b") }, nil, "ws://example.com/chat?room=1"},
		"a host with a line":          {func(r *http.Request) { r.Host = "example.com\r\nX-Admin: true" }, nil, "ws://example.com%20%20X-Admin:%20true/chat?room=1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/chat?room=1", nil)
			test.change(r)
			if test.opts == nil {
				test.opts = new(AcceptOptions)
			}
			c := newConn(test.opts.settings())
			c.requestHead, c.secure = packRequest(r), test.opts.secure(r)
			if got := c.URL().String(); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// addressless is a net.Conn that does not tell whose it is.
type addressless struct{ net.Conn }

func (addressless) RemoteAddr() net.Addr { return nil }

func TestRequestWithoutAddress(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	go io.Copy(io.Discard, far)
	go io.WriteString(far, "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	c, r, err := AcceptConn(t.Context(), addressless{near}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		c.Abort()
		<-c.Closed()
	}()
	if r.RemoteAddr != "" || c.Request().RemoteAddr != "" || c.URL().String() != "ws://example.com/chat" {
		t.Errorf("%q, %q, %v", r.RemoteAddr, c.Request().RemoteAddr, c.URL())
	}
}

// What a connection is asked for before it is open.
func TestConnectingKnowsItsURL(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	address := "ws://" + ln.Addr().String() + "/chat"
	c := Open(address, nil)
	if got := c.URL().String(); got != address || c.Version() != "" || c.Subprotocol() != "" || c.Response() != nil || c.Request() != nil {
		t.Errorf("%s, version %q", got, c.Version())
	}
	c.Abort()
	<-c.Closed()
}
