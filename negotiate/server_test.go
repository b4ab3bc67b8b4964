package negotiate

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sampleRequest is the one of RFC 6455, section 1.3.
const sampleRequest = "GET /chat HTTP/1.1\r\n" +
	"Host: server.example.com\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Origin: http://example.com\r\n" +
	"Sec-WebSocket-Protocol: chat, superchat\r\n" +
	"Sec-WebSocket-Version: 13\r\n\r\n"

const sampleResponse = "HTTP/1.1 101 Switching Protocols\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
	"Sec-WebSocket-Protocol: chat\r\n\r\n"

func readRequest(t testing.TB, text string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// edit replaces old in the sample request: a test row says what is different.
func edit(t testing.TB, pairs ...string) string {
	t.Helper()
	text := sampleRequest
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("no %q in %q", pairs[i], text)
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

func TestSampleOfSection1_3(t *testing.T) {
	h, err := Server(readRequest(t, sampleRequest), &ServerOptions{
		Subprotocols:   []string{"superchat", "chat"},
		OriginPatterns: []string{"example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(h.AppendResponse(nil)); got != sampleResponse {
		t.Errorf("response:\n%s\nwant:\n%s", got, sampleResponse)
	}
	if h.Version != Hybi13 || h.Subprotocol != "chat" || h.NeedsBody() || h.Extensions() != nil {
		t.Errorf("handshake: %+v", h)
	}
	if got := AcceptKey("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}

func wantRefused(t *testing.T, err error, status int, section string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *Error", err)
	}
	if e.Status != status || !strings.Contains(e.Section, section) {
		t.Errorf("refused with %d (%s), want %d (%s): %s", e.Status, e.Section, status, section, e.Reason)
	}
	return e
}

// TestRequestRules has a row for each thing RFC 6455 asks of a request, and of
// the server that reads it.
func TestRequestRules(t *testing.T) {
	const upgrade, connection = "Upgrade: websocket\r\n", "Connection: Upgrade\r\n"
	const key, version = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "Sec-WebSocket-Version: 13\r\n"
	const origin, protocol = "Origin: http://example.com\r\n", "Sec-WebSocket-Protocol: chat, superchat\r\n"
	for _, row := range []struct {
		name    string
		edits   []string
		status  int // 0: accepted
		section string
	}{
		{"as it is", nil, 0, ""},
		{"method", []string{"GET ", "POST "}, 405, "4.2.1"},
		{"HTTP/1.0", []string{"HTTP/1.1", "HTTP/1.0"}, 400, "4.2.1"},
		{"HTTP/1.2", []string{"HTTP/1.1", "HTTP/1.2"}, 0, ""},
		{"absolute URI", []string{"GET /chat", "GET http://server.example.com/chat"}, 0, ""},
		{"opaque URI", []string{"GET /chat", "GET mailto:a"}, 400, "4.1"},
		{"no host", []string{"Host: server.example.com\r\n", ""}, 400, "4.2.1"},
		{"malformed host", []string{"Host: server", "Host: evil@server"}, 400, "4.2.1"},

		{"body", []string{version, version + "Content-Length: 8\r\n"}, 400, "7.8"},
		{"body in chunks", []string{version, version + "Transfer-Encoding: chunked\r\n"}, 400, "7.8"},
		{"empty body", []string{version, version + "Content-Length: 0\r\n"}, 0, ""},

		{"no upgrade", []string{upgrade, ""}, 426, "4.2.1"},
		{"other upgrade", []string{upgrade, "Upgrade: h2c\r\n"}, 426, "4.2.1"},
		{"upgrade in any case", []string{upgrade, "Upgrade: WebSocket\r\n"}, 0, ""},
		{"upgrade among others", []string{upgrade, "Upgrade: h2c, websocket\r\n"}, 0, ""},
		{"upgrade with a Kelvin sign", []string{upgrade, "Upgrade: websoc\u212Aet\r\n"}, 426, "4.2.1"},
		{"upgrade with more to it", []string{upgrade, "Upgrade: websocket2\r\n"}, 426, "4.2.1"},
		{"no connection", []string{connection, ""}, 400, "4.2.1"},
		{"other connection", []string{connection, "Connection: keep-alive\r\n"}, 400, "4.2.1"},
		{"connection in any case", []string{connection, "Connection: uPGRADE\r\n"}, 0, ""},
		{"connection among others", []string{connection, "Connection: keep-alive, Upgrade\r\n"}, 0, ""},
		{"connection among others without space", []string{connection, "Connection: Upgrade,keep-alive\r\n"}, 0, ""},
		{"connection over two lines", []string{connection, "Connection: keep-alive\r\nConnection: Upgrade\r\n"}, 0, ""},
		{"connection as part of a word", []string{connection, "Connection: upgraded\r\n"}, 400, "4.2.1"},

		{"no key", []string{key, ""}, 400, "4.2.1"},
		{"empty key", []string{"dGhlIHNhbXBsZSBub25jZQ==", ""}, 400, "4.2.1"},
		{"two keys", []string{key, key + key}, 400, "11.3.1"},
		{"key of 15 bytes", []string{"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"}, 400, "4.2.1"},
		{"key of 17 bytes", []string{"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZWU="}, 400, "4.2.1"},
		{"key not base64", []string{"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j*Q=="}, 400, "4.2.1"},
		{"key of base64url", []string{"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j-Q=="}, 400, "4.2.1"},
		{"key without padding", []string{"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"}, 400, "4.2.1"},

		{"no version", []string{version, ""}, 426, "4.2.1"},
		{"older version", []string{version, "Sec-WebSocket-Version: 8\r\n"}, 426, "4.4"},
		{"newer version", []string{version, "Sec-WebSocket-Version: 14\r\n"}, 426, "4.4"},
		{"version with a zero", []string{version, "Sec-WebSocket-Version: 013\r\n"}, 426, "4.4"},
		{"list of versions", []string{version, "Sec-WebSocket-Version: 13, 8\r\n"}, 426, "4.4"},
		{"empty version", []string{version, "Sec-WebSocket-Version:\r\n"}, 426, "4.4"},
		{"two versions", []string{version, version + version}, 426, "11.3.5"},

		{"no origin", []string{origin, ""}, 0, ""},
		{"foreign origin", []string{origin, "Origin: http://example.org\r\n"}, 403, "4.2.2"},
		{"two origins, one foreign", []string{origin, origin + "Origin: http://example.org\r\n"}, 403, "4.2.2"},

		{"no subprotocol", []string{protocol, ""}, 0, ""},
		{"subprotocols over two lines", []string{protocol, "Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: chat\r\n"}, 0, ""},
		{"empty elements", []string{protocol, "Sec-WebSocket-Protocol: , chat,,\r\n"}, 0, ""},
		{"subprotocol no token", []string{protocol, "Sec-WebSocket-Protocol: chat room\r\n"}, 400, "4.1"},
		{"subprotocol with separator", []string{protocol, "Sec-WebSocket-Protocol: chat/1\r\n"}, 400, "4.1"},
		{"subprotocol twice", []string{protocol, "Sec-WebSocket-Protocol: chat, chat\r\n"}, 400, "4.1"},
		{"65 subprotocols", []string{"chat, superchat", manyTokens(65)}, 400, "4.1"},
		{"64 subprotocols", []string{"chat, superchat", manyTokens(64)}, 0, ""},
		{"64 KiB of subprotocols", []string{"chat, superchat", "chat" + strings.Repeat(",", maxSubprotocolBytes-len("chat"))}, 0, ""},
		{"more than that", []string{"chat, superchat", "chat" + strings.Repeat(",", maxSubprotocolBytes-len("chat")+1)}, 400, "4.1"},
		{"more over two lines", []string{protocol, protocol + "Sec-WebSocket-Protocol: x" + strings.Repeat(",", maxSubprotocolBytes-len("chat, superchat")) + "\r\n"}, 400, "4.1"},

		{"unknown extension", []string{version, version + "Sec-WebSocket-Extensions: x-any; a=1\r\n"}, 0, ""},
		{"extension header malformed", []string{version, version + "Sec-WebSocket-Extensions: x-any; =1\r\n"}, 400, "9.1"},
		{"unknown header", []string{version, version + "X-Anything: at all\r\n"}, 0, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := readRequest(t, edit(t, row.edits...))
			h, err := Server(r, &ServerOptions{OriginPatterns: []string{"example.com"}, Subprotocols: []string{"chat"}})
			if row.status != 0 {
				checkRefusal(t, wantRefused(t, err, row.status, row.section))
				return
			}
			if err != nil || !IsWebSocket(r) {
				t.Fatalf("%v, IsWebSocket %t", err, IsWebSocket(r))
			}
			if h.Header().Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
				t.Error(h.Header())
			}
		})
	}
}

// checkRefusal checks that the response has what its status asks for.
func checkRefusal(t *testing.T, e *Error) {
	t.Helper()
	text := string(AppendError(nil, e))
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != e.Status || string(body) != e.Reason+"\n" || !response.Close {
		t.Errorf("%d %q, Close %t", response.StatusCode, body, response.Close)
	}
	if e.Status == 405 && response.Header.Get("Allow") != "GET" {
		t.Error("405 without Allow")
	}
	upgrade := strings.Contains(text, "\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n")
	if e.Status == 426 && (!upgrade || response.Header.Get("Sec-WebSocket-Version") != "13") {
		t.Error("426 without Upgrade or versions:", response.Header)
	}
}

func manyTokens(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "p" + strconv.Itoa(i)
	}
	return strings.Join(list, ", ")
}

func TestAppendErrorBytes(t *testing.T) {
	_, err := Server(readRequest(t, edit(t, "Version: 13", "Version: 9")), nil)
	const want = "HTTP/1.1 426 Upgrade Required\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\n" +
		"X-Content-Type-Options: nosniff\r\n" +
		"Connection: Upgrade, close\r\n" +
		"Upgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Content-Length: 48\r\n\r\n" +
		"this version of the protocol is not spoken here\n"
	got := string(AppendError(nil, wantRefused(t, err, 426, "4.4")))
	if got != want {
		t.Errorf("%s", got)
	}
}

func TestAppendErrorHoldsNoInjection(t *testing.T) {
	e := &Error{Status: 403, Header: http.Header{"X-A": {"b\r\nSet-Cookie: c=d"}}}
	if got := string(AppendError(nil, e)); strings.Contains(got, "Set-Cookie") || !strings.HasSuffix(got, "\r\n\r\nForbidden\n") {
		t.Errorf("%q", got)
	}
	e.Header = http.Header{"X-A": {"b"}, "Content-Length": {"7"}, "Transfer-Encoding": {"chunked"}}
	got := string(AppendError(nil, e))
	if !strings.Contains(got, "\r\nX-A: b\r\n") || strings.Count(got, "Content-Length") != 1 || strings.Contains(got, "chunked") {
		t.Errorf("%q", got)
	}
}

func TestIsWebSocketWithoutURLOrHeader(t *testing.T) {
	r := &http.Request{Method: "GET", ProtoMajor: 1, ProtoMinor: 1}
	if IsWebSocket(r) {
		t.Error("an empty request is a WebSocket's")
	}
	_, err := Server(r, nil)
	wantRefused(t, err, 400, "4.2.1")
	r = readRequest(t, edit(t, "http://example.com", "http://server.example.com"))
	r.URL = nil
	if _, err := Server(r, nil); err != nil {
		t.Error(err)
	}
	if got := new(ServerOptions).URL(r).String(); got != "ws://server.example.com/" {
		t.Error(got)
	}
}

func TestSelectSubprotocol(t *testing.T) {
	request := edit(t, "Origin: http://example.com\r\n", "")
	choose := func(answer string) (*ServerHandshake, error) {
		return Server(readRequest(t, request), &ServerOptions{
			Subprotocols: []string{"chat"},
			SelectSubprotocol: func(r *http.Request, offered []string) string {
				if r.URL.Path != "/chat" || !slices.Equal(offered, []string{"chat", "superchat"}) {
					t.Errorf("called with %s %q", r.URL, offered)
				}
				offered[0] = "mine" // a caller may do so
				return answer
			},
		})
	}
	for _, answer := range []string{"superchat", "chat", ""} {
		h, err := choose(answer)
		if err != nil || h.Subprotocol != answer {
			t.Errorf("%q: %v, %v", answer, h, err)
		}
	}
	_, err := choose("mine")
	wantRefused(t, err, 500, "")
	var option *OptionError
	if !errors.As(err, &option) || option.Option != "SelectSubprotocol" {
		t.Error(err)
	}
}

func TestOwnResponseHeader(t *testing.T) {
	header := http.Header{
		"Set-Cookie":             {"a=1", "b=2"},
		"X-Zone":                 {"eu"},
		"connection":             {"close"},
		"Upgrade":                {"h2c"},
		"sec-webSocket-Accept":   {"mine"},
		"Sec-Websocket-Protocol": {"mine"},
		"Content-Length":         {"5"},
		"Transfer-Encoding":      {"chunked"},
	}
	opts := &ServerOptions{Header: header}
	before := header.Clone()
	h, err := Server(readRequest(t, edit(t, "Origin: http://example.com\r\n", "")), opts)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(sampleResponse, "Sec-WebSocket-Protocol: chat\r\n", "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Zone: eu\r\n", 1)
	if got := string(h.AppendResponse([]byte("before "))); got != "before "+want {
		t.Errorf("%s", got)
	}
	if !reflect.DeepEqual(header, before) {
		t.Error("the caller's header was changed")
	}
	for name, value := range map[string]string{"X-A": "b\r\nc: d", "X-B": "\x00", "X-C": "\n", "X D": "e", "": "f", "X-G\r\n": "h"} {
		_, err := Server(readRequest(t, edit(t, "http://example.com", "http://server.example.com")), &ServerOptions{Header: http.Header{name: {value}}})
		wantRefused(t, err, 500, "")
	}
}

func TestOrigins(t *testing.T) {
	for _, row := range []struct {
		origin, host, pattern string
		want                  bool
	}{
		{"http://a.example", "a.example", "", true},
		{"https://a.example", "a.example", "", true},
		{"http://A.example", "a.EXAMPLE", "", true},
		{"https://a.example", "a.example:443", "", true},
		{"http://a.example", "a.example:80", "", true},
		{"http://a.example", "a.example:443", "", false},
		{"http://a.example:8080", "a.example:8080", "", true},
		{"http://a.example:8080", "a.example", "", false},
		{"http://[::1]:8080", "[::1]:8080", "", true},
		{"http://a.example.evil", "a.example", "", false},
		{"http://evil@a.example", "a.example", "", false},
		{"http://a.example/path", "a.example", "", false},
		{"http://a.example#", "a.example", "", false},
		{"http://a.example http://b.example", "a.example", "", false},
		{"//a.example", "a.example", "", false},
		{"a.example", "a.example", "", false},
		{"null", "a.example", "", false},
		{"", "a.example", "", false},

		{"http://b.example", "a.example", "b.example", true},
		{"http://B.example", "a.example", "b.EXAMPLE", true},
		{"http://x.b.example", "a.example", "*.b.example", true},
		{"http://b.example", "a.example", "*.b.example", false},
		{"http://b.example:81", "a.example", "b.example", false},
		{"http://b.example:81", "a.example", "b.example:*", true},
		{"https://b.example", "a.example", "https://b.example", true},
		{"http://b.example", "a.example", "https://b.example", false},
		{"https://x.b.example", "a.example", "https://*.b.example", true},
		{"http://b.example@c.example", "a.example", "b.example*", false},
		{"null", "a.example", "null", true},
		{"null", "a.example", "*.example", false},
		{"http://b.example", "a.example", "*", true},
		{"http://b.EXAMPLE", "a.example", "B.*", true},

		// What is not scheme, host and port is named whole or not at all.
		{"https://evil.example?.b.example", "a.example", "https://*.b.example", false},
		{"https://evil.example#.b.example", "a.example", "https://*.b.example", false},
		{"https://evil.example@x.b.example", "a.example", "https://*.b.example", false},
		{`https://evil.example\.b.example`, "a.example", "https://*.b.example", false},
		{"https://evil.example:1.b.example", "a.example", "*.b.example", false},
		{"nullify", "a.example", "null*", false},
		{"Null", "a.example", "null", true},
		{"file://", "a.example", "file://", true},
		{"https://b.example/x", "a.example", "*", true},

		// ASCII has no Kelvin sign.
		{"https://\u212Aey.example", "a.example", "https://key.example", false},
		{"https://key.example", "a.example", "https://\u212Aey.example", false},
		{"https://Key.example", "a.example", "https://kEY.example", true},

		{"http://[::1]:8080", "a.example", "[::1]:8080", true},
		{"http://[::1]:8080", "a.example", "http://[::1]:8080", true},
		{"http://[::1]:8080", "a.example", "[::1]:*", true},
		{"http://[2001:DB8::1]", "a.example", "[2001:db8::*]", true},
		{"http://[::2]:8080", "a.example", "[::1]:8080", false},
		{"http://1:8080", "a.example", "[::1]:8080", false},
		{"http://b.example", "a.example", "[a-c].example", true},
		{"http://b.example", "a.example", "http://[^a].example", true},
	} {
		var patterns []string
		if row.pattern != "" {
			patterns = []string{"unrelated.example", row.pattern}
		}
		got, err := originAllowed(row.origin, row.host, patterns)
		if got != row.want || err != nil {
			t.Errorf("%q to %q with %q: %t, %v", row.origin, row.host, row.pattern, got, err)
		}
	}
	for _, malformed := range []string{"[", "http://[", "[::1", "[]"} {
		_, err := Server(readRequest(t, sampleRequest), &ServerOptions{OriginPatterns: []string{malformed}})
		wantRefused(t, err, 500, "")
	}
	if _, err := Server(readRequest(t, sampleRequest), &ServerOptions{InsecureSkipOriginCheck: true}); err != nil {
		t.Error(err)
	}
	_, err := Server(readRequest(t, sampleRequest), nil)
	wantRefused(t, err, 403, "4.2.2")
}

func TestRequestURL(t *testing.T) {
	trust := &ServerOptions{TrustForwarded: true}
	for _, row := range []struct {
		line, header string
		opts         *ServerOptions
		want         string
	}{
		{"/chat", "X-A: b", nil, "ws://server.example.com/chat"},
		{"/a%2Fb?c=d%20e", "X-A: b", nil, "ws://server.example.com/a%2Fb?c=d%20e"},
		{"/?", "X-A: b", nil, "ws://server.example.com/?"},
		{"http://server.example.com/x", "X-A: b", nil, "ws://server.example.com/x"},
		{"/", "X-Forwarded-Proto: https", nil, "ws://server.example.com/"},
		{"/", "X-Forwarded-Proto: https", trust, "wss://server.example.com/"},
		{"/", "X-Forwarded-Proto: https, http", trust, "wss://server.example.com/"},
		{"/", "X-Forwarded-Proto: http, https", trust, "ws://server.example.com/"},
		{"/", "X-Forwarded-Proto: wss", trust, "wss://server.example.com/"},
		{"/", "X-Forwarded-Ssl: on", trust, "wss://server.example.com/"},
		{"/", "X-Forwarded-Scheme: HTTPS", trust, "wss://server.example.com/"},
		{"/", "Front-End-Https: on", trust, "wss://server.example.com/"},
		{"/", `Forwarded: for=192.0.2.1; Proto="https", proto=http`, trust, "wss://server.example.com/"},
		{"/", "Forwarded: proto=http", trust, "ws://server.example.com/"},
	} {
		r := readRequest(t, "GET "+row.line+" HTTP/1.1\r\nHost: server.example.com\r\n"+row.header+"\r\n\r\n")
		if got := row.opts.URL(r).String(); got != row.want {
			t.Errorf("%s %s: %s, want %s", row.line, row.header, got, row.want)
		}
	}
	r := readRequest(t, sampleRequest)
	r.TLS = &tls.ConnectionState{}
	if got := (*ServerOptions)(nil).URL(r).String(); got != "wss://server.example.com/chat" {
		t.Error(got)
	}
}
