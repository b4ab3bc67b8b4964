package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
)

// child is the process under test. It obeys the order and then answers
// questions until its standard input ends, which it does too when the parent
// dies.
func child(in io.Reader, out io.Writer) error {
	w := newWire(in, out)
	var o order
	if err := w.dec.Decode(&o); err != nil {
		return err
	}
	if _, err := raiseFileLimit(); err != nil {
		return err
	}
	p, err := findPeer(o.Peer)
	if err != nil {
		return err
	}
	if o.Scenario.Kind.client() {
		c := newClientJob(&o)
		return answerQuestions(w, &o, answer{}, func() error { return c.start(p) }, c.stop, c.count)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	job, err := newServerJob(&o, ln)
	if err != nil {
		return err
	}
	addr := ln.Addr().String()
	go func() {
		fmt.Fprintln(os.Stderr, "bench: server has ended:", p.work(&o.Scenario)(job))
		os.Exit(1)
	}()
	nothing := func() error { return errors.New("a server is neither started nor stopped") }
	return answerQuestions(w, &o, answer{Addr: addr}, nothing, nothing, func() uint64 { return 0 })
}

// answerQuestions gives the first answer and then one to each question.
func answerQuestions(w *wire, o *order, first answer, start, stop func() error, count func() uint64) error {
	if err := w.enc.Encode(first); err != nil {
		return err
	}
	for {
		var q question
		if err := w.dec.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var a answer
		var err error
		switch q {
		case askBegin:
			if err = beginProfile(o.Profile); err == nil {
				a, err = account(count)
			}
		case askEnd:
			a, err = account(count)
		case askBusy:
			pprof.StopCPUProfile()
			a.Busy = busyMemory()
		case askStart:
			err = start()
		case askStop:
			err = stop()
		case askMemory:
			a.Live, a.RSS = liveMemory()
			a.Goroutines = runtime.NumGoroutine()
		default:
			err = fmt.Errorf("unknown question %q", q)
		}
		if err != nil {
			a.Err = err.Error()
		}
		if err := w.enc.Encode(a); err != nil {
			return err
		}
	}
}

// account tells what the process has used and done so far.
func account(count func() uint64) (answer, error) {
	cpu, err := cpuTime()
	return answer{CPU: cpu, Allocs: allocations(), Count: count()}, err
}

func beginProfile(file string) error {
	if file == "" {
		return nil
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return pprof.StartCPUProfile(f)
}
