package interop

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chanws/websocket/.ci/browser"
)

func TestChromium(t *testing.T) {
	s := newServer(t)
	b := browser.Start(t)
	p := b.Open(s.URL + "/")
	p.Eval(browser.Helpers)
	b.Run("text", func() {
		p.Want(`(async () => {
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
	b.Run("binary", func() {
		p.Want(`(async () => {
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
	b.Run("pipelined", func() {
		p.Want(`(async () => {
			const ws = await open("/echo")
			let got = 0, wrong = 0
			const all = new Promise(done => ws.onmessage = e => { if (e.data !== "message " + got) wrong++; if (++got === 1000) done() })
			for (let i = 0; i < 1000; i++) ws.send("message " + i)
			await all
			ws.close()
			return wrong
		})()`, float64(0))
	})
	b.Run("server's ping", func() {
		p.Want(`open("/ping").then(async ws => await ws.next() + " " + await ws.closed)`, "pong 1000  clean")
	})
	b.Run("subprotocol", func() {
		p.Want(`open("/echo", ["chat.v3", "chat.v2"]).then(ws => { ws.close(); return ws.protocol })`, "chat.v2")
	})
	b.Run("aborted by the server", func() {
		p.Want(`open("/abort").then(ws => ws.closed)`, "1006  not clean")
	})
	for i, end := range []struct {
		args, seen string
	}{
		{`1000, "done"`, "1000 done"}, {`3000, ""`, "3000 "}, {`3000, "a library's"`, "3000 a library's"},
		{`4999, "ünï"`, "4999 ünï"}, {``, "1005 "},
	} {
		b.Run("page closes with "+end.seen, func() {
			p.Want(fmt.Sprintf(`open("/echo?id=%d").then(ws => { ws.close(%s); return ended(%d) })`, i, end.args, i), end.seen+" clean")
			code, _, _ := strings.Cut(end.seen, " ")
			p.Want(fmt.Sprintf(`open("/echo").then(async ws => { ws.close(%s); return (await ws.closed).slice(0, 4) })`, end.args), code)
		})
	}
	for code, reason := range map[int]string{1000: "", 1001: "going away", 1011: "ünï", 4000: strings.Repeat("r", 123)} {
		b.Run("server closes with "+strconv.Itoa(code), func() {
			p.Want(fmt.Sprintf(`open("/close?code=%d&reason=" + encodeURIComponent(%q)).then(ws => ws.closed)`, code, reason),
				fmt.Sprintf("%d %s clean", code, reason))
		})
	}
	b.Run("page that is closed", func() {
		gone := b.Open(s.URL + "/?")
		gone.Eval(browser.Helpers)
		gone.Eval(`open("/echo?id=gone").then(ws => { window.ws = ws })`)
		gone.Close()
		p.Want(`ended("gone")`, "1001  clean")
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
	p := browser.Start(t).Open(address + "/")

	last := func(text string) {
		t.Helper()
		p.Wait(fmt.Sprintf(`document.querySelector("#log li:last-child span").textContent === %q`, text))
	}
	state := func(name string) {
		t.Helper()
		p.Wait(fmt.Sprintf(`document.querySelector("#state").textContent === %q`, name))
	}
	submit := func(form, script string) {
		t.Helper()
		p.Eval(script + fmt.Sprintf(`; document.querySelector("#%s").requestSubmit()`, form))
	}
	state("open")
	submit("message", `$("text").value = "grüße"`)
	last("grüße")
	submit("message", `$("type").value = "binary"`)
	last("67 72 c3 bc c3 9f 65 (binary)")
	p.Eval(`$("large").click()`)
	last("(binary, 1048576 bytes)")
	p.Eval(`$("type").value = "text"; $("large").click()`)
	last("x" + strings.Repeat("x", 59) + "… (text, 1048576 characters)")
	for _, code := range []string{"1000", "3000", "4999"} {
		submit("end", fmt.Sprintf(`$("code").value = %q; $("reason").value = "enough"`, code))
		state("closed")
		p.Eval(`$("again").click()`)
		state("open")
	}
	if path := os.Getenv("SCREENSHOT"); path != "" {
		submit("message", `$("text").value = "Hello, world"`)
		os.WriteFile(path, p.Screenshot(), 0o666)
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
	p := browser.Start(t).Open("http://" + address + "/")
	p.Wait(`document.getElementById("state").textContent === "open" && count >= 3`)
	stop(server)
	p.Wait(`document.getElementById("state").textContent === "connecting again"`)
	p.Eval(`window.before = count; window.seen = last`)
	server = start()
	// Events went by while there was no server: they come as well.
	p.Wait(`document.getElementById("state").textContent === "open" && count >= before + 3`)
	p.Want(`missed === 0 && count - before === last - seen`, true)
	p.Want(`document.getElementById("missed").textContent`, "0")
	stop(server)
}
