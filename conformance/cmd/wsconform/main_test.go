package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chanws/websocket"
	_ "github.com/chanws/websocket/negotiate/http2/xconnect" // for all of this test binary
)

// wsconform runs a command line and returns its exit status and output.
func wsconform(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"unknown"}, {"server"}, {"server", "-no-such-flag"}, {"server", "-run", "no-such-case", "ws://127.0.0.1:1"}, {"report"}, {"client", "-cert", "x"}, {"client", "-h2", "-listen", "127.0.0.1:0"}} {
		if code, _, stderr := wsconform(t, args...); code == exitGood || stderr == "" {
			t.Errorf("%q: status %d, %q", args, code, stderr)
		}
	}
	if code, _, _ := wsconform(t, "server", "-help"); code != exitGood {
		t.Errorf("-help: status %d", code)
	}
}

func TestList(t *testing.T) {
	code, out, _ := wsconform(t, "list", "-run", "masking", "-exclude", "masking.key,masking.position")
	if code != exitGood || strings.Count(out, "\n") != 20 || !strings.Contains(out, "masking.unmasked.text\tserver\tRFC 6455 5.1\t") {
		t.Errorf("status %d:\n%s", code, out)
	}
}

// silentServer accepts and closes at once: every case is red.
func silentServer(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

func TestServerReportsAndExitStatus(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"-json": filepath.Join(dir, "r.json"), "-html": filepath.Join(dir, "r.html"), "-junit": filepath.Join(dir, "r.xml")}
	args := []string{"server", "-run", "framing.text.1"}
	for name, file := range files {
		args = append(args, name, file)
	}
	code, out, stderr := wsconform(t, append(args, "silent=ws://"+silentServer(t)+"/")...)
	if code != exitRed || !strings.Contains(out, "silent (server): 5 cases") {
		t.Errorf("status %d, %q, %q", code, out, stderr)
	}
	for _, file := range files {
		if b, err := os.ReadFile(file); err != nil || !strings.Contains(string(b), "framing.text.1.chunk5") {
			t.Errorf("%s: %d bytes, %v", file, len(b), err)
		}
	}
	code, out, _ = wsconform(t, "report", files["-json"], files["-json"])
	if code != exitRed || strings.Count(out, "silent (server): 5 cases") != 2 {
		t.Errorf("report: status %d, %q", code, out)
	}
}

// TestServerOverTLS reaches a server that speaks HTTP over TLS, but no
// WebSocket: the handshake cases in which that is right pass.
func TestServerOverTLS(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	server.Config.ErrorLog = nil
	defer server.Close()
	url := "web=wss" + strings.TrimPrefix(server.URL, "https")
	code, out, stderr := wsconform(t, "server", "-insecure", "-run", "handshake.server.refuses.no-upgrade", url)
	if code != exitGood || !strings.Contains(out, "1 cases") {
		t.Errorf("status %d, %q, %q", code, out, stderr)
	}
	if code, out, _ := wsconform(t, "server", "-run", "handshake.server.refuses.no-upgrade", url); code != exitRed || !strings.Contains(out, "undecided") {
		t.Errorf("without -insecure: status %d, %q", code, out)
	}
}

// TestServerOverHTTP2 tells what it did not run, and that nothing else was red.
func TestServerOverHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(websocket.Handler(func(c *websocket.Conn) {
		for m := range c.Messages() {
			if c.Send(context.Background(), m) != nil {
				return
			}
		}
	}, nil))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	url := "wss" + strings.TrimPrefix(server.URL, "https")
	code, out, stderr := wsconform(t, "server", "-h2", "-insecure", "-run", "ping,handshake.server", "-short", url)
	if code != exitGood || !strings.Contains(out, "44 pass, 88 not applicable") {
		t.Errorf("status %d, %q, %q", code, out, stderr)
	}
	if code, out, _ := wsconform(t, "server", "-h2", "-insecure", "-run", "handshake.server", url); code != exitRed {
		t.Errorf("nothing was run: status %d, %q", code, out)
	}
	server.Config.Handler = http.NotFoundHandler()
	if code, out, _ := wsconform(t, "server", "-h2", "-insecure", "-run", "ping.with-message.after", url); code != exitRed || !strings.Contains(out, "404") {
		t.Errorf("no WebSocket: status %d, %q", code, out)
	}
}
