// Package browser drives a headless Chromium for the interop tests, through its
// DevTools protocol, over a WebSocket of ours.
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chanws/websocket"
)

// A Browser is a Chromium with a profile of its own.
type Browser struct {
	t    *testing.T
	ctx  context.Context
	ws   *websocket.Conn
	last int
}

// Start starts a browser that ends with the test, after a minute at the latest. It
// does not ask who vouches for a certificate.
func Start(t *testing.T) *Browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-dev-shm-usage", "--ignore-certificate-errors",
		"--user-data-dir="+Profile(t), "--remote-debugging-port=0", "about:blank")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); cmd.Wait() })
	url := ""
	s := bufio.NewScanner(stderr)
	for url == "" && s.Scan() {
		_, url, _ = strings.Cut(s.Text(), "DevTools listening on ")
	}
	go func() {
		for s.Scan() {
		}
	}()
	ws, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ws.Abort)
	return &Browser{t: t, ctx: ctx, ws: ws}
}

// Profile makes a directory for the profile of a browser, which goes with the test.
func Profile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Processes of the browser that outlive the first one by a moment write to it.
		err := os.RemoveAll(dir)
		for range 50 {
			if err == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
			err = os.RemoveAll(dir)
		}
		t.Error(err)
	})
	return dir
}

// Run runs a subtest that uses the browser.
func (b *Browser) Run(name string, f func()) {
	outer := b.t
	outer.Run(name, func(t *testing.T) {
		b.t = t
		defer func() { b.t = outer }()
		f()
	})
}

// call calls a DevTools method and puts the result into result.
func (b *Browser) call(session, method string, params, result any) {
	b.t.Helper()
	b.last++
	request := map[string]any{"id": b.last, "method": method, "params": params}
	if session != "" {
		request["sessionId"] = session
	}
	if err := b.ws.SendJSON(b.ctx, request); err != nil {
		b.t.Fatal(err)
	}
	for {
		select {
		case m, ok := <-b.ws.Messages():
			if !ok {
				b.t.Fatalf("DevTools: %+v", <-b.ws.Closed())
			}
			var response struct {
				ID     int
				Result json.RawMessage
				Error  *struct{ Message string }
			}
			if err := m.JSON(&response); err != nil {
				b.t.Fatal(err)
			}
			if response.ID != b.last {
				continue // an event
			}
			if response.Error != nil {
				b.t.Fatal(method, ": ", response.Error.Message)
			}
			if err := json.Unmarshal(response.Result, result); err != nil {
				b.t.Fatal(err)
			}
			return
		case <-b.ctx.Done():
			b.t.Fatal(method, ": no answer")
		}
	}
}

// A Page is a tab of the browser.
type Page struct {
	*Browser
	target, session string
}

// Open opens a tab and waits until the page is there.
func (b *Browser) Open(url string) *Page {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", map[string]any{"url": url}, &target)
	var session struct{ SessionID string }
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	p := &Page{b, target.TargetID, session.SessionID}
	p.Wait(fmt.Sprintf("location.href === %q && document.readyState === 'complete'", url))
	return p
}

// Close closes the tab.
func (p *Page) Close() {
	p.t.Helper()
	p.call("", "Target.closeTarget", map[string]any{"targetId": p.target}, new(any))
}

// Eval runs JavaScript in the page, waits for the promise that it may give, and
// returns its value.
func (p *Page) Eval(script string) any {
	p.t.Helper()
	var answer struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	p.call(p.session, "Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &answer)
	if e := answer.ExceptionDetails; e != nil {
		p.t.Fatal(e.Text, " ", e.Exception.Description)
	}
	return answer.Result.Value
}

// Wait waits until the script gives true.
func (p *Page) Wait(script string) {
	p.t.Helper()
	for range 400 {
		if p.Eval(script) == true {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatalf("never true: %s", script)
}

// Want wants a value of the script.
func (p *Page) Want(script string, want any) {
	p.t.Helper()
	if got := p.Eval(script); got != want {
		p.t.Errorf("%s\n gives %v, not %v", script, got, want)
	}
}

// Screenshot gives what the page looks like, as PNG.
func (p *Page) Screenshot() []byte {
	p.t.Helper()
	var shot struct{ Data []byte }
	p.call(p.session, "Page.captureScreenshot", map[string]any{}, &shot)
	return shot.Data
}

// Helpers are functions for scripts: open gives a WebSocket that is open, which has
// next for a message and closed for its end; ended asks the server at /ended how
// the connection with an id has ended for it.
const Helpers = `
async function open(path, protocols = []) {
  const ws = new WebSocket(location.origin.replace("http", "ws") + path, protocols)
  ws.binaryType = "arraybuffer"
  ws.closed = new Promise(done => ws.onclose = e => done(e.code + " " + e.reason + (e.wasClean ? " clean" : " not clean")))
  await new Promise((done, failed) => { ws.onopen = done; ws.onerror = () => failed(Error("did not open")) })
  ws.next = () => new Promise(done => ws.onmessage = e => done(e.data))
  return ws
}
async function ended(id) {
  const e = await (await fetch("/ended?id=" + id)).json()
  return e.Code + " " + e.Reason + (e.Clean ? " clean" : " not clean")
}
`
