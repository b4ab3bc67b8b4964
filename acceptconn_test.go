package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const request13 = "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-User: me\r\n\r\n"

func TestAcceptConn(t *testing.T) {
	near, far := net.Pipe()
	go io.WriteString(far, request13+"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
	peer := draftPeer{t, far}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		peer.want("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	}()
	c, r, err := AcceptConn(t.Context(), near, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-answered
	if r.Header.Get("X-User") != "me" || c.Request().Header.Get("X-User") != "me" || c.Request().URL.Path != "/chat" {
		t.Errorf("request %v, then %v", r, c.Request())
	}
	if c.URL().String() != "ws://example.com/chat?room=1" {
		t.Errorf("URL %v", c.URL())
	}
	if m := <-c.Messages(); m.String() != "Hello" {
		t.Errorf("got %q", m)
	}
	c.Abort()
	peer.wantEnd()
}

func TestAcceptConnRefuses(t *testing.T) {
	check := func(r *http.Request) error {
		if r.Header.Get("X-User") == "me" {
			return &HandshakeError{Status: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": {"Basic"}}, Reason: "who are you"}
		}
		return errors.New("not you")
	}
	for _, test := range []struct {
		name, request string
		opts          *AcceptOptions
		status        int
		answer        string
	}{
		{"not a WebSocket", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", nil, 426, "Upgrade: websocket\r\n"},
		{"another method", strings.Replace(request13, "GET", "POST", 1), nil, 405, "Allow: GET\r\n"},
		{"garbage", "\x16\x03\x01\x02\r\n\r\n", nil, 400, "malformed request"},
		{"a pseudo-header of HTTP/2", "CONNECT / HTTP/1.1\r\nHost: x\r\n:protocol: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", nil, 400, "400 Bad Request"},
		{"CONNECT", "CONNECT / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Version: 13\r\n\r\n", nil, 405, "405 Method Not Allowed"},
		{"over the limit", request13, &AcceptOptions{MaxHandshakeSize: 100}, 431, "too long"},
		{"refused with a status", request13, &AcceptOptions{Check: check}, 401, "Www-Authenticate: Basic\r\n"},
		{"refused", strings.Replace(request13, "me", "you", 1), &AcceptOptions{Check: check}, 403, "refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			near, far := net.Pipe()
			go io.WriteString(far, test.request)
			answer := make(chan string, 1)
			go func() {
				b, _ := io.ReadAll(far)
				answer <- string(b)
			}()
			_, _, err := AcceptConn(t.Context(), near, test.opts)
			var failed *HandshakeError
			if !errors.As(err, &failed) || failed.Status != test.status {
				t.Errorf("got %v, want status %d", err, test.status)
			}
			if a := <-answer; !strings.Contains(a, test.answer) || !strings.Contains(a, "close\r\n") {
				t.Errorf("answered %q, want %q in it", a, test.answer)
			}
			far.Close()
		})
	}
}

// A request that is cut off at any byte, or stops there, ends in an error.
func TestAcceptConnCutOff(t *testing.T) {
	for i := range len(request13) {
		near, far := net.Pipe()
		go func() {
			io.WriteString(far, request13[:i])
			far.Close()
		}()
		if _, _, err := AcceptConn(t.Context(), near, nil); err == nil {
			t.Fatalf("accepted %q", request13[:i])
		}
	}
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		go io.WriteString(far, request13[:50])
		go io.ReadAll(far)
		began := time.Now()
		_, _, err := AcceptConn(t.Context(), near, &AcceptOptions{HandshakeTimeout: time.Second})
		var failed *HandshakeError
		if !errors.As(err, &failed) || failed.Status != http.StatusRequestTimeout || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		far.Close()
	})
}

func TestAcceptConnInterrupted(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		io.WriteString(far, request13[:50])
		cancel()
	}()
	if _, _, err := AcceptConn(ctx, near, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
