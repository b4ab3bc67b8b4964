package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
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

// small is a scenario with few connections.
func small(s scenario) scenario {
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
	if len(res.Peers) < 4 {
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
	if err := firstError(rep.writeJSON(jsonFile), rep.writeHTML(htmlFile)); err != nil {
		t.Fatal(err)
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
