package websocket_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A wire is a connection of HTTP/2 as frames, for what no client or server would
// send. It answers nothing by itself.
type wire struct {
	*http2.Framer
	t       testing.TB
	conn    net.Conn
	block   bytes.Buffer
	encoder *hpack.Encoder
}

func newWire(t testing.TB, conn net.Conn) *wire {
	w := &wire{Framer: http2.NewFramer(conn, conn), t: t, conn: conn}
	w.encoder = hpack.NewEncoder(&w.block)
	w.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return w
}

// dialWire connects to a server and greets it.
func dialWire(t testing.TB, s *httptest.Server, settings ...http2.Setting) *wire {
	t.Helper()
	config := trustingServer(s)
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", s.Listener.Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, conn)
	io.WriteString(conn, http2.ClientPreface)
	w.WriteSettings(settings...)
	w.WriteSettingsAck()
	return w
}

// head compresses header fields, given as name and value in turn.
func (w *wire) head(fields ...string) []byte {
	w.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		w.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return w.block.Bytes()
}

// connect asks for a WebSocket on a stream.
func (w *wire) connect(id uint32, path string) {
	w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, BlockFragment: w.head(
		":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", path, ":authority", "example.com",
		"sec-websocket-version", "13")})
}

// next reads the next frame of a stream, or of the connection where id is 0.
func (w *wire) next(id uint32) (http2.Frame, error) {
	for {
		f, err := w.ReadFrame()
		if err != nil {
			return nil, err
		}
		switch f.(type) {
		case *http2.SettingsFrame, *http2.WindowUpdateFrame:
			continue
		}
		if f.Header().StreamID == id {
			return f, nil
		}
	}
}

// wantStatus reads the head of a response.
func (w *wire) wantStatus(id uint32, status string) {
	w.t.Helper()
	f, err := w.next(id)
	head, ok := f.(*http2.MetaHeadersFrame)
	if err != nil || !ok || head.PseudoValue("status") != status {
		w.t.Errorf("got %v, %v, want status %s", f, err, status)
	}
}

// wantReset reads until the stream is reset, or the connection has ended.
func (w *wire) wantReset(id uint32, code http2.ErrCode) {
	w.t.Helper()
	for {
		f, err := w.next(id)
		if err != nil {
			w.t.Errorf("got %v, want RST_STREAM with %v", err, code)
			return
		}
		if reset, ok := f.(*http2.RSTStreamFrame); ok {
			if reset.ErrCode != code {
				w.t.Errorf("got %v, want %v", reset, code)
			}
			return
		}
	}
}

// wantGoAway reads until the connection is given up.
func (w *wire) wantGoAway(code http2.ErrCode) {
	w.t.Helper()
	for {
		f, err := w.next(0)
		if err != nil {
			w.t.Errorf("got %v, want GOAWAY with %v", err, code)
			return
		}
		if away, ok := f.(*http2.GoAwayFrame); ok {
			if away.ErrCode != code {
				w.t.Errorf("got %v, want %v", away, code)
			}
			return
		}
	}
}

// hostileServer runs play with each connection that comes, after the greeting.
func hostileServer(t testing.TB, play func(*wire)) *httptest.Server {
	s := httptest.NewUnstartedServer(nil)
	ln := tls.NewListener(s.Listener, &tls.Config{Certificates: certificates().own, NextProtos: []string{"h2"}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			w := newWire(t, conn)
			if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err == nil {
				play(w)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return s
}

// untilHeaders answers PING and SETTINGS until a request comes.
func (w *wire) untilHeaders() (id uint32, err error) {
	for {
		f, err := w.ReadFrame()
		if err != nil {
			return 0, err
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				w.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				w.WritePing(true, f.Data)
			}
		case *http2.MetaHeadersFrame:
			return f.StreamID, nil
		}
	}
}

// untilGone reads until the other side has gone, and answers what has to be.
func (w *wire) untilGone() {
	for {
		if _, err := w.untilHeaders(); err != nil && !errors.As(err, new(http2.StreamError)) {
			return
		}
	}
}
