package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// streamCase is a stream that a client reads. The client collects events until
// it is told to stop by status 204, and reports them.
type streamCase struct {
	head   string   // status line and Content-Type; empty: 200, text/event-stream
	writes []string // the stream, write by write
	want   []StreamEvent
	lastID string // what the client has to send as Last-Event-ID when it comes back
	again  string // not empty: the client has to come back
}

func streamClientCases() []Case {
	one := func(id, title, stream string, want ...StreamEvent) Case {
		return streamRow(id, title, ruleStreamFormat, streamCase{writes: []string{soon(stream)}, want: want})
	}
	m := func(data string) StreamEvent { return StreamEvent{Type: "message", Data: data} }
	cases := []Case{
		one("lf", "lines that end with LF", "data: a\n\ndata: b\n\n", m("a"), m("b")),
		one("cr", "lines that end with CR", "data: a\r\rdata: b\r\r", m("a"), m("b")),
		one("crlf", "lines that end with CR LF", "data: a\r\n\r\ndata: b\r\n\r\n", m("a"), m("b")),
		one("mixed", "lines that end in every way", "data: a\n\r\ndata: b\r\n\rdata: c\r\n\n", m("a"), m("b"), m("c")),
		one("no-space", "no space behind the colon", "data:a\n\n", m("a")),
		one("two-spaces", "two spaces behind the colon", "data:  a\n\n", m(" a")),
		one("joined", "three data lines", "data: a\ndata: b\ndata: c\n\n", m("a\nb\nc")),
		one("empty-data", "a data line without a value", "data:\n\n", m("")),
		one("no-colon", "a field without a colon", "data\n\ndata\ndata\n\n", m(""), m("\n")),
		one("no-data", "an event without data is none", "event: x\n\nid: 1\n\ndata: a\n\n", StreamEvent{"message", "1", "a"}),
		one("comments", "comments", ": comment\n:\n:data: x\ndata: a\n: inside\ndata: b\n\n", m("a\nb")),
		one("unknown", "fields that nobody knows", "foo: bar\nDATA: x\n data: y\ndata : z\ndata: a\n\n", m("a")),
		one("cut", "the last event has no blank line", "data: a\n\ndata: lost\n", m("a")),
		one("type", "a type holds for one event", "event: update\ndata: a\n\ndata: b\n\n", StreamEvent{"update", "", "a"}, m("b")),
		one("type-twice", "the last type counts", "event: x\nevent: y\ndata: a\n\n", StreamEvent{"y", "", "a"}),
		one("type-empty", "an empty type is none", "event:\ndata: a\n\n", m("a")),
		one("id-stays", "an ID stays", "id: 1\ndata: a\n\ndata: b\n\n", StreamEvent{"message", "1", "a"}, StreamEvent{"message", "1", "b"}),
		one("id-reset", "an empty ID resets it", "id: 1\ndata: a\n\nid\ndata: b\n\n", StreamEvent{"message", "1", "a"}, m("b")),
		one("id-nul", "an ID with NUL is ignored", "id: 1\ndata: a\n\nid: x\x00y\ndata: b\n\n", StreamEvent{"message", "1", "a"}, StreamEvent{"message", "1", "b"}),
		one("colon-value", "colons in a value", "data: a: b:c\n\ndata::d\n\n", m("a: b:c"), m(":d")),
		one("retry", "retry is no event", "retry: 5\n\nretry: abc\n\nretry\n\ndata: a\n\n", m("a")),
		one("byte-order-mark", "one BOM at the beginning", "\ufeffdata: a\n\n\ufeffdata: b\n\n", m("a")),
		one("invalid-utf8", "bytes that are no UTF-8 are replaced", "data: a\xffb\n\n", m("a\ufffdb")),
		one("line-separators", "U+2028 and U+0085 end no line", "data: a\u2028b\u0085c\n\n", m("a\u2028b\u0085c")),
		one("long", "a line of 100,000 bytes", "data: "+letters(100000)+"\n\n", m(letters(100000))),
		one("blank-lines", "blank lines between events", "\n\n\ndata: a\n\n\n\ndata: b\n\n\n", m("a"), m("b")),
	}
	stream := soon("\ufeffid: 1\r\nevent: κόσμε\r\ndata: 👋\rdata: b\r\n\r\ndata: c\n\n")
	want := []StreamEvent{{"κόσμε", "1", "👋\nb"}, {"message", "1", "c"}}
	for _, size := range []int{1, 2, 3, 7} {
		var writes []string
		for part := range slices.Chunk([]byte(stream), size) {
			writes = append(writes, string(part))
		}
		cases = append(cases, streamRow(fmt.Sprintf("chunk%d", size), fmt.Sprintf("a stream %d bytes a write", size), ruleStreamFormat, streamCase{writes: writes, want: want}))
	}
	for i, c := range cases {
		switch {
		case strings.HasPrefix(c.ID, "client.id-"):
			cases[i].Rule = ruleStreamID
		case c.ID == "client.byte-order-mark", c.ID == "client.invalid-utf8":
			cases[i].Rule = ruleStreamUTF8
		}
	}
	return append(cases, streamAnswers()...)
}

// soon asks the client to come back soon once the stream has ended, so that it
// learns from status 204 that the case is over.
func soon(stream string) string {
	const retry = "retry: 10\n\n"
	if rest, ok := strings.CutPrefix(stream, "\ufeff"); ok {
		return "\ufeff" + retry + rest
	}
	return retry + stream
}

func streamAnswers() []Case {
	event := []string{soon("data: a\n\n")}
	var cases []Case
	for _, row := range []struct{ id, head string }{
		{"status-204", "204 No Content\r\nContent-Type: text/event-stream"},
		{"status-404", "404 Not Found\r\nContent-Type: text/event-stream"},
		{"type-html", "200 OK\r\nContent-Type: text/html"},
		{"type-none", "200 OK"},
		{"type-prefix", "200 OK\r\nContent-Type: text/event-streams"},
	} {
		cases = append(cases, streamRow("refuses."+row.id, "an answer that is no event stream: "+row.id, ruleStreamType, streamCase{head: row.head, writes: event}))
	}
	a := []StreamEvent{{"message", "", "a"}}
	return append(cases,
		streamRow("takes.charset", "Content-Type: text/event-stream;charset=utf-8", ruleStreamType, streamCase{head: "200 OK\r\nContent-Type: text/event-stream;charset=utf-8", writes: event, want: a}),
		streamRow("takes.type-case", "Content-Type: Text/Event-Stream", ruleStreamType, streamCase{head: "200 OK\r\nContent-Type: Text/Event-Stream", writes: event, want: a}),
		streamRow("reconnect", "the stream ends: the client comes back with Last-Event-ID", ruleStreamLast, streamCase{writes: []string{"retry: 10\nid: 7\ndata: a\n\n"}, want: []StreamEvent{{"message", "7", "a"}}, lastID: "7", again: "again"}),
		streamRow("reconnect-no-id", "the stream ends without an ID: the client comes back without Last-Event-ID", ruleStreamLast, streamCase{writes: []string{"retry: 10\ndata: a\n\n"}, want: a, again: "again"}),
	)
}

func streamRow(id, title string, rule Rule, sc streamCase) Case {
	return Case{ID: "client." + id, Title: title, Rule: rule, Roles: Client, stream: &sc, steps: []Step{
		{Text: "send the stream", run: func(*session) *finding { return found(Undecided, "this case is run by /eventstream/run") }},
		{Text: "expect the client to report the right events", kind: expectation, run: func(*session) *finding { return nil }},
	}}
}

// streamVisit is what is known of an agent's way through a stream case.
type streamVisit struct {
	requests int
	lastIDs  []string
	log      *transcript
}

// routeStream answers the paths of the event-stream group:
//
//	GET  /eventstream/cases                    the numbers of its cases, as a JSON array
//	GET  /eventstream/run?case=N&agent=X       the stream; 204 when the client comes back
//	POST /eventstream/report?case=N&agent=X    the events that the client saw, as a JSON array
func (c *ClientSuite) routeStream(_ context.Context, s *session, u *url.URL, agent string, i int) {
	switch {
	case u.Path == "/eventstream/cases":
		var numbers []int
		for n, one := range c.cases {
			if one.stream != nil {
				numbers = append(numbers, n+1)
			}
		}
		b, err := json.Marshal(numbers)
		if err != nil {
			b = []byte("[]")
		}
		s.respond("200 OK\r\nContent-Type: application/json", string(b))
	case i < 0 || c.cases[i].stream == nil:
		s.respond("404 Not Found", "")
	case u.Path == "/eventstream/run":
		c.runStream(s, agent, i)
	case u.Path == "/eventstream/report":
		c.takeReport(s, agent, i)
	default:
		s.respond("404 Not Found", "")
	}
	_ = s.conn.Close()
}

// respond writes a whole answer.
func (s *session) respond(head, body string) {
	s.write([]byte("HTTP/1.1 " + head + "\r\nConnection: close\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body))
}

func (c *ClientSuite) runStream(s *session, agent string, i int) {
	sc := c.cases[i].stream
	c.mu.Lock()
	visit := c.agent(agent).visit(i, s.log)
	visit.requests++
	visit.lastIDs = append(visit.lastIDs, s.asked.get("Last-Event-ID"))
	first := visit.requests == 1
	c.mu.Unlock()
	if !first {
		s.respond("204 No Content", "")
		return
	}
	head := sc.head
	if head == "" {
		head = "200 OK\r\nContent-Type: text/event-stream"
	}
	s.write([]byte("HTTP/1.1 " + head + "\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n"))
	for _, w := range sc.writes {
		s.write([]byte(w))
	}
}

// visit returns what is known of the agent's way through a case.
func (a *clientAgent) visit(i int, log *transcript) *streamVisit {
	if a.streams == nil {
		a.streams = make(map[int]*streamVisit)
	}
	if a.streams[i] == nil {
		a.streams[i] = &streamVisit{log: log}
	}
	return a.streams[i]
}

func (c *ClientSuite) takeReport(s *session, agent string, i int) {
	var got []StreamEvent
	length, err := strconv.ParseInt(s.asked.get("Content-Length"), 10, 64)
	if err != nil || length > mostStream {
		s.respond("411 Length Required", "")
		return
	}
	if err := json.NewDecoder(io.LimitReader(s.reader, length)).Decode(&got); err != nil {
		s.respond(fmt.Sprintf("%d %s", http.StatusBadRequest, http.StatusText(http.StatusBadRequest)), err.Error())
		return
	}
	one := c.cases[i]
	c.mu.Lock()
	visit := c.agent(agent).visit(i, s.log)
	r := Result{ID: one.ID, Group: one.Group, Title: one.Title, Rule: one.Rule, Steps: one.Steps(),
		Elapsed: time.Since(visit.log.start), Transcript: visit.log.list()}
	if f := one.stream.judge(got, visit); f != nil {
		r.Verdict, r.Reason = f.verdict, f.text
	}
	delete(c.agent(agent).streams, i)
	c.mu.Unlock()
	c.record(agent, i, r)
	s.respond("200 OK", "")
}

// judge compares what the client saw and did with what it should have.
func (sc *streamCase) judge(got []StreamEvent, visit *streamVisit) *finding {
	if visit.requests == 0 {
		return found(Undecided, "the client reported without having asked for the stream")
	}
	if f := compareEvents(got, sc.want); f != nil {
		return f
	}
	if sc.again == "" {
		return nil
	}
	if visit.requests < 2 {
		return failure("the client did not come back")
	}
	if last := visit.lastIDs[1]; last != sc.lastID {
		return failure("the client came back with Last-Event-ID %q, want %q", last, sc.lastID)
	}
	return nil
}

// isStream reports whether a path belongs to the event-stream group.
func isStream(path string) bool { return strings.HasPrefix(path, "/eventstream/") }
