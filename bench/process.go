package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// A process is a child, seen from the parent.
type process struct {
	*wire
	cmd   *exec.Cmd
	stdin interface{ Close() error }
	addr  string // where its server listens
}

// A binary that is none of this command has to be able to be a child: see
// TestMain.
func startProcess(o order) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe, serveFlag, o.Peer+":"+o.Scenario.Name)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{wire: newWire(out, in), cmd: cmd, stdin: in}
	a, err := p.ask(o)
	if err != nil {
		p.stop()
		return nil, err
	}
	p.addr = a.Addr
	return p, nil
}

// stop ends the child, which does so by itself when its standard input ends.
func (p *process) stop() {
	_ = p.stdin.Close()
	t := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer t.Stop()
	_ = p.cmd.Wait() // what it has to say is on standard error
}

// An interval is what happened between two questions.
type interval struct {
	cpu    time.Duration
	wall   time.Duration
	allocs uint64
	busy   uint64
	count  uint64
}

// measure lets the child work for dur. count is how much work was done so far;
// if it is nil, the child's own count is taken.
func (p *process) measure(dur time.Duration, count func() uint64) (interval, error) {
	begin, from, t0, err := p.mark(askBegin, count)
	if err != nil {
		return interval{}, err
	}
	time.Sleep(dur)
	end, to, t1, err := p.mark(askEnd, count)
	if err != nil {
		return interval{}, err
	}
	iv := interval{cpu: end.CPU - begin.CPU, wall: t1.Sub(t0), allocs: end.Allocs - begin.Allocs, busy: end.Busy, count: to - from}
	if to <= from {
		return iv, errors.New("nothing was done")
	}
	return iv, nil
}

func (p *process) mark(q question, count func() uint64) (answer, uint64, time.Time, error) {
	a, err := p.ask(q)
	t := time.Now()
	if err != nil {
		return a, 0, t, fmt.Errorf("%s: %w", q, err)
	}
	if count == nil {
		return a, a.Count, t, nil
	}
	return a, count(), t, nil
}

// values gives what an interval says, by the keys of metrics.
func (iv interval) values() values {
	n := float64(iv.count)
	return values{
		cpuPerMessage.Key: float64(iv.cpu.Nanoseconds()) / 1e3 / n,
		messages.Key:      n / iv.wall.Seconds(),
		allocs.Key:        float64(iv.allocs) / n,
		busyKB.Key:        float64(iv.busy), // of the whole process: see loadDeflate
	}
}
