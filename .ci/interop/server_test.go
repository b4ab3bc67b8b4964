// Package interop runs the library against implementations of others: npm ws,
// python3-websockets, Chromium and curl. It is no part of ./... as it needs them
// installed; .ci/run sees to that, and runs
//
//	go test ./.ci/interop
package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chanws/websocket"
)

// patience is how long anything may take that takes milliseconds.
const patience = 20 * time.Second

var sizes = []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20}

// A server is ours, for clients of others: /echo echoes, /close?code=&reason=
// closes, /ping pings and tells of the pong, /abort cuts the connection. /ended?id=
// tells how the connection that was opened with the id has ended.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	ended map[string]chan websocket.CloseEvent
}

func newServer(t *testing.T) *server {
	s := &server{ended: make(map[string]chan websocket.CloseEvent)}
	opts := &websocket.AcceptOptions{Subprotocols: []string{"chat.v1", "chat.v2"}}
	mux := http.NewServeMux()
	for path, serve := range map[string]func(*websocket.Conn){
		"/echo": echo, "/close": closeAsAsked, "/ping": ping, "/abort": (*websocket.Conn).Abort,
	} {
		mux.Handle(path, websocket.Handler(func(ws *websocket.Conn) {
			serve(ws)
			s.event(ws.URL().Query().Get("id")) <- <-ws.Closed()
		}, opts))
	}
	mux.HandleFunc("/ended", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(<-s.event(r.FormValue("id")))
	})
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *server) wsURL() string { return "ws" + strings.TrimPrefix(s.URL, "http") }

func (s *server) event(id string) chan websocket.CloseEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended[id] == nil {
		s.ended[id] = make(chan websocket.CloseEvent, 1000)
	}
	return s.ended[id]
}

func echo(ws *websocket.Conn) {
	for m := range ws.Messages() {
		ws.Send(context.Background(), m)
		m.Release()
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

// start runs a program until the test ends, and gives the lines that it prints.
func start(t *testing.T, name string, args ...string) <-chan string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Second
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			lines <- s.Text()
		}
		cmd.Wait()
	}()
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

// report makes a subtest of each line "ok NAME" and "not ok NAME".
func report(t *testing.T, lines <-chan string, atLeast int) {
	t.Helper()
	count := 0
	for line := range lines {
		count++
		if name, ok := strings.CutPrefix(line, "ok "); ok {
			t.Run(name, func(*testing.T) {})
			continue
		}
		name, why, _ := strings.Cut(strings.TrimPrefix(line, "not ok "), ": ")
		t.Run(name, func(t *testing.T) { t.Error(why) })
	}
	if count < atLeast {
		t.Errorf("the peer ran %d checks, not %d", count, atLeast)
	}
}

func TestNodeClient(t *testing.T) {
	s := newServer(t)
	report(t, start(t, "node", "ws-client.mjs", s.wsURL()), 21)
}

func TestPythonClient(t *testing.T) {
	s := newServer(t)
	report(t, start(t, python, "python_client.py", s.wsURL()), 12)
}

// python is the interpreter that Debian's python3-websockets is for.
const python = "/usr/bin/python3"
