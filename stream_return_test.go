package websocket_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/chanws/websocket"
	wshttp2 "github.com/chanws/websocket/negotiate/http2"
)

// What follows is about handlers that return while messages are being written:
// net/http gives their response to another request then.

// A floodedStream is a server whose handler accepts, lets four goroutines send
// without an end, and calls leave before it returns; beside it a page that must not
// change.
func floodedStream(t *testing.T, wrap func(http.Handler) http.Handler, leave func(*websocket.Conn)) *httptest.Server {
	var senders sync.WaitGroup
	t.Cleanup(senders.Wait)
	mux := http.NewServeMux()
	mux.HandleFunc("/chat", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		for i := range 4 {
			m := websocket.Binary(bytes.Repeat([]byte{'!'}, 100<<(3*i))) // up to 50 KiB
			senders.Go(func() {
				for c.Send(context.Background(), m) == nil {
				}
			})
		}
		<-c.Messages()
		leave(c)
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })
	return h2Server(t, wrap(mux))
}

var page = bytes.Repeat([]byte("page "), 700) // in the buffer of the response when the handler returns

func unheld(h http.Handler) http.Handler { return h }

func TestStreamHandlerReturnsWhileWriting(t *testing.T) {
	for _, test := range []struct {
		name  string
		wrap  func(http.Handler) http.Handler
		leave func(*websocket.Conn)
	}{
		{"after Abort", unheld, (*websocket.Conn).Abort},
		{"after Close", unheld, func(c *websocket.Conn) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			c.Close(ctx, 1000, "")
		}},
		{"held, after Abort", websocket.Hold, (*websocket.Conn).Abort},
		{"held, leaving it to another", websocket.Hold, func(c *websocket.Conn) { time.AfterFunc(time.Millisecond, c.Abort) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			leavesNothing(t)
			s := floodedStream(t, test.wrap, test.leave)
			var logged lockedBuffer
			s.Config.ErrorLog = log.New(&logged, "", 0)
			transport := &wshttp2.Transport{TLSConfig: trustingServer(s)}
			t.Cleanup(transport.CloseIdleConnections)
			pages := rawClient(t, s)
			var all sync.WaitGroup
			for worker := range 4 {
				all.Go(func() {
					for range 25 {
						leaveWhileWriting(t, s, transport, worker%2 == 0)
						wantPage(t, s, pages)
					}
				})
			}
			all.Wait()
			if s := logged.String(); s != "" {
				t.Errorf("the server logged %q", s)
			}
		})
	}
}

// leaveWhileWriting opens a WebSocket, has the handler leave, and waits for the end.
func leaveWhileWriting(t *testing.T, s *httptest.Server, transport http.RoundTripper, reads bool) {
	c, err := websocket.Dial(t.Context(), "wss"+s.URL[len("https"):]+"/chat", &websocket.DialOptions{RoundTripper: transport})
	if err != nil {
		t.Error(err)
		return
	}
	if reads {
		<-c.Messages()
	}
	c.TrySend(websocket.Text("leave"))
	for range c.Messages() {
	}
	select {
	case <-c.Closed():
	case <-time.After(patience):
		t.Error("not closed")
	}
}

func wantPage(t *testing.T, s *httptest.Server, client http.RoundTripper) {
	r, err := http.NewRequest("GET", s.URL+"/page", nil)
	if err != nil {
		t.Error(err)
		return
	}
	response, err := client.RoundTrip(r)
	if err != nil {
		t.Error(err)
		return
	}
	defer response.Body.Close()
	if got, err := io.ReadAll(response.Body); err != nil || !bytes.Equal(got, page) {
		t.Errorf("the page came as %d bytes %.50q, %v", len(got), got, err)
	}
}

// What has been flushed when the handler returns is no trouble, nor is what would come
// after, though nothing holds the request.
func TestStreamHandlerReturnsAfterFlush(t *testing.T) {
	leavesNothing(t)
	accepted := make(chan *websocket.Conn, 1)
	s := h2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		c.TrySend(websocket.Text("x"))
		if err := c.Flush(context.Background()); err != nil {
			t.Error(err)
		}
		accepted <- c
	}))
	for range 50 {
		client, err := dialH2(t, s, websocket.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c := <-accepted
		wantMessage(t, client, "x")
		wantAnyClose(t, client)
		for c.Send(context.Background(), websocket.Text("late")) == nil {
		}
		wantClosed(t, c, 1006)
	}
}

// A write that the peer does not let go on ends with the request too, though nobody
// can touch the response any more.
func TestStreamHandlerPanicsWhileAWriteWaits(t *testing.T) {
	leaveWhileAWriteWaits(t, func() { panic(http.ErrAbortHandler) }) // net/http does not touch the response then
}

// leaveWhileAWriteWaits has a handler leave while the peer does not take what it has
// sent, and gives how the connection ended.
func leaveWhileAWriteWaits(t *testing.T, leave func()) websocket.CloseEvent {
	t.Helper()
	leavesNothing(t)
	accepted := make(chan *websocket.Conn, 1)
	s := h2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- c
		fill(t, c, 256<<10)
		leave()
	}))
	_, response := connectStream(t, rawClient(t, s), s.URL, http.Header{"Sec-Websocket-Version": {"13"}})
	defer response.Body.Close()
	return wantClosed(t, <-accepted, 1006)
}

// A lease is nothing to a peer that takes its time.
func TestStreamWriteWaitsForThePeer(t *testing.T) {
	leavesNothing(t)
	s := h2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Abort()
		c.Send(context.Background(), websocket.Binary(make([]byte, 6<<20)))
		c.Close(context.Background(), 1000, "")
	}))
	conn, response := connectStream(t, rawClient(t, s), s.URL, http.Header{"Sec-Websocket-Version": {"13"}})
	defer response.Body.Close()
	time.Sleep(4 * time.Second) // longer than a lease; the time is net/http's
	if n, err := io.CopyN(io.Discard, conn, 6<<20); err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}
