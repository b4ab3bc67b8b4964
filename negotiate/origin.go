package negotiate

import (
	"net/http"
	"path"
	"strings"
)

// checkOrigin applies the origin policy of opts. A request without an origin
// is let pass: it does not come from a browser's page.
//
// "If the server does not wish to accept this connection, it MUST return an
// appropriate HTTP error code (e.g., 403 Forbidden)" (RFC 6455, section 4.2.2,
// item 4)
func checkOrigin(r *http.Request, version string, opts *ServerOptions) *Error {
	if opts.InsecureSkipOriginCheck {
		return nil
	}
	origins := r.Header["Origin"]
	// Browsers of drafts 04 to 10 had a header of their own for it.
	if version == Hybi7 || version == Hybi8 {
		origins = append(origins[:len(origins):len(origins)], r.Header["Sec-Websocket-Origin"]...)
	}
	for _, origin := range origins {
		allowed, err := originAllowed(origin, r.Host, opts.OriginPatterns)
		if err != nil {
			return serverFault(err)
		}
		if !allowed {
			return &Error{Status: http.StatusForbidden, Section: sectionResponse, Reason: "this origin is not allowed"}
		}
	}
	return nil
}

// originAllowed reports whether a page of origin may open a WebSocket to host.
func originAllowed(origin, host string, patterns []string) (bool, error) {
	scheme, originHost, ok := cutOrigin(origin)
	if ok && equalFold(trimPort(originHost, scheme), trimPort(host, scheme)) {
		return true, nil
	}
	if len(patterns) == 0 {
		return false, nil
	}
	if !ok {
		return originNamed(origin, patterns), nil
	}
	for _, pattern := range patterns {
		target := originHost
		if strings.Contains(pattern, "://") {
			target = origin
		}
		matched, err := path.Match(literalAddress(lowerAll(pattern)), lowerAll(target))
		if err != nil {
			return false, &OptionError{Option: "OriginPatterns", Reason: "a pattern is malformed: see path.Match"}
		}
		if matched {
			return true, nil
		}
	}
	return false, nil
}

// originNamed is for what is not scheme and host, such as "null". It can only be named
// whole: of "https://a.example?.b.example" nobody can say whose it is.
func originNamed(origin string, patterns []string) bool {
	for _, pattern := range patterns {
		if pattern == "*" || equalFold(pattern, origin) {
			return true
		}
	}
	return false
}

// literalAddress has path.Match take brackets with a colon in them, where a host begins,
// for an address of IPv6 and not for a class of characters.
func literalAddress(pattern string) string {
	host := pattern
	if _, after, found := strings.Cut(pattern, "://"); found {
		host = after
	}
	address, _, closed := strings.Cut(host, "]")
	if !closed || address == "" || address[0] != '[' || !strings.Contains(address, ":") {
		return pattern
	}
	return pattern[:len(pattern)-len(host)] + `\` + host
}

// trimPort cuts off the port that the scheme has anyway.
func trimPort(host, scheme string) string {
	port := ":80"
	if equalFold(scheme, "https") || equalFold(scheme, "wss") {
		port = ":443"
	}
	return strings.TrimSuffix(host, port)
}

// cutOrigin splits an origin.
//
// "serialized-origin = scheme "://" host [ ":" port ]" (RFC 6454, section 7.1). Nothing
// else may stand in it, so that no user information passes for the host.
func cutOrigin(origin string) (scheme, host string, ok bool) {
	scheme, host, found := strings.Cut(origin, "://")
	if !found || !validToken(scheme) || !validHost(host) || !validPort(host) {
		return "", "", false
	}
	return scheme, host, true
}

// validPort reports whether what follows the colon of host, if it has one, is a number.
func validPort(host string) bool {
	_, port, _ := strings.Cut(host[strings.LastIndexByte(host, ']')+1:], ":")
	for i := range len(port) {
		if !isDigit(port[i]) {
			return false
		}
	}
	return true
}
