// Package interophttp2 opens WebSockets over HTTP/2 with Chromium, and through
// HAProxy. It is no part of ./... as it needs them installed: see .ci/http2.
package interophttp2

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/negotiate"
	"github.com/chanws/websocket/negotiate/deflate"
	_ "github.com/chanws/websocket/negotiate/http2/xconnect"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long anything may take that takes milliseconds.
const patience = 20 * time.Second

// A server is ours: /echo echoes, /compressed too but with permessage-deflate,
// /close?code=&reason= closes, /ping pings and tells of the pong, /abort resets the
// stream after a message, /flood sends until it is full and says so, /deaf receives
// nothing until somebody asks for /hear, then all, and tells how much. /ended?id=
// tells how the WebSocket that was opened with the id has ended.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	ended map[string]chan websocket.CloseEvent
	seen  map[origin]int
	hear  chan struct{} // to one at /deaf
	full  chan struct{} // from one at /flood
}

// An origin is over what a WebSocket came to the server.
type origin struct{ proto, remote string }

// newServer makes a server that waits to be started.
func newServer(t *testing.T) *server {
	s := &server{ended: make(map[string]chan websocket.CloseEvent), seen: make(map[origin]int), hear: make(chan struct{}), full: make(chan struct{})}
	mux := http.NewServeMux()
	for path, serve := range map[string]func(*websocket.Conn){
		"/echo": echo, "/compressed": echo, "/close": closeAsAsked, "/ping": ping, "/abort": abort,
		"/deaf": s.deaf, "/flood": s.flood,
	} {
		opts := &websocket.AcceptOptions{Subprotocols: []string{"chat.v1", "chat.v2"}}
		if path == "/compressed" {
			opts.Extensions = []negotiate.Extension{deflate.New(nil)}
		}
		mux.Handle(path, websocket.Handler(func(ws *websocket.Conn) {
			s.saw(ws.Request())
			serve(ws)
			for range ws.Messages() {
			}
			s.event(ws.URL().Query().Get("id")) <- <-ws.Closed()
		}, opts))
	}
	mux.HandleFunc("GET /ended", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(<-s.event(r.FormValue("id")))
	})
	mux.HandleFunc("GET /hear", func(http.ResponseWriter, *http.Request) { s.hear <- struct{}{} })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		s.saw(r)
	})
	s.Server = httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = true
	s.Config.HTTP2 = websocket.HTTP2Config()
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // HAProxy looks whether it is there
	t.Cleanup(s.Close)
	return s
}

func (s *server) saw(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[origin{r.Proto, r.RemoteAddr}]++
}

// origins gives those of all requests up to now, and forgets them.
func (s *server) origins() map[origin]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = make(map[origin]int)
	return seen
}

// trusted knows the certificate of the server.
func (s *server) trusted() *tls.Config {
	return &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
}

func (s *server) event(id string) chan websocket.CloseEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended[id] == nil {
		s.ended[id] = make(chan websocket.CloseEvent, 1000)
	}
	return s.ended[id]
}

// wantEnded wants an end that the server has seen.
func (s *server) wantEnded(t *testing.T, id string, code websocket.StatusCode, reason string) websocket.CloseEvent {
	t.Helper()
	select {
	case e := <-s.event(id):
		if e.Code != code || e.Reason != reason {
			t.Errorf("for the server it closed with %+v, want %d %q", e, code, reason)
		}
		return e
	case <-time.After(patience):
		t.Fatal("not closed for the server")
		panic("unreachable")
	}
}

// closeReasons are what a server closes with.
var closeReasons = map[websocket.StatusCode]string{1000: "", 1001: "going away", 1011: "ünï", 4000: strings.Repeat("r", 123)}

func echo(ws *websocket.Conn) {
	for m := range ws.Messages() {
		ws.Send(context.Background(), m)
		m.Release()
	}
}

func nextLine(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line, ok := <-lines:
		if !ok {
			t.Fatal("the program ended")
		}
		return line
	case <-time.After(patience):
		t.Fatal("no line from the program")
	}
	return ""
}

func abort(ws *websocket.Conn) {
	<-ws.Messages() // so that it has come through that it is open
	ws.Abort()
}

// deaf counts up to an empty message.
func (s *server) deaf(ws *websocket.Conn) {
	<-s.hear
	sum := 0
	for m := range ws.Messages() {
		if sum += len(m.Data); len(m.Data) == 0 {
			ws.Send(context.Background(), websocket.Text(strconv.Itoa(sum)))
		}
	}
}

func (s *server) flood(ws *websocket.Conn) {
	fill(ws)
	s.full <- struct{}{}
}

// fill sends until there is no more room on the way, and gives how much.
func fill(ws *websocket.Conn) (sum int) {
	part := make([]byte, 1<<20)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		err := ws.Send(ctx, websocket.Binary(part))
		cancel()
		if err != nil {
			return sum
		}
		sum += len(part)
	}
}

func closeAsAsked(ws *websocket.Conn) {
	query := ws.URL().Query()
	code, _ := strconv.Atoi(query.Get("code"))
	ws.Close(context.Background(), websocket.StatusCode(code), query.Get("reason"))
}

func ping(ws *websocket.Conn) {
	if _, err := ws.Ping(context.Background(), []byte("are you there?")); err == nil {
		ws.Send(context.Background(), websocket.Text("pong"))
	}
	ws.Close(context.Background(), websocket.StatusNormalClosure, "")
}
