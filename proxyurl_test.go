package websocket

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/chanws/websocket/negotiate"
)

// FuzzProxyURL: what becomes of a proxy's URL is an address to dial, or an error that
// shows nothing of it.
func FuzzProxyURL(f *testing.F) {
	f.Add("http://us3r:s3cret@proxy.example")
	f.Add("socks5h://[fe80::1%25eth0]:1080")
	f.Add("us3r:s3cret@proxy.example:80")
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.Parse(raw)
		if err != nil {
			return
		}
		p, err := newProxyServer(u)
		if err != nil {
			var failed *ProxyError
			if !errors.As(err, &failed) {
				t.Errorf("%q: %v", raw, err)
			}
			// A host may be a word of the text anyhow; one that is no word shows.
			u.Host = "qzxj" + u.Host
			if _, err := newProxyServer(u); err != nil && strings.Contains(err.Error(), "qzxj") {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		host, port, err := net.SplitHostPort(p.address)
		if number, bad := strconv.Atoi(port); err != nil || bad != nil || number < 1 || number > 65535 || host == "" || p.serverName == "" {
			t.Errorf("%q: address %q", raw, p.address)
		}
		if strings.Contains(p.String(), "@") {
			t.Errorf("%q is shown as %q", raw, p)
		}
	})
}

// FuzzLocation: wherever a redirect leads, it is to a WebSocket URL, not from wss to
// ws, and nothing that is for one host goes to another.
func FuzzLocation(f *testing.F) {
	f.Add("/a?b#c")
	f.Add("ws://evil:pw@a.example/")
	f.Add("https://b.example:8443")
	f.Add("//A.example:443/x")
	f.Fuzz(func(t *testing.T, location string) {
		d, err := newDialing("wss://us3r:s3cret@a.example/dir/x", &DialOptions{
			MaxRedirects: 1,
			Header:       http.Header{"Cookie": {"s3cret"}, "X-Own": {"a"}},
			Host:         "named.example",
		})
		if err != nil {
			t.Fatal(err)
		}
		err = d.redirect(&negotiate.ResponseError{Status: 302, Header: http.Header{"Location": {location}}})
		if err != nil {
			var refused *RedirectError
			if !errors.As(err, &refused) {
				t.Errorf("%q: %v", location, err)
			}
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(d.request.AppendRequest(nil)))))
		if err != nil {
			t.Fatalf("%q: %v", location, err)
		}
		user, password, known := r.BasicAuth()
		same, host := strings.EqualFold(d.target.Address, "a.example:443"), d.target.Host
		if same {
			host = "named.example"
		}
		if !d.target.Secure || known != same || known && (user != "us3r" || password != "s3cret") ||
			(r.Header.Get("Cookie") != "") != same || r.Host != host || r.Header.Get("X-Own") != "a" {
			t.Errorf("%q leads to %s, host %s, with %v", location, d.target.URL, r.Host, r.Header)
		}
	})
}

// TestProxiedConnectionIsAsFast: what is TCP without the proxy is treated as TCP
// with it.
func TestProxiedConnectionIsAsFast(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Accept(w, r, nil); err == nil {
			<-c.Closed()
		}
	}))
	defer origin.Close()
	direct := wantTransport(t, origin.URL, &DialOptions{Proxy: NoProxy})
	for scheme, answers := range map[string][]string{
		"http":   {"HTTP/1.1 200 OK\r\n\r\n"},
		"socks5": {"\x05\x00", "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			relay(l, answers, origin.Listener.Addr().String())
		}()
		proxied := wantTransport(t, "ws://a.example", &DialOptions{
			Proxy: http.ProxyURL(&url.URL{Scheme: scheme, Host: l.Addr().String()}),
		})
		if proxied != direct {
			t.Errorf("%s: the transport is generic: %v, directly: %v", scheme, proxied, direct)
		}
		l.Close()
		<-done
	}
}

// wantTransport dials and reports whether the transport is the one for any net.Conn.
func wantTransport(t *testing.T, address string, opts *DialOptions) (generic bool) {
	t.Helper()
	c, err := Dial(t.Context(), address, opts)
	if err != nil {
		t.Fatal(err)
	}
	_, generic = c.currentTransport().(*connTransport)
	c.Abort()
	<-c.Closed()
	return generic
}

// relay takes one connection, answers what comes with one answer after the other, and
// leads the rest to the address.
func relay(l net.Listener, answers []string, address string) {
	in, err := l.Accept()
	if err != nil {
		return
	}
	defer in.Close()
	request := make([]byte, 1<<10)
	for _, answer := range answers {
		in.Read(request)
		io.WriteString(in, answer)
	}
	out, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		io.Copy(in, out)
		in.Close()
	}()
	io.Copy(out, in)
	out.Close()
	<-back
}
