package main

import (
	"fmt"
	"slices"
	"strings"
)

// A peer is a library, or a way to use one, with what it can do here.
type peer struct {
	name  string
	about string // how it is used, and why so
	ours  bool
	// reference peers are shown for orientation; ratios are to the best of the
	// others that are not ours.
	reference bool
	serve     func(*serverJob) error
	client    *clientPeer            // nil if it is not measured as a client
	events    func(*serverJob) error // EventSource; nil if it has none
	transport *transportPeer         // what it is in scenarios of transports; nil for all others
	tcp       bool                   // no WebSocket at all: bytes over TCP
	module    string                 // where the version is looked up
	able      func(*scenario) bool
}

// A clientPeer is a library as a client.
type clientPeer struct {
	// echo opens connection i, sends the job's payload on it and, until
	// job.reply says no, again for each reply. It returns once the connection
	// is open.
	echo func(j *clientJob, i int) error
	// dial opens a connection and drops it at once, without a closing handshake.
	// It is nil where that is measured with another peer already.
	dial func(url string) error
}

// peers are all there are, in the order of their turns.
func peers() []*peer {
	return []*peer{
		oursPeer, oursSelectPeer, oursTCPPeer,
		gwsPeer, gorillaPeer, gorillaChanPeer, gobwasPeer, gobwasBatchPeer, nbioPeer, coderPeer,
		tmaxmaxPeer, r3labsPeer,
		rawPeer,
		oursH1Peer, oursH2Peer, oursH3Peer,
	}
}

// work is what the peer's server does in a scenario.
func (p *peer) work(s *scenario) func(*serverJob) error {
	switch {
	case s.Transports:
		return p.transport.serve
	case s.Kind == kindEvents:
		return p.events
	default:
		return p.serve
	}
}

// can tells whether the peer takes part in a scenario.
func (p *peer) can(s *scenario) bool {
	switch {
	case s.Transports || p.transport != nil:
		return s.Transports && p.transport != nil
	case s.Kind == kindEvents:
		return p.events != nil
	case s.Kind == kindDial:
		return p.client != nil && p.client.dial != nil
	case s.Kind.client() && p.client == nil,
		!s.Kind.client() && p.serve == nil,
		p.tcp && s.Deflate != noDeflate:
		return false
	}
	return p.able == nil || p.able(s)
}

func findPeer(name string) (*peer, error) {
	for _, p := range peers() {
		if p.name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no peer %q; there are %s", name, strings.Join(allPeerNames(), ", "))
}

func allPeerNames() []string {
	var names []string
	for _, p := range peers() {
		names = append(names, p.name)
	}
	return names
}

// selectPeers finds peers by name, keeping the order of their turns.
func selectPeers(names string) ([]*peer, error) {
	if names == "" {
		return peers(), nil
	}
	wanted := strings.Split(names, ",")
	for _, n := range wanted {
		if _, err := findPeer(n); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(peers(), func(p *peer) bool { return !slices.Contains(wanted, p.name) }), nil
}
