package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the child process.
func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	os.Exit(m.Run())
}

// small is a scenario with few connections: still more and more where that is what
// is plotted.
func small(s scenario) scenario {
	if s.Growth == alongConns {
		s.Conns = len(s.Name) - len("conns-")
		return s
	}
	s.Conns = min(s.Conns, 6)
	return s
}

// TestScenarios runs all scenarios with all peers, for a moment.
func TestScenarios(t *testing.T) {
	settle = 10 * time.Millisecond
	pl := &plan{peers: peers(), rounds: 1, dur: 20 * time.Millisecond}
	for _, s := range scenarios {
		pl.scenarios = append(pl.scenarios, small(s))
	}
	rep := newReport(pl, nil)
	var out bytes.Buffer
	if err := run(t.Context(), pl, rep, &out); err != nil {
		t.Fatal(err)
	}
	if len(rep.Results) != len(scenarios) {
		t.Fatalf("%d results of %d scenarios", len(rep.Results), len(scenarios))
	}
	for _, res := range rep.Results {
		checkResult(t, res)
	}
	checkFiles(t, rep)
}

func checkResult(t *testing.T, res *result) {
	t.Helper()
	name := res.Scenario.Name
	if len(res.Peers) < 3 {
		t.Errorf("%s: only %d peers", name, len(res.Peers))
	}
	positive := map[string]bool{cpuPerMessage.Key: true, messages.Key: true, throughput.Key: true, wireBytes.Key: true}
	for _, p := range res.Peers {
		for _, f := range p.Failures {
			t.Errorf("%s, %s: %s", name, p.Peer, f)
		}
		for _, m := range res.Metrics {
			s, ok := p.Metrics[m.Key]
			if !ok && (m != rssKB || residentBytes() > 0) && len(p.Failures) == 0 {
				t.Errorf("%s, %s: no %s", name, p.Peer, m.Key)
			}
			if ok && positive[m.Key] && s.Median <= 0 {
				t.Errorf("%s, %s: %s is %v", name, p.Peer, m.Key, s.Median)
			}
		}
	}
}

// checkFiles writes what a run writes.
func checkFiles(t *testing.T, rep *report) {
	t.Helper()
	dir := t.TempDir()
	jsonFile, htmlFile := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.html")
	markdownFile, svgPrefix := filepath.Join(dir, "r.md"), filepath.Join(dir, "plots")
	err := firstError(rep.writeJSON(jsonFile), rep.writeHTML(htmlFile), rep.writeSVG(svgPrefix),
		rep.writeMarkdown(markdownFile, svgPrefix))
	if err != nil {
		t.Fatal(err)
	}
	checkMarkdown(t, markdownFile)
	for _, a := range []axis{alongConns, alongSize} {
		b, err := os.ReadFile(svgPrefix + "-" + string(a) + ".svg")
		if err != nil {
			t.Error(err)
		}
		checkSVG(t, b)
	}
	b, err := os.ReadFile(jsonFile)
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(b, &back); err != nil || len(back.Results) != len(rep.Results) {
		t.Errorf("JSON: %v, %d results", err, len(back.Results))
	}
	h, err := os.ReadFile(htmlFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		if !strings.Contains(string(h), `id="`+s.Name+`"`) {
			t.Errorf("HTML: no %s", s.Name)
		}
	}
	if strings.Contains(string(h), "ZgotmplZ") {
		t.Error("HTML: something was not safe to insert")
	}
}

// checkMarkdown looks for all scenarios, all targets and both plots.
func checkMarkdown(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, s := range work {
		if !strings.Contains(text, "\n### "+s.Name+"\n") {
			t.Errorf("markdown: no %s", s.Name)
		}
	}
	for i := range goals {
		if !strings.Contains(text, "\n| "+goals[i].work+" | ") {
			t.Errorf("markdown: no target %q", goals[i].work)
		}
	}
	for _, want := range []string{"](plots-conns.svg)", "](plots-size.svg)", "\n| 5 | ", "\n| 16 MiB | "} {
		if !strings.Contains(text, want) {
			t.Errorf("markdown: no %q", want)
		}
	}
}

// checkSVG parses it, and looks for a line of each peer with numbers in it.
func checkSVG(t *testing.T, b []byte) {
	t.Helper()
	lines := 0
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("SVG: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
		}
	}
	if lines < len(growthPeers) || bytes.Contains(b, []byte("NaN")) || bytes.Contains(b, []byte("Inf")) {
		t.Errorf("SVG: %d lines:\n%s", lines, b)
	}
}

// TestInterrupt ends a run in the midst of a measurement: at once, without a child
// left and without a failure of a peer.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	pl := &plan{scenarios: []scenario{small(scenarios[1])}, peers: []*peer{rawPeer}, rounds: 1, dur: time.Minute}
	rep := newReport(pl, nil)
	time.AfterFunc(500*time.Millisecond, cancel)
	began := time.Now()
	if err := run(ctx, pl, rep, io.Discard); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v to end", d)
	}
	for _, p := range rep.Results[0].Peers {
		if len(p.Failures) > 0 {
			t.Errorf("%s: %v", p.Peer, p.Failures)
		}
	}
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("a child is left: %d, %v", pid, err)
	}
}

// TestTooFewFiles has a scenario refused before anything runs.
func TestTooFewFiles(t *testing.T) {
	s := scenario{Name: "many", Conns: 1000}
	if err := s.fits(1000 + spareFiles); err != nil {
		t.Error(err)
	}
	if err := s.fits(1000); err == nil || !strings.Contains(err.Error(), "ulimit") {
		t.Errorf("%v", err)
	}
}

// TestProfile has our own process profiled.
func TestProfile(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "cpu")
	pl := &plan{
		scenarios: []scenario{small(scenarios[0])},
		peers:     []*peer{oursPeer, rawPeer},
		rounds:    1, dur: 20 * time.Millisecond, profile: prefix,
	}
	if err := run(t.Context(), pl, newReport(pl, nil), &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(prefix + ".*")
	if err != nil || len(files) != 1 || files[0] != prefix+".ours."+scenarios[0].Name+".pprof" {
		t.Errorf("profiles: %v, %v", files, err)
	}
}

func TestSelect(t *testing.T) {
	if s, err := selectScenarios("tls-*,churn"); err != nil || len(s) != 4 {
		t.Errorf("%d scenarios, %v", len(s), err)
	}
	if _, err := selectScenarios("nothing"); err == nil {
		t.Error("an unknown scenario is no error")
	}
	if p, err := selectPeers("raw-tcp,ours"); err != nil || len(p) != 2 || p[0] != oursPeer {
		t.Errorf("peers %v, %v", p, err)
	}
	if _, err := selectPeers("nobody"); err == nil {
		t.Error("an unknown peer is no error")
	}
}
