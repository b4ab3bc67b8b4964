package http2_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chanws/websocket"
	wshttp2 "github.com/chanws/websocket/negotiate/http2"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// tooLong is when a test is given up: nothing here takes anything like it.
const tooLong = 5 * time.Second

// extendedConnect is what a server sends that offers it.
var extendedConnect = http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1}

// An answer is what a server does for a frame; after an error it hangs up.
type answer func(f *http2.Framer, frame http2.Frame) error

var errHangUp = errors.New("hang up")

// serveFrames starts a site whose HTTP/2 is no more than the settings and the answer.
func serveFrames(t *testing.T, answer answer, settings ...http2.Setting) *site {
	t.Helper()
	return serve(t, func(s *httptest.Server) {
		s.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
			"h2": func(_ *http.Server, c *tls.Conn, _ http.Handler) {
				defer c.Close()
				if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
					return
				}
				f := http2.NewFramer(c, c)
				f.WriteSettings(settings...)
				for {
					frame, err := f.ReadFrame()
					if err != nil || answer(f, frame) != nil {
						return
					}
				}
			},
		}
		s.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
		s.EnableHTTP2 = false
	})
}

// answerPing answers a PING, and nothing else.
func answerPing(f *http2.Framer, frame http2.Frame) error {
	if ping, ok := frame.(*http2.PingFrame); ok && !ping.IsAck() {
		return f.WritePing(true, ping.Data)
	}
	return nil
}

// answerHead answers a request with a head.
func answerHead(head []hpack.HeaderField) answer {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, field := range head {
		e.WriteField(field)
	}
	return func(f *http2.Framer, frame http2.Frame) error {
		if headers, ok := frame.(*http2.HeadersFrame); ok {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: headers.StreamID, BlockFragment: b.Bytes(), EndHeaders: true})
		}
		return answerPing(f, frame)
	}
}

// A server that takes no extended CONNECT is spoken to in HTTP/1.1: one that does not
// offer it, as net/http's own as long as nothing switches it on, or allows no streams.
func TestServerThatTakesNone(t *testing.T) {
	for name, settings := range map[string][]http2.Setting{
		"not offered": {{ID: http2.SettingMaxConcurrentStreams, Val: 100}},
		"no streams":  {extendedConnect, {ID: http2.SettingMaxConcurrentStreams, Val: 0}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveFrames(t, answerPing, settings...)
			ctx, cancel := context.WithTimeout(t.Context(), tooLong)
			defer cancel()
			c, err := s.dial(ctx, s.transport(t))
			if n := s.conns.Load(); n != 2 {
				t.Errorf("%d connections, want one for each version of HTTP", n)
			}
			if err != nil {
				t.Fatal(err)
			}
			echoAndClose(t, c)
			echoAndClose(t, s.dialMany(t, s.transport(t), 3)...)
			if !s.saw("HTTP/1.1") {
				t.Error("not over HTTP/1.1")
			}
		})
	}
}

// A server that goes away from a new connection ends a dial, which would go on for as
// long as it had time else: connection after connection.
func TestServerGoesAway(t *testing.T) {
	goAway := func(f *http2.Framer) error { return f.WriteGoAway(0, http2.ErrCodeNo, nil) }
	for name, onPing := range map[string]func(*http2.Framer, *http2.PingFrame) error{
		"before it answers": func(f *http2.Framer, ping *http2.PingFrame) error {
			return errors.Join(goAway(f), f.WritePing(true, ping.Data))
		},
		"when it has answered": func(f *http2.Framer, ping *http2.PingFrame) error {
			return errors.Join(f.WritePing(true, ping.Data), goAway(f))
		},
		"and hangs up": func(f *http2.Framer, ping *http2.PingFrame) error {
			return errors.Join(f.WritePing(true, ping.Data), goAway(f), errHangUp)
		},
		"only hangs up": func(f *http2.Framer, ping *http2.PingFrame) error {
			return errors.Join(f.WritePing(true, ping.Data), errHangUp)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveFrames(t, func(f *http2.Framer, frame http2.Frame) error {
				if ping, ok := frame.(*http2.PingFrame); ok {
					return onPing(f, ping)
				}
				return nil
			}, extendedConnect)
			ctx, cancel := context.WithTimeout(t.Context(), tooLong)
			defer cancel()
			if _, err := s.dial(ctx, s.transport(t)); err == nil || ctx.Err() != nil {
				t.Errorf("%v, want an error of the connection", err)
			}
			if n := s.conns.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// The head of a response is bounded, however few bytes it is sent in.
func TestResponseHead(t *testing.T) {
	field := hpack.HeaderField{Name: "x-field", Value: strings.Repeat("x", 4000)} // a byte from the second on
	for _, test := range []struct {
		fields int
		opens  bool
	}{{10, true}, {20, false}, {2000, false}} {
		head := []hpack.HeaderField{{Name: ":status", Value: "200"}}
		for range test.fields {
			head = append(head, field)
		}
		s := serveFrames(t, answerHead(head), extendedConnect)
		c, err := s.dial(t.Context(), s.transport(t))
		if opened := err == nil; opened != test.opens {
			t.Errorf("%d fields: %v", test.fields, err)
		}
		if err == nil {
			c.Abort()
			<-c.Closed()
		}
	}
}

// A dam is a network connection on which writes wait once it is shut, as for a peer
// that does not read any more, until it is closed.
type dam struct {
	net.Conn
	shut, closed chan struct{}
	waits        chan struct{} // closed when a write does
	wait, close  sync.Once
}

func (d *dam) Write(p []byte) (int, error) {
	select {
	case <-d.shut:
		d.wait.Do(func() { close(d.waits) })
		<-d.closed
		return 0, net.ErrClosed
	default:
		return d.Conn.Write(p)
	}
}

func (d *dam) Close() error {
	d.close.Do(func() { close(d.closed) })
	return d.Conn.Close()
}

// newDam makes the first connection of the transport one.
func newDam(t *testing.T, transport *wshttp2.Transport) *dam {
	d := &dam{shut: make(chan struct{}), closed: make(chan struct{}), waits: make(chan struct{})}
	var first sync.Once
	transport.NetDialContext = func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		first.Do(func() { d.Conn = conn; conn = d })
		return conn, err
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// atOnce ends the test if f takes long, and does not wait for it.
func atOnce(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(tooLong):
		t.Fatalf("%s waits", what)
	}
}

// A server that does not read any more holds up nobody for longer than his context
// lives, and those not at all who want another server.
func TestServerDoesNotRead(t *testing.T) {
	s, other := serve(t, nil), serve(t, nil)
	transport := s.transport(t)
	transport.WriteTimeout = -1
	d := newDam(t, transport)
	c, err := s.dial(t.Context(), transport)
	if err != nil {
		t.Fatal(err)
	}
	close(d.shut)
	if err := c.Send(t.Context(), websocket.Text("hello")); err != nil {
		t.Error(err)
	}
	<-d.waits
	atOnce(t, "another dial", func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := s.dial(ctx, transport); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	atOnce(t, "CloseIdleConnections", transport.CloseIdleConnections)
	atOnce(t, "a dial to another server", func() {
		echoAndClose(t, other.dialMany(t, transport, 1)...)
	})
	select {
	case <-d.closed:
		t.Error("a connection with a WebSocket was closed")
	default:
	}
	c.Abort()
	<-c.Closed()
	untilForgotten(t, transport)
	<-d.closed
}
