package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/chanws/websocket/conformance"
)

// finish writes the reports and the summary, and returns the exit status.
func (s *settings) finish(report conformance.Report) (int, error) {
	if err := errors.Join(s.write(report), report.Summary(s.stdout)); err != nil {
		return exitRed, err
	}
	if report.Red() {
		return exitRed, nil
	}
	return exitGood, nil
}

// write writes each report file that was asked for.
func (s *settings) write(report conformance.Report) error {
	return errors.Join(
		toFile(s.jsonFile, report.WriteJSON),
		toFile(s.htmlFile, report.WriteHTML),
		toFile(s.junitFile, report.WriteJUnit),
	)
}

func toFile(name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// mergeReports puts the agents of several JSON reports into one.
func mergeReports(_ context.Context, s *settings) (int, error) {
	if s.flags.NArg() == 0 {
		return exitUsage, errors.New("no JSON report is named")
	}
	var all conformance.Report
	for _, name := range s.flags.Args() {
		report, err := readReport(name)
		if err != nil {
			return exitUsage, fmt.Errorf("%s: %w", name, err)
		}
		all.Agents = append(all.Agents, report.Agents...)
	}
	return s.finish(all)
}

func readReport(name string) (conformance.Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return conformance.Report{}, err
	}
	report, err := conformance.ReadJSON(f)
	return report, errors.Join(err, f.Close())
}

// listCases prints every case that the flags select.
func listCases(_ context.Context, s *settings) (int, error) {
	cases, err := s.cases(0)
	if err != nil {
		return exitUsage, err
	}
	for _, c := range cases {
		if _, err := fmt.Fprintf(s.stdout, "%s\t%s\t%s %s\t%s\n", c.ID, c.Roles, c.Rule.Document, c.Rule.Section, c.Title); err != nil {
			return exitRed, err
		}
	}
	return exitGood, nil
}

// progress is the line that a person watches on a terminal. Elsewhere it shows
// nothing.
type progress struct {
	w    io.Writer
	name string
	red  int
}

func newProgress(w io.Writer, name string) *progress {
	if !isTerminal(w) {
		w = nil
	}
	return &progress{w: w, name: name}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *progress) show(done, total int, r conformance.Result) {
	if p.w == nil {
		return
	}
	if r.Verdict.Red() {
		p.red++
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s: %d of %d, %d red, %s", p.name, done, total, p.red, r.ID)
}

func (p *progress) clear() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
