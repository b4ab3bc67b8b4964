package main

import (
	"context"
	"io"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chanws/websocket"
)

func TestReplayAndStall(t *testing.T) {
	h := newHub()
	s := httptest.NewServer(websocket.EventSourceHandler(h.serve, nil))
	defer s.CloseClientConnections()
	for range 5 {
		h.publish("before")
	}
	stalled, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	stalled.(*net.TCPConn).SetReadBuffer(4 << 10)
	io.WriteString(stalled, "GET / HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1\r\n\r\n")

	dial := func(id string) *websocket.EventStream {
		es, err := websocket.DialEventSource(context.Background(), s.URL, &websocket.EventSourceDialOptions{LastEventID: id})
		if err != nil {
			t.Fatal(err)
		}
		return es
	}
	// More than the buffers of a connection hold, so that the stalled one is felt.
	large := strings.Repeat("x", 64<<10)
	back := dial("2")
	defer back.Close()
	for id := 3; id <= 500; id++ {
		if id > 5 {
			h.publish(large)
		}
		if ev := <-back.Messages(); ev.ID != strconv.Itoa(id) || ev.Type != "tick" {
			t.Fatalf("got %+v, want id %d", ev, id)
		}
	}
	// Ids of an earlier life of the server, or none, start with what is next.
	for _, id := range []string{"", "x", "-7", "99999"} {
		es := dial(id)
		var got websocket.Event
		for got.Data == "" {
			h.publish("new")
			select {
			case got = <-es.Messages():
			case <-time.After(time.Millisecond): // it was not listening yet
			}
		}
		if got.Data != "new" {
			t.Errorf("after %q: %+v", id, got)
		}
		es.Close()
	}
}
