package websocket_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/chanws/websocket"
)

// quietLog is for servers whose clients leave on purpose.
var quietLog = log.New(io.Discard, "", 0)

// A redirector answers /location with a redirect there, and upgrades at /. It keeps
// the requests.
type redirector struct {
	*httptest.Server
	status   int
	cookie   string
	requests chan *http.Request
}

func newRedirector(t *testing.T, start func(http.Handler) *httptest.Server) *redirector {
	t.Helper()
	s := &redirector{status: http.StatusFound, requests: make(chan *http.Request, 1000)}
	s.Server = start(s)
	s.Config.ErrorLog = quietLog
	t.Cleanup(s.Close)
	return s
}

func (s *redirector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests <- r
	if s.cookie != "" {
		w.Header().Add("Set-Cookie", s.cookie)
	}
	if to := r.URL.Query().Get("to"); to != "" {
		w.Header().Set("Location", to)
		w.WriteHeader(s.status)
		io.WriteString(w, "see there")
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Header: w.Header(), InsecureSkipOriginCheck: true})
	if err == nil {
		c.Abort()
	}
}

// to is the URL at s that leads to the location.
func (s *redirector) to(location string) string {
	return s.URL + "/?to=" + url.QueryEscape(location)
}

// request is the next that came.
func (s *redirector) request(t *testing.T) *http.Request {
	t.Helper()
	select {
	case r := <-s.requests:
		return r
	default:
		t.Fatal("no request")
		return nil
	}
}

// wantDialled dials and returns where that led to.
func wantDialled(t *testing.T, address string, opts *websocket.DialOptions) string {
	t.Helper()
	c, err := websocket.Dial(t.Context(), address, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	return c.URL().String()
}

// wantRedirectError dials in vain, for a redirect that is not followed.
func wantRedirectError(t *testing.T, address string, opts *websocket.DialOptions) *websocket.RedirectError {
	t.Helper()
	err := wantDialError(t, address, opts)
	var failed *websocket.HandshakeError
	var redirect *websocket.RedirectError
	if !errors.As(err, &failed) || !errors.As(err, &redirect) {
		t.Fatalf("%T: %v", err, err)
	}
	if failed.Status != http.StatusFound || failed.Header.Get("Location") == "" || string(failed.Body) != "see there" {
		t.Errorf("status %d, header %v, body %q", failed.Status, failed.Header, failed.Body)
	}
	return redirect
}

func TestRedirectsAreFollowed(t *testing.T) {
	s := newRedirector(t, httptest.NewServer)
	at := strings.Replace(s.URL, "http:", "ws:", 1)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s.status = status
		for location, want := range map[string]string{
			"/a?b":                             at + "/a?b",
			"c#d":                              at + "/c",
			at + "/e":                          at + "/e",
			s.URL + "/f":                       at + "/f",
			s.URL + "/\u00fc%20 x":             at + "/%C3%BC%20%20x",
			"//" + s.Listener.Addr().String():  at,
			strings.Replace(at, "ws", "WS", 1): at,
			s.to("/g?to=%2Fh"):                 at + "/h",
		} {
			if got := wantDialled(t, s.to(location), &websocket.DialOptions{MaxRedirects: 3}); got != want {
				t.Errorf("%d to %s: %s", status, location, got)
			}
		}
	}
}

func TestRedirectsAreOffByDefault(t *testing.T) {
	s := newRedirector(t, httptest.NewServer)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s.status = status
		err := wantDialError(t, s.to("/"), nil)
		var failed *websocket.HandshakeError
		var redirect *websocket.RedirectError
		if !errors.As(err, &failed) || errors.As(err, &redirect) || failed.Status != status || string(failed.Body) != "see there" {
			t.Errorf("%d: %v", status, err)
		}
	}
	for _, status := range []int{300, 304, 305, 306, 200, 404} {
		s.status = status
		err := wantDialError(t, s.to("/"), &websocket.DialOptions{MaxRedirects: 10})
		var redirect *websocket.RedirectError
		if errors.As(err, &redirect) {
			t.Errorf("%d: %v", status, err)
		}
	}
	for _, n := range []int{-1, 11} {
		var misused *websocket.UsageError
		if err := wantDialError(t, s.URL, &websocket.DialOptions{MaxRedirects: n}); !errors.As(err, &misused) {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestRedirectsAreCounted(t *testing.T) {
	s := newRedirector(t, httptest.NewServer)
	address := s.URL + "/last"
	for n := range 10 {
		address = s.to(address)
		if got := wantDialled(t, address, &websocket.DialOptions{MaxRedirects: n + 1}); !strings.HasSuffix(got, "/last") {
			t.Errorf("%d: %s", n, got)
		}
		if n == 0 {
			continue
		}
		if err := wantRedirectError(t, address, &websocket.DialOptions{MaxRedirects: n}); err.Followed != n || err.Reason != "too many" {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestRedirectsThatAreNotFollowed(t *testing.T) {
	s := newRedirector(t, httptest.NewTLSServer)
	opts := &websocket.DialOptions{MaxRedirects: 10, TLSConfig: trusting(s.Server)}
	insecure := strings.Replace(s.URL, "https", "http", 1)
	for location, reason := range map[string]string{
		insecure:                              "it leads from wss to ws",
		insecure + "/?" + proxyPassword:       "it leads from wss to ws",
		"ws://127.0.0.1:1/":                   "it leads from wss to ws",
		"ftp://127.0.0.1/":                    "the Location is malformed, or no WebSocket URL",
		"http:opaque":                         "the Location is malformed, or no WebSocket URL",
		"https://":                            "the Location is malformed, or no WebSocket URL",
		"https://127.0.0.1:99999/":            "the Location is malformed, or no WebSocket URL",
		"https://us3r:s3cret#@127.0.0.1/":     "the Location is malformed, or no WebSocket URL",
		"https://us3r:s3cret%zz@127.0.0.1/":   "the Location is malformed, or no WebSocket URL",
		"https://us3r%3a:s3cret@127.0.0.1:x/": "the Location is malformed, or no WebSocket URL",
	} {
		if err := wantRedirectError(t, s.to(location), opts); err.Reason != reason || err.Followed != 0 {
			t.Errorf("%s: %v", location, err)
		}
	}
	// To itself, and in a circle of two.
	loop := newRedirector(t, func(http.Handler) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			to := map[string]string{"/self": "/self", "/a": "/b", "/b": "/a"}[r.URL.Path]
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			io.WriteString(w, "see there")
		}))
	})
	for path, followed := range map[string]int{"/self": 0, "/a": 1, "/b": 1} {
		err := wantRedirectError(t, loop.URL+path, opts)
		if err.Followed != followed || err.Reason != "it leads back to a request already made" {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestRedirectWithoutOneLocation(t *testing.T) {
	var locations []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if locations != nil {
			w.Header()["Location"] = locations
		}
		w.WriteHeader(http.StatusFound)
		io.WriteString(w, "see there")
	}))
	defer s.Close()
	opts := &websocket.DialOptions{MaxRedirects: 1}
	err := wantDialError(t, s.URL, opts)
	var redirect *websocket.RedirectError
	if errors.As(err, &redirect) {
		t.Error(err)
	}
	locations = []string{"/a", "/b"}
	wantRedirectError(t, s.URL, opts)
}

// TestRedirectsKeepSecrets has what goes to which host.
func TestRedirectsKeepSecrets(t *testing.T) {
	first, second := newRedirector(t, httptest.NewServer), newRedirector(t, httptest.NewServer)
	header := http.Header{"authorization": {"token"}, "Cookie": {"a=b"}, "X-Own": {"c"}, "Origin": {"http://d.example"}}
	dial := func(address string, opts *websocket.DialOptions) {
		t.Helper()
		opts.MaxRedirects, opts.Host = 5, "named.example"
		wantDialled(t, strings.Replace(address, "http://", "ws://us3r:s3cret@", 1), opts)
	}
	want := func(r *http.Request, authorization, cookie, host string) {
		t.Helper()
		if r.Header.Get("Authorization") != authorization || r.Header.Get("Cookie") != cookie || r.Host != host {
			t.Errorf("authorization %q, cookie %q, host %s", r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Host)
		}
	}

	// On the same host all of it goes along.
	dial(first.to("/a"), &websocket.DialOptions{Header: header})
	want(first.request(t), "token", "a=b", "named.example")
	want(first.request(t), "token", "a=b", "named.example")
	dial(first.to("/a"), &websocket.DialOptions{})
	want(first.request(t), proxyBasic, "", "named.example")
	want(first.request(t), proxyBasic, "", "named.example")

	// To another none does, nor back again. Who redirects has no secrets to tell.
	for _, own := range []http.Header{header, nil} {
		back := strings.Replace(first.URL, "http://", "ws://evil:pw@", 1) + "/back"
		dial(first.to(second.to(back)), &websocket.DialOptions{Header: own})
		if own == nil {
			want(first.request(t), proxyBasic, "", "named.example")
		} else {
			want(first.request(t), "token", "a=b", "named.example")
		}
		there, again := second.request(t), first.request(t)
		want(there, "", "", second.Listener.Addr().String())
		want(again, "", "", first.Listener.Addr().String())
		if own != nil && (there.Header.Get("X-Own") != "c" || there.Header.Get("Origin") != "http://d.example") {
			t.Errorf("the other headers are lost: %v", there.Header)
		}
	}
	if len(header) != 4 {
		t.Error("the options were written to")
	}
}

// TestRedirectFromHTTPToTLS is what servers send who have both.
func TestRedirectFromHTTPToTLS(t *testing.T) {
	first, second := newRedirector(t, httptest.NewServer), newRedirector(t, httptest.NewTLSServer)
	got := wantDialled(t, first.to(second.URL+"/x"), &websocket.DialOptions{MaxRedirects: 1, TLSConfig: trusting(second.Server)})
	if got != strings.Replace(second.URL, "https", "wss", 1)+"/x" {
		t.Error(got)
	}
}

// TestRedirectsThroughAProxy asks the proxy for each.
func TestRedirectsThroughAProxy(t *testing.T) {
	s := newRedirector(t, httptest.NewServer)
	p := newConnectProxy(s.Listener.Addr().String())
	asked := make(chan string, 3)
	lead := proxyTo("http", listen(t, p.serve))
	wantDialled(t, "ws://a.example/?to="+url.QueryEscape("ws://b.example:8080/c"), &websocket.DialOptions{
		MaxRedirects: 1,
		Proxy: func(r *http.Request) (*url.URL, error) {
			asked <- r.URL.String()
			return lead(r)
		},
	})
	if a, b := p.request(t).Host, p.request(t).Host; a != "a.example:80" || b != "b.example:8080" {
		t.Errorf("%s, %s", a, b)
	}
	if a, b := <-asked, <-asked; a != "http://a.example/?to=ws%3A%2F%2Fb.example%3A8080%2Fc" || b != "http://b.example:8080/c" {
		t.Errorf("%s, %s", a, b)
	}
}

func TestOpenFollowsRedirects(t *testing.T) {
	s := newRedirector(t, httptest.NewServer)
	c := websocket.Open(s.to("/there"), &websocket.DialOptions{MaxRedirects: 1})
	<-c.Opened()
	if got := c.URL().Path; got != "/there" {
		t.Error(got)
	}
	c.Abort()
	<-c.Closed()
}

// A notedJar notes the URLs it is asked about.
type notedJar struct {
	http.CookieJar
	urls []string
}

func newJar(t *testing.T) *notedJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &notedJar{CookieJar: jar}
}

func (j *notedJar) Cookies(u *url.URL) []*http.Cookie {
	j.urls = append(j.urls, "for "+u.String())
	return j.CookieJar.Cookies(u)
}

func (j *notedJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.urls = append(j.urls, "from "+u.String())
	j.CookieJar.SetCookies(u, cookies)
}

// names are those of cookies, in order.
func names(cookies []*http.Cookie) string {
	var all []string
	for _, c := range cookies {
		all = append(all, c.Name)
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}

func TestJar(t *testing.T) {
	jar := newJar(t)
	first, second := newRedirector(t, httptest.NewServer), newRedirector(t, httptest.NewTLSServer)
	opts := &websocket.DialOptions{Jar: jar, MaxRedirects: 3, TLSConfig: trusting(second.Server)}
	stored := func(s *redirector) string {
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		return names(jar.CookieJar.Cookies(u))
	}

	// A success, a redirect and a refusal all set cookies, and the next gets them.
	first.cookie = "success=1"
	wantDialled(t, first.URL, opts)
	if got := first.request(t).Header["Cookie"]; got != nil {
		t.Errorf("sent %v", got)
	}
	first.cookie, second.cookie = "redirect=1", "secure=1"
	wantDialled(t, first.to(second.URL), opts)
	if got := names(first.request(t).Cookies()); got != "[success]" {
		t.Errorf("sent %s", got)
	}
	at := first.to(second.URL)
	if want := []string{"for " + first.URL, "from " + first.URL, "for " + at, "from " + at, "for " + second.URL, "from " + second.URL}; !slices.Equal(jar.urls, want) {
		t.Errorf("the jar was asked %q, not %q", jar.urls, want)
	}
	first.cookie, first.status = "refusal=1", http.StatusForbidden
	wantDialError(t, first.to("/"), opts)
	if got := stored(first); got != "[redirect refusal secure success]" { // a jar knows no ports
		t.Errorf("stored %s", got)
	}

	// Those of the application go first, in the one header there may be.
	first.request(t)
	header := http.Header{"cookie": {"own=1; b=2", "c=3"}, "X-Own": {"d"}}
	before := header.Clone()
	opts.Header = header
	wantDialled(t, first.URL, opts)
	got := first.request(t)
	if got.Header.Get("X-Own") != "d" || len(got.Header["Cookie"]) != 1 || !strings.HasPrefix(got.Header.Get("Cookie"), "own=1; b=2; c=3; ") ||
		names(got.Cookies()) != "[b c own redirect refusal secure success]" {
		t.Errorf("sent %v", got.Header)
	}
	if !reflect.DeepEqual(header, before) {
		t.Error("the options were written to")
	}
}

// TestJarBreaksALoop is a server that sets a cookie and asks to come again.
func TestJarBreaksALoop(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("seen"); err != nil {
			http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1"})
			w.Header().Set("Location", r.URL.String())
			w.WriteHeader(http.StatusFound)
			io.WriteString(w, "see there")
			return
		}
		if c, err := websocket.Accept(w, r, nil); err == nil {
			c.Abort()
		}
	}))
	defer s.Close()
	jar := newJar(t)
	wantRedirectError(t, s.URL+"/", &websocket.DialOptions{MaxRedirects: 10})
	wantDialled(t, s.URL+"/", &websocket.DialOptions{MaxRedirects: 10, Jar: jar})
}
