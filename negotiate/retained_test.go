package negotiate

import (
	"net/http"
	"runtime"
	"testing"
	"unsafe"
	"weak"
)

// keeps reports whether what the server has agreed on keeps the head of the request, of
// which all strings that net/http hands over are parts.
func keeps(t *testing.T, opts *ServerOptions) bool {
	t.Helper()
	text := edit(t, "Origin: http://example.com", "Sec-WebSocket-Extensions: a; x=1; y")
	b := append(make([]byte, 0, 64<<10), text...) // enough to have a place of its own in memory
	head := weak.Make(&b[0])
	r, err := ParseRequest(unsafe.String(&b[0], len(b)))
	if err != nil {
		t.Fatal(err)
	}
	h, err := Server(r, opts)
	if err != nil || h.Subprotocol != "chat" || len(h.Extensions()) != 1 {
		t.Fatal(h, err)
	}
	runtime.GC()
	kept := head.Value() != nil
	runtime.KeepAlive(h)
	return kept
}

// A connection lives longer than its request, which may be large.
func TestAgreedNamesDoNotKeepTheRequest(t *testing.T) {
	first := func(_ *http.Request, offered []string) string { return offered[0] }
	for name, opts := range map[string]*ServerOptions{
		"Subprotocols":      {Subprotocols: []string{"chat"}},
		"SelectSubprotocol": {SelectSubprotocol: first},
	} {
		// It answers with what it was offered, and remembers it.
		opts.Extensions = []Extension{&fake{name: "a", bits: RSV1}}
		if keeps(t, opts) {
			t.Errorf("%s: the head of the request is kept", name)
		}
	}
}
