package websocket

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
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
		t.DialContext = withoutContext(t.Dial) //lint:ignore SA1019 an application may have set it
	}
	if t.DialContext == nil {
		t.DialContext = new(net.Dialer).DialContext
	}
	t.DialContext = dialUntil(ctx, t.DialContext)
	if t.DialTLSContext == nil {
		t.DialTLSContext = withoutContext(t.DialTLS) //lint:ignore SA1019 as above
	}
	if t.DialTLSContext != nil {
		t.DialTLSContext = dialUntil(ctx, t.DialTLSContext)
	}
	return &http.Client{Transport: t, CheckRedirect: checkRedirect}
}

// withoutContext makes a dialFunc of what http.Transport had before; nil of nil.
func withoutContext(dial func(network, addr string) (net.Conn, error)) dialFunc {
	if dial == nil {
		return nil
	}
	return func(_ context.Context, network, addr string) (net.Conn, error) { return dial(network, addr) }
}

// checkRedirect is what an http.Client does without one, and keeps what was meant
// for https, the Header and the last event ID, from going on in the clear, and what
// was meant for one server from going on to another: to net/http a subdomain is the
// same host, and another port too.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return errors.New("stopped after 10 redirects")
	}
	if via[len(via)-1].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return errors.New("the redirect leads from https to http")
	}
	// net/http starts with the headers of the first request each time. Who led to
	// another server once is no longer it, even where that leads back.
	elsewhere := func(r *http.Request) bool { return !sameServer(via[0].URL, r.URL) }
	if elsewhere(next) || slices.ContainsFunc(via, elsewhere) {
		for _, name := range credentials {
			next.Header.Del(name)
		}
		next.Header.Del("Referer")
	}
	return nil
}

// sameServer reports that what was meant for one URL may go to the other: scheme,
// host and port are the same, or it is the same host from http to https, each at
// its own port.
func sameServer(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	return from.Scheme == to.Scheme && portOf(from) == portOf(to) ||
		to.Scheme == "https" && portOf(from) == "80" && portOf(to) == "443"
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" || u.Scheme != "https" {
		return cmp.Or(port, "80")
	}
	return "443"
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
