package conformance

import (
	"context"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// testTimes are short, since both ends are in this process, but not so short
// that a busy machine turns a good case red.
var testTimes = Timeouts{Light: 20 * time.Second, Heavy: 60 * time.Second, Quiet: 60 * time.Millisecond, Reply: 3 * time.Second}

// patientTimes are for peers without a fault, which make the suite wait for hardly
// anything: a machine that is busy with other things turns none of their cases red.
var patientTimes = Timeouts{Light: 2 * time.Minute, Heavy: 3 * time.Minute, Quiet: 500 * time.Millisecond, Reply: 30 * time.Second}

func allServerCases(t testing.TB) []Case {
	t.Helper()
	sel := Selection{Role: Server}
	for _, g := range groups {
		if g.name != GroupClientHandshake {
			sel.Include = append(sel.Include, string(g.name))
		}
	}
	cases, err := sel.Select(Cases())
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

func light(cases []Case) []Case {
	return slices.DeleteFunc(slices.Clone(cases), func(c Case) bool { return c.Load != Light })
}

// TestReferenceServerPasses is what gives the broken servers their meaning:
// without a fault every case passes, the optional groups too.
func TestReferenceServerPasses(t *testing.T) {
	cases := allServerCases(t)
	o := Options{Timeouts: patientTimes, Parallel: 16, Seed: 1}
	if testing.Short() {
		cases = light(cases)
	}
	o.Short = BriefRun
	agent, err := TestServer(context.Background(), "reference", startReference(t, ""), cases, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range agent.Results {
		want := Pass
		if strings.HasSuffix(r.ID, ".tail-superfluous") {
			want = Informational // the reference refuses, as it may
		}
		if r.Verdict != want {
			t.Errorf("%s: %v: %s", r.ID, r.Verdict, r.Reason)
		}
	}
}

// requirement finds the words of RFC 2119, which are a document's to say.
var requirement = regexp.MustCompile(`\b(MUST|SHALL|SHOULD|MAY|REQUIRED|RECOMMENDED|OPTIONAL)\b|_Fail `)

// outsideQuotes returns what of a rule's sentence is the suite's wording.
func outsideQuotes(sentence string) string {
	return regexp.MustCompile(`“[^“”]+”`).ReplaceAllString(sentence, "")
}

// TestCases checks the table itself.
func TestCases(t *testing.T) {
	cases := Cases()
	if len(cases) < 500 {
		t.Errorf("%d cases, want 500 or more", len(cases))
	}
	seen := make(map[string]int)
	for _, c := range cases {
		if seen[c.ID]++; seen[c.ID] > 1 {
			t.Errorf("%s stands in the table %d times", c.ID, seen[c.ID])
		}
		if !hasPrefix(c.ID, string(c.Group)) {
			t.Errorf("%s is in group %s", c.ID, c.Group)
		}
		if c.Title == "" || c.Rule.Document == "" || c.Rule.Section == "" || c.Rule.Sentence == "" {
			t.Errorf("%s has no title or cites no rule", c.ID)
		}
		if own := outsideQuotes(c.Rule.Sentence); strings.ContainsAny(own, "“”") || requirement.MatchString(own) {
			t.Errorf("%s: a requirement is not in the document's own words: %s", c.ID, c.Rule.Sentence)
		}
		if !slices.ContainsFunc(c.steps, func(s Step) bool { return s.kind == expectation }) {
			t.Errorf("%s expects nothing: it would pass by silence", c.ID)
		}
		if strings.ContainsAny(c.ID, " ,/*?[") {
			t.Errorf("%s can not be chosen on a command line", c.ID)
		}
	}
}

func TestSelection(t *testing.T) {
	all := Cases()
	for _, row := range []struct {
		name string
		sel  Selection
		want func(Case) bool
	}{
		{"default", Selection{}, func(c Case) bool { return c.Group != GroupHixie && c.Group != GroupEventStream }},
		{"role", Selection{Role: Client, Include: []string{"masking"}}, func(c Case) bool { return c.Group == GroupMasking && c.Roles&Client != 0 }},
		{"prefix", Selection{Include: []string{"utf8.valid"}}, func(c Case) bool { return strings.HasPrefix(c.ID, "utf8.valid.") }},
		{"pattern", Selection{Include: []string{"*.chunk1"}}, func(c Case) bool { return strings.HasSuffix(c.ID, ".chunk1") }},
		{"exclude", Selection{Include: []string{"ping"}, Exclude: []string{"ping.flood"}}, func(c Case) bool { return c.Group == GroupPing && !strings.HasPrefix(c.ID, "ping.flood.") }},
		{"short", Selection{Include: nil, Short: BriefRun, Exclude: []string{"deflate"}}, func(c Case) bool {
			return c.Load == Light && c.Group != GroupHixie && c.Group != GroupEventStream && c.Group != GroupDeflate
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			chosen, err := row.sel.Select(all)
			if err != nil || len(chosen) == 0 {
				t.Fatalf("%d cases, %v", len(chosen), err)
			}
			want := 0
			for _, c := range all {
				if row.want(c) {
					want++
				}
			}
			for _, c := range chosen {
				if !row.want(c) {
					t.Errorf("%s was chosen", c.ID)
				}
			}
			if len(chosen) != want {
				t.Errorf("%d cases, want %d", len(chosen), want)
			}
		})
	}
	if _, err := (Selection{Include: []string{"no-such-case"}}).Select(all); err == nil {
		t.Error("a pattern that chooses nothing is no error")
	}
}

// TestUndecided: what can not be decided says so.
func TestUndecided(t *testing.T) {
	cases, err := Selection{Include: []string{"framing.text.1"}}.Select(Cases())
	if err != nil {
		t.Fatal(err)
	}
	// Nobody listens on the address of a listener that was closed.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	agent, err := TestServer(context.Background(), "nobody", "ws://"+ln.Addr().String(), cases, Options{Timeouts: testTimes})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range agent.Results {
		if r.Verdict != Undecided {
			t.Errorf("%s: %v, want undecided", r.ID, r.Verdict)
		}
	}
	if !agent.Red() {
		t.Error("an undecided run is not red")
	}
}
