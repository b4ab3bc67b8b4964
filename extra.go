package websocket

import (
	"context"
	"net/http"
	"net/url"

	"github.com/chanws/websocket/negotiate"
)

// extra is what many connections do without: those of a server that does as most, and
// the idle ones.
type extra struct {
	target      *url.URL // of a client, and of a request that is kept
	version     string   // where it is not that of RFC 6455
	subprotocol string
	request     *http.Request
	response    *http.Response
	upgraded    *negotiate.ClientHandshake // has the headers of a response not made yet

	errors    chan error
	pinging   *pinging
	keepalive *keepalive
	flushes   *flush        // a list
	stopped   chan struct{} // closed when there is no writer any more, where somebody waits for that

	cancelConnect context.CancelFunc
	stopContext   func() bool
}

// noExtra stands for that of a connection without, and is not changed.
var noExtra extra

// extra is to be read only.
func (s *state) extra() *extra {
	if s.extras == nil {
		return &noExtra
	}
	return s.extras
}

// makeExtra makes it when it is first used.
func (s *state) makeExtra() *extra {
	if s.extras == nil {
		s.extras = new(extra)
	}
	return s.extras
}
