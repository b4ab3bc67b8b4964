package main

import (
	"fmt"
	"path"
	"strings"
)

// A kind is what happens in a scenario.
type kind string

const (
	kindEcho       kind = "echo"        // messages come back as they are
	kindIdle       kind = "idle"        // connections do nothing after one echo
	kindBroadcast  kind = "broadcast"   // what one sends, all get
	kindChurn      kind = "churn"       // connect, echo, close
	kindClientEcho kind = "client-echo" // the library is the client
	kindDial       kind = "dial"        // the library is the client, and only connects
)

// client tells whether the library under test is the client.
func (k kind) client() bool { return k == kindClientEcho || k == kindDial }

// A deflate says what is offered of permessage-deflate (RFC 7692).
type deflate string

const (
	noDeflate       deflate = ""
	deflateFresh    deflate = "fresh"    // no context takeover, both ways
	deflateTakeover deflate = "takeover" // context takeover, both ways, where the peer can
)

// A scenario is one kind of work, the same for every peer. It is sent to the
// child process as JSON.
type scenario struct {
	Name, About string
	Kind        kind
	Conns       int     // connections; for churn and dial: how many at a time
	Size        int     // bytes of payload
	Depth       int     // messages outstanding on a connection, or rounds of a broadcast
	TLS         bool    // over TLS
	Deflate     deflate // with permessage-deflate
}

// scenarios are all there are, in the order in which they run.
var scenarios = []scenario{
	{Name: "pingpong-1", Kind: kindEcho, Conns: 1, Size: 125, Depth: 1,
		About: "echo of 125 B, 1 connection, one message outstanding"},
	{Name: "pingpong-100", Kind: kindEcho, Conns: 100, Size: 125, Depth: 1,
		About: "echo of 125 B, 100 connections, one message outstanding on each"},
	{Name: "pingpong-1000", Kind: kindEcho, Conns: 1000, Size: 125, Depth: 1,
		About: "echo of 125 B, 1000 connections, one message outstanding on each"},
	{Name: "pipelined-32", Kind: kindEcho, Conns: 16, Size: 32, Depth: 64,
		About: "echo of 32 B, 16 connections, bursts of 64 messages"},
	{Name: "pipelined-1k", Kind: kindEcho, Conns: 16, Size: 1 << 10, Depth: 64,
		About: "echo of 1 KiB, 16 connections, bursts of 64 messages"},
	{Name: "large-64k", Kind: kindEcho, Conns: 16, Size: 64 << 10, Depth: 1,
		About: "echo of 64 KiB, 16 connections, one message outstanding on each"},
	{Name: "large-1m", Kind: kindEcho, Conns: 4, Size: 1 << 20, Depth: 1,
		About: "echo of 1 MiB, 4 connections, one message outstanding on each"},
	{Name: "idle", Kind: kindIdle, Conns: 10000, Size: 125, Depth: 1,
		About: "memory of idle connections, after one echo of 125 B on each"},
	{Name: "broadcast-1", Kind: kindBroadcast, Conns: 1000, Size: 1 << 10, Depth: 1,
		About: "1 KiB to 1000 connections, one round at a time"},
	{Name: "broadcast-8", Kind: kindBroadcast, Conns: 1000, Size: 1 << 10, Depth: 8,
		About: "1 KiB to 1000 connections, eight rounds in flight"},
	{Name: "deflate-fresh", Kind: kindEcho, Conns: 100, Size: 1 << 10, Depth: 1, Deflate: deflateFresh,
		About: "echo of 1 KiB of JSON, 100 connections, permessage-deflate without context takeover"},
	{Name: "deflate-takeover", Kind: kindEcho, Conns: 100, Size: 1 << 10, Depth: 1, Deflate: deflateTakeover,
		About: "echo of 1 KiB of JSON, 100 connections, permessage-deflate with context takeover where the peer has it"},
	{Name: "idle-deflate", Kind: kindIdle, Conns: 2000, Size: 1 << 10, Depth: 1, Deflate: deflateTakeover,
		About: "memory of idle connections, after one compressed echo of 1 KiB of JSON on each, with context takeover where the peer has it"},
	{Name: "churn", Kind: kindChurn, Conns: 16, Size: 125, Depth: 1,
		About: "connect, handshake, one echo of 125 B, closing handshake; 16 at a time"},
	{Name: "client-echo-1", Kind: kindClientEcho, Conns: 1, Size: 125, Depth: 1,
		About: "the library as the client: echo of 125 B, 1 connection"},
	{Name: "client-echo-100", Kind: kindClientEcho, Conns: 100, Size: 125, Depth: 1,
		About: "the library as the client: echo of 125 B, 100 connections"},
	{Name: "client-dial", Kind: kindDial, Conns: 8, Size: 0, Depth: 1,
		About: "the library as the client: connect and handshake, then drop the connection; 8 at a time"},
	{Name: "tls-pingpong-1", Kind: kindEcho, Conns: 1, Size: 125, Depth: 1, TLS: true,
		About: "echo of 125 B over TLS, 1 connection, one message outstanding"},
	{Name: "tls-pingpong-100", Kind: kindEcho, Conns: 100, Size: 125, Depth: 1, TLS: true,
		About: "echo of 125 B over TLS, 100 connections, one message outstanding on each"},
	{Name: "tls-pingpong-1000", Kind: kindEcho, Conns: 1000, Size: 125, Depth: 1, TLS: true,
		About: "echo of 125 B over TLS, 1000 connections, one message outstanding on each"},
}

// selectScenarios finds those that match one of the patterns.
func selectScenarios(patterns string) ([]scenario, error) {
	if patterns == "" {
		return scenarios, nil
	}
	var found []scenario
	for _, p := range strings.Split(patterns, ",") {
		n := len(found)
		for _, s := range scenarios {
			if ok, err := path.Match(p, s.Name); err != nil {
				return nil, fmt.Errorf("pattern %q: %w", p, err)
			} else if ok {
				found = append(found, s)
			}
		}
		if len(found) == n {
			return nil, fmt.Errorf("no scenario matches %q; -list shows them", p)
		}
	}
	return found, nil
}

// A metric is one number that a scenario yields.
type metric struct {
	Key, Unit  string
	MoreBetter bool
	// Plain metrics are shown without a ratio to the best peer.
	Plain bool
}

var (
	cpuPerMessage = metric{Key: "cpu", Unit: "µs/msg"}
	messages      = metric{Key: "msg", Unit: "/s", MoreBetter: true}
	p50           = metric{Key: "p50", Unit: "µs", Plain: true}
	p99           = metric{Key: "p99", Unit: "µs"}
	allocs        = metric{Key: "allocs", Unit: "/msg", Plain: true}
	liveKB        = metric{Key: "live", Unit: "KB/conn"}
	busyKB        = metric{Key: "busy", Unit: "KB/conn"} // in use under load, pools included
	rssKB         = metric{Key: "rss", Unit: "KB/conn"}
	goroutines    = metric{Key: "goroutines", Unit: "/conn", Plain: true}
	wireBytes     = metric{Key: "wire", Unit: "B/msg"}
	throughput    = metric{Key: "rate", Unit: "MB/s", MoreBetter: true}
)

// metrics lists what the scenario yields, the most telling first.
func (s *scenario) metrics() []metric {
	switch {
	case s.Kind == kindIdle:
		return []metric{rssKB, liveKB, goroutines}
	case s.Kind == kindDial:
		return []metric{cpuPerMessage, messages, allocs}
	case s.Kind == kindClientEcho:
		return []metric{cpuPerMessage, messages, allocs}
	case s.Deflate != noDeflate:
		return []metric{cpuPerMessage, messages, wireBytes, busyKB, liveKB, p99, allocs}
	case s.Size >= 16<<10:
		return []metric{throughput, cpuPerMessage, p50, p99, allocs}
	case s.Kind == kindEcho && s.Depth > 1:
		return []metric{messages, cpuPerMessage, p50, p99, allocs}
	default:
		return []metric{cpuPerMessage, messages, p50, p99, allocs}
	}
}
