package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A clientJob is what a peer's client is to do in the child process.
type clientJob struct {
	scenario
	urls    []string
	payload []byte
	stopped atomic.Bool
	done    []counter // one for each connection or worker
	wg      sync.WaitGroup
	failure atomic.Pointer[error]
}

// A counter is written by one goroutine, on a cache line of its own.
type counter struct {
	n atomic.Uint64
	_ [56]byte
}

func newClientJob(o *order) *clientJob {
	return &clientJob{
		scenario: o.Scenario,
		urls:     o.URLs,
		payload:  randomBytes(o.Scenario.Size, 7),
		done:     make([]counter, o.Scenario.Conns),
	}
}

// url spreads connections over the addresses of the server, so that ports that
// linger in TIME_WAIT do not run out.
func (j *clientJob) url(i int) string { return j.urls[i%len(j.urls)] }

// start begins the work: for an echo all connections are open when it returns.
func (j *clientJob) start(p *peer) error {
	if p.client == nil {
		return errors.New("this peer is no client")
	}
	if j.Kind == kindDial {
		for i := range j.done {
			j.wg.Go(func() { j.dialLoop(p, i) })
		}
		return nil
	}
	for i := range j.done {
		if err := p.client.echo(j, i); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return nil
}

func (j *clientJob) dialLoop(p *peer, i int) {
	for n := i; !j.stopped.Load(); n += len(j.done) {
		if err := p.client.dial(j.url(n)); err != nil {
			j.fail(err)
			return
		}
		j.done[i].n.Add(1)
	}
}

// reply takes what came back on connection i. It reports whether to go on.
func (j *clientJob) reply(i int, data []byte) bool {
	if !bytes.Equal(data, j.payload) {
		j.fail(errors.New("the reply is not what was sent"))
		return false
	}
	j.done[i].n.Add(1)
	return !j.stopped.Load()
}

// fail ends the job with the first error. Errors after the end are those of
// connections that are torn down.
func (j *clientJob) fail(err error) {
	if err == nil {
		err = errors.New("the connection has ended")
	}
	if !j.stopped.Load() && j.failure.CompareAndSwap(nil, &err) {
		fmt.Fprintln(os.Stderr, "bench: client:", err)
	}
}

// stop ends the work and tells what went wrong meanwhile. Connections need not
// be closed: the process ends now.
func (j *clientJob) stop() error {
	j.stopped.Store(true)
	if j.Kind == kindDial {
		finished := make(chan struct{})
		go func() { j.wg.Wait(); close(finished) }()
		select {
		case <-finished:
		case <-time.After(10 * time.Second):
			return errors.New("a dial does not end")
		}
	}
	if err := j.failure.Load(); err != nil {
		return *err
	}
	return nil
}

func (j *clientJob) count() uint64 {
	if err := j.failure.Load(); err != nil {
		return 0
	}
	var n uint64
	for i := range j.done {
		n += j.done[i].n.Load()
	}
	return n
}
