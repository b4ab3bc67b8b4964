package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chanws/websocket/codec"
)

// A streamAttempt is one connection of an EventStream.
type streamAttempt struct {
	es     *EventStream
	ctx    context.Context
	idle   *time.Timer // ends ctx; nil without IdleTimeout
	parser codec.EventParser

	sentID           string // the Last-Event-ID of the request; empty if it has none
	opened, received bool   // the stream is open; it has brought an event
}

// run owns the stream: it is the only one to send on, and to close, its channels.
func (es *EventStream) run() {
	retry := es.opts.Retry
	failures := 0 // attempts in a row that brought no event, and opened nothing or ended by an event over the limit
	barren := 0   // streams in a row, failures aside, that brought no event
	for {
		a := &streamAttempt{es: es}
		err := a.run()
		if es.ctx.Err() != nil {
			es.finish(context.Cause(es.ctx))
			return
		}
		es.setConnecting()
		es.report(err)
		after, again := a.retryAfter(err)
		if !again {
			es.finish(err)
			return
		}
		if d, ok := a.parser.Retry(); ok {
			retry = d
		}
		if a.received {
			failures, barren = 0, 0
		}
		switch {
		case !a.opened || errors.Is(err, ErrMessageTooBig):
			failures++
		case !a.received:
			failures = 0
			barren++
		}
		if !es.sleep(max(after, es.backoff(retry, failures), es.leastWait(barren))) {
			es.finish(context.Cause(es.ctx))
			return
		}
	}
}

// retryAfter tells whether the stream may go on after err, and how long the
// server wants it to wait. An id that was too long for the server, which may have
// sent it, is noted and not sent again.
func (a *streamAttempt) retryAfter(err error) (d time.Duration, again bool) {
	var no *EventSourceError
	if !errors.As(err, &no) {
		return 0, true
	}
	again = slices.Contains(a.es.opts.RetryStatus, no.StatusCode)
	if no.StatusCode == http.StatusRequestHeaderFieldsTooLarge && a.sentID != "" {
		a.es.tooLong, again = a.sentID, true
	}
	return parseRetryAfter(no.Header.Get("Retry-After"), time.Now()), again
}

// parseRetryAfter reads a Retry-After field: seconds or a date (RFC 9110, section
// 10.2.3).
func parseRetryAfter(s string, now time.Time) time.Duration {
	const most = time.Duration(1<<63-1) / time.Second
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return min(most, time.Duration(min(n, uint64(most)))) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// least is what a wait is doubled from where the server said 0.
const least = 100 * time.Millisecond

// backoff is the wait before the next attempt: "Wait a delay equal to the
// reconnection time of the event source. Optionally, wait some more. In
// particular, if the previous attempt failed, then user agents might introduce
// an exponential backoff delay" (WHATWG HTML, section 9.2.3).
func (es *EventStream) backoff(retry time.Duration, failures int) time.Duration {
	most := max(retry, es.opts.MaxRetry)
	d := retry
	for ; failures > 1 && d < most; failures-- {
		d = min(most, 2*max(d, least/2))
	}
	if es.opts.Jitter > 0 && d < 1<<60 {
		d += time.Duration(min(es.opts.Jitter, 1) * rand.Float64() * float64(d))
	}
	return d
}

// leastWait keeps a server that opens streams, ends them without an event and asks
// for no wait from making the client spin: from the third in a row on it grows, up
// to the wait that the application chose.
func (es *EventStream) leastWait(barren int) time.Duration {
	d := time.Duration(0)
	for ; barren > 2 && d < es.opts.Retry; barren-- {
		d = max(least, 2*d)
	}
	return min(d, es.opts.Retry)
}

func (es *EventStream) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-es.ctx.Done():
		return false
	}
}

func (es *EventStream) setConnecting() {
	es.mu.Lock()
	defer es.mu.Unlock()
	if es.state == StateOpen {
		es.state = StateConnecting
	}
}

func (es *EventStream) setOpen(url string) {
	es.mu.Lock()
	defer es.mu.Unlock()
	if es.state == StateClosed {
		return
	}
	es.state, es.url = StateOpen, url
	select {
	case <-es.opened:
	default:
		close(es.opened)
	}
}

func (es *EventStream) setLastEventID(id string) {
	es.mu.Lock()
	defer es.mu.Unlock()
	es.lastID = id
}

// run makes the request and hands over the events until the connection is lost;
// it always returns why.
func (a *streamAttempt) run() error {
	ctx, cancel := context.WithCancelCause(a.es.ctx)
	defer cancel(nil)
	a.ctx = ctx
	if d := a.es.opts.IdleTimeout; d > 0 {
		a.idle = time.AfterFunc(d, func() { cancel(ErrEventStreamIdle) })
		defer a.idle.Stop()
	}
	req := a.request()
	resp, err := a.es.client.Do(req)
	if err != nil {
		return a.cause(err)
	}
	defer resp.Body.Close()
	defer closeLate(ctx, resp.Body)()
	if reason := refuse(resp); reason != "" {
		return responseError(resp, reason, cancel)
	}
	if resp.Request != nil { // a RoundTripper may leave it out
		req = resp.Request
	}
	a.opened = true
	a.es.setOpen(req.URL.String())
	return a.read(resp.Body)
}

// cause is what ended the attempt, where that was not the network.
func (a *streamAttempt) cause(err error) error {
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	return err
}

// bodyGrace is how long a body has to heed the end of the context of its request.
const bodyGrace = time.Second

// closeLate closes a body some time after ctx has ended, as long as it is not stopped: not
// every RoundTripper has a body that heeds the context of its request. Those that do,
// such as net/http's, are left alone, as not all of them may be closed while they are read.
// When stop returns it is over.
func closeLate(ctx context.Context, body io.Closer) (stop func()) {
	read, closed := make(chan struct{}), make(chan struct{})
	idle := context.AfterFunc(ctx, func() {
		defer close(closed)
		late := time.NewTimer(bodyGrace)
		defer late.Stop()
		select {
		case <-read:
		case <-late.C:
			body.Close()
		}
	})
	return func() {
		close(read)
		if !idle() {
			<-closed
		}
	}
}

func (a *streamAttempt) request() *http.Request {
	es := a.es
	req, err := http.NewRequestWithContext(a.ctx, http.MethodGet, es.target, nil)
	if err != nil {
		panic(err) // prepare has parsed the URL
	}
	for name, values := range es.opts.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if host := req.Header["Host"]; host != nil {
		req.Host = host[0]
		req.Header.Del("Host")
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Cache-Control", "no-cache")
	req.Header.Del("Last-Event-ID")
	a.parser.MaxEventSize = es.opts.MaxEventSize
	id := es.LastEventID()
	if id == "" {
		return req
	}
	a.parser.SetLastEventID(id)
	if isHeaderValue(id) && id != es.tooLong {
		req.Header.Set("Last-Event-ID", id)
		a.sentID = id
	} else {
		es.report(fmt.Errorf("websocket: event stream: the last event ID %.100q can not be sent in a header", id))
	}
	return req
}

// refuse says what keeps resp from being an event stream: "if res's status is not
// 200, or if res's `Content-Type` is not `text/event-stream`, then fail the
// connection." (WHATWG HTML, section 9.2.2)
func refuse(resp *http.Response) string {
	essence, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	essence = strings.Trim(essence, " \t\r\n")
	switch {
	case resp.StatusCode == http.StatusNoContent:
		return "the server says to stop"
	case resp.StatusCode != http.StatusOK:
		return "the status is not 200"
	case !strings.EqualFold(essence, "text/event-stream"):
		return fmt.Sprintf("the content type is %q, not text/event-stream", resp.Header.Get("Content-Type"))
	}
	return ""
}

// responseError looks at the start of the body too, for a second at most.
func responseError(resp *http.Response, reason string, cancel context.CancelCauseFunc) error {
	limit := time.AfterFunc(time.Second, func() { cancel(nil) })
	defer limit.Stop()
	var body []byte
	// What follows 101 is the connection itself, which heeds no context.
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ = io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	}
	return &EventSourceError{
		StatusCode: resp.StatusCode, Status: resp.Status, Header: resp.Header, Body: body, Reason: reason,
	}
}

func (a *streamAttempt) read(body io.Reader) error {
	buf := make([]byte, 16<<10)
	for {
		if a.idle != nil {
			a.idle.Reset(a.es.opts.IdleTimeout)
		}
		n, err := body.Read(buf)
		if a.idle != nil {
			a.idle.Stop()
		}
		a.parser.Feed(buf[:n])
		if err := a.deliver(); err != nil {
			return err
		}
		if a.ctx.Err() != nil { // Read may still have much that was received before
			return context.Cause(a.ctx)
		}
		if err != nil {
			return a.cause(fmt.Errorf("websocket: event stream ended: %w", err))
		}
	}
}

// deliver hands over all events that are complete.
func (a *streamAttempt) deliver() error {
	for {
		ev, err := a.parser.Next()
		if err != nil {
			// "If the data buffer is an empty string" the id is set all the same.
			if id := a.parser.LastEventID(); id != a.es.LastEventID() {
				a.es.setLastEventID(id)
			}
			if err == codec.ErrNeedMore {
				return nil
			}
			return err
		}
		select {
		case a.es.messages <- ev:
			a.received = true
			a.es.setLastEventID(ev.ID)
		case <-a.es.ctx.Done():
			return context.Cause(a.es.ctx)
		}
	}
}
