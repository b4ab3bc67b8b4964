package conformance

import (
	"crypto/tls"
	"math/rand/v2"
	"time"
)

// Options say how to run. The zero value is ready for use.
type Options struct {
	Timeouts Timeouts
	Parallel int         // light cases run at a time against a server; default 8
	Repeat   int         // how often each case is run against a server; the worst verdict counts; default 1
	Seed     uint64      // of keys and orders; 0 chooses one, which the report names
	TLS      *tls.Config // for wss targets, and for a listener that speaks TLS
	Carrier  Carrier     // the version of HTTP; default HTTP1
	Short    ShortRun    // whether the long cases are cut down
	Progress func(done, total int, r Result)
}

// ShortRun says how much of the volume a run has.
type ShortRun int

// The kinds of run.
const (
	FullRun  ShortRun = iota // a thousand messages where a case says so
	BriefRun                 // a few in place of a thousand
)

func (o Options) filled() Options {
	o.Timeouts = o.Timeouts.filled()
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	if o.Repeat <= 0 {
		o.Repeat = 1
	}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	return o
}

func (o Options) random(id string) *rand.Rand {
	sum := uint64(14695981039346656037)
	for _, b := range []byte(id) {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(o.Seed, sum))
}
