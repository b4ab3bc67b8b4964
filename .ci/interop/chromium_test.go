package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chanws/websocket"
)

// A browser is a headless Chromium, which is driven through its DevTools protocol,
// over a WebSocket of ours.
type browser struct {
	t    *testing.T
	ctx  context.Context
	ws   *websocket.Conn
	last int
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(), "--remote-debugging-port=0", "about:blank")
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
	return &browser{t: t, ctx: ctx, ws: ws}
}

// call calls a DevTools method and puts the result into result.
func (b *browser) call(session, method string, params, result any) {
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

// A page is a tab of the browser.
type page struct {
	*browser
	target, session string
}

func (b *browser) open(t *testing.T, url string) *page {
	t.Helper()
	b.t = t
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", map[string]any{"url": url}, &target)
	var session struct{ SessionID string }
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	p := &page{b, target.TargetID, session.SessionID}
	p.wait(fmt.Sprintf("location.href === %q && document.readyState === 'complete'", url))
	return p
}

// eval runs JavaScript in the page, waits for the promise that it may give, and
// returns its value.
func (p *page) eval(script string) any {
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

// wait waits until the script gives true.
func (p *page) wait(script string) {
	p.t.Helper()
	for range 400 {
		if p.eval(script) == true {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatalf("never true: %s", script)
}

func (p *page) want(script string, want any) {
	p.t.Helper()
	if got := p.eval(script); got != want {
		p.t.Errorf("%s\n gives %v, not %v", script, got, want)
	}
}

// helpers are what the scripts below use.
const helpers = `
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

func TestChromium(t *testing.T) {
	s := newServer(t)
	b := startBrowser(t)
	p := b.open(t, s.URL+"/")
	p.eval(helpers)
	run := func(name string, f func()) {
		t.Run(name, func(t *testing.T) {
			defer func(before *testing.T) { b.t = before }(b.t)
			b.t = t
			f()
		})
	}
	run("text", func() {
		p.want(`(async () => {
			const ws = await open("/echo")
			for (const size of [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]) {
				const text = "0123456789abcdef".repeat(size / 16 + 1).slice(0, size)
				ws.send(text)
				if (await ws.next() !== text) return size
			}
			ws.send("grüße, 世界 🌍")
			const last = await ws.next()
			ws.close()
			return last
		})()`, "grüße, 世界 🌍")
	})
	run("binary", func() {
		p.want(`(async () => {
			const ws = await open("/echo")
			for (const size of [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]) {
				const bytes = Uint8Array.from({ length: size }, (_, i) => i * 31 + 7)
				ws.send(bytes)
				const got = new Uint8Array(await ws.next())
				if (got.length !== size || !got.every((b, i) => b === bytes[i])) return size
			}
			ws.close()
			return "same"
		})()`, "same")
	})
	run("pipelined", func() {
		p.want(`(async () => {
			const ws = await open("/echo")
			let got = 0, wrong = 0
			const all = new Promise(done => ws.onmessage = e => { if (e.data !== "message " + got) wrong++; if (++got === 1000) done() })
			for (let i = 0; i < 1000; i++) ws.send("message " + i)
			await all
			ws.close()
			return wrong
		})()`, float64(0))
	})
	run("server's ping", func() {
		p.want(`open("/ping").then(async ws => await ws.next() + " " + await ws.closed)`, "pong 1000  clean")
	})
	run("subprotocol", func() {
		p.want(`open("/echo", ["chat.v3", "chat.v2"]).then(ws => { ws.close(); return ws.protocol })`, "chat.v2")
	})
	run("aborted by the server", func() {
		p.want(`open("/abort").then(ws => ws.closed)`, "1006  not clean")
	})
	for i, end := range []struct {
		args, seen string
	}{
		{`1000, "done"`, "1000 done"}, {`3000, ""`, "3000 "}, {`3000, "a library's"`, "3000 a library's"},
		{`4999, "ünï"`, "4999 ünï"}, {``, "1005 "},
	} {
		run("page closes with "+end.seen, func() {
			p.want(fmt.Sprintf(`open("/echo?id=%d").then(ws => { ws.close(%s); return ended(%d) })`, i, end.args, i), end.seen+" clean")
			code, _, _ := strings.Cut(end.seen, " ")
			p.want(fmt.Sprintf(`open("/echo").then(async ws => { ws.close(%s); return (await ws.closed).slice(0, 4) })`, end.args), code)
		})
	}
	for code, reason := range map[int]string{1000: "", 1001: "going away", 1011: "ünï", 4000: strings.Repeat("r", 123)} {
		run("server closes with "+strconv.Itoa(code), func() {
			p.want(fmt.Sprintf(`open("/close?code=%d&reason=" + encodeURIComponent(%q)).then(ws => ws.closed)`, code, reason),
				fmt.Sprintf("%d %s clean", code, reason))
		})
	}
	run("page that is closed", func() {
		gone := b.open(b.t, s.URL+"/?")
		gone.eval(helpers)
		gone.eval(`open("/echo?id=gone").then(ws => { window.ws = ws })`)
		gone.call("", "Target.closeTarget", map[string]any{"targetId": gone.target}, new(any))
		p.want(`ended("gone")`, "1001  clean")
	})
}

// TestChromiumEcho uses examples/echo as a person does, to the end by SIGINT.
func TestChromiumEcho(t *testing.T) {
	program := filepath.Join(t.TempDir(), "echo")
	if out, err := exec.Command("go", "build", "-o", program, "../../examples/echo").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server := exec.CommandContext(t.Context(), program, "-addr", "127.0.0.1:0")
	stderr, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	log := make(chan string, 100)
	go func() {
		defer close(log)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			log <- s.Text()
		}
	}()
	_, address, _ := strings.Cut(nextLine(t, log), "listening on ")
	p := startBrowser(t).open(t, address+"/")

	last := func(text string) {
		t.Helper()
		p.wait(fmt.Sprintf(`document.querySelector("#log li:last-child span").textContent === %q`, text))
	}
	state := func(name string) {
		t.Helper()
		p.wait(fmt.Sprintf(`document.querySelector("#state").textContent === %q`, name))
	}
	submit := func(form, script string) {
		t.Helper()
		p.eval(script + fmt.Sprintf(`; document.querySelector("#%s").requestSubmit()`, form))
	}
	state("open")
	submit("message", `$("text").value = "grüße"`)
	last("grüße")
	submit("message", `$("type").value = "binary"`)
	last("67 72 c3 bc c3 9f 65 (binary)")
	p.eval(`$("large").click()`)
	last("(binary, 1048576 bytes)")
	p.eval(`$("type").value = "text"; $("large").click()`)
	last("x" + strings.Repeat("x", 59) + "… (text, 1048576 characters)")
	for _, code := range []string{"1000", "3000", "4999"} {
		submit("end", fmt.Sprintf(`$("code").value = %q; $("reason").value = "enough"`, code))
		state("closed")
		p.eval(`$("again").click()`)
		state("open")
	}
	if path := os.Getenv("SCREENSHOT"); path != "" {
		submit("message", `$("text").value = "Hello, world"`)
		var shot struct{ Data []byte }
		p.call(p.session, "Page.captureScreenshot", map[string]any{}, &shot)
		os.WriteFile(path, shot.Data, 0o666)
	}
	server.Process.Signal(os.Interrupt)
	state("closed")
	last("closed: 1001 server is shutting down")
	for range log {
	}
	if err := server.Wait(); err != nil {
		t.Error("the server ended with", err)
	}
}

// TestChromiumSSE uses examples/sse as its page asks for: the server is stopped and
// started again, and the page goes on without having missed an event.
func TestChromiumSSE(t *testing.T) {
	program := filepath.Join(t.TempDir(), "sse")
	if out, err := exec.Command("go", "build", "-o", program, "../../examples/sse").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	start := func() *exec.Cmd {
		server := exec.CommandContext(t.Context(), program, "-addr", address)
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		for range 400 {
			if c, err := net.Dial("tcp", address); err == nil {
				c.Close()
				return server
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatal("the server does not listen")
		return nil
	}
	stop := func(server *exec.Cmd) {
		server.Process.Signal(os.Interrupt)
		if err := server.Wait(); err != nil {
			t.Error("the server ended with", err)
		}
	}
	server := start()
	p := startBrowser(t).open(t, "http://"+address+"/")
	p.wait(`document.getElementById("state").textContent === "open" && count >= 3`)
	stop(server)
	p.wait(`document.getElementById("state").textContent === "connecting again"`)
	p.eval(`window.before = count; window.seen = last`)
	server = start()
	// Events went by while there was no server: they come as well.
	p.wait(`document.getElementById("state").textContent === "open" && count >= before + 3`)
	p.want(`missed === 0 && count - before === last - seen`, true)
	p.want(`document.getElementById("missed").textContent`, "0")
	stop(server)
}
