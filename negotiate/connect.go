package negotiate

import (
	"net"
	"net/http"
	"net/url"
)

const sectionConnect = "RFC 9110, section 9.3.6"

// AppendConnect appends the request that asks an HTTP proxy for a tunnel to
// hostport, such as "example.com:443" (RFC 9110, section 9.3.6). The user, nil
// for none, becomes a Proxy-Authorization, unless header has one. The header is
// for the proxy alone; it may not set what belongs to the request itself, such
// as Host or Content-Length. The error is an [*OptionError], and nothing is
// appended then.
func AppendConnect(dst []byte, hostport string, header http.Header, user *url.Userinfo) ([]byte, error) {
	if err := checkConnect(hostport, header); err != nil {
		return dst, err
	}
	dst = append(dst, "CONNECT "...)
	dst = append(dst, hostport...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	// "A client MUST send a Host header field in an HTTP/1.1 request even if the
	// request-target is in the form of an authority" (RFC 9112, section 3.2)
	dst = appendField(dst, "Host", hostport)
	if user != nil && !hasField(header, "Proxy-Authorization") {
		dst = appendField(dst, "Proxy-Authorization", basicAuth(user))
	}
	dst = appendOwn(dst, header)
	return append(dst, "\r\n"...), nil
}

// checkConnect checks what would spoil the request.
func checkConnect(hostport string, header http.Header) error {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil || host == "" || port == "" || !validHost(hostport) {
		return &OptionError{Option: "hostport", Section: sectionConnect, Reason: "not a host and a port"}
	}
	if reason := checkHeader(header); reason != "" {
		return &OptionError{Option: "header", Reason: reason}
	}
	for name := range header {
		if ownedByHandshake(name) {
			return &OptionError{Option: "header", Section: sectionConnect, Reason: "a header is the request's own"}
		}
	}
	return nil
}

// A ConnectAnswer reads what a proxy answers to a CONNECT. The zero value is
// ready; it is for one answer.
type ConnectAnswer struct {
	// MaxHeaderBytes limits the head of the answer, interim responses included.
	// Default, and for less than 1: [DefaultMaxHeaderBytes].
	MaxHeaderBytes int
	// Header has the answer's headers once Consume has succeeded.
	Header http.Header

	heads headReader
}

// Consume reads the answer at the beginning of b, which has all bytes received
// so far: it is called again with more after [ErrNeedMore]. Once the tunnel is
// open it returns the length of the answer; what follows in b came through the
// tunnel. The error is a [*ProxyError] where the proxy refused or did not speak
// HTTP; it is the same for any division of the bytes into calls.
//
// "Any 2xx (Successful) response indicates that the sender [...] will switch
// to tunnel mode immediately after the response header section" (RFC 9110,
// section 9.3.6). A Content-Length in it means nothing.
func (a *ConnectAnswer) Consume(b []byte) (n int, err error) {
	a.heads.limit = a.MaxHeaderBytes
	response, n, f, err := a.heads.next(b)
	if f != nil {
		return n, &ProxyError{Section: f.section, Reason: f.reason, Err: f.err}
	}
	if err != nil {
		return 0, err
	}
	if response.status < 200 || response.status > 299 {
		header := fieldsOf(response.fields)
		length, chunked := bodyLength(response.status, header)
		return n, &ProxyError{
			Status: response.status, Header: header, BodyLength: length, Chunked: chunked,
			Section: sectionConnect, Reason: "the proxy refused the tunnel",
		}
	}
	a.Header = fieldsOf(response.fields)
	return n, nil
}

// A ProxyError is a tunnel refused by a proxy. It has the fields of a
// [ResponseError], but is not one: errors.As is to tell the answer of the proxy from
// that of the server behind it. Its text has nothing that was sent or received but the
// status, so no credentials.
type ProxyError struct {
	// Status is the HTTP status code, 0 where the answer was not HTTP.
	Status int
	// Header is the answer's, nil where it was not HTTP. With status 407 its
	// Proxy-Authenticate says what the proxy wants.
	Header http.Header
	// BodyLength and Chunked tell of the body as in [ResponseError].
	BodyLength int64
	Chunked    bool
	// Section names the rule, such as "RFC 9110, section 9.3.6".
	Section string
	// Reason says what was wrong in a few words.
	Reason string
	// Err is the cause, such as [ErrHeaderTooBig], or nil.
	Err error
}

// Error gives reason, status, section and cause on one line.
func (e *ProxyError) Error() string {
	return answerText("proxy", e.Reason, e.Section, e.Status, e.Err)
}

// Unwrap returns the cause.
func (e *ProxyError) Unwrap() error { return e.Err }
