package conformance

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// run carries a session through a case and returns what it found.
func (s *session) run(c Case) Result {
	f := s.open(c.opening)
	decided := ""
	for _, step := range c.steps {
		if f != nil {
			break
		}
		s.log.remark("%s", step.Text)
		f = step.run(s)
		if step.kind == expectation {
			decided = "decided"
		}
	}
	if f == nil && s.events != nil {
		f = s.finish()
	}
	s.close()
	switch {
	case f != nil:
		s.settle(*f)
	case decided == "":
		s.settle(finding{Undecided, "the case has no expectation"})
	}
	return Result{
		ID: c.ID, Group: c.Group, Title: c.Title, Rule: c.Rule, Verdict: s.verdict, Reason: s.reason,
		Notes: s.notes, Elapsed: time.Since(s.log.start), Steps: c.Steps(), Transcript: s.log.list(),
	}
}

// settle takes the finding that ended a case. What was due and did not come
// because the case's own time was up, is a failure all the same; only when the
// whole run was told to stop is it undecided.
func (s *session) settle(f finding) {
	if errors.Is(context.Cause(s.ctx), context.Canceled) {
		f = finding{Undecided, "the run was stopped"}
	}
	s.lower(f.verdict, "%s", f.text)
}

// close ends the connection and waits for the reading goroutine.
func (s *session) close() {
	if err := s.conn.Close(); err != nil {
		s.log.remark("closing: %v", err)
	}
	if s.events == nil {
		return
	}
	for {
		select {
		case <-s.events:
		case <-s.reading:
			return
		}
	}
}

// newSession prepares a session on a connection.
func newSession(role Role, conn net.Conn, o Options) *session {
	log := newTranscript()
	recorded := recordingConn{Conn: conn, log: log}
	stream, _ := conn.(*http2Stream)
	return &session{
		ctx: context.Background(), role: role, conn: recorded, stream: stream, log: log, times: o.Timeouts,
		reader: bufio.NewReaderSize(recorded, 32<<10), random: o.random("control"), most: mostHeld(Light),
	}
}

// begin gives the session to a case, for as long as the context lasts.
func (s *session) begin(ctx context.Context, c Case, o Options) {
	s.ctx, s.random, s.most = ctx, o.random(c.ID), mostHeld(c.Load)
	if o.Short == BriefRun {
		s.short = "short"
	}
	if c.Load == Heavy {
		s.times.Reply = o.Timeouts.Heavy
	}
	if deadline, ok := ctx.Deadline(); ok {
		// A connection that takes no deadline is bounded by its closing alone.
		if err := s.conn.SetDeadline(deadline); err != nil {
			s.log.remark("setting the deadline: %v", err)
		}
	}
}

func (o Options) limit(c Case) time.Duration {
	if c.Load == Heavy {
		return o.Timeouts.Heavy
	}
	return o.Timeouts.Light
}

// parseTarget reads the URL of a server under test.
func parseTarget(raw string) (target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return target{}, fmt.Errorf("conformance: %w", err)
	}
	t := target{scheme: u.Scheme, address: u.Host, host: u.Host, path: u.RequestURI()}
	port := map[string]string{"ws": "80", "http": "80", "wss": "443", "https": "443"}[u.Scheme]
	if port == "" || u.Host == "" {
		return target{}, fmt.Errorf("conformance: %q is not a ws, wss, http or https URL", raw)
	}
	if u.Port() == "" {
		t.address = net.JoinHostPort(u.Hostname(), port)
	}
	return t, nil
}

// dial connects to the server under test.
func dial(ctx context.Context, t target, o Options) (net.Conn, error) {
	if o.Carrier == HTTP2 {
		return dialHTTP2(ctx, t, o)
	}
	if t.scheme == "wss" || t.scheme == "https" {
		return (&tls.Dialer{Config: o.TLS}).DialContext(ctx, "tcp", t.address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
}
