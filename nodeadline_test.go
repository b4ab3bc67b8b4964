package websocket

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A noDeadlineConn is a connection such as the tunnels of some packages: it has no
// deadlines.
type noDeadlineConn struct{ net.Conn }

var errNoDeadline = errors.New("deadline not supported")

func (noDeadlineConn) SetDeadline(time.Time) error      { return errNoDeadline }
func (noDeadlineConn) SetReadDeadline(time.Time) error  { return errNoDeadline }
func (noDeadlineConn) SetWriteDeadline(time.Time) error { return errNoDeadline }

// What ends a connection ends one without deadlines too, at once.
func TestConnectionWithoutDeadlines(t *testing.T) {
	for name, end := range map[string]func(c *Conn){
		"Abort": func(c *Conn) { c.Abort() },
		"Close with an ended context": func(c *Conn) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := c.Close(ctx, StatusNormalClosure, ""); !errors.Is(err, context.Canceled) {
				t.Errorf("Close: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			go io.Copy(io.Discard, far)
			c := newConn((&DialOptions{}).settings())
			c.start(&handshake{transport: newTransport(noDeadlineConn{near}, c), reader: c.readerFor("", nil), writer: clientEncoder})
			end(c)
			if e := <-c.Closed(); e.Code != StatusAbnormalClosure {
				t.Errorf("closed with %+v", e)
			}
		})
	}
}

// The request of draft 76 can be looked at before its body has come.
func TestRequestWhileConnecting(t *testing.T) {
	c, peer := acceptDraft(t, request76)
	if r := c.Request(); r == nil || r.URL.Path != "/demo" {
		t.Errorf("request %v", r)
	}
	c.Abort()
	peer.wantEnd()
}

// A draft without pings is not given up for not answering them.
func TestNoKeepaliveWithoutPings(t *testing.T) {
	near, far := net.Pipe()
	go io.WriteString(far, request75)
	peer := draftPeer{t, far}
	accepted := make(chan *Conn, 1)
	go func() {
		c, _, err := AcceptConn(context.Background(), near, &AcceptOptions{AllowDrafts: true, PingInterval: time.Millisecond})
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	peer.want(answer75)
	c := <-accepted
	c.mu.Lock()
	started := c.extra().keepalive != nil
	c.mu.Unlock()
	if started {
		t.Error("keepalive without pings")
	}
	c.Abort()
	peer.wantEnd()
}

func TestAcceptConnWithoutDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		go io.WriteString(far, request13[:50])
		began := time.Now()
		if _, _, err := AcceptConn(t.Context(), noDeadlineConn{near}, &AcceptOptions{HandshakeTimeout: time.Second}); err == nil || time.Since(began) != time.Second {
			t.Errorf("half a request: %v after %v", err, time.Since(began))
		}

		near, far = net.Pipe()
		go io.WriteString(far, request13)
		go io.Copy(io.Discard, far)
		c, _, err := AcceptConn(t.Context(), noDeadlineConn{near}, &AcceptOptions{HandshakeTimeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if state := c.State(); state != StateOpen {
			t.Errorf("%v after the time for the handshake", state)
		}
		c.Abort()
		<-c.Closed()
	})
}

// A refusal is told though the connection has no deadlines.
func TestDialRefusedWithoutDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		go func() {
			http.ReadRequest(bufio.NewReader(far))
			io.WriteString(far, "HTTP/1.1 403 Forbidden\r\n\r\nno")
		}()
		began := time.Now()
		_, err := Dial(t.Context(), "ws://example.com", &DialOptions{
			NetDialContext: func(context.Context, string, string) (net.Conn, error) { return noDeadlineConn{near}, nil },
		})
		var failed *HandshakeError
		if !errors.As(err, &failed) || failed.Status != 403 || string(failed.Body) != "no" || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
