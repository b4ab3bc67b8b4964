package negotiate

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The ways in which an extended CONNECT reaches a handler: by net/http, and by
// quic-go.
var extendedConnects = map[string]func(protocol string) *http.Request{
	"HTTP/2": func(protocol string) *http.Request {
		r := connectRequest(2, "HTTP/2.0")
		if protocol != "" {
			r.Header[":protocol"] = []string{protocol}
		}
		return r
	},
	"HTTP/3": func(protocol string) *http.Request {
		if protocol == "" {
			protocol = "HTTP/3.0"
		}
		return connectRequest(3, protocol)
	},
}

// connectRequest is the request of RFC 8441, section 5.1.
func connectRequest(major int, proto string) *http.Request {
	return &http.Request{
		Method: "CONNECT", Proto: proto, ProtoMajor: major,
		Host: "server.example.com",
		URL:  &url.URL{Path: "/chat"},
		Header: http.Header{
			"Sec-Websocket-Protocol":   {"chat, superchat"},
			"Sec-Websocket-Extensions": {"permessage-deflate"},
			"Sec-Websocket-Version":    {"13"},
			"Origin":                   {"http://www.example.com"},
		},
	}
}

func TestSampleOfRFC8441(t *testing.T) {
	for name, request := range extendedConnects {
		t.Run(name, func(t *testing.T) {
			r := request("websocket")
			if !IsWebSocket(r) {
				t.Error("IsWebSocket is false")
			}
			h, err := Server(r, &ServerOptions{
				Subprotocols:   []string{"chat"},
				OriginPatterns: []string{"*.example.com"},
				Header:         http.Header{"Set-Cookie": {"a=b"}, "Upgrade": {"no"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			if h.Status() != 200 || h.Version != Hybi13 || h.Subprotocol != "chat" || h.NeedsBody() {
				t.Errorf("status %d, version %q, subprotocol %q", h.Status(), h.Version, h.Subprotocol)
			}
			want := http.Header{"Sec-Websocket-Protocol": {"chat"}, "Set-Cookie": {"a=b"}}
			if got := h.Header(); !reflect.DeepEqual(got, want) {
				t.Errorf("headers %v, want %v", got, want)
			}
			if b := h.AppendResponse(nil); len(b) > 0 {
				t.Errorf("bytes of HTTP/1.1: %q", b)
			}
		})
	}
	h, err := Server(readRequest(t, sampleRequest), &ServerOptions{InsecureSkipOriginCheck: true})
	if err != nil || h.Status() != 101 {
		t.Errorf("HTTP/1.1: %v, status %d", err, h.Status())
	}
}

func TestExtendedConnectRules(t *testing.T) {
	skip := &ServerOptions{InsecureSkipOriginCheck: true}
	for _, test := range []struct {
		name    string
		change  func(r *http.Request)
		opts    *ServerOptions
		status  int
		section string
	}{
		{"GET", func(r *http.Request) { r.Method = "GET" }, skip, 405, "RFC 8441, section 4"},
		{"POST", func(r *http.Request) { r.Method = "POST" }, skip, 405, "RFC 8441, section 4"},
		{"no version", func(r *http.Request) { delete(r.Header, "Sec-Websocket-Version") }, skip, 400, "RFC 8441, section 5"},
		{"other version", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") }, &ServerOptions{InsecureSkipOriginCheck: true, AllowDrafts: true}, 400, "RFC 6455, section 4.4"},
		{"two versions", func(r *http.Request) { r.Header.Add("Sec-WebSocket-Version", "13") }, skip, 400, "RFC 6455, section 11.3.5"},
		{"no host", func(r *http.Request) { r.Host = "" }, skip, 400, "RFC 8441, section 4"},
		{"user in host", func(r *http.Request) { r.Host = "a@b" }, skip, 400, "RFC 8441, section 4"},
		{"origin", func(*http.Request) {}, nil, 403, "RFC 6455, section 4.2.2"},
		{"subprotocols", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Protocol", "a, a") }, skip, 400, "RFC 6455, section 4.1"},
		{"extensions", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Extensions", ";") }, skip, 400, "RFC 6455, section 9.1"},
	} {
		for name, request := range extendedConnects {
			t.Run(name+" "+test.name, func(t *testing.T) {
				r := request("websocket")
				test.change(r)
				_, err := Server(r, test.opts)
				e := wantRefused(t, err, test.status, test.section)
				if e != nil && (e.Header.Get("Upgrade") != "" || e.Header.Get("Connection") != "") {
					t.Errorf("headers of HTTP/1.1: %v (RFC 9113, section 8.2.2)", e.Header)
				}
				if strings.Contains(test.name, "version") &&
					e.Header.Get("Sec-WebSocket-Version") != "13" {
					t.Errorf("the version is not named: %v", e.Header)
				}
			})
		}
	}
}

func TestOtherProtocolsOfCONNECT(t *testing.T) {
	for name, request := range extendedConnects {
		for protocol, section := range map[string]string{
			"":           "RFC 8441, section 4",
			"connect-ip": "RFC 9220, section 3",
			"web socket": "RFC 9220, section 3",
		} {
			r := request(protocol)
			if IsWebSocket(r) {
				t.Errorf("%s %q: IsWebSocket", name, protocol)
			}
			_, err := Server(r, nil)
			wantRefused(t, err, 501, section)
		}
	}
}

// What only HTTP/2 and HTTP/3 can say counts for nothing elsewhere.
func TestForgedProtocol(t *testing.T) {
	upgrade := func() *http.Request { return readRequest(t, sampleRequest) }
	for name, change := range map[string]func(r *http.Request) *http.Request{
		"CONNECT": func(*http.Request) *http.Request {
			r := connectRequest(1, "HTTP/1.1")
			r.Header[":protocol"] = []string{"websocket"}
			return r
		},
		"GET with Upgrade": func(r *http.Request) *http.Request {
			r.Header[":protocol"] = []string{"websocket"}
			return r
		},
	} {
		r := change(upgrade())
		_, err := Server(r, &ServerOptions{InsecureSkipOriginCheck: true})
		if wantRefused(t, err, 400, "RFC 6455, section 4.2.1"); r.Method == "CONNECT" && IsWebSocket(r) {
			t.Errorf("%s: IsWebSocket", name)
		}
	}
	r := connectRequest(3, "HTTP/3.0")
	r.Header[":protocol"] = []string{"websocket"}
	_, err := Server(r, nil)
	wantRefused(t, err, 501, "RFC 8441, section 4")
	r = connectRequest(2, "websocket")
	_, err = Server(r, nil)
	wantRefused(t, err, 501, "RFC 8441, section 4")
	r = connectRequest(1, "websocket")
	_, err = Server(r, nil)
	wantRefused(t, err, 405, "RFC 6455, section 4.2.1")
	// An Upgrade is nothing in HTTP/2.
	r = upgrade()
	r.ProtoMajor, r.ProtoMinor = 2, 0
	_, err = Server(r, nil)
	if wantRefused(t, err, 405, "RFC 8441, section 4"); IsWebSocket(r) {
		t.Error("IsWebSocket for an Upgrade in HTTP/2")
	}
}

func TestConnectHeader(t *testing.T) {
	target, err := ParseURL("wss://user:secret@example.com:8443/chat?x=y")
	if err != nil {
		t.Fatal(err)
	}
	h, err := Client(target, [16]byte{}, &ClientOptions{Subprotocols: []string{"a", "b"}, Header: http.Header{"Origin": {"https://o"}}})
	if err != nil {
		t.Fatal(err)
	}
	got, host := h.ConnectHeader()
	want := http.Header{
		"Authorization":          {"Basic dXNlcjpzZWNyZXQ="},
		"Origin":                 {"https://o"},
		"Sec-Websocket-Protocol": {"a, b"},
		"Sec-Websocket-Version":  {"13"},
	}
	if !maps.EqualFunc(got, want, slices.Equal) || host != "example.com:8443" {
		t.Errorf("%q: %v, want %v", host, got, want)
	}
}

// The limit on the head of a response holds for one that comes parsed.
func TestConsumeConnectTooBig(t *testing.T) {
	target, _ := ParseURL("wss://server.example.com/chat")
	header := http.Header{"A": {"b", ""}, "Cc": {"ddd"}}
	const size = len("A: b\r\n") + len("A: \r\n") + len("Cc: ddd\r\n")
	large := http.Header{"A": {strings.Repeat("b", DefaultMaxHeaderBytes)}}
	for _, test := range []struct {
		limit, status int
		header        http.Header
		ok            bool
	}{
		{size, 200, header, true},
		{size - 1, 200, header, false},
		{size - 1, 403, header, false},
		{1, 200, nil, true},
		{0, 200, header, true},
		{0, 200, large, false},
		{2 * DefaultMaxHeaderBytes, 200, large, true},
	} {
		h, err := Client(target, [16]byte{}, &ClientOptions{MaxHeaderBytes: test.limit})
		if err != nil {
			t.Fatal(err)
		}
		err = h.ConsumeConnect(test.status, test.header)
		if test.ok {
			if err != nil {
				t.Errorf("limit %d: %v", test.limit, err)
			}
			continue
		}
		_, want := (&ClientHandshake{heads: headReader{limit: 1}}).Consume([]byte("HTTP/1.1"))
		if !reflect.DeepEqual(err, want) || !errors.Is(err, ErrHeaderTooBig) {
			t.Errorf("limit %d: %v, want %v", test.limit, err, want)
		}
	}
}

func TestConsumeConnect(t *testing.T) {
	for _, test := range []struct {
		name    string
		status  int
		header  http.Header
		section string
	}{
		{"200", 200, http.Header{"Sec-Websocket-Protocol": {"superchat"}}, ""},
		{"204", 204, nil, ""},
		{"101", 101, nil, "RFC 8441, section 5"},
		{"302", 302, nil, "RFC 8441, section 5"},
		{"403", 403, http.Header{"X": {"y"}}, "RFC 8441, section 5"},
		{"other subprotocol", 200, http.Header{"Sec-Websocket-Protocol": {"other"}}, "RFC 6455, section 4.1"},
		{"unasked extension", 200, http.Header{"Sec-Websocket-Extensions": {"x-y"}}, "RFC 6455, section 4.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := sampleClient(t)
			err := h.ConsumeConnect(test.status, test.header)
			if test.section != "" {
				failure := wantFailed(t, err, test.status, test.section)
				if failure != nil && !reflect.DeepEqual(failure.Header, test.header) {
					t.Errorf("header %v", failure.Header)
				}
				return
			}
			if err != nil || h.Subprotocol != test.header.Get("Sec-WebSocket-Protocol") {
				t.Errorf("%v, subprotocol %q", err, h.Subprotocol)
			}
		})
	}
}
