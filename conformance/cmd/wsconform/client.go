package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/chanws/websocket/conformance"
)

// testClients waits for clients, and reports on them whenever one asks for it
// and once more at the end.
func testClients(ctx context.Context, s *settings) (int, error) {
	cases, err := s.cases(conformance.Client)
	if err != nil {
		return exitUsage, err
	}
	if s.options.TLS, err = s.certificates(); err != nil {
		return exitUsage, err
	}
	if s.http2 && s.options.TLS == nil {
		return exitUsage, errors.New("-h2 needs -cert and -key")
	}
	ln, err := net.Listen("tcp", s.listen)
	if err != nil {
		return exitUsage, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	line := newProgress(s.stderr, "clients")
	s.options.Progress = line.show
	waiting := &agentCount{left: s.agents, done: cancel}
	var suite *conformance.ClientSuite
	var writing sync.Mutex // agents may report at the same time, and the files are the same
	suite = conformance.NewClientSuite(cases, s.options, func(agent string) {
		writing.Lock()
		defer writing.Unlock()
		line.clear()
		if err := s.write(suite.Report()); err != nil {
			fmt.Fprintln(s.stderr, "wsconform:", err)
		}
		waiting.reported(agent)
	})
	fmt.Fprintf(s.stderr, "%d cases; waiting for clients on %s\n", len(cases), ln.Addr())
	if err := suite.Serve(ctx, ln); err != nil {
		return exitRed, err
	}
	line.clear()
	return s.finish(suite.Report())
}

func (s *settings) certificates() (*tls.Config, error) {
	if s.certificate == "" && s.privateKey == "" {
		return nil, nil
	}
	if s.certificate == "" || s.privateKey == "" {
		return nil, errors.New("-cert and -key go together")
	}
	pair, err := tls.LoadX509KeyPair(s.certificate, s.privateKey)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, nil
}

// agentCount ends the run when as many agents have reported as were awaited.
type agentCount struct {
	mu   sync.Mutex
	seen map[string]int
	left int
	done func()
}

func (a *agentCount) reported(agent string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen == nil {
		a.seen = make(map[string]int)
	}
	a.seen[agent]++
	if a.seen[agent] == 1 {
		a.left--
	}
	if a.left == 0 {
		a.done()
	}
}
