package websocket_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chanws/websocket"
	wshttp2 "github.com/chanws/websocket/negotiate/http2"
	"golang.org/x/net/http2"
)

// What a client of HTTP/2 can do to a server. Each attack has to end the WebSocket
// with 1006 and leave nothing behind, and another on a connection of its own goes on.

// masked makes a client's frame.
func masked(first byte, payload string) []byte {
	return (&peer{masks: true}).encode(first, []byte(payload))
}

// attacked is a server that echoes, and sends without an end where the path is
// /flood, and tells of each connection that it was accepted and how it ended. A client
// may have its response before Accept does: where it resets the stream then, there is
// no connection.
func attacked(t *testing.T, config *http.HTTP2Config) (s *httptest.Server, accepted <-chan struct{}, ended <-chan websocket.CloseEvent) {
	began, over := make(chan struct{}, 1000), make(chan websocket.CloseEvent, 1000)
	s = httptest.NewUnstartedServer(websocket.Handler(func(c *websocket.Conn) {
		began <- struct{}{}
		for c.URL().Path == "/flood" && c.Send(context.Background(), websocket.Binary(make([]byte, 16<<10))) == nil {
		}
		for m := range c.Messages() {
			if c.Send(context.Background(), m) != nil {
				break
			}
		}
		for range c.Messages() {
		}
		over <- <-c.Closed()
	}, &websocket.AcceptOptions{CloseTimeout: 200 * time.Millisecond}))
	s.EnableHTTP2 = true
	s.Config.HTTP2 = config
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s, began, over
}

func TestStreamAttacksOnAServer(t *testing.T) {
	reset := func(w *wire) { w.WriteRSTStream(1, http2.ErrCodeCancel) }
	for _, test := range []struct {
		name   string
		path   string
		attack func(w *wire) // after the handshake
		clean  bool          // the WebSocket was closed before
	}{
		{"reset at once", "/", reset, false},
		{"reset with every code there is", "/", func(w *wire) { w.WriteRSTStream(1, 0xffffffff) }, false},
		{"reset within a frame", "/", func(w *wire) { w.WriteData(1, false, masked(0x81, "hello")[:4]); reset(w) }, false},
		{"reset after a message", "/", func(w *wire) { w.WriteData(1, false, masked(0x81, "hello")); reset(w) }, false},
		{"reset while the server writes", "/flood", func(w *wire) { w.next(1); reset(w) }, false},
		{"reset while the server waits to write", "/flood", func(w *wire) {
			for read := 0; read < 65535; {
				f, err := w.next(1)
				if err != nil {
					t.Error(err)
					return
				}
				read += int(f.Header().Length)
			}
			reset(w)
		}, false},
		{"reset instead of a close frame", "/", func(w *wire) { w.WriteData(1, false, masked(0x81, "\xff")); w.next(1); reset(w) }, false},
		{"reset after the close frame", "/", func(w *wire) {
			w.WriteData(1, false, masked(0x88, closePayload(1000, "")))
			w.next(1)
			reset(w)
		}, true},
		{"twice reset", "/", func(w *wire) { reset(w); reset(w) }, false},
		{"end without a close frame", "/", func(w *wire) { w.WriteData(1, true, nil) }, false},
		{"end within a frame", "/", func(w *wire) { w.WriteData(1, true, masked(0x81, "hello")[:4]) }, false},
		{"data after the end", "/", func(w *wire) {
			w.WriteData(1, true, nil)
			w.WriteData(1, false, masked(0x81, "hello"))
		}, false},
		{"trailers", "/", func(w *wire) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: w.head("x-trailer", "1")})
		}, false},
		{"a second head that ends nothing", "/", func(w *wire) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: w.head("x-trailer", "1")})
		}, false},
		{"WINDOW_UPDATE of 0 for the stream", "/", func(w *wire) { w.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, make([]byte, 4)) }, false},
		{"WINDOW_UPDATE of 0 for the connection", "/", func(w *wire) { w.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, make([]byte, 4)) }, false},
		{"a window too large", "/", func(w *wire) { w.WriteWindowUpdate(1, 1<<31-1) }, false},
		{"more data than the window", "/flood", func(w *wire) {
			message := masked(0x82, strings.Repeat("x", 1<<20))
			for i := range 64 { // the stream has room for 4
				w.WriteData(1, false, message[i*16<<10:(i+1)*16<<10])
			}
		}, false},
		{"a frame that is too large", "/", func(w *wire) { w.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 17<<10)) }, false},
		{"GOAWAY and gone", "/", func(w *wire) { w.WriteGoAway(0, http2.ErrCodeNo, nil); w.conn.Close() }, false},
		{"gone", "/flood", func(w *wire) { w.conn.Close() }, false},
		{"no window at all", "/flood", func(w *wire) {
			w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			reset(w)
		}, false},
		{"WebSocket pings without reading", "/", func(w *wire) {
			frames := strings.Repeat(string(masked(0x89, strings.Repeat("p", 100))), 100)
			for range 50 { // as much as the connection's window
				if w.WriteData(1, false, []byte(frames)) != nil {
					break
				}
			}
			w.conn.Close()
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			leavesNothing(t)
			s, accepted, ended := attacked(t, websocket.HTTP2Config())
			other, err := dialH2(t, s, websocket.DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			wantResult(t, "the other", accepted)
			w := dialWire(t, s)
			w.connect(1, test.path)
			w.wantStatus(1, "200")
			wantResult(t, "Accept", accepted)
			test.attack(w)
			e := wantResult(t, "the WebSocket", ended)
			if want := map[bool]websocket.StatusCode{false: 1006, true: 1000}[test.clean]; e.Code != want && e.Code != 1007 {
				t.Errorf("closed with %+v, want %d", e, want)
			}
			if err := other.Send(t.Context(), websocket.Binary([]byte("still here"))); err != nil {
				t.Error(err)
			}
			wantMessage(t, other, "still here")
			if err := other.Close(t.Context(), 1000, ""); err != nil {
				t.Error(err)
			}
		})
	}
}

// What is no request is refused before there is a WebSocket.
func TestStreamAttacksOnTheHandshake(t *testing.T) {
	for _, test := range []struct {
		name   string
		attack func(w *wire)
		want   func(w *wire)
	}{
		{"a head of 2 MiB", func(w *wire) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.head(":method", "CONNECT", ":protocol", "websocket",
				":scheme", "https", ":path", "/", ":authority", "example.com", "sec-websocket-version", "13")})
			large := append([]byte(nil), w.head("x-large", strings.Repeat("~", 12<<10))...)
			for range 170 {
				if w.WriteContinuation(1, false, large) != nil {
					return
				}
			}
			w.WriteContinuation(1, true, nil)
		}, func(w *wire) {
			// 431, or the end of the connection: what net/http does depends on how far it is over.
			if f, err := w.next(1); err == nil && f.(*http2.MetaHeadersFrame).PseudoValue("status") != "431" {
				w.t.Errorf("got %v", f)
			}
		}},
		{"no :path", func(w *wire) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: w.head(":method", "CONNECT",
				":protocol", "websocket", ":scheme", "https", ":authority", "example.com", "sec-websocket-version", "13")})
		}, func(w *wire) { w.wantReset(1, http2.ErrCodeProtocol) }},
		{":protocol twice", func(w *wire) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: w.head(":method", "CONNECT",
				":protocol", "websocket", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "example.com")})
		}, func(w *wire) {
			if _, err := w.next(1); !errors.As(err, new(http2.StreamError)) && err != nil {
				w.t.Log(err)
			}
		}},
		{"an even stream", func(w *wire) { w.connect(2, "/") }, func(w *wire) { w.wantGoAway(http2.ErrCodeProtocol) }},
		{"data on a stream that is not open", func(w *wire) { w.WriteData(1, false, []byte("x")) }, func(w *wire) { w.wantGoAway(http2.ErrCodeProtocol) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			leavesNothing(t)
			s, _, ended := attacked(t, websocket.HTTP2Config())
			w := dialWire(t, s)
			test.attack(w)
			test.want(w)
			select {
			case e := <-ended:
				t.Errorf("it was accepted, and ended with %+v", e)
			default:
			}
		})
	}
}

// Streams that are opened and reset as fast as can be (CVE-2023-44487): all that
// were accepted end.
func TestStreamRapidReset(t *testing.T) {
	leavesNothing(t)
	var accepted, ended atomic.Int64
	s := h2Server(t, websocket.Handler(func(c *websocket.Conn) {
		accepted.Add(1)
		for range c.Messages() {
		}
		<-c.Closed()
		ended.Add(1)
	}, nil))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	w := dialWire(t, s)
	go io.Copy(io.Discard, w.conn)
	for i := range uint32(2000) {
		w.connect(2*i+1, "/")
		if w.WriteRSTStream(2*i+1, http2.ErrCodeCancel) != nil {
			break // the server has had enough
		}
	}
	w.conn.Close()
	s.CloseClientConnections()
	s.Close() // waits for the handlers' connections
	for deadline := time.Now().Add(patience); accepted.Load() != ended.Load(); {
		if time.Now().After(deadline) {
			t.Fatalf("%d accepted, %d ended", accepted.Load(), ended.Load())
		}
		time.Sleep(time.Millisecond) // there is nothing to receive from
	}
	t.Logf("%d accepted", accepted.Load())
}

// A peer that does not even read TCP holds net/http's writer, and with it all that
// writes, whatever deadline a stream has: the timeout for bytes frees them.
func TestStreamPeerDoesNotReadTCP(t *testing.T) {
	leavesNothing(t)
	config := websocket.HTTP2Config()
	if config.WriteByteTimeout <= 0 || config.WriteByteTimeout > time.Minute {
		t.Errorf("WriteByteTimeout is %v", config.WriteByteTimeout)
	}
	config.WriteByteTimeout = 300 * time.Millisecond
	s, _, ended := attacked(t, config)
	w := dialWire(t, s, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	w.WriteWindowUpdate(0, 1<<31-1-65535)
	w.connect(1, "/flood")
	w.wantStatus(1, "200")
	if e := wantResult(t, "the WebSocket", ended); e.Code != 1006 {
		t.Errorf("closed with %+v", e)
	}
}

// What a server of HTTP/2 can do to a client.
func TestStreamAttacksOnAClient(t *testing.T) {
	settings := func(w *wire) {
		w.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
	}
	accept := func(w *wire) uint32 {
		settings(w)
		id, err := w.untilHeaders()
		if err != nil {
			return 0
		}
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, BlockFragment: w.head(":status", "200")})
		return id
	}
	opened := func(then func(w *wire, id uint32)) func(w *wire) {
		return func(w *wire) {
			if id := accept(w); id != 0 {
				then(w, id)
				w.untilGone()
			}
		}
	}
	for _, test := range []struct {
		name  string
		opens bool
		play  func(w *wire)
	}{
		{"says nothing", false, func(w *wire) { io.Copy(io.Discard, w.conn) }},
		{"answers no request", false, func(w *wire) { settings(w); w.untilGone() }},
		{"gone after SETTINGS", false, func(w *wire) { settings(w) }},
		{"is no HTTP/2", false, func(w *wire) { io.WriteString(w.conn, "SSH-2.0-server\r\n\r\n") }},
		{"SETTINGS of 16 MiB", false, func(w *wire) {
			w.conn.Write([]byte{0xff, 0xff, 0xff, 4, 0, 0, 0, 0, 0})
			w.conn.Write(make([]byte, 1<<20))
			io.Copy(io.Discard, w.conn)
		}},
		{"resets the request", false, func(w *wire) {
			settings(w)
			if id, err := w.untilHeaders(); err == nil {
				w.WriteRSTStream(id, http2.ErrCodeInternal)
				w.untilGone()
			}
		}},
		{"GOAWAY for the request", false, func(w *wire) {
			settings(w)
			if _, err := w.untilHeaders(); err == nil {
				w.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil)
			}
		}},
		{"a head without an end", false, func(w *wire) {
			settings(w)
			id, err := w.untilHeaders()
			if err != nil {
				return
			}
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.head(":status", "200")})
			large := append([]byte(nil), w.head("x-large", strings.Repeat("~", 12<<10))...)
			for w.WriteContinuation(id, false, large) == nil {
			}
		}},
		{"103 without an end", false, func(w *wire) {
			settings(w)
			id, err := w.untilHeaders()
			for err == nil {
				err = w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, BlockFragment: w.head(":status", "103")})
			}
		}},
		{"data before the head", false, func(w *wire) {
			settings(w)
			if id, err := w.untilHeaders(); err == nil {
				w.WriteData(id, false, []byte("\x81\x00"))
				w.untilGone()
			}
		}},
		{"101", false, func(w *wire) {
			settings(w)
			if id, err := w.untilHeaders(); err == nil {
				w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: true, BlockFragment: w.head(":status", "101")})
				w.untilGone()
			}
		}},
		{"resets", true, opened(func(w *wire, id uint32) { w.WriteRSTStream(id, http2.ErrCodeNo) })},
		{"resets within a frame", true, opened(func(w *wire, id uint32) {
			w.WriteData(id, false, []byte("\x81\x05he"))
			w.WriteRSTStream(id, http2.ErrCodeCancel)
		})},
		{"ends with the head", true, func(w *wire) {
			settings(w)
			if id, err := w.untilHeaders(); err == nil {
				w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: true, BlockFragment: w.head(":status", "200")})
				w.untilGone()
			}
		}},
		{"ends", true, opened(func(w *wire, id uint32) { w.WriteData(id, true, nil) })},
		{"ends within a frame", true, opened(func(w *wire, id uint32) { w.WriteData(id, true, []byte("\x81\x05he")) })},
		{"trailers", true, opened(func(w *wire, id uint32) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: true, BlockFragment: w.head("x-trailer", "1")})
		})},
		{"data after the end", true, opened(func(w *wire, id uint32) {
			w.WriteData(id, true, nil)
			w.WriteData(id, false, []byte("\x81\x00"))
		})},
		{"WINDOW_UPDATE of 0", true, opened(func(w *wire, id uint32) { w.WriteRawFrame(http2.FrameWindowUpdate, 0, id, make([]byte, 4)) })},
		{"WINDOW_UPDATE of 0 for the connection", true, opened(func(w *wire, _ uint32) { w.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, make([]byte, 4)) })},
		{"a window too large", true, opened(func(w *wire, id uint32) { w.WriteWindowUpdate(id, 1<<31-1) })},
		{"a push", true, opened(func(w *wire, id uint32) {
			w.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, EndHeaders: true, BlockFragment: w.head(":method", "GET")})
		})},
		{"gone", true, func(w *wire) { accept(w) }},
		{"GOAWAY and gone", true, func(w *wire) { accept(w); w.WriteGoAway(0, http2.ErrCodeInternal, nil) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			leavesNothing(t)
			s := hostileServer(t, test.play)
			transport := &wshttp2.Transport{TLSConfig: &tls.Config{RootCAs: certificates().roots, ServerName: "example.com"}}
			t.Cleanup(transport.CloseIdleConnections)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			began := time.Now()
			c, err := websocket.Dial(ctx, "wss://"+s.Listener.Addr().String(), &websocket.DialOptions{RoundTripper: transport})
			if d := time.Since(began); d > 3*time.Second {
				t.Errorf("Dial took %v", d)
			}
			if (err == nil) != test.opens {
				t.Errorf("Dial: %v", err)
			}
			if err != nil {
				return
			}
			for range c.Messages() {
			}
			if e := wantClosed(t, c, 1006); e.Err == nil {
				t.Errorf("closed with %+v", e)
			}
		})
	}
}
