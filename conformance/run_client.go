package conformance

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// ClientSuite tests clients: they connect, ask how many cases there are, run
// each of them, and ask for the report. Its paths are those that clients of the
// public suite already know:
//
//	/getCaseCount                   a message with the number of cases
//	/getCaseInfo?case=N             a message with the case's ID and description, as JSON
//	/runCase?case=N&agent=X         case N: the client echoes until the connection ends
//	/getCaseStatus?case=N&agent=X   a message with the case's verdict, as JSON
//	/updateReports?agent=X          the client has done what it wanted to do
//
// Cases are numbered from 1 in the order of the selection.
type ClientSuite struct {
	cases    []Case
	options  Options
	reported func(agent string)

	mu     sync.Mutex
	idle   *sync.Cond // signalled when a case ends
	agents []*clientAgent
}

// The bounds of what clients can make the suite keep: an agent beyond them is
// refused.
const (
	mostAgents    = 256
	mostAgentName = 256 // bytes
)

// clientAgent is one client by the name it gave.
type clientAgent struct {
	name    string
	started time.Time
	latest  time.Time
	results map[int]Result
	active  int // cases under way
	keys    map[string]int
	streams map[int]*streamVisit
}

// NewClientSuite prepares a suite for clients. reported is called whenever an
// agent has asked for its report; nil is allowed.
func NewClientSuite(cases []Case, o Options, reported func(agent string)) *ClientSuite {
	if reported == nil {
		reported = func(string) {}
	}
	c := &ClientSuite{cases: cases, options: o.filled(), reported: reported}
	c.idle = sync.NewCond(&c.mu)
	return c
}

// Serve accepts clients until the context ends, and returns when the last of
// its connections is done.
func (c *ClientSuite) Serve(ctx context.Context, ln net.Listener) error {
	if c.options.Carrier == HTTP2 && c.options.TLS == nil {
		return errors.New("conformance: over HTTP/2 the suite needs a certificate")
	}
	if c.options.TLS != nil {
		config := c.options.TLS.Clone()
		config.NextProtos = map[Carrier][]string{HTTP1: {"http/1.1"}, HTTP2: {"h2"}}[c.options.Carrier]
		ln = tls.NewListener(ln, config)
	}
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	var connections sync.WaitGroup
	defer connections.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("conformance: %w", err)
		}
		connections.Go(func() {
			if c.options.Carrier == HTTP2 {
				c.serveHTTP2(ctx, conn)
			} else {
				c.serve(ctx, conn)
			}
		})
	}
}

// serveHTTP2 answers the streams of one connection until it ends.
func (c *ClientSuite) serveHTTP2(ctx context.Context, network net.Conn) {
	var streams sync.WaitGroup
	defer streams.Wait()
	defer network.Close()
	closeAtEnd := context.AfterFunc(ctx, func() { _ = network.Close() })
	defer closeAtEnd()
	preface := make([]byte, len(http2.ClientPreface))
	if err := network.SetReadDeadline(time.Now().Add(c.options.Timeouts.Light)); err != nil {
		return
	}
	if _, err := io.ReadFull(network, preface); err != nil || string(preface) != http2.ClientPreface {
		return
	}
	if err := network.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	conn := newHTTP2Conn(network, Client, func(s *http2Stream) {
		streams.Go(func() { c.serve(ctx, s) })
	})
	if err := conn.greet(); err == nil {
		conn.read()
	}
}

// serve answers one connection, or one stream.
func (c *ClientSuite) serve(ctx context.Context, conn net.Conn) {
	s := newSession(Client, conn, c.options)
	closeAtEnd := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer closeAtEnd()
	if err := conn.SetDeadline(time.Now().Add(c.options.Timeouts.Light)); err != nil {
		s.log.remark("setting the deadline: %v", err)
	}
	head, err := s.readHead()
	if err != nil {
		_ = conn.Close()
		return
	}
	s.asked = head
	if s.stream != nil && (!strings.HasPrefix(head.line, "CONNECT ") || head.get(":protocol") != "websocket") {
		c.refuse(s)
		return
	}
	u, err := url.ParseRequestURI(head.target())
	if err != nil {
		c.refuse(s)
		return
	}
	c.route(ctx, s, u)
}

func (c *ClientSuite) route(ctx context.Context, s *session, u *url.URL) {
	agent := u.Query().Get("agent")
	number, err := strconv.Atoi(u.Query().Get("case"))
	known := err == nil && number >= 1 && number <= len(c.cases)
	if !known {
		number = 0
	}
	switch {
	case u.Path == "/getCaseCount":
		c.tell(s, strconv.Itoa(len(c.cases)))
	case !c.admits(agent):
		c.refuse(s)
	case isStream(u.Path):
		c.routeStream(ctx, s, u, agent, number-1)
	case u.Path == "/updateReports":
		c.awaitIdle(agent)
		c.tell(s, "")
		c.reported(agent)
	case u.Path == "/runCase" && known:
		c.runCase(ctx, s, agent, number-1)
	case u.Path == "/getCaseInfo" && known:
		c.tell(s, asJSON(map[string]string{"id": c.cases[number-1].ID, "description": c.cases[number-1].Title}))
	case u.Path == "/getCaseStatus" && known:
		c.tell(s, asJSON(map[string]string{"behavior": c.status(agent, number-1)}))
	default:
		c.refuse(s)
	}
}

func asJSON(v map[string]string) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// tell opens the connection, sends one message unless it is empty, and closes.
func (c *ClientSuite) tell(s *session, message string) {
	defer s.close()
	if f := s.openToClient(opening{}); f != nil {
		return
	}
	if message != "" {
		s.send(0, text(message))
	}
	s.finish()
}

func (c *ClientSuite) refuse(s *session) {
	if s.stream != nil {
		s.sendHead(message{line: "HTTP/2 404"})
		_ = s.conn.Close()
		return
	}
	s.write([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
	_ = s.conn.Close()
}

func (c *ClientSuite) runCase(ctx context.Context, s *session, agent string, i int) {
	one := c.cases[i]
	if why := one.notOver(c.options.Carrier); why != "" {
		c.record(agent, i, one.notApplicable(why))
		c.tell(s, "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.limit(one))
	defer cancel()
	c.mu.Lock()
	a := c.agent(agent)
	a.active++
	a.keys[s.asked.get("Sec-WebSocket-Key")]++
	s.before = map[string]int{s.asked.get("Sec-WebSocket-Key"): a.keys[s.asked.get("Sec-WebSocket-Key")]}
	c.mu.Unlock()
	s.begin(ctx, one, c.options)
	c.record(agent, i, s.run(one))
	c.mu.Lock()
	a.active--
	c.mu.Unlock()
	c.idle.Broadcast()
}

// awaitIdle waits until the agent's cases have ended: a client may be done
// with a case before the suite is. Every case has its time limit, and so has
// this.
func (c *ClientSuite) awaitIdle(agent string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for a := c.agent(agent); a.active > 0; {
		c.idle.Wait()
	}
}

// record keeps a result; of a case run twice, the last.
func (c *ClientSuite) record(agent string, i int, r Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.agent(agent)
	a.results[i], a.latest = r, time.Now()
	if c.options.Progress != nil {
		c.options.Progress(len(a.results), len(c.cases), r)
	}
}

// admits reports whether the agent is known, or may become so. Some more may
// when they come at once.
func (c *ClientSuite) admits(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(name) <= mostAgentName && (len(c.agents) < mostAgents || c.index(orClient(name)) >= 0)
}

// orClient names the agent that gave no name.
func orClient(name string) string { return cmp.Or(name, "client") }

func (c *ClientSuite) index(name string) int {
	return slices.IndexFunc(c.agents, func(a *clientAgent) bool { return a.name == name })
}

// agent returns the agent of that name. The lock is held.
func (c *ClientSuite) agent(name string) *clientAgent {
	name = orClient(name)
	i := c.index(name)
	if i < 0 {
		i = len(c.agents)
		c.agents = append(c.agents, &clientAgent{
			name: name, started: time.Now(), latest: time.Now(), results: make(map[int]Result), keys: make(map[string]int),
		})
	}
	return c.agents[i]
}

// status words a verdict as the public suite does.
func (c *ClientSuite) status(agent string, i int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.agent(agent).results[i]
	if !ok {
		return "MISSING"
	}
	return map[Verdict]string{
		Pass: "OK", NotApplicable: "UNIMPLEMENTED", NotStrict: "NON-STRICT", Informational: "INFORMATIONAL",
		Unimplemented: "UNIMPLEMENTED", Undecided: "FAILED", Fail: "FAILED",
	}[r.Verdict]
}

// Report returns what is known of every agent so far. A case that an agent
// never asked for is undecided.
func (c *ClientSuite) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	var report Report
	for _, a := range c.agents {
		agent := &Agent{Name: a.name, Role: Client.String(), Started: a.started, Elapsed: a.latest.Sub(a.started), Seed: c.options.Seed}
		for i, one := range c.cases {
			r, ok := a.results[i]
			if !ok {
				r = Result{ID: one.ID, Group: one.Group, Title: one.Title, Rule: one.Rule, Steps: one.Steps(),
					Verdict: Undecided, Reason: "the client did not ask for this case, or is not done with it"}
			}
			agent.Results = append(agent.Results, r)
		}
		report.Agents = append(report.Agents, agent)
	}
	return report
}
