package conformance

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// brokenServer is a reference server with one fault, and the cases that have
// to turn red for it: IDs, their beginnings or patterns; a leading "!" takes
// cases out again.
type brokenServer struct {
	fault fault
	red   string
}

// everythingThatFails matches the cases in which a peer has to fail the
// connection with a code.
const everythingThatFails = "framing.*.overlong* framing.*.length.* masking.unmasked ping.oversize reserved fragmentation.*.misplaced.* fragmentation.control " +
	"utf8.invalid utf8.fail-fast close.one-byte close.reason.124 close.reason.125 close.reason.1000 close.reason.65536 close.reason.invalid " +
	"close.failed-then-text deflate.*.fault.* deflate.no-takeover.reference !deflate.*.fault.bomb "

var brokenServers = []brokenServer{
	{"any-utf8", "utf8.invalid utf8.fail-fast deflate.*.fault.utf8*"},
	{"utf8-per-fragment", "utf8.valid.*.fragments !utf8.valid.nul.* !utf8.valid.ascii-last.* utf8.state-is-reset utf8.ping-inside-character"},
	{"no-noncharacters", "utf8.valid.nonchar-* utf8.valid.three-last utf8.valid.four-last utf8.valid.f3-last"},
	{"surrogates", "utf8.invalid.surrogate* utf8.invalid.greek-and-surrogate deflate.*.fault.utf8 utf8.fail-fast.*.surrogate"},
	{"any-close-reason", "close.reason.invalid"},
	{"empty-pong", "ping.payload !ping.payload.bytes0* ping.unsolicited.then-ping ping.with-message ping.same-payload ping.flood.10 fragmentation.*.slow fragmentation.*.injected.ping* fragmentation.*.injected.two-messages utf8.ping-inside-character deflate.*.message.ping-between fragmentation.*.injected.many*"},
	{"no-pong", "ping.payload ping.unsolicited.then-ping ping.with-message ping.same-payload ping.flood.10 fragmentation.*.slow fragmentation.*.injected.ping* fragmentation.*.injected.many* fragmentation.*.injected.two-messages utf8.ping-inside-character deflate.*.message.ping-between"},
	{"pong-to-pong", "ping.unsolicited fragmentation.*.injected.pong* fragmentation.*.injected.many*"},
	{"pong-after-message", "fragmentation.*.slow fragmentation.*.injected.ping-before-end"},
	{"fails-with-1000", everythingThatFails + "close.code.invalid close.code.undefined"},
	{"fails-with-1011", everythingThatFails + "close.code.invalid close.code.undefined"},
	{"fails-silently", everythingThatFails + "!masking.unmasked close.code.invalid close.code.undefined"},
	{"ignores-reserved-bits", "reserved.bits close.failed-then-text deflate.*.fault.rsv*"},
	{"ignores-reserved-opcodes", "reserved.opcode !reserved.opcode.1*.fragment"},
	{"rsv1-anywhere", "deflate.*.fault.rsv1-*"},
	{"any-masking", "masking.unmasked"},
	{"any-length-form", "framing.*.overlong*"},
	{"long-control", "ping.oversize close.reason.124 close.reason.125 close.reason.1000 close.reason.65536"},
	{"fragmented-control", "fragmentation.control !fragmentation.control.p*.continued"},
	{"continuation-without-start", "fragmentation.*.misplaced.continuation-* !fragmentation.*.misplaced.continuation-open*"},
	{"start-inside", "fragmentation.*.misplaced.start-inside* fragmentation.*.misplaced.first-inside* fragmentation.*.misplaced.other-type-inside"},
	{"last-fragment-only", "fragmentation.*.split.* !fragmentation.*.split.empty-first* !fragmentation.*.split.empty-all* !fragmentation.*.split.empty-many* fragmentation.*.injected.* fragmentation.*.misplaced.continuation-after-fragments* utf8.valid.*.fragments utf8.state-is-reset utf8.ping-inside-character utf8.binary.fragments utf8.invalid.*.fragments utf8.fail-fast.frame masking.position deflate.*.fragments.* !deflate.*.fragments.empty-first"},
	{"loses-first-frame", "handshake.server.delivery.pipelined"},
	{"no-close-reply", "close !close.failed-then-text !close.reason.124 !close.reason.125 !close.reason.1000 !close.reason.65536"},
	{"close-reply-1001", "close.empty close.normal close.code.valid !close.code.valid.1001 close.reason !close.reason.124 !close.reason.125 !close.reason.1000 !close.reason.65536 !close.reason.invalid close.then-text close.then-many close.then-ping close.then-fault close.twice close.after-message close.after-pipelined close.inside-message close.inside-large-message close.tcp"},
	{"any-close-code", "close.code.invalid close.code.undefined"},
	{"one-byte-close", "close.one-byte"},
	{"echoes-after-close", "close.then-text close.then-many close.then-ping close.then-fault close.twice close.after-message close.inside-message close.inside-large-message close.tcp"},
	{"keeps-tcp", "close.then-text close.then-many close.then-ping close.then-fault close.twice close.after-message close.inside-message close.inside-large-message close.tcp"},
	{"wrong-accept", "handshake.server.accepts handshake.server.delivery.chunk* handshake.server.subprotocol handshake.server.extension !*.malformed.* !*.upgrade-list"},
	{"no-accept", "handshake.server.accepts handshake.server.delivery.chunk* handshake.server.subprotocol handshake.server.extension !*.malformed.* !*.upgrade-list"},
	{"no-upgrade-field", "handshake.server.accepts handshake.server.delivery.chunk* handshake.server.subprotocol handshake.server.extension !*.malformed.* !*.upgrade-list"},
	{"any-version", "handshake.server.version"},
	{"version-400", "handshake.server.version !handshake.server.version.missing"},
	{"version-silent", "handshake.server.version !handshake.server.version.missing"},
	{"any-method", "handshake.server.refuses.post handshake.server.refuses.head handshake.server.refuses.put"},
	{"http-1.0", "handshake.server.refuses.http-1.0"},
	{"no-host", "handshake.server.refuses.no-host handshake.server.refuses.host-twice"},
	{"any-key", "handshake.server.refuses.key-* !handshake.server.refuses.key-empty !handshake.server.refuses.key-twice"},
	{"unasked-subprotocol", "handshake.server.subprotocol.not-offered handshake.server.subprotocol.unknown"},
	{"upgrade-case-sensitive", "handshake.server.accepts.upgrade-case handshake.server.accepts.upgrade-upper"},
	{"connection-whole", "handshake.server.accepts.connection-list* handshake.server.accepts.connection-two-fields"},
	{"connection-substring", "handshake.server.refuses.connection-prefix"},
	{"injection", "handshake.server.malformed.injection.target"},
	{"masks-frames", "framing ping reserved fragmentation utf8 close masking limits deflate handshake.server.accepts handshake.server.delivery handshake.server.subprotocol handshake.server.extension !*.malformed.*"},
	{"reserved-bit-set", "framing ping reserved fragmentation utf8 close masking limits deflate handshake.server.accepts handshake.server.delivery handshake.server.subprotocol handshake.server.extension !*.malformed.*"},
	{"drops-last-byte", "framing.*.6553[67] framing.*.6553[67].chunk* fragmentation.*.split.lengths fragmentation.*.split.lengths.* limits deflate.*.message.*.65536 deflate.window.*.1[45]"},
	{"drops-empty", "framing.text.0 framing.binary.0 framing.*.pipelined fragmentation.*.split.empty-all fragmentation.*.split.empty-all.* masking.key.*.0 deflate.*.message.*.0 deflate.*.message.plain-empty deflate.*.blocks.empty deflate.*.blocks.empty-fixed"},
	{"keeps-context", "deflate.no-takeover.message.plain-between deflate.no-takeover.message.same-many deflate.no-takeover.message.ping-between deflate.offer.*server-no-takeover*"},
	{"ignores-window", "deflate.window.server !deflate.window.server.15 deflate.offer.*server-bits-9* deflate.offer.*server-bits-10* !deflate.offer.*server-bits-99*"},
	{"any-offer", "deflate.illegal-offer deflate.offer.pmd-unknown-pmd-server-no-takeover"},
	{"no-takeover-unanswered", "deflate.offer.*server-no-takeover*"},
	{"any-hixie-key", "hixie.76.key"},
	{"event-injection", "eventstream.server.injection"},
	{"event-data-unsplit", "eventstream.server.events.lf eventstream.server.events.lf-* eventstream.server.events.cr* eventstream.server.events.field-like eventstream.server.events.all"},
	{"event-content-type", "eventstream.server.events eventstream.server.content-type eventstream.server.last-event-id"},
}

// expects reports whether the case has to turn red: the last pattern that
// matches decides.
func (b brokenServer) expects(id string) bool {
	red := false
	for _, p := range strings.Fields(b.red) {
		if negated, ok := strings.CutPrefix(p, "!"); ok {
			if matches(id, negated) {
				red = false
			}
		} else if matches(id, p) {
			red = true
		}
	}
	return red
}

// sample keeps some of the cases: of those that have to turn red one in so
// many, and of the others. The offset differs from fault to fault, so that
// together the faults see every case.
func (b brokenServer) sample(cases []Case, red, other, offset int) []Case {
	seen := map[bool]int{}
	return slices.DeleteFunc(slices.Clone(cases), func(c Case) bool {
		expected := b.expects(c.ID)
		seen[expected]++
		if expected {
			return (seen[expected]-1)%red != 0
		}
		return (seen[expected]+offset)%other != 0
	})
}

// TestBrokenServers shows that each fault turns the right cases red, all of
// them and no others.
func TestBrokenServers(t *testing.T) {
	all := light(allServerCases(t))
	for i, b := range brokenServers {
		t.Run(string(b.fault), func(t *testing.T) {
			t.Parallel()
			cases := all
			if testing.Short() {
				cases = b.sample(all, 8, 60, i)
			}
			o := Options{Timeouts: testTimes, Parallel: 16, Seed: 1, Short: BriefRun}
			agent, err := TestServer(context.Background(), "broken", startReference(t, b.fault), cases, o)
			if err != nil {
				t.Fatal(err)
			}
			expected := 0
			for _, r := range agent.Results {
				red := r.Verdict == NotStrict || r.Verdict.Red()
				if b.expects(r.ID) {
					expected++
				}
				if red != b.expects(r.ID) {
					t.Errorf("%s: %v, want red: %v (%s)", r.ID, r.Verdict, b.expects(r.ID), r.Reason)
				}
			}
			if expected == 0 {
				t.Error("no case was expected to turn red")
			}
		})
	}
}
