package main

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"

	"github.com/chanws/websocket/conformance"
)

// testServers runs the suite against each server named.
func testServers(ctx context.Context, s *settings) (int, error) {
	cases, err := s.cases(conformance.Server)
	if err != nil {
		return exitUsage, err
	}
	if s.flags.NArg() == 0 {
		return exitUsage, errors.New("no server is named")
	}
	if s.insecure {
		s.options.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	var report conformance.Report
	for _, arg := range s.flags.Args() {
		name, url := splitName(arg)
		line := newProgress(s.stderr, name)
		s.options.Progress = line.show
		agent, err := conformance.TestServer(ctx, name, url, cases, s.options)
		line.clear()
		if agent != nil {
			report.Agents = append(report.Agents, agent)
		}
		if err != nil {
			return exitRed, errors.Join(err, s.write(report))
		}
	}
	return s.finish(report)
}

// splitName takes "name=url" apart; a URL alone is its own name.
func splitName(arg string) (name, url string) {
	name, url, ok := strings.Cut(arg, "=")
	if !ok || strings.ContainsAny(name, ":/?") {
		return arg, arg
	}
	return name, url
}
