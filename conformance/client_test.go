package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startSuite serves the cases to clients until the test ends.
func startSuite(t testing.TB, cases []Case, times Timeouts) (*ClientSuite, string) {
	t.Helper()
	suite := NewClientSuite(cases, Options{Timeouts: times, Seed: 1, Short: BriefRun}, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- suite.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return suite, ln.Addr().String()
}

// runReferenceClient drives a reference client through every case, as drivers
// of the public suite do.
func runReferenceClient(t testing.TB, addr string, f fault) {
	t.Helper()
	var count []byte
	if err := referenceDial(addr, "/getCaseCount", "", func(p []byte) { count = p }); err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(count))
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		// A refused handshake is what some cases ask for.
		_ = referenceDial(addr, fmt.Sprintf("/runCase?case=%d&agent=%s", i, "reference"), f, nil)
	}
	if err := referenceDial(addr, "/updateReports?agent=reference", "", nil); err != nil {
		t.Fatal(err)
	}
}

// referenceDial connects and echoes, or hands the first message to take.
func referenceDial(addr, path string, f fault, take func([]byte)) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	r := &reference{fault: f, role: Client, conn: conn, in: bufio.NewReader(conn)}
	raw := make([]byte, 16)
	for i := range raw {
		raw[i] = byte(rand.Uint32())
	}
	if f == "same-key" {
		raw = bytes.Repeat([]byte{7}, 16)
	}
	key := base64.StdEncoding.EncodeToString(raw)
	m := message{line: "GET " + path + " HTTP/1.1", fields: []field{
		{"Host", addr}, {"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Key", key},
		{"Sec-WebSocket-Version", "13"}, {"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"},
	}}
	conn.Write(m.bytes())
	if err := r.acceptAnswer(key); err != nil {
		return err
	}
	if take != nil {
		f, err := readFrame(r.in, mostHeld(Heavy))
		if err != nil {
			return err
		}
		take(f.payload)
	}
	r.loop()
	// The server closes first (RFC 6455, 7.1.1).
	if r.closed && f != "closes-first" {
		conn.SetReadDeadline(time.Now().Add(time.Second))
		io.Copy(io.Discard, r.in)
	}
	return nil
}

// acceptAnswer takes a server's answer or says why not.
func (r *reference) acceptAnswer(key string) error {
	head, err := readHead(r.in)
	for err == nil && strings.HasPrefix(head.line, "HTTP/1.1 103") {
		head, err = readHead(r.in)
	}
	if err != nil {
		return err
	}
	offered := parseExtensions(head.values("Sec-WebSocket-Extensions"))
	switch {
	case !strings.HasPrefix(head.line, "HTTP/1.1 101") && r.fault != "any-status":
		return fmt.Errorf("status: %s", head.line)
	case head.get("Sec-WebSocket-Accept") != acceptKey(key) && r.fault != "any-accept":
		return fmt.Errorf("accept")
	case !strings.EqualFold(head.get("Upgrade"), "websocket") && r.fault != "any-upgrade":
		return fmt.Errorf("upgrade")
	case !head.contains("Connection", "Upgrade") && r.fault != "any-connection":
		return fmt.Errorf("connection")
	case head.count("Sec-WebSocket-Protocol") > 0 && r.fault != "any-protocol":
		return fmt.Errorf("subprotocol")
	case len(offered) == 0 || r.fault == "any-extension" && offered[0].name != "permessage-deflate":
		return nil
	case len(offered) > 1 || offered[0].name != "permessage-deflate":
		return fmt.Errorf("extension")
	}
	a, wrong := deflateAnswer(offered[0])
	if wrong != "" && r.fault != "any-answer" {
		return fmt.Errorf("extension: %s", wrong)
	}
	r.agree(a)
	return nil
}

func clientCases(t testing.TB, include ...string) []Case {
	t.Helper()
	cases, err := Selection{Role: Client, Include: include}.Select(Cases())
	if err != nil {
		t.Fatal(err)
	}
	return light(cases)
}

func TestReferenceClientPasses(t *testing.T) {
	suite, addr := startSuite(t, clientCases(t), patientTimes)
	runReferenceClient(t, addr, "")
	report := suite.Report()
	if len(report.Agents) != 1 {
		t.Fatalf("%d agents", len(report.Agents))
	}
	for _, r := range report.Agents[0].Results {
		want := Pass
		switch {
		case strings.HasSuffix(r.ID, ".tail-superfluous"):
			want = Informational // the reference refuses, as it may
		case strings.HasSuffix(r.ID, ".client-bits-not-offered"):
			want = Unimplemented // the reference offers them
		case r.ID == "handshake.client.oversized":
			continue // either is right
		}
		if r.Verdict != want {
			t.Errorf("%s: %v: %s", r.ID, r.Verdict, r.Reason)
		}
	}
}

// TestBrokenClients shows the same of clients as TestBrokenServers of servers,
// on the groups that the fault concerns and some that it does not.
func TestBrokenClients(t *testing.T) {
	groups := []string{"handshake.client", "masking", "ping", "reserved", "close", "deflate.illegal-answer", "deflate.window"}
	for _, b := range []brokenServer{
		{"no-mask", "masking ping reserved close deflate.window handshake.client.takes handshake.client.request handshake.client.delivery handshake.client.interim !handshake.client.delivery.cut"},
		{"one-key", "masking.key.fresh"},
		{"any-masking", "masking.masked"},
		{"same-key", "handshake.client.request.key-fresh"},
		{"any-accept", "handshake.client.refuses.accept-*"},
		{"any-upgrade", "handshake.client.refuses.upgrade-*"},
		{"any-connection", "handshake.client.refuses.connection-*"},
		{"any-protocol", "handshake.client.refuses.protocol-*"},
		{"any-extension", "handshake.client.refuses.extension-* deflate.illegal-answer.other-extension"},
		{"any-answer", "deflate.illegal-answer !deflate.illegal-answer.extension-twice !deflate.illegal-answer.other-extension !deflate.illegal-answer.client-bits-not-offered"},
		{"any-status", "handshake.client.refuses.status-200 handshake.client.refuses.line-*"},
		{"empty-pong", "ping.payload !ping.payload.bytes0* ping.unsolicited.then-ping ping.with-message ping.same-payload ping.flood.10"},
		{"ignores-reserved-bits", "reserved.bits close.failed-then-text"},
		{"ignores-window", "deflate.window.client !deflate.window.client.15"},
	} {
		t.Run(string(b.fault), func(t *testing.T) {
			cases := clientCases(t, groups...)
			if testing.Short() {
				cases = b.sample(cases, 3, 12, 0)
			}
			suite, addr := startSuite(t, cases, testTimes)
			runReferenceClient(t, addr, b.fault)
			for _, r := range suite.Report().Agents[0].Results {
				red := r.Verdict == NotStrict || r.Verdict.Red()
				if red != b.expects(r.ID) {
					t.Errorf("%s: %v, want red: %v (%s)", r.ID, r.Verdict, b.expects(r.ID), r.Reason)
				}
			}
		})
	}
}

// TestEventStreamClient drives a client of event streams that reads them by
// the suite's own parser, and one that does not come back.
func TestEventStreamClient(t *testing.T) {
	cases := clientCases(t, "eventstream")
	suite, addr := startSuite(t, cases, testTimes)
	for agent, f := range map[string]fault{"good": "", "never-back": "never-back", "no-last-id": "no-last-id", "trims": "trims"} {
		var numbers []int
		get(t, "http://"+addr+"/eventstream/cases", "", &numbers)
		if len(numbers) != len(cases) {
			t.Fatalf("%d cases, want %d", len(numbers), len(cases))
		}
		for _, n := range numbers {
			readStreamAsClient(t, fmt.Sprintf("http://%s/eventstream/run?case=%d&agent=%s", addr, n, agent), f)
		}
	}
	want := map[string][]string{
		"good": nil, "never-back": {"eventstream.client.reconnect", "eventstream.client.reconnect-no-id"},
		"no-last-id": {"eventstream.client.reconnect"}, "trims": {"eventstream.client.two-spaces"},
	}
	for _, a := range suite.Report().Agents {
		for _, r := range a.Results {
			if red := r.Verdict != Pass; red != slices.Contains(want[a.Name], r.ID) {
				t.Errorf("%s, %s: %v: %s", a.Name, r.ID, r.Verdict, r.Reason)
			}
		}
	}
}

func get(t testing.TB, url, lastID string, into any) (status int, kind, body string) {
	t.Helper()
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatal(err)
		}
	}
	return response.StatusCode, response.Header.Get("Content-Type"), string(b)
}

// readStreamAsClient reads a stream, comes back once, and reports.
func readStreamAsClient(t testing.TB, url string, f fault) {
	t.Helper()
	events := []StreamEvent{}
	status, kind, body := get(t, url, "", nil)
	kind, _, _ = strings.Cut(strings.ToLower(kind), ";")
	if status == 200 && kind == "text/event-stream" {
		events = append(events, parseStream(body)...)
		last := ""
		if len(events) > 0 && f != "no-last-id" {
			last = events[len(events)-1].ID
		}
		if f != "never-back" {
			if status, _, _ := get(t, url, last, nil); status != 204 {
				t.Errorf("status %d at the second visit", status)
			}
		}
	}
	if f == "trims" {
		for i := range events {
			events[i].Data = strings.TrimLeft(events[i].Data, " ")
		}
	}
	b, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(strings.Replace(url, "/run?", "/report?", 1), "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("the report was answered with %s", response.Status)
	}
}
