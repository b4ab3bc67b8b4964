package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
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
	Kernel   string            `json:"kernel"`
	Load     string            `json:"load"` // of the machine, before the run
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Rounds   int               `json:"rounds"`
	Seconds  float64           `json:"seconds"`
	Minutes  float64           `json:"minutes"` // what the run has taken
	Versions map[string]string `json:"versions"`
	About    map[string]string `json:"about"` // how each peer is used
	Results  []*result         `json:"results"`
}

func newReport(pl *plan, args []string) *report {
	r := &report{
		Date:     time.Now().UTC().Truncate(time.Second),
		Command:  commandLine(args),
		Go:       runtime.Version(),
		System:   runtime.GOOS + "/" + runtime.GOARCH,
		Kernel:   kernelRelease(),
		Load:     loadAverage(),
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

// commandLine is what to type to do it again.
func commandLine(args []string) string {
	line := "go run ."
	for _, a := range args {
		if strings.ContainsAny(a, " *?[\\$;&|<>()\"") {
			a = "'" + a + "'"
		}
		line += " " + a
	}
	return line
}

// thisTree stands for the version of this library.
const thisTree = "this tree"

func moduleVersion(info *debug.BuildInfo, module string) string {
	if info == nil {
		return ""
	}
	for _, d := range info.Deps {
		if d.Path != module {
			continue
		}
		if d.Replace != nil {
			return thisTree
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

// kernelRelease is the system's name and version of itself.
func kernelRelease() string {
	b, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

// loadAverage is that of the last minute where the system tells it: a machine that
// is busy otherwise measures something else.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

func (r *report) heading() string {
	return fmt.Sprintf("%s, %s, %d cores, %s, %s; %d rounds of %gs; load average %s",
		r.System, r.Go, r.Cores, r.CPU, r.Date.Format(time.DateOnly), r.Rounds, r.Seconds, r.Load)
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

// scenario is the result of one, nil if it was not run.
func (r *report) scenario(name string) *result {
	for _, res := range r.Results {
		if res.Scenario.Name == name {
			return res
		}
	}
	return nil
}

// readReports reads what -json has written, of one run or of several, whose results
// become one report: a later run of a scenario stands for an earlier one.
func readReports(files []string) (*report, error) {
	var all *report
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var r report
		if err := json.Unmarshal(b, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if all == nil {
			all = &r
		} else {
			all.merge(&r)
		}
	}
	return all, nil
}

func (r *report) merge(later *report) {
	r.Command += "; " + later.Command
	r.Minutes += later.Minutes
	maps.Copy(r.Versions, later.Versions)
	maps.Copy(r.About, later.About)
	for _, res := range later.Results {
		r.Results = slices.DeleteFunc(r.Results, func(old *result) bool { return old.Scenario.Name == res.Scenario.Name })
		r.Results = append(r.Results, res)
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
