package conformance_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/conformance"
	wshttp2 "github.com/chanws/websocket/negotiate/http2"
	_ "github.com/chanws/websocket/negotiate/http2/xconnect" // for all of this test binary
)

// serveHTTP2 starts a server that has HTTP/2 and extended CONNECT.
func serveHTTP2(t *testing.T, handler http.Handler) (server *httptest.Server, url string) {
	t.Helper()
	server = httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.HTTP2 = websocket.HTTP2Config()
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, "wss" + strings.TrimPrefix(server.URL, "https") + "/"
}

func trusting(server *httptest.Server) *tls.Config {
	return &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
}

// overHTTP2 are the cases of a role: those of permessage-deflate with it, the others
// without.
func overHTTP2(t *testing.T, role conformance.Role, name string) []conformance.Case {
	t.Helper()
	sel := conformance.Selection{Role: role, Short: runLength(), Exclude: []string{"deflate"}}
	if name == "deflate" {
		sel.Include, sel.Exclude = []string{"deflate"}, nil
	}
	cases, err := sel.Select(conformance.Cases())
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// quick asks sooner than usual, since both ends are in this process.
var quick = conformance.Timeouts{Quiet: 100 * time.Millisecond}

// wantNotApplicable finds that the cases of the Upgrade, and only they, were told
// apart.
func wantNotApplicable(t *testing.T, agent *conformance.Agent) {
	t.Helper()
	for _, r := range agent.Results {
		upgrade := strings.HasPrefix(string(r.Group), "handshake.")
		if got := r.Verdict == conformance.NotApplicable; got != upgrade {
			t.Errorf("%s: %v: %s", r.ID, r.Verdict, r.Reason)
		}
	}
}

func TestThisLibraryAsServerOverHTTP2(t *testing.T) {
	for _, name := range []string{"plain", "deflate"} {
		t.Run(name, func(t *testing.T) {
			server, url := serveHTTP2(t, websocket.Handler(echo, accepting[name]))
			cases := overHTTP2(t, conformance.Server, name)
			agent, err := conformance.TestServer(t.Context(), "websocket over HTTP/2, "+name, url, cases, conformance.Options{
				Timeouts: quick, Short: runLength(), Carrier: conformance.HTTP2, TLS: trusting(server),
			})
			if err != nil {
				t.Fatal(err)
			}
			judge(t, agent)
			wantNotApplicable(t, agent)
		})
	}
}

func TestThisLibraryAsClientOverHTTP2(t *testing.T) {
	lender := httptest.NewTLSServer(nil)
	defer lender.Close()
	for _, name := range []string{"plain", "deflate"} {
		t.Run(name, func(t *testing.T) {
			cases := overHTTP2(t, conformance.Client, name)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			suite := conformance.NewClientSuite(cases, conformance.Options{
				Timeouts: quick, Short: runLength(), Carrier: conformance.HTTP2, TLS: &tls.Config{Certificates: lender.TLS.Certificates},
			}, nil)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- suite.Serve(ctx, ln) }()
			transport := &wshttp2.Transport{TLSConfig: trusting(lender)}
			options := *dialling[name]
			options.RoundTripper = transport
			if err := drive(t.Context(), "wss://"+ln.Addr().String(), "websocket", &options); err != nil {
				t.Error(err)
			}
			transport.CloseIdleConnections()
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			report := suite.Report()
			if len(report.Agents) != 1 {
				t.Fatalf("%d agents have reported", len(report.Agents))
			}
			judge(t, report.Agents[0])
			wantNotApplicable(t, report.Agents[0])
		})
	}
}

// A server that breaks rules is found out over HTTP/2 as well.
func TestFaultsOverHTTP2(t *testing.T) {
	frame := func(w http.ResponseWriter, b string) {
		w.Write([]byte(b))
		w.(http.Flusher).Flush()
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		verdict conformance.Verdict
		reason  string
	}{
		"masks": {func(w http.ResponseWriter, r *http.Request) {
			frame(w, "\x81\x81\x01\x01\x01\x01x")
			<-r.Context().Done()
		}, conformance.Fail, "mask"},
		"ends":    {func(w http.ResponseWriter, _ *http.Request) { frame(w, "") }, conformance.Fail, "the end of the connection without a Close frame"},
		"refuses": {http.NotFound, conformance.Undecided, "404"},
		"resets": {func(w http.ResponseWriter, _ *http.Request) {
			frame(w, "")
			panic(http.ErrAbortHandler)
		}, conformance.Fail, "INTERNAL_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			server, url := serveHTTP2(t, test.handler)
			result := oneCase(t, url, conformance.Options{Carrier: conformance.HTTP2, TLS: trusting(server)})
			if result.Verdict != test.verdict || !strings.Contains(result.Reason, test.reason) {
				t.Errorf("%v: %s, want %v: ...%s", result.Verdict, result.Reason, test.verdict, test.reason)
			}
		})
	}
}

func oneCase(t *testing.T, url string, options conformance.Options) conformance.Result {
	t.Helper()
	cases, err := conformance.Selection{Role: conformance.Server, Include: []string{"ping.with-message.after"}}.Select(conformance.Cases())
	if err != nil || len(cases) != 1 {
		t.Fatal(len(cases), err)
	}
	options.Timeouts.Reply = time.Second
	agent, err := conformance.TestServer(t.Context(), "one", url, cases, options)
	if err != nil {
		t.Fatal(err)
	}
	return agent.Results[0]
}
