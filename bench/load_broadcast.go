package main

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"
)

// roundRing is more than there are ever rounds in flight.
const roundRing = 16

// rounds are the broadcasts in flight. Every connection gets them in order, so
// that they are complete in order too.
type rounds struct {
	conns   int64
	got     [roundRing]atomic.Int64
	started [roundRing]atomic.Int64 // ns since the epoch
	done    chan struct{}
}

// deliver counts one copy of a round and completes the round with the last.
func (r *rounds) deliver(round int) (took time.Duration, complete bool) {
	slot := round % roundRing
	if r.got[slot].Add(1) < r.conns {
		return 0, false
	}
	r.got[slot].Store(0)
	took = time.Duration(time.Now().UnixNano() - r.started[slot].Load())
	r.done <- struct{}{}
	return took, true
}

// loadBroadcast has the first connection send what all are to get.
func loadBroadcast(p *process, s *scenario, t *target, dur time.Duration) (values, error) {
	links, err := t.dialAll(s.Conns, time.Now().Add(s.lifetime(dur)))
	if err != nil {
		return nil, err
	}
	defer closeAll(links)
	if s.Conns > 1 {
		time.Sleep(100 * time.Millisecond) // servers list a connection after the handshake
	}
	one := *s
	one.Depth = 1
	bs := one.bursts(t)
	r := &rounds{conns: int64(s.Conns), done: make(chan struct{}, roundRing)}
	l := newLoad(s.Conns)
	next := make([]int, s.Conns)
	bufs := make([]byte, s.Conns*len(bs[0].reply))
	l.goEach(func(i int, w *worker) error {
		want := bs[next[i]%len(bs)].reply
		buf := bufs[i*len(want) : (i+1)*len(want)]
		if _, err := io.ReadFull(links[i], buf); err != nil {
			return err
		}
		if !bytes.Equal(buf, want) {
			return errWrongReply
		}
		took, complete := r.deliver(next[i])
		if complete && w.measuring.Load() {
			w.times.add(took)
		}
		next[i]++
		w.n.Add(1)
		return nil
	})
	ended := make(chan struct{})
	l.wg.Go(func() { l.publish(r, bs, links[0], s.Depth, ended) })
	l.interrupt = func() {
		close(ended)
		for _, c := range links {
			_ = c.SetReadDeadline(time.Now())
		}
	}
	return l.measure(p, dur)
}

// publish keeps a number of rounds in flight until the load has ended.
func (l *load) publish(r *rounds, bs []burst, c io.Writer, inFlight int, ended <-chan struct{}) {
	for range inFlight {
		r.done <- struct{}{}
	}
	for round := 0; !l.stopped.Load(); round++ {
		select {
		case <-r.done:
		case <-ended:
			return
		}
		r.started[round%roundRing].Store(time.Now().UnixNano())
		if _, err := c.Write(bs[round%len(bs)].request); err != nil {
			l.fail(err)
			return
		}
	}
}
