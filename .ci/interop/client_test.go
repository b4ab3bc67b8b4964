package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chanws/websocket"
)

// A peer is a server of others, and what it prints.
type peer struct {
	base  string
	lines <-chan string
}

func startPeer(t *testing.T, name string, args ...string) *peer {
	t.Helper()
	lines := start(t, name, args...)
	return &peer{"ws://127.0.0.1:" + nextLine(t, lines), lines}
}

func TestNodeServer(t *testing.T)   { testServer(t, startPeer(t, "node", "ws-server.mjs")) }
func TestPythonServer(t *testing.T) { testServer(t, startPeer(t, python, "python_server.py")) }

func testServer(t *testing.T, p *peer) {
	t.Run("text", p.text)
	t.Run("binary", p.binary)
	t.Run("pipelined", p.pipelined)
	t.Run("fragments", p.fragments)
	t.Run("ping", p.ping)
	t.Run("pong", p.pong)
	t.Run("subprotocol", p.subprotocol)
	t.Run("abort", p.abort)
	for _, c := range []struct {
		code   websocket.StatusCode
		reason string
	}{{1000, ""}, {1000, "done"}, {1012, "restart"}, {3000, "a library's"}, {4999, "ünï"}, {1005, ""}} {
		t.Run(fmt.Sprintf("client closes with %d %s", c.code, c.reason), func(t *testing.T) { p.clientCloses(t, c.code, c.reason) })
	}
	for _, c := range []struct {
		code   websocket.StatusCode
		reason string
	}{{1000, ""}, {1001, "going away"}, {1011, "ünï"}, {4000, strings.Repeat("r", 123)}} {
		t.Run(fmt.Sprintf("server closes with %d", c.code), func(t *testing.T) { p.serverCloses(t, c.code, c.reason) })
	}
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

func (p *peer) text(t *testing.T) {
	ctx, ws := p.dial(t, "/echo", nil)
	for _, size := range sizes {
		m := websocket.Text(strings.Repeat("0123456789abcdef", size/16+1)[:size])
		send(ctx, t, ws, m)
		want(ctx, t, ws, m)
	}
	m := websocket.Text("grüße, 世界 🌍")
	send(ctx, t, ws, m)
	want(ctx, t, ws, m)
}

func (p *peer) binary(t *testing.T) {
	ctx, ws := p.dial(t, "/echo", nil)
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

func (p *peer) fragments(t *testing.T) {
	ctx, ws := p.dial(t, "/echo", nil)
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

func (p *peer) ping(t *testing.T) {
	ctx, ws := p.dial(t, "/echo", nil)
	for _, payload := range []string{"", "x", strings.Repeat("x", 125)} {
		if trip, err := ws.Ping(ctx, []byte(payload)); err != nil || trip <= 0 {
			t.Fatal(trip, err)
		}
	}
}

func (p *peer) pong(t *testing.T) {
	ctx, ws := p.dial(t, "/ping", nil)
	want(ctx, t, ws, websocket.Text("are you there?"))
}

func (p *peer) subprotocol(t *testing.T) {
	_, ws := p.dial(t, "/echo", &websocket.DialOptions{Subprotocols: []string{"chat.v3", "chat.v2"}})
	if got := ws.Subprotocol(); got != "chat.v2" {
		t.Errorf("subprotocol is %q", got)
	}
}

func (p *peer) abort(t *testing.T) {
	ctx, ws := p.dial(t, "/abort", nil)
	wantClosed(ctx, t, ws, websocket.StatusAbnormalClosure, "", false)
}

func (p *peer) clientCloses(t *testing.T, code websocket.StatusCode, reason string) {
	path := fmt.Sprintf("/echo?id=%d%s", code, url.QueryEscape(reason))
	ctx, ws := p.dial(t, path, nil)
	if err := ws.Close(ctx, code, reason); err != nil {
		t.Fatal(err)
	}
	if e := <-ws.Closed(); e.Code != code || !e.Clean {
		t.Errorf("we see %+v", e)
	}
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
			t.Errorf("the server sees %+v", e)
		}
		return
	}
}

func (p *peer) serverCloses(t *testing.T, code websocket.StatusCode, reason string) {
	ctx, ws := p.dial(t, fmt.Sprintf("/close?code=%d&reason=%s", code, url.QueryEscape(reason)), nil)
	wantClosed(ctx, t, ws, code, reason, true)
}
