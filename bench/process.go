package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A process is a child, seen from the parent.
type process struct {
	*wire
	cmd    *exec.Cmd
	stdin  interface{ Close() error }
	addr   string          // where its server listens
	forget func() bool     // it no longer ends with the context
	doomed <-chan struct{} // closed when it was killed
}

// A binary that is none of this command has to be able to be a child: see
// TestMain.
//
// The end of ctx kills it, so that what waits for it fails soon.
func startProcess(ctx context.Context, o order) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe, serveFlag, o.Peer+":"+o.Scenario.Name)
	cmd.Stderr = os.Stderr
	// In a group of its own: an interrupt from the terminal is for this process,
	// which ends the child in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if o.Scenario.Transports {
		cmd.Env = append(os.Environ(), "GODEBUG="+withExtendedConnect(os.Getenv("GODEBUG")))
	}
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
	p := &process{wire: newWire(out, in), cmd: cmd, stdin: in, doomed: ctx.Done()}
	p.forget = context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	a, err := p.ask(o)
	if err != nil {
		p.stop()
		return nil, err
	}
	p.addr = a.Addr
	return p, nil
}

// ask kills a child that does not answer, as nobody else would end the wait. A client
// answers when all its connections are open, and a server that holds much collects
// its garbage first: both have the time that a load has to open connections.
func (p *process) ask(v any) (answer, error) {
	t := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	a, err := p.wire.ask(v)
	if !t.Stop() && err != nil {
		err = fmt.Errorf("no answer in %v: %w", patience, err)
	}
	return a, err
}

// withExtendedConnect adds what makes the HTTP/2 server of net/http speak RFC 8441.
func withExtendedConnect(settings string) string {
	return strings.TrimPrefix(settings+",http2xconnect=1", ",")
}

// stop ends the child, which does so by itself when its standard input ends.
func (p *process) stop() {
	_ = p.stdin.Close()
	defer p.forget()
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

// maxExtensions is how often an interval may be prolonged by its own length in
// which nothing was done: on a machine that is busy otherwise a short one can
// end before the server has had a turn.
const maxExtensions = 20

// measure lets the child work for dur. count is how much work was done so far;
// if it is nil, the child's own count is taken.
func (p *process) measure(dur time.Duration, count func() uint64) (interval, error) {
	begin, from, t0, err := p.mark(askBegin, count)
	if err != nil {
		return interval{}, err
	}
	var iv interval
	for range maxExtensions {
		p.pause(dur)
		end, to, t1, err := p.mark(askEnd, count)
		if err != nil {
			return interval{}, err
		}
		if to > from {
			iv = interval{cpu: end.CPU - begin.CPU, wall: t1.Sub(t0), allocs: end.Allocs - begin.Allocs, count: to - from}
			break
		}
	}
	a, err := p.ask(askBusy)
	iv.busy = a.Busy
	if err == nil && iv.count == 0 {
		err = errors.New("nothing was done")
	}
	return iv, err
}

// pause lets the child work, unless it was killed.
func (p *process) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.doomed:
	}
}

// mark asks the child for its account. Work goes on while the question is on
// its way, which can take a while on a busy machine: the time and the count
// that belong to the answer lie half-way.
func (p *process) mark(q question, count func() uint64) (answer, uint64, time.Time, error) {
	if count == nil {
		a, err := p.ask(q)
		return a, a.Count, time.Now(), err
	}
	n, t := count(), time.Now()
	a, err := p.ask(q)
	if err != nil {
		return a, 0, t, fmt.Errorf("%s: %w", q, err)
	}
	return a, n + (count()-n)/2, t.Add(time.Since(t) / 2), nil
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
