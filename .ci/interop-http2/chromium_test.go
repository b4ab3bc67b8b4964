package interophttp2

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/.ci/browser"
)

// many is how many WebSockets are open at once, of at most 250 streams.
const many = 100

// Each conversation is a script and what it gives.
var conversations = map[string]struct {
	script string
	want   any
}{
	"text": {`(async () => {
		const ws = await open("/echo")
		for (const size of [0, 1, 125, 126, 127, 65535, 65536, 3 << 20]) {
			const text = "0123456789abcdef".repeat(size / 16 + 1).slice(0, size)
			ws.send(text)
			if (await ws.next() !== text) return size
		}
		ws.send("grüße, 世界 🌍")
		const last = await ws.next()
		ws.close()
		return last
	})()`, "grüße, 世界 🌍"},
	"binary": {`(async () => {
		const ws = await open("/echo")
		for (const size of [0, 1, 125, 126, 127, 65535, 65536, 3 << 20]) {
			const bytes = Uint8Array.from({ length: size }, (_, i) => i * 31 + 7)
			ws.send(bytes)
			const got = new Uint8Array(await ws.next())
			if (got.length !== size || !got.every((b, i) => b === bytes[i])) return size
		}
		ws.close()
		return "same"
	})()`, "same"},
	"pipelined": {`(async () => {
		const ws = await open("/echo")
		let got = 0, wrong = 0
		const all = new Promise(done => ws.onmessage = e => { if (e.data !== "message " + got) wrong++; if (++got === 1000) done() })
		for (let i = 0; i < 1000; i++) ws.send("message " + i)
		await all
		ws.close()
		return wrong
	})()`, 0.0},
	"large ones at the same time": {`(async () => {
		const all = await Promise.all(Array.from({ length: 8 }, () => open("/echo")))
		const texts = all.map((_, i) => String(i).repeat(1 << 20))
		const echoes = all.map(ws => ws.next())
		all.forEach((ws, i) => ws.send(texts[i]))
		const wrong = (await Promise.all(echoes)).filter((data, i) => data !== texts[i]).length
		all.forEach(ws => ws.close())
		return wrong
	})()`, 0.0},
	"one that the server does not receive": {`(async () => {
		const deaf = await open("/deaf"), other = await open("/echo")
		for (let i = 0; i < 16; i++) deaf.send(new Uint8Array(1 << 20))
		deaf.send("")
		other.send("heard")
		const data = await other.next(), sum = deaf.next()
		await fetch("/hear")
		const all = await sum
		deaf.close()
		other.close()
		return data + " " + all
	})()`, fmt.Sprint("heard ", 16<<20)},
	"deflate": {`(async () => {
		const ws = await open("/compressed?id=deflate")
		const json = JSON.stringify(Array.from({ length: 1000 }, (_, i) => ({ id: i, name: "n" + i })))
		for (const text of [json, "", json, "short", json]) {
			ws.send(text)
			if (await ws.next() !== text) return text.slice(0, 20)
		}
		ws.close(1000)
		return ws.extensions.split(";")[0] + " " + await ended("deflate")
	})()`, "permessage-deflate 1000  clean"},
	"server's ping":         {`open("/ping").then(async ws => await ws.next() + " " + await ws.closed)`, "pong 1000  clean"},
	"subprotocol":           {`open("/echo", ["chat.v3", "chat.v2"]).then(ws => { ws.close(); return ws.protocol })`, "chat.v2"},
	"refused":               {`open("/nowhere").catch(error => error.message)`, "did not open"},
	"aborted by the server": {`open("/abort").then(ws => { ws.send("x"); return ws.closed })`, "1006  not clean"},
}

// A page that came over HTTP/2 opens all its WebSockets on the same connection.
func TestChromium(t *testing.T) {
	s := newServer(t)
	s.StartTLS()
	b := browser.Start(t)
	p := b.Open(s.URL + "/")
	p.Eval(browser.Helpers)
	var home origin // of the page
	for o := range s.origins() {
		home = o
	}
	if home.proto != "HTTP/2.0" {
		t.Fatalf("the page came over %s", home.proto)
	}
	p.Want(fmt.Sprintf(`(async () => {
		const all = await Promise.all(Array.from({ length: %d }, () => open("/echo")))
		const echoes = all.map(ws => ws.next())
		all.forEach((ws, i) => ws.send("from " + i))
		const right = (await Promise.all(echoes)).filter((data, i) => data === "from " + i).length
		all.forEach(ws => ws.close(1000))
		const clean = (await Promise.all(all.map(ws => ws.closed))).filter(end => end === "1000  clean").length
		return right + " " + clean
	})()`, many), fmt.Sprint(many, " ", many))
	if seen := s.origins(); seen[home] != many {
		t.Errorf("WebSockets came over %v, want %d from %v as the page", seen, many, home)
	}

	for name, c := range conversations {
		b.Run(name, func() { p.Want(c.script, c.want) })
	}
	closings(b, p)
	b.Run("page that is closed", func() {
		gone := b.Open(s.URL + "/?")
		gone.Eval(browser.Helpers)
		gone.Eval(`open("/echo?id=gone").then(ws => { window.ws = ws })`)
		gone.Close()
		// Over HTTP/1.1 Chromium sends a close frame with 1001; here it resets the
		// stream, with CANCEL and nothing before it.
		p.Want(`ended("gone")`, "1006  not clean")
	})
	for o := range s.origins() {
		if o != home {
			t.Fatalf("one came over %v, want %v as the page", o, home)
		}
	}
}

// closings want that both sides see every end as it was.
func closings(b *browser.Browser, p *browser.Page) {
	for i, end := range []struct{ args, seen string }{
		{`1000, "done"`, "1000 done"}, {`3000, ""`, "3000 "}, {`4999, "ünï"`, "4999 ünï"}, {``, "1005 "},
	} {
		b.Run("page closes with "+end.seen, func() {
			p.Want(fmt.Sprintf(`open("/echo?id=%d").then(async ws => {
				ws.close(%s)
				return await ws.closed + ", " + await ended(%[1]d)
			})`, i, end.args), end.seen+" clean, "+end.seen+" clean")
		})
	}
	for code, reason := range closeReasons {
		b.Run(fmt.Sprint("server closes with ", code), func() {
			p.Want(fmt.Sprintf(`open("/close?id=closed&code=%d&reason=" + encodeURIComponent(%q)).then(async ws =>
				await ws.closed + ", " + await ended("closed"))`, code, reason),
				fmt.Sprintf("%d %s clean, %[1]d %[2]s clean", code, reason))
		})
	}
}

// TestExample uses examples/http2 as a person does, to the end by SIGINT.
func TestExample(t *testing.T) {
	program := filepath.Join(t.TempDir(), "http2")
	if out, err := exec.Command("go", "build", "-o", program, "../../examples/http2").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	log := make(chan string, 100)
	server := start(t, log, program, "-addr", "127.0.0.1:0")
	_, address, _ := strings.Cut(nextLine(t, log), "listening on ")
	p := browser.Start(t).Open(address + "/")
	p.Wait(`document.querySelectorAll("tr.open td:nth-child(5):not(:empty)").length === 8`)
	p.Want(`document.querySelector("#summary").textContent`, "8 open, over 1 connection of HTTP/2.0.")
	p.Want(`Array.from(document.querySelectorAll("td:nth-child(4)"), cell => cell.textContent).sort().join()`, "1,2,3,4,5,6,7,8")

	// One of HTTP/1.1 beside them.
	c, err := websocket.Dial(t.Context(), "wss"+strings.TrimPrefix(address, "https")+"/echo", &websocket.DialOptions{TLSConfig: trusting(t, address)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	var told struct{ Protocol string }
	if err := json.Unmarshal((<-c.Messages()).Data, &told); err != nil || told.Protocol != "HTTP/1.1" {
		t.Errorf("told %+v, %v", told, err)
	}
	if path := os.Getenv("SCREENSHOT"); path != "" {
		os.WriteFile(path, p.Screenshot(), 0o666)
	}

	p.Eval(`$("close").click()`)
	p.Wait(`document.querySelectorAll("tr.closed").length === 8`)
	p.Eval(`$("more").click(), $("more").click()`)
	p.Wait(`$("summary").textContent === "2 open, over 1 connection of HTTP/2.0."`)
	server.Process.Signal(os.Interrupt)
	p.Wait(`document.querySelectorAll("tr.closed").length === 10`)
	p.Want(`Array.from(document.querySelectorAll("td:last-child"), cell => cell.textContent.slice(8, 12)).join(" ")`,
		strings.Repeat("1000 ", 8)+"1001 1001")
	for range c.Messages() {
	}
	if e := <-c.Closed(); e.Code != 1001 || !e.Clean {
		t.Errorf("closed with %+v", e)
	}
	for range log {
	}
	if err := server.Wait(); err != nil {
		t.Error("the server ended with", err)
	}
}

// trusting knows the certificate that the server at an address has.
func trusting(t *testing.T, address string) *tls.Config {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(address, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	roots := x509.NewCertPool()
	roots.AddCert(conn.ConnectionState().PeerCertificates[0])
	return &tls.Config{RootCAs: roots}
}

// start starts a program that ends with the test at the latest, and gives the lines
// that it prints as errors.
func start(t *testing.T, lines chan<- string, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return cmd
}
