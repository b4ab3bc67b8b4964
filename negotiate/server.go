package negotiate

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// ServerOptions say how a server answers. The zero value, and nil, is a server
// of RFC 6455 alone, open to pages of its own host and to clients that are not
// browsers, without subprotocols and extensions. It is never written to.
type ServerOptions struct {
	// Subprotocols are the subprotocols spoken here. The first that the client
	// offers and that is among them is chosen; none if there is no such one.
	// Names are compared byte by byte.
	Subprotocols []string

	// SelectSubprotocol decides instead of Subprotocols. It is called when the
	// client offers any, with them in its order of preference, and returns one
	// of them, or "" for none. Anything else is answered with 500.
	SelectSubprotocol func(r *http.Request, offered []string) string

	// OriginPatterns lists hosts whose pages may connect, beside those of the
	// request's own host. Patterns are those of path.Match, matched in any case
	// against the origin's host and port, or against scheme, host and port where
	// the pattern has "://": "example.com", "*.example.com",
	// "https://*.example.com:8443". An address of IPv6 stands in brackets as in the
	// origin, "[::1]:8080"; brackets without a colon in them are a class of characters.
	// A "*" lets the pages of every origin in.
	// What is not scheme, host and port, such as the origin "null" of sandboxed pages
	// and files, matches only "*" and itself.
	OriginPatterns []string

	// InsecureSkipOriginCheck lets the pages of every origin connect, with the
	// cookies of whoever looks at them. Set it only where the request is
	// authenticated by something that a foreign page can not have, or where
	// everything served is public.
	InsecureSkipOriginCheck bool

	// Header has headers of your own for the response, such as Set-Cookie.
	// Those that are the handshake's or would break it are left out: Upgrade,
	// Connection, Sec-WebSocket-*, WebSocket-*, Content-Length,
	// Transfer-Encoding, TE, Trailer, Expect, Host, Keep-Alive,
	// Proxy-Connection, HTTP2-Settings. A name that is not a token, and a value
	// with control characters, refuses the request with 500.
	Header http.Header

	// Extensions are the extensions spoken here. The client's order of
	// preference decides which come into play; of two with one name the first
	// counts.
	Extensions []Extension

	// AllowDrafts also speaks the protocols from before RFC 6455: hixie-75,
	// hixie-76, hybi-7 and hybi-8. The first two have texts only and no pings, and
	// hixie-75 no proof that the server has understood the handshake. Allow them
	// only where such clients are left.
	AllowDrafts bool

	// TrustForwarded believes the headers by which a proxy tells that the
	// client came over TLS: X-Forwarded-Proto, X-Forwarded-Scheme,
	// X-Forwarded-Protocol, X-Forwarded-Ssl, X-Url-Scheme, Front-End-Https and
	// Forwarded. Set it only behind a proxy that sets or removes them.
	TrustForwarded bool
}

// A ServerHandshake is a request found good and what was agreed on it.
type ServerHandshake struct {
	// Version is the protocol version: [Hybi13], and with AllowDrafts [Hybi8],
	// [Hybi7], [Hixie76], [Hixie75].
	Version string
	// Subprotocol is the one chosen, "" if none.
	Subprotocol string
	// Pipeline has the sessions of the extensions agreed on. It is nil, and as
	// such valid, if there are none. Whoever drops the handshake closes it.
	Pipeline *Pipeline

	own   []byte // the caller's header lines, read once and checked
	reply reply
}

// A reply is what sets the response of one protocol version apart.
type reply interface {
	appendStatusLine(dst []byte) []byte
	// appendUpgrade appends the headers that complete the upgrade.
	appendUpgrade(dst []byte) []byte
	// appendProtocol appends the header that names the subprotocol.
	appendProtocol(dst []byte, name string) []byte
	// appendBody appends what follows the blank line.
	appendBody(dst []byte) []byte
}

// Server checks a request and decides on the answer. The error is an [*Error],
// to be sent with its status: 400 for a malformed request, 403 for an origin
// not allowed, 405 for a method other than GET, 426 for a version not spoken or
// a request that asks for no WebSocket, 500 for wrong options. Both r and opts
// are only read; nil opts are valid.
//
// In HTTP/2 and HTTP/3 the request is an extended CONNECT (RFC 8441, RFC 9220),
// which net/http shows as a header ":protocol" and quic-go as r.Proto. There the
// method has to be CONNECT, another protocol than websocket is answered with
// 501, and as 426 belongs to an Upgrade that these have not, a version that is
// not spoken with 400. The drafts are not spoken there.
func Server(r *http.Request, opts *ServerOptions) (*ServerHandshake, error) {
	if opts == nil {
		opts = &ServerOptions{}
	}
	h, refusal := newServer(r, opts)
	if refusal != nil {
		return nil, refusal
	}
	return h, nil
}

func newServer(r *http.Request, opts *ServerOptions) (*ServerHandshake, *Error) {
	if streams(r) {
		return newStreamServer(r, opts)
	}
	if e := checkUpgrade(r, opts); e != nil {
		return nil, e
	}
	version, e := requestVersion(r, opts)
	if e != nil {
		return nil, e
	}
	if e := checkBody(r, version); e != nil {
		return nil, e
	}
	h := &ServerHandshake{Version: version}
	if h.reply, e = newReply(r, version, opts); e != nil {
		return nil, e
	}
	if e := h.agree(r, opts); e != nil {
		return nil, e
	}
	return h, nil
}

// newReply reads what the version's own headers say.
func newReply(r *http.Request, version string, opts *ServerOptions) (reply, *Error) {
	switch version {
	case Hixie75:
		return newHixie75(r, opts)
	case Hixie76:
		return newHixie76(r, opts)
	}
	key, e := requestKey(r)
	if e != nil {
		return nil, e
	}
	accept := hybiReply(acceptKey(key))
	return &accept, nil
}

// agree decides what does not depend on how the request came: origin,
// subprotocol, own headers and extensions. Extensions come last, since their
// sessions have to be closed if anything fails after them.
func (h *ServerHandshake) agree(r *http.Request, opts *ServerOptions) *Error {
	if e := checkOrigin(r, h.Version, opts); e != nil {
		return e
	}
	if reason := checkHeader(opts.Header); reason != "" {
		return serverFault(&OptionError{Option: "Header", Reason: reason})
	}
	h.own = appendOwn(nil, opts.Header)
	var e *Error
	if h.Subprotocol, e = chooseSubprotocol(r, h.Version, opts); e != nil {
		return e
	}
	return h.agreeExtensions(r, opts)
}

// agreeExtensions makes the pipeline. The drafts hixie have no extensions.
func (h *ServerHandshake) agreeExtensions(r *http.Request, opts *ServerOptions) *Error {
	if h.Version == Hixie75 || h.Version == Hixie76 {
		return nil
	}
	var err error
	h.Pipeline, err = serverPipeline(r.Header["Sec-Websocket-Extensions"], opts.Extensions)
	switch {
	case errors.Is(err, errExtensionHeader):
		return badRequest("RFC 6455, section 9.1", "Sec-WebSocket-Extensions is malformed or too long")
	case err != nil:
		return serverFault(err)
	}
	return nil
}

// chooseSubprotocol returns the subprotocol to speak, "" for none.
//
// "The elements that comprise this value MUST be non-empty strings with
// characters in the range U+0021 to U+007E not including separator characters
// [...] and MUST all be unique strings" (RFC 6455, section 4.1, item 10)
func chooseSubprotocol(r *http.Request, version string, opts *ServerOptions) (string, *Error) {
	lists := offeredSubprotocols(r, version)
	if len(lists) == 0 {
		return "", nil
	}
	var room [8]string
	offered, ok := appendTokens(room[:0], lists)
	switch {
	case !ok:
		return "", badRequest("RFC 6455, section 4.1", "the list of subprotocols is malformed, too long or has one twice")
	case len(offered) == 0:
		return "", nil
	case opts.SelectSubprotocol != nil:
		return selectSubprotocol(r, offered, opts)
	}
	for _, name := range offered {
		// The option's own string: the request's would keep all of its head.
		if i := slices.Index(opts.Subprotocols, name); i >= 0 {
			return opts.Subprotocols[i], nil
		}
	}
	return "", nil
}

// selectSubprotocol lets the caller choose and holds it to the rule.
//
// "The value chosen MUST be derived from the client's handshake, specifically
// by selecting one of the values from the |Sec-WebSocket-Protocol| field"
// (RFC 6455, section 4.2.2, item 4)
func selectSubprotocol(r *http.Request, offered []string, opts *ServerOptions) (string, *Error) {
	// The callback gets a copy: it may sort it.
	name := opts.SelectSubprotocol(r, append([]string(nil), offered...))
	if name != "" && !contains(offered, name) {
		return "", serverFault(&OptionError{
			Option: "SelectSubprotocol", Section: sectionResponse, Reason: "chose a subprotocol that was not offered",
		})
	}
	return strings.Clone(name), nil // which is a part of the request's head
}

// offeredSubprotocols returns the headers in which the client offers
// subprotocols.
func offeredSubprotocols(r *http.Request, version string) []string {
	switch version {
	case Hixie75:
		return hixieLists(r.Header["Websocket-Protocol"])
	case Hixie76:
		return hixieLists(r.Header["Sec-Websocket-Protocol"])
	}
	return r.Header["Sec-Websocket-Protocol"]
}

// Extensions lists what was agreed, in the order in which outgoing messages
// pass; nil if nothing was.
func (h *ServerHandshake) Extensions() []Offer { return h.Pipeline.Agreed() }

// URL returns the ws or wss URL that the client opened: the host of its Host
// header, and wss if r came over TLS or a trusted proxy says that it did.
// Userinfo and fragment are never in it.
func (opts *ServerOptions) URL(r *http.Request) *url.URL {
	if opts == nil {
		opts = &ServerOptions{}
	}
	u := requestURL(r, opts) // by value: who only wants its string allocates nothing else
	return &u
}

// Header returns the headers of the response, in a map of its own. Names are
// canonical (see http.CanonicalHeaderKey).
func (h *ServerHandshake) Header() http.Header {
	return fieldsOf(string(h.appendHeader(nil)))
}

// Status is that of the response: 101, and 200 to an extended CONNECT.
func (h *ServerHandshake) Status() int {
	if _, ok := h.reply.(connectReply); ok {
		return http.StatusOK
	}
	return http.StatusSwitchingProtocols
}

// AppendResponse appends the whole 101 response. For hixie-76 it appends
// nothing as long as [ServerHandshake.NeedsBody] reports true. In HTTP/2 and
// HTTP/3 a response is not these bytes, and it appends nothing: see
// [ServerHandshake.Status] and [ServerHandshake.Header].
func (h *ServerHandshake) AppendResponse(dst []byte) []byte {
	if h.NeedsBody() || h.Status() == http.StatusOK {
		return dst
	}
	dst = h.reply.appendStatusLine(dst)
	dst = h.appendHeader(dst)
	dst = append(dst, "\r\n"...)
	return h.reply.appendBody(dst)
}

// appendHeader appends the header lines without the blank one after them.
func (h *ServerHandshake) appendHeader(dst []byte) []byte {
	dst = h.reply.appendUpgrade(dst)
	if h.Subprotocol != "" {
		dst = h.reply.appendProtocol(dst, h.Subprotocol)
	}
	dst = h.Pipeline.appendField(dst)
	return append(dst, h.own...)
}

// A hybiReply is the answer of RFC 6455 and the drafts with its framing: the
// Sec-WebSocket-Accept.
type hybiReply [acceptSize]byte

func (a *hybiReply) appendStatusLine(dst []byte) []byte {
	return append(dst, "HTTP/1.1 101 Switching Protocols\r\n"...)
}

// appendUpgrade obeys RFC 6455, section 4.2.2, item 5, in its order.
func (a *hybiReply) appendUpgrade(dst []byte) []byte {
	dst = append(dst, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = append(dst, a[:]...)
	return append(dst, "\r\n"...)
}

func (a *hybiReply) appendProtocol(dst []byte, name string) []byte {
	return appendField(dst, "Sec-WebSocket-Protocol", name)
}

func (a *hybiReply) appendBody(dst []byte) []byte { return dst }
