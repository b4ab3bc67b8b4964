package websocket

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/chanws/websocket/negotiate"
)

// Request is the request that a server accepted; nil for a client. With [Handler]
// it is the request itself, with its context and path values. After [Accept] it is
// a copy of the head, made when it is first asked for: an idle connection should
// not hold on to what net/http had allocated. It must not be changed.
func (c *Conn) Request() *http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requestLocked()
}

func (c *Conn) requestLocked() *http.Request {
	if r := c.extra().request; r != nil || c.requestHead == "" {
		return r
	}
	r := c.unpackRequest()
	if c.transport != nil {
		c.ownExtra().request = r // with all there is to know
	}
	return r
}

// target is the URL of the connection. That which the peer has opened may be another than
// the one that a handler has been given a part of.
func (c *Conn) target() url.URL {
	if u := c.extra().target; u != nil {
		return *u
	}
	r := c.requestLocked()
	if r == nil {
		return url.URL{}
	}
	opened := *r
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		opened.URL = u
	}
	u := *new(negotiate.ServerOptions).URL(&opened)
	u.Scheme = "ws"
	if c.secure {
		u.Scheme = "wss"
	}
	return u
}

// keepRequest keeps the request itself, where the handler holds on to it anyway.
func (c *Conn) keepRequest(r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ownExtra().request, c.requestHead = r, ""
}

// packRequest gives the head of a request in the bytes of HTTP/1.1.
func packRequest(r *http.Request) string {
	size := len(r.Method) + len(r.RequestURI) + len(r.Host) + 32
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value) + 4
		}
	}
	var head strings.Builder
	head.Grow(size)
	writeStrings(&head, r.Method, " ", r.RequestURI, " HTTP/1.1\r\nHost: ", r.Host, "\r\n")
	for name, values := range r.Header {
		for _, value := range values {
			writeStrings(&head, name, ": ", oneLine(value), "\r\n")
		}
	}
	head.WriteString("\r\n")
	return head.String()
}

func writeStrings(b *strings.Builder, all ...string) {
	for _, s := range all {
		b.WriteString(s)
	}
}

// oneLine makes a value fit for its line, as net/http does when it writes one: what
// middleware has put into a request may have come from a peer in another form, and must
// not turn into more headers in the copy.
func oneLine(value string) string {
	if strings.ContainsAny(value, "\r\n") {
		return lineEnds.Replace(value)
	}
	return value
}

var lineEnds = strings.NewReplacer("\r", " ", "\n", " ")

// unpackRequest reads what packRequest wrote.
func (c *Conn) unpackRequest() *http.Request {
	r, err := negotiate.ParseRequest(c.requestHead)
	if err != nil {
		return nil
	}
	if c.transport == nil {
		return r
	}
	r.RemoteAddr = c.transport.remoteAddr().String()
	if t, ok := c.transport.(*connTransport); ok {
		r.TLS = stateOfTLS(t.Conn)
	}
	return r
}
