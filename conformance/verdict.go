package conformance

import "fmt"

// Verdict says how a case ended, from best to worst.
type Verdict int

// The verdicts. Only Pass, NotApplicable, Informational, Unimplemented and NotStrict
// leave a run successful.
const (
	Pass          Verdict = iota // the rule was kept
	NotApplicable                // the case has no meaning over the carrier, and was not run
	Informational                // the rule leaves the behaviour open; it is recorded
	Unimplemented                // the peer does not offer what the case needs
	NotStrict                    // accepted, but a SHOULD was not followed
	Undecided                    // the case could not be brought to its decision
	Fail                         // the rule was broken
)

var verdictNames = [...]string{"pass", "not applicable", "informational", "unimplemented", "not strict", "undecided", "fail"}

// Verdicts lists every verdict, best first.
func Verdicts() []Verdict {
	return []Verdict{Pass, NotApplicable, Informational, Unimplemented, NotStrict, Undecided, Fail}
}

// String returns the verdict's name as reports show it.
func (v Verdict) String() string {
	if v < 0 || int(v) >= len(verdictNames) {
		return fmt.Sprintf("verdict %d", int(v))
	}
	return verdictNames[v]
}

// Red reports whether the verdict makes a run unsuccessful.
func (v Verdict) Red() bool { return v == Undecided || v == Fail }

// MarshalText writes the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a verdict's name.
func (v *Verdict) UnmarshalText(b []byte) error {
	for i, name := range verdictNames {
		if name == string(b) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("conformance: no verdict is called %q", b)
}
