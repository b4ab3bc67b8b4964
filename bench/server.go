package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// A serverJob is what a peer's server is to do. Every server echoes what it
// gets, as the same type of message; in a broadcast it sends it to all instead.
type serverJob struct {
	scenario
	ln     net.Listener   // in clear; see listener
	tls    *tls.Config    // nil without TLS
	packet net.PacketConn // UDP of the same port, for HTTP/3; nil elsewhere
}

func newServerJob(o *order, ln net.Listener) (*serverJob, error) {
	j := &serverJob{scenario: o.Scenario, ln: ln}
	if o.Scenario.Transports {
		if err := j.listenPacket(); err != nil {
			return nil, err
		}
	}
	if o.Scenario.TLS || o.Scenario.Transports {
		cert, err := tls.X509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, err
		}
		j.tls = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
	}
	return j, nil
}

// broadcast tells whether to send to all.
func (j *serverJob) broadcast() bool { return j.Kind == kindBroadcast }

// listener accepts connections, over TLS where the scenario says so.
func (j *serverJob) listener() net.Listener {
	if j.tls == nil {
		return j.ln
	}
	return tls.NewListener(j.ln, j.tls)
}

// serveHTTP runs net/http with one handler, as those libraries want it that
// upgrade a request.
func (j *serverJob) serveHTTP(h http.HandlerFunc) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 30 * time.Second}
	return s.Serve(j.listener())
}

// maxMessage is the limit to set where a library has a low one or none.
func (j *serverJob) maxMessage() int { return max(j.Size, 1<<20) }

// readBuffer is the size for those libraries that let one choose it, 0 for their
// own: one that takes a whole burst in a read where messages come in bursts, a small
// one where connections idle, as gorilla's guidelines advise.
func (j *serverJob) readBuffer() int {
	switch {
	case j.Kind == kindEcho && j.Depth > 1:
		return 64 << 10
	case j.Kind == kindIdle:
		return 256
	default:
		return 0
	}
}

// messageBuffers are for those libraries that have a message read from an io.Reader.
// A connection that kept one would hold memory that is not its library's.
var messageBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// withMessage reads a message that has begun to come, and lends it to use.
func withMessage(r io.Reader, use func([]byte) error) error {
	b := messageBuffers.Get().(*bytes.Buffer)
	defer messageBuffers.Put(b)
	b.Reset()
	if _, err := b.ReadFrom(r); err != nil {
		return err
	}
	return use(b.Bytes())
}

// A hub is the list of connections that a broadcast goes to. It forgets none:
// the process ends with the scenario.
type hub[C any] struct {
	mu    sync.Mutex
	conns []C
}

func (h *hub[C]) add(c C) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, c)
}

// each calls f with every connection, one after the other. Only one connection
// of a scenario publishes, so that nobody waits here.
func (h *hub[C]) each(f func(C)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		f(c)
	}
}

// all yields every connection; see each.
func (h *hub[C]) all(yield func(C) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		if !yield(c) {
			return
		}
	}
}
