package conformance

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// groups lists the groups in the order in which they run.
var groups = []struct {
	name  Group
	cases func() []Case
}{
	{GroupFraming, framingCases},
	{GroupPing, pingCases},
	{GroupReserved, reservedCases},
	{GroupFragmentation, fragmentationCases},
	{GroupUTF8, utf8Cases},
	{GroupClose, closeCases},
	{GroupMasking, maskingCases},
	{GroupLimits, limitsCases},
	{GroupServerHandshake, serverHandshakeCases},
	{GroupClientHandshake, clientHandshakeCases},
	{GroupDeflate, deflateCases},
	{GroupHixie, hixieCases},
	{GroupEventStream, eventStreamCases},
}

// Cases returns every case of the suite, in order. A case's place may change
// from one version to the next, its ID does not.
func Cases() []Case {
	var all []Case
	for _, g := range groups {
		for _, c := range g.cases() {
			c.Group = g.name
			if c.Roles == 0 {
				c.Roles = bothRoles
			}
			all = append(all, c)
		}
	}
	return all
}

// Selection chooses cases. The zero value chooses those of every group that is
// not optional.
type Selection struct {
	Role    Role
	Include []string // IDs, their beginnings ("utf8.valid"), or patterns ("framing.*.chunk1"); empty: all
	Exclude []string
	Short   ShortRun // BriefRun leaves the heavy cases out
}

// optional groups run only when they are named: the drafts, and what is no
// WebSocket at all.
var optional = []Group{GroupHixie, GroupEventStream}

// Select returns the cases chosen, and an error when a pattern chooses none.
func (sel Selection) Select(cases []Case) ([]Case, error) {
	for _, p := range slices.Concat(sel.Include, sel.Exclude) {
		if !slices.ContainsFunc(cases, func(c Case) bool { return matches(c.ID, p) }) {
			return nil, fmt.Errorf("conformance: no case is called %q", p)
		}
	}
	var chosen []Case
	for _, c := range cases {
		if sel.chooses(c) {
			chosen = append(chosen, c)
		}
	}
	return chosen, nil
}

func (sel Selection) chooses(c Case) bool {
	if sel.Role != 0 && c.Roles&sel.Role == 0 || matchesAny(c.ID, sel.Exclude) {
		return false
	}
	if len(sel.Include) > 0 {
		return matchesAny(c.ID, sel.Include)
	}
	return !slices.Contains(optional, c.Group) && (sel.Short == FullRun || c.Load == Light)
}

func matchesAny(id string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(id, p) })
}

func matches(id, pattern string) bool {
	if !strings.ContainsAny(pattern, "*?[") {
		return hasPrefix(id, pattern)
	}
	ok, err := path.Match(pattern, id)
	return err == nil && ok
}

// plan appends steps to one another, for tables whose rows share a beginning.
func plan(parts ...any) []Step {
	var steps []Step
	for _, p := range parts {
		switch p := p.(type) {
		case Step:
			steps = append(steps, p)
		case []Step:
			steps = append(steps, p...)
		default:
			panic(fmt.Sprintf("conformance: %T is no step", p))
		}
	}
	return steps
}

var dataOpcodes = []byte{opText, opBinary}
