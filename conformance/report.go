package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// Result is what one case found out about one peer.
type Result struct {
	ID         string        `json:"id"`
	Group      Group         `json:"group"`
	Title      string        `json:"title"`
	Rule       Rule          `json:"rule"`
	Verdict    Verdict       `json:"verdict"`
	Reason     string        `json:"reason,omitempty"`
	Notes      []string      `json:"notes,omitempty"`
	Elapsed    time.Duration `json:"elapsed"`
	Steps      []string      `json:"steps,omitempty"`
	Transcript []Entry       `json:"transcript,omitempty"`
}

// Agent is a peer and its results.
type Agent struct {
	Name    string        `json:"name"`
	Role    string        `json:"role"`
	Started time.Time     `json:"started"`
	Elapsed time.Duration `json:"elapsed"`
	Seed    uint64        `json:"seed"`
	Results []Result      `json:"results"`
}

// Report is any number of agents side by side.
type Report struct {
	Agents []*Agent `json:"agents"`
}

// Count returns how many results have each verdict.
func (a *Agent) Count() map[Verdict]int {
	n := make(map[Verdict]int)
	for _, r := range a.Results {
		n[r.Verdict]++
	}
	return n
}

// Red reports whether any case is red, or none was run at all.
func (a *Agent) Red() bool {
	n := a.Count()
	return n[Fail] > 0 || n[Undecided] > 0 || len(a.Results) == n[NotApplicable]
}

// Red reports whether any agent is red, or there is none.
func (r Report) Red() bool {
	for _, a := range r.Agents {
		if a.Red() {
			return true
		}
	}
	return len(r.Agents) == 0
}

// Summary writes one line for each agent and one for each case that was run and did
// not pass.
func (r Report) Summary(w io.Writer) error {
	for _, a := range r.Agents {
		for _, result := range a.Results {
			if result.Verdict == Pass || result.Verdict == NotApplicable {
				continue
			}
			if _, err := fmt.Fprintf(w, "%-14s %s: %s\n", result.Verdict, result.ID, printable(result.Reason)); err != nil {
				return err
			}
		}
		line := fmt.Sprintf("%s (%s): %d cases in %v:", printable(a.Name), a.Role, len(a.Results), a.Elapsed.Round(10*time.Millisecond))
		for _, v := range Verdicts() {
			if n := a.Count()[v]; n > 0 {
				line += fmt.Sprintf(" %d %s,", n, v)
			}
		}
		if _, err := fmt.Fprintln(w, line[:len(line)-1]); err != nil {
			return err
		}
	}
	return nil
}

// printable keeps what a peer said from moving a terminal's cursor, and more.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// WriteJSON writes the report for programs, and for [ReadJSON].
func (r Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(r)
}

// ReadJSON reads what [Report.WriteJSON] wrote.
func ReadJSON(rd io.Reader) (Report, error) {
	var r Report
	err := json.NewDecoder(rd).Decode(&r)
	return r, err
}
