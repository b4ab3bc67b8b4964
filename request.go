package websocket

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/chanws/websocket/negotiate"
)

// Request is the request that a server accepted; nil for a client. With [Handler], and
// over HTTP/2 and HTTP/3, it is the request itself, with its context and path values; its
// body is the connection's. After [Accept] over HTTP/1.1 it is a copy of the head, made when
// it is first asked for: an idle connection should not hold on to what net/http had
// allocated. It must not be changed.
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
		c.makeExtra().request = r // with all there is to know
	}
	return r
}

// keepRequest keeps the request itself, where the handler holds on to it anyway.
func (c *Conn) keepRequest(r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.target()
	x := c.makeExtra()
	x.request, x.target, c.requestHead = r, &u, ""
}

// target is the URL of the connection. A request is not looked at for it, once somebody
// has that: who has may change it, and it is not to be made for this.
func (c *Conn) target() url.URL {
	if u := c.extra().target; u != nil {
		return *u
	}
	if c.requestHead == "" {
		return url.URL{}
	}
	uri, host := unpackTarget(c.requestHead)
	return openedURL(uri, host, c.secure)
}

// openedURL is the URL that the peer has opened.
func openedURL(uri, host string, secure bool) url.URL {
	r := http.Request{Host: host}
	if u, err := url.ParseRequestURI(uri); err == nil {
		r.URL = u
	}
	opened := *new(negotiate.ServerOptions).URL(&r)
	if secure {
		opened.Scheme = "wss"
	}
	return opened
}

// targetOf is what the peer has asked for, which may be more than what a handler is given
// to see. Some servers have no path there, and what is made by hand has nothing.
func targetOf(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") || strings.Contains(r.RequestURI, "://") || r.URL == nil {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// usualFields are those that nearly all requests have, and packed ones have not: a byte
// in front, with a bit for each, tells.
var usualFields = [...]struct{ name, value string }{
	{"Upgrade", "websocket"},
	{"Connection", "Upgrade"},
	{"Sec-Websocket-Version", "13"},
}

// usualField gives the bit of a field, 0 where it is not a usual one.
func usualField(name string, values []string) byte {
	for i, f := range usualFields {
		if name == f.name && len(values) == 1 && values[0] == f.value {
			return 1 << i
		}
	}
	return 0
}

const (
	packedVersion = " HTTP/1.1\r\n"
	packedHost    = "Host: "
)

// packRequest gives the head of a request in the bytes of HTTP/1.1, behind the byte that
// tells which of the usual fields are left out.
func packRequest(r *http.Request) string {
	uri := targetOf(r)
	var usual byte
	size := 1 + len(r.Method) + 1 + len(uri) + len(packedVersion) + len(packedHost) + len(r.Host) + 2 + 2
	for name, values := range r.Header {
		if bit := usualField(name, values); bit != 0 {
			usual |= bit
			continue
		}
		for _, value := range values {
			size += len(name) + 2 + len(value) + 2
		}
	}
	var head strings.Builder
	head.Grow(size)
	head.WriteByte(usual)
	writeStrings(&head, r.Method, " ", oneLine(uri), packedVersion, packedHost, oneLine(r.Host), "\r\n")
	for name, values := range r.Header {
		if usualField(name, values) != 0 {
			continue
		}
		for _, value := range values {
			writeStrings(&head, oneLine(name), ": ", oneLine(value), "\r\n")
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

// unpackTarget gives what was asked for, and of which host.
func unpackTarget(packed string) (uri, host string) {
	line, fields, _ := strings.Cut(packed[1:], packedVersion)
	_, uri, _ = strings.Cut(line, " ")
	host, _, _ = strings.Cut(fields[len(packedHost):], "\r\n")
	return uri, host
}

// unpackHead makes a request again. It reads what packRequest has written and nothing
// else, and so takes what no peer can send, but middleware can have put there.
func unpackHead(packed string) *http.Request {
	line, fields, _ := strings.Cut(packed[1:], packedVersion)
	method, _, _ := strings.Cut(line, " ")
	uri, host := unpackTarget(packed)
	r := &http.Request{
		Method: method, URL: new(url.URL), RequestURI: uri,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Host: host, Body: http.NoBody,
	}
	if u, err := url.ParseRequestURI(uri); err == nil {
		r.URL = u
	}
	for i, f := range usualFields {
		if packed[0]&(1<<i) != 0 {
			r.Header[f.name] = []string{f.value}
		}
	}
	_, fields, _ = strings.Cut(fields, "\r\n") // behind the host
	for field := range strings.SplitSeq(fields, "\r\n") {
		if name, value, ok := strings.Cut(field, ": "); ok {
			r.Header[name] = append(r.Header[name], value)
		}
	}
	return r
}

// addressOf is the text of an address, which a net.Conn need not have.
func addressOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// unpackRequest makes the request of what is kept of it.
func (c *Conn) unpackRequest() *http.Request {
	r := unpackHead(c.requestHead)
	if c.transport == nil {
		return r
	}
	r.RemoteAddr = addressOf(c.transport.remoteAddr())
	if t, ok := c.transport.(*connTransport); ok {
		r.TLS = stateOfTLS(t.Conn)
	}
	return r
}
