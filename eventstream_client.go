package websocket

import (
	"context"
	"errors"
	"net"
	"net/http"
)

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// ownClient is a client like http.DefaultClient of which no connection, and no
// goroutine that serves one, outlives ctx: http.Transport itself can not promise
// that for a connection that was being made when its request was canceled.
func ownClient(ctx context.Context) *http.Client {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return &http.Client{CheckRedirect: checkRedirect}
	}
	t = t.Clone()
	if t.DialContext == nil {
		t.DialContext = new(net.Dialer).DialContext
	}
	t.DialContext = dialUntil(ctx, t.DialContext)
	if t.DialTLSContext != nil {
		t.DialTLSContext = dialUntil(ctx, t.DialTLSContext)
	}
	return &http.Client{Transport: t, CheckRedirect: checkRedirect}
}

// checkRedirect is what an http.Client does without one, and keeps what was meant
// for https, the Header and the last event ID, from going on in the clear.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return errors.New("stopped after 10 redirects")
	}
	if via[len(via)-1].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return errors.New("the redirect leads from https to http")
	}
	return nil
}

// dialUntil makes a dialing, and the connection that comes of it, end with end.
func dialUntil(end context.Context, dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(end, cancel)()
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(end, func() { c.Close() })
		return &ownConn{Conn: c, forget: stop}, nil
	}
}

// An ownConn that is closed is no longer waited for.
type ownConn struct {
	net.Conn
	forget func() bool
}

func (c *ownConn) Close() error {
	c.forget()
	return c.Conn.Close()
}
