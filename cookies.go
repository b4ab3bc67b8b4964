package websocket

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/chanws/websocket/negotiate"
)

// httpURL is the URL of the target for those who know of http and https alone:
// cookie jars and the rules for proxies. They may keep it.
func httpURL(t *negotiate.Target) *url.URL {
	u := *t.URL
	u.Scheme = "http"
	if t.Secure {
		u.Scheme = "https"
	}
	return &u
}

// withCookies adds the cookies that the jar has for the target to the header, which
// it does not change.
//
// "the user agent MUST NOT attach more than one Cookie header field" (RFC 6265,
// section 5.4); so the application's own go first in the one.
func (d *dialing) withCookies(header http.Header, t *negotiate.Target) http.Header {
	if d.opts.Jar == nil {
		return header
	}
	cookies := d.opts.Jar.Cookies(httpURL(t))
	if len(cookies) == 0 {
		return header
	}
	r := http.Request{Header: make(http.Header, len(header)+1)}
	var own []string
	for name, values := range header {
		if strings.EqualFold(name, "Cookie") {
			own = append(own, values...)
		} else {
			r.Header[name] = values
		}
	}
	if len(own) > 0 {
		r.Header.Set("Cookie", strings.Join(own, "; "))
	}
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	return r.Header
}

// keepCookies stores the cookies of a response, whatever else it says.
func (d *dialing) keepCookies(response http.Header) {
	if d.opts.Jar == nil {
		return
	}
	cookies := (&http.Response{Header: response}).Cookies()
	if len(cookies) > 0 {
		d.opts.Jar.SetCookies(httpURL(d.target), cookies)
	}
}
