package conformance

import (
	"fmt"
	"strings"
)

var (
	rulePong        = rfc6455("5.5.3", `“A Pong frame sent in response to a Ping frame must have identical "Application data" as found in the message body of the Ping frame being replied to.”`)
	rulePing        = rfc6455("5.5.2", "“Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response, unless it already received a Close frame.”")
	ruleUnsolicited = rfc6455("5.5.3", "“A Pong frame MAY be sent unsolicited. This serves as a unidirectional heartbeat. A response to an unsolicited Pong frame is not expected.”")
	ruleControl     = rfc6455("5.5", "“All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented.”")
)

func pingCases() []Case {
	var cases []Case
	for _, n := range []int{0, 1, 2, 3, 4, 5, 8, 64, 124, 125} {
		for _, chunk := range []int{0, 1} {
			cases = append(cases, pingOf(fmt.Sprint("bytes", n), noise(n), chunk))
		}
	}
	cases = append(cases,
		pingOf("text", "Hello, world!", 0),
		pingOf("not-utf8", "\x00\xff\xfe\xfd\xfc\xfb\x00\xff", 0),
		pingOf("zeros", strings.Repeat("\x00", 125), 0),
	)
	for _, n := range []int{126, 127, 1000, 65536} {
		for _, op := range []byte{opPing, opPong} {
			f := frame{opcode: op, payload: []byte(letters(n))}
			cases = append(cases, Case{
				ID:    fmt.Sprintf("ping.oversize.%s.%d", opcodeName(op), n),
				Title: fmt.Sprintf("a %s with a payload of %d bytes", opcodeName(op), n),
				Rule:  ruleControl,
				steps: plan(sends(f), fails(1002)),
			})
		}
	}
	return append(append(cases, unsolicitedCases()...), floodCases()...)
}

func pingOf(name, payload string, chunk int) Case {
	c := Case{
		ID: "ping.payload." + name, Title: "a ping with the payload " + bytesInBrief([]byte(payload)), Rule: rulePong,
		steps: plan(sendsChunked(chunk, ping(payload)), pongs(payload)),
	}
	if chunk > 0 {
		c.ID += fmt.Sprintf(".chunk%d", chunk)
		c.Title += fmt.Sprintf(", %d bytes a write", chunk)
	}
	return c
}

func unsolicitedCases() []Case {
	return []Case{{
		ID: "ping.unsolicited.empty", Title: "a pong that answers nothing, without a payload", Rule: ruleUnsolicited,
		steps: plan(sends(pong("")), nothingThen("after")),
	}, {
		ID: "ping.unsolicited.payload", Title: "a pong that answers nothing, with a payload", Rule: ruleUnsolicited,
		steps: plan(sends(pong("unsolicited pong payload")), nothingThen("after")),
	}, {
		ID: "ping.unsolicited.then-ping", Title: "a pong that answers nothing, and a ping behind it", Rule: ruleUnsolicited,
		steps: plan(sends(pong("unsolicited pong payload"), ping("ping payload")), pongs("ping payload")),
	}, {
		ID: "ping.unsolicited.many", Title: "ten pongs that answer nothing, and a message behind them", Rule: ruleUnsolicited,
		steps: plan(sends(pong("1"), pong("2"), pong("3"), pong("4"), pong("5"), pong("6"), pong("7"), pong("8"), pong("9"), pong("10")), nothingThen("after")),
	}, {
		ID: "ping.with-message.after", Title: "a message and a ping in one write", Rule: rulePing,
		steps: plan(sends(text("message"), ping("ping")), echoes(opText, "message"), pongs("ping")),
	}, {
		ID: "ping.with-message.before", Title: "a ping and a message in one write", Rule: rulePing,
		steps: plan(sends(ping("ping"), text("message")), pongs("ping"), echoes(opText, "message")),
	}, {
		ID: "ping.same-payload", Title: "three pings with one payload", Rule: rulePong,
		steps: plan(sends(ping("same")), pongs("same"), sends(ping("same")), sends(ping("same")), pongs("same")),
	}}
}

// nothingThen expects no answer to what came before: only the echo of a
// message that follows it.
func nothingThen(message string) []Step {
	return plan(sends(text(message)), echoes(opText, message))
}

func floodCases() []Case {
	var cases []Case
	for _, n := range []int{10, 100} {
		var frames []frame
		var payloads []string
		for i := range n {
			payloads = append(payloads, fmt.Sprintf("payload-%d", i))
			frames = append(frames, ping(payloads[i]))
		}
		for _, chunk := range []int{0, 1, 7} {
			cases = append(cases, Case{
				ID:    fmt.Sprintf("ping.flood.%d.chunk%d", n, chunk),
				Title: fmt.Sprintf("%d pings without waiting, %s", n, writesOf(chunk)),
				Rule:  rulePing,
				steps: plan(sendsChunked(chunk, frames...), flooded(n, pongs(payloads...))),
			})
		}
	}
	return cases
}

// flooded lets a peer end a connection that asks too much: how many pings may
// wait for their pongs is its own to say (RFC 6455, 10.4). Ten are not many.
func flooded(n int, s Step) Step {
	if n <= 10 {
		return s
	}
	return leftOpen(s)
}

func writesOf(chunk int) string {
	if chunk == 0 {
		return "in one write"
	}
	return fmt.Sprintf("%d bytes a write", chunk)
}
