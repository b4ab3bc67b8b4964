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

// A draftPeer is a client of a hixie draft, in bytes, at the other end of a pipe.
type draftPeer struct {
	t *testing.T
	net.Conn
}

func (p draftPeer) send(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, s); err != nil {
		p.t.Errorf("sending %q: %v", s, err)
	}
}

func (p draftPeer) want(s string) {
	p.t.Helper()
	got := make([]byte, len(s))
	if n, err := io.ReadFull(p.Conn, got); err != nil || string(got) != s {
		p.t.Fatalf("got %q (%v), want %q", got[:n], err, s)
	}
}

func (p draftPeer) wantEnd() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.Conn); len(rest) > 0 || err != nil {
		p.t.Errorf("got %q (%v), want the end of the stream", rest, err)
	}
}

const (
	request75 = "GET /demo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nOrigin: http://example.com\r\n\r\n"
	answer75  = "HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n" +
		"WebSocket-Origin: http://example.com\r\nWebSocket-Location: ws://example.com/demo\r\n\r\n"
	request76 = "GET /demo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n" +
		"Upgrade: WebSocket\r\nSec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nOrigin: http://example.com\r\n\r\n"
	body76   = "^n:ds[4U"
	answer76 = "HTTP/1.1 101 WebSocket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Origin: http://example.com\r\nSec-WebSocket-Location: ws://example.com/demo\r\n\r\n8jKS'y:G*Co,Wxa-"
)

// acceptDraft accepts on one end of a pipe what the peer sends at the other.
func acceptDraft(t *testing.T, request string) (*Conn, draftPeer) {
	t.Helper()
	near, far := net.Pipe()
	peer := draftPeer{t, far}
	type accepted struct {
		c   *Conn
		err error
	}
	done := make(chan accepted, 1)
	go func() {
		c, _, err := AcceptConn(context.Background(), near, &AcceptOptions{AllowDrafts: true})
		done <- accepted{c, err}
	}()
	peer.send(request)
	if strings.Contains(request, "Key1") {
		a := <-done
		if a.err != nil {
			t.Fatal(a.err)
		}
		return a.c, peer
	}
	peer.want(answer75)
	a := <-done
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.c, peer
}

func TestHixie75(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := acceptDraft(t, request75)
		if c.Version() != "hixie-75" || c.State() != StateOpen {
			t.Errorf("version %q, state %v", c.Version(), c.State())
		}
		peer.send("\x00Hello\xff")
		if m := <-c.Messages(); m.String() != "Hello" || m.Type != TextMessage {
			t.Errorf("got %v %q", m.Type, m)
		}
		if err := c.Send(t.Context(), Text("ä")); err != nil {
			t.Error(err)
		}
		peer.want("\x00ä\xff")
		wantUsageError(t, c.Send(t.Context(), Binary([]byte{1})))
		wantUsageError(t, c.SendFragment(t.Context(), Message{Type: TextMessage, Data: []byte("a")}))
		if _, err := c.Ping(t.Context(), nil); err != ErrPingUnsupported {
			t.Errorf("Ping: %v", err)
		}
		if err := c.Pong(t.Context(), nil); err != ErrPingUnsupported {
			t.Errorf("Pong: %v", err)
		}
		// The draft has no close frame: the end of the stream is all there is.
		go c.Close(context.Background(), StatusNormalClosure, "bye")
		peer.wantEnd()
		peer.Close()
		if e := <-c.Closed(); e.Code != StatusNoStatusReceived || !e.Clean || e.Err != nil {
			t.Errorf("closed with %+v", e)
		}
	})
}

func wantUsageError(t *testing.T, err error) {
	t.Helper()
	var usage *UsageError
	if !errors.As(err, &usage) {
		t.Errorf("got %v, want a UsageError", err)
	}
}

func TestHixie76(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := acceptDraft(t, request76)
		if c.Version() != "hixie-76" || c.State() != StateConnecting {
			t.Errorf("version %q, state %v", c.Version(), c.State())
		}
		// What is sent before the body has come waits for it, in order.
		for _, s := range []string{"one", "two", "three"} {
			if err := c.Send(t.Context(), Text(s)); err != nil {
				t.Error(err)
			}
		}
		wantUsageError(t, c.Send(t.Context(), Binary(nil)))
		synctest.Wait()
		select {
		case <-c.Opened():
			t.Error("open before the body came")
		default:
		}
		peer.send(body76[:3])
		peer.send(body76[3:])
		peer.want(answer76)
		<-c.Opened()
		peer.want("\x00one\xff\x00two\xff\x00three\xff")
		peer.send("\x00Hello\xff\xff\x00")
		if m := <-c.Messages(); m.String() != "Hello" {
			t.Errorf("got %q", m)
		}
		peer.want("\xff\x00")
		peer.wantEnd()
		if e := <-c.Closed(); e.Code != StatusNoStatusReceived || !e.Clean {
			t.Errorf("closed with %+v", e)
		}
	})
}

func TestHixie76BodyWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := acceptDraft(t, request76+body76+"\x00early\xff")
		peer.want(answer76)
		if m := <-c.Messages(); m.String() != "early" {
			t.Errorf("got %q", m)
		}
		go c.Close(context.Background(), StatusGoingAway, "")
		peer.want("\xff\x00")
		peer.send("\xff\x00")
		peer.wantEnd()
		if e := <-c.Closed(); !e.Clean {
			t.Errorf("closed with %+v", e)
		}
	})
}

func TestHixie76BodyNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := acceptDraft(t, request76+body76[:7])
		sent := make(chan error, 1)
		began := time.Now()
		go func() {
			_, err := c.Ping(context.Background(), nil)
			sent <- err
		}()
		peer.wantEnd()
		e := <-c.Closed()
		var timeout *TimeoutError
		if e.Code != StatusAbnormalClosure || !errors.As(e.Err, &timeout) || time.Since(began) != DefaultHandshakeTimeout {
			t.Errorf("closed with %+v after %v", e, time.Since(began))
		}
		if err := <-sent; err != ErrPingUnsupported {
			t.Errorf("Ping: %v", err)
		}
	})
}

func TestHixie76AbortWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := acceptDraft(t, request76)
		c.Abort()
		peer.wantEnd()
		if e := <-c.Closed(); e.Code != StatusAbnormalClosure {
			t.Errorf("closed with %+v", e)
		}
	})
}

func TestDraftsAreRefusedByDefault(t *testing.T) {
	for _, request := range []string{request75, request76, strings.Replace(request75, "Origin", "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin", 1)} {
		near, far := net.Pipe()
		go io.WriteString(far, request)
		answer := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(far)
			answer <- string(b)
		}()
		_, r, err := AcceptConn(t.Context(), near, nil)
		var failed *HandshakeError
		if !errors.As(err, &failed) || failed.Status != http.StatusUpgradeRequired || r == nil {
			t.Errorf("got %v, want a HandshakeError with 426", err)
		}
		if a := <-answer; !strings.HasPrefix(a, "HTTP/1.1 426 ") || !strings.Contains(a, "Sec-WebSocket-Version: 13\r\n") {
			t.Errorf("answered %q", a)
		}
	}
}

func TestOlderHybiVersions(t *testing.T) {
	for _, version := range []string{"7", "8", "13"} {
		near, far := net.Pipe()
		peer := draftPeer{t, far}
		go io.WriteString(far, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: "+version+"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		go io.ReadAll(far)
		c, _, err := AcceptConn(t.Context(), near, &AcceptOptions{AllowDrafts: true})
		if err != nil {
			t.Fatal(err)
		}
		if c.Version() != "hybi-"+version {
			t.Errorf("version %q", c.Version())
		}
		c.Abort()
		peer.Close()
		<-c.Closed()
	}
}
