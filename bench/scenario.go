package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// A kind is what happens in a scenario.
type kind string

const (
	kindEcho       kind = "echo"        // messages come back as they are
	kindIdle       kind = "idle"        // connections do nothing after one echo
	kindBroadcast  kind = "broadcast"   // what one sends, all get
	kindEvents     kind = "events"      // EventSource: what is posted, all streams get
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
	Conns       int           // connections; for churn and dial: how many at a time
	Size        int           // bytes of payload
	Depth       int           // messages outstanding on a connection, or rounds of a broadcast
	Every       time.Duration // how often a message goes out on a connection; 0: when the last is answered
	TLS         bool          // over TLS
	Deflate     deflate       // with permessage-deflate
	Transports  bool          // what is compared are versions of HTTP, not libraries
	Growth      axis          // one point of a plot, which is not part of the usual run
	// Peers are those that take part if none are asked for; all if empty.
	Peers []string
	// Base is the peer that ratios are to, instead of the best.
	Base string
}

// An axis is along what cost grows.
type axis string

const (
	alongConns axis = "conns"
	alongSize  axis = "size"
)

// spareFiles is what a process has open beside connections.
const spareFiles = 100

// fits tells whether so many open files are enough, for the load as for the
// server: each has one end of every connection.
func (s *scenario) fits(files uint64) error {
	if need := uint64(s.Conns + spareFiles); files < need {
		return fmt.Errorf("%s needs %d open files, and the system allows %d: raise the hard limit (ulimit -Hn), or leave it out with -scenario",
			s.Name, need, files)
	}
	return nil
}

// scenarios are all there are, in the order in which they run.
var scenarios = slices.Concat(work, growth())

// work is what runs if nothing else is asked for.
var work = []scenario{
	{Name: "pingpong-1", Kind: kindEcho, Conns: 1, Size: 125, Depth: 1,
		About: "echo of 125 B, 1 connection, one message outstanding"},
	{Name: "pingpong-100", Kind: kindEcho, Conns: 100, Size: 125, Depth: 1,
		About: "echo of 125 B, 100 connections, one message outstanding on each"},
	{Name: "pingpong-1000", Kind: kindEcho, Conns: 1000, Size: 125, Depth: 1,
		About: "echo of 125 B, 1000 connections, one message outstanding on each"},
	{Name: "seldom", Kind: kindEcho, Conns: 1000, Size: 125, Depth: 1, Every: 500 * time.Millisecond,
		About: "echo of 125 B, 1000 connections, a message on each every half second"},
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
	{Name: "idle-deflate", Kind: kindIdle, Conns: 10000, Size: 1 << 10, Depth: 1, Deflate: deflateTakeover,
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
	{Name: "events-1", Kind: kindEvents, Conns: 1000, Size: 125, Depth: 1,
		About: "EventSource: an event of 125 B to 1000 streams, one at a time"},
	{Name: "events-8", Kind: kindEvents, Conns: 1000, Size: 125, Depth: 8,
		About: "EventSource: an event of 125 B to 1000 streams, eight in flight"},
	{Name: "transport-1", Kind: kindEcho, Conns: 1, Size: 125, Depth: 1, Transports: true, Base: oursH1,
		About: "echo of 125 B over HTTP/1.1 with TLS, HTTP/2 and HTTP/3, 1 connection; ratios are to HTTP/1.1"},
	{Name: "transport-100", Kind: kindEcho, Conns: 100, Size: 125, Depth: 1, Transports: true, Base: oursH1,
		About: "the same with 100, which share one connection in HTTP/2 and HTTP/3"},
	{Name: "transport-idle", Kind: kindIdle, Conns: 1000, Size: 125, Depth: 1, Transports: true, Base: oursH1,
		About: "memory of idle WebSockets after one echo, 100 on each connection of HTTP/2 and HTTP/3; ratios are to HTTP/1.1 with TLS"},
}

// growthPeers are the lines of the plots.
var growthPeers = []string{"ours", "gws", "gorilla", "gobwas", "nbio"}

const growthPatterns = "conns-*,size-*"

// growth is the same echo with more and more connections, and of larger and
// larger messages.
func growth() []scenario {
	var found []scenario
	for _, n := range []int{10, 100, 1000, 10000} {
		found = append(found, scenario{
			Name: fmt.Sprintf("conns-%d", n), Kind: kindEcho, Conns: n, Size: 125, Depth: 1,
			Growth: alongConns, Peers: growthPeers,
			About: fmt.Sprintf("echo of 125 B, %d connections, one message outstanding on each", n),
		})
	}
	for size := 16; size <= 16<<20; size <<= 4 {
		found = append(found, scenario{
			Name: "size-" + strings.ReplaceAll(strings.ToLower(bytesText(size)), " ", ""), Kind: kindEcho,
			Conns: 4, Size: size, Depth: 1, Growth: alongSize, Peers: growthPeers,
			About: fmt.Sprintf("echo of %s, 4 connections, one message outstanding on each", bytesText(size)),
		})
	}
	return found
}

// bytesText is a size as people write it.
func bytesText(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return fmt.Sprintf("%d B", n)
	}
}

// selectScenarios finds those that match one of the patterns.
func selectScenarios(patterns string) ([]scenario, error) {
	if patterns == "" {
		return work, nil
	}
	var found []scenario
	for _, p := range strings.Split(patterns, ",") {
		matched := false
		for _, s := range scenarios {
			if ok, err := path.Match(p, s.Name); err != nil {
				return nil, fmt.Errorf("pattern %q: %w", p, err)
			} else if !ok {
				continue
			}
			matched = true
			if !slices.ContainsFunc(found, func(f scenario) bool { return f.Name == s.Name }) {
				found = append(found, s)
			}
		}
		if !matched {
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
	// What the connection with the fewest messages got, of the mean of all.
	fewest = metric{Key: "fewest", Unit: "% of mean", MoreBetter: true, Plain: true}
)

// metrics lists what the scenario yields, the most telling first.
func (s *scenario) metrics() []metric {
	switch {
	case s.Growth != "":
		return []metric{cpuPerMessage, messages, throughput, p50, p99, allocs}
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
		return []metric{messages, cpuPerMessage, p50, p99, fewest, allocs}
	default:
		return []metric{cpuPerMessage, messages, p50, p99, allocs}
	}
}
