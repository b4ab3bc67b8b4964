package main

import (
	"sync"
	"time"
)

// settle is how long connections are left alone before memory is counted: what
// a library keeps for a little while after a message is not idle memory.
var settle = 1500 * time.Millisecond

// loadIdle opens connections, echoes once on each and lets them be.
func loadIdle(p *process, s *scenario, t *target, _ time.Duration) (values, error) {
	empty, err := p.ask(askMemory)
	if err != nil {
		return nil, err
	}
	links, err := t.dialAll(s.Conns, time.Now().Add(60*time.Second))
	if err != nil {
		return nil, err
	}
	defer closeAll(links)
	if s.Deflate != noDeflate {
		err = echoOnceDeflated(s, t, links)
	} else {
		err = echoOnce(s, t, links)
	}
	if err != nil {
		return nil, err
	}
	p.pause(settle)
	full, err := p.ask(askMemory)
	if err != nil {
		return nil, err
	}
	return memoryValues(empty, full, s.Conns), nil
}

// memoryValues says what n connections have added.
func memoryValues(empty, full answer, n int) values {
	per := func(a, b uint64) float64 { return (float64(b) - float64(a)) / float64(n) / 1024 }
	v := values{
		liveKB.Key:     per(empty.Live, full.Live),
		goroutines.Key: float64(full.Goroutines-empty.Goroutines) / float64(n),
	}
	if full.RSS > 0 { // known
		v[rssKB.Key] = per(empty.RSS, full.RSS)
	}
	return v
}

// echoOnce sends one message on each connection.
func echoOnce(s *scenario, t *target, links []link) error {
	bs := s.bursts(t)
	return eachLink(links, func(i int, w *worker) error {
		return w.exchange(links[i], &bs[i%len(bs)], make([]byte, len(bs[0].reply)))
	})
}

// eachLink calls f once for each connection, some at a time.
func eachLink(links []link, f func(i int, w *worker) error) error {
	const atATime = 32
	l := newLoad(atATime)
	var wg sync.WaitGroup
	for k := range l.workers {
		wg.Go(func() {
			for i := k; i < len(links) && !l.stopped.Load(); i += atATime {
				if err := f(i, &l.workers[k]); err != nil {
					l.fail(err)
				}
			}
		})
	}
	wg.Wait()
	return l.err()
}
