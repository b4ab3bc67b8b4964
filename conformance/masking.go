package conformance

import "fmt"

var (
	ruleClientMasks  = rfc6455("5.1", "“The server MUST close the connection upon receiving a frame that is not masked. In this case, a server MAY send a Close frame with a status code of 1002 (protocol error) as defined in Section 7.4.1.”")
	ruleServerNoMask = rfc6455("5.1", "“A client MUST close a connection if it detects a masked frame. In this case, it MAY use the status code 1002 (protocol error) as defined in Section 7.4.1.”")
	ruleTransform    = rfc6455("5.3", `“Octet i of the transformed data ("transformed-octet-i") is the XOR of octet i of the original data ("original-octet-i") with octet at index i modulo 4 of the masking key ("masking-key-octet-j")”`)
	ruleFreshKey     = rfc6455("5.3", "“The masking key is a 32-bit value chosen at random by the client. When preparing a masked frame, the client MUST pick a fresh masking key from the set of allowed 32-bit values.”")
)

func maskingCases() []Case {
	cases := wrongMaskCases()
	for _, key := range [][4]byte{{}, {0xff, 0xff, 0xff, 0xff}, {1, 0, 0, 0}, {0, 0, 0, 1}, {0x37, 0xfa, 0x21, 0x3d}} {
		for _, n := range []int{0, 1, 3, 5, 8, 17, 1000} {
			payload := noise(n)
			cases = append(cases, Case{
				ID: fmt.Sprintf("masking.key.%x.%d", key, n), Title: fmt.Sprintf("%d bytes masked with %x", n, key), Rule: ruleTransform, Roles: Server,
				steps: plan(sends(binaryFrame(payload).keyed(key)), echoes(opBinary, payload)),
			})
		}
	}
	for _, chunk := range []int{1, 2, 3, 5, 7, 13} {
		payload := noise(300)
		cases = append(cases, Case{
			ID: fmt.Sprintf("masking.position.chunk%d", chunk), Title: fmt.Sprintf("the key's position is kept over reads: %d bytes a write", chunk), Rule: ruleTransform, Roles: Server,
			steps: plan(sendsChunked(chunk, split(opBinary, payload[:101], payload[101:202], payload[202:])...), echoes(opBinary, payload)),
		})
	}
	return append(cases, Case{
		ID: "masking.key.fresh", Title: "the client's keys over 32 echoes", Rule: ruleFreshKey, Roles: Client,
		steps: plan(sends(repeated(text("message"), 32)...), repeatedStep(echoes(opText, "message"), 32), freshKeys(32)),
	})
}

func repeatedStep(s Step, times int) []Step {
	steps := make([]Step, times)
	for i := range steps {
		steps[i] = s
	}
	return steps
}

// freshKeys expects no key twice: among so few of 2^32 the chance of that is
// below one in eight million.
func freshKeys(frames int) Step {
	return Step{Text: "expect no masking key twice", kind: expectation, run: func(s *session) *finding {
		s.send(0, closing(1000, ""))
		if f := s.await("Close frame", s.over); f != nil {
			return f
		}
		s.close()
		for key, n := range s.keys {
			if n > 1 {
				return failure("the key %x was used for %d of %d frames", key, n, frames)
			}
		}
		return nil
	}}
}

func wrongMaskCases() []Case {
	var cases []Case
	for _, row := range []struct {
		name   string
		before []frame
		frame  frame
	}{
		{"text", nil, text("message")}, {"binary", nil, binaryFrame("message")}, {"empty", nil, text("")},
		{"ping", nil, ping("ping")}, {"pong", nil, pong("pong")}, {"close", nil, closing(1000, "")},
		{"close-empty", nil, closingBody("")}, {"long", nil, text(letters(70000))},
		{"second", []frame{text("good")}, text("message")}, {"fragment", []frame{text("good").open()}, continuation("message")},
	} {
		var echoed []frame
		if row.name == "second" {
			echoed = row.before
		}
		cases = append(cases, Case{
			ID: "masking.unmasked." + row.name, Title: "a client's frame that is not masked: " + row.name, Rule: ruleClientMasks, Roles: Server,
			steps: plan(sends(append(row.before, row.frame.masked(maskNever))...), droppedAfter(echoed, 1002)),
		}, Case{
			ID: "masking.masked." + row.name, Title: "a server's frame that is masked: " + row.name, Rule: ruleServerNoMask, Roles: Client,
			steps: plan(sends(append(row.before, row.frame.keyed([4]byte{0x12, 0x34, 0x56, 0x78}))...), droppedAfter(echoed, 1002)),
		})
	}
	return cases
}
