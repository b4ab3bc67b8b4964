package websocket

import (
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
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/chat?room=1", nil)
			r.Header = header
			got, err := unpackHead(packRequest(r))
			if err != nil {
				t.Fatal(err)
			}
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
