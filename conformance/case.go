package conformance

import (
	"fmt"
	"strings"
)

// Role is the part that the peer under test plays. The values are bits, since
// most cases suit both.
type Role int

// The roles.
const (
	Server Role = 1 << iota
	Client
)

const bothRoles = Server | Client

// String names the role.
func (r Role) String() string {
	switch r {
	case Server:
		return "server"
	case Client:
		return "client"
	case bothRoles:
		return "server, client"
	}
	return fmt.Sprintf("role %d", int(r))
}

// Rule is the sentence that a case checks. What stands between “ and ” are the
// document's own words, several places of it side by side where one does not
// say it all; what stands outside are the suite's.
type Rule struct {
	Document string `json:"document"`
	Section  string `json:"section"`
	Sentence string `json:"sentence"`
}

// String cites the rule.
func (r Rule) String() string {
	return fmt.Sprintf("%s, %s: %s", r.Document, r.Section, r.Sentence)
}

// rfc6455 and rfc7692 cite the two documents that most rules come from.
func rfc6455(section, sentence string) Rule { return Rule{"RFC 6455", section, sentence} }
func rfc7692(section, sentence string) Rule { return Rule{"RFC 7692", section, sentence} }

// Group names a set of cases; the case's ID begins with it.
type Group string

// The groups, in the order in which they run.
const (
	GroupFraming         Group = "framing"
	GroupPing            Group = "ping"
	GroupReserved        Group = "reserved"
	GroupFragmentation   Group = "fragmentation"
	GroupUTF8            Group = "utf8"
	GroupClose           Group = "close"
	GroupMasking         Group = "masking"
	GroupLimits          Group = "limits"
	GroupServerHandshake Group = "handshake.server"
	GroupClientHandshake Group = "handshake.client"
	GroupDeflate         Group = "deflate"
	GroupHixie           Group = "hixie"
	GroupEventStream     Group = "eventstream"
)

// Load says how much work a case is, which decides its time limit, whether a
// short run has it, and what runs beside it.
type Load int

// The loads.
const (
	Light Load = iota // some frames: runs beside many others
	Heavy             // megabytes or a thousand messages: runs with few others
)

// Case is one row of the suite: what is sent, what is expected, and why.
type Case struct {
	ID    string // stable: never reused for another meaning
	Title string
	Group Group
	Rule  Rule
	Roles Role
	Load  Load

	opening opening
	steps   []Step
	stream  *streamCase // of the cases that clients run by /eventstream/run
}

// Steps describes what the case does, one line a step.
func (c Case) Steps() []string {
	lines := make([]string, 0, len(c.steps))
	for _, s := range c.steps {
		lines = append(lines, s.Text)
	}
	return lines
}

// Step is one action or one expectation of a case.
type Step struct {
	Text string
	kind stepKind
	run  func(*session) *finding
}

// stepKind tells actions from expectations: a case without an expectation
// would pass by silence, and a test forbids it.
type stepKind int

const (
	action stepKind = iota
	expectation
)

// finding ends a case before its last step.
type finding struct {
	verdict Verdict
	text    string
}

func found(v Verdict, format string, args ...any) *finding {
	return &finding{verdict: v, text: fmt.Sprintf(format, args...)}
}

func failure(format string, args ...any) *finding { return found(Fail, format, args...) }

// opening is how a case gets to its first step.
type opening struct {
	kind   openingKind
	offer  string               // the extensions the suite offers when it plays the client
	answer func(string) *answer // what the suite answers to the client's offer when it plays the server
}

type openingKind int

const (
	openingStandard openingKind = iota // a correct handshake that must succeed
	openingRaw                         // none: the steps do it
)

// answer is the suite's choice of extension when it plays the server.
type answer struct {
	header  string
	missing string // not empty: the client's offer does not allow the case
}

var openingByHand = opening{kind: openingRaw}

// hasPrefix reports whether id lies in the part of the tree called prefix.
func hasPrefix(id, prefix string) bool {
	return id == prefix || strings.HasPrefix(id, strings.TrimSuffix(prefix, ".")+".")
}
