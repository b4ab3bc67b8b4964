package websocket

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"

	"github.com/chanws/websocket/negotiate"
)

// maxDialAllocs is what a dial and the end of its connection may allocate, the server's
// part included: 61 when this was written, of which the net package and the server have
// 27. Channels that nobody asks for, a timer for an application that has given up, and
// the response in a map made it 82.
const maxDialAllocs = 68

func TestAllocationsOfADial(t *testing.T) {
	wantAllocations(t, maxDialAllocs, newDialer(t))
}

func BenchmarkDial(b *testing.B) {
	dial := newDialer(b)
	b.ReportAllocs()
	for b.Loop() {
		dial()
	}
}

// newDialer returns a function that dials a server and drops the connection.
func newDialer(t testing.TB) func() {
	url := "ws://" + serveEach(t, acceptOne) + "/chat"
	return func() {
		c, err := Dial(context.Background(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Abort()
		<-c.Closed()
	}
}

// acceptOne shakes hands, and waits for the client to go.
func acceptOne(c net.Conn) {
	defer c.Close()
	var room [512]byte
	n, err := c.Read(room[:])
	if err != nil {
		return
	}
	_, key, _ := bytes.Cut(room[:n], []byte("Sec-WebSocket-Key: "))
	response := append(room[:0], "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	response = append(append(response, negotiate.AcceptKey(string(key[:24]))...), "\r\n\r\n"...)
	c.Write(response)
	c.Read(room[:])
}

// TestAskedAfterTheEnd asks for the channels when all has been said.
func TestAskedAfterTheEnd(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := newConn((&AcceptOptions{}).settings())
	c.start(&handshake{transport: newTransport(near, c), reader: c.readerFor("", nil), writer: serverEncoder})
	ended := c.whenEnded()
	c.report(errors.New("one before the end"))
	c.Abort()
	<-ended
	if err, ok := <-c.Errors(); !ok || err.Error() != "one before the end" {
		t.Errorf("first error: %v, %v", err, ok)
	}
	if err, ok := <-c.Errors(); !ok || !errors.Is(err, errAborted) {
		t.Errorf("second error: %v, %v", err, ok)
	}
	if err, ok := <-c.Errors(); ok {
		t.Errorf("third error: %v", err)
	}
	if e, ok := <-c.Closed(); !ok || e.Code != StatusAbnormalClosure || !errors.Is(e.Err, errAborted) {
		t.Errorf("Closed: %+v, %v", e, ok)
	}
	if e, ok := <-c.Closed(); ok {
		t.Errorf("Closed again: %+v", e)
	}
}
