package conformance

import (
	"fmt"
	"time"
)

var (
	ruleAnySize = rfc6455("5.2", "“If 127, the following 8 bytes interpreted as a 64-bit unsigned integer (the most significant bit MUST be 0) are the payload length.” A peer may limit what it takes (10.4) and says so with 1009 (7.4.1).")
	ruleRounds  = rfc6455("5.6", "“Data frames carry application-layer and/or extension-layer data.” Every message arrives once, whole and in order.")
)

func limitsCases() []Case {
	var cases []Case
	for _, op := range dataOpcodes {
		for _, n := range []int{64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20} {
			cases = append(cases, sizeCase(op, n))
		}
		for _, part := range []int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20} {
			cases = append(cases, fragmentsCase(op, part))
		}
		for _, chunk := range []int{64, 128, 256, 512, 1024, 2048} {
			cases = append(cases, writesCase(op, chunk))
		}
		for _, n := range []int{0, 16, 64, 256, 1 << 10, 4 << 10, 16 << 10} {
			cases = append(cases, roundsCase(op, n))
		}
	}
	return cases
}

// readable writes a size as people do, for IDs.
func readable(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprint(n)
}

// loadOf lets short runs have the smaller sizes.
func loadOf(bytes int) Load {
	if bytes > 1<<20 {
		return Heavy
	}
	return Light
}

func sizeCase(op byte, n int) Case {
	return Case{
		ID: fmt.Sprintf("limits.%s.whole.%s", opcodeName(op), readable(n)), Title: fmt.Sprintf("a %s message of %s in one frame", opcodeName(op), readable(n)),
		Rule: ruleAnySize, Load: loadOf(n),
		steps: plan(timed("send and expect the echo", n, func(s *session) *finding {
			payload := payloadFor(op, n)
			s.send(0, data(op, []byte(payload)))
			return s.expectMessage(op, []byte(payload))
		})),
	}
}

const fragmentedSize = 4 << 20

func fragmentsCase(op byte, part int) Case {
	return Case{
		ID: fmt.Sprintf("limits.%s.fragments.%s", opcodeName(op), readable(part)), Title: fmt.Sprintf("a %s message of 4 MiB in fragments of %s", opcodeName(op), readable(part)),
		Rule: ruleFragments, Load: Heavy,
		steps: plan(timed("send the fragments and expect the echo", fragmentedSize, func(s *session) *finding {
			payload := payloadFor(op, fragmentedSize)
			var parts []string
			for at := 0; at < len(payload); at += part {
				parts = append(parts, payload[at:at+part])
			}
			s.send(64<<10, split(op, parts...)...)
			return s.expectMessage(op, []byte(payload))
		})),
	}
}

const chunkedSize = 1 << 20

func writesCase(op byte, chunk int) Case {
	return Case{
		ID: fmt.Sprintf("limits.%s.writes.%d", opcodeName(op), chunk), Title: fmt.Sprintf("a %s message of 1 MiB, %d bytes a write", opcodeName(op), chunk),
		Rule: ruleStream, Load: Heavy,
		steps: plan(timed("send in pieces and expect the echo", chunkedSize, func(s *session) *finding {
			payload := payloadFor(op, chunkedSize)
			s.send(chunk, data(op, []byte(payload)))
			return s.expectMessage(op, []byte(payload))
		})),
	}
}

func roundsCase(op byte, n int) Case {
	return Case{
		ID: fmt.Sprintf("limits.%s.rounds.%s", opcodeName(op), readable(n)), Title: fmt.Sprintf("1000 round trips of a %s message of %s", opcodeName(op), readable(n)),
		Rule: ruleRounds, Load: Heavy,
		steps: plan(timed("send and expect the echo, again and again", 0, func(s *session) *finding {
			payload := []byte(payloadFor(op, n))
			for i := range s.rounds(1000) {
				if i > 0 && len(payload) > 0 {
					payload[i%len(payload)] = 'a' + byte(i%26)
				}
				s.send(0, data(op, payload))
				if f := s.expectMessage(op, payload); f != nil {
					return f
				}
			}
			return nil
		})),
	}
}

// rounds cuts a number of rounds down in a short run.
func (s *session) rounds(n int) int {
	if s.short != "" {
		return min(n, 20)
	}
	return n
}

// timed notes how long a step took.
func timed(what string, bytes int, run func(*session) *finding) Step {
	return Step{Text: what, kind: expectation, run: func(s *session) *finding {
		start := time.Now()
		f := run(s)
		if f != nil {
			return f
		}
		took := time.Since(start)
		if bytes > 0 {
			s.note("%v, %.1f MB/s each way", took.Round(100*time.Microsecond), float64(bytes)/1e6/took.Seconds())
			return nil
		}
		s.note("%v", took.Round(100*time.Microsecond))
		return nil
	}}
}
