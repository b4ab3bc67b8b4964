package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// serveFlag makes the binary a child: "-serve peer:scenario", which is for
// whoever looks at the list of processes. The order itself comes on standard
// input.
const serveFlag = "-serve"

// An order is the first line that a child reads.
type order struct {
	Peer     string
	Scenario scenario
	Profile  string   // file for a CPU profile of the measured interval
	URLs     []string // where a client connects to
	Cert     []byte   // certificate and key of a server with TLS, PEM
	Key      []byte
}

// A question is each further line.
type question string

const (
	askBegin  question = "begin"  // the measured interval begins
	askEnd    question = "end"    // it ends
	askBusy   question = "busy"   // after that: end the profile, count memory in use
	askMemory question = "memory" // collect garbage and count
	askStart  question = "start"  // a client starts its work
	askStop   question = "stop"   // and ends it
)

// An answer is what a child writes for the order and for each question.
type answer struct {
	Addr       string        // where a server listens
	CPU        time.Duration // user and system, of the whole process so far
	Allocs     uint64        // heap objects allocated so far
	Busy       uint64        // bytes of heap and stacks in use under load, pools included
	Count      uint64        // what a client has done so far
	RSS        uint64        // resident bytes
	Live       uint64        // bytes of heap in use and of stacks, after a collection
	Goroutines int
	Err        string
}

// A wire carries lines of JSON between parent and child.
type wire struct {
	enc *json.Encoder
	dec *json.Decoder
}

func newWire(r io.Reader, w io.Writer) *wire {
	return &wire{enc: json.NewEncoder(w), dec: json.NewDecoder(r)}
}

// ask sends v and waits for the answer, for ever: see process.ask.
func (w *wire) ask(v any) (answer, error) {
	var a answer
	if err := w.enc.Encode(v); err != nil {
		return a, fmt.Errorf("asking the child: %w", err)
	}
	if err := w.dec.Decode(&a); err != nil {
		return a, fmt.Errorf("the child's answer: %w", err)
	}
	if a.Err != "" {
		return a, fmt.Errorf("child: %s", a.Err)
	}
	return a, nil
}
