package conformance_test

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/conformance"
	"github.com/chanws/websocket/negotiate"
	"github.com/chanws/websocket/negotiate/deflate"
)

// reasons lists the cases that this library does not pass strictly, with the
// reason. It must not hold a case that passes.
var reasons = map[string]string{}

// accepting and dialling are the configurations under test: alone, and with
// every extension the library has.
var (
	accepting = map[string]*websocket.AcceptOptions{
		"plain":   {},
		"drafts":  {AllowDrafts: true},
		"deflate": {Extensions: []negotiate.Extension{deflate.New(nil)}},
	}
	dialling = map[string]*websocket.DialOptions{
		"plain":   {},
		"deflate": {Extensions: []negotiate.Extension{deflate.New(nil)}},
	}
)

// echo sends every message back until the connection ends.
func echo(ws *websocket.Conn) {
	defer ws.Abort()
	for m := range ws.Messages() {
		if err := ws.Send(context.Background(), m); err != nil {
			break
		}
	}
	// Abort before this would overtake the answer to the peer's Close frame.
	<-ws.Closed()
}

func TestThisLibraryAsServer(t *testing.T) {
	for name, options := range accepting {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(websocket.Handler(echo, options))
			defer server.Close()
			sel := conformance.Selection{Role: conformance.Server, Short: runLength()}
			if options.AllowDrafts {
				sel.Include = []string{"hixie"}
			}
			cases, err := sel.Select(conformance.Cases())
			if err != nil {
				t.Fatal(err)
			}
			url := "ws" + strings.TrimPrefix(server.URL, "http") + "/"
			agent, err := conformance.TestServer(t.Context(), "websocket "+name, url, cases, conformance.Options{Short: runLength(), Timeouts: patient})
			if err != nil {
				t.Fatal(err)
			}
			judge(t, agent)
		})
	}
}

func TestThisLibraryAsClient(t *testing.T) {
	for name, options := range dialling {
		t.Run(name, func(t *testing.T) {
			cases, err := conformance.Selection{Role: conformance.Client, Short: runLength()}.Select(conformance.Cases())
			if err != nil {
				t.Fatal(err)
			}
			suite, base := serveSuite(t, cases)
			if err := drive(t.Context(), base, "websocket", options); err != nil {
				t.Fatal(err)
			}
			report := suite.Report()
			if len(report.Agents) != 1 {
				t.Fatalf("%d agents have reported", len(report.Agents))
			}
			judge(t, report.Agents[0])
		})
	}
}

// patient keeps a machine that is busy with other things from turning a case red.
var patient = conformance.Timeouts{Light: 2 * time.Minute, Heavy: 3 * time.Minute, Reply: 30 * time.Second}

func runLength() conformance.ShortRun {
	if testing.Short() {
		return conformance.BriefRun
	}
	return conformance.FullRun
}

// judge fails the test for every case that did not pass, except those whose
// reason is written down.
func judge(t *testing.T, agent *conformance.Agent) {
	t.Helper()
	for _, r := range agent.Results {
		switch _, excused := reasons[r.ID]; {
		case r.Verdict == conformance.Pass && excused:
			t.Errorf("%s passes, but a reason is written down for it", r.ID)
		case r.Verdict == conformance.NotApplicable: // see wantNotApplicable
		case r.Verdict == conformance.Informational, r.Verdict == conformance.Unimplemented:
			t.Logf("%s: %v: %s", r.ID, r.Verdict, r.Reason)
		case r.Verdict != conformance.Pass && !excused:
			t.Errorf("%s: %v: %s (%v)", r.ID, r.Verdict, r.Reason, r.Rule)
		}
	}
	t.Logf("%d cases in %v", len(agent.Results), agent.Elapsed)
}

func serveSuite(t *testing.T, cases []conformance.Case) (*conformance.ClientSuite, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	suite := conformance.NewClientSuite(cases, conformance.Options{Short: runLength(), Timeouts: patient}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- suite.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return suite, "ws://" + ln.Addr().String()
}

// drive runs every case, as drivers of the public suite do.
func drive(ctx context.Context, base, agent string, options *websocket.DialOptions) error {
	ws, err := websocket.Dial(ctx, base+"/getCaseCount", options)
	if err != nil {
		return err
	}
	message := <-ws.Messages()
	count, err := strconv.Atoi(string(message.Data))
	if err != nil {
		return err
	}
	<-ws.Closed()
	for i := 1; i <= count; i++ {
		// A handshake that has to be refused is what some cases are about.
		if ws, err := dialBriefly(ctx, fmt.Sprintf("%s/runCase?case=%d&agent=%s", base, i, agent), options); err == nil {
			echo(ws)
		}
	}
	ws, err = websocket.Dial(ctx, base+"/updateReports?agent="+agent, options)
	if err != nil {
		return err
	}
	<-ws.Closed()
	return nil
}

func dialBriefly(ctx context.Context, url string, options *websocket.DialOptions) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return websocket.Dial(ctx, url, options)
}
