package conformance

import (
	"fmt"
	"strings"
)

var (
	ruleFragments = rfc6455("5.4", "“A fragmented message consists of a single frame with the FIN bit clear and an opcode other than 0, followed by zero or more frames with the FIN bit clear and the opcode set to 0, and terminated by a single frame with the FIN bit set and an opcode of 0.”")
	ruleInjected  = rfc6455("5.4", "“Control frames (see Section 5.5) MAY be injected in the middle of a fragmented message. Control frames themselves MUST NOT be fragmented.” “An endpoint MUST be capable of handling control frames in the middle of a fragmented message.”")
	ruleOrder     = rfc6455("5.4", "“The fragments of one message MUST NOT be interleaved between the fragments of another message unless an extension has been negotiated that can interpret the interleaving.”")
	ruleNothing   = rfc6455("5.4", "A continuation frame (opcode 0) continues a message; where none is under way there is nothing that it could mean, and the receiver fails the connection (7.1.7, 1002).")
)

func fragmentationCases() []Case {
	var cases []Case
	for _, op := range dataOpcodes {
		cases = append(cases, splitCases(op)...)
		cases = append(cases, injectedCases(op)...)
		cases = append(cases, misplacedCases(op)...)
	}
	return append(cases, fragmentedControlCases()...)
}

// split cuts a payload into the fragments of one message.
func split(op byte, parts ...string) []frame {
	frames := make([]frame, len(parts))
	for i, p := range parts {
		frames[i] = continuation(p)
		if i == 0 {
			frames[i] = data(op, []byte(p))
		}
		if i < len(parts)-1 {
			frames[i] = frames[i].open()
		}
	}
	return frames
}

func splitCases(op byte) []Case {
	many := strings.Split(letters(100), "")
	rows := []struct {
		name  string
		parts []string
	}{
		{"two", []string{"fragment1", "fragment2"}},
		{"three", []string{"fragment1", "fragment2", "fragment3"}},
		{"empty-first", []string{"", "fragment"}},
		{"empty-last", []string{"fragment", ""}},
		{"empty-middle", []string{"fragment1", "", "fragment2"}},
		{"empty-all", []string{"", "", ""}},
		{"empty-many", append(make([]string, 20), "end")},
		{"single-bytes", many},
		{"lengths", []string{letters(125), letters(126), letters(127), letters(65535), letters(65536), "."}},
	}
	var cases []Case
	for _, r := range rows {
		whole := strings.Join(r.parts, "")
		frames := split(op, r.parts...)
		chunk := 1
		if len(whole) > 1000 {
			chunk = 997
		}
		id := fmt.Sprintf("fragmentation.%s.split.%s", opcodeName(op), r.name)
		title := fmt.Sprintf("a %s message in %d fragments (%s)", opcodeName(op), len(r.parts), r.name)
		var slow []Step
		for i, f := range frames {
			probe := fmt.Sprintf("ping %d", i)
			slow = append(slow, sends(f))
			if i%7 == 0 && i < len(frames)-1 {
				slow = append(slow, sends(ping(probe)), pongs(probe))
			}
		}
		cases = append(cases,
			Case{ID: id, Title: title + " in one write", Rule: ruleFragments, steps: plan(sends(frames...), echoes(op, whole))},
			Case{ID: id + ".chunked", Title: title + ", " + writesOf(chunk), Rule: ruleFragments, steps: plan(sendsChunked(chunk, frames...), echoes(op, whole))},
			Case{ID: id + ".slow", Title: title + ", a write each, with pings answered between them", Rule: ruleInjected, steps: plan(slow, echoes(op, whole))},
		)
	}
	return cases
}

func injectedCases(op byte) []Case {
	id := fmt.Sprintf("fragmentation.%s.injected.", opcodeName(op))
	first, last := split(op, "fragment1", "fragment2")[0], continuation("fragment2")
	middle := continuation("middle").open()
	var cases []Case
	for _, chunk := range []int{0, 1} {
		suffix := fmt.Sprintf(".chunk%d", chunk)
		cases = append(cases, Case{
			ID: id + "ping" + suffix, Title: "a ping between two fragments, " + writesOf(chunk), Rule: ruleInjected,
			steps: plan(sendsChunked(chunk, first, ping("ping"), last), pongs("ping"), echoes(op, "fragment1fragment2")),
		}, Case{
			ID: id + "pong" + suffix, Title: "a pong between two fragments, " + writesOf(chunk), Rule: ruleInjected,
			steps: plan(sendsChunked(chunk, first, pong("pong"), last), echoes(op, "fragment1fragment2")),
		}, Case{
			ID: id + "many" + suffix, Title: "pings and pongs between three fragments, " + writesOf(chunk), Rule: ruleInjected,
			steps: plan(sendsChunked(chunk, first, ping("1"), pong("2"), middle, ping("3"), ping(""), last), pongs("1", "3", ""), echoes(op, "fragment1middlefragment2")),
		})
	}
	return append(cases, Case{
		ID: id + "ping-before-end", Title: "a ping between two fragments, answered before the message ends", Rule: rulePing,
		steps: plan(sends(first), sends(ping("ping")), pongs("ping"), sends(last), echoes(op, "fragment1fragment2")),
	}, Case{
		ID: id + "two-messages", Title: "two fragmented messages one behind the other, with a ping in each", Rule: ruleInjected,
		steps: plan(sends(first, ping("1"), last, first, ping("2"), last), pongs("1", "2"), echoes(op, "fragment1fragment2"), echoes(op, "fragment1fragment2")),
	})
}

func misplacedCases(op byte) []Case {
	id := fmt.Sprintf("fragmentation.%s.misplaced.", opcodeName(op))
	whole := data(op, []byte("whole"))
	var cases []Case
	for _, chunk := range []int{0, 1} {
		suffix := fmt.Sprintf(".chunk%d", chunk)
		cases = append(cases, Case{
			ID: id + "continuation-final" + suffix, Title: "a last fragment without a first, then a good message", Rule: ruleNothing,
			steps: plan(sendsChunked(chunk, continuation("continues nothing"), whole), fails(1002)),
		}, Case{
			ID: id + "continuation-open" + suffix, Title: "a middle fragment without a first, then a good message", Rule: ruleNothing,
			steps: plan(sendsChunked(chunk, continuation("continues nothing").open(), whole), fails(1002)),
		}, Case{
			ID: id + "continuation-after" + suffix, Title: "a good message, then a fragment that continues nothing", Rule: ruleNothing,
			steps: plan(sendsChunked(chunk, whole, continuation("continues nothing")), failsAfter([]frame{whole}, 1002)),
		}, Case{
			ID: id + "continuation-after-fragments" + suffix, Title: "a fragmented message, then a fragment that continues nothing", Rule: ruleNothing,
			steps: plan(sendsChunked(chunk, append(split(op, "a", "b"), continuation("c"))...), failsAfter([]frame{data(op, []byte("ab"))}, 1002)),
		}, Case{
			ID: id + "start-inside" + suffix, Title: "a whole message inside a fragmented one", Rule: ruleOrder,
			steps: plan(sendsChunked(chunk, data(op, []byte("first")).open(), whole), fails(1002)),
		}, Case{
			ID: id + "first-inside" + suffix, Title: "a first fragment inside a fragmented message", Rule: ruleOrder,
			steps: plan(sendsChunked(chunk, data(op, []byte("first")).open(), whole.open()), fails(1002)),
		})
	}
	return append(cases, Case{
		ID: id + "continuation-empty", Title: "an empty fragment that continues nothing", Rule: ruleNothing,
		steps: plan(sends(continuation("")), fails(1002)),
	}, Case{
		ID: id + "other-type-inside", Title: "a message of the other type inside a fragmented one", Rule: ruleOrder,
		steps: plan(sends(data(op, []byte("first")).open(), data(opText+opBinary-op, []byte("other"))), fails(1002)),
	})
}

func fragmentedControlCases() []Case {
	var cases []Case
	for _, f := range []frame{ping("fragment"), pong("fragment"), ping(""), closing(1000, "")} {
		name := opcodeName(f.opcode)
		if len(f.payload) == 0 {
			name += "-empty"
		}
		cases = append(cases, Case{
			ID: "fragmentation.control." + name, Title: "FIN=0 on a control frame: " + name, Rule: ruleControl,
			steps: plan(sends(f.open()), fails(1002)),
		}, Case{
			ID: "fragmentation.control." + name + ".continued", Title: "a control frame in two fragments: " + name, Rule: ruleControl,
			steps: plan(sends(f.open(), continuation("rest")), fails(1002)),
		}, Case{
			ID: "fragmentation.control." + name + ".inside", Title: "FIN=0 on a control frame inside a fragmented message: " + name, Rule: ruleControl,
			steps: plan(sends(text("first").open(), f.open(), continuation("last")), fails(1002)),
		})
	}
	return cases
}
