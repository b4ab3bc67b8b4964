package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A load is work that a number of goroutines do until told to stop.
type load struct {
	stopped   atomic.Bool
	measuring atomic.Bool
	wg        sync.WaitGroup
	workers   []worker
	failed    chan error // the first failure
	interrupt func()     // wakes workers that wait for what will not come; may be nil
}

// A worker counts and times for one goroutine.
type worker struct {
	*load
	counter
	wire  atomic.Uint64 // bytes of frames received while measuring, as many as times has
	times histogram
}

// received counts a reply of the measured time: its bytes and how long it took.
func (w *worker) received(bytes int, took time.Duration) {
	w.wire.Add(uint64(bytes))
	w.times.add(took)
}

func newLoad(n int) *load {
	l := &load{workers: make([]worker, n), failed: make(chan error, 1)}
	for i := range l.workers {
		l.workers[i].load = l
	}
	return l
}

// goEach runs f for every worker, again and again, until the load is stopped.
func (l *load) goEach(f func(i int, w *worker) error) {
	for i := range l.workers {
		l.wg.Go(func() {
			w := &l.workers[i]
			for !l.stopped.Load() {
				if err := f(i, w); err != nil {
					l.fail(fmt.Errorf("connection %d: %w", i, err))
					return
				}
			}
		})
	}
}

// fail keeps the first error; what fails because of it does not count.
func (l *load) fail(err error) {
	if l.stopped.Load() {
		return
	}
	select {
	case l.failed <- err:
	default:
	}
	l.stopped.Store(true)
}

func (l *load) sum(f func(*worker) uint64) uint64 {
	var n uint64
	for i := range l.workers {
		n += f(&l.workers[i])
	}
	return n
}

func (l *load) count() uint64 { return l.sum(func(w *worker) uint64 { return w.n.Load() }) }
func (l *load) wireBytes() uint64 {
	return l.sum(func(w *worker) uint64 { return w.wire.Load() })
}

// err is the first failure, if there was one.
func (l *load) err() error {
	select {
	case err := <-l.failed:
		return err
	default:
		return nil
	}
}

// awaitAll waits until every worker has done something, within reason: until then
// connections warm up.
func (l *load) awaitAll() {
	for end := time.Now().Add(patience / 2); time.Now().Before(end) && !l.stopped.Load(); time.Sleep(time.Millisecond) {
		if slices.Min(l.counts()) > 0 {
			return
		}
	}
}

func (l *load) counts() []uint64 {
	ns := make([]uint64, len(l.workers))
	for i := range l.workers {
		ns[i] = l.workers[i].n.Load()
	}
	return ns
}

// fewestOfMean is what the worker with the fewest messages did of the mean, in
// percent. Quantiles do not show one that starves: it adds little to them.
func fewestOfMean(before, after []uint64) float64 {
	least, sum := math.Inf(1), 0.0
	for i := range after {
		n := float64(after[i] - before[i])
		least, sum = min(least, n), sum+n
	}
	if sum == 0 {
		return 0
	}
	return 100 * least * float64(len(after)) / sum
}

// measure runs the load for a while to warm up, and then for dur. The workers
// have been started; they have ended when it returns.
func (l *load) measure(p *process, dur time.Duration) (values, error) {
	l.awaitAll()
	p.pause(min(dur/3, 300*time.Millisecond))
	before := l.counts()
	l.measuring.Store(true)
	iv, err := p.measure(dur, l.count)
	l.measuring.Store(false)
	after := l.counts()
	failure := l.err()
	l.stopped.Store(true)
	if l.interrupt != nil {
		l.interrupt()
	}
	l.wg.Wait()
	if err := firstError(failure, l.err(), err); err != nil {
		return nil, err
	}
	v := iv.values()
	var all histogram
	for i := range l.workers {
		all.merge(&l.workers[i].times)
	}
	v[p50.Key], v[p99.Key] = all.quantile(0.5), all.quantile(0.99)
	v[fewest.Key] = fewestOfMean(before, after)
	v[wireBytes.Key] = float64(l.wireBytes()) / float64(max(all.n, 1))
	return v, nil
}

// A burst is written at once, and its reply is known to the byte.
type burst struct {
	request, reply []byte
}

// bursts are a few different ones, so that a late reply is not taken for the
// one that is due. Frames are masked beforehand.
func (s *scenario) bursts(t *target) []burst {
	n := 4
	if s.Size > 256<<10 {
		n = 2
	}
	bs := make([]burst, n)
	for i := range bs {
		for d := range s.Depth {
			seed := uint64(1 + i*s.Depth + d)
			payload := randomBytes(s.Size, seed)
			b := &bs[i]
			if t.tcp {
				b.request = append(b.request, payload...)
				b.reply = b.request
				continue
			}
			key := [4]byte(randomBytes(4, seed+9999))
			b.request = appendClientFrame(b.request, finBit|opBinary, payload, key)
			b.reply = appendServerFrame(b.reply, finBit|opBinary, payload)
		}
	}
	return bs
}

var errWrongReply = errors.New("the reply is not what was sent")

// exchange sends a burst and waits for all of its reply.
func (w *worker) exchange(c io.ReadWriter, b *burst, buf []byte) error {
	t0 := time.Now()
	if _, err := c.Write(b.request); err != nil {
		return err
	}
	reply := buf[:len(b.reply)]
	if _, err := io.ReadFull(c, reply); err != nil {
		return err
	}
	if !bytes.Equal(reply, b.reply) {
		return errWrongReply
	}
	if w.measuring.Load() {
		w.received(len(reply), time.Since(t0))
	}
	return nil
}

// due is when a connection sends a message, where that is not at once: all are at
// different times of the interval.
func (s *scenario) due(connection, turn int) time.Duration {
	return s.Every*time.Duration(turn) + s.Every*time.Duration(connection)/time.Duration(s.Conns)
}

// lifetime is how long connections may live, with time to open them.
func (s *scenario) lifetime(dur time.Duration) time.Duration {
	return dur + patience + time.Duration(s.Conns)*2*time.Millisecond
}

// loadEcho echoes over connections that stay open.
func loadEcho(p *process, s *scenario, t *target, dur time.Duration) (values, error) {
	links, err := t.dialAll(s.Conns, time.Now().Add(s.lifetime(dur)))
	if err != nil {
		return nil, err
	}
	defer closeAll(links)
	bs := s.bursts(t)
	bufs := make([][]byte, s.Conns)
	for i := range bufs {
		bufs[i] = make([]byte, len(bs[0].reply))
	}
	l := newLoad(s.Conns)
	turns := make([]int, s.Conns)
	began := time.Now()
	l.goEach(func(i int, w *worker) error {
		time.Sleep(time.Until(began.Add(s.due(i, turns[i]))))
		turns[i]++
		err := w.exchange(links[i], &bs[(i+turns[i])%len(bs)], bufs[i])
		w.n.Add(uint64(s.Depth))
		return err
	})
	v, err := l.measure(p, dur)
	if err == nil {
		v[throughput.Key] = v[messages.Key] * float64(s.Size) / 1e6
	}
	return v, err
}
