package negotiate

import (
	"net/http"
	"slices"
)

// checkHeader reports what must not be written to the wire in h: an empty
// string if all is well.
//
// "Field values containing CR, LF, or NUL characters are invalid and dangerous"
// (RFC 9110, section 5.5)
func checkHeader(h http.Header) (reason string) {
	for name, values := range h {
		if !validToken(name) {
			return "a header's name is not a token"
		}
		for _, v := range values {
			if !validValue(v) {
				return "a header's value has control characters"
			}
		}
	}
	return ""
}

// handshakeNames are the headers that are the handshake's to write, or that
// would give the message a body or change what follows it.
var handshakeNames = []string{
	"Host", "Connection", "Upgrade", "HTTP2-Settings", "Keep-Alive", "Proxy-Connection",
	"Content-Length", "Transfer-Encoding", "TE", "Trailer", "Expect",
}

// ownedByHandshake reports whether a caller may not set the header name: it is
// one of handshakeNames, or one of the protocol's versions.
func ownedByHandshake(name string) bool {
	for _, owned := range handshakeNames {
		if equalFold(name, owned) {
			return true
		}
	}
	return hasPrefixFold(name, "Sec-WebSocket-") || hasPrefixFold(name, "WebSocket-")
}

// appendOwn appends the caller's own headers, sorted by name so that the same
// options give the same bytes, without those owned by the handshake.
func appendOwn(dst []byte, own http.Header) []byte {
	if len(own) == 0 {
		return dst
	}
	var room [16]string
	names := room[:0]
	for name := range own {
		if !ownedByHandshake(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range own[name] {
			dst = appendField(dst, name, value)
		}
	}
	return dst
}

// appendField appends one header line.
func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// appendList appends one header line whose value is a comma-separated list;
// nothing if the list is empty.
func appendList(dst []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	for i, e := range list {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(dst, e...)
	}
	return append(dst, "\r\n"...)
}

// validValue reports whether v may stand in a header line. Bytes over 0x7F are
// opaque text (RFC 9110, section 5.5).
func validValue(v string) bool {
	for i := range len(v) {
		if v[i] < ' ' && v[i] != '\t' || v[i] == 0x7F {
			return false
		}
	}
	return true
}

// validHost reports whether host may stand in a Host header: a name, an
// address or an IPv6 address in brackets, and a port. User information, a path
// or white space would let one server name be taken for another.
func validHost(host string) bool {
	if host == "" {
		return false
	}
	for i := range len(host) {
		if !isHostByte(host[i]) {
			return false
		}
	}
	return true
}

// isHostByte tells the bytes of "uri-host [ ":" port ]" (RFC 9110, section
// 7.2; RFC 3986, section 3.2.2).
func isHostByte(c byte) bool {
	switch c {
	case '%', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=', ':', '[', ']':
		return true
	}
	return isUnreserved(c)
}

// isUnreserved tells what RFC 3986, section 2.3 calls so.
func isUnreserved(c byte) bool {
	switch c {
	case '-', '.', '_', '~':
		return true
	}
	return isDigit(c) || 'a' <= lower(c) && lower(c) <= 'z'
}

// hasPrefixFold is strings.HasPrefix in any ASCII case.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && equalFold(s[:len(prefix)], prefix)
}
