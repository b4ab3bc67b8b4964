package http2

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/sync/singleflight"

	"github.com/chanws/websocket/negotiate"
)

// A host has the connections to one address, and those who wait for another.
type host struct {
	transport     *Transport
	address, name string

	flights singleflight.Group // one connection is made at a time

	mu      sync.Mutex
	conns   []*conn
	waiting int
	ctx     context.Context // of the flight: ends when nobody waits for it
	cancel  context.CancelFunc
}

// A conn is a connection of HTTP/2 whose server has sent its SETTINGS.
type conn struct {
	*http2.ClientConn
	network *tls.Conn
}

// conn gives a connection on which a stream is reserved.
func (h *host) conn(ctx context.Context) (*conn, error) {
	for {
		if c := h.reserve(); c != nil {
			return c, nil
		}
		plain, err := h.fly(ctx)
		switch {
		case err == nil && plain != nil:
			return nil, &negotiate.UpgradeError{Conn: plain, Reason: "the server speaks HTTP/1.1"}
		case errors.Is(err, errTaken):
			return nil, h.transport.upgrade(ctx, h, "the server speaks HTTP/1.1")
		case err == nil:
			continue
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, errNoStreams):
			return nil, h.transport.upgrade(ctx, h, err.Error())
		case errors.Is(err, context.Canceled):
			continue // a flight for others, who left it
		default:
			return nil, err
		}
	}
}

// reserve finds a connection with room for a stream, and forgets those that are
// gone.
func (h *host) reserve() *conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	left := h.conns[:0]
	var found *conn
	for _, c := range h.conns {
		if state := c.State(); state.Closed || state.Closing {
			continue
		}
		left = append(left, c)
		if found == nil && c.ReserveNewRequest() {
			found = c
		}
	}
	clear(h.conns[len(left):])
	h.conns = left
	return found
}

func (h *host) closeIdle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		if s := c.State(); s.StreamsActive+s.StreamsReserved+s.StreamsPending == 0 {
			c.Close()
		}
	}
}

// A landing is what a flight ended with: plain for HTTP/1.1, else the connection is
// among those of the host.
type landing struct {
	mu    sync.Mutex
	plain *tls.Conn
	taken bool
}

// errTaken is the end of a flight whose connection, of HTTP/1.1, another has.
var errTaken = errors.New("taken")

// take gives the connection to the first who asks: it is of use to one only.
func (l *landing) take() *tls.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken {
		return nil
	}
	l.taken = true
	return l.plain
}

// fly makes a connection, or waits for the one that is being made. It is made as
// long as somebody waits.
func (h *host) fly(ctx context.Context) (plain *tls.Conn, err error) {
	h.mu.Lock()
	if h.waiting == 0 {
		h.ctx, h.cancel = context.WithTimeout(context.Background(), dialTimeout)
	}
	h.waiting++
	flight := h.ctx
	h.mu.Unlock()
	done := h.flights.DoChan("", func() (any, error) { return h.connect(flight) })
	defer h.leave()
	select {
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		l := r.Val.(*landing)
		if l.plain == nil {
			return nil, nil
		}
		if plain = l.take(); plain == nil {
			return nil, errTaken
		}
		return plain, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (h *host) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting--; h.waiting == 0 {
		h.cancel()
	}
}

// connect makes a connection and waits for the server's SETTINGS, as they tell
// whether there is extended CONNECT and how many streams there may be.
func (h *host) connect(ctx context.Context) (*landing, error) {
	secure, err := h.transport.dial(ctx, h, "h2", "http/1.1")
	if err != nil {
		return nil, err
	}
	if secure.ConnectionState().NegotiatedProtocol != "h2" {
		l := &landing{plain: secure}
		context.AfterFunc(ctx, func() { // when all who waited have left
			if c := l.take(); c != nil {
				c.Close()
			}
		})
		return l, nil
	}
	settings := &settingsReader{Conn: secure}
	client, err := h.transport.h2.NewClientConn(settings)
	if err != nil {
		secure.Close()
		return nil, err
	}
	// A PING is answered after the SETTINGS, which "MUST be the first frame the
	// server sends" (RFC 9113, section 3.4).
	if err := client.Ping(ctx); err != nil {
		client.Close()
		return nil, err
	}
	if !settings.extendedConnect.Load() {
		client.Close()
		return nil, errNoStreams
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, &conn{client, secure})
	return new(landing), nil
}
