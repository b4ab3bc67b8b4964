package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/chanws/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// An untilClosed is closed when a connection tells its Logger that it is: of its
// channels none does so without taking something from the test.
type untilClosed chan struct{}

func (u untilClosed) Enabled(context.Context, slog.Level) bool { return true }
func (u untilClosed) WithAttrs([]slog.Attr) slog.Handler       { return u }
func (u untilClosed) WithGroup(string) slog.Handler            { return u }

func (u untilClosed) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "websocket closed" {
		close(u)
	}
	return nil
}

// pair opens a connection over HTTP/3 and gives both of its ends.
func pair(t *testing.T) (client, server *websocket.Conn) {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	accepted := make(chan *websocket.Conn, 1)
	ended := make(untilClosed)
	s, err := serve(websocket.Handler(func(c *websocket.Conn) {
		accepted <- c
		<-ended // in HTTP/3 a peer hears of an end when the handler returns
	}, &websocket.AcceptOptions{Logger: slog.New(ended)}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	transport := s.transport()
	t.Cleanup(func() { transport.Close() })
	client, err = websocket.Dial(t.Context(), s.url, &websocket.DialOptions{RoundTripper: transport})
	if err != nil {
		t.Fatal(err)
	}
	return client, <-accepted
}

func wantClosed(t *testing.T, c *websocket.Conn, code websocket.StatusCode) websocket.CloseEvent {
	t.Helper()
	for range c.Messages() {
	}
	select {
	case e := <-c.Closed():
		if e.Code != code {
			t.Errorf("closed with %+v, want %d", e, code)
		}
		return e
	case <-time.After(patience):
		t.Fatal("not closed")
		panic("unreachable")
	}
}

func TestProgram(t *testing.T) {
	if err := run(); err != nil {
		t.Error(err)
	}
}

func TestEcho(t *testing.T) {
	client, server := pair(t)
	if r := server.Request(); r.Method != "CONNECT" || r.ProtoMajor != 3 || server.Version() != "hybi-13" {
		t.Errorf("%s, HTTP/%d, %s", r.Method, r.ProtoMajor, server.Version())
	}
	if client.Response().ProtoMajor != 3 {
		t.Errorf("response %+v", client.Response())
	}
	go func() {
		for m := range server.Messages() {
			server.Send(context.Background(), m)
		}
	}()
	for _, size := range []int{0, 1, 125, 126, 4096, 1 << 16, 3 << 20} {
		data := bytes.Repeat([]byte{'x'}, size)
		if err := client.Send(t.Context(), websocket.Binary(data)); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-client.Messages():
			if !bytes.Equal(m.Data, data) {
				t.Errorf("%d bytes came back as %d", size, len(m.Data))
			}
		case <-time.After(patience):
			t.Fatalf("%d bytes did not come back", size)
		}
	}
	if _, err := client.Ping(t.Context(), []byte("x")); err != nil {
		t.Error(err)
	}
	if err := client.Close(t.Context(), 4000, "bye"); err != nil {
		t.Error(err)
	}
	if e := wantClosed(t, server, 4000); !e.Clean || e.Reason != "bye" {
		t.Errorf("closed with %+v", e)
	}
}

func TestServerCloses(t *testing.T) {
	client, server := pair(t)
	if err := server.Send(t.Context(), websocket.Text("last words")); err != nil {
		t.Fatal(err)
	}
	closing := make(chan error, 1)
	go func() { closing <- server.Close(context.Background(), 1001, "restarting") }()
	if m := <-client.Messages(); string(m.Data) != "last words" {
		t.Errorf("got %q", m.Data)
	}
	if e := wantClosed(t, client, 1001); !e.Clean || e.Reason != "restarting" {
		t.Errorf("closed with %+v", e)
	}
	if err := <-closing; err != nil {
		t.Error(err)
	}
}

// Abort resets the stream, whichever side does it and whatever is under way.
func TestAbort(t *testing.T) {
	for name, ends := range map[string]func(client, server *websocket.Conn) (us, them *websocket.Conn){
		"client": func(client, server *websocket.Conn) (_, _ *websocket.Conn) { return client, server },
		"server": func(client, server *websocket.Conn) (_, _ *websocket.Conn) { return server, client },
	} {
		for stuck, prepare := range map[string]func(us *websocket.Conn){
			"idle": func(*websocket.Conn) {},
			"blocked in a write": func(us *websocket.Conn) {
				for {
					ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
					err := us.Send(ctx, websocket.Binary(make([]byte, 1<<20)))
					cancel()
					if err != nil {
						return
					}
				}
			},
		} {
			t.Run(name+" "+stuck, func(t *testing.T) {
				us, them := ends(pair(t))
				prepare(us)
				began := time.Now()
				us.Abort()
				wantClosed(t, us, 1006)
				if d := time.Since(began); d > time.Second {
					t.Errorf("Abort took %v", d)
				}
				wantClosed(t, them, 1006)
			})
		}
	}
}

func TestOtherProtocol(t *testing.T) {
	s, err := serve(websocket.Handler(func(*websocket.Conn) { t.Error("accepted") }, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	transport := s.transport()
	defer transport.Close()
	for _, test := range []struct {
		proto  string
		header http.Header
		status int
	}{
		{"connect-udp", http.Header{"Sec-Websocket-Version": {"13"}}, 501},
		{"websocket", nil, 400},
	} {
		r, _ := http.NewRequest("CONNECT", "https"+s.url[len("wss"):], nil)
		r.Proto = test.proto
		r.Header = test.header
		if r.Header == nil {
			r.Header = http.Header{}
		}
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != test.status {
			t.Errorf("%s: status %d, want %d", test.proto, response.StatusCode, test.status)
		}
	}
}

// A refusal is told with its status.
func TestRefused(t *testing.T) {
	s, err := serve(http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	transport := s.transport()
	defer transport.Close()
	_, err = websocket.Dial(t.Context(), s.url, &websocket.DialOptions{RoundTripper: transport})
	var failed *websocket.HandshakeError
	if !errors.As(err, &failed) || failed.Status != 404 {
		t.Errorf("%v, want status 404", err)
	}
}
