package websocket

import (
	"iter"
	"net/http"
	"net/url"
	"slices"
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

// usualFields are those that nearly all requests have, and packed ones have not: a byte
// in front, with a bit for each, tells.
var usualFields = [...]struct{ name, value string }{
	{"Upgrade", "websocket"},
	{"Connection", "Upgrade"},
	{"Sec-Websocket-Version", "13"},
}

// packRequest gives the head of a request in the bytes of HTTP/1.1, behind the byte that
// tells which of the usual fields are left out.
func packRequest(r *http.Request) string {
	var usual byte
	left := make([]string, 0, len(usualFields))
	for i, f := range usualFields {
		if values := r.Header[f.name]; len(values) == 1 && values[0] == f.value {
			usual |= 1 << i
			left = append(left, f.name)
		}
	}
	uri := r.RequestURI
	if uri == "" && r.URL != nil { // a request that no server has read
		uri = r.URL.RequestURI()
	}
	size := 1 + len(r.Method) + len(uri) + len(r.Host) + len("  HTTP/1.1\r\nHost: \r\n\r\n")
	for name, value := range packedFields(r.Header, left) {
		size += len(name) + len(value) + len(": \r\n")
	}
	var head strings.Builder
	head.Grow(size)
	head.WriteByte(usual)
	writeStrings(&head, r.Method, " ", uri, " HTTP/1.1\r\nHost: ", r.Host, "\r\n")
	for name, value := range packedFields(r.Header, left) {
		writeStrings(&head, name, ": ", oneLine(value), "\r\n")
	}
	head.WriteString("\r\n")
	return head.String()
}

// packedFields goes through all but those that are left out.
func packedFields(h http.Header, left []string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for name, values := range h {
			if slices.Contains(left, name) {
				continue
			}
			for _, value := range values {
				if !yield(name, value) {
					return
				}
			}
		}
	}
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

// unpackHead makes the request of a head, packed or as it was received.
func unpackHead(head string) (*http.Request, error) {
	var usual byte
	if head[0] < 1<<len(usualFields) { // which no method begins with
		usual, head = head[0], head[1:]
	}
	r, err := negotiate.ParseRequest(head)
	if err != nil {
		return nil, err
	}
	for i, f := range usualFields {
		if usual&(1<<i) != 0 {
			r.Header[f.name] = []string{f.value}
		}
	}
	return r, nil
}

// unpackRequest makes the request of what is kept of it.
func (c *Conn) unpackRequest() *http.Request {
	r, err := unpackHead(c.requestHead)
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
