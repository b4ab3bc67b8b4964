package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket/codec"
)

func data(s string) Event       { return Event{Type: "message", Data: s} }
func dataID(s, id string) Event { return Event{Type: "message", Data: s, ID: id} }

func TestEventStreamRequest(t *testing.T) {
	mine := http.Header{"x-token": {"secret"}, "Accept": {"text/plain"}, "Cache-Control": {"max-age=9"}, "Last-Event-Id": {"no"}}
	opts := EventSourceDialOptions{Header: mine}
	open(t, opts, []answer{stream("id: é…\ndata: a\n\n"), endless("")}, func(t *testing.T, es *EventStream, s *script) {
		wantEvents(t, es, dataID("a", "é…"))
		time.Sleep(time.Minute)
		for name, want := range map[string]string{"Accept": "text/event-stream", "Cache-Control": "no-cache", "Last-Event-ID": "", "X-Token": "secret"} {
			if got := s.header(0, name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if got := s.header(1, "Last-Event-ID"); got != "é…" {
			t.Errorf("second Last-Event-ID %q", got)
		}
		if r := s.requests[0]; r.Method != "GET" || r.URL.String() != "http://stream.example/path" || r.Body != nil {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if len(mine) != 4 || mine.Get("Accept") != "text/plain" {
			t.Errorf("the options were written to: %v", mine)
		}
	})
}

// net/http leaves a Host in the headers out.
func TestEventStreamHost(t *testing.T) {
	for _, name := range []string{"Host", "host"} {
		open(t, EventSourceDialOptions{Header: http.Header{name: {"virtual.example:81"}}}, []answer{endless("")}, func(t *testing.T, es *EventStream, s *script) {
			<-es.Opened()
			if r := s.requests[0]; r.Host != "virtual.example:81" || r.URL.Host != "stream.example" || r.Header["Host"] != nil {
				t.Errorf("asked %s for %q, with %v", r.URL, r.Host, r.Header)
			}
		})
	}
}

func TestEventStreamOpens(t *testing.T) {
	for _, contentType := range []string{
		"text/event-stream", "TEXT/Event-Stream", "text/event-stream;charset=utf-8", "text/event-stream ; charset=latin-1", " text/event-stream", "text/event-stream;",
	} {
		reply := func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return respond(200, map[string]string{"Content-Type": contentType}, io.NopCloser(strings.NewReader("data: caf\xC3\xA9\n\n"))), nil
		}
		open(t, EventSourceDialOptions{}, []answer{reply}, func(t *testing.T, es *EventStream, s *script) {
			if es.State() != StateConnecting {
				t.Error(es.State())
			}
			<-es.Opened()
			if es.State() != StateOpen {
				t.Error(es.State())
			}
			wantEvents(t, es, data("café"))
		})
	}
}

func TestEventStreamFailsForGood(t *testing.T) {
	tests := map[string]answer{
		"no type":         refusedStatus(200, nil),
		"html":            refusedStatus(200, map[string]string{"Content-Type": "text/html"}),
		"event-streams":   refusedStatus(200, map[string]string{"Content-Type": "text/event-streams"}),
		"event stream":    refusedStatus(200, map[string]string{"Content-Type": "text/event stream"}),
		"type in a list":  refusedStatus(200, map[string]string{"Content-Type": "text/html, text/event-stream"}),
		"no Location":     refusedStatus(301, streamType),
		"204 with a type": refusedStatus(204, streamType),
	}
	for _, status := range []int{201, 202, 203, 204, 205, 206, 300, 304, 305, 306, 400, 401, 403, 404, 407, 410, 429, 500, 501, 502, 503, 504} {
		tests[http.StatusText(status)] = refusedStatus(status, streamType)
	}
	for name, reply := range tests {
		t.Run(name, func(t *testing.T) {
			open(t, EventSourceDialOptions{}, []answer{reply}, func(t *testing.T, es *EventStream, s *script) {
				wantNoEvents(t, es)
				ev := wantClosed(t, es.Closed(), StatusAbnormalClosure, false)
				var no *EventSourceError
				if !errors.As(ev.Err, &no) || no.StatusCode == 0 || no.Reason == "" {
					t.Errorf("closed with %v", ev.Err)
				}
				if string(no.Body) != "no stream here" {
					t.Errorf("body %q", no.Body)
				}
				if err := <-es.Errors(); err != ev.Err {
					t.Errorf("reported %v", err)
				}
				if err, ok := <-es.Errors(); ok {
					t.Errorf("reported a second time: %v", err)
				}
				if es.State() != StateClosed || es.Close() != ErrClosed {
					t.Errorf("state %v", es.State())
				}
				select {
				case <-es.Opened():
					t.Error("opened")
				default:
				}
				time.Sleep(time.Hour)
				s.wantTimes(0)
			})
		})
	}
}

// A body without end does not keep a refusal from being one.
func TestEventStreamRefusalWithoutEnd(t *testing.T) {
	reply := func(r *http.Request) (*http.Response, error) {
		resp, err := endless("so far")(r)
		resp.StatusCode = 404
		return resp, err
	}
	open(t, EventSourceDialOptions{}, []answer{reply}, func(t *testing.T, es *EventStream, s *script) {
		start := time.Now()
		ev := wantClosed(t, es.Closed(), StatusAbnormalClosure, false)
		var no *EventSourceError
		if !errors.As(ev.Err, &no) || string(no.Body) != "so far" || time.Since(start) != time.Second {
			t.Errorf("%v after %v, body %q", ev.Err, time.Since(start), no.Body)
		}
	})
}

// All that the server said before it says no is received before Closed is ready.
func TestEventStreamClosedAfterTheLastMessage(t *testing.T) {
	answers := []answer{stream("retry: 10\n\ndata: a\n\ndata: b\n\n"), refusedStatus(204, nil)}
	open(t, EventSourceDialOptions{}, answers, func(t *testing.T, es *EventStream, s *script) {
		time.Sleep(time.Hour) // nobody receives
		select {
		case ev := <-es.Closed():
			t.Fatalf("closed before the messages: %+v", ev)
		default:
		}
		wantEvents(t, es, data("a"), data("b"))
		wantNoEvents(t, es)
		wantClosed(t, es.Closed(), StatusAbnormalClosure, false)
		s.wantTimes(0, time.Hour+10*time.Millisecond)
	})
}

func TestEventStreamReconnects(t *testing.T) {
	answers := []answer{
		stream("id: 1\ndata: a\n\nid: 2\ndata: lost\n"), // a clean end
		unclean("data: b\n\nid: 3\n\n"),                 // and one in mid-chunk; a block without data sets the id
		unplugged,                                       // no connection
		stream("id\n\ndata: c\n\n"),                     // the id is reset
		endless("data: d\n\n"),
	}
	open(t, EventSourceDialOptions{}, answers, func(t *testing.T, es *EventStream, s *script) {
		wantEvents(t, es, dataID("a", "1"))
		wantError(t, es, io.EOF)
		synctest.Wait()
		if es.State() != StateConnecting || es.LastEventID() != "1" {
			t.Errorf("%v, last id %q", es.State(), es.LastEventID())
		}
		wantEvents(t, es, dataID("b", "1"))
		wantError(t, es, io.ErrUnexpectedEOF)
		if es.LastEventID() != "3" {
			t.Errorf("last id %q", es.LastEventID())
		}
		wantError(t, es, errUnplugged)
		wantEvents(t, es, data("c"))
		wantError(t, es, io.EOF)
		wantEvents(t, es, data("d"))
		if es.State() != StateOpen {
			t.Error(es.State())
		}
		var ids []string
		for n := range answers {
			ids = append(ids, s.header(n, "Last-Event-ID"))
		}
		if got := strings.Join(ids, ","); got != ",1,3,3," {
			t.Errorf("last ids sent: %s", got)
		}
		if _, ok := s.requests[4].Header["Last-Event-Id"]; ok {
			t.Error("an empty Last-Event-ID was sent")
		}
		s.wantTimes(0, 3*time.Second, 6*time.Second, 9*time.Second, 12*time.Second)
		if err := es.Close(); err != nil {
			t.Error(err)
		}
		wantClosed(t, es.Closed(), StatusNormalClosure, true)
	})
}

func TestEventStreamInitialLastEventID(t *testing.T) {
	opts := EventSourceDialOptions{LastEventID: "41"}
	open(t, opts, []answer{endless("data: a\n\n")}, func(t *testing.T, es *EventStream, s *script) {
		wantEvents(t, es, dataID("a", "41"))
		if got := s.header(0, "Last-Event-ID"); got != "41" || es.LastEventID() != "41" {
			t.Errorf("sent %q, is %q", got, es.LastEventID())
		}
	})
}

func TestEventStreamIDThatNoHeaderTakes(t *testing.T) {
	for _, id := range []string{"a\x01b", "\x7f", " a", "a\t"} {
		open(t, EventSourceDialOptions{}, []answer{stream("id: " + id + "\ndata: a\n\n"), endless("data: b\n\n")}, func(t *testing.T, es *EventStream, s *script) {
			wantEvents(t, es, dataID("a", id))
			wantError(t, es, io.EOF)
			wantEvents(t, es, dataID("b", id))
			if err := <-es.Errors(); !strings.Contains(err.Error(), "last event ID") {
				t.Errorf("reported %v", err)
			}
			if got, ok := s.requests[1].Header["Last-Event-Id"]; ok {
				t.Errorf("sent %q", got)
			}
		})
	}
}

// An id may be too long for what lies before the server, or for the server itself:
// that is no reason to stay away for good.
func TestEventStreamIDTooLongForTheServer(t *testing.T) {
	answers := []answer{
		stream("id: long\ndata: a\n\n"), refusedStatus(431, nil), stream("data: b\n\nid: short\ndata: c\n\n"), refusedStatus(431, nil),
		refusedStatus(431, nil), // this time there was no id
	}
	open(t, EventSourceDialOptions{}, answers, func(t *testing.T, es *EventStream, s *script) {
		wantEvents(t, es, dataID("a", "long"), dataID("b", "long"), dataID("c", "short"))
		wantNoEvents(t, es)
		var no *EventSourceError
		if ev := wantClosed(t, es.Closed(), StatusAbnormalClosure, false); !errors.As(ev.Err, &no) || no.StatusCode != 431 {
			t.Errorf("closed with %v", ev.Err)
		}
		var ids []string
		for n := range answers {
			ids = append(ids, s.header(n, "Last-Event-ID"))
		}
		if got := strings.Join(ids, ","); got != ",long,,short," {
			t.Errorf("last ids sent: %s", got)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A RoundTripper need not say what request it has answered.
func TestEventStreamResponseWithoutRequest(t *testing.T) {
	answer := roundTripper(stream("data: a\n\n"))
	es := OpenEventSource("http://stream.example/path", &EventSourceDialOptions{Client: &http.Client{Transport: answer}})
	defer es.Close()
	wantEvents(t, es, data("a"))
	if got := es.URL(); got != "http://stream.example/path" {
		t.Errorf("URL %s", got)
	}
}

// A body that heeds no context does not hold up the end of the stream, be it an event
// stream or a refusal.
func TestEventStreamBodyHeedsNoContext(t *testing.T) {
	for _, status := range []int{200, 404} {
		synctest.Test(t, func(t *testing.T) {
			body, other := io.Pipe()
			defer other.Close()
			answer := roundTripper(func(*http.Request) (*http.Response, error) { return respond(status, streamType, body), nil })
			es := OpenEventSource("http://stream.example/", &EventSourceDialOptions{Client: &http.Client{Transport: answer}})
			synctest.Wait() // it reads
			time.AfterFunc(time.Minute, func() { other.Close() })
			start := time.Now()
			if err := es.Close(); err != nil || time.Since(start) != bodyGrace {
				t.Errorf("status %d: Close: %v after %v", status, err, time.Since(start))
			}
		})
	}
}

// A slowBody heeds a context, and takes a moment for that. It is not to be closed while it
// is read.
type slowBody struct {
	ctx     context.Context
	reading atomic.Bool
	t       *testing.T
}

func (b *slowBody) Read([]byte) (int, error) {
	b.reading.Store(true)
	<-b.ctx.Done()
	time.Sleep(bodyGrace / 2)
	b.reading.Store(false)
	return 0, b.ctx.Err()
}

func (b *slowBody) Close() error {
	if b.reading.Load() {
		b.t.Error("closed while it is read")
	}
	return nil
}

func TestEventStreamBodyIsLeftToItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := roundTripper(func(r *http.Request) (*http.Response, error) {
			return respond(200, streamType, &slowBody{ctx: r.Context(), t: t}), nil
		})
		es := OpenEventSource("http://stream.example/", &EventSourceDialOptions{Client: &http.Client{Transport: answer}})
		synctest.Wait() // it reads
		if err := es.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A blankBody has blank lines without end, at once, until it is closed.
type blankBody struct{ closed atomic.Bool }

func (b *blankBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, net.ErrClosed
	}
	for i := range p {
		p[i] = '\n'
	}
	return len(p), nil
}

func (b *blankBody) Close() error { b.closed.Store(true); return nil }

// A body that always has more, such as a few bytes that a gzip reader makes much of,
// does not keep the stream from seeing its end.
func TestEventStreamCloseWhileBytesCome(t *testing.T) {
	body := new(blankBody)
	s := &script{answers: []answer{func(*http.Request) (*http.Response, error) { return respond(200, streamType, body), nil }}}
	es, err := DialEventSource(t.Context(), "http://stream.example/", &EventSourceDialOptions{Client: &http.Client{Transport: s}})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- es.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Close does not return")
		body.Close()
		<-closed
	}
}

func TestEventStreamRetryAndBackoff(t *testing.T) {
	repeat := func(n int, a answer) (all []answer) {
		for range n {
			all = append(all, a)
		}
		return all
	}
	const s, m = time.Second, time.Minute
	tests := map[string]struct {
		opts    EventSourceDialOptions
		answers []answer
		want    []time.Duration // from one request to the next
	}{
		"the default is 3 s":          {answers: repeat(3, stream("")), want: []time.Duration{3 * s, 3 * s, 3 * s}},
		"failures double it, to 60 s": {answers: repeat(8, unplugged), want: []time.Duration{3 * s, 6 * s, 12 * s, 24 * s, 48 * s, m, m, m}},
		"as the options say": {opts: EventSourceDialOptions{Retry: s, MaxRetry: 3 * s}, answers: repeat(4, unplugged),
			want: []time.Duration{s, 2 * s, 3 * s, 3 * s}},
		"success resets it": {answers: append(append(repeat(3, unplugged), stream("")), repeat(2, unplugged)...),
			want: []time.Duration{3 * s, 6 * s, 12 * s, 3 * s, 3 * s, 6 * s}},
		"the server sets it": {answers: append([]answer{stream("retry: 500\n")}, repeat(3, unplugged)...),
			want: []time.Duration{s / 2, s / 2, s, 2 * s}},
		"a bad retry field does not": {answers: []answer{stream("retry: 5x\n"), stream("retry: 20\nretry:\n")}, want: []time.Duration{3 * s, 20 * time.Millisecond}},
		"the server may ask for more than MaxRetry": {answers: append([]answer{stream("retry: 120000\n")}, repeat(3, unplugged)...),
			want: []time.Duration{2 * m, 2 * m, 2 * m, 2 * m}},
		"from 0 it grows too": {answers: append([]answer{stream("retry: 0\n")}, repeat(4, unplugged)...),
			want: []time.Duration{0, 0, s / 10, s / 5, 2 * s / 5}},
		"streams without an event wait a little": {answers: repeat(9, stream("retry: 0\n")),
			want: []time.Duration{0, 0, s / 10, s / 5, 2 * s / 5, 4 * s / 5, 8 * s / 5, 3 * s, 3 * s}},
		"an event ends that": {answers: append(append(repeat(3, stream("retry: 0\n")), stream("retry: 0\ndata: a\n\n")), repeat(3, stream("retry: 0\n"))...),
			want: []time.Duration{0, 0, s / 10, 0, 0, 0, s / 10}},
		"they wait no longer than Retry": {opts: EventSourceDialOptions{Retry: s / 8}, answers: repeat(5, stream("retry: 0\n")),
			want: []time.Duration{0, 0, s / 10, s / 8, s / 8}},
		"an event over the limit is a failure": {opts: EventSourceDialOptions{MaxEventSize: 10}, answers: repeat(3, stream("data: 1234567\n\n")),
			want: []time.Duration{3 * s, 6 * s, 12 * s}},
		"an event before it begins anew": {opts: EventSourceDialOptions{MaxEventSize: 10},
			answers: append(repeat(2, stream("data: 1234567\n\n")), repeat(3, stream("data: 1\n\ndata: 1234567\n\n"))...),
			want:    []time.Duration{3 * s, 6 * s, 3 * s, 3 * s, 3 * s}},
		"Retry-After in seconds": {opts: EventSourceDialOptions{RetryStatus: []int{503}},
			answers: []answer{refusedStatus(503, map[string]string{"Retry-After": "100"}), refusedStatus(503, nil), refusedStatus(503, map[string]string{"Retry-After": "1"})},
			want:    []time.Duration{100 * s, 6 * s, 12 * s}},
		"Retry-After as a date": {opts: EventSourceDialOptions{RetryStatus: []int{429}},
			answers: []answer{func(r *http.Request) (*http.Response, error) {
				return refusedStatus(429, map[string]string{"Retry-After": time.Now().Add(90 * s).UTC().Format(http.TimeFormat)})(r)
			}, refusedStatus(429, map[string]string{"Retry-After": "Mon, 01 Jan 1990 00:00:00 GMT"}), refusedStatus(429, map[string]string{"Retry-After": "soon"})},
			want: []time.Duration{90 * s, 6 * s, 12 * s}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			open(t, test.opts, test.answers, func(t *testing.T, es *EventStream, s *script) {
				go func() {
					for range es.Messages() {
					}
				}()
				want := []time.Duration{0}
				for _, d := range test.want {
					want = append(want, want[len(want)-1]+d)
				}
				time.Sleep(time.Hour)
				s.wantTimes(want...)
			})
		})
	}
}

func TestEventStreamJitter(t *testing.T) {
	answers := make([]answer, 50)
	for i := range answers {
		answers[i] = stream("")
	}
	open(t, EventSourceDialOptions{Jitter: 0.5}, answers, func(t *testing.T, es *EventStream, s *script) {
		time.Sleep(time.Hour)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		seen := map[time.Duration]bool{}
		for i, at := range s.times[1:] {
			d := at - s.times[i]
			if d < 3*time.Second || d > 4500*time.Millisecond {
				t.Errorf("waited %v", d)
			}
			seen[d] = true
		}
		if len(s.times) != 51 || len(seen) < 25 {
			t.Errorf("%d requests, %d different waits", len(s.times), len(seen))
		}
	})
}

func TestEventStreamRetryStatus(t *testing.T) {
	opts := EventSourceDialOptions{RetryStatus: []int{502, 503}}
	open(t, opts, []answer{refusedStatus(503, nil), refusedStatus(502, nil), endless("data: a\n\n")}, func(t *testing.T, es *EventStream, s *script) {
		wantEvents(t, es, data("a"))
		var no *EventSourceError
		if err := <-es.Errors(); !errors.As(err, &no) || no.StatusCode != 503 {
			t.Error(err)
		}
	})
	open(t, opts, []answer{refusedStatus(503, nil), refusedStatus(500, nil)}, func(t *testing.T, es *EventStream, s *script) {
		ev := wantClosed(t, es.Closed(), StatusAbnormalClosure, false)
		var no *EventSourceError
		if !errors.As(ev.Err, &no) || no.StatusCode != 500 {
			t.Error(ev.Err)
		}
	})
}

func TestEventStreamRedirects(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		answers := []answer{
			refusedStatus(status, map[string]string{"Location": "/elsewhere"}), stream("id: 1\ndata: a\n\n"),
			refusedStatus(status, map[string]string{"Location": "http://other.example/"}), endless("data: b\n\n"),
		}
		open(t, EventSourceDialOptions{}, answers, func(t *testing.T, es *EventStream, s *script) {
			wantEvents(t, es, dataID("a", "1"))
			if got := es.URL(); got != "http://stream.example/elsewhere" {
				t.Errorf("%d: URL %s", status, got)
			}
			wantEvents(t, es, dataID("b", "1"))
			if got := es.URL(); got != "http://other.example/" {
				t.Errorf("%d: URL %s", status, got)
			}
			if r := s.requests[2]; r.URL.Path != "/path" || r.Method != "GET" {
				t.Errorf("%d: reconnected with %s %s", status, r.Method, r.URL)
			}
			if got := s.header(3, "Last-Event-ID") + s.header(3, "Accept"); got != "1text/event-stream" {
				t.Errorf("%d: after the redirect %q", status, got)
			}
		})
	}
}

// The stream's own client does not carry what was meant for https over http.
func TestEventStreamRedirectToHTTP(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("asked in the clear, with %v", r.Header)
	}))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer secure.Close()
	own := http.DefaultTransport
	defer func() { http.DefaultTransport = own }()
	http.DefaultTransport = secure.Client().Transport
	es := OpenEventSource(secure.URL, &EventSourceDialOptions{Header: http.Header{"Authorization": {"Bearer x"}}, LastEventID: "1"})
	defer es.Close()
	if err := <-es.Errors(); !strings.Contains(err.Error(), "from https to http") || es.State() != StateConnecting {
		t.Errorf("%v, %v", err, es.State())
	}
}

// What was meant for one server does not go on to another, be it on the same host,
// and not when that leads back.
func TestEventStreamRedirectCredentials(t *testing.T) {
	tests := map[string]struct {
		chain string // URLs from the first request on
		keeps bool   // the last is asked with all there is
	}{
		"another path":       {"http://a.example/ http://A.example:80/x", true},
		"from http to https": {"http://a.example/ https://a.example/x", true},
		"https on a port":    {"http://a.example/ https://a.example:8443/x", false},
		"from a port":        {"http://a.example:8080/ https://a.example/x", false},
		"another port":       {"http://a.example/ http://a.example:8080/x", false},
		"a subdomain":        {"http://a.example/ http://sub.a.example/x", false},
		"another host":       {"http://a.example/ http://b.example/x", false},
		"back again":         {"http://a.example/ http://a.example:8080/x http://a.example/y", false},
		"on from there":      {"http://a.example/ http://b.example/x http://b.example/y", false},
	}
	for name, test := range tests {
		var via []*http.Request
		for _, u := range strings.Fields(test.chain) {
			next := httptest.NewRequest("GET", u, nil)
			next.Header = http.Header{"Authorization": {"Bearer x"}, "Cookie": {"a=b"}, "Referer": {"http://a.example/?token=secret"}, "X-Own": {"c"}}
			if len(via) > 0 {
				if err := checkRedirect(next, via); err != nil {
					t.Fatal(name, err)
				}
			}
			via = append(via, next)
		}
		h := via[len(via)-1].Header
		for _, field := range []string{"Authorization", "Cookie", "Referer"} {
			if (h.Get(field) != "") != test.keeps {
				t.Errorf("%s: %s is %q", name, field, h.Get(field))
			}
		}
		if h.Get("X-Own") != "c" {
			t.Errorf("%s: %v", name, h)
		}
	}
}

// net/http asks before it sends, with all that it will send.
func TestEventStreamRedirectToAnotherPort(t *testing.T) {
	got := make(chan http.Header, 1)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header
		w.WriteHeader(http.StatusNoContent)
	}))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer first.Close()
	es := OpenEventSource(first.URL+"/?token=secret", &EventSourceDialOptions{
		Header: http.Header{"authorization": {"Bearer x"}, "Cookie": {"a=b"}, "X-Own": {"c"}}, LastEventID: "1"})
	defer es.Close()
	h := <-got
	for name, want := range map[string]string{"Authorization": "", "Cookie": "", "Referer": "", "X-Own": "c", "Last-Event-ID": "1"} {
		if h.Get(name) != want {
			t.Errorf("%s was %q, want %q", name, h.Get(name), want)
		}
	}
}

// A 101 that nobody asked for, and then silence, holds up neither the stream nor
// Close.
func TestEventStreamSwitchingProtocols(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nso far")
		c.Read(make([]byte, 1)) // until the client has given up
	}))
	defer s.Close()
	es := OpenEventSource(s.URL, &EventSourceDialOptions{Client: s.Client()})
	defer es.Close()
	ev := wantClosed(t, es.Closed(), StatusAbnormalClosure, false)
	var no *EventSourceError
	if !errors.As(ev.Err, &no) || no.StatusCode != 101 {
		t.Errorf("closed with %v", ev.Err)
	}
}

// An id counts once its event was received: who keeps it for the next start of
// the program must not miss the event that waits.
func TestEventStreamLastEventIDOfWaitingEvent(t *testing.T) {
	open(t, EventSourceDialOptions{}, []answer{endless("id: 1\ndata: a\n\nid: 2\ndata: b\n\n")}, func(t *testing.T, es *EventStream, s *script) {
		wantEvents(t, es, dataID("a", "1"))
		synctest.Wait() // the second is waiting
		if got := es.LastEventID(); got != "1" {
			t.Errorf("last id %q", got)
		}
		wantEvents(t, es, dataID("b", "2"))
		synctest.Wait()
		if got := es.LastEventID(); got != "2" {
			t.Errorf("last id %q", got)
		}
	})
}

func TestEventStreamRedirectLoop(t *testing.T) {
	answers := make([]answer, 100)
	for i := range answers {
		answers[i] = refusedStatus(302, map[string]string{"Location": "/path"})
	}
	open(t, EventSourceDialOptions{}, answers, func(t *testing.T, es *EventStream, s *script) {
		var loop *url.Error
		if err := <-es.Errors(); !errors.As(err, &loop) || es.State() != StateConnecting {
			t.Errorf("%v, %v", err, es.State())
		}
	})
}

func TestEventStreamMaxEventSize(t *testing.T) {
	opts := EventSourceDialOptions{MaxEventSize: 100}
	big := "data: before\n\ndata: " + strings.Repeat("x", 200) + "\n\n"
	open(t, opts, []answer{stream("id: 1\n" + big), endless("data: after\n\n")}, func(t *testing.T, es *EventStream, s *script) {
		wantEvents(t, es, dataID("before", "1"))
		var size *EventSizeError
		if err := <-es.Errors(); !errors.As(err, &size) || size.Size != 206 || size.Limit != 100 || !errors.Is(err, ErrMessageTooBig) {
			t.Errorf("reported %v", err)
		}
		wantEvents(t, es, dataID("after", "1"))
	})
}

// An id that came in a block of its own counts, whatever comes behind it.
func TestEventStreamIDBeforeEventOverTheLimit(t *testing.T) {
	first := "id: 1\ndata: a\n\nid: 2\n\nid: 3\ndata: " + strings.Repeat("x", 200) + "\n\n"
	open(t, EventSourceDialOptions{MaxEventSize: 100}, []answer{stream(first), endless("data: b\n\n")}, func(t *testing.T, es *EventStream, s *script) {
		wantEvents(t, es, dataID("a", "1"))
		wantError(t, es, ErrMessageTooBig)
		wantEvents(t, es, dataID("b", "2"))
		if got := s.header(1, "Last-Event-ID"); got != "2" {
			t.Errorf("sent %q, want 2", got)
		}
	})
}

func TestEventStreamIdleTimeout(t *testing.T) {
	opts := EventSourceDialOptions{IdleTimeout: 10 * time.Second}
	silence := func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }
	answers := []answer{
		pieces(9*time.Second, "data: a\n\n", ":\n", "\n", ":\n"), // comments are life; then silence
		silence, // no response at all
		endless("data: b\n\n"),
	}
	open(t, opts, answers, func(t *testing.T, es *EventStream, s *script) {
		wantEvents(t, es, data("a"))
		wantError(t, es, ErrEventStreamIdle)
		wantError(t, es, ErrEventStreamIdle)
		wantEvents(t, es, data("b"))
		s.wantTimes(0, (4*9+10+3)*time.Second, (4*9+10+3+10+3)*time.Second)
	})
	// An application that does not receive is not the server's silence.
	open(t, opts, []answer{endless("data: a\n\ndata: b\n\n")}, func(t *testing.T, es *EventStream, s *script) {
		time.Sleep(time.Hour)
		wantEvents(t, es, data("a"))
		time.Sleep(time.Hour)
		wantEvents(t, es, data("b"))
		time.Sleep(9 * time.Second)
		s.wantTimes(0)
	})
}

// Close and the end of a context end the stream wherever it is.
func TestEventStreamEndsAtAnyPoint(t *testing.T) {
	hang := func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }
	points := map[string][]answer{
		"before the response":  {hang},
		"in the open stream":   {endless("")},
		"with an event unread": {endless("id: 9\ndata: a\n\n")},
		"in the wait":          {stream("retry: 100000000\n")},
		"in the second try":    {stream("retry: 0\n"), hang},
		"in a refusal's body": {func(r *http.Request) (*http.Response, error) {
			resp, err := endless("")(r)
			resp.StatusCode = 404
			return resp, err
		}},
	}
	for name, answers := range points {
		t.Run("Close/"+name, func(t *testing.T) {
			open(t, EventSourceDialOptions{}, answers, func(t *testing.T, es *EventStream, s *script) {
				time.Sleep(time.Millisecond)
				synctest.Wait()
				start := time.Now()
				if err := es.Close(); err != nil {
					t.Error(err)
				}
				wantNoEvents(t, es)
				wantClosed(t, es.Closed(), StatusNormalClosure, true)
				if err := es.Close(); err != ErrClosed {
					t.Errorf("second Close: %v", err)
				}
				if es.State() != StateClosed || time.Since(start) != 0 || es.LastEventID() != "" {
					t.Errorf("%v after %v, last id %q", es.State(), time.Since(start), es.LastEventID())
				}
			})
		})
		t.Run("Context/"+name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			open(t, EventSourceDialOptions{Context: ctx}, answers, func(t *testing.T, es *EventStream, s *script) {
				time.Sleep(time.Millisecond)
				synctest.Wait()
				reason := errors.New("enough")
				cancel(reason)
				if ev := wantClosed(t, es.Closed(), StatusGoingAway, false); ev.Err != reason {
					t.Error(ev.Err)
				}
			})
		})
	}
}

func TestEventStreamNeverRight(t *testing.T) {
	ok := "http://stream.example/"
	tests := map[string]struct {
		url  string
		opts *EventSourceDialOptions
		say  string
	}{
		"empty URL":         {"", nil, "absolute"},
		"relative URL":      {"/path", nil, "absolute"},
		"ws URL":            {"ws://stream.example/", nil, "absolute"},
		"no host":           {"http:///path", nil, "absolute"},
		"broken URL":        {"http://[::1", nil, "missing ']'"},
		"control character": {"http://stream.example/\n", nil, "control character"},
		"Client.Timeout":    {ok, &EventSourceDialOptions{Client: &http.Client{Timeout: 1}}, "Timeout"},
		"header name":       {ok, &EventSourceDialOptions{Header: http.Header{"a b": {"c"}}}, "Header"},
		"header value":      {ok, &EventSourceDialOptions{Header: http.Header{"a": {"b\nc"}}}, "Header"},
		"header length":     {ok, &EventSourceDialOptions{Header: http.Header{"content-length": {"1"}}}, "content-length"},
		"header encoding":   {ok, &EventSourceDialOptions{Header: http.Header{"Transfer-Encoding": {"chunked"}}}, "Transfer-Encoding"},
		"header trailer":    {ok, &EventSourceDialOptions{Header: http.Header{"Trailer": {"X"}}}, "Trailer"},
		"two hosts":         {ok, &EventSourceDialOptions{Header: http.Header{"Host": {"a", "b"}}}, "Host"},
		"empty host":        {ok, &EventSourceDialOptions{Header: http.Header{"Host": {""}}}, "Host"},
		"host with a path":  {ok, &EventSourceDialOptions{Header: http.Header{"host": {"a/b"}}}, "host"},
		"retry 200":         {ok, &EventSourceDialOptions{RetryStatus: []int{503, 200}}, "RetryStatus"},
		"last id":           {ok, &EventSourceDialOptions{LastEventID: "a\nb"}, "LastEventID"},
		"long last id":      {ok, &EventSourceDialOptions{LastEventID: strings.Repeat("i", codec.MaxEventIDSize+1)}, "LastEventID"},
	}
	for name, test := range tests {
		es := OpenEventSource(test.url, test.opts)
		ev := wantClosed(t, es.Closed(), StatusAbnormalClosure, false)
		if !strings.Contains(ev.Err.Error(), test.say) || es.State() != StateClosed || es.Close() != ErrClosed {
			t.Errorf("%s: %v, %v", name, ev.Err, es.State())
		}
		if err := <-es.Errors(); err != ev.Err {
			t.Errorf("%s: reported %v", name, err)
		}
		wantNoEvents(t, es)
		if es, err := DialEventSource(context.Background(), test.url, test.opts); es != nil || err == nil || err.Error() != ev.Err.Error() {
			t.Errorf("%s: Dial: %v", name, err)
		}
	}
}

func TestDialEventSource(t *testing.T) {
	dial := func(t *testing.T, ctx context.Context, answers ...answer) (*EventStream, error) {
		s := &script{t: t, start: time.Now(), answers: answers}
		return DialEventSource(ctx, "http://stream.example/", &EventSourceDialOptions{Client: &http.Client{Transport: s}})
	}
	if _, err := dial(t, nil); err != ErrNilContext {
		t.Errorf("nil context: %v", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := dial(t, ended); err != context.Canceled {
		t.Errorf("ended context: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		es, err := dial(t, t.Context(), refusedStatus(404, nil))
		var no *EventSourceError
		if es != nil || !errors.As(err, &no) || no.StatusCode != 404 {
			t.Errorf("404: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err = dial(t, ctx, unplugged, unplugged); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errUnplugged) {
			t.Errorf("timeout after network errors: %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err = dial(t, ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("timeout: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		es, err = dial(t, ctx, unplugged, pieces(time.Second, "data: a\n\n"))
		if err != nil {
			t.Fatal(err)
		}
		cancel() // bounds the dialing only
		wantEvents(t, es, data("a"))
		es.Close()
	})
}

// Over real connections, with the client's own transport too, nothing stays.
func TestEventStreamToEventSource(t *testing.T) {
	serveBoth(t, func(t *testing.T, start func(http.Handler) *httptest.Server) {
		s := start(EventSourceHandler(func(es *EventSource) {
			n := map[string]int{"": 1, "1": 2, "2": 3}[es.LastEventID()]
			if n > 0 {
				es.SetRetry(context.Background(), time.Millisecond)
				es.Send(context.Background(), Event{Type: "n", ID: string(rune('0' + n)), Data: es.URL()})
				return
			}
			<-es.Closed()
		}, nil))
		own := http.DefaultTransport
		defer func() { http.DefaultTransport = own }()
		http.DefaultTransport = s.Client().Transport
		for name, client := range map[string]*http.Client{"own client": nil, "given client": s.Client()} {
			es, err := DialEventSource(context.Background(), s.URL+"/x?y", &EventSourceDialOptions{Client: client})
			if err != nil {
				t.Fatal(name, err)
			}
			for _, id := range []string{"1", "2", "3"} {
				wantEvents(t, es, Event{Type: "n", ID: id, Data: s.URL + "/x?y"})
			}
			if err := es.Close(); err != nil {
				t.Error(name, err)
			}
			wantClosed(t, es.Closed(), StatusNormalClosure, true)
		}
	})
}

// The stream's own client leaves no connection behind.
func TestEventStreamOwnConnections(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			var conns atomic.Int64
			handler := EventSourceHandler(func(es *EventSource) {
				es.SetRetry(t.Context(), time.Millisecond)
				es.Send(t.Context(), Event{Data: "x"})
			}, nil)
			s := startServer(t, proto, handler, func(s *http.Server) {
				s.ConnState = func(_ net.Conn, state http.ConnState) {
					switch state {
					case http.StateNew:
						conns.Add(1)
					case http.StateClosed:
						conns.Add(-1)
					}
				}
			})
			own := http.DefaultTransport
			defer func() { http.DefaultTransport = own }()
			http.DefaultTransport = s.Client().Transport
			es := OpenEventSource(s.URL, nil)
			wantEvents(t, es, data("x"), data("x"), data("x"))
			wantError(t, es, io.EOF) // one connection is over; there may be another, or half of one
			es.Close()
			for deadline := time.Now().Add(10 * time.Second); conns.Load() > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d connections are left", conns.Load())
				}
			}
		})
	}
}

// The stream's own client dials as http.DefaultTransport does, be it the old way.
func TestEventStreamDefaultTransportDial(t *testing.T) {
	handler := EventSourceHandler(func(es *EventSource) { <-es.Closed() }, nil)
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	var dialed atomic.Int64
	own := http.DefaultTransport
	defer func() { http.DefaultTransport = own }()
	http.DefaultTransport = &http.Transport{
		//lint:ignore SA1019 that is the test
		Dial: func(network, addr string) (net.Conn, error) {
			dialed.Add(1)
			return net.Dial(network, addr)
		},
		//lint:ignore SA1019 that is the test
		DialTLS: func(network, addr string) (net.Conn, error) {
			dialed.Add(100)
			return tls.Dial(network, addr, secure.Client().Transport.(*http.Transport).TLSClientConfig)
		},
	}
	for _, url := range []string{plain.URL, secure.URL} {
		es, err := DialEventSource(t.Context(), url, nil)
		if err != nil {
			t.Fatal(url, err)
		}
		es.Close()
	}
	if n := dialed.Load(); n != 101 {
		t.Errorf("dialed %d times in the clear, %d times over TLS", n%100, n/100)
	}
}

// A receiver that stops receiving stops the server; nothing is lost.
func TestEventStreamBackpressure(t *testing.T) {
	serveBoth(t, func(t *testing.T, start func(http.Handler) *httptest.Server) {
		const n = 5000
		text, stalled := strings.Repeat("x", 4<<10), make(chan struct{})
		s := start(EventSourceHandler(func(es *EventSource) {
			for range n {
				if es.TrySend(Event{Data: text}) != nil {
					select {
					case <-stalled:
					default:
						close(stalled)
					}
					es.Send(context.Background(), Event{Data: text})
				}
			}
			es.Flush(context.Background())
			<-es.Closed()
		}, nil))
		es, err := DialEventSource(context.Background(), s.URL, &EventSourceDialOptions{Client: s.Client()})
		if err != nil {
			t.Fatal(err)
		}
		defer es.Close()
		<-stalled
		for range n {
			if ev := <-es.Messages(); ev.Data != text {
				t.Fatalf("%d bytes", len(ev.Data))
			}
		}
	})
}
