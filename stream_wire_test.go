package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/negotiate"
	"github.com/chanws/websocket/negotiate/deflate"
	wshttp2 "github.com/chanws/websocket/negotiate/http2"
	"golang.org/x/net/http2"
)

// What a WebSocket is in frames of HTTP/2.

// A message goes in one DATA frame with its header, or in as many as its size needs.
func TestStreamMessagesInDATAFrames(t *testing.T) {
	leavesNothing(t)
	sizes := []int{0, 1, 125, 126, 4000, 5000, 16000, 40 << 10}
	s := h2Server(t, websocket.Handler(func(c *websocket.Conn) {
		for _, size := range sizes {
			c.Send(context.Background(), websocket.Binary(make([]byte, size)))
			<-c.Messages() // the peer has it
		}
	}, nil))
	w := dialWire(t, s)
	w.connect(1, "/")
	w.wantStatus(1, "200")
	for _, size := range sizes {
		header := 2
		if size > 125 {
			header = 4
		}
		var frames []int
		for read := 0; read < header+size; {
			f, err := w.next(1)
			if err != nil {
				t.Fatal(err)
			}
			read += int(f.Header().Length)
			frames = append(frames, int(f.Header().Length))
		}
		most := 1
		if size > 16<<10 {
			most = 2 + size/(16<<10) // only the beginning is copied behind the header
		}
		if len(frames) > most || frames[0] <= header && size > 0 {
			t.Errorf("%d bytes came in frames of %v", size, frames)
		}
		w.WriteWindowUpdate(1, 1<<20)
		w.WriteWindowUpdate(0, 1<<20)
		w.WriteData(1, false, masked(0x82, "next"))
	}
}

// What a server with HTTP2Config says of itself.
func TestHTTP2ConfigOnTheWire(t *testing.T) {
	leavesNothing(t)
	s, _, _ := attacked(t, websocket.HTTP2Config())
	f, err := dialWire(t, s).ReadFrame()
	settings, ok := f.(*http2.SettingsFrame)
	if err != nil || !ok {
		t.Fatal(f, err)
	}
	for id, want := range map[http2.SettingID]uint32{
		http2.SettingEnableConnectProtocol: 1,
		http2.SettingInitialWindowSize:     64 << 10,
		http2.SettingMaxFrameSize:          16 << 10, // else a client of Go holds 512 KiB for a stream
	} {
		if got, _ := settings.Value(id); got != want {
			t.Errorf("%v is %d, want %d", id, got, want)
		}
	}
}

// A timeout of writes resets the stream, and nothing else.
func TestStreamWriteTimeout(t *testing.T) {
	leavesNothing(t)
	accepted := make(chan *websocket.Conn, 1)
	s := h2Server(t, websocket.Handler(func(c *websocket.Conn) {
		accepted <- c
		for c.Send(context.Background(), websocket.Binary(make([]byte, 16<<10))) == nil {
		}
	}, &websocket.AcceptOptions{WriteTimeout: 50 * time.Millisecond}))
	w := dialWire(t, s)
	w.connect(1, "/")
	w.wantStatus(1, "200")
	c := <-accepted
	w.wantReset(1, http2.ErrCodeInternal) // net/http has no other for it
	var late *websocket.TimeoutError
	if e := wantClosed(t, c, 1006); !errors.As(e.Err, &late) {
		t.Errorf("closed with %+v, want a TimeoutError", e)
	}
	w.WriteRSTStream(1, http2.ErrCodeCancel)
	w.connect(3, "/")
	w.wantStatus(3, "200")
}

// And so does that of a client, whose peer gives it no room.
func TestStreamWriteTimeoutOfAClient(t *testing.T) {
	leavesNothing(t)
	s := h2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		<-r.Context().Done() // and reads nothing
	}))
	c, err := dialH2(t, s, websocket.DialOptions{WriteTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for c.Send(context.Background(), websocket.Binary(make([]byte, 64<<10))) == nil {
	}
	var late *websocket.TimeoutError
	if e := wantClosed(t, c, 1006); !errors.As(e.Err, &late) {
		t.Errorf("closed with %+v, want a TimeoutError", e)
	}
}

// A pattern with GET refuses the CONNECT of HTTP/2.
func TestStreamRouting(t *testing.T) {
	for pattern, status := range map[string]string{"/ws": "200", "CONNECT /ws": "200", "GET /ws": "405"} {
		t.Run(pattern, func(t *testing.T) {
			leavesNothing(t)
			mux := http.NewServeMux()
			mux.Handle(pattern, websocket.Handler(func(*websocket.Conn) {}, nil))
			w := dialWire(t, h2Server(t, mux))
			w.connect(1, "/ws")
			w.wantStatus(1, status)
		})
	}
}

func TestStreamDeflate(t *testing.T) {
	leavesNothing(t)
	extensions := []negotiate.Extension{deflate.New(nil)}
	s := h2Server(t, websocket.Handler(echoUnlessDeaf, &websocket.AcceptOptions{Extensions: extensions}))
	c, err := dialH2(t, s, websocket.DialOptions{Extensions: extensions})
	if err != nil {
		t.Fatal(err)
	}
	if agreed := c.Extensions(); len(agreed) != 1 || agreed[0].Name != "permessage-deflate" {
		t.Errorf("agreed on %v", agreed)
	}
	for _, size := range []int{0, 1, 1 << 10, 1 << 20} {
		text := strings.Repeat("text that is compressed", size/20+1)[:size]
		if err := c.Send(t.Context(), websocket.Text(text)); err != nil {
			t.Fatal(err)
		}
		wantMessage(t, c, text)
	}
	if err := c.Close(t.Context(), 1000, ""); err != nil {
		t.Error(err)
	}
}

// A client that has been refused leaves the connection to others.
func TestStreamRefusalKeepsTheConnection(t *testing.T) {
	leavesNothing(t)
	refuse := true
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
			w.Write(bytes.Repeat([]byte{'x'}, 2<<20)) // more than the client reads of it
			return
		}
		websocket.Handler(echoUnlessDeaf, nil).ServeHTTP(w, r)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	transport := &wshttp2.Transport{TLSConfig: trustingServer(s)}
	t.Cleanup(transport.CloseIdleConnections)
	dial := func() (*websocket.Conn, error) {
		return websocket.Dial(t.Context(), "wss"+s.URL[len("https"):], &websocket.DialOptions{RoundTripper: transport})
	}
	for range 5 {
		var failed *websocket.HandshakeError
		if _, err := dial(); !errors.As(err, &failed) || failed.Status != 503 {
			t.Errorf("%v, want status 503", err)
		}
	}
	refuse = false
	c, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), websocket.Binary(make([]byte, 1<<20))); err != nil {
		t.Error(err)
	}
	wantMessage(t, c, string(make([]byte, 1<<20)))
	if err := c.Close(t.Context(), 1000, ""); err != nil {
		t.Error(err)
	}
}
