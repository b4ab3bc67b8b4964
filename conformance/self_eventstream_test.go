package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/conformance"
)

// sendEvents sends what the request asks for: the suite's contract for servers
// of event streams.
func sendEvents(es *websocket.EventSource) {
	query := es.Request().URL.Query()
	if query.Get("echo") == "last-event-id" {
		_ = es.Send(context.Background(), websocket.Event{Data: es.LastEventID()})
	}
	for _, raw := range query["event"] {
		var e conformance.StreamEvent
		if json.Unmarshal([]byte(raw), &e) != nil {
			return
		}
		// An event that may not be sent is refused, which the suite allows.
		_ = es.Send(context.Background(), websocket.Event{Type: e.Type, ID: e.ID, Data: e.Data})
	}
}

func TestThisLibraryServesEventStreams(t *testing.T) {
	server := httptest.NewServer(websocket.EventSourceHandler(sendEvents, nil))
	defer server.Close()
	cases, err := conformance.Selection{Role: conformance.Server, Include: []string{"eventstream"}}.Select(conformance.Cases())
	if err != nil {
		t.Fatal(err)
	}
	agent, err := conformance.TestServer(t.Context(), "websocket", server.URL+"/events", cases, conformance.Options{})
	if err != nil {
		t.Fatal(err)
	}
	judge(t, agent)
}

func TestThisLibraryReadsEventStreams(t *testing.T) {
	cases, err := conformance.Selection{Role: conformance.Client, Include: []string{"eventstream"}}.Select(conformance.Cases())
	if err != nil {
		t.Fatal(err)
	}
	suite, base := serveSuite(t, cases)
	base = strings.Replace(base, "ws://", "http://", 1)
	for n := 1; n <= len(cases); n++ {
		if err := readEvents(t.Context(), fmt.Sprintf("%s/eventstream/run?case=%d&agent=websocket", base, n)); err != nil {
			t.Error(err)
		}
	}
	judge(t, suite.Report().Agents[0])
}

// readEvents reads until the stream is over for good, and reports.
func readEvents(ctx context.Context, url string) error {
	es := websocket.OpenEventSource(url, &websocket.EventSourceDialOptions{Retry: 10 * time.Millisecond, RetryStatus: []int{}})
	defer es.Close()
	events := []conformance.StreamEvent{}
	for e := range es.Messages() {
		events = append(events, conformance.StreamEvent{Type: e.Type, ID: e.ID, Data: e.Data})
	}
	<-es.Closed()
	body, err := json.Marshal(events)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, "POST", strings.Replace(url, "/run?", "/report?", 1), bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(response.Body)
		return fmt.Errorf("the report was answered with %s: %s", response.Status, why)
	}
	return nil
}
