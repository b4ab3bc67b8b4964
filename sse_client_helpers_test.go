package websocket

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A script is a RoundTripper that answers the n-th request with its n-th answer,
// and notes when it came and what it said. It runs in a synctest bubble.
type script struct {
	t       *testing.T
	start   time.Time
	answers []answer

	mu       sync.Mutex
	requests []*http.Request
	times    []time.Duration
	open     int // bodies not closed
}

type answer func(*http.Request) (*http.Response, error)

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	n := len(s.requests)
	s.requests = append(s.requests, r)
	s.times = append(s.times, time.Since(s.start))
	s.mu.Unlock()
	if n >= len(s.answers) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	resp, err := s.answers[n](r)
	if resp != nil {
		s.mu.Lock()
		s.open++
		s.mu.Unlock()
		resp.Request = r
		resp.Body = &countedBody{ReadCloser: resp.Body, s: s}
	}
	return resp, err
}

type countedBody struct {
	io.ReadCloser
	s    *script
	once sync.Once
}

func (b *countedBody) Close() error {
	b.once.Do(func() {
		b.s.mu.Lock()
		b.s.open--
		b.s.mu.Unlock()
	})
	return b.ReadCloser.Close()
}

// wantTimes wants requests to have come at these times since the start.
func (s *script) wantTimes(want ...time.Duration) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	ok := len(s.times) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = s.times[i] == want[i]
	}
	if !ok {
		s.t.Errorf("requests came at %v\n           want %v", s.times, want)
	}
}

// header is what the n-th request said.
func (s *script) header(n int, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[n].Header.Get(name)
}

func respond(status int, header map[string]string, body io.ReadCloser) *http.Response {
	h := http.Header{}
	for name, value := range header {
		h.Set(name, value)
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: body}
}

var streamType = map[string]string{"Content-Type": "text/event-stream"}

// stream answers with an event stream that ends after the text.
func stream(text string) answer {
	return func(*http.Request) (*http.Response, error) {
		return respond(200, streamType, io.NopCloser(strings.NewReader(text))), nil
	}
}

// endless answers with an event stream that goes silent after the text.
func endless(text string) answer {
	return pieces(0, text)
}

// pieces answers with an event stream that says each text after a pause, and
// goes silent.
func pieces(pause time.Duration, texts ...string) answer {
	return func(r *http.Request) (*http.Response, error) {
		pr, pw := io.Pipe()
		stop := context.AfterFunc(r.Context(), func() { pw.CloseWithError(r.Context().Err()) })
		go func() {
			for _, text := range texts {
				time.Sleep(pause)
				if _, err := io.WriteString(pw, text); err != nil {
					stop()
					return
				}
			}
		}()
		return respond(200, streamType, pr), nil
	}
}

func refusedStatus(status int, header map[string]string) answer {
	return func(*http.Request) (*http.Response, error) {
		return respond(status, header, io.NopCloser(strings.NewReader("no stream here"))), nil
	}
}

var errUnplugged = errors.New("the cable is unplugged")

func unplugged(*http.Request) (*http.Response, error) { return nil, errUnplugged }

func unclean(text string) answer {
	return func(*http.Request) (*http.Response, error) {
		return respond(200, streamType, io.NopCloser(io.MultiReader(strings.NewReader(text), errReader{}))), nil
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// open runs a test with a stream on a script; the waits have no jitter.
func open(t *testing.T, opts EventSourceDialOptions, answers []answer, test func(*testing.T, *EventStream, *script)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		s := &script{t: t, start: time.Now(), answers: answers}
		if opts.Client == nil {
			opts.Client = &http.Client{}
		}
		client := *opts.Client
		client.Transport = s
		opts.Client = &client
		if opts.Jitter == 0 {
			opts.Jitter = -1
		}
		es := OpenEventSource("http://stream.example/path", &opts)
		test(t, es, s)
		es.Close()
		synctest.Wait()
		if s.open != 0 {
			t.Errorf("%d bodies not closed", s.open)
		}
	})
}

func wantEvents(t *testing.T, es *EventStream, want ...Event) {
	t.Helper()
	for _, w := range want {
		select {
		case got, ok := <-es.Messages():
			if !ok || got != w {
				t.Fatalf("got %+v, %v, want %+v", got, ok, w)
			}
		case <-time.After(24 * time.Hour):
			t.Fatalf("no event, want %+v", w)
		}
	}
}

func wantNoEvents(t *testing.T, es *EventStream) {
	t.Helper()
	if ev, ok := <-es.Messages(); ok {
		t.Fatalf("got %+v, want the end", ev)
	}
}

func wantError(t *testing.T, es *EventStream, target error) {
	t.Helper()
	select {
	case err := <-es.Errors():
		if !errors.Is(err, target) {
			t.Fatalf("reported %v, want %v", err, target)
		}
	case <-time.After(24 * time.Hour):
		t.Fatalf("nothing reported, want %v", target)
	}
}
