package conformance

import "fmt"

var (
	ruleLength  = rfc6455("5.2", `“The length of the "Payload data", in bytes: if 0-125, that is the payload length. If 126, the following 2 bytes interpreted as a 16-bit unsigned integer are the payload length. If 127, the following 8 bytes interpreted as a 64-bit unsigned integer (the most significant bit MUST be 0) are the payload length.”`)
	ruleMinimal = rfc6455("5.2", "“Note that in all cases, the minimal number of bytes MUST be used to encode the length, for example, the length of a 124-byte-long string can't be encoded as the sequence 126, 0, 124.”")
	ruleStream  = rfc6455("5.2", "The frame format is independent of how TCP cuts the stream: a frame begins where the last one ended.")
)

// framingCases send single frames of every length at which the length changes
// its form, in writes of every awkward size.
func framingCases() []Case {
	var cases []Case
	for _, op := range dataOpcodes {
		for _, n := range []int{0, 1, 125, 126, 127, 128, 255, 256, 65535, 65536, 65537} {
			payload := payloadFor(op, n)
			cases = append(cases, Case{
				ID:    fmt.Sprintf("framing.%s.%d", opcodeName(op), n),
				Title: fmt.Sprintf("a %s message of %d bytes in one write", opcodeName(op), n),
				Rule:  ruleLength,
				steps: plan(sends(data(op, []byte(payload))), echoes(op, payload)),
			})
			for _, chunk := range chunksFor(n) {
				cases = append(cases, Case{
					ID:    fmt.Sprintf("framing.%s.%d.chunk%d", opcodeName(op), n, chunk),
					Title: fmt.Sprintf("a %s message of %d bytes, %d bytes a write", opcodeName(op), n, chunk),
					Rule:  ruleStream,
					steps: plan(sendsChunked(chunk, data(op, []byte(payload))), echoes(op, payload)),
				})
			}
		}
		cases = append(cases, pipelined(op), overlong(op, 0, lengthSixteen), overlong(op, 125, lengthSixteen),
			overlong(op, 0, lengthSixtyFour), overlong(op, 125, lengthSixtyFour),
			overlong(op, 126, lengthSixtyFour), overlong(op, 65535, lengthSixtyFour),
			sixtyFourthBit(op), tooLong(op))
	}
	return append(cases, overlongControl(opPing), overlongControl(opClose))
}

// chunksFor chooses write sizes: single bytes only where they are few.
func chunksFor(n int) []int {
	switch {
	case n <= 256:
		return []int{1, 2, 3, 5}
	case n == 65536:
		return []int{997, 1460, 4096, 65536}
	}
	return []int{997, 32768}
}

// pipelined sends messages of growing length without waiting.
func pipelined(op byte) Case {
	var frames []frame
	var steps []Step
	for n := range 130 {
		frames = append(frames, data(op, []byte(payloadFor(op, n))))
		steps = append(steps, echoes(op, payloadFor(op, n)))
	}
	return Case{
		ID:    fmt.Sprintf("framing.%s.pipelined", opcodeName(op)),
		Title: fmt.Sprintf("130 %s messages of 0 to 129 bytes in one write", opcodeName(op)),
		Rule:  ruleStream,
		steps: plan(sends(frames...), steps),
	}
}

// overlong writes a length in more bytes than it needs. The rule binds the
// sender; a receiver that lets it pass is not strict.
func overlong(op byte, n int, form lengthForm) Case {
	payload := payloadFor(op, n)
	f := data(op, []byte(payload)).lengthAs(form)
	bytes := map[lengthForm]int{lengthSixteen: 2, lengthSixtyFour: 8}[form]
	return Case{
		ID:    fmt.Sprintf("framing.%s.overlong%d.%d", opcodeName(op), bytes*8, n),
		Title: fmt.Sprintf("a length of %d written in %d bytes", n, bytes),
		Rule:  ruleMinimal,
		steps: plan(sends(f), failsOrEchoes(f, "it took a length that was not in its shortest form")),
	}
}

// failsOrEchoes expects a failure with 1002; an echo is not strict.
func failsOrEchoes(f frame, tolerated string) Step {
	return Step{Text: "expect the connection to be failed with 1002; an echo is not strict", kind: expectation,
		run: func(s *session) *finding {
			s.watch(s.times.Reply, func() bool { return len(s.messages) > 0 || s.over() })
			if len(s.messages) == 1 && s.wrong == nil {
				s.lower(NotStrict, "%s", tolerated)
				return s.expectMessage(f.opcode, f.payload)
			}
			return s.expectFailure(nil, []int{1002})
		}}
}

// overlongControl writes the length of a short control frame in two bytes. By
// 5.5 its length is 125 or less, so this form is never right.
func overlongControl(op byte) Case {
	f := frame{opcode: op, payload: []byte{3, 232}, form: lengthSixteen}
	return Case{
		ID:    fmt.Sprintf("framing.%s.overlong16", opcodeName(op)),
		Title: fmt.Sprintf("a %s whose length of 2 is written in two bytes", opcodeName(op)),
		Rule:  ruleMinimal,
		steps: plan(sends(f), Step{Text: "expect a failure with 1002; an ordinary answer is not strict", kind: expectation,
			run: func(s *session) *finding {
				s.watch(s.times.Reply, func() bool { return len(s.pongs) > 0 || s.over() })
				if s.wrong == nil && (len(s.pongs) > 0 || s.closed != nil && s.closed.code == 1000) {
					s.lower(NotStrict, "it took a length that was not in its shortest form")
					return nil
				}
				return s.expectFailure(nil, []int{1002})
			}}),
	}
}

func sixtyFourthBit(op byte) Case {
	return Case{
		ID:    fmt.Sprintf("framing.%s.length.msb", opcodeName(op)),
		Title: "a frame header whose 64-bit length has its most significant bit set",
		Rule:  ruleLength,
		steps: plan(sends(data(op, []byte("abc")).claims(1<<63+3)), fails(1002, 1009)),
	}
}

// tooLong announces the longest length that the format knows. A peer may close
// for its size, or wait for bytes that never come.
func tooLong(op byte) Case {
	return Case{
		ID:    fmt.Sprintf("framing.%s.length.max", opcodeName(op)),
		Title: "a frame header that announces 2^63-1 bytes, and three of them",
		Rule:  rfc6455("10.4", "“Implementations that have implementation- and/or platform-specific limitations regarding the frame size or total message size after reassembly from multiple frames MUST protect themselves against exceeding those limits.”"),
		steps: plan(sends(data(op, []byte("abc")).claims(1<<63-1)), Step{
			Text: "expect a failure with 1009, or silence", kind: expectation,
			run: func(s *session) *finding {
				s.watch(s.times.Quiet*2, func() bool { return len(s.messages) > 0 || s.over() })
				if !s.over() && len(s.messages) == 0 {
					return found(Informational, "the peer waits for the bytes that were announced")
				}
				return s.expectFailure(nil, []int{1009, 1002})
			}}),
	}
}
