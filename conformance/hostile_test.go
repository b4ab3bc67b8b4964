package conformance

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// mostPoured bounds what a hostile peer sends, for the days when the suite does
// not.
const mostPoured = 512 << 20

// pour answers each connection's request with a head, and then with the same
// bytes again and again.
func pour(t *testing.T, head func(*message) string, again []byte) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				asked, err := readHead(bufio.NewReader(conn))
				if err != nil {
					return
				}
				_, err = io.WriteString(conn, head(asked))
				for n := 0; err == nil && n < mostPoured; n += len(again) {
					_, err = conn.Write(again)
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); group.Wait() })
	return ln.Addr().String()
}

// heapPeak runs f and returns by how much the heap was larger meanwhile.
func heapPeak(f func()) (peak int64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before := int64(m.HeapAlloc)
	done, sampled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sampled)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-tick.C:
				runtime.ReadMemStats(&m)
				peak = max(peak, int64(m.HeapAlloc)-before)
			case <-done:
				tick.Stop()
				return
			}
		}
	}()
	f()
	close(done)
	<-sampled
	return peak
}

func unmasked(f frame) []byte { return appendFrame(nil, f, nil) }

// A server that answers without end is found out, and the suite holds only so
// much of it.
func TestEndlessServer(t *testing.T) {
	upgrade := func(extra string) func(*message) string {
		return func(asked *message) string {
			return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + extra +
				"Sec-WebSocket-Accept: " + acceptKey(asked.get("Sec-WebSocket-Key")) + "\r\n\r\n"
		}
	}
	plain := func(head string) func(*message) string { return func(*message) string { return head } }
	page := bytes.Repeat([]byte("x"), 64<<10)
	zeros := (&deflater{window: 32768}).message(make([]byte, 4<<20))
	for name, test := range map[string]struct {
		run    string
		head   func(*message) string
		again  []byte
		reason string
	}{
		"a status line":     {"framing.text.125", plain("HTTP/1.1 101 "), page, "the head is longer than 64 KiB"},
		"header fields":     {"framing.text.125", plain("HTTP/1.1 101 Switching Protocols\r\n"), []byte("X-More: yes\r\n"), "the head is longer than 64 KiB"},
		"messages":          {"close.normal", upgrade(""), unmasked(binaryFrame(string(page))), "more than any case asks for|announced more"},
		"empty messages":    {"close.normal", upgrade(""), bytes.Repeat(unmasked(text("")), 1000), "more than any case asks for"},
		"fragments":         {"framing.text.125", upgrade(""), unmasked(continuation(string(page)).open()), "continued nothing|more than any case asks for"},
		"pongs":             {"close.normal", upgrade(""), bytes.Repeat(unmasked(pong("again")), 1000), "more than any case asks for"},
		"one message":       {"framing.text.125", upgrade(""), unmasked(frame{opcode: opText}.open().claims(1 << 40)), "announced more"},
		"compressed zeros":  {"deflate.offer.pmd", upgrade("Sec-WebSocket-Extensions: permessage-deflate\r\n"), unmasked(binaryFrame(string(zeros)).bits(rsv1)), "differs|came as"},
		"an event stream":   {"eventstream.server.content-type", plain("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"), page, ""},
		"a stream's header": {"eventstream.server.content-type", plain("HTTP/1.1 200 OK\r\n"), []byte("X-More: yes\r\n"), "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			cases, err := Selection{Role: Server, Include: []string{test.run}}.Select(Cases())
			if err != nil {
				t.Fatal(err)
			}
			url := "ws://" + pour(t, test.head, test.again) + "/"
			start := time.Now()
			peak := heapPeak(func() {
				agent, err := TestServer(context.Background(), name, url, cases[:1], Options{Timeouts: testTimes, Seed: 1})
				if err != nil {
					t.Fatal(err)
				}
				r := agent.Results[0]
				found := test.reason == ""
				for _, reason := range strings.Split(test.reason, "|") {
					found = found || strings.Contains(r.Reason, reason)
				}
				if !found || test.reason != "" && !r.Verdict.Red() {
					t.Errorf("%v: %s", r.Verdict, r.Reason)
				}
			})
			t.Logf("%d KiB held at most, %v", peak>>10, time.Since(start).Round(time.Millisecond))
			if peak > 96<<20 {
				t.Errorf("the suite held %d MiB", peak>>20)
			}
		})
	}
}

// A client can not make the suite keep any number of agents.
func TestManyAgents(t *testing.T) {
	suite, addr := startSuite(t, light(Cases())[:1], testTimes)
	for i := range mostAgents + 50 {
		response, err := http.Get(fmt.Sprintf("http://%s/getCaseStatus?case=1&agent=a%d", addr, i))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	for _, path := range []string{"/getCaseStatus?case=1&agent=new", "/updateReports?agent=new", "/runCase?case=1&agent=" + strings.Repeat("x", mostAgentName+1)} {
		response, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("%.20s: %s", path, response.Status)
		}
	}
	if n := len(suite.Report().Agents); n > mostAgents {
		t.Errorf("%d agents are kept", n)
	}
}

// What a peer says reaches the terminal without its control characters.
func TestSummaryIsSafeToPrint(t *testing.T) {
	r := Report{Agents: []*Agent{{Name: "evil\x1b[2J\r\n", Results: []Result{{ID: "a", Verdict: Fail, Reason: "it said \x1b]0;owned\x07\u009b1m"}}}}}
	var b strings.Builder
	if err := r.Summary(&b); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x07\r\u009b") || strings.Count(b.String(), "\n") != 2 {
		t.Errorf("%q", b.String())
	}
}
