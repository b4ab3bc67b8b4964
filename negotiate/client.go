package negotiate

import "net/http"

const sectionClient = "RFC 6455, section 4.1"

// ClientOptions say what a client asks for. The zero value, and nil, asks for
// a WebSocket and nothing else. It is never written to.
type ClientOptions struct {
	// Header has headers of your own, such as Origin, Cookie or Authorization
	// (which then stands for the one of the URL). Those that are the
	// handshake's are refused, as there are options for them: see
	// [ServerOptions.Header] for their names.
	Header http.Header

	// Subprotocols are the subprotocols wanted, the most wanted first: tokens,
	// each once.
	Subprotocols []string

	// Extensions are the extensions offered, the most wanted first, each once.
	Extensions []Extension

	// Host stands for the URL's in the Host header, such as for a virtual host
	// behind an address or a unix socket. Default: that of the URL.
	Host string

	// MaxHeaderBytes limits the head of the response, interim responses
	// included, and of one to an extended CONNECT what its headers would take as
	// lines. Default, and for less than 1: [DefaultMaxHeaderBytes].
	MaxHeaderBytes int
}

// A ClientHandshake is a request to be sent and, once [ClientHandshake.Consume]
// has succeeded, what was agreed. It is for one connection.
type ClientHandshake struct {
	// Subprotocol is the one the server chose, "" if none.
	Subprotocol string
	// Pipeline has the sessions of the extensions agreed on. It is nil, and as
	// such valid, if there are none. Whoever drops the handshake closes it.
	Pipeline     *Pipeline
	request      []byte
	accept       [acceptSize]byte
	subprotocols []string
	pending      []clientOffer
	heads        headReader
	fields       string      // the header lines of the response
	header       http.Header // them, once it is known
}

// Client prepares the handshake with t. The key is 16 random bytes from
// crypto/rand, new for each connection (RFC 6455, section 4.1, item 7). The
// error is an [*OptionError]. Both t and opts are only read; nil opts are
// valid.
func Client(t *Target, key [16]byte, opts *ClientOptions) (*ClientHandshake, error) {
	if opts == nil {
		opts = &ClientOptions{}
	}
	if err := checkClient(opts); err != nil {
		return nil, err
	}
	pending, offers, err := offerExtensions(opts.Extensions)
	if err != nil {
		return nil, err
	}
	h := &ClientHandshake{
		subprotocols: append([]string(nil), opts.Subprotocols...),
		pending:      pending,
		heads:        headReader{limit: opts.MaxHeaderBytes},
	}
	encoded := encodeKey(key)
	h.accept = acceptKey(string(encoded[:]))
	h.request = appendRequest(make([]byte, 0, 256), t, encoded, offers, opts)
	return h, nil
}

// checkClient checks what would spoil the request.
func checkClient(opts *ClientOptions) error {
	if reason := checkHeader(opts.Header); reason != "" {
		return &OptionError{Option: "Header", Reason: reason}
	}
	for name := range opts.Header {
		if ownedByHandshake(name) {
			return &OptionError{Option: "Header", Section: sectionClient, Reason: "a header is the handshake's own"}
		}
	}
	if opts.Host != "" && !validHost(opts.Host) {
		return &OptionError{Option: "Host", Section: sectionClient, Reason: "malformed"}
	}
	// "The elements that comprise this value MUST be non-empty strings with
	// characters in the range U+0021 to U+007E not including separator
	// characters [...] and MUST all be unique strings" (item 10)
	for i, name := range opts.Subprotocols {
		if !validToken(name) || contains(opts.Subprotocols[:i], name) {
			return &OptionError{Option: "Subprotocols", Section: sectionClient, Reason: "a name is not a token or occurs twice"}
		}
	}
	return nil
}

// appendRequest writes the request, in the order of RFC 6455, section 1.3.
func appendRequest(dst []byte, t *Target, key [keySize]byte, offers []Offer, opts *ClientOptions) []byte {
	host := opts.Host
	if host == "" {
		host = t.Host
	}
	dst = append(dst, "GET "...)
	dst = t.appendPath(dst)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, host...)
	dst = append(dst, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "...)
	dst = append(dst, key[:]...)
	dst = append(dst, "\r\n"...)
	if auth := t.authorization(); auth != "" && !hasField(opts.Header, "Authorization") {
		dst = appendField(dst, "Authorization", auth)
	}
	dst = appendOwn(dst, opts.Header)
	dst = appendList(dst, "Sec-WebSocket-Protocol", opts.Subprotocols)
	if len(offers) > 0 {
		dst = append(dst, "Sec-WebSocket-Extensions: "...)
		dst = append(AppendExtensions(dst, offers), "\r\n"...)
	}
	return append(dst, "Sec-WebSocket-Version: 13\r\n\r\n"...)
}

// hasField reports whether h has a header, however its name is written.
func hasField(h http.Header, name string) bool {
	for n := range h {
		if equalFold(n, name) {
			return true
		}
	}
	return false
}

// AppendRequest appends the whole request.
func (h *ClientHandshake) AppendRequest(dst []byte) []byte { return append(dst, h.request...) }

// Consume reads the response at the beginning of b, which has all bytes
// received so far: it is called again with more after [ErrNeedMore]. Once the
// head is complete it returns its length; what follows in b is frames, or the
// body of an error. The error is a [*ResponseError] where the handshake failed;
// it is the same for any division of the bytes into calls. After anything but
// ErrNeedMore it is not to be called again.
func (h *ClientHandshake) Consume(b []byte) (n int, err error) {
	response, n, f, err := h.heads.next(b)
	if f != nil {
		return n, f.failure()
	}
	if err != nil {
		return 0, err
	}
	if failure := h.check(&response); failure != nil {
		failure.Status, failure.Header = response.status, fieldsOf(response.fields)
		failure.BodyLength, failure.Chunked = bodyLength(response.status, failure.Header)
		return n, failure
	}
	h.fields = response.fields
	h.request, h.pending, h.subprotocols = nil, nil, nil
	return n, nil
}

// Header gives the headers of the response, nil before it came. The status was 101, or
// 2xx to an extended CONNECT. It is made when first asked for, by one goroutine at a time.
func (h *ClientHandshake) Header() http.Header {
	if h.header == nil && h.fields != "" {
		h.header = fieldsOf(h.fields)
	}
	return h.header
}

// check validates the response as RFC 6455, section 4.1 lists it, and takes
// over what it says.
func (h *ClientHandshake) check(response *head) *ResponseError {
	switch {
	// "If the status code received from the server is not 101, the client
	// handles the response per HTTP procedures" (item 1)
	case response.status != http.StatusSwitchingProtocols:
		return failed("the status of the response is not 101")
	// HTTP/1.0 has no 101.
	case response.minor < 1:
		return failed("the response is HTTP/1.0")
	// "If the response lacks an |Upgrade| header field or the |Upgrade| header
	// field contains a value that is not an ASCII case-insensitive match for the
	// value "websocket"" (item 2)
	case response.upgrade.lines != 1 || !equalFold(response.upgrade.value, "websocket"):
		return failed("the Upgrade header of the response is not websocket")
	// "If the response lacks a |Connection| header field or the |Connection|
	// header field doesn't contain a token that is an ASCII case-insensitive
	// match for the value "Upgrade"" (item 3)
	case !response.upgrades:
		return failed("the Connection header of the response does not list upgrade")
	// "If the response lacks a |Sec-WebSocket-Accept| header field or the
	// |Sec-WebSocket-Accept| contains a value other than [...]" (item 4)
	case response.accept.lines != 1 || response.accept.value != string(h.accept[:]):
		return failed("the Sec-WebSocket-Accept of the response does not match the key")
	}
	return h.checkAgreement(response.subprotocol, response.extensions)
}

// checkAgreement takes over what the server chose of what was offered.
func (h *ClientHandshake) checkAgreement(subprotocol soleField, extensions []string) *ResponseError {
	if failure := h.checkSubprotocol(subprotocol); failure != nil {
		return failure
	}
	pipeline, err := clientPipeline(extensions, h.pending)
	if err != nil {
		return &ResponseError{Section: sectionClient, Reason: "the extensions of the response were not agreed", Err: err}
	}
	h.Pipeline = pipeline
	return nil
}

// checkSubprotocol takes over the subprotocol the server chose.
//
// "If the response includes a |Sec-WebSocket-Protocol| header field and this
// header field indicates the use of a subprotocol that was not present in the
// client's handshake [...], the client MUST _Fail the WebSocket Connection_"
// (item 6)
func (h *ClientHandshake) checkSubprotocol(answer soleField) *ResponseError {
	if answer.lines == 0 {
		return nil
	}
	if answer.lines > 1 {
		return &ResponseError{Section: "RFC 6455, section 11.3.4", Reason: "the response names more than one subprotocol"}
	}
	if !contains(h.subprotocols, answer.value) {
		return failed("the response names a subprotocol that was not offered")
	}
	h.Subprotocol = answer.value
	return nil
}

func failed(reason string) *ResponseError {
	return &ResponseError{Section: sectionClient, Reason: reason}
}
