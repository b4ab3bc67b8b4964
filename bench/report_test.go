package main

import (
	"bufio"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// resultOf makes a result of rounds: for each peer a value a round.
func resultOf(name string, m metric, rounds map[string][]float64) *result {
	s := scenario{Name: name}
	r := &result{Scenario: s, Metrics: []metric{m}}
	for _, p := range peers() {
		if _, ok := rounds[p.name]; !ok {
			continue
		}
		for _, v := range rounds[p.name] {
			r.add(p, values{m.Key: v}, nil)
		}
	}
	return r.finish()
}

// TestGoals judges runs made up for it.
func TestGoals(t *testing.T) {
	atLeast := goal{scenario: "s", metric: messages, limit: 8}
	atMost := goal{scenario: "s", metric: cpuPerMessage, limit: 1}
	named := goal{scenario: "s", metric: cpuPerMessage, limit: 1, to: "gorilla"}
	absolute := goal{scenario: "s", metric: rssKB, limit: 6, absolute: true}
	none := goal{scenario: "s", metric: allocs, limit: noAllocs, absolute: true}
	for _, test := range []struct {
		name   string
		goal   goal
		rounds map[string][]float64
		value  float64
		want   verdict
	}{
		{"more", atLeast, map[string][]float64{"ours": {80, 90, 85}, "gws": {10, 10, 10}, "gorilla": {5, 5, 5}}, 8.5, met},
		{"not more", atLeast, map[string][]float64{"ours": {70, 71, 72}, "gws": {10, 10, 10}}, 7.1, notMet},
		{"as good as printed", atMost, map[string][]float64{"ours": {10.04, 10.04, 10.04}, "gws": {10, 10, 10}}, 1.004, met},
		{"worse", atMost, map[string][]float64{"ours": {10.1, 10.1, 10.1}, "gws": {10, 10, 10}}, 1.01, notMet},
		{"noise", atMost, map[string][]float64{"ours": {5, 10, 20}, "gws": {10, 10, 10}}, 1, unclear},
		{"noise on one side", atMost, map[string][]float64{"ours": {1, 5, 9}, "gws": {10, 10, 10}}, 0.5, met},
		{"near, on both sides", atMost, map[string][]float64{"ours": {9.5, 9.9, 10.3}, "gws": {10, 10, 10}}, 0.99, unclear},
		{"near, on one side", atMost, map[string][]float64{"ours": {9.8, 9.9, 9.9}, "gws": {10, 10, 10}}, 0.99, met},
		{"far, on both sides", atMost, map[string][]float64{"ours": {9.2, 9.5, 10.3}, "gws": {10, 10, 10}}, 0.95, met},
		{"absolute, near, on both sides", absolute, map[string][]float64{"ours": {5.9, 5.95, 6.1}}, 5.95, unclear},
		{"allocations", none, map[string][]float64{"ours": {0.004, 0.004, 0.004}}, 0.004, met},
		{"a few allocations", none, map[string][]float64{"ours": {0.047, 0.047, 0.047}}, 0.047, notMet},
		{"too few rounds", atMost, map[string][]float64{"ours": {5, 5}, "gws": {10, 10}}, 0.5, unclear},
		{"named", named, map[string][]float64{"ours": {9, 9, 9}, "gws": {1, 1, 1}, "gorilla": {10, 10, 10}}, 0.9, met},
		{"absolute", absolute, map[string][]float64{"ours": {7, 7, 7}, "gws": {10, 10, 10}}, 7, notMet},
		{"nobody to compare with", atMost, map[string][]float64{"ours": {7, 7, 7}}, 0, absent},
		{"not us", atMost, map[string][]float64{"gws": {7, 7, 7}}, 0, absent},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &report{Results: []*result{resultOf("s", test.goal.metric, test.rounds)}}
			if j := test.goal.judge(r, "ours"); j.verdict != test.want || number(j.value) != number(test.value) {
				t.Errorf("%+v", j)
			}
		})
	}
}

// TestBest compares peers as ratios are printed: round by round. In the middle of its
// values gws is the best here, and slower than gorilla in two rounds of three.
func TestBest(t *testing.T) {
	r := resultOf("s", cpuPerMessage, map[string][]float64{
		"ours": {10, 20, 30}, "gws": {13, 14, 33}, "gorilla": {12, 22, 30}, "gobwas": {40, 40, 40}, "gorilla-chan": {1, 1, 1},
	})
	if best := r.Best[cpuPerMessage.Key]; best != "gorilla" {
		t.Errorf("the best is %s", best)
	}
	for _, p := range r.Peers {
		if s := p.Metrics[cpuPerMessage.Key]; !p.Ours && !p.Reference && s.Ratio < 1 {
			t.Errorf("%s beats it: %v", p.Peer, s.Ratio)
		}
	}
	circle := resultOf("s", messages, map[string][]float64{"gws": {3, 2, 1}, "gorilla": {2, 1, 3.3}, "nbio": {1, 3, 2}})
	if best := circle.Best[messages.Key]; best != "gws" {
		t.Errorf("of a circle the best is %s", best)
	}
}

// TestDoubtIsShown has the "?" of a ratio in the table of targets too.
func TestDoubtIsShown(t *testing.T) {
	j := judgement{verdict: met, value: 0.5, doubtful: true}
	if got := j.cell(); got != "0.50? met" {
		t.Errorf("%q", got)
	}
}

// TestGoalsExist has no target for a scenario, a metric or a peer that there is not.
func TestGoalsExist(t *testing.T) {
	for _, g := range goals {
		found, err := selectScenarios(g.scenario)
		if err != nil || len(found) != 1 {
			t.Errorf("%s: %v", g.work, err)
			continue
		}
		if !slices.Contains(found[0].metrics(), g.metric) {
			t.Errorf("%s: %s has no %s", g.work, g.scenario, g.metric.Key)
		}
		for _, form := range g.formsOf() {
			if p, err := findPeer(form); err != nil || !p.can(&found[0]) {
				t.Errorf("%s: %s does not take part, %v", g.work, form, err)
			}
		}
	}
}

// TestOutlier lets one round in five be off, but not two.
func TestOutlier(t *testing.T) {
	for _, test := range []struct {
		ratios    []float64
		worthless bool
	}{
		{[]float64{1, 1.1, 1, 1.1, 9}, false},
		{[]float64{0.1, 1.1, 1, 1.1, 1}, false},
		{[]float64{1, 1.1, 9, 1.1, 9}, true},
		{[]float64{1, 1.1, 1.1, 9}, true},
	} {
		var s summary
		s.compare(test.ratios)
		if s.Worthless != test.worthless {
			t.Errorf("%v: %+v", test.ratios, s)
		}
	}
}

// TestBetween keeps what people have written.
func TestBetween(t *testing.T) {
	text, err := between("", "one")
	if err != nil || !strings.Contains(text, "one") {
		t.Fatalf("%q, %v", text, err)
	}
	text, err = between("# Mine\n\nwhy\n\n"+strings.TrimPrefix(text, "# Results\n\n")+"\nmore\n", "two")
	if err != nil {
		t.Fatal(err)
	}
	want := "# Mine\n\nwhy\n\n" + markBegin + "\n\ntwo\n" + markEnd + "\n\nmore\n"
	if text != want {
		t.Errorf("%q, want %q", text, want)
	}
	if text, err := between("# Mine\n", "three"); err == nil {
		t.Errorf("overwritten: %q", text)
	}
}

// TestMerge writes a report twice and reads it as one.
func TestMerge(t *testing.T) {
	a := &report{Command: "one", Minutes: 1, Versions: map[string]string{}, About: map[string]string{}, Results: []*result{
		resultOf("s", cpuPerMessage, map[string][]float64{"ours": {1}}),
		resultOf("t", cpuPerMessage, map[string][]float64{"ours": {2}}),
	}}
	b := &report{Command: "two", Minutes: 2, Versions: map[string]string{"m": "v1"}, Results: []*result{
		resultOf("s", cpuPerMessage, map[string][]float64{"ours": {3}}),
	}}
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")}
	if err := firstError(a.writeJSON(files[0]), b.writeJSON(files[1])); err != nil {
		t.Fatal(err)
	}
	r, err := readReports(files)
	if err != nil {
		t.Fatal(err)
	}
	if r.Command != "one; two" || r.Minutes != 3 || r.Versions["m"] != "v1" || len(r.Results) != 2 {
		t.Errorf("%+v", r)
	}
	if s := r.scenario("s").peer("ours").Metrics[cpuPerMessage.Key]; s.Median != 3 {
		t.Errorf("the later run: %+v", s)
	}
}

// TestEventReader reads what the libraries write, and notices what they should not.
func TestEventReader(t *testing.T) {
	read := func(body string) (*eventReader, func() string) {
		r := &eventReader{conn: bufio.NewReader(strings.NewReader(
			"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n" + body))}
		return r, func() string {
			data, err := r.next()
			if err != nil {
				return err.Error()
			}
			return data
		}
	}
	_, next := read("retry: 5000\n\n: hello\n\nid: \ndata: one\n\ndata:two\n\n")
	for _, want := range []string{"one", "two", "EOF"} {
		if got := next(); !strings.HasSuffix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, bad := range []string{"data: a\ndata: b\n\n", "event: x\ndata: a\n\n", "data: a\n"} {
		if r, _ := read(bad); true {
			if data, err := r.next(); err == nil {
				t.Errorf("%q gave %q", bad, data)
			}
		}
	}
	refused := &eventReader{conn: bufio.NewReader(strings.NewReader("HTTP/1.1 " + http.StatusText(404) + "\r\n\r\n"))}
	if _, err := refused.next(); err == nil {
		t.Error("took a refusal for a stream")
	}
}

// TestFanOutOrder notices an event that is not the one due.
func TestFanOutOrder(t *testing.T) {
	f := &fanOut{load: newLoad(1), rounds: &rounds{conns: 1, done: make(chan struct{}, roundRing)},
		texts: eventTexts(20), ready: make(chan struct{}), next: make([]int, 1)}
	stream := "data: " + probeText + "\n\ndata: " + probeText + "\n\ndata: " + f.texts[0] + "\n\ndata: " + f.texts[2] + "\n\n"
	r := &eventReader{lines: bufio.NewReader(strings.NewReader(stream))}
	for i := range 3 {
		if err := f.receive(r, 0, &f.workers[0]); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	if err := f.receive(r, 0, &f.workers[0]); err == nil {
		t.Error("a lost event was not noticed")
	}
}

// TestFewest finds the connection that starves.
func TestFewest(t *testing.T) {
	if got := fewestOfMean([]uint64{0, 5, 5}, []uint64{10, 15, 6}); number(got) != "14.3" {
		t.Errorf("%v", got)
	}
}
