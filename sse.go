package websocket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/chanws/websocket/codec"
)

// EventSourceOptions are the options of [AcceptEventSource]. The zero value, and
// a nil pointer, are the defaults; the library does not write to it.
type EventSourceOptions struct {
	// Header is added to the response, in place of what it has under the same
	// name. What makes the response an event stream can not be set: Content-Type,
	// Cache-Control, X-Accel-Buffering, Connection and the headers of framing.
	Header http.Header

	// Retry is how long the client is to wait before it connects again, sent as
	// the first line of the stream. 0 means 5 s; negative sends none.
	Retry time.Duration

	// PingInterval is how long the stream may be silent before a comment is sent,
	// which keeps proxies from dropping it and finds out about clients that went
	// away. 0 means 10 s; negative turns it off.
	PingInterval time.Duration

	// WriteTimeout is how long one write, of all that is queued, may take before
	// the client is given up. It takes the place of http.Server.WriteTimeout,
	// which would end the stream. 0 means 30 s. Negative means none: a client that
	// does not read then holds the stream, and Close, for as long as it is there. So it
	// is, by default, with writers that take no write deadline, as that of middleware
	// which has Flush but no Unwrap, or httptest.ResponseRecorder; with those not even
	// Abort or the end of Context can interrupt a write.
	WriteTimeout time.Duration

	// QueueMessages and QueueBytes bound what is queued and being written, counted
	// in events and in encoded bytes. 0 means 256 and 1 MiB. An event of more than
	// QueueBytes is refused. The memory this takes is what is there, and up to half
	// as much again for growing; an idle stream has no buffer.
	QueueMessages, QueueBytes int

	// Context ends the stream when it ends, at once: Closed then says 1001. Use it
	// to have streams end when the server shuts down. The request's context ends
	// the stream in any case. nil means none.
	Context context.Context

	// TrustForwarded lets the X-Forwarded-Proto, X-Forwarded-Scheme and
	// X-Forwarded-Ssl headers tell whether URL starts with https. Anyone can send
	// them: set it only behind a proxy that sets or removes them.
	TrustForwarded bool
}

func (o *EventSourceOptions) withDefaults() EventSourceOptions {
	var opts EventSourceOptions
	if o != nil {
		opts = *o
	}
	opts.Retry = cmp.Or(opts.Retry, 5*time.Second)
	opts.PingInterval = cmp.Or(opts.PingInterval, 10*time.Second)
	opts.WriteTimeout = cmp.Or(opts.WriteTimeout, 30*time.Second)
	if opts.QueueMessages <= 0 {
		opts.QueueMessages = 256
	}
	if opts.QueueBytes <= 0 {
		opts.QueueBytes = 1 << 20
	}
	return opts
}

// writeDeadline is when a write that begins now is given up; zero for never.
func (o *EventSourceOptions) writeDeadline() time.Time {
	if o.WriteTimeout < 0 {
		return time.Time{}
	}
	return time.Now().Add(o.WriteTimeout)
}

// IsEventSource reports whether r asks for an event stream: a GET whose Accept
// names text/event-stream and does not refuse it with q=0. A wildcard does not
// count, as every browser sends one with every request.
func IsEventSource(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != "" {
		return false
	}
	for _, line := range r.Header.Values("Accept") {
		for _, item := range splitUnquoted(line, ',') {
			if acceptsEventStream(item) {
				return true
			}
		}
	}
	return false
}

func acceptsEventStream(item string) bool {
	parts := splitUnquoted(item, ';')
	if !strings.EqualFold(strings.Trim(parts[0], " \t"), "text/event-stream") {
		return false
	}
	for _, param := range parts[1:] {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.Trim(name, " \t"), "q") {
			// "a value of 0 means "not acceptable"" (RFC 9110, section 12.4.2): 0, 0. and
			// up to three more zeros.
			value = strings.Trim(value, " \t")
			return strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(value, "0"), "."), "0") != ""
		}
	}
	return true
}

// splitUnquoted splits s at each sep that is not in a quoted string.
func splitUnquoted(s string, sep byte) (parts []string) {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:])
}

// EventSourceHandler is the safe way to serve event streams: it accepts each
// request and calls serve, and does not return before the stream is over, as
// net/http asks of whoever writes to a response. When serve returns the stream
// is closed, after what is queued was sent. When serve panics the stream is aborted,
// and the panic goes on. A HEAD is answered without a call of serve.
//
// It takes any other request, as its route tells what it serves: a mux that offers
// something else under the same path asks [IsEventSource] first.
func EventSourceHandler(serve func(*EventSource), opts *EventSourceOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		es, err := AcceptEventSource(w, r, opts)
		if err != nil {
			return
		}
		returned := false
		defer func() {
			if !returned { // a client that does not read must not hold up a panic
				es.Abort()
			}
			es.Close()
		}()
		serve(es)
		returned = true
	})
}

// AcceptEventSource answers r with an event stream, at once. On error it has
// answered, and the handler should return: an [*EventSourceError] says with which
// status and why, other errors came from writing. The status is 500 where the
// options or w are not fit for a stream. It is 200 for a HEAD, which is answered
// with the headers that a GET would have: there is nothing to stream, and a mux
// sends it here, as the pattern "GET /events" is for HEAD too.
//
// The handler must not return before the stream is over: follow it with
//
//	defer es.Close()
//
// or use [EventSourceHandler]. A stream whose handler has returned without that is
// ended when it is noticed, but net/http does not let a write that is going on
// at that moment be stopped in time.
//
// A body of r is the application's to read, before or while the stream goes on. Over
// HTTP/1.x the connection of a request that announces one is closed after the stream.
//
// The response is HTTP as usual, on HTTP/1.1 and HTTP/2 alike; w may be wrapped
// by middleware whose writer has an Unwrap method, or Flush and SetWriteDeadline
// ([http.ResponseController]). A writer that can not flush is refused. So is one that takes
// no write deadline, if the options have a WriteTimeout; if it is left to the default, Errors
// tells, and a client that does not read holds the stream for as long as it is there.
func AcceptEventSource(w http.ResponseWriter, r *http.Request, opts *EventSourceOptions) (*EventSource, error) {
	o := opts.withDefaults()
	if err := checkStreamHeader(o.Header); err != nil {
		return nil, refuseEventSource(w, err.Error(), nil)
	}
	if !canFlush(w) {
		return nil, refuseEventSource(w, fmt.Sprintf("%T has no Flush", w), http.ErrNotSupported)
	}
	untimed := http.NewResponseController(w).SetWriteDeadline(o.writeDeadline())
	if untimed != nil && opts != nil && opts.WriteTimeout > 0 && errors.Is(untimed, http.ErrNotSupported) {
		return nil, refuseEventSource(w, fmt.Sprintf("%T has no SetWriteDeadline, and there is a WriteTimeout", w), untimed)
	}
	setStreamHeader(w.Header(), o.Header)
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		// net/http would read the rest of the body before it writes the head, and wait
		// without bound for what does not come, so as to use the connection again.
		w.Header().Set("Connection", "close")
	}
	if r.Method == http.MethodHead {
		return nil, answerHead(w)
	}
	es := newEventSource(w, r, o)
	if o.WriteTimeout > 0 && errors.Is(untimed, http.ErrNotSupported) {
		es.report(fmt.Errorf("websocket: %T has no SetWriteDeadline, so a client that does not read is not left: %w", w, untimed))
	}
	if err := es.start(); err != nil {
		return nil, err
	}
	return es, nil
}

// refuseEventSource answers that there is no stream.
func refuseEventSource(w http.ResponseWriter, reason string, err error) error {
	http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	return answered(w, http.StatusInternalServerError, reason, err)
}

// answerHead answers a HEAD as a GET, but for the body: "the server MUST NOT send
// content in the response" (RFC 9110, section 9.3.2). net/http drops what is written
// all the same, over HTTP/1.1 without an error, and so a stream would never find
// out that its client has gone.
func answerHead(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusOK)
	return answered(w, http.StatusOK, "a HEAD asks for the headers alone", nil)
}

func answered(w http.ResponseWriter, status int, reason string, err error) error {
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return &EventSourceError{StatusCode: status, Status: text, Header: w.Header().Clone(), Reason: reason, Err: err}
}

// canFlush finds what http.ResponseController.Flush would use.
func canFlush(w http.ResponseWriter) bool {
	for {
		switch t := w.(type) {
		case interface{ FlushError() error }, http.Flusher:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return false
		}
	}
}

func setStreamHeader(h, extra http.Header) {
	for name, values := range extra {
		h[http.CanonicalHeaderKey(name)] = append([]string(nil), values...)
	}
	h.Del("Connection")
	h.Del("Content-Length")
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-store, no-transform")
	h.Set("X-Accel-Buffering", "no")
}

// checkStreamHeader refuses headers that net/http would drop without a word or
// that would break the stream.
func checkStreamHeader(h http.Header) error {
	for name, values := range h {
		switch http.CanonicalHeaderKey(name) {
		case "Content-Type", "Cache-Control", "X-Accel-Buffering", "Connection", "Content-Length",
			"Content-Encoding", "Transfer-Encoding", "Trailer", "Upgrade", "Keep-Alive", "Proxy-Connection":
			return fmt.Errorf("EventSourceOptions.Header: %s is not the application's to set", name)
		}
		if !isHeaderName(name) {
			return fmt.Errorf("EventSourceOptions.Header: %q is not a header name", name)
		}
		for _, value := range values {
			if !isHeaderValue(value) {
				return fmt.Errorf("EventSourceOptions.Header: %s: %q is not a header value", name, value)
			}
		}
	}
	return nil
}

// isHeaderName reports that s is a token (RFC 9110, section 5.6.2).
func isHeaderName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		alnum := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// isHeaderValue reports that s arrives as it is when sent as a field value
// (RFC 9110, section 5.5): no control characters, no space around it.
func isHeaderValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return strings.Trim(s, " \t") == s
}

// requestURL is the absolute URL that r was made for.
func requestURL(r *http.Request, trustForwarded bool) string {
	secure := r.TLS != nil
	if trustForwarded {
		proto := r.Header.Get("X-Forwarded-Proto")
		proto, _, _ = strings.Cut(cmp.Or(proto, r.Header.Get("X-Forwarded-Scheme")), ",")
		switch {
		case proto != "":
			secure = strings.EqualFold(strings.TrimSpace(proto), "https")
		case r.Header.Get("X-Forwarded-Ssl") != "":
			secure = strings.EqualFold(r.Header.Get("X-Forwarded-Ssl"), "on")
		}
	}
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	return scheme + r.Host + r.URL.RequestURI()
}

// firstBlock is what opens the stream.
func firstBlock(retry time.Duration) []byte {
	if block, err := codec.AppendRetry(nil, retry); err == nil {
		return block
	}
	return codec.AppendComment(nil, "")
}

var errHandlerGone = errors.New("websocket: the client went away or the handler returned")
