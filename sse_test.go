package websocket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestIsEventSource(t *testing.T) {
	yes := [][]string{
		{"text/event-stream"}, {"TEXT/Event-Stream"}, {" text/event-stream "}, {"text/event-stream;charset=utf-8"},
		{"text/html, text/event-stream"}, {"text/html", "text/event-stream"}, {"*/*;q=0.1,text/event-stream;q=0.5"},
		{"text/event-stream;q=0.001"}, {"text/event-stream; q=1"}, {"text/event-stream;a=\"x,y;q=0\""},
		{"text/event-stream;q=0, text/event-stream"}, {`a/b;c="\",", text/event-stream`},
	}
	no := [][]string{
		nil, {""}, {"*/*"}, {"text/*"}, {"text/html"}, {"text/event-streams"}, {"xtext/event-stream"},
		{"text/event-stream;q=0"}, {"text/event-stream; Q=0.0"}, {"text/event-stream;q=0."}, {"text/event-stream ; q = 0.000"},
		{`a/b;c="text/event-stream`}, {`a/b;c=", text/event-stream"`}, {`a/b;c=", text/event-stream;"`}, {"text/html;level=text/event-stream"},
	}
	check := func(method string, accept []string, want bool) {
		t.Helper()
		r := httptest.NewRequest(method, "/", nil)
		r.Header["Accept"] = accept
		if got := IsEventSource(r); got != want {
			t.Errorf("%s %q: %v", method, accept, got)
		}
	}
	for _, accept := range yes {
		check("GET", accept, true)
		check("POST", accept, false)
		check("HEAD", accept, false)
	}
	for _, accept := range no {
		check("GET", accept, false)
	}
}

func TestEventSourceResponse(t *testing.T) {
	serveBoth(t, func(t *testing.T, start func(http.Handler) *httptest.Server) {
		opts := &EventSourceOptions{Header: http.Header{"access-control-allow-origin": {"*"}, "X-Two": {"a", "b"}}}
		hold := make(chan struct{})
		s := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "https://example.org")
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Length", "3")
			EventSourceHandler(func(*EventSource) { <-hold }, opts).ServeHTTP(w, r)
		}))
		r := get(t, s.Client(), s.URL)
		r.want("retry: 5000\n\n") // flushed at once: nothing else comes
		want := http.Header{
			"Content-Type": {"text/event-stream"}, "Cache-Control": {"no-cache, no-store, no-transform"},
			"X-Accel-Buffering": {"no"}, "Access-Control-Allow-Origin": {"*"}, "X-Two": {"a", "b"},
		}
		for name, values := range want {
			if got := r.resp.Header.Values(name); strings.Join(got, "|") != strings.Join(values, "|") {
				t.Errorf("%s: %q, want %q", name, got, values)
			}
		}
		for _, name := range []string{"Connection", "Content-Length"} {
			if got := r.resp.Header.Values(name); len(got) > 0 {
				t.Errorf("%s: %q, want none", name, got)
			}
		}
		if r.resp.Close {
			t.Error("the connection is to be closed")
		}
		if r.resp.StatusCode != 200 {
			t.Errorf("status %s", r.resp.Status)
		}
		close(hold)
		r.wantEnd()
	})
}

func TestEventSourceRetryOption(t *testing.T) {
	for retry, want := range map[time.Duration]string{
		0: "retry: 5000\n\n", 1500 * time.Millisecond: "retry: 1500\n\n", -1: ": \n\n",
	} {
		w := newRecorder()
		accept(t, w, &EventSourceOptions{Retry: retry})
		if got := w.text(); got != want || w.flushes != 1 {
			t.Errorf("%v: %q, %d flushes", retry, got, w.flushes)
		}
	}
}

func TestEventSourceHeaderRefused(t *testing.T) {
	for name, value := range map[string]string{
		"content-type": "text/plain", "Cache-Control": "public", "X-Accel-Buffering": "yes", "Connection": "close",
		"Content-Length": "1", "Transfer-Encoding": "gzip", "Content-Encoding": "gzip", "Trailer": "X", "Upgrade": "h2c",
		"X Y": "z", "": "z", "X-A": "b\r\nSet-Cookie: c", "X-B": "\x00", "X-C": " y",
	} {
		w := newRecorder()
		_, err := AcceptEventSource(w, httptest.NewRequest("GET", "/", nil), &EventSourceOptions{Header: http.Header{name: {value}}})
		if err == nil || w.status != 500 || strings.Contains(w.text(), "retry") {
			t.Errorf("%q: %q: %v, status %d, wrote %q", name, value, err, w.status, w.text())
		}
	}
}

// plainWriter hides all but the three methods.
type plainWriter struct{ http.ResponseWriter }

// unwrapWriter is what middleware should look like.
type unwrapWriter struct{ http.ResponseWriter }

func (w unwrapWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestEventSourceCanNotFlush(t *testing.T) {
	w := newRecorder()
	_, err := AcceptEventSource(plainWriter{w}, httptest.NewRequest("GET", "/", nil), nil)
	var no *EventSourceError
	if !errors.Is(err, http.ErrNotSupported) || !errors.As(err, &no) || no.StatusCode != 500 || w.status != 500 || strings.Contains(w.text(), "retry") {
		t.Errorf("%v, status %d, wrote %q", err, w.status, w.text())
	}
}

// A body that was announced, and does not come, does not hold the stream up.
func TestEventSourceBodyNotSent(t *testing.T) {
	for name, head := range map[string]string{
		"length": "POST / HTTP/1.1\r\nContent-Length: 10\r\n", "chunks": "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
		"expect": "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 10\r\n", "HTTP/1.0": "POST / HTTP/1.0\r\nContent-Length: 10\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				streams := make(chan *EventSource, 1)
				handler := EventSourceHandler(func(es *EventSource) { streams <- es; <-es.done }, nil)
				_, l := servePipe(t, &http.Server{Handler: handler})
				c, err := l.dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				time.AfterFunc(time.Hour, func() { c.Close() })
				io.WriteString(c, head+"Host: pipe\r\n\r\n")
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				if !resp.Close {
					t.Error("the connection is to be used again")
				}
				r := &lineReader{t: t, resp: resp, buf: bufio.NewReader(resp.Body)}
				r.want("retry: 5000\n\n: \n\n") // and a ping
				c.Close()
				wantClosed(t, (<-streams).Closed(), StatusAbnormalClosure, false)
			})
		})
	}
}

// What the application reads of a body while it streams still comes.
func TestEventSourceReadsBody(t *testing.T) {
	serveBoth(t, func(t *testing.T, start func(http.Handler) *httptest.Server) {
		s := start(EventSourceHandler(func(es *EventSource) {
			text, err := io.ReadAll(es.Request().Body)
			if err != nil {
				t.Error(err)
			}
			es.Send(context.Background(), Event{Data: string(text)})
		}, nil))
		resp, err := s.Client().Post(s.URL, "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		r := &lineReader{t: t, resp: resp, buf: bufio.NewReader(resp.Body)}
		r.want("retry: 5000\n\ndata: hello\n\n")
		r.wantEnd()
	})
}

// flushWriter is what much middleware looks like: Flush, and no Unwrap.
type flushWriter struct{ http.ResponseWriter }

func (w flushWriter) Flush() { http.NewResponseController(w.ResponseWriter).Flush() }

// Where no write deadline can be set nothing bounds what a client that does not read
// can hold: a WriteTimeout that was asked for is refused, and of the default Errors tells
// that it has no effect.
func TestEventSourceNoWriteDeadline(t *testing.T) {
	for name, wrap := range map[string]func(*httptest.ResponseRecorder) http.ResponseWriter{
		"middleware": func(w *httptest.ResponseRecorder) http.ResponseWriter { return flushWriter{w} },
		"recorder":   func(w *httptest.ResponseRecorder) http.ResponseWriter { return w },
	} {
		refused := httptest.NewRecorder()
		_, err := AcceptEventSource(wrap(refused), httptest.NewRequest("GET", "/", nil), &EventSourceOptions{WriteTimeout: time.Second})
		var no *EventSourceError
		if !errors.Is(err, http.ErrNotSupported) || !errors.As(err, &no) || !strings.Contains(no.Reason, "SetWriteDeadline") || refused.Code != 500 {
			t.Errorf("%s: %v, status %d", name, err, refused.Code)
		}
		for timeout, told := range map[time.Duration]error{0: http.ErrNotSupported, -1: nil} {
			taken := httptest.NewRecorder()
			es, _ := accept(t, wrap(taken), &EventSourceOptions{WriteTimeout: timeout})
			es.Send(t.Context(), Event{Data: "x"})
			if err := es.Close(); err != nil || taken.Body.String() != "retry: 5000\n\ndata: x\n\n" {
				t.Errorf("%s, WriteTimeout %d: %v, wrote %q", name, timeout, err, taken.Body)
			}
			if err := <-es.Errors(); !errors.Is(err, told) {
				t.Errorf("%s, WriteTimeout %d: Errors tells %v", name, timeout, err)
			}
		}
	}
}

// Without WriteTimeout a client may take its time, also under a server that has one.
func TestEventSourceWithoutWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams := make(chan *EventSource, 1)
		handler := EventSourceHandler(func(es *EventSource) {
			streams <- es
			<-es.Closed()
		}, &EventSourceOptions{WriteTimeout: -1, PingInterval: -1})
		_, l := servePipe(t, &http.Server{Handler: handler, WriteTimeout: time.Second})
		c := stall(t, l)
		es := <-streams
		es.Send(t.Context(), Event{Data: "x"})
		time.Sleep(24 * time.Hour)
		io.ReadFull(c, make([]byte, len("9\r\ndata: x\n\n\r\n")))
		synctest.Wait()
		if es.State() != StateOpen {
			t.Fatalf("%v: %v", es.State(), <-es.Errors())
		}
		es.Send(t.Context(), Event{Data: "y"})
		time.Sleep(24 * time.Hour)
		es.Abort() // interrupts the write all the same
		synctest.Wait()
		if es.State() != StateClosed {
			t.Error(es.State())
		}
	})
}

// A HEAD is answered as a GET but for the body, and the connection goes on: a
// stream would be written to nobody, and never end.
func TestEventSourceHEAD(t *testing.T) {
	serveBoth(t, func(t *testing.T, start func(http.Handler) *httptest.Server) {
		refused := make(chan error, 1)
		mux := http.NewServeMux()
		mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
			es, err := AcceptEventSource(w, r, &EventSourceOptions{Header: http.Header{"X-Own": {"a"}}})
			if err == nil {
				t.Error("streams to a HEAD request")
				es.Abort()
			}
			refused <- err
		})
		mux.Handle("GET /handler", EventSourceHandler(func(es *EventSource) { t.Error("serve was called") }, nil))
		mux.HandleFunc("GET /other", func(http.ResponseWriter, *http.Request) {})
		s := start(mux)
		head := func(path string) *http.Response {
			resp, err := s.Client().Head(s.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp
		}
		resp := head("/events")
		if h := resp.Header; resp.StatusCode != 200 || h.Get("Content-Type") != "text/event-stream" || h.Get("X-Own") != "a" || resp.Close {
			t.Errorf("answered with %s %v", resp.Status, h)
		}
		var no *EventSourceError
		if err := <-refused; !errors.As(err, &no) || no.StatusCode != 200 || no.Header.Get("X-Own") != "a" || !strings.Contains(err.Error(), "HEAD") {
			t.Errorf("AcceptEventSource: %v", err)
		}
		if resp := head("/handler"); resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("EventSourceHandler answered with %s %v", resp.Status, resp.Header)
		}
		head("/other")
	})
}

func TestEventSourceWrappedWriter(t *testing.T) {
	serveBoth(t, func(t *testing.T, start func(http.Handler) *httptest.Server) {
		inner := EventSourceHandler(func(es *EventSource) {
			es.Send(context.Background(), Event{Data: "through"})
		}, nil)
		s := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(unwrapWriter{unwrapWriter{w}}, r)
		}))
		r := get(t, s.Client(), s.URL)
		r.want("retry: 5000\n\ndata: through\n\n")
		r.wantEnd()
	})
}

func TestEventSourceSend(t *testing.T) {
	serveBoth(t, func(t *testing.T, start func(http.Handler) *httptest.Server) {
		prepared, err := PrepareEvent(Event{Type: "p", Data: "prepared"})
		if err != nil {
			t.Fatal(err)
		}
		s := start(EventSourceHandler(func(es *EventSource) {
			ctx := context.Background()
			steps := []error{
				es.Send(ctx, Event{Type: "add", ID: "1", Data: "a\r\nb"}),
				es.TrySend(Event{Data: "try"}),
				es.Ping(ctx),
				es.SetRetry(ctx, 250*time.Millisecond),
				es.SendPrepared(ctx, prepared),
				es.TrySendPrepared(prepared),
				es.Send(ctx, Event{ClearID: true}),
				es.Flush(ctx),
			}
			if err := errors.Join(steps...); err != nil {
				t.Error(err)
			}
		}, nil))
		r := get(t, s.Client(), s.URL)
		r.want("retry: 5000\n\nevent: add\nid: 1\ndata: a\ndata: b\n\ndata: try\n\n: \n\nretry: 250\n\n" +
			"event: p\ndata: prepared\n\nevent: p\ndata: prepared\n\nid:\ndata: \n\n")
		r.wantEnd()
	})
}

func TestEventSourceRefusedEventSendsNothing(t *testing.T) {
	w := newRecorder()
	es, _ := accept(t, w, &EventSourceOptions{QueueBytes: 100})
	ctx := context.Background()
	var field *EventFieldError
	for _, e := range []Event{{Type: "a\nb"}, {Type: "a\rb"}, {ID: "a\nb"}, {ID: "\x00"}, {ID: "1", ClearID: true}} {
		if err := es.Send(ctx, e); !errors.As(err, &field) {
			t.Errorf("Send(%+v): %v", e, err)
		}
		if err := es.TrySend(e); !errors.As(err, &field) {
			t.Errorf("TrySend(%+v): %v", e, err)
		}
		if _, err := PrepareEvent(e); !errors.As(err, &field) {
			t.Errorf("PrepareEvent(%+v): %v", e, err)
		}
	}
	var size *EventSizeError
	for _, n := range []int{93, 101, 1 << 20} { // 93 and the 8 bytes around them are 101
		if err := es.Send(ctx, Event{Data: strings.Repeat("x", n)}); !errors.As(err, &size) || !errors.Is(err, ErrMessageTooBig) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := es.Send(ctx, Event{Data: strings.Repeat("x", 92)}); err != nil {
		t.Errorf("100 bytes: %v", err)
	}
	if es.SendPrepared(ctx, nil) == nil || es.TrySendPrepared(nil) == nil {
		t.Error("a nil event was taken")
	}
	if err := es.SetRetry(ctx, -1); err == nil {
		t.Error("a negative retry was taken")
	}
	if err := es.Close(); err != nil {
		t.Error(err)
	}
	if got, want := w.text(), "retry: 5000\n\ndata: "+strings.Repeat("x", 92)+"\n\n"; got != want {
		t.Errorf("wrote %q", got)
	}
}

func TestEventSourceContexts(t *testing.T) {
	w := newRecorder()
	es, _ := accept(t, w, nil)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	calls := map[string]func(context.Context) error{
		"Send":         func(ctx context.Context) error { return es.Send(ctx, Event{}) },
		"SendPrepared": func(ctx context.Context) error { return es.SendPrepared(ctx, &PreparedEvent{block: []byte("x")}) },
		"Ping":         es.Ping,
		"SetRetry":     func(ctx context.Context) error { return es.SetRetry(ctx, 0) },
		"Flush":        es.Flush,
	}
	for name, call := range calls {
		if err := call(nil); err != ErrNilContext {
			t.Errorf("%s(nil): %v", name, err)
		}
		if err := call(ended); err != context.Canceled {
			t.Errorf("%s(ended): %v", name, err)
		}
	}
	if err := es.Close(); err != nil {
		t.Error(err)
	}
	for name, call := range calls {
		if err := call(context.Background()); err != ErrClosed {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	if err := es.TrySend(Event{}); err != ErrClosed {
		t.Errorf("TrySend after Close: %v", err)
	}
	if got := w.text(); got != "retry: 5000\n\n" {
		t.Errorf("wrote %q", got)
	}
}

func TestEventSourceClose(t *testing.T) {
	w := newRecorder()
	es, _ := accept(t, w, nil)
	if es.State() != StateOpen {
		t.Error(es.State())
	}
	es.Send(context.Background(), Event{Data: "last"})
	if err := es.Close(); err != nil {
		t.Error(err)
	}
	if got := w.text(); got != "retry: 5000\n\ndata: last\n\n" {
		t.Errorf("wrote %q", got)
	}
	if err := es.Close(); err != ErrClosed {
		t.Errorf("second Close: %v", err)
	}
	if es.State() != StateClosed {
		t.Error(es.State())
	}
	wantClosed(t, es.Closed(), StatusNormalClosure, true)
	if err, ok := <-es.Errors(); ok {
		t.Error(err)
	}
}

// The writer takes all that is queued in one write and one flush.
func TestEventSourceBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRecorder()
		es, _ := accept(t, w, nil)
		w.gate = make(chan struct{})
		for range 100 {
			es.Send(t.Context(), Event{Data: "x"})
			synctest.Wait()
		}
		w.gate <- struct{}{} // the first alone
		w.gate <- struct{}{} // and all others
		synctest.Wait()
		if len(w.writes) != 3 || w.flushes != 3 || len(w.writes[2]) != 99*len("data: x\n\n") {
			t.Errorf("%d writes, %d flushes", len(w.writes), w.flushes)
		}
	})
}

func TestEventSourceQueueBounds(t *testing.T) {
	for name, opts := range map[string]*EventSourceOptions{
		"events": {QueueMessages: 4, PingInterval: -1}, "bytes": {QueueBytes: 4 * len("data: x\n\n"), PingInterval: -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newRecorder()
				es, _ := accept(t, w, opts)
				w.gate = make(chan struct{})
				for range 4 { // one of them is being written
					if err := es.TrySend(Event{Data: "x"}); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				if err := es.TrySend(Event{Data: "y"}); err != ErrQueueFull {
					t.Fatalf("TrySend into a full queue: %v", err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := es.Send(ctx, Event{Data: "y"}); err != context.DeadlineExceeded {
					t.Fatalf("Send into a full queue: %v", err)
				}
				if err := es.Flush(ctx); err != context.DeadlineExceeded {
					t.Fatalf("Flush: %v", err)
				}
				for range 2 {
					w.gate <- struct{}{}
				}
				synctest.Wait()
				if got, want := w.text(), "retry: 5000\n\n"+strings.Repeat("data: x\n\n", 4); got != want {
					t.Errorf("wrote %q", got)
				}
			})
		})
	}
}

// What is refused is not encoded first: a stalled client must not cost more than one
// that reads, nor may an event of line ends, which are sevenfold on the wire.
func TestEventSourceRefusalAllocs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRecorder()
		es, _ := accept(t, w, &EventSourceOptions{PingInterval: -1})
		w.gate = make(chan struct{})
		full := Event{Data: strings.Repeat("x", 400<<10)}
		for es.TrySend(full) == nil {
			synctest.Wait()
		}
		lines, long := Event{Data: strings.Repeat("\n", 400<<10)}, Event{Type: strings.Repeat("t", 1<<20)}
		var size *EventSizeError
		for name, refuse := range map[string]func() bool{
			"no room":  func() bool { return es.TrySend(full) == ErrQueueFull },
			"too big":  func() bool { return errors.As(es.TrySend(lines), &size) },
			"too long": func() bool { return errors.As(es.Send(t.Context(), long), &size) },
		} {
			const times = 20
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range times {
				if !refuse() {
					t.Fatal(name, "was taken")
				}
			}
			runtime.ReadMemStats(&after)
			if per := (after.TotalAlloc - before.TotalAlloc) / times; per > 16<<10 {
				t.Errorf("%s: %d bytes allocated for each event", name, per)
			}
		}
	})
}

// Those who wait are served in order, also where a later one would fit sooner.
func TestEventSourceQueueIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRecorder()
		es, _ := accept(t, w, &EventSourceOptions{QueueBytes: 100, PingInterval: -1})
		w.gate = make(chan struct{})
		es.Send(t.Context(), Event{Data: "one"})
		synctest.Wait() // it is being written
		es.Send(t.Context(), Event{Data: "two"})
		var group sync.WaitGroup
		for _, data := range []string{strings.Repeat("3", 80), "four", "gives up", "five", "six"} {
			group.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if data == "gives up" {
					time.AfterFunc(time.Second, cancel)
				}
				err := es.Send(ctx, Event{Data: data})
				if (err != nil) != (data == "gives up") {
					t.Errorf("%s: %v", data, err)
				}
			})
			synctest.Wait()
		}
		if err := es.TrySend(Event{}); err != ErrQueueFull {
			t.Errorf("TrySend overtook: %v", err)
		}
		time.Sleep(2 * time.Second)
		close(w.gate)
		group.Wait()
		es.Flush(t.Context())
		w.gate = nil
		var got []string
		for _, line := range strings.Split(w.text(), "\n") {
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				got = append(got, data)
			}
		}
		if want := "one,two," + strings.Repeat("3", 80) + ",four,five,six"; strings.Join(got, ",") != want {
			t.Errorf("%q", got)
		}
	})
}

func TestEventSourcePing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRecorder()
		es, _ := accept(t, w, &EventSourceOptions{Retry: -1})
		off := newRecorder()
		accept(t, off, &EventSourceOptions{Retry: -1, PingInterval: -1})
		count := func() int { synctest.Wait(); return strings.Count(w.text(), ": \n\n") - 1 }
		time.Sleep(10*time.Second - 1)
		if n := count(); n != 0 {
			t.Errorf("%d pings before 10 s", n)
		}
		time.Sleep(time.Nanosecond)
		if n := count(); n != 1 {
			t.Errorf("%d pings after 10 s", n)
		}
		time.Sleep(9 * time.Second)
		es.Send(t.Context(), Event{Data: "x"}) // the stream is not silent
		time.Sleep(9 * time.Second)
		if n := count(); n != 1 {
			t.Errorf("%d pings, though the stream was not silent", n)
		}
		time.Sleep(time.Second)
		if n := count(); n != 2 {
			t.Errorf("%d pings after 10 s of silence", n)
		}
		time.Sleep(time.Hour)
		if n := count(); n != 362 || off.text() != ": \n\n" {
			t.Errorf("%d pings after an hour; %q without pings", n, off.text())
		}
	})
}

func TestEventSourceClientGone(t *testing.T) {
	serveBoth(t, func(t *testing.T, start func(http.Handler) *httptest.Server) {
		streams := make(chan *EventSource, 1)
		s := start(EventSourceHandler(func(es *EventSource) {
			streams <- es
			ev := wantClosed(t, es.Closed(), StatusAbnormalClosure, false)
			if err := <-es.Errors(); err != ev.Err {
				t.Errorf("reported %v, closed with %v", err, ev.Err)
			}
			streams <- es
		}, nil))
		r := get(t, s.Client(), s.URL)
		es := <-streams
		r.want("retry: 5000\n\n")
		r.resp.Body.Close()
		<-streams
		if err := es.Send(context.Background(), Event{}); err != ErrClosed {
			t.Errorf("Send: %v", err)
		}
		if err := es.Close(); err != ErrClosed {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestEventSourceWriteFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRecorder()
		es, _ := accept(t, w, nil)
		broken := errors.New("broken pipe")
		w.fail = broken
		es.Send(t.Context(), Event{})
		if ev := wantClosed(t, es.Closed(), StatusAbnormalClosure, false); !errors.Is(ev.Err, broken) {
			t.Error(ev.Err)
		}
		w = newRecorder()
		w.fail = broken
		r := httptest.NewRequest("GET", "/", nil)
		if _, err := AcceptEventSource(w, r, nil); !errors.Is(err, broken) {
			t.Errorf("AcceptEventSource: %v", err)
		}
	})
}

// http.Server's timeouts do not end a stream, nor does one event's deadline
// hang over the silence after it.
func TestEventSourceServerTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := EventSourceHandler(func(es *EventSource) {
			for range 5 {
				time.Sleep(20 * time.Second)
				if err := es.Send(t.Context(), Event{Data: "x"}); err != nil {
					t.Error(err)
				}
			}
		}, &EventSourceOptions{PingInterval: -1, WriteTimeout: 5 * time.Second})
		client, _ := servePipe(t, &http.Server{Handler: handler, WriteTimeout: time.Second, ReadTimeout: time.Second, IdleTimeout: time.Second})
		r := get(t, client, "http://pipe/")
		r.want("retry: 5000\n\n" + strings.Repeat("data: x\n\n", 5))
		r.wantEnd()
	})
}

func TestEventSourceServerTimeoutsLoopback(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			handler := EventSourceHandler(func(es *EventSource) {
				for range 2 {
					time.Sleep(1200 * time.Millisecond)
					es.Send(t.Context(), Event{Data: "x"})
				}
			}, &EventSourceOptions{WriteTimeout: time.Second})
			s := startServer(t, proto, handler, func(s *http.Server) {
				s.WriteTimeout, s.ReadTimeout = time.Second, time.Second
			})
			r := get(t, s.Client(), s.URL)
			r.want("retry: 5000\n\n" + strings.Repeat("data: x\n\n", 2))
			r.wantEnd()
		})
	}
}

// The end of the request's context counts from that moment on: a handler that
// has returned must not be written for.
func TestEventSourceRequestEnds(t *testing.T) {
	for range 100 {
		w := newRecorder()
		es, end := accept(t, w, nil)
		end()
		if err := es.TrySend(Event{Data: "too late"}); err != ErrClosed {
			t.Fatalf("TrySend: %v", err)
		}
		if es.State() != StateClosed || strings.Contains(w.text(), "late") {
			t.Fatalf("%v, wrote %q", es.State(), w.text())
		}
	}
}

// stall makes a client that reads the head of the response and no more.
func stall(t *testing.T, l *pipeListener) net.Conn {
	c, err := l.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: pipe\r\n\r\n")
	var got []byte
	for buf := make([]byte, 4096); !bytes.Contains(got, []byte("retry: 5000\n\n\r\n")); {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	return c
}

func TestEventSourceStalledClient(t *testing.T) {
	type end struct {
		how   string
		code  StatusCode
		after time.Duration
	}
	for _, test := range []end{
		{"WriteTimeout", StatusAbnormalClosure, 7 * time.Second},
		{"Abort", StatusAbnormalClosure, time.Second},
		{"Context", StatusGoingAway, time.Second},
		{"client", StatusAbnormalClosure, time.Second},
		{"Close", StatusAbnormalClosure, 7 * time.Second},
	} {
		t.Run(test.how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				streams, served := make(chan *EventSource, 1), make(chan struct{})
				opts := &EventSourceOptions{WriteTimeout: 7 * time.Second, PingInterval: -1, Context: ctx}
				handler := EventSourceHandler(func(es *EventSource) {
					streams <- es
					<-served
				}, opts)
				_, l := servePipe(t, &http.Server{Handler: handler})
				defer close(served)
				c := stall(t, l)
				es := <-streams
				es.Send(t.Context(), Event{Data: "read"}) // the time is that of the write that stalls
				io.ReadFull(c, make([]byte, len("c\r\ndata: read\n\n\r\n")))
				time.Sleep(3 * time.Second)
				start := time.Now()
				if err := es.Send(t.Context(), Event{Data: "x"}); err != nil {
					t.Error(err)
				}
				time.AfterFunc(time.Second, map[string]func(){
					"WriteTimeout": func() {}, "Abort": es.Abort, "Context": cancel, "client": func() { c.Close() },
					"Close": func() { es.Close() },
				}[test.how])
				wantClosed(t, es.Closed(), test.code, false)
				if took := time.Since(start); took != test.after {
					t.Errorf("ended after %v, want %v", took, test.after)
				}
				cancel()
			})
		})
	}
}

// What net/http writes when the handler has returned, the end of the response, has
// a deadline too.
func TestEventSourceStalledAtTheEnd(t *testing.T) {
	for name, end := range map[string]func(*EventSource){"Close": func(*EventSource) {}, "Abort": (*EventSource).Abort} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, over := make(chan time.Time, 1), make(chan time.Time, 1)
				server := &http.Server{ConnState: func(_ net.Conn, state http.ConnState) {
					if state == http.StateIdle || state == http.StateClosed {
						over <- time.Now()
					}
				}}
				handler := EventSourceHandler(end, &EventSourceOptions{WriteTimeout: 7 * time.Second})
				server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					handler.ServeHTTP(w, r)
					begun <- time.Now()
				})
				_, l := servePipe(t, server)
				c := stall(t, l)
				time.AfterFunc(time.Hour, func() { c.Close() })
				start := <-begun
				if took := (<-over).Sub(start); took != 7*time.Second {
					t.Errorf("the connection was given up after %v, want 7 s", took)
				}
			})
		})
	}
}

// A panic of serve is not held up by a client that does not read.
func TestEventSourceServePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled, took := make(chan struct{}), make(chan time.Duration, 1)
		handler := EventSourceHandler(func(es *EventSource) {
			<-stalled
			es.Send(t.Context(), Event{Data: "x"})
			synctest.Wait() // it is being written
			es.Send(t.Context(), Event{Data: "y"})
			panic(http.ErrAbortHandler)
		}, nil)
		_, l := servePipe(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			defer func() { took <- time.Since(start) }()
			handler.ServeHTTP(w, r)
		})})
		stall(t, l)
		close(stalled)
		if d := <-took; d != 0 {
			t.Errorf("the panic came out after %v", d)
		}
	})
}

// A client that stops reading is given up on real connections too.
func TestEventSourceStalledClientLoopback(t *testing.T) {
	serveBoth(t, func(t *testing.T, start func(http.Handler) *httptest.Server) {
		streams := make(chan *EventSource, 1)
		s := start(EventSourceHandler(func(es *EventSource) {
			streams <- es
			big := Event{Data: strings.Repeat("x", 1<<19)}
			for es.Send(context.Background(), big) == nil {
			}
		}, &EventSourceOptions{WriteTimeout: time.Second}))
		get(t, s.Client(), s.URL)
		es := <-streams
		if ev := wantClosed(t, es.Closed(), StatusAbnormalClosure, false); !errors.Is(ev.Err, os.ErrDeadlineExceeded) {
			t.Error(ev.Err)
		}
	})
}

func TestEventSourceContextEndsIdleStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		es, _ := accept(t, newRecorder(), &EventSourceOptions{Context: ctx})
		reason := errors.New("restarting")
		cancel(reason)
		if ev := wantClosed(t, es.Closed(), StatusGoingAway, false); ev.Err != reason {
			t.Error(ev.Err)
		}
	})
}

// A waiting Send and Flush end with the stream.
func TestEventSourceEndReleasesWaiters(t *testing.T) {
	for name, end := range map[string]func(*EventSource){
		"Abort": (*EventSource).Abort, "Close": func(es *EventSource) { go es.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newRecorder()
				es, _ := accept(t, w, &EventSourceOptions{QueueMessages: 1})
				w.gate = make(chan struct{})
				es.Send(t.Context(), Event{})
				results := make(chan error, 2)
				go func() { results <- es.Send(t.Context(), Event{}) }()
				synctest.Wait()
				end(es)
				if err := <-results; err != ErrClosed {
					t.Errorf("Send: %v", err)
				}
				if name == "Abort" {
					if err := es.Flush(t.Context()); err != ErrClosed {
						t.Errorf("Flush: %v", err)
					}
				}
			})
		})
	}
}

func TestEventSourceAfterHandlerReturned(t *testing.T) {
	serveBoth(t, func(t *testing.T, start func(http.Handler) *httptest.Server) {
		streams := make(chan *EventSource, 1)
		s := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			es, err := AcceptEventSource(w, r, nil)
			if err != nil {
				t.Error(err)
			}
			streams <- es
		}))
		r := get(t, s.Client(), s.URL)
		r.want("retry: 5000\n\n")
		r.wantEnd()
		es := <-streams
		for range 10 {
			if err := es.Send(context.Background(), Event{Data: "too late"}); err != ErrClosed {
				t.Errorf("Send: %v", err)
			}
		}
		wantClosed(t, es.Closed(), StatusAbnormalClosure, false)
	})
}

// panicWriter is what a ResponseWriter may do when its handler has returned.
type panicWriter struct{ *recorder }

func (w panicWriter) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "boom") {
		panic("Write called after Handler finished")
	}
	return w.recorder.Write(b)
}

func TestEventSourceWriterPanics(t *testing.T) {
	es, _ := accept(t, panicWriter{newRecorder()}, nil)
	es.Send(context.Background(), Event{Data: "boom"})
	ev := wantClosed(t, es.Closed(), StatusAbnormalClosure, false)
	if !strings.Contains(ev.Err.Error(), "after Handler finished") {
		t.Error(ev.Err)
	}
}

// goneWriter is the writer of HTTP/2 whose handler has returned in the middle of a
// write: setting its deadline panics.
type goneWriter struct{ *recorder }

func (w goneWriter) SetWriteDeadline(deadline time.Time) error {
	if deadline.Before(time.Now()) && !deadline.IsZero() {
		panic("nil stream")
	}
	return nil
}

// The end of a stream whose handler has returned comes by a goroutine that is
// nobody's: a panic there would end the program.
func TestEventSourceHandlerReturnsWhileWriting(t *testing.T) {
	for name, end := range map[string]func(*EventSource, func()){
		"returns": func(_ *EventSource, end func()) { end() }, "Abort": func(es *EventSource, _ func()) { es.Abort() },
		"WriteTimeout": func(*EventSource, func()) { time.Sleep(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := goneWriter{newRecorder()}
				es, over := accept(t, w, &EventSourceOptions{PingInterval: -1})
				w.gate = make(chan struct{})
				es.Send(t.Context(), Event{Data: "x"})
				synctest.Wait() // it is being written
				end(es, over)
				synctest.Wait()
				if err := es.TrySend(Event{}); err != ErrClosed {
					t.Errorf("TrySend: %v", err)
				}
				if cause, what := <-es.Errors(), <-es.Errors(); cause == nil || !strings.Contains(what.Error(), "nil stream") {
					t.Errorf("reported %v, and %v", cause, what)
				}
				close(w.gate)
				wantClosed(t, es.Closed(), StatusAbnormalClosure, false)
			})
		})
	}
}

// What was written when the handler returned is not flushed by the stream any
// more, as w is not its own any more.
func TestEventSourceHandlerReturnsBeforeFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newRecorder()
		es, over := accept(t, w, &EventSourceOptions{PingInterval: -1})
		w.gate = make(chan struct{})
		es.Send(t.Context(), Event{Data: "x"})
		synctest.Wait()
		over()
		w.gate <- struct{}{}
		wantClosed(t, es.Closed(), StatusAbnormalClosure, false)
		if len(w.writes) != 2 || w.flushes != 1 {
			t.Errorf("%d writes, %d flushes", len(w.writes), w.flushes)
		}
		w.gate = nil
	})
}

func TestEventSourceRequest(t *testing.T) {
	tests := []struct {
		target string
		header map[string]string
		trust  bool
		want   string
	}{
		{"http://a.example/x?y=%20", nil, false, "http://a.example/x?y=%20"},
		{"https://a.example/x", nil, false, "https://a.example/x"},
		{"http://a.example/", map[string]string{"X-Forwarded-Proto": "https"}, false, "http://a.example/"},
		{"http://a.example/", map[string]string{"X-Forwarded-Proto": "HTTPS, http"}, true, "https://a.example/"},
		{"https://a.example/", map[string]string{"X-Forwarded-Proto": "http"}, true, "http://a.example/"},
		{"http://a.example/", map[string]string{"X-Forwarded-Scheme": "https"}, true, "https://a.example/"},
		{"http://a.example/", map[string]string{"X-Forwarded-Ssl": "on"}, true, "https://a.example/"},
	}
	for _, test := range tests {
		r := httptest.NewRequest("GET", test.target, nil)
		for name, value := range test.header {
			r.Header.Set(name, value)
		}
		r.Header.Set("Last-Event-ID", "ü\xFF")
		es, err := AcceptEventSource(newRecorder(), r, &EventSourceOptions{TrustForwarded: test.trust})
		if err != nil {
			t.Fatal(err)
		}
		if got := es.URL(); got != test.want {
			t.Errorf("%s %v: %s", test.target, test.header, got)
		}
		if es.Request() != r || es.LastEventID() != "ü\uFFFD" {
			t.Errorf("request %v, last id %q", es.Request(), es.LastEventID())
		}
		es.Close()
	}
}

// The end of a stream is not that of its request, whose handler may go on.
func TestEventSourceEndLeavesRequestContext(t *testing.T) {
	looked := make(chan struct{})
	s := startServer(t, "HTTP/1.1", EventSourceHandler(func(es *EventSource) {
		defer close(looked)
		es.Abort()
		wantClosed(t, es.Closed(), StatusAbnormalClosure, false)
		if err := es.Request().Context().Err(); err != nil {
			t.Errorf("the request's context: %v", err)
		}
	}, nil), nil)
	get(t, s.Client(), s.URL)
	<-looked
}

func TestEventSourceMisuse(t *testing.T) {
	w := newRecorder()
	es, end := accept(t, w, &EventSourceOptions{QueueMessages: 3})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*10*time.Millisecond)
			defer cancel()
			for range 200 {
				es.Send(ctx, Event{Data: "x"})
				es.TrySend(Event{Data: "y"})
				es.Ping(ctx)
				es.Flush(ctx)
				es.State()
			}
			switch i {
			case 5:
				end()
			case 6:
				es.Close()
			case 7:
				es.Abort()
			}
		})
	}
	group.Wait()
	if err := es.Close(); err != ErrClosed {
		t.Error(err)
	}
}

func TestEventSourceSendAllocs(t *testing.T) {
	es, _ := accept(t, discardWriter{http.Header{}}, &EventSourceOptions{PingInterval: -1})
	ctx, ev := context.Background(), Event{Type: "tick", ID: "1", Data: "some data"}
	send := func() {
		if err := es.Send(ctx, ev); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		send()
	}
	if n := testing.AllocsPerRun(5000, send); n >= 0.5 && !raceEnabled {
		t.Errorf("%v allocations an event", n)
	}
}

type discardWriter struct{ header http.Header }

func (w discardWriter) Header() http.Header         { return w.header }
func (w discardWriter) WriteHeader(int)             {}
func (w discardWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w discardWriter) Flush()                      {}

func (w discardWriter) SetWriteDeadline(time.Time) error { return nil }
