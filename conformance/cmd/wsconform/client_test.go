package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/conformance"
)

// certificateFiles writes the test server's certificate for 127.0.0.1.
func certificateFiles(t *testing.T) (cert, key string, trust *tls.Config) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	private, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return write("cert.pem", "CERTIFICATE", pair.Certificate[0]), write("key.pem", "PRIVATE KEY", private), &tls.Config{RootCAs: roots}
}

// ask opens a connection to the suite and echoes until it ends; it returns the
// first message.
func ask(t *testing.T, url string, trust *tls.Config) string {
	t.Helper()
	ws, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{TLSConfig: trust})
	if err != nil {
		t.Fatal(err)
	}
	first := ""
	for m := range ws.Messages() {
		if first == "" {
			first = string(m.Data)
		}
		if err := ws.Send(t.Context(), m); err != nil {
			break
		}
	}
	<-ws.Closed()
	return first
}

// Two clients are tested over TLS; the command ends when both have reported.
func TestClientsOverTLS(t *testing.T) {
	cert, key, trust := certificateFiles(t)
	file := filepath.Join(t.TempDir(), "r.json")
	args := []string{"client", "-listen", "127.0.0.1:0", "-cert", cert, "-key", key, "-agents", "2", "-run", "framing.text.1", "-json", file}
	reader, stderr := io.Pipe()
	var stdout bytes.Buffer
	ended := make(chan int, 1)
	go func() { ended <- run(context.Background(), args, &stdout, stderr); stderr.Close() }()
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, reader)
	_, address, _ := strings.Cut(strings.TrimSpace(line), "waiting for clients on ")
	base := "wss://" + address
	for _, agent := range []string{"one", "two"} {
		count, err := strconv.Atoi(ask(t, base+"/getCaseCount", trust))
		if err != nil || count != 5 {
			t.Fatalf("%d cases, %v", count, err)
		}
		for i := range count {
			ask(t, fmt.Sprintf("%s/runCase?case=%d&agent=%s", base, i+1, agent), trust)
		}
		ask(t, base+"/updateReports?agent="+agent, trust)
	}
	if code := <-ended; code != exitGood || strings.Count(stdout.String(), "5 cases") != 2 {
		t.Errorf("status %d, %q", code, stdout.String())
	}
	report, err := readReport(file)
	if err != nil || len(report.Agents) != 2 || report.Red() {
		t.Errorf("%d agents, %v", len(report.Agents), err)
	}
}

func TestProgressLine(t *testing.T) {
	var b bytes.Buffer
	if newProgress(&b, "x").show(1, 2, conformance.Result{ID: "a"}); b.Len() > 0 {
		t.Errorf("%q was shown where there is no terminal", &b)
	}
	p := &progress{w: &b, name: "x"}
	p.show(1, 2, conformance.Result{ID: "a", Verdict: conformance.Pass})
	p.show(2, 2, conformance.Result{ID: "b", Verdict: conformance.Fail})
	p.clear()
	if got, want := b.String(), "\r\x1b[Kx: 1 of 2, 0 red, a\r\x1b[Kx: 2 of 2, 1 red, b\r\x1b[K"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
