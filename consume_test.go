package websocket

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/chanws/websocket/negotiate"
)

// A closingExtension closes the socket when a number of messages have come.
type closingExtension struct {
	left   int
	socket net.Conn
	closed chan struct{}
}

func (e *closingExtension) Name() string                      { return "x-closing" }
func (e *closingExtension) Reserved() negotiate.Reserved      { return 0 }
func (e *closingExtension) Client() negotiate.ClientExtension { return nil }
func (e *closingExtension) Close()                            {}

func (e *closingExtension) Server([][]negotiate.Param) ([]negotiate.Param, negotiate.Session, bool) {
	return nil, e, true
}

func (e *closingExtension) Incoming(dst []byte, _ negotiate.Message, _ int64) ([]byte, bool, error) {
	if e.left--; e.left == 0 {
		e.socket.Close()
		close(e.closed)
	}
	return dst, false, nil
}

func (e *closingExtension) Outgoing(dst []byte, _ negotiate.Message) ([]byte, negotiate.Reserved, bool, error) {
	return dst, 0, false, nil
}

// An extension may close the socket that the message came from, which waits for those
// who use it.
func TestExtensionClosesSocket(t *testing.T) {
	near, far := roomyPair(t)
	const messages = 8
	e := &closingExtension{left: messages, socket: near, closed: make(chan struct{})}
	say(t, far, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: x-closing\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	c, _, err := AcceptConn(context.Background(), near, &AcceptOptions{Extensions: []negotiate.Extension{e}})
	if err != nil || len(c.Extensions()) != 1 {
		t.Fatal(c, err)
	}
	defer c.Abort()
	for range messages - 1 {
		say(t, far, hi)
		<-c.Messages()
	}
	say(t, far, hi)
	select {
	case <-e.closed:
	case <-time.After(20 * time.Second):
		t.Fatal("the socket is not closed")
	}
	for range c.Messages() {
	}
	if e := <-c.Closed(); e.Code != StatusAbnormalClosure {
		t.Errorf("closed with %+v", e)
	}
}
