package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"slices"
	"time"
)

// A plan is what the flags ask for.
type plan struct {
	scenarios []scenario
	peers     []*peer
	rounds    int
	dur       time.Duration
	profile   string // prefix of files
	// everyone has all peers take part that can, also in scenarios that name some.
	everyone bool
}

// takesPart tells whether a peer is measured in a scenario.
func (pl *plan) takesPart(p *peer, s *scenario) bool {
	return p.can(s) && (pl.everyone || len(s.Peers) == 0 || slices.Contains(s.Peers, p.name))
}

// run measures all scenarios, one after the other, and prints each when it is
// complete.
func run(ctx context.Context, pl *plan, rep *report, out io.Writer) error {
	if pl.rounds < 1 || pl.dur <= 0 {
		return errors.New("-rounds and -dur have to be more than 0")
	}
	files, err := raiseFileLimit()
	if err != nil {
		return fmt.Errorf("open files: %w", err)
	}
	for i := range pl.scenarios {
		if err := pl.scenarios[i].fits(files); err != nil {
			return err
		}
	}
	// The load shares the machine with the server: let it collect seldom.
	debug.SetGCPercent(800)
	cert, err := newCertificate()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, rep.heading())
	began := time.Now()
	defer func() { rep.Minutes = math.Round(time.Since(began).Minutes()*10) / 10 }()
	for i := range pl.scenarios {
		res, err := runScenario(ctx, pl, &pl.scenarios[i], cert)
		if res != nil {
			rep.Results = append(rep.Results, res)
			res.print(out)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// runScenario lets the peers take turns: A B C A B C. Whatever happens to the
// machine meanwhile happens to all of them.
func runScenario(ctx context.Context, pl *plan, s *scenario, cert *certificate) (*result, error) {
	res := newResult(s)
	for range pl.rounds {
		for _, p := range pl.peers {
			if err := ctx.Err(); err != nil {
				return res.finish(), err
			}
			if !pl.takesPart(p, s) || res.failed(p) {
				continue
			}
			o := order{Peer: p.name, Scenario: *s}
			if s.TLS || s.Transports {
				o.Cert, o.Key = cert.cert, cert.key
			}
			if pl.profile != "" && p.ours {
				o.Profile = fmt.Sprintf("%s.%s.%s.pprof", pl.profile, p.name, s.Name)
			}
			v, err := runOnce(ctx, o, p, cert, pl.dur)
			if ctx.Err() != nil {
				return res.finish(), ctx.Err() // that it failed is no wonder
			}
			res.add(p, v, err)
		}
	}
	return res.finish(), nil
}

// runOnce measures one peer once, in a process of its own.
func runOnce(ctx context.Context, o order, peer *peer, cert *certificate, dur time.Duration) (values, error) {
	s := &o.Scenario
	if s.Kind.client() {
		return loadClient(ctx, o, dur)
	}
	p, err := startProcess(ctx, o)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if s.Transports {
		return loadTransport(p, s, peer, cert, dur)
	}
	t := &target{addr: p.addr, tcp: peer.tcp, offer: offers[s.Deflate]}
	if s.TLS {
		t.tls = cert.client
	}
	switch {
	case s.Kind == kindIdle:
		return loadIdle(p, s, t, dur)
	case s.Kind == kindBroadcast:
		return loadBroadcast(p, s, t, dur)
	case s.Kind == kindEvents:
		return loadEvents(p, s, t, dur)
	case s.Kind == kindChurn:
		return loadChurn(p, s, t, dur)
	case s.Deflate != noDeflate:
		return loadDeflate(p, s, t, dur)
	default:
		return loadEcho(p, s, t, dur)
	}
}
