package negotiate

import (
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func sampleClient(t testing.TB) *ClientHandshake {
	t.Helper()
	target, err := ParseURL("ws://server.example.com/chat")
	if err != nil {
		t.Fatal(err)
	}
	h, err := Client(target, [16]byte([]byte("the sample nonce")), &ClientOptions{
		Header:       http.Header{"Origin": {"http://example.com"}},
		Subprotocols: []string{"chat", "superchat"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestClientSampleOfSection1_3(t *testing.T) {
	h := sampleClient(t)
	if got := string(h.AppendRequest(nil)); got != sampleRequest {
		t.Errorf("request:\n%s\nwant:\n%s", got, sampleRequest)
	}
	const frames = "\x81\x05Hello"
	n, err := h.Consume([]byte(sampleResponse + frames))
	if n != len(sampleResponse) || err != nil {
		t.Fatalf("Consume = %d, %v; want %d", n, err, len(sampleResponse))
	}
	if h.Subprotocol != "chat" || h.Header().Get("Upgrade") != "websocket" || h.Pipeline != nil {
		t.Errorf("%+v", h)
	}
}

func wantFailed(t *testing.T, err error, status int, section string) *ResponseError {
	t.Helper()
	var e *ResponseError
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *ResponseError", err)
	}
	if e.Status != status || !strings.Contains(e.Section, section) {
		t.Errorf("failed with %d (%s), want %d (%s): %v", e.Status, e.Section, status, section, e)
	}
	return e
}

// TestResponseRules has a row for each thing RFC 6455, section 4.1 asks a
// client to check, and for heads that two readers may read differently.
func TestResponseRules(t *testing.T) {
	const upgrade, connection = "Upgrade: websocket\r\n", "Connection: Upgrade\r\n"
	const accept, protocol = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "Sec-WebSocket-Protocol: chat\r\n"
	const status = "HTTP/1.1 101 Switching Protocols"
	const good = "" // as section of a row: the handshake succeeds
	for _, row := range []struct {
		name, old, new string
		status         int
		section        string
	}{
		{"as it is", "", "", 101, good},
		{"other reason", status, "HTTP/1.1 101 Web Socket!", 101, good},
		{"no reason", status, "HTTP/1.1 101 ", 101, good},
		{"no reason and no space", status, "HTTP/1.1 101", 101, good},
		{"status 200", status, "HTTP/1.1 200 OK", 200, "4.1"},
		{"status 404", status, "HTTP/1.1 404 Not Found", 404, "4.1"},
		{"redirect", status, "HTTP/1.1 302 Found", 302, "4.1"},
		{"status 099", status, "HTTP/1.1 099 Low", 0, "RFC 9112, section 4"},
		{"status of four digits", status, "HTTP/1.1 1010 Long", 0, "RFC 9112, section 4"},
		{"status of two digits", status, "HTTP/1.1 10 Short", 0, "RFC 9112, section 4"},
		{"status not a number", status, "HTTP/1.1 1o1 Odd", 0, "RFC 9112, section 4"},
		{"HTTP/1.0", status, "HTTP/1.0 101 Switching Protocols", 101, "4.1"},
		{"HTTP/2.0", status, "HTTP/2.0 101 Switching Protocols", 0, "RFC 9112, section 4"},
		{"not HTTP", status, "SSH-2.0-OpenSSH", 0, "RFC 9112, section 4"},

		{"no upgrade", upgrade, "", 101, "4.1"},
		{"other upgrade", upgrade, "Upgrade: h2c\r\n", 101, "4.1"},
		{"list of upgrades", upgrade, "Upgrade: websocket, h2c\r\n", 101, "4.1"},
		{"two upgrades", upgrade, upgrade + upgrade, 101, "4.1"},
		{"upgrade in any case", upgrade, "uPgrade:WebSocket \r\n", 101, good},
		{"no connection", connection, "", 101, "4.1"},
		{"other connection", connection, "Connection: close\r\n", 101, "4.1"},
		{"connection among others", connection, "Connection: keep-alive, upgrade\r\n", 101, good},

		{"no accept", accept, "", 101, "4.1"},
		{"two accepts", accept, accept + accept, 101, "4.1"},
		{"accept of another key", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 101, "4.1"},
		{"accept with white space around", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", " \ts3pPLMBiTxaQ9kYGzzhZRbK+xOo=\t", 101, good},

		{"no subprotocol", protocol, "", 101, good},
		{"the other subprotocol", protocol, "Sec-WebSocket-Protocol: superchat\r\n", 101, good},
		{"subprotocol not offered", protocol, "Sec-WebSocket-Protocol: soap\r\n", 101, "4.1"},
		{"subprotocol in another case", protocol, "Sec-WebSocket-Protocol: Chat\r\n", 101, "4.1"},
		{"list of subprotocols", protocol, "Sec-WebSocket-Protocol: chat, superchat\r\n", 101, "4.1"},
		{"two subprotocols", protocol, protocol + protocol, 101, "11.3.4"},
		{"empty subprotocol", protocol, "Sec-WebSocket-Protocol:\r\n", 101, "4.1"},
		{"extension not offered", protocol, "Sec-WebSocket-Extensions: permessage-deflate\r\n", 101, "4.1"},
		{"malformed extensions", protocol, "Sec-WebSocket-Extensions: ;\r\n", 101, "4.1"},

		{"space before colon", upgrade, upgrade + "X-A : b\r\n", 0, "RFC 9112, section 5"},
		{"folded line", upgrade, upgrade + "X-A: b\r\n c\r\n", 0, "RFC 9112, section 5"},
		{"no colon", upgrade, upgrade + "X-A\r\n", 0, "RFC 9112, section 5"},
		{"no name", upgrade, upgrade + ": b\r\n", 0, "RFC 9112, section 5"},
		{"NUL", upgrade, upgrade + "X-A: b\x00\r\n", 0, "RFC 9112, section 5"},
		{"DEL", upgrade, upgrade + "X-A: b\x7f\r\n", 0, "RFC 9112, section 5"},
		{"tab within", upgrade, upgrade + "X-A: b\tc\r\n", 101, good},
		{"lone CR", upgrade, upgrade + "X-A: b\rX-C: d\r\n", 0, "RFC 9112, section 5"},
		{"lone LF", upgrade, "Upgrade: websocket\n", 0, "RFC 9112, section 2.2"},
		{"opaque text", upgrade, upgrade + "X-A: \xe9\xff\r\n", 101, good},
	} {
		t.Run(row.name, func(t *testing.T) {
			if !strings.Contains(sampleResponse, row.old) {
				t.Fatalf("no %q", row.old)
			}
			h := sampleClient(t)
			_, err := h.Consume([]byte(strings.Replace(sampleResponse, row.old, row.new, 1)))
			if row.section != good {
				wantFailed(t, err, row.status, row.section)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestResponseInPieces(t *testing.T) {
	h := sampleClient(t)
	for i := range sampleResponse {
		if n, err := h.Consume([]byte(sampleResponse[:i])); n != 0 || err != ErrNeedMore {
			t.Fatalf("after %d bytes: %d, %v", i, n, err)
		}
	}
	if n, err := h.Consume([]byte(sampleResponse)); n != len(sampleResponse) || err != nil {
		t.Error(n, err)
	}
}

func TestInterimResponsesAreSkipped(t *testing.T) {
	const interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
	h := sampleClient(t)
	if n, err := h.Consume([]byte(interim)); n != 0 || err != ErrNeedMore {
		t.Error(n, err)
	}
	if n, err := h.Consume([]byte(interim + sampleResponse)); n != len(interim+sampleResponse) || err != nil {
		t.Error(n, err)
	}
	if h.Header().Get("Link") != "" {
		t.Error("the headers of an interim response were kept")
	}
	h = sampleClient(t)
	_, err := h.Consume([]byte(strings.Repeat(interim, DefaultMaxHeaderBytes/len(interim)+1)))
	if wantFailed(t, err, 0, ""); !errors.Is(err, ErrHeaderTooBig) {
		t.Error(err)
	}
}

func TestResponseTooBig(t *testing.T) {
	target, _ := ParseURL("ws://server.example.com/chat")
	exact := len(sampleResponse)
	for limit, fits := range map[int]bool{exact: true, exact - 1: false, 1: false, 10: false, exact + 1: true} {
		opts := &ClientOptions{Subprotocols: []string{"chat"}, MaxHeaderBytes: limit}
		for _, step := range []int{1, 7, exact} {
			h, err := Client(target, [16]byte([]byte("the sample nonce")), opts)
			for i := step; err == nil || err == ErrNeedMore; i += step {
				var n int
				n, err = h.Consume([]byte(sampleResponse[:min(i, exact)]))
				if n > 0 {
					break
				}
			}
			if fits != (err == nil) || !fits && !errors.Is(err, ErrHeaderTooBig) {
				t.Errorf("limit %d, %d bytes at a time: %v", limit, step, err)
			}
		}
	}
}

func TestResponseErrorTellsOfBody(t *testing.T) {
	for _, row := range []struct {
		header  string
		status  string
		length  int64
		chunked bool
	}{
		{"Content-Length: 9\r\n", "404 Not Found", 9, false},
		{"Content-Length: 0\r\n", "404 Not Found", 0, false},
		{"", "404 Not Found", -1, false},
		{"Content-Length: -1\r\n", "404 Not Found", -1, false},
		{"Content-Length: 99999999999999999999\r\n", "404 Not Found", -1, false},
		{"Content-Length: 9\r\nContent-Length: 9\r\n", "404 Not Found", -1, false},
		{"Transfer-Encoding: gzip, chunked\r\nContent-Length: 9\r\n", "404 Not Found", -1, true},
		{"Content-Length: 9\r\n", "204 No Content", 0, false},
	} {
		h := sampleClient(t)
		status, _ := strconv.Atoi(row.status[:3])
		text := "HTTP/1.1 " + row.status + "\r\n" + row.header + "X-A: b\r\n\r\n"
		n, err := h.Consume([]byte(text + "not found"))
		e := wantFailed(t, err, status, "4.1")
		if n != len(text) || e.BodyLength != row.length || e.Chunked != row.chunked || e.Header.Get("X-A") != "b" {
			t.Errorf("%q: consumed %d, %+v", row.header, n, e)
		}
	}
}

func TestClientOptionsRefused(t *testing.T) {
	target, _ := ParseURL("ws://a.example/")
	for option, all := range map[string][]ClientOptions{
		"Header": {
			{Header: http.Header{"X-A": {"b\r\nc: d"}}},
			{Header: http.Header{"X-A": {"b\x00"}}},
			{Header: http.Header{"X-A\r\nX-B": {"c"}}},
			{Header: http.Header{"": {"c"}}},
			{Header: http.Header{"host": {"b.example"}}},
			{Header: http.Header{"Connection": {"close"}}},
			{Header: http.Header{"sec-websocket-key": {"x"}}},
			{Header: http.Header{"Content-Length": {"5"}}},
			{Header: http.Header{"Transfer-Encoding": {"chunked"}}},
		},
		"Host":         {{Host: "a b"}, {Host: "a\r\nX: y"}, {Host: "a/b"}, {Host: "a@b"}},
		"Subprotocols": {{Subprotocols: []string{"a", "a"}}, {Subprotocols: []string{""}}, {Subprotocols: []string{"a,b"}}, {Subprotocols: []string{"a\r\n"}}},
	} {
		for _, opts := range all {
			_, err := Client(target, [16]byte{}, &opts)
			var e *OptionError
			if !errors.As(err, &e) || e.Option != option {
				t.Errorf("%+v: %v", opts, err)
			}
		}
	}
}

func TestRequestBytes(t *testing.T) {
	target, err := ParseURL("wss://us%20er:p%40ss@a.example:444/a%20b/%2F?q=\u00e9&r=a b")
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"X-B": {"2", "3"}, "X-A": {"1"}}
	before := header.Clone()
	h, err := Client(target, [16]byte([]byte("the sample nonce")), &ClientOptions{Header: header, Host: "b.example"})
	if err != nil {
		t.Fatal(err)
	}
	const want = "GET /a%20b/%2F?q=%C3%A9&r=a%20b HTTP/1.1\r\n" +
		"Host: b.example\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Authorization: Basic dXMgZXI6cEBzcw==\r\n" +
		"X-A: 1\r\n" +
		"X-B: 2\r\n" +
		"X-B: 3\r\n" +
		"Sec-WebSocket-Version: 13\r\n\r\n"
	if got := string(h.AppendRequest(nil)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if !reflect.DeepEqual(header, before) {
		t.Error("the caller's header was changed")
	}
	h, _ = Client(target, [16]byte{}, &ClientOptions{Header: http.Header{"authorization": {"Bearer x"}}})
	if got := string(h.AppendRequest(nil)); strings.Contains(got, "Basic") || !strings.Contains(got, "authorization: Bearer x\r\n") {
		t.Error("the caller's Authorization does not stand for the URL's:", got)
	}
}
