package websocket

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
	"github.com/chanws/websocket/negotiate/deflate"
)

// One who sends seldom, by the connection's clock, does not transform messages itself.
func TestTransformsAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConn((&AcceptOptions{}).settings())
		whole := &outFrame{Frame: codec.Frame{Opcode: codec.OpText, Final: true}}
		if c.transformsAside(whole) {
			t.Error("there is nothing to transform")
		}
		c.pipeline = negotiate.NewPipeline(negotiate.Offer{}, 0, nil)
		for range 3 {
			time.Sleep(100 * time.Millisecond)
			if c.transformsAside(&outFrame{Frame: whole.Frame, prepared: new(Prepared)}) {
				t.Error("a prepared message is transformed")
			}
			if c.transformsAside(&outFrame{Frame: codec.Frame{Opcode: codec.OpText}, part: true}) {
				t.Error("a part of a message is transformed")
			}
			for i, want := range []bool{true, false, false} {
				if c.transformsAside(whole) != want {
					t.Errorf("%d sent shortly after another: %t", i, !want)
				}
				time.Sleep(time.Millisecond)
			}
		}
	})
}

// The goroutine of an application that sends seldom keeps the stack that it began with,
// though the messages are compressed; but for a turn in which a lock or a pool took more.
// Whether it has is told by where a variable is.
func TestStackOfSend(t *testing.T) {
	extensions := []negotiate.Extension{deflate.New(nil)}
	accepted := make(chan *Conn, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Accept(w, r, &AcceptOptions{Extensions: extensions}); err == nil {
			accepted <- c
		}
	}))
	defer server.Close()
	c, err := Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), &DialOptions{Extensions: extensions})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	peer := <-accepted
	defer peer.Abort()

	if !peer.transport.canTry() || raceEnabled { // no direct writes, or larger frames
		return
	}
	m := Text(strings.Repeat("to be compressed ", 64))
	// grows sends from a new goroutine and reports whether its stack has grown.
	grows := func() bool {
		grown := make(chan bool, 1)
		go func() {
			var here byte
			began := address(&here)
			peer.Send(context.Background(), m)
			grown <- address(&here) != began
		}()
		(<-c.Messages()).Release()
		return <-grown
	}
	for turn := 1; grows(); turn++ {
		if turn == 10 {
			t.Fatal("the stack grew each time")
		}
		time.Sleep(150 * time.Millisecond)
	}
}

//go:noinline
func address(b *byte) uintptr { return uintptr(unsafe.Pointer(b)) }
