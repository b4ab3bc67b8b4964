package conformance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

var (
	ruleStreamFormat = Rule{"WHATWG HTML", "9.2.5 and 9.2.6", "A line ends with “a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF) character pair, a single U+000A LINE FEED (LF) character, or a single U+000D CARRIAGE RETURN (CR) character.” A blank line dispatches the event; data lines are joined with LF; an event with an empty data buffer is not dispatched."}
	ruleStreamID     = Rule{"WHATWG HTML", "9.2.6", "“If the field value does not contain U+0000 NULL, then set the last event ID buffer to the field value. Otherwise, ignore the field.” The ID stays until another is set."}
	ruleStreamType   = Rule{"WHATWG HTML", "9.2.2", "“Otherwise, if res's status is not 200, or if res's `Content-Type` is not `text/event-stream`, then fail the connection.”"}
	ruleStreamLast   = Rule{"WHATWG HTML", "9.2.3 and 9.2.4", "On reconnection the last event ID, if not empty, is sent as |Last-Event-ID|. HTTP 204 tells the client to stop reconnecting."}
	ruleStreamUTF8   = Rule{"WHATWG HTML", "9.2.5 and 9.2.6", "“Event streams in this format must always be encoded as UTF-8.” “The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM), if any.” What is no UTF-8 is replaced."}
)

// StreamEvent is an event as the application sees it. In client cases the
// client under test reports a list of them as JSON.
type StreamEvent struct {
	Type string `json:"type"` // "message" where the stream names none
	ID   string `json:"id"`   // the last event ID at that moment
	Data string `json:"data"`
}

// parseStream is the suite's own reading of a stream: WHATWG HTML, 9.2.6.
func parseStream(stream string) []StreamEvent {
	stream = strings.TrimPrefix(strings.ToValidUTF8(stream, "\ufffd"), "\ufeff")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(stream, "\n")
	var events []StreamEvent
	var data []string
	kind, id := "", ""
	for _, l := range lines[:len(lines)-1] {
		if l == "" {
			if data != nil {
				events = append(events, StreamEvent{orMessage(kind), id, strings.Join(data, "\n")})
			}
			data, kind = nil, ""
			continue
		}
		name, value, _ := strings.Cut(l, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case name == "data":
			data = append(data, value)
		case name == "event":
			kind = value
		case name == "id" && !strings.Contains(value, "\x00"):
			id = value
		}
	}
	return events
}

func orMessage(kind string) string {
	if kind == "" {
		return "message"
	}
	return kind
}

func eventStreamCases() []Case {
	cases := append(streamServerCases(), streamClientCases()...)
	for i := range cases {
		cases[i].ID = "eventstream." + cases[i].ID
		cases[i].opening = openingByHand
	}
	return cases
}

// streamServerRow is a list of events for a server to send.
type streamServerRow struct {
	id, title string
	events    []StreamEvent
}

// plainEvents are events that have data only.
func plainEvents(data ...string) []StreamEvent {
	var list []StreamEvent
	for _, d := range data {
		list = append(list, StreamEvent{Data: d})
	}
	return list
}

func streamRows() []streamServerRow {
	return []streamServerRow{
		{"simple", "one event", plainEvents("hello")},
		{"two", "two events", plainEvents("first", "second")},
		{"lf", "data with LF", plainEvents("one\ntwo\nthree")},
		{"cr", "data with CR", plainEvents("one\rtwo")},
		{"crlf", "data with CR LF", plainEvents("one\r\ntwo")},
		{"lf-first", "data that begins with LF", plainEvents("\nx")},
		{"lf-last", "data that ends with LF", plainEvents("x\n")},
		{"lf-only", "data of two LF", plainEvents("\n\n")},
		{"space-first", "data that begins with a space", plainEvents(" x", "  y")},
		{"colon", "data with colons", plainEvents(":x", "a: b", "data: c")},
		{"field-like", "data that looks like other fields", plainEvents("event: x\nid: 7\nretry: 1\n: comment")},
		{"unicode", "data in several scripts", plainEvents("κόσμε 視野 👋")},
		{"line-separators", "U+2028 and U+0085 end no line", plainEvents("a\u2028b\u0085c")},
		{"byte-order-mark", "data that begins with a BOM", plainEvents("\ufeffx")},
		{"long", "data of 100,000 bytes", plainEvents(letters(100000))},
		{"many", "200 events", plainEvents(strings.Split(letters(200), "")...)},
		{"type", "an event with a type, then one without", []StreamEvent{{Type: "update", Data: "x"}, {Data: "y"}}},
		{"id", "an event with an ID", []StreamEvent{{ID: "42", Data: "x"}}},
		{"all", "type, ID and data", []StreamEvent{{Type: "update", ID: "a b", Data: "x\ny"}}},
		{"id-unicode", "an ID in another script", []StreamEvent{{ID: "ключ", Data: "x"}}},
	}
}

// streamServerCases ask a server to send events. The request carries them, one
// parameter "event" each, as JSON objects with type, id and data (type and id
// may be missing); the server sends them in order and ends the response. With
// "echo=last-event-id" it sends one event whose data is the request's
// Last-Event-ID.
func streamServerCases() []Case {
	var cases []Case
	for _, r := range streamRows() {
		cases = append(cases, Case{
			ID: "server.events." + r.id, Title: r.title, Rule: ruleStreamFormat, Roles: Server,
			steps: plan(streamRequest(r.events), streamOf(r.events)),
		})
	}
	for _, bad := range []struct {
		id    string
		event StreamEvent
	}{
		{"type-lf", StreamEvent{Type: "a\ndata: injected", Data: "x"}}, {"type-cr", StreamEvent{Type: "a\rdata: injected", Data: "x"}},
		{"type-blank-line", StreamEvent{Type: "a\n\ndata: injected\n\n", Data: "x"}},
		{"id-lf", StreamEvent{ID: "a\ndata: injected", Data: "x"}}, {"id-cr", StreamEvent{ID: "a\rdata: injected", Data: "x"}},
		{"id-nul", StreamEvent{ID: "a\x00b", Data: "x"}},
	} {
		cases = append(cases, Case{
			ID: "server.injection." + bad.id, Title: "a line end or NUL in the type or ID brings nothing into the stream", Rule: ruleStreamFormat, Roles: Server,
			steps: plan(streamRequest([]StreamEvent{bad.event}), streamClean()),
		})
	}
	return append(cases, Case{
		ID: "server.content-type", Title: "status 200 and text/event-stream", Rule: ruleStreamType, Roles: Server,
		steps: plan(streamRequest(plainEvents("x")), Step{Text: "expect status 200 and text/event-stream", kind: expectation, run: func(s *session) *finding {
			_, f := s.readStream()
			return f
		}}),
	}, Case{
		ID: "server.last-event-id", Title: "Last-Event-ID reaches the application", Rule: ruleStreamLast, Roles: Server,
		steps: plan(Step{Text: "ask with Last-Event-ID: 42 and echo=last-event-id", run: func(s *session) *finding {
			s.askStream("echo=last-event-id", with("Last-Event-ID", "42"))
			return nil
		}}, streamOf(plainEvents("42"))),
	})
}

// askStream sends a request for an event stream.
func (s *session) askStream(query string, edits ...edit) {
	m := message{line: "GET " + s.target.path + " HTTP/1.1", fields: []field{
		{"Host", s.target.host}, {"Accept", "text/event-stream"}, {"Cache-Control", "no-cache"}, {"Connection", "close"},
	}}
	s.write(m.changed(append(edits, addingQuery(query))).bytes())
}

func streamRequest(events []StreamEvent) Step {
	return Step{Text: fmt.Sprintf("ask for %d events", len(events)), run: func(s *session) *finding {
		query := make(url.Values)
		for _, e := range events {
			b, err := json.Marshal(e)
			if err != nil {
				return found(Undecided, "%v", err)
			}
			query.Add("event", string(b))
		}
		s.askStream(query.Encode())
		return nil
	}}
}

// mostStream bounds the streams of events, and a client's reports of them.
const mostStream = 4 << 20

// readStream reads a whole stream.
func (s *session) readStream() (string, *finding) {
	response, err := http.ReadResponse(bufio.NewReader(io.LimitReader(s.reader, mostStream)), nil)
	if err != nil {
		return "", failure("no answer: %v", err)
	}
	defer response.Body.Close()
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	if response.StatusCode == 404 || response.StatusCode == 400 || response.StatusCode == 426 {
		return "", found(Unimplemented, "the server has no event stream here: %s", response.Status)
	}
	if response.StatusCode != 200 || !strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
		return "", failure("the answer was %s with Content-Type %q", response.Status, response.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", failure("the stream broke off: %v", err)
	}
	return string(body), nil
}

func streamOf(want []StreamEvent) Step {
	return Step{Text: "expect these events and no others", kind: expectation, run: func(s *session) *finding {
		body, f := s.readStream()
		if f != nil {
			return f
		}
		return compareEvents(parseStream(body), asReceived(want))
	}}
}

// asReceived says how an application receives the events: lines end with LF,
// whatever ended them, and an ID stays until there is another.
func asReceived(events []StreamEvent) []StreamEvent {
	var list []StreamEvent
	last := ""
	for _, e := range events {
		e.Type = orMessage(e.Type)
		e.Data = strings.ReplaceAll(strings.ReplaceAll(e.Data, "\r\n", "\n"), "\r", "\n")
		if e.ID == "" {
			e.ID = last
		}
		last = e.ID
		list = append(list, e)
	}
	return list
}

func compareEvents(got, want []StreamEvent) *finding {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return failure("event %d is missing: %s", i+1, eventInBrief(want[i]))
		case i >= len(want):
			return failure("event %d is one too many: %s", i+1, eventInBrief(got[i]))
		case got[i] != want[i]:
			return failure("event %d is %s, want %s", i+1, eventInBrief(got[i]), eventInBrief(want[i]))
		}
	}
	return nil
}

func eventInBrief(e StreamEvent) string {
	return fmt.Sprintf("type %s, id %s, data %s", bytesInBrief([]byte(e.Type)), bytesInBrief([]byte(e.ID)), bytesInBrief([]byte(e.Data)))
}

// streamClean expects that the event was refused, or sent without what was
// wrong in it.
func streamClean() Step {
	return Step{Text: "expect no injected event or field", kind: expectation, run: func(s *session) *finding {
		body, f := s.readStream()
		if f != nil {
			if f.verdict == Fail {
				s.note("refused: %s", f.text)
				return nil
			}
			return f
		}
		for _, e := range parseStream(body) {
			if e.Data != "x" {
				return failure("the stream has %s", eventInBrief(e))
			}
		}
		if strings.Contains(body, "\x00") {
			return failure("the stream has a NUL")
		}
		return nil
	}}
}
