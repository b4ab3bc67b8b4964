package negotiate

import (
	"net/http"
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
	if h.Subprotocol != "chat" || h.Header.Get("Upgrade") != "websocket" || h.Pipeline != nil {
		t.Errorf("%+v", h)
	}
}
