package websocket

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/chanws/websocket/negotiate"
)

// maxRedirects is the highest MaxRedirects.
const maxRedirects = 10

// A RedirectError says why a redirect was not followed, although
// DialOptions.MaxRedirects allows some. It is in the chain of the [*HandshakeError]
// that has the status, and the Location in its headers; the text does not show the
// Location, which may be a secret.
type RedirectError struct {
	// Followed is how many had been followed before.
	Followed int
	// Reason says what was wrong with this one.
	Reason string
	// Err is the response, a *negotiate.ResponseError.
	Err error
}

func (e *RedirectError) Error() string {
	return "websocket: redirect " + strconv.Itoa(e.Followed+1) + " not followed: " + e.Reason
}

// Unwrap returns the response.
func (e *RedirectError) Unwrap() error { return e.Err }

// errRedirected ends an attempt that is to be followed by another one.
var errRedirected = errors.New("websocket: redirected")

// Reasons for a RedirectError.
const (
	redirectTooMany   = "too many"
	redirectLoop      = "it leads back to a request already made"
	redirectMalformed = "the Location is malformed, or no WebSocket URL"
	redirectInsecure  = "it leads from wss to ws"
)

// redirects reports whether a response asks for another URL to be tried (RFC 9110,
// section 15.4). 300 lets the user choose and 304 has no place here; a redirect that
// says not where to is a refusal.
func redirects(response *negotiate.ResponseError) bool {
	switch response.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return len(response.Header["Location"]) > 0
	}
	return false
}

// follow turns to where a response leads, if it does and the options allow: then the error
// is errRedirected, else the response or what was wrong with where it leads.
func (d *dialing) follow(response *negotiate.ResponseError) error {
	if d.opts.MaxRedirects == 0 || !redirects(response) {
		return response
	}
	if err := d.redirect(response); err != nil {
		return err
	}
	return errRedirected
}

// redirect turns to where the response leads. The error is a [*RedirectError].
func (d *dialing) redirect(response *negotiate.ResponseError) error {
	refuse := func(reason string) error {
		return &RedirectError{Followed: len(d.visited) - 1, Reason: reason, Err: response}
	}
	if len(d.visited) > d.opts.MaxRedirects {
		return refuse(redirectTooMany)
	}
	next, err := d.locate(response.Header["Location"])
	if err != nil {
		return refuse(redirectMalformed)
	}
	if d.target.Secure && !next.Secure {
		return refuse(redirectInsecure)
	}
	if err := d.aim(next); err == errVisited {
		return refuse(redirectLoop)
	} else if err != nil {
		return err
	}
	return nil
}

// locate reads a Location, relative to the URL that answered, and drops what is not
// for the host that it names. A fragment means nothing to a server, and user
// information in it is not the application's: both are left out.
func (d *dialing) locate(location []string) (*negotiate.Target, error) {
	if len(location) != 1 {
		return nil, errors.New("more than one Location")
	}
	u, err := d.target.URL.Parse(location[0])
	if err != nil {
		return nil, err
	}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	target, err := negotiate.NewTarget(u)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(target.URL.Host, d.target.URL.Host) {
		d.dropCredentials()
	}
	u.User = d.user
	return negotiate.NewTarget(u)
}

// credentials are the headers that are for the host that the application named.
var credentials = []string{"Authorization", "Cookie", "Cookie2", "Proxy-Authorization", "Www-Authenticate"}

// dropCredentials forgets what is for one host before another is asked. They do not
// come back where a later redirect leads to the first host again: who led there is
// no longer it.
func (d *dialing) dropCredentials() {
	kept := make(http.Header, len(d.header))
	for name, values := range d.header {
		if !slices.Contains(credentials, http.CanonicalHeaderKey(name)) {
			kept[name] = values
		}
	}
	d.header, d.host, d.user = kept, "", nil
}
