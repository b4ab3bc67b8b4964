package conformance

import (
	"bytes"
	"encoding/xml"
	"reflect"
	"strings"
	"testing"
	"time"
)

func sampleReport() Report {
	rule := rfc6455("5.2", "A sentence with <b>markup</b> & \"quotes\".")
	result := func(id string, v Verdict) Result {
		return Result{ID: id, Group: GroupFraming, Title: "a case", Rule: rule, Verdict: v, Reason: "</script><script>alert(1)</script>",
			Notes: []string{"a note"}, Elapsed: time.Millisecond, Steps: []string{"send"}, Transcript: []Entry{{At: 1, Direction: Sent, Length: 2, Hex: "8100"}}}
	}
	return Report{Agents: []*Agent{
		{Name: "one", Role: "server", Seed: 7, Elapsed: time.Second, Results: []Result{result("framing.a", Pass), result("framing.b", Fail), result("framing.c", Undecided)}},
		{Name: "two", Role: "server", Results: []Result{result("framing.a", NotStrict), result("framing.b", Unimplemented), result("framing.d", Informational)}},
	}}
}

func TestJSONRoundTrip(t *testing.T) {
	want := sampleReport()
	var b bytes.Buffer
	if err := want.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	got, err := ReadJSON(&b)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestHTMLIsOneSafePage(t *testing.T) {
	var b bytes.Buffer
	if err := sampleReport().WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{`class="cell fail"`, `class="cell not-strict"`, `class="cell undecided"`, `class="absent"`, "framing.d", "8100", "<b>one</b>", "<b>two</b>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, never := range []string{"<script>alert", "http://", "https://", "src=", "@import"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %s", never)
		}
	}
	if n := strings.Count(page, "<tr class=\"case\">"); n != 4 {
		t.Errorf("%d rows, want 4", n)
	}
}

func TestJUnit(t *testing.T) {
	var b bytes.Buffer
	if err := sampleReport().WriteJUnit(&b); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Suites) != 2 || got.Suites[0].Failures != 1 || got.Suites[0].Errors != 1 || got.Suites[1].Skipped != 1 || got.Suites[0].Cases[1].Failure == nil {
		t.Errorf("got %+v", got)
	}
}

func TestRed(t *testing.T) {
	for v, want := range map[Verdict]bool{Pass: false, NotApplicable: true, Informational: false, Unimplemented: false, NotStrict: false, Undecided: true, Fail: true} {
		r := Report{Agents: []*Agent{{Results: []Result{{Verdict: v}}}}}
		if r.Red() != want {
			t.Errorf("%v: red %v", v, r.Red())
		}
	}
	if !(Report{}).Red() || !(Report{Agents: []*Agent{{}}}).Red() {
		t.Error("a run without a case is not red")
	}
}
