package negotiate

import (
	"bufio"
	"errors"
	"net/http"
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
