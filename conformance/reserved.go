package conformance

import "fmt"

var (
	ruleReservedBits   = rfc6455("5.2", "RSV1, RSV2, RSV3: “MUST be 0 unless an extension is negotiated that defines meanings for non-zero values. If a nonzero value is received and none of the negotiated extensions defines the meaning of such a nonzero value, the receiving endpoint MUST _Fail the WebSocket Connection_.”")
	ruleReservedOpcode = rfc6455("5.2", `Opcode: “Defines the interpretation of the "Payload data". If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_.”`)
)

func reservedCases() []Case {
	var cases []Case
	for bits := byte(1); bits <= 7; bits++ {
		for _, f := range []frame{
			text("reserved"), binaryFrame("reserved"), ping("reserved"), pong("reserved"), closing(1000, ""), text(""),
		} {
			cases = append(cases, reservedBitsOn(f, bits))
		}
		cases = append(cases, reservedBitsBetween(bits), reservedBitsOnContinuation(bits))
	}
	for op := byte(3); op < 16; op++ {
		if op >= opClose && op <= opPong {
			continue
		}
		cases = append(cases, reservedOpcode(op)...)
	}
	return cases
}

func reservedBitsOn(f frame, bits byte) Case {
	name := opcodeName(f.opcode)
	if len(f.payload) == 0 {
		name = "empty-" + name
	}
	return Case{
		ID:    fmt.Sprintf("reserved.bits.%d.%s", bits, name),
		Title: fmt.Sprintf("reserved bits %03b set on a frame: %s", bits, name),
		Rule:  ruleReservedBits,
		steps: plan(sends(f.bits(bits)), fails(1002)),
	}
}

func reservedBitsBetween(bits byte) Case {
	before := text("before")
	return Case{
		ID:    fmt.Sprintf("reserved.bits.%d.between", bits),
		Title: fmt.Sprintf("a good message, one with reserved bits %03b, and a ping, in single bytes", bits),
		Rule:  ruleReservedBits,
		steps: plan(sendsChunked(1, before, text("reserved").bits(bits)), sends(ping("behind")), failsAfter([]frame{before}, 1002)),
	}
}

func reservedBitsOnContinuation(bits byte) Case {
	return Case{
		ID:    fmt.Sprintf("reserved.bits.%d.continuation", bits),
		Title: fmt.Sprintf("reserved bits %03b set on the second fragment of a message", bits),
		Rule:  ruleReservedBits,
		steps: plan(sends(text("first").open(), continuation("second").bits(bits)), fails(1002)),
	}
}

// reservedOpcode sends an opcode without a meaning by itself and among frames
// that have one.
func reservedOpcode(op byte) []Case {
	id := fmt.Sprintf("reserved.opcode.%d", op)
	what := fmt.Sprintf("a frame with the reserved opcode %d", op)
	empty, full := frame{opcode: op}, frame{opcode: op, payload: []byte("reserved opcode payload")}
	before := text("before")
	return []Case{{
		ID: id + ".empty", Title: what + " and no payload", Rule: ruleReservedOpcode,
		steps: plan(sends(empty), fails(1002)),
	}, {
		ID: id + ".payload", Title: what + " and a payload", Rule: ruleReservedOpcode,
		steps: plan(sends(full), fails(1002)),
	}, {
		ID: id + ".after", Title: "a good message, then " + what, Rule: ruleReservedOpcode,
		steps: plan(sends(before), echoes(opText, "before"), sends(full), fails(1002)),
	}, {
		ID: id + ".between", Title: "a good message, " + what + " and a ping, in single bytes", Rule: ruleReservedOpcode,
		steps: plan(sendsChunked(1, before, empty), sends(ping("behind")), failsAfter([]frame{before}, 1002)),
	}, {
		ID: id + ".inside", Title: what + " between the fragments of a message", Rule: ruleReservedOpcode,
		steps: plan(sends(text("first").open(), full, continuation("last")), fails(1002)),
	}, {
		ID: id + ".fragment", Title: what + " and FIN=0", Rule: ruleReservedOpcode,
		steps: plan(sends(full.open()), fails(1002)),
	}}
}
