package negotiate

import "testing"

// An interruptible is a session that counts its interruptions.
type interruptible struct {
	fakeSession
	times int
}

func (s *interruptible) Interrupt() { s.times++ }

// Those that can be interrupted are, whatever stands between them.
func TestPipelineInterrupts(t *testing.T) {
	a, b := new(interruptible), new(interruptible)
	p := &Pipeline{stages: []stage{{a, RSV1}, {new(fakeSession), RSV2}, {b, RSV3}}}
	p.Interrupt()
	if a.times != 1 || b.times != 1 {
		t.Errorf("%d and %d times", a.times, b.times)
	}
}
