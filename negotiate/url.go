package negotiate

import (
	"encoding/base64"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const sectionURL = "RFC 6455, section 3"

// A Target is where a WebSocket URL leads: what to dial, what to tell the
// server, and how.
type Target struct {
	// URL is the URL with the scheme ws or wss, without user information, its
	// host in ASCII.
	URL *url.URL
	// Address is what to dial: host and port, an IPv6 address in brackets.
	Address string
	// Host is the value for the Host header: without the default port and
	// without an IPv6 zone.
	Host string
	// ServerName is the name for TLS to verify: the host without port, brackets
	// and zone.
	ServerName string
	// Secure tells wss from ws.
	Secure bool

	user *url.Userinfo
}

// A URLError is returned for a URL that names no WebSocket. It does not show
// the URL, which may hold a password.
type URLError struct {
	Section string // the rule, such as "RFC 6455, section 3"
	Reason  string // what is wrong, in a few words
}

// Error gives reason and section on one line.
func (e *URLError) Error() string { return "negotiate: URL: " + withSection(e.Reason, e.Section) }

// ParseURL reads a ws or wss URL; http and https are taken for them. User
// information becomes an Authorization header of [Client]. It returns a
// [*URLError] for other schemes, a fragment, and a host or port that is
// missing or malformed.
//
// A host that is not ASCII is refused too: convert it first, with
// golang.org/x/net/idna and its Lookup.ToASCII, and use [NewTarget].
func ParseURL(raw string) (*Target, error) {
	// "Fragment identifiers are meaningless in the context of WebSocket URIs and
	// MUST NOT be used on these URIs" (RFC 6455, section 3), nor may an empty
	// one, which url.Parse would forget.
	if strings.Contains(raw, "#") {
		return nil, &URLError{sectionURL, "a WebSocket URL has no fragment"}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, &URLError{"RFC 3986", "malformed"}
	}
	return newTarget(u)
}

// NewTarget is [ParseURL] for a URL already parsed, such as the one a redirect
// leads to. It does not keep u.
func NewTarget(u *url.URL) (*Target, error) {
	own := *u
	return newTarget(&own)
}

// newTarget takes u over.
func newTarget(u *url.URL) (*Target, error) {
	t := &Target{URL: u, user: u.User}
	var port string
	switch strings.ToLower(u.Scheme) {
	case "ws", "http":
		port = "80"
	case "wss", "https":
		port, t.Secure = "443", true
	default:
		return nil, &URLError{sectionURL, "the scheme is not ws, wss, http or https"}
	}
	if u.Fragment != "" || u.RawFragment != "" {
		return nil, &URLError{sectionURL, "a WebSocket URL has no fragment"}
	}
	if u.Opaque != "" || u.Hostname() == "" {
		return nil, &URLError{sectionURL, "the host is missing"}
	}
	if u.Path != "" && u.Path[0] != '/' {
		return nil, &URLError{sectionURL, "the path does not begin with a slash"}
	}
	// "a user-id containing a colon character is invalid" (RFC 7617, section 2)
	if strings.Contains(u.User.Username(), ":") {
		return nil, &URLError{"RFC 7617, section 2", "the user name has a colon"}
	}
	if err := t.setHost(u.Hostname(), u.Port(), port); err != nil {
		return nil, err
	}
	t.showPlain(port)
	return t, nil
}

// setHost fills in Address, Host and ServerName.
func (t *Target) setHost(name, port, standard string) error {
	name, zone, err := asciiHost(name)
	if err != nil {
		return err
	}
	if port == "" {
		port = standard
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return &URLError{"RFC 3986, section 3.2.3", "the port is not a number from 1 to 65535"}
	}
	t.ServerName = name
	t.Host = net.JoinHostPort(name, port)
	t.Address = t.Host
	if zone != "" {
		t.Address = net.JoinHostPort(name+zone, port)
	}
	// "The request MUST contain a |Host| header field whose value contains
	// /host/ plus optionally ":" followed by /port/ (when not using the default
	// port)" (RFC 6455, section 4.1, item 4)
	if port == standard {
		t.Host = strings.TrimSuffix(t.Host, ":"+port)
	}
	return nil
}

// showPlain makes the URL the one to show: as it was given, without what is a secret
// or an alias.
func (t *Target) showPlain(standard string) {
	t.URL.User = nil
	t.URL.Scheme = "ws"
	if t.Secure {
		t.URL.Scheme = "wss"
	}
	t.URL.Host = strings.TrimSuffix(t.Address, ":"+standard)
}

// authorization returns the value of an Authorization header, "" without user
// information (RFC 7617, section 2).
func (t *Target) authorization() string { return basicAuth(t.user) }

func basicAuth(user *url.Userinfo) string {
	if user == nil {
		return ""
	}
	password, _ := user.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
}

// appendPath appends the request target: path and query, percent-encoded where
// a byte would end it.
//
// "/resource name/" = "path [ "?" query ]" (RFC 6455, section 3)
func (t *Target) appendPath(dst []byte) []byte {
	const hex = "0123456789ABCDEF"
	target := t.URL.RequestURI()
	for i := range len(target) {
		c := target[i]
		if c <= ' ' || c >= 0x7F || c == '"' || c == '<' || c == '>' {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// asciiHost returns the name to look up, and the zone of an IPv6 address.
func asciiHost(host string) (name, zone string, err error) {
	if strings.Contains(host, ":") {
		ip, err := netip.ParseAddr(host)
		if err != nil || !validZone(ip.Zone()) {
			return "", "", &URLError{"RFC 3986, section 3.2.2", "the host is malformed"}
		}
		if ip.Zone() != "" {
			zone = "%" + ip.Zone()
		}
		return ip.WithZone("").String(), zone, nil
	}
	// The standard library keeps its tables of IDNA to itself, and half a
	// conversion would lead to another host.
	if !isASCII(host) {
		return "", "", &URLError{"RFC 5890, section 2.3.2.1", "the host is not ASCII: give it as xn--..., such as from golang.org/x/net/idna"}
	}
	if !validHost(host) || strings.ContainsAny(host, "%[]") {
		return "", "", &URLError{"RFC 3986, section 3.2.2", "the host is malformed"}
	}
	return host, "", nil
}

// validZone tells a zone that can be shown in a URL as it is.
//
// "ZoneID = 1*( unreserved / pct-encoded )" (RFC 6874, section 2), of which the
// second is for names that no interface has, and that url.Parse would not read
// again.
func validZone(zone string) bool {
	for i := range len(zone) {
		if !isUnreserved(zone[i]) {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
