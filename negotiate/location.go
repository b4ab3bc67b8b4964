package negotiate

import (
	"net/http"
	"net/url"
	"strings"
)

// requestURL returns the ws or wss URL that the client opened.
//
// "The request MUST contain a |Host| header field whose value contains /host/"
// (RFC 6455, section 4.1, item 4): the client's idea of the server's name.
func requestURL(r *http.Request, opts *ServerOptions) url.URL {
	u := url.URL{Scheme: "ws", Host: r.Host, Path: "/"}
	if r.URL != nil {
		u.Path, u.RawPath = r.URL.Path, r.URL.RawPath
		u.RawQuery, u.ForceQuery = r.URL.RawQuery, r.URL.ForceQuery
	}
	if u.Path == "" {
		u.Path = "/"
	}
	if r.TLS != nil || opts.TrustForwarded && forwardedSecure(r.Header) {
		u.Scheme = "wss"
	}
	return u
}

// forwardedSecure reports whether a proxy in front says that the client came
// over TLS. Of several proxies the first named stood before the client.
func forwardedSecure(h http.Header) bool {
	for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Protocol", "X-Url-Scheme"} {
		scheme, _ := cutElement(h.Get(name))
		if equalFold(scheme, "https") || equalFold(scheme, "wss") {
			return true
		}
	}
	return equalFold(h.Get("X-Forwarded-Ssl"), "on") ||
		equalFold(h.Get("Front-End-Https"), "on") ||
		forwardedProto(h.Get("Forwarded"))
}

// forwardedProto reports whether the first element of a Forwarded header has
// proto=https (RFC 7239, section 5.4).
func forwardedProto(forwarded string) bool {
	element, _ := cutElement(forwarded)
	for element != "" {
		var pair string
		pair, element, _ = strings.Cut(element, ";")
		name, value, _ := strings.Cut(trimSpace(pair), "=")
		value = strings.Trim(value, `"`)
		if equalFold(name, "proto") && (equalFold(value, "https") || equalFold(value, "wss")) {
			return true
		}
	}
	return false
}
