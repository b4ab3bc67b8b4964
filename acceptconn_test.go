package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
		{"a target that is no path", strings.Replace(request13, "GET /", "GET mailto:", 1), nil, 400, "neither a path"},
		{"a body", strings.Replace(request13, "\r\n\r\n", "\r\nContent-Length: 6\r\n\r\n", 1), nil, 400, "no body"},
		{"a body in chunks", strings.Replace(request13, "\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n", 1), nil, 400, "no body"},
		{"over the limit", request13, &AcceptOptions{MaxHandshakeSize: 100}, 431, "too long"},
		{"refused with a status", request13, &AcceptOptions{Check: check}, 401, "Www-Authenticate: Basic\r\n"},
		{"refused with no status of HTTP", request13, &AcceptOptions{Check: func(*http.Request) error { return &HandshakeError{Status: 1000} }}, 403, "refused"},
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

// All of a handshake has the time, not each of its steps.
func TestAcceptConnTakesTheTimeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe() // whose far end reads no response
		defer far.Close()
		go func() {
			time.Sleep(900 * time.Millisecond)
			io.WriteString(far, request13)
		}()
		began := time.Now()
		if _, _, err := AcceptConn(t.Context(), near, &AcceptOptions{HandshakeTimeout: time.Second}); err == nil || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// The end of ctx in the application's own part of the handshake is not forgotten when the
// response is written.
func TestAcceptConnInterruptedInCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe() // whose far end reads no response
		defer far.Close()
		go io.WriteString(far, request13)
		ctx, cancel := context.WithCancel(t.Context())
		check := func(*http.Request) error {
			cancel()
			synctest.Wait()
			return nil
		}
		began := time.Now()
		if _, _, err := AcceptConn(ctx, near, &AcceptOptions{Check: check}); !errors.Is(err, context.Canceled) || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
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

// Who ends ctx has no answer to wait for.
func TestAcceptConnInterruptedIsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		go io.WriteString(far, request13[:50])
		began := time.Now()
		_, _, err := AcceptConn(ctx, near, nil)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 100*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

// A halfCloser is a pipe one direction of which can be closed.
type halfCloser struct {
	net.Conn
	closed chan struct{}
}

func (c halfCloser) CloseWrite() error { close(c.closed); return nil }

// A refused peer that is still sending gets to read the answer: it is not reset.
func TestAcceptConnRefusesGently(t *testing.T) {
	for _, test := range []struct {
		name  string
		after func(far net.Conn)
		want  time.Duration
	}{
		{"ends its side", func(far net.Conn) { io.WriteString(far, "more"); far.Close() }, 0},
		{"does not", func(far net.Conn) { io.WriteString(far, "more") }, lingerTimeout},
		{"sends without end", func(far net.Conn) {
			for err := error(nil); err == nil; {
				_, err = far.Write(make([]byte, 1<<10))
			}
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pipe, far := net.Pipe()
				near := halfCloser{pipe, make(chan struct{})}
				done := make(chan struct{})
				go func() {
					defer close(done)
					io.WriteString(far, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
					answer := make([]byte, 1000)
					if n, err := far.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 426 ") {
						t.Errorf("answered %q, %v", answer[:n], err)
					}
					<-near.closed
					test.after(far)
				}()
				began := time.Now()
				if _, _, err := AcceptConn(t.Context(), near, nil); err == nil || time.Since(began) != test.want {
					t.Errorf("%v after %v, want %v", err, time.Since(began), test.want)
				}
				<-done
				if _, err := far.Write([]byte("x")); err == nil {
					t.Error("the connection is not closed")
				}
				far.Close()
			})
		})
	}
}

// Over TLS the handshake is part of the call, and the request and the URL tell of it.
func TestAcceptConnOverTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	near, far := net.Pipe()
	client := tls.Client(far, &tls.Config{InsecureSkipVerify: true})
	answered := make(chan string, 1)
	go func() {
		io.WriteString(client, request13+"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")
		line := make([]byte, len("HTTP/1.1 101"))
		io.ReadFull(client, line)
		answered <- string(line)
		io.Copy(io.Discard, client)
	}()
	c, r, err := AcceptConn(t.Context(), tls.Server(near, &tls.Config{Certificates: s.TLS.Certificates}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := <-answered; a != "HTTP/1.1 101" {
		t.Errorf("answered %q", a)
	}
	if r.TLS == nil || !r.TLS.HandshakeComplete || c.Request().TLS == nil || c.URL().String() != "wss://example.com/chat?room=1" {
		t.Errorf("TLS %v, then %v; URL %v", r.TLS, c.Request().TLS, c.URL())
	}
	if m := <-c.Messages(); m.String() != "Hello" {
		t.Errorf("got %q", m)
	}
	c.Abort()
	<-c.Closed()

	// A peer that stays silent within it does not outlast the timeout.
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		began := time.Now()
		_, _, err := AcceptConn(t.Context(), tls.Server(near, &tls.Config{Certificates: s.TLS.Certificates}), &AcceptOptions{HandshakeTimeout: time.Second})
		var failed *HandshakeError
		if !errors.As(err, &failed) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

// Abort has no word for a peer that does not read: TLS would wait for one to go out.
func TestAbortOverTLSIsAtOnce(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	for name, sent := range map[string]string{"": "", "after a breach of the protocol": "\x8f\x80\x00\x00\x00\x00"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				answered := make(chan struct{})
				go func() {
					defer close(answered)
					client := tls.Client(far, &tls.Config{InsecureSkipVerify: true})
					io.WriteString(client, request13)
					io.ReadFull(client, make([]byte, len("HTTP/1.1 101")))
					io.WriteString(client, sent)
				}()
				c, _, err := AcceptConn(t.Context(), tls.Server(near, &tls.Config{Certificates: s.TLS.Certificates}), nil)
				if err != nil {
					t.Fatal(err)
				}
				<-answered
				synctest.Wait()
				began := time.Now()
				c.Abort()
				<-c.Closed()
				if d := time.Since(began); d > 0 {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}

// A connection through a proxy may have TLS in TLS.
func TestBare(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	config := &tls.Config{InsecureSkipVerify: true}
	for name, c := range map[string]net.Conn{
		"plain":                       near,
		"TLS":                         tls.Client(near, config),
		"TLS in TLS":                  tls.Client(tls.Client(near, config), config),
		"TLS behind early bytes":      &tunnel{Conn: tls.Client(near, config)},
		"TLS in TLS with early bytes": tls.Client(&tunnel{Conn: tls.Client(near, config)}, config),
	} {
		if bare(c) != near {
			t.Errorf("%s: %T", name, bare(c))
		}
	}
}
