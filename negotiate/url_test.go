package negotiate

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, row := range []struct {
		raw, shown, address, host, server, path string
		secure                                  bool
	}{
		{"ws://a.example", "ws://a.example", "a.example:80", "a.example", "a.example", "/", false},
		{"ws://a.example/", "ws://a.example/", "a.example:80", "a.example", "a.example", "/", false},
		{"wss://a.example/b?c=d", "wss://a.example/b?c=d", "a.example:443", "a.example", "a.example", "/b?c=d", true},
		{"http://a.example?c", "ws://a.example?c", "a.example:80", "a.example", "a.example", "/?c", false},
		{"HTTPS://A.example/", "wss://A.example/", "A.example:443", "A.example", "A.example", "/", true},
		{"ws://a.example:80/", "ws://a.example/", "a.example:80", "a.example", "a.example", "/", false},
		{"ws://a.example:/", "ws://a.example/", "a.example:80", "a.example", "a.example", "/", false},
		{"ws://a.example:443/", "ws://a.example:443/", "a.example:443", "a.example:443", "a.example", "/", false},
		{"wss://a.example:443/", "wss://a.example/", "a.example:443", "a.example", "a.example", "/", true},
		{"wss://a.example:8443/", "wss://a.example:8443/", "a.example:8443", "a.example:8443", "a.example", "/", true},
		{"ws://192.0.2.1/", "ws://192.0.2.1/", "192.0.2.1:80", "192.0.2.1", "192.0.2.1", "/", false},
		{"ws://[::1]/", "ws://[::1]/", "[::1]:80", "[::1]", "::1", "/", false},
		{"wss://[2001:DB8::0:1]:8/", "wss://[2001:db8::1]:8/", "[2001:db8::1]:8", "[2001:db8::1]:8", "2001:db8::1", "/", true},
		{"ws://[fe80::1%25eth0]:8/", "ws://[fe80::1%25eth0]:8/", "[fe80::1%eth0]:8", "[fe80::1]:8", "fe80::1", "/", false},
		{"ws://xn--bcher-kva.example/", "ws://xn--bcher-kva.example/", "xn--bcher-kva.example:80", "xn--bcher-kva.example", "xn--bcher-kva.example", "/", false},
		{"ws://a_b.example/", "ws://a_b.example/", "a_b.example:80", "a_b.example", "a_b.example", "/", false},
		{"ws://u:p@a.example/", "ws://a.example/", "a.example:80", "a.example", "a.example", "/", false},
		{"ws://a.example//b/../c", "ws://a.example//b/../c", "a.example:80", "a.example", "a.example", "//b/../c", false},
	} {
		target, err := ParseURL(row.raw)
		if err != nil {
			t.Errorf("%s: %v", row.raw, err)
			continue
		}
		got := []string{target.URL.String(), target.Address, target.Host, target.ServerName, string(target.appendPath(nil))}
		want := []string{row.shown, row.address, row.host, row.server, row.path}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: %q, want %q", row.raw, got[i], want[i])
			}
		}
		if target.Secure != row.secure {
			t.Errorf("%s: secure %t", row.raw, target.Secure)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, raw := range []string{
		"", "a.example", "/chat", "//a.example/", "ftp://a.example/", "ws:a.example", "ws:///chat", "ws://:80/",
		"ws://a.example/#top", "ws://a.example/#", "ws://a.example/?a#b",
		"ws://a.example:0/", "ws://a.example:65536/", "ws://a.example:x/", "ws://a.example:-1/",
		"ws://a b.example/", "ws://a.example\r\n/", "ws://a.example/\r\nX: y", "ws://a%0d.example/", "ws://a.example/\x00",
		"ws://[::1/", "ws://[g::1]/", "ws://[1.2.3.4]/", "ws://[fe80::1%25e\xa8\xad0]/", "ws://[fe80::1%25a b]/", "ws://[fe80::1%25]/", "ws://a,b<c/", "ws://\u00e9\u0000.example/", "ws://\xff.example/", "ws://b\u00fccher.example/", "ws://%c3%bc.example/",
		"ws://us%3Aer:pa55@a.example/", "ws://user:pa55#word@a.example/", "ws://user:pa55@a.example:x/", "ws://user:pa55@/",
	} {
		_, err := ParseURL(raw)
		var e *URLError
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", raw, err)
			continue
		}
		if strings.Contains(err.Error(), "pa55") {
			t.Errorf("%q: the error shows the password: %v", raw, err)
		}
	}
}

func TestNewTargetOfHandMadeURL(t *testing.T) {
	for _, u := range []url.URL{
		{Scheme: "ws", Host: "a.example", Path: "b"},
		{Scheme: "ws", Host: "a.example", Path: "*"},
		{Scheme: "ws", Host: "a\r\nb"},
		{Scheme: "ws", Opaque: "//a.example/"},
		{Scheme: "ws", Host: "a.example", Fragment: "b"},
	} {
		if target, err := NewTarget(&u); err == nil {
			t.Errorf("%#v gives %+v", u, target)
		}
	}
	u := url.URL{Scheme: "ws", Host: "a.example", Path: "/b\r\nc", RawQuery: "d\r\ne: f"}
	target, err := NewTarget(&u)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Client(target, [16]byte{}, nil)
	if err != nil || !strings.HasPrefix(string(h.AppendRequest(nil)), "GET /b%0D%0Ac?d%0D%0Ae:%20f HTTP/1.1\r\nHost: a.example\r\nUpgrade") {
		t.Errorf("%v\n%s", err, h.AppendRequest(nil))
	}
}
