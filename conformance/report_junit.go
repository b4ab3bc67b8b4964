package conformance

import (
	"encoding/xml"
	"fmt"
	"io"
)

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Seconds  string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string     `xml:"name,attr"`
	Class   string     `xml:"classname,attr"`
	Seconds string     `xml:"time,attr"`
	Failure *junitText `xml:"failure"`
	Error   *junitText `xml:"error"`
	Skipped *junitText `xml:"skipped"`
	Output  string     `xml:"system-out,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report as JUnit XML: a failed case is a failure, an
// undecided one an error, an unimplemented or not applicable one is skipped, and the other
// verdicts pass with their reason as output.
func (r Report) WriteJUnit(w io.Writer) error {
	var all junitSuites
	for _, a := range r.Agents {
		n := a.Count()
		suite := junitSuite{
			Name: a.Name + " (" + a.Role + ")", Tests: len(a.Results), Seconds: fmt.Sprintf("%.3f", a.Elapsed.Seconds()),
			Failures: n[Fail], Errors: n[Undecided], Skipped: n[Unimplemented] + n[NotApplicable],
		}
		for _, result := range a.Results {
			suite.Cases = append(suite.Cases, result.junit())
		}
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", " ")
	return enc.Encode(all)
}

func (r Result) junit() junitCase {
	c := junitCase{Name: r.ID, Class: string(r.Group), Seconds: fmt.Sprintf("%.3f", r.Elapsed.Seconds())}
	text := &junitText{Message: r.Reason, Text: r.Rule.String()}
	switch r.Verdict {
	case Fail:
		c.Failure = text
	case Undecided:
		c.Error = text
	case Unimplemented, NotApplicable:
		c.Skipped = text
	case NotStrict, Informational:
		c.Output = r.Verdict.String() + ": " + r.Reason
	}
	return c
}
