package negotiate

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// FuzzServer: whatever the request, the answer is one head without lines that
// the request smuggled in, and a refusal is a status with a reason.
func FuzzServer(f *testing.F) {
	f.Add(sampleRequest)
	f.Add(hixieRequest)
	f.Add(strings.Replace(sampleRequest, "Version: 13", "Version: 8", 1))
	f.Add(strings.Replace(sampleRequest, "Origin", "Sec-WebSocket-Extensions: a; x=\"1\", b\r\nOrigin", 1))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return
		}
		opts := &ServerOptions{
			AllowDrafts: true, TrustForwarded: true, OriginPatterns: []string{"*"}, Subprotocols: []string{"chat", "sample"},
			Extensions: []Extension{&fake{name: "a", bits: RSV1}, &fake{name: "b", bits: RSV2}},
		}
		h, err := Server(r, opts)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Status < 400 || e.Reason == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		if !IsWebSocket(r) {
			t.Error("agreed on what is no WebSocket")
		}
		h.SetBody([8]byte{})
		checkResponseHead(t, h)
	})
}

// checkResponseHead reads the response with the parser of net/http.
func checkResponseHead(t *testing.T, h *ServerHandshake) {
	t.Helper()
	in := bufio.NewReader(bytes.NewReader(h.AppendResponse(nil)))
	response, err := http.ReadResponse(in, nil)
	if err != nil || response.StatusCode != 101 {
		t.Fatal(response, err)
	}
	body := 0
	if h.Version == Hixie76 {
		body = 16
	}
	if in.Buffered() != body {
		t.Errorf("%d bytes after the head, want %d", in.Buffered(), body)
	}
	if got := h.Header(); !reflect.DeepEqual(got, response.Header) {
		t.Errorf("Header() is %v, sent was %v", got, response.Header)
	}
}

// FuzzClientConsume: any division of the bytes into calls gives the same
// result.
func FuzzClientConsume(f *testing.F) {
	f.Add([]byte(sampleResponse+"\x81\x05Hello"), uint8(3))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\n"+sampleResponse), uint8(1))
	f.Add([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc"), uint8(20))
	f.Add([]byte("HTTP/1.1 101 \nUpgrade: websocket\n\n"), uint8(5))
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"), uint8(255))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		const limit = 400 // low, so that it is met
		whole := sampleClient(t)
		whole.heads.limit = limit
		wantN, wantErr := whole.Consume(stream)
		pieces := sampleClient(t)
		pieces.heads.limit = limit
		for end := 0; ; end += 1 + int(step) {
			n, err := pieces.Consume(stream[:min(end, len(stream))])
			if err == ErrNeedMore && end < len(stream) {
				continue
			}
			if n != wantN || !reflect.DeepEqual(err, wantErr) || pieces.Subprotocol != whole.Subprotocol {
				t.Fatalf("in pieces of %d: %d, %v; whole: %d, %v", 1+int(step), n, err, wantN, wantErr)
			}
			return
		}
	})
}

func FuzzConnectAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\nearly"), uint8(3))
	f.Add([]byte("HTTP/1.0 407 No\r\nProxy-Authenticate: Basic\r\n\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		whole := ConnectAnswer{MaxHeaderBytes: 200}
		wantN, wantErr := whole.Consume(stream)
		pieces := ConnectAnswer{MaxHeaderBytes: 200}
		for end := 0; ; end += 1 + int(step) {
			n, err := pieces.Consume(stream[:min(end, len(stream))])
			if err == ErrNeedMore && end < len(stream) {
				continue
			}
			if n != wantN || !reflect.DeepEqual(err, wantErr) || !reflect.DeepEqual(pieces.Header, whole.Header) {
				t.Fatalf("in pieces of %d: %d, %v; whole: %d, %v", 1+int(step), n, err, wantN, wantErr)
			}
			return
		}
	})
}

// FuzzExtensionHeader: what was read and written again reads the same.
func FuzzExtensionHeader(f *testing.F) {
	f.Add(`permessage-deflate; client_max_window_bits; x="1\2", a;y=2`)
	f.Add(`a; x="\"`)
	f.Add(",, a ,")
	f.Fuzz(func(t *testing.T, line string) {
		offers, err := ParseExtensions([]string{line})
		if (checkExtensions([]string{line}) == nil) != (err == nil) {
			t.Fatal("checkExtensions does not agree")
		}
		if err != nil {
			return
		}
		written := string(AppendExtensions(nil, offers))
		again, err := ParseExtensions([]string{written})
		if err != nil || !reflect.DeepEqual(offers, again) {
			t.Errorf("%q, written as %q, reads as %v, %v", line, written, again, err)
		}
	})
}

// FuzzParseURL: whatever the URL, the request is a head that net/http reads
// as the same request.
func FuzzParseURL(f *testing.F) {
	f.Add("ws://us:pw@a.example:8080/b?c=d")
	f.Add("wss://[fe80::1%25eth0]/")
	f.Fuzz(func(t *testing.T, raw string) {
		target, err := ParseURL(raw)
		if err != nil {
			return
		}
		h, err := Client(target, [16]byte{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(bytes.NewReader(h.AppendRequest(nil)))
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("%q: %v\n%s", raw, err, h.AppendRequest(nil))
		}
		if in.Buffered() != 0 || !IsWebSocket(r) || r.Host != target.Host {
			t.Errorf("%q: host %q, %d bytes too many", raw, r.Host, in.Buffered())
		}
		if _, err := ParseURL(target.URL.String()); err != nil {
			t.Errorf("%q is shown as %q: %v", raw, target.URL, err)
		}
	})
}
