package websocket

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/chanws/websocket/codec"
)

// The queue may be written between the look at it that found no room and the one that
// begins to wait. Whoever waited then would wait for ever, and all after it.
func TestRoomBeforeTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		go io.Copy(io.Discard, far)
		c := newConn((&DialOptions{}).settings())
		c.start(&handshake{transport: newTransport(near, c), reader: c.readerFor("", nil), writer: clientEncoder})
		for range 3 {
			f := outFrame{Frame: codec.Frame{Opcode: codec.OpText, Final: true, Payload: []byte("late")}}
			sent := make(chan error, 1)
			go func() { sent <- c.sendLate(context.Background(), &f) }() // the queue is empty
			synctest.Wait()
			select {
			case err := <-sent:
				if err != nil {
					t.Errorf("sendLate: %v", err)
				}
			default:
				t.Error("it waits for room where there is some")
			}
		}
		if n := c.Stats().MessagesSent; n != 3 {
			t.Errorf("%d messages were sent", n)
		}
		c.Abort()
		<-c.Closed()
		far.Close()
	})
}
