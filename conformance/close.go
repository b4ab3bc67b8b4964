package conformance

import (
	"fmt"
	"strings"
)

var (
	ruleCloseReply   = rfc6455("5.5.1", "“If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint MUST send a Close frame in response. (When sending a Close frame in response, the endpoint typically echos the status code it received.)”")
	ruleCloseBody    = rfc6455("5.5.1", "“If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer (in network byte order) representing a status code with value /code/ defined in Section 7.4. Following the 2-byte integer, the body MAY contain UTF-8-encoded data with value /reason/, the interpretation of which is not defined by this specification.”")
	ruleAfterClose   = rfc6455("5.5.1", "“The application MUST NOT send any more data frames after sending a Close frame.” “After both sending and receiving a Close message, an endpoint considers the WebSocket connection closed and MUST close the underlying TCP connection.”")
	ruleIgnoreAfter  = rfc6455("1.4", "“After sending a control frame indicating the connection should be closed, a peer does not send any further data; after receiving a control frame indicating the connection should be closed, a peer discards any further data received.”")
	ruleReservedCode = rfc6455("7.4.1", "1005, 1006 and 1015: each “is a reserved value and MUST NOT be set as a status code in a Close control frame by an endpoint.” 1004: “Reserved. The specific meaning might be defined in the future.”")
	ruleUnusedCode   = rfc6455("7.4.2", "“Status codes in the range 0-999 are not used.” “Status codes in the range 1000-2999 are reserved for definition by this protocol, its future revisions, and extensions specified in a permanent and readily available public specification.” 3000-3999 are for libraries, frameworks and applications, 4000-4999 for private use.")
	ruleServerFirst  = rfc6455("7.1.1", "“The underlying TCP connection, in most normal cases, SHOULD be closed first by the server, so that it holds the TIME_WAIT state and not the client”")
)

func closeCases() []Case {
	cases := []Case{{
		ID: "close.empty", Title: "a Close frame without a body", Rule: ruleCloseReply,
		steps: plan(sends(closingBody("")), closeReply(0, 1000)),
	}, {
		ID: "close.one-byte", Title: "a Close frame with a body of one byte", Rule: ruleCloseBody,
		steps: plan(sends(closingBody("a")), fails(1002)),
	}, {
		ID: "close.normal.chunk1", Title: "a Close frame in single bytes", Rule: ruleCloseReply,
		steps: plan(sendsChunked(1, closing(1000, "good bye")), closeReply(1000)),
	}}
	cases = append(cases, codeCases()...)
	cases = append(cases, reasonCases()...)
	return append(cases, aroundCloseCases()...)
}

func codeCases() []Case {
	var cases []Case
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4999} {
		cases = append(cases, Case{
			ID: fmt.Sprintf("close.code.valid.%d", code), Title: fmt.Sprintf("a Close frame with code %d", code), Rule: ruleCloseReply,
			steps: plan(sends(closing(code, "")), closeReply(code, 1000)),
		})
	}
	for _, code := range []int{1004, 1005, 1006, 1015} {
		cases = append(cases, invalidCode(code, ruleReservedCode))
	}
	for _, code := range []int{0, 1, 999, 5000, 65535} {
		cases = append(cases, invalidCode(code, ruleUnusedCode))
	}
	for _, code := range []int{1016, 1100, 2000, 2999} {
		cases = append(cases, undefinedCode(code))
	}
	return cases
}

// invalidCode sends a code that may not be sent. An ordinary answer is not
// strict; the assembler fails a peer that sends such a code itself.
func invalidCode(code int, rule Rule) Case {
	return Case{
		ID: fmt.Sprintf("close.code.invalid.%d", code), Title: fmt.Sprintf("a Close frame with code %d, which may not be sent", code), Rule: rule,
		steps: plan(sends(closing(code, "")), answersBadCode()),
	}
}

// undefinedCode sends a code that the protocol reserves and nobody has
// defined. Sent back, it is a code this suite does not know, and no fault.
func undefinedCode(code int) Case {
	return Case{
		ID: fmt.Sprintf("close.code.undefined.%d", code), Title: fmt.Sprintf("a Close frame with code %d, which nobody has defined", code), Rule: ruleUnusedCode,
		steps: plan(sends(closing(code, "")), Step{Text: "expect 1002; another answer is not strict", kind: expectation, run: func(s *session) *finding {
			echoed := fmt.Sprintf("code %d", code)
			s.watch(s.times.Reply, s.over)
			if s.wrong != nil && strings.Contains(s.wrong.rule, echoed) {
				s.wrong = nil
				return found(NotStrict, "the code was taken and sent back")
			}
			return badCodeAnswer(s)
		}}),
	}
}

func answersBadCode() Step {
	return Step{Text: "expect 1002; another good code, or the end without one, is not strict", kind: expectation, run: badCodeAnswer}
}

func badCodeAnswer(s *session) *finding {
	if f := s.await("Close frame", s.over); f != nil {
		return f
	}
	if s.closed == nil || s.closed.code != 1002 {
		s.lower(NotStrict, "the answer was %s in place of a Close frame with 1002", s.ending())
	}
	return nil
}

func reasonCases() []Case {
	var cases []Case
	for _, n := range []int{1, 2, 60, 122, 123} {
		cases = append(cases, Case{
			ID: fmt.Sprintf("close.reason.%d", n), Title: fmt.Sprintf("a Close frame with a reason of %d bytes", n), Rule: ruleCloseReply,
			steps: plan(sends(closing(1000, letters(n))), closeReply(1000)),
		})
	}
	cases = append(cases, Case{
		ID: "close.reason.utf8", Title: "a Close frame with a reason in several scripts", Rule: ruleCloseBody,
		steps: plan(sends(closing(1000, "κόσμε 視野 👋")), closeReply(1000)),
	})
	for _, n := range []int{124, 125, 1000, 65536} {
		cases = append(cases, Case{
			ID: fmt.Sprintf("close.reason.%d", n), Title: fmt.Sprintf("a Close frame with a reason of %d bytes, more than it can hold", n), Rule: ruleControl,
			steps: plan(sends(closing(1000, letters(n))), fails(1002)),
		})
	}
	for _, s := range []sequence{
		{"surrogate", "κόσμε\xed\xa0\x80edited"}, {"truncated", "\xe2\x82"}, {"overlong", "\xc0\x80"},
		{"above", "\xf4\x90\x80\x80"}, {"lone-continuation", "a\x80"}, {"latin-1", "caf\xe9"},
	} {
		cases = append(cases, Case{
			ID: "close.reason.invalid." + s.name, Title: "a Close frame whose reason is not UTF-8: " + s.name, Rule: ruleUTF8,
			steps: plan(sends(closing(1000, s.bytes)), fails(1007, 1002)),
		})
	}
	return cases
}

func aroundCloseCases() []Case {
	return []Case{{
		ID: "close.then-text", Title: "a message behind the Close frame", Rule: ruleIgnoreAfter,
		steps: plan(sends(closing(1000, ""), text("too late")), closeReply(1000), silentUntilEnd()),
	}, {
		ID: "close.then-many", Title: "twenty messages behind the Close frame", Rule: ruleIgnoreAfter,
		steps: plan(sends(append([]frame{closing(1000, "")}, repeated(text("too late"), 20)...)...), closeReply(1000), silentUntilEnd()),
	}, {
		ID: "close.then-ping", Title: "a ping behind the Close frame", Rule: rulePing,
		steps: plan(sends(closing(1000, ""), ping("too late")), closeReply(1000), silentUntilEnd()),
	}, {
		ID: "close.then-fault", Title: "a frame with reserved bits behind the Close frame", Rule: ruleIgnoreAfter,
		steps: plan(sends(closing(1000, ""), text("too late").bits(7)), closeReply(1000), silentUntilEnd()),
	}, {
		ID: "close.twice", Title: "two Close frames", Rule: ruleAfterClose,
		steps: plan(sends(closing(1000, "first"), closing(1001, "second")), closeReply(1000), silentUntilEnd()),
	}, {
		ID: "close.after-message", Title: "a message and its echo, then a Close frame", Rule: ruleCloseReply,
		steps: plan(sends(text("message")), echoes(opText, "message"), sends(closing(1000, "")), closeReply(1000), silentUntilEnd()),
	}, {
		ID: "close.after-pipelined", Title: "ten messages and a Close frame in one write", Rule: ruleCloseReply,
		steps: plan(sends(append(repeated(text("message"), 10), closing(1000, ""))...), closeReply(1000), countsEchoes(10)),
	}, {
		ID: "close.inside-message", Title: "a Close frame between the fragments of a message", Rule: ruleCloseReply,
		steps: plan(sends(text("fragment1").open(), closing(1000, ""), continuation("fragment2")), closeReply(1000), silentUntilEnd()),
	}, {
		ID: "close.inside-large-message", Title: "256 KiB of a message that never ends, then a Close frame", Rule: ruleCloseReply,
		steps: plan(sends(text(letters(256<<10)).open(), closing(1000, "")), closeReply(1000), silentUntilEnd()),
	}, {
		ID: "close.tcp", Title: "a Close frame: the server ends the connection", Rule: ruleServerFirst, Roles: Server,
		steps: plan(sends(closing(1000, "")), closeReply(1000), silentUntilEnd()),
	}, {
		ID: "close.tcp-of-client", Title: "a Close frame: the client ends the connection once the server has", Rule: ruleServerFirst, Roles: Client,
		steps: plan(sends(closing(1000, "")), closeReply(1000), silentUntilEnd()),
	}, {
		ID: "close.failed-then-text", Title: "a message behind one that fails the connection", Rule: rfc6455("7.1.7", "“An endpoint MUST NOT continue to attempt to process data (including a responding Close frame) from the remote endpoint after being instructed to _Fail the WebSocket Connection_.”"),
		steps: plan(sends(text("wrong").bits(7), text("too late")), fails(1002), silentUntilEnd()),
	}}
}

func repeated(f frame, times int) []frame {
	frames := make([]frame, times)
	for i := range frames {
		frames[i] = f
	}
	return frames
}

// countsEchoes notes how many messages were echoed before the Close frame. An
// application may stop at any of them.
func countsEchoes(sent int) Step {
	return Step{Text: fmt.Sprintf("note how many of the %d messages were echoed", sent), kind: expectation, run: func(s *session) *finding {
		n := len(s.messages)
		s.messages = nil
		if n < sent {
			return found(Informational, "%d of %d messages were echoed before the Close frame", n, sent)
		}
		return nil
	}}
}
