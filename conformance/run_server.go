package conformance

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// heavyParallel is how many heavy cases run at a time: their timings are
// reported, and more would only measure one another.
const heavyParallel = 2

// TestServer runs the cases against a server that echoes every message. The
// agent's results are in the order of the cases.
func TestServer(ctx context.Context, name, rawURL string, cases []Case, o Options) (*Agent, error) {
	o = o.filled()
	to, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	if len(cases) == 0 {
		return nil, errors.New("conformance: no case is selected")
	}
	run := &serverRun{target: to, options: o, cases: cases, results: make([]Result, len(cases))}
	agent := &Agent{Name: name, Role: Server.String(), Started: time.Now(), Seed: o.Seed}
	run.all(ctx, Light, o.Parallel)
	run.all(ctx, Heavy, min(heavyParallel, o.Parallel))
	agent.Elapsed = time.Since(agent.Started)
	agent.Results = run.results
	return agent, ctx.Err()
}

type serverRun struct {
	target  target
	options Options
	cases   []Case
	results []Result
	mu      sync.Mutex
	done    int
}

// all runs the cases of one load, some at a time.
func (r *serverRun) all(ctx context.Context, load Load, parallel int) {
	var running errgroup.Group
	running.SetLimit(parallel)
	for i, c := range r.cases {
		if c.Load == load {
			running.Go(func() error {
				r.finished(i, r.repeat(ctx, c))
				return nil
			})
		}
	}
	running.Wait() // without an error: what went wrong is in the results
}

func (r *serverRun) finished(i int, result Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results[i] = result
	r.done++
	if r.options.Progress != nil {
		r.options.Progress(r.done, len(r.cases), result)
	}
}

// repeat runs a case as often as asked and returns the worst result.
func (r *serverRun) repeat(ctx context.Context, c Case) Result {
	worst := r.once(ctx, c)
	for range r.options.Repeat - 1 {
		if next := r.once(ctx, c); next.Verdict > worst.Verdict {
			worst = next
		}
	}
	return worst
}

func (r *serverRun) once(ctx context.Context, c Case) Result {
	if why := c.notOver(r.options.Carrier); why != "" {
		return c.notApplicable(why)
	}
	ctx, cancel := context.WithTimeout(ctx, r.options.limit(c))
	defer cancel()
	conn, err := dial(ctx, r.target, r.options)
	if errors.Is(err, errNoExtendedConnect) {
		return Result{ID: c.ID, Group: c.Group, Title: c.Title, Rule: c.Rule, Steps: c.Steps(),
			Verdict: Unimplemented, Reason: err.Error()}
	}
	if err != nil {
		return Result{ID: c.ID, Group: c.Group, Title: c.Title, Rule: c.Rule, Steps: c.Steps(),
			Verdict: Undecided, Reason: "no connection to the server: " + err.Error()}
	}
	s := newSession(Server, conn, r.options)
	s.target, s.tls = r.target, r.options.TLS
	s.begin(ctx, c, r.options)
	return s.run(c)
}
