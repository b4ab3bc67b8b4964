package http2

import (
	"context"
	"errors"
	"time"

	"github.com/chanws/websocket/negotiate"
)

// A flight is the making of a connection, for all who wait for one to the host. It
// goes on as long as somebody waits, but no longer than dialTimeout. If it fails it
// does for all of them; else the first has the stream that was reserved for him, or
// the connection of HTTP/1.1. So no flight is in vain, and whatever the server does
// there are no more of them than of those who wait.
type flight struct {
	host   *host
	ctx    context.Context
	cancel context.CancelFunc
	begun  time.Time
	landed chan struct{} // closed at the end
	keep   func() bool   // keeps the network connection, if there is one, which else ends with ctx

	// The Transport locks these.
	waiting int
	conn    *conn // until it is taken
	err     error
	expired bool // err is for want of time
}

// errNoRoom is the end of a flight whose connection has ended, or is going to, before
// it had a stream.
var errNoRoom = errors.New("http2: the server takes no streams on a new connection")

// board joins the flight of the host, or begins one.
func (h *host) board() *flight {
	if h.flight == nil {
		f := &flight{host: h, begun: time.Now(), landed: make(chan struct{}), keep: func() bool { return true }}
		f.ctx, f.cancel = context.WithTimeout(context.Background(), dialTimeout)
		h.flight = f
		go func() { f.land(f.connect()) }()
	}
	h.flight.waiting++
	return h.flight
}

// wait gives the connection that the flight ends with, with a stream reserved on it,
// to who came for one then. Without an error too, it gives none to who has to go on.
func (f *flight) wait(ctx context.Context, came time.Time) (*conn, error) {
	select {
	case <-f.landed:
	case <-ctx.Done():
	}
	t := f.host.transport
	t.mu.Lock()
	defer t.mu.Unlock()
	defer f.leave()
	select {
	case <-f.landed:
		// Even if ctx has ended: the stream was reserved for whoever comes first,
		// and a request with such a context gives it back.
		return f.take(came)
	default:
		return nil, ctx.Err()
	}
}

// take gives the connection to the first who asks: the stream, and a connection of
// HTTP/1.1, are of use to one only.
func (f *flight) take(came time.Time) (*conn, error) {
	c, err := f.conn, f.err
	f.conn = nil
	if f.expired && f.begun.Before(came) {
		return nil, nil // who came later did not have all of the time
	}
	if upgrade, ok := err.(*negotiate.UpgradeError); ok && upgrade.Conn != nil {
		f.err = &negotiate.UpgradeError{Reason: upgrade.Reason}
		if !f.keep() {
			return nil, f.err
		}
	}
	return c, err
}

// leave ends the flight when nobody waits any more.
func (f *flight) leave() {
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		f.clear()
	}
}

// clear lets the next flight begin.
func (f *flight) clear() {
	if f.host.flight == f {
		f.host.flight = nil
	}
	f.host.forget()
}

// land ends the flight with what connect gave.
func (f *flight) land(c *conn, err error) {
	t := f.host.transport
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil:
		f.err, f.expired = err, f.ctx.Err() != nil
	case !c.reserve():
		f.err = errNoRoom
	case !f.keep():
		f.err, f.expired = f.ctx.Err(), true
	default:
		f.conn = c
		f.host.conns = append(f.host.conns, c)
	}
	f.clear()
	close(f.landed)
}

// connect makes a connection and waits for the server's SETTINGS, as they tell
// whether there is extended CONNECT and whether there may be streams.
func (f *flight) connect() (*conn, error) {
	t := f.host.transport
	secure, err := t.dial(f.ctx, f.host, "h2", "http/1.1")
	if err != nil {
		return nil, err
	}
	f.keep = context.AfterFunc(f.ctx, func() { secure.NetConn().Close() })
	if secure.ConnectionState().NegotiatedProtocol != "h2" {
		return nil, &negotiate.UpgradeError{Conn: secure, Reason: "the server speaks HTTP/1.1"}
	}
	c := &conn{network: secure, host: f.host}
	below := &network{Conn: secure, ended: c.end}
	if c.ClientConn, err = t.h2.NewClientConn(below); err != nil {
		return nil, err
	}
	// A PING is answered after the SETTINGS, which "MUST be the first frame the
	// server sends" (RFC 9113, section 3.4).
	if err := c.Ping(f.ctx); err != nil {
		return nil, err
	}
	if reason := below.refusal(); reason != "" {
		c.Close()
		return nil, &negotiate.UpgradeError{Reason: reason}
	}
	return c, nil
}
