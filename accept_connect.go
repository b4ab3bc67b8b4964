package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/chanws/websocket/negotiate"
)

// acceptStream accepts what came as an extended CONNECT in HTTP/2 or HTTP/3 (RFC
// 8441, RFC 9220) and was found good.
func acceptStream(w http.ResponseWriter, r *http.Request, opts *AcceptOptions, agreed *negotiate.ServerHandshake) (*Conn, error) {
	t, err := newResponseTransport(w, r)
	if err != nil {
		agreed.Pipeline.Close()
		return nil, refuseRequest(w, err)
	}
	if err := t.respond(agreed, positive(opts.HandshakeTimeout, DefaultHandshakeTimeout)); err != nil {
		agreed.Pipeline.Close()
		t.close()
		return nil, &HandshakeError{Reason: "the response could not be sent", Err: err}
	}
	c := newConn(opts.settings())
	u := openedURL(targetOf(r), r.Host, opts.secure(r))
	x := c.makeExtra()
	x.request, x.target = r, &u
	// What has come until the end of the request is still delivered.
	t.stop = context.AfterFunc(r.Context(), func() {
		if !t.timedOut() { // which the write tells
			c.fail(errStreamOver, lingerTimeout)
		}
	})
	c.start(&handshake{
		transport:   t,
		reader:      c.readerFor(agreed.Version, agreed.Pipeline),
		writer:      writerFor(agreed.Version),
		pipeline:    agreed.Pipeline,
		version:     agreed.Version,
		subprotocol: agreed.Subprotocol,
	})
	if h := holderOf(r); h != nil {
		h.add(c)
	}
	return c, nil
}

// Hold returns a handler that lets the requests of HTTP/2 and HTTP/3 last until the
// WebSockets accepted in them have ended, even when next returns earlier: with it a
// handler may do that in every version of HTTP. It belongs around all handlers that
// call [Accept], be it around the whole of a server's; only requests of CONNECT feel
// it. Middleware that wraps the response, and uses it after the handler, goes around
// it. [Handler] needs none.
func Hold(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			next.ServeHTTP(w, r)
			return
		}
		h := new(held)
		defer h.end()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), heldKey{}, h)))
		h.wait()
	})
}

// held are the connections that a request waits for.
type held struct {
	mu    sync.Mutex
	conns []*Conn
}

type heldKey struct{}

// holderOf returns what makes a request last as long as its connections, nil where
// nothing does.
func holderOf(r *http.Request) *held {
	h, _ := r.Context().Value(heldKey{}).(*held)
	return h
}

func (h *held) add(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, c)
}

// end is for handlers that panic.
func (h *held) end() {
	h.mu.Lock()
	for _, c := range h.conns {
		c.Abort()
	}
	h.mu.Unlock()
	h.wait()
}

func (h *held) wait() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		<-c.whenEnded()
	}
}

// newResponseTransport makes the transport, if the writer can do what it takes: that
// is found out before the status is written, since then there is no other answer.
// The deadlines of the server's timeouts are undone by the way.
func newResponseTransport(w http.ResponseWriter, r *http.Request) (*responseTransport, error) {
	control := http.NewResponseController(w)
	if !canFlush(w) {
		return nil, fmt.Errorf("no http.Flusher: %w", http.ErrNotSupported)
	}
	if err := errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})); err != nil {
		return nil, fmt.Errorf("no deadlines: %w", err)
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	t := &responseTransport{
		body: r.Body, writer: w, control: control, request: r.Context(),
		local: local, remote: remoteAddrOf(r),
		held: holderOf(r) != nil,
		stop: func() bool { return true },
	}
	t.idle.L = &t.mu
	return t, nil
}

// remoteAddrOf gives the address that net/http has as a string.
func remoteAddrOf(r *http.Request) net.Addr {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	switch {
	case err != nil:
		return streamAddr(r.RemoteAddr)
	case r.ProtoMajor == 3:
		return net.UDPAddrFromAddrPort(address)
	}
	return net.TCPAddrFromAddrPort(address)
}

// A streamAddr is the address of a connection that tells no more.
type streamAddr string

func (a streamAddr) Network() string { return "tcp" }
func (a streamAddr) String() string  { return string(a) }

// respond sends the status and the headers, which opens the connection.
func (t *responseTransport) respond(agreed *negotiate.ServerHandshake, timeout time.Duration) error {
	if err := t.setWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	header := t.writer.Header()
	for name, values := range agreed.Header() {
		header[name] = values
	}
	t.writer.WriteHeader(agreed.Status())
	if err := t.control.Flush(); err != nil {
		return err
	}
	return t.setWriteDeadline(time.Time{})
}

// HTTP2Config returns settings of HTTP/2 for a server that accepts WebSockets, for
// the HTTP2 field of an [http.Server].
//
// By default a stream may have 1 MiB that its handler has not read, and all streams
// of a connection together no more: one handler that has stopped receiving stops all
// others of its connection. Here it is 64 KiB of nearly 4 MiB, so that it takes 64 such
// handlers. Frames are 16 KiB at most, as in [the default of RFC 9113], since clients of
// Go hold a buffer of that size for each stream: 512 KiB with net/http's own setting
// of 1 MiB. A connection to which nothing could be written for 30 s is ended, with all
// its streams: where a peer does not read TCP any more, neither Abort nor the deadline
// of one stream frees what waits to write to it.
//
// [the default of RFC 9113]: https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2
func HTTP2Config() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxReadFrameSize:              16 << 10,
		MaxReceiveBufferPerStream:     64 << 10,
		MaxReceiveBufferPerConnection: 4<<20 - 1,
		WriteByteTimeout:              30 * time.Second,
	}
}
