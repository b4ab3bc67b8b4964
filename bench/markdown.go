package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What lies between these lines is written by the command; what lies outside is
// left alone, for words that no command finds.
const (
	markBegin = "<!-- bench: what follows is written by the command, with -markdown -->"
	markEnd   = "<!-- bench: end -->"
)

// writeMarkdown does nothing without a name. Pictures are those of -svg.
func (r *report) writeMarkdown(file, svgPrefix string) error {
	if file == "" {
		return nil
	}
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	images := map[axis]string{}
	if svgPrefix != "" {
		for _, c := range r.charts() {
			name, err := filepath.Rel(filepath.Dir(file), svgFile(svgPrefix, c))
			if err != nil {
				return err
			}
			images[c.Axis] = filepath.ToSlash(name)
		}
	}
	text, err := between(string(old), r.markdown(images))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// between puts the text between the marks, or makes a new file of it.
func between(old, text string) (string, error) {
	text = markBegin + "\n\n" + text + "\n" + markEnd + "\n"
	if old == "" {
		return "# Results\n\n" + text, nil
	}
	before, rest, ok := strings.Cut(old, markBegin)
	_, after, ended := strings.Cut(rest, markEnd)
	if !ok || !ended {
		return "", fmt.Errorf("it is not overwritten, as it has no lines %q and %q", markBegin, markEnd)
	}
	return before + text + strings.TrimPrefix(after, "\n"), nil
}

// markdown is the whole text: the machine, the targets, growth, the tables.
func (r *report) markdown(images map[axis]string) string {
	var b strings.Builder
	r.writeMachine(&b)
	r.writeGoals(&b)
	r.writeGrowth(&b, images)
	b.WriteString("## Tables\n\n" +
		"Each number is the median of the rounds, ± half of the range. In brackets the ratio to the best of gws, gorilla, gobwas, " +
		"nbio and coder, or of tmaxmax and r3labs, or to the one that the text names: the median of the ratios of each round. " +
		"The best is the one that none of the others beats by that measure. " +
		"`?`: the rounds differ too much, or are too few, for the ratio to say anything.\n\n")
	for _, res := range r.Results {
		if res.Scenario.Growth == "" {
			res.writeTable(&b)
		}
	}
	r.writePeers(&b)
	return b.String()
}

func (r *report) writeMachine(b *strings.Builder) {
	b.WriteString("## The run\n\n| | |\n| --- | --- |\n")
	for _, row := range [][2]string{
		{"date", r.Date.Format(time.DateTime) + " UTC"},
		{"command", "`" + r.Command + "`"},
		{"machine", fmt.Sprintf("%d cores, %s", r.Cores, r.CPU)},
		{"system", r.Kernel + ", " + r.System + ", " + r.Go},
		{"rounds", fmt.Sprintf("%d of %g s for each peer in each scenario, in turns; %.1f minutes in all", r.Rounds, r.Seconds, r.Minutes)},
		{"load average before", r.Load},
		{"versions", r.versions()},
	} {
		fmt.Fprintf(b, "| %s | %s |\n", row[0], row[1])
	}
	b.WriteString("\n")
}

// versions lists modules, this library but by name.
func (r *report) versions() string {
	var list []string
	for _, m := range slices.Sorted(maps.Keys(r.Versions)) {
		list = append(list, m+" "+r.Versions[m])
	}
	return strings.Join(list, ", ")
}

// writeGoals says of each target whether it was reached, if anything of it was run.
func (r *report) writeGoals(b *strings.Builder) {
	var rows strings.Builder
	counts := map[verdict]int{}
	for i := range goals {
		g := &goals[i]
		cells := map[string]string{}
		for _, form := range g.formsOf() {
			j := g.judge(r, form)
			if j.verdict == absent {
				continue
			}
			counts[j.verdict]++
			cells[form] = j.cell()
		}
		if len(cells) > 0 {
			fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s |\n", g.work, g.text(), cells["ours"], cells["ours-select"], g.base(r))
		}
	}
	if rows.Len() == 0 {
		return
	}
	fmt.Fprintf(b, "## Targets\n\nThe ratio that was reached beside the one aimed at: %d met, %d not met, %d unclear. "+
		"It is unclear where rounds are on both sides of the target and the ratio is within %g %% of it or has a `?`, which is explained "+
		"under Tables; and where there are fewer than %d rounds. Ours in both of the forms that users write.\n\n",
		counts[met], counts[notMet], counts[unclear], near*100, minRounds)
	b.WriteString("| work | target | `for range` | `select` | relative to |\n| --- | --- | --- | --- | --- |\n")
	b.WriteString(rows.String() + "\n")
}

func (j *judgement) cell() string {
	text := fmt.Sprintf("%.2f", j.value)
	if j.doubtful {
		text += "?"
	}
	text += " " + string(j.verdict)
	if j.verdict == notMet {
		return "**" + text + "**"
	}
	return text
}

// writeGrowth has a plot for each axis, and a table for each metric.
func (r *report) writeGrowth(b *strings.Builder, images map[axis]string) {
	charts := r.charts()
	if len(charts) == 0 {
		return
	}
	b.WriteString("## How cost grows\n\n")
	for _, c := range charts {
		if name := images[c.Axis]; name != "" {
			fmt.Fprintf(b, "![%s](%s)\n\n", c.Title, name)
		}
		for _, m := range []metric{cpuPerMessage, messages, p99} {
			r.writeGrowthTable(b, c, m)
		}
	}
}

// writeGrowthTable has a row for each point and a column for each peer.
func (r *report) writeGrowthTable(b *strings.Builder, c *chart, m metric) {
	fmt.Fprintf(b, "| %s: %s, %s |", c.Axis, m.Key, m.Unit)
	for _, s := range c.Series {
		fmt.Fprintf(b, " %s |", s.peer)
	}
	b.WriteString("\n| ---: |" + strings.Repeat(" ---: |", len(c.Series)) + "\n")
	for _, res := range r.Results {
		if res.Scenario.Growth != c.Axis {
			continue
		}
		label := fmt.Sprint(res.Scenario.Conns)
		if c.Axis == alongSize {
			label = bytesText(res.Scenario.Size)
		}
		fmt.Fprintf(b, "| %s |", label)
		for _, s := range c.Series {
			text := ""
			if v, ok := res.to(s.peer, m); ok {
				text = number(v.Median)
			}
			fmt.Fprintf(b, " %s |", text)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

// writeTable has a row for each peer.
func (r *result) writeTable(b *strings.Builder) {
	fmt.Fprintf(b, "### %s\n\n%s\n\n|  |", r.Scenario.Name, capital(r.Scenario.About))
	for _, m := range r.Metrics {
		fmt.Fprintf(b, " %s, %s |", m.Key, m.Unit)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(r.Metrics)) + "\n")
	for _, p := range r.Peers {
		fmt.Fprintf(b, "| %s |", p.name())
		for _, m := range r.Metrics {
			fmt.Fprintf(b, " %s |", p.markdownCell(m))
		}
		b.WriteString("\n")
	}
	for _, p := range r.Peers {
		if n := len(p.Failures); n > 0 {
			fmt.Fprintf(b, "\n%s failed in %s: %s\n", p.Peer, times(n), p.Failures[0])
		}
	}
	b.WriteString("\n")
}

// name is bold for ours.
func (p *peerResult) name() string {
	if p.Ours {
		return "**" + p.Peer + "**"
	}
	return p.Peer
}

func (p *peerResult) markdownCell(m metric) string {
	s, ok := p.Metrics[m.Key]
	if !ok {
		return ""
	}
	text := fmt.Sprintf("%s ±%.0f%%", number(s.Median), s.spread()/2*100)
	if m.Plain || s.Ratio == 0 {
		return text
	}
	return text + " (" + s.ratioText() + ")"
}

func (r *report) writePeers(b *strings.Builder) {
	b.WriteString("## Who took part, and how\n\n")
	for _, name := range slices.Sorted(maps.Keys(r.About)) {
		if !slices.ContainsFunc(r.Results, func(res *result) bool { return res.peer(name) != nil }) {
			continue
		}
		fmt.Fprintf(b, "- **%s**: %s.\n", name, r.About[name])
	}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func times(n int) string {
	if n == 1 {
		return "one round"
	}
	return fmt.Sprintf("%d rounds", n)
}
