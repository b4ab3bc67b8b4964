package main

import (
	"context"
	"net"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/chanws/websocket"
)

func TestFirst(t *testing.T) {
	now := at(5000)
	for id, want := range map[string]int64{"": 5001, "x": 5001, "4990": 4991, "5000": 5001, "5001": 5001, "9999": 5001, "1": 4001, "-1": 4001} {
		if got := first(id, now); got != want {
			t.Errorf("%q: %d, want %d", id, got, want)
		}
	}
}

// The stream goes on over a restart, without a gap.
func TestRestart(t *testing.T) {
	opts := &websocket.EventSourceOptions{Retry: 10 * time.Millisecond}
	start := func(l net.Listener) *httptest.Server {
		s := httptest.NewUnstartedServer(websocket.EventSourceHandler(serve, opts))
		if l != nil {
			s.Listener.Close()
			s.Listener = l
		}
		s.Start()
		return s
	}
	s := start(nil)
	es, err := websocket.DialEventSource(context.Background(), s.URL, &websocket.EventSourceDialOptions{LastEventID: strconv.FormatInt(first("", time.Now())-4, 10)})
	if err != nil {
		t.Fatal(err)
	}
	defer es.Close()
	var last int64
	read := func() {
		ev := <-es.Messages()
		id, err := strconv.ParseInt(ev.ID, 10, 64)
		if err != nil || last != 0 && id != last+1 || ev.Data != at(id).Format("15:04:05.0") {
			t.Fatalf("got %+v after %d", ev, last)
		}
		last = id
	}
	for range 4 {
		read()
	}
	addr := s.Listener.Addr().String()
	s.CloseClientConnections()
	s.Close()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s = start(l)
	defer s.CloseClientConnections()
	for range 2 {
		read()
	}
}
