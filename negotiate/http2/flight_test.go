package http2_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket"
	wshttp2 "github.com/chanws/websocket/negotiate/http2"
)

// connectTo gives what a Transport answers to a request to a host.
func connectTo(ctx context.Context, transport *wshttp2.Transport, host string) error {
	r, err := http.NewRequestWithContext(ctx, "CONNECT", "https://"+host, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(r)
	if err == nil {
		response.Body.Close()
	}
	return err
}

// untilForgotten closes the idle connections until the transport has no host.
func untilForgotten(t *testing.T, transport *wshttp2.Transport) {
	t.Helper()
	for began := time.Now(); transport.Hosts() > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > tooLong {
			t.Fatalf("%d hosts are kept", transport.Hosts())
		}
		transport.CloseIdleConnections()
	}
}

// An error is one of the dial, whatever it wraps, unless the context was the flight's.
func TestDialErrorOfAnotherContext(t *testing.T) {
	s := serve(t, nil)
	var calls atomic.Int64
	shutDown := func() error {
		calls.Add(1)
		return fmt.Errorf("the application shuts down: %w", context.Canceled)
	}
	for name, transport := range map[string]*wshttp2.Transport{
		"network": {NetDialContext: func(context.Context, string, string) (net.Conn, error) { return nil, shutDown() }},
		"TLS":     {TLSConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error { return shutDown() }}},
	} {
		calls.Store(0)
		ctx, cancel := context.WithTimeout(t.Context(), tooLong)
		if _, err := s.dial(ctx, transport); !errors.Is(err, context.Canceled) || ctx.Err() != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		if n := calls.Load(); n != 1 {
			t.Errorf("%s: %d calls", name, n)
		}
	}
}

// silence is a network whose hosts do not answer. It counts the calls, of which each
// must have some of its time.
func silence(t *testing.T, calls *atomic.Int64) *wshttp2.Transport {
	return &wshttp2.Transport{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		calls.Add(1)
		if ctx.Err() != nil {
			t.Error("the context of a dial has ended before it")
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
}

// Who joins a dial that is under way has all of the time for himself, once.
func TestJoinLate(t *testing.T) {
	const all, late = 30 * time.Second, 29 * time.Second
	for _, test := range []struct{ limit, want time.Duration }{
		{20 * time.Second, 20 * time.Second},
		{40 * time.Second, all - late + all},
		{10 * all, all - late + all},
	} {
		synctest.Test(t, func(t *testing.T) {
			var calls atomic.Int64
			transport := silence(t, &calls)
			first := make(chan error)
			go func() { first <- connectTo(t.Context(), transport, "example.com") }()
			time.Sleep(late)
			go func() {
				if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), test.limit)
			defer cancel()
			began := time.Now()
			if err := connectTo(ctx, transport, "example.com"); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			if d := time.Since(began); d != test.want {
				t.Errorf("with a limit of %v it took %v, want %v", test.limit, d, test.want)
			}
			synctest.Wait()
			if n := calls.Load(); n != 2 || transport.Hosts() > 0 {
				t.Errorf("%d dials, %d hosts are kept", n, transport.Hosts())
			}
		})
	}
}

// Who comes when all others have left begins anew.
func TestDialAfterAllLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		transport := silence(t, &calls)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := connectTo(ctx, transport, "example.com"); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		synctest.Wait()
		if n := calls.Load(); n != 3 {
			t.Errorf("%d dials", n)
		}
	})
}

// A host without connections, and dials, is not kept.
func TestHostsForgotten(t *testing.T) {
	s := serve(t, nil)
	refused := errors.New("refused")
	transport := s.transport(t)
	transport.NetDialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == s.Listener.Addr().String() {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		return nil, refused
	}
	for i := range 100 {
		if err := connectTo(t.Context(), transport, fmt.Sprintf("host%d.example", i)); !errors.Is(err, refused) {
			t.Error(err)
		}
	}
	if n := transport.Hosts(); n != 0 {
		t.Fatalf("%d hosts are kept", n)
	}
	conns := s.dialMany(t, transport, 3)
	transport.CloseIdleConnections()
	if n := transport.Hosts(); n != 1 {
		t.Errorf("%d hosts, want that of the WebSockets", n)
	}
	s.CloseClientConnections()
	for _, c := range conns {
		for range c.Messages() {
		}
		<-c.Closed()
	}
	if n := transport.Hosts(); n != 0 {
		t.Errorf("%d hosts are kept when the connections are lost", n)
	}
}

// However a stream ends, the connection is idle then.
func TestCloseIdleConnections(t *testing.T) {
	for name, use := range map[string]func(*testing.T, *site, *wshttp2.Transport){
		"closed": func(t *testing.T, s *site, transport *wshttp2.Transport) {
			echoAndClose(t, s.dialMany(t, transport, 3)...)
		},
		"aborted": func(t *testing.T, s *site, transport *wshttp2.Transport) {
			for _, c := range s.dialMany(t, transport, 3) {
				c.Abort()
				<-c.Closed()
			}
		},
		"refused": func(t *testing.T, s *site, transport *wshttp2.Transport) {
			s.Config.Handler = http.NotFoundHandler()
			var refused *websocket.HandshakeError
			if _, err := s.dial(t.Context(), transport); !errors.As(err, &refused) {
				t.Error(err)
			}
		},
		"given up": func(t *testing.T, s *site, transport *wshttp2.Transport) {
			ctx, cancel := context.WithCancel(t.Context())
			s.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				cancel()
				<-r.Context().Done()
			})
			if _, err := s.dial(ctx, transport); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, nil)
			transport := s.transport(t)
			transport.IdleTimeout = -1
			use(t, s, transport)
			untilForgotten(t, transport)
		})
	}
}

// Dials that end at any time take no stream with them, nor leave a connection.
func TestDialsEndAnyTime(t *testing.T) {
	for _, streams := range []int{1, 3, 100} {
		s := serve(t, func(s *httptest.Server) {
			s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streams}
		})
		transport := s.transport(t)
		transport.IdleTimeout = -1
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 5 {
					ctx, cancel := context.WithTimeout(t.Context(), rand.N(12*time.Millisecond))
					if c, err := s.dial(ctx, transport); err == nil {
						c.Abort()
						<-c.Closed()
					}
					cancel()
				}
			})
		}
		all.Wait()
		untilForgotten(t, transport)
		echoAndClose(t, s.dialMany(t, transport, 1)...)
	}
}
