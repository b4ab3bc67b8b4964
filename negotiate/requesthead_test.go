package negotiate

import (
	"bufio"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

const browserHead = "GET /chat?room=1&q=a%20b HTTP/1.1\r\nHost: example.com:8080\r\nConnection: keep-alive, Upgrade\r\n" +
	"Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11)\r\nUpgrade: websocket\r\n" +
	"Origin: http://example.com:8080\r\nSec-WebSocket-Version: 13\r\nCookie: a=b\r\ncookie: c=d\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// requestHeads are heads that http.ReadRequest reads or refuses for some reason.
var requestHeads = []string{
	browserHead,
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost:\r\nx-y: \t  z \t \r\nX-Y:\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, Close\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
	"GET / HTTP/1.1\r\n X: 1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
	"GET / HTTP/1.1\r\nno colon\r\n\r\n",
	"GET / HTTP/1.1\r\n: no name\r\n\r\n",
	"GET / HTTP/1.1\r\nX: \x00\r\n\r\n",
	"GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n",
	"GET / HTTP/1.1\r\nX: a\rY: b\r\n\r\n",
	"GET / HTTP/1.1\r\nX: \xff\r\n\r\n",
	"GET / HTTP/1.1\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\nHost: a\n\nX: y\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n",
	"GET / HTTP/1.1",
	"GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /?a b HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
	"GET HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
	"GET http://b/c HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\n",
	"",
}

// wantAsReadRequest holds ParseRequest to http.ReadRequest, where that reads all.
func wantAsReadRequest(t *testing.T, head string) {
	t.Helper()
	got, err := ParseRequest(head)
	in := bufio.NewReader(strings.NewReader(head))
	want, wantErr := http.ReadRequest(in)
	if _, none := in.Peek(1); wantErr == nil && none == nil {
		wantErr = errHeadGoesOn
	}
	if err != nil || wantErr != nil {
		if err == nil || wantErr == nil || err.Error() != wantErr.Error() {
			t.Errorf("%q: error %v, want %v", head, err, wantErr)
		}
		return
	}
	want.Body = http.NoBody
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q:\n%+v, want\n%+v", head, got, want)
	}
}

func TestParseRequest(t *testing.T) {
	for _, head := range requestHeads {
		wantAsReadRequest(t, head)
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, head := range requestHeads {
		f.Add(head)
	}
	f.Fuzz(func(t *testing.T, head string) {
		// http.ReadRequest stops at the blank line, and what follows is not the head's.
		if i := strings.Index(head, "\r\n\r\n"); i >= 0 {
			head = head[:i+4]
		}
		wantAsReadRequest(t, head)
	})
}

// TestParseRequestAllocations holds that the requests of browsers are read without
// http.ReadRequest, whose buffers and copies make it twice as much.
func TestParseRequestAllocations(t *testing.T) {
	if consumeRequest(browserHead) == nil {
		t.Fatal("a browser's request is left to http.ReadRequest")
	}
	allocs := testing.AllocsPerRun(100, func() { ParseRequest(browserHead) })
	t.Logf("%.0f allocations", allocs)
	if allocs > 10 {
		t.Errorf("%.0f allocations, more than 10", allocs)
	}
}

// TestParseRequestMemory holds that many short lines of one name take no more than the
// strings that they give: 16 bytes each, doubled at most.
func TestParseRequestMemory(t *testing.T) {
	const lines = 16 << 10
	head := "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("a:\r\n", lines) + "\r\n"
	wantAsReadRequest(t, head)
	before := heapInUse()
	r, err := ParseRequest(head)
	if err != nil {
		t.Fatal(err)
	}
	held := heapInUse() - before
	runtime.KeepAlive(r)
	if held > 2*16*lines {
		t.Errorf("a head of %d bytes holds %d more", len(head), held)
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
