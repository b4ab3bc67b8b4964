package websocket

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/chanws/websocket/codec"
)

// An EventSource is the server's end of an event stream (WHATWG HTML, section
// 9.2), made by [AcceptEventSource] or [EventSourceHandler]; the client's end, which
// browsers call so, is [EventStream]. Its methods may be called by any goroutine, at any
// time.
type EventSource struct {
	w     http.ResponseWriter // the write loop's; nobody's after done
	rc    *http.ResponseController
	req   *http.Request
	opts  EventSourceOptions
	first []byte // what the stream starts with

	wake   chan struct{} // one slot: there is something to write, or an end
	errs   chan error
	closed chan CloseEvent
	done   chan struct{} // closed when nothing writes to w any more

	mu      sync.Mutex // guards all below
	state   State      // StateClosing: draining; StateClosed: nothing more is written
	end     CloseEvent // set with StateClosed
	queue   eventQueue
	writing bool        // the write loop is in w
	expired bool        // the write deadline of w is over
	since   time.Time   // when it began to write last; the write loop's to set
	dog     *time.Timer // looks after a write that takes long; nil before the first
	dogRuns bool
	stops   []func() // end the watch over contexts
}

// pingBlock is a comment: "a lone colon".
var pingBlock = codec.AppendComment(nil, "")

func newEventSource(w http.ResponseWriter, r *http.Request, opts EventSourceOptions) *EventSource {
	return &EventSource{
		w: w, rc: http.NewResponseController(w), req: r, opts: opts,
		first:  firstBlock(opts.Retry),
		wake:   make(chan struct{}, 1),
		errs:   make(chan error, 16),
		closed: make(chan CloseEvent, 1),
		done:   make(chan struct{}),
		state:  StateOpen,
		queue:  newEventQueue(opts.QueueMessages, opts.QueueBytes),
	}
}

// start writes the head of the response, for which there is a deadline, and hands w
// to the write loop.
func (es *EventSource) start() error {
	es.w.WriteHeader(http.StatusOK)
	if err := es.write(es.first); err != nil {
		return err
	}
	es.rc.SetWriteDeadline(time.Time{})
	es.since = time.Now()
	es.mu.Lock()
	es.watch(es.req.Context(), CloseEvent{Code: StatusAbnormalClosure, Err: errHandlerGone})
	if es.opts.Context != nil {
		es.watch(es.opts.Context, CloseEvent{Code: StatusGoingAway})
	}
	es.mu.Unlock()
	go es.writeLoop()
	return nil
}

// watch makes the end of ctx the end of the stream.
func (es *EventSource) watch(ctx context.Context, ev CloseEvent) {
	stop := context.AfterFunc(ctx, func() {
		if ev.Err == nil {
			ev.Err = context.Cause(ctx)
		}
		es.abort(ev)
	})
	es.stops = append(es.stops, func() { stop() })
}

// Send queues e and returns. It waits while the queue is full; then ctx bounds
// the wait, and its error means that nothing was queued. An event that can not be
// encoded gives an [*EventFieldError], one larger than the queue an
// [*EventSizeError], a stream that is closed [ErrClosed].
func (es *EventSource) Send(ctx context.Context, e Event) error {
	return es.send(ctx, eventBlock{event: e})
}

// TrySend is Send without the wait: it returns [ErrQueueFull] if there is no room
// or others wait for it.
func (es *EventSource) TrySend(e Event) error {
	return es.enqueue(eventBlock{event: e})
}

// SendPrepared is [EventSource.Send] for an event that was encoded before.
func (es *EventSource) SendPrepared(ctx context.Context, e *PreparedEvent) error {
	if e == nil {
		return errNilEvent
	}
	return es.send(ctx, eventBlock{bytes: e.block})
}

// TrySendPrepared is [EventSource.TrySend] for an event that was encoded before.
func (es *EventSource) TrySendPrepared(e *PreparedEvent) error {
	if e == nil {
		return errNilEvent
	}
	return es.enqueue(eventBlock{bytes: e.block})
}

// Ping queues a comment, which the client ignores; it waits as Send does. The
// stream pings by itself when it is silent: see EventSourceOptions.PingInterval.
func (es *EventSource) Ping(ctx context.Context) error {
	return es.send(ctx, eventBlock{bytes: pingBlock})
}

// SetRetry tells the client to wait for d, in milliseconds rounded up, before it
// connects again; it waits as Send does. A negative d is an error.
func (es *EventSource) SetRetry(ctx context.Context, d time.Duration) error {
	block, err := codec.AppendRetry(nil, d)
	if err != nil {
		return err
	}
	return es.send(ctx, eventBlock{bytes: block})
}

// Flush waits until all that was queued before has been written and flushed, or
// ctx ends. Nothing needs it to be sent: it tells when it was.
func (es *EventSource) Flush(ctx context.Context) error {
	if err := contextError(ctx); err != nil {
		return err
	}
	es.mu.Lock()
	if es.state == StateClosed {
		es.mu.Unlock()
		return ErrClosed
	}
	w := es.queue.waitFlushed()
	es.mu.Unlock()
	return es.await(ctx, w)
}

// Close refuses further events, sends those that are queued, and returns when
// nothing uses the ResponseWriter any more; a client that does not read holds it
// for twice the WriteTimeout at most, if there is one. The error is that of writing, or
// ErrClosed if the stream was closed already or the client went away.
//
// The end of the response is sent by net/http, when the handler returns: it too has
// the WriteTimeout, which begins with the end of the stream.
//
// A browser connects again after the end of a stream, unless told not to: by an
// event upon which the page calls close, or by status 204 to its next request.
func (es *EventSource) Close() error {
	es.mu.Lock()
	open := es.alive()
	if open {
		es.state = StateClosing
		es.queue.failSenders(ErrClosed)
		es.signal()
	}
	es.mu.Unlock()
	<-es.done
	if !open {
		return ErrClosed
	}
	return es.end.Err
}

// Abort ends the stream at once: what is queued is dropped and a write that is
// going on is interrupted. It does not wait: Closed tells when nothing uses the
// ResponseWriter any more.
func (es *EventSource) Abort() {
	es.abort(CloseEvent{Code: StatusAbnormalClosure, Err: ErrClosed})
}

// Closed yields one event when the stream is over and nothing uses the
// ResponseWriter any more, and is then closed. There is no closing handshake in
// an event stream; the event's Code is
//
//	1000, Clean and without Err after Close, all events having been written,
//	1001 after the end of EventSourceOptions.Context,
//	1006 if the client went away, a write failed, or after Abort,
//
// and Err is the cause.
func (es *EventSource) Closed() <-chan CloseEvent { return es.closed }

// Errors tells what went wrong, for a log. Nobody has to read it: what does not
// fit into its buffer is dropped. It is closed at the end.
func (es *EventSource) Errors() <-chan error { return es.errs }

// State is StateOpen from the start, StateClosing while Close sends what is
// queued, and StateClosed.
func (es *EventSource) State() State {
	es.mu.Lock()
	defer es.mu.Unlock()
	es.alive()
	return es.state
}

// URL is the absolute URL of the request, as far as the server knows it.
func (es *EventSource) URL() string { return requestURL(es.req, es.opts.TrustForwarded) }

// LastEventID is the id of the last event the client has seen, from its
// Last-Event-ID header; empty if it has seen none.
func (es *EventSource) LastEventID() string {
	return strings.ToValidUTF8(es.req.Header.Get("Last-Event-ID"), "\uFFFD")
}

// Request is the request that was accepted. The stream ends when its context does:
// when the client goes away or the handler returns. It is not so the other way: what
// has to end with the stream waits for Closed.
func (es *EventSource) Request() *http.Request { return es.req }

func (es *EventSource) send(ctx context.Context, b eventBlock) error {
	if err := contextError(ctx); err != nil {
		return err
	}
	es.mu.Lock()
	err := es.enqueueLocked(b)
	var w *queueWaiter
	if err == ErrQueueFull {
		w, err = es.queue.wait(b)
	}
	es.mu.Unlock()
	if err != nil {
		return err
	}
	return es.await(ctx, w)
}

func (es *EventSource) enqueue(b eventBlock) error {
	es.mu.Lock()
	defer es.mu.Unlock()
	return es.enqueueLocked(b)
}

func (es *EventSource) enqueueLocked(b eventBlock) error {
	if !es.alive() {
		return ErrClosed
	}
	err := es.queue.put(b)
	if err == nil {
		es.signal()
	}
	return err
}

// await waits for w, if it is not nil, or makes it give up when ctx ends.
func (es *EventSource) await(ctx context.Context, w *queueWaiter) error {
	if w == nil {
		return nil
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
	}
	es.mu.Lock()
	defer es.mu.Unlock()
	if w.elem != nil {
		w.finish(ctx.Err())
	}
	return w.err
}

// alive looks whether the stream can take events. The request's context is asked
// each time, as a handler that has returned must not be written for.
func (es *EventSource) alive() bool {
	if es.state != StateClosed && es.req.Context().Err() != nil {
		es.endLocked(CloseEvent{Code: StatusAbnormalClosure, Err: errHandlerGone})
	}
	return es.state == StateOpen
}

func (es *EventSource) signal() {
	select {
	case es.wake <- struct{}{}:
	default:
	}
}

func (es *EventSource) abort(ev CloseEvent) {
	es.mu.Lock()
	defer es.mu.Unlock()
	es.endLocked(ev)
}

// endLocked is the one place where a stream ends: the first cause counts.
func (es *EventSource) endLocked(ev CloseEvent) {
	if es.state == StateClosed {
		return
	}
	es.state, es.end = StateClosed, ev
	es.queue.fail(ErrClosed)
	if ev.Err != nil {
		es.report(ev.Err)
	}
	if es.writing {
		es.interrupt()
	}
	es.signal()
}

func (es *EventSource) report(err error) {
	select {
	case es.errs <- err:
	default:
	}
}
