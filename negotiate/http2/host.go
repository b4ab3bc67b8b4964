package http2

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"
)

// A host has the connections to one address, and the flight that makes one more. The
// Transport keeps it as long as it has any of them, and locks them.
type host struct {
	transport     *Transport
	address, name string

	conns  []*conn
	flight *flight // or nil
}

// A conn is a connection of HTTP/2 whose server has sent its SETTINGS.
type conn struct {
	*http2.ClientConn
	network *tls.Conn
	host    *host

	// The Transport locks these.
	streams int // reserved, or not over yet
	ended   bool
}

// reserve finds a connection with room for a stream.
func (h *host) reserve() *conn {
	for _, c := range h.conns {
		if c.reserve() {
			return c
		}
	}
	return nil
}

// takeIdle gives the connections without streams, which are the host's no more.
func (h *host) takeIdle() (idle []*conn) {
	h.conns = slices.DeleteFunc(h.conns, func(c *conn) bool {
		if c.streams == 0 {
			idle = append(idle, c)
		}
		return c.streams == 0
	})
	h.forget()
	return idle
}

// forget takes the host from the Transport when nothing is left of it.
func (h *host) forget() {
	hosts := h.transport.hosts
	if len(h.conns) == 0 && h.flight == nil && hosts[h.address] == h {
		delete(hosts, h.address)
	}
}

// reserve does not ask for the State, which waits for the lock of the writer: that is
// held for as long as the server does not read.
func (c *conn) reserve() bool {
	if c.ended || !c.ReserveNewRequest() {
		return false
	}
	c.streams++
	return true
}

// end is called, more than once, when nothing more comes from the network.
func (c *conn) end() {
	t := c.host.transport
	t.mu.Lock()
	defer t.mu.Unlock()
	c.ended = true
	c.host.conns = slices.DeleteFunc(c.host.conns, func(other *conn) bool { return other == c })
	c.host.forget()
}

// release ends what reserve began.
func (c *conn) release() {
	t := c.host.transport
	t.mu.Lock()
	defer t.mu.Unlock()
	c.streams--
}

// send sends a request on the stream that was reserved. The stream is over when both
// sides of it are, or nobody wants it any more.
func (c *conn) send(r *http.Request) (*http.Response, error) {
	over := sync.OnceFunc(c.release)
	var open atomic.Int32
	open.Store(2)
	end := func() {
		if open.Add(-1) == 0 {
			over()
		}
	}
	sent, received := sync.OnceFunc(end), sync.OnceFunc(end)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { sent() },
	}))
	response, err := c.RoundTrip(r)
	if err != nil {
		over()
		return nil, err
	}
	response.Body = &body{ReadCloser: response.Body, received: received, over: over}
	return response, nil
}

// A body is that of a response, and tells of its end.
type body struct {
	io.ReadCloser
	received, over func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.received()
	}
	return n, err
}

// Close resets the stream, if it is not over, and waits where the server does not read.
func (b *body) Close() error {
	b.over()
	return b.ReadCloser.Close()
}
