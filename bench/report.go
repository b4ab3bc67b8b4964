package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"
)

// A report is all that a run yields, with what is needed to judge it.
type report struct {
	Date     time.Time         `json:"date"`
	Command  string            `json:"command"`
	Go       string            `json:"go"`
	System   string            `json:"system"`
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Rounds   int               `json:"rounds"`
	Seconds  float64           `json:"seconds"`
	Versions map[string]string `json:"versions"`
	About    map[string]string `json:"about"` // how each peer is used
	Results  []*result         `json:"results"`
}

func newReport(pl *plan, args []string) *report {
	r := &report{
		Date:     time.Now().UTC().Truncate(time.Second),
		Command:  strings.Join(append([]string{"go run ."}, args...), " "),
		Go:       runtime.Version(),
		System:   runtime.GOOS + "/" + runtime.GOARCH,
		CPU:      cpuModel(),
		Cores:    runtime.NumCPU(),
		Rounds:   pl.rounds,
		Seconds:  pl.dur.Seconds(),
		Versions: map[string]string{},
		About:    map[string]string{},
	}
	info, _ := debug.ReadBuildInfo()
	for _, p := range pl.peers {
		r.About[p.name] = p.about
		if v := moduleVersion(info, p.module); v != "" {
			r.Versions[p.module] = v
		}
	}
	return r
}

func moduleVersion(info *debug.BuildInfo, module string) string {
	if info == nil {
		return ""
	}
	for _, d := range info.Deps {
		if d.Path != module {
			continue
		}
		if d.Replace != nil {
			return "this tree"
		}
		return d.Version
	}
	return ""
}

// cpuModel is the name of the processor where the system tells it.
func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for _, l := range strings.Split(string(b), "\n") {
		if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func (r *report) heading() string {
	return fmt.Sprintf("%s, %s, %d cores, %s, %s; %d rounds of %gs",
		r.System, r.Go, r.Cores, r.CPU, r.Date.Format(time.DateOnly), r.Rounds, r.Seconds)
}

// print writes a table: the median and, in brackets, the spread over the
// rounds; then the ratio to the best peer, "?" where it is worthless.
func (r *result) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s: %s\n", r.Scenario.Name, r.Scenario.About)
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\t")
	for _, m := range r.Metrics {
		fmt.Fprintf(w, "%s\t%s\t", m.Key, m.Unit)
		if !m.Plain {
			fmt.Fprint(w, "ratio\t")
		}
	}
	fmt.Fprintln(w)
	for _, p := range r.Peers {
		fmt.Fprintf(w, "%s\t", p.Peer)
		for _, m := range r.Metrics {
			fmt.Fprint(w, p.cell(m))
		}
		if n := len(p.Failures); n > 0 {
			fmt.Fprintf(w, "%d of %d rounds failed: %s", n, len(p.runs), p.Failures[0])
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // to out, whose errors are not ours to tell
}

func (p *peerResult) cell(m metric) string {
	s, ok := p.Metrics[m.Key]
	text := "\t\t"
	if ok {
		text = fmt.Sprintf("%s\t±%.0f%%\t", number(s.Median), s.spread()/2*100)
	}
	if m.Plain {
		return text
	}
	return text + s.ratioText() + "\t"
}

// ratioText is empty where there is nothing to compare to.
func (s *summary) ratioText() string {
	switch {
	case s.Ratio == 0:
		return ""
	case s.Worthless:
		return fmt.Sprintf("%.2f?", s.Ratio)
	default:
		return fmt.Sprintf("%.2f", s.Ratio)
	}
}

// number has three digits or more.
func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}

// writeJSON does nothing without a name.
func (r *report) writeJSON(file string) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
