package websocket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chanws/websocket/codec"
)

// EventSourceDialOptions are the options of [DialEventSource] and
// [OpenEventSource]. The zero value, and a nil pointer, are the defaults; the
// library does not write to it.
type EventSourceDialOptions struct {
	// Header is sent with every request. Accept, Cache-Control and Last-Event-ID
	// are the stream's own and are left out of it. Host, which stands for the URL's,
	// has one value. What describes a body is refused: Content-Length,
	// Transfer-Encoding and Trailer. Once a redirect leads to another
	// scheme, host or port (other than from http to https of the same host)
	// Authorization, Cookie, Proxy-Authorization and the Referer are left out, and only
	// those: everything else goes along, the last event ID too.
	Header http.Header

	// Client makes the requests: TLS, proxy, cookies and redirects are its
	// business. It must have no Timeout, which would end every stream: use
	// IdleTimeout. nil means one with a transport like http.DefaultTransport, of
	// which no connection outlives the stream, and which follows no redirect from
	// https to http. One of the application's own does so, unless its CheckRedirect
	// says no, and takes another port or a subdomain for the same host: it sends
	// credentials and a Referer, with the query, there.
	Client *http.Client

	// LastEventID is the id to continue from, that of an earlier stream: no line end
	// or NUL in it, codec.MaxEventIDSize bytes at most. Empty means none.
	LastEventID string

	// MaxEventSize limits an event, in bytes as received. A larger one is an
	// [*EventSizeError] on Errors, and the stream connects again. 0 means 1 MiB.
	MaxEventSize int

	// IdleTimeout ends a connection on which nothing has come for that long, be it
	// the response or a comment, and the stream connects again. Time during which
	// the application does not receive does not count. 0 means none.
	IdleTimeout time.Duration

	// Retry is how long to wait before connecting again, until the server says
	// otherwise. An attempt that opens nothing, or whose first event is over
	// MaxEventSize, has failed: from the second failure in a row on the time doubles,
	// up to MaxRetry or what the server said, whichever is longer. From the third
	// stream in a row on that ends without an event the wait grows up to Retry at
	// least, however short the server wants it. 0 means 3 s, and 1 min for MaxRetry.
	Retry, MaxRetry time.Duration

	// Jitter is the part of the wait that is added to it at most, at random, to
	// keep clients from coming back all at once. 0 means 0.25, negative none.
	Jitter float64

	// RetryStatus lists the statuses, of 400 to 599, upon which to try again: 429,
	// 502, 503 and 504 are sensible. The standard has none: there every status but
	// 200 ends the stream. A Retry-After header of such a response makes the wait
	// longer, not shorter. 431 in answer to a Last-Event-ID does not end the stream in
	// any case: it goes on without that header, until there is another id.
	RetryStatus []int

	// Context ends the stream when it ends: Closed then says 1001. The requests
	// carry its values. nil means none.
	Context context.Context
}

// ErrEventStreamIdle is reported when IdleTimeout ended a connection.
var ErrEventStreamIdle = errors.New("websocket: event stream: nothing came for too long")

// An EventSourceError tells why a request did not open an event stream. For a
// client it is what came, for a server what was answered.
type EventSourceError struct {
	StatusCode int         // such as 404
	Status     string      // such as "404 Not Found"
	Header     http.Header // of the response
	Body       []byte      // how the body that a client received starts, 1 KiB at most
	Reason     string      // what is wrong with the response, or kept a server from streaming
	Err        error       // the cause, or nil
}

func (e *EventSourceError) Error() string {
	return fmt.Sprintf("websocket: no event stream: %s (status %s)", e.Reason, e.Status)
}

// Unwrap returns the cause.
func (e *EventSourceError) Unwrap() error { return e.Err }

// An EventStream is the client's end of an event stream, the EventSource of the
// browsers (WHATWG HTML, section 9.2): it connects again, and goes on after the
// last event, whenever the connection is lost, until Close or a response that
// says no. Its methods may be called by any goroutine, at any time.
type EventStream struct {
	target string // what it was given, and connects to
	opts   EventSourceDialOptions
	client *http.Client
	ctx    context.Context // ends with the stream
	cancel context.CancelCauseFunc

	opened   chan struct{}
	messages chan Event // without a buffer: what is sent has been received
	errs     chan error
	closed   chan CloseEvent
	done     chan struct{}
	tooLong  string // an id that the server has refused with 431; run's

	mu      sync.Mutex // guards all below
	state   State
	url     string
	lastID  string
	lastErr error
}

// errStreamClosed is the cause of what Close ends.
var errStreamClosed = fmt.Errorf("%w by this side", ErrClosed)

// DialEventSource connects to an event stream and returns when it is open. As in
// the browsers a network error is not the end: it tries again until ctx ends,
// which bounds the dialing only. A response that is not an event stream ends it,
// with an [*EventSourceError].
func DialEventSource(ctx context.Context, url string, opts *EventSourceDialOptions) (*EventStream, error) {
	if err := contextError(ctx); err != nil {
		return nil, err
	}
	es := OpenEventSource(url, opts)
	select {
	case <-es.opened:
		return es, nil
	case ev := <-es.closed:
		return nil, ev.Err
	case <-ctx.Done():
		es.Close()
		if es.lastErr != nil {
			return nil, fmt.Errorf("websocket: dialing an event stream: %w after %w", ctx.Err(), es.lastErr)
		}
		return nil, fmt.Errorf("websocket: dialing an event stream: %w", ctx.Err())
	}
}

// OpenEventSource connects to an event stream and returns at once, as new
// EventSource(url) does: Opened tells when it is open, Closed why it never will
// be, a URL or an option that makes no sense included.
func OpenEventSource(url string, opts *EventSourceDialOptions) *EventStream {
	es := newEventStream(url, opts)
	if err := es.prepare(); err != nil {
		es.report(err)
		es.finish(err)
		return es
	}
	go es.run()
	return es
}

func newEventStream(url string, opts *EventSourceDialOptions) *EventStream {
	es := &EventStream{
		target:   url,
		url:      url,
		opened:   make(chan struct{}),
		messages: make(chan Event),
		errs:     make(chan error, 16),
		closed:   make(chan CloseEvent, 1),
		done:     make(chan struct{}),
	}
	if opts != nil {
		es.opts = *opts
	}
	o := &es.opts
	o.Header = o.Header.Clone()
	o.RetryStatus = slices.Clone(o.RetryStatus)
	o.Retry = cmp.Or(max(0, o.Retry), 3*time.Second)
	o.MaxRetry = cmp.Or(max(0, o.MaxRetry), time.Minute)
	o.Jitter = cmp.Or(o.Jitter, 0.25)
	es.lastID, es.client = o.LastEventID, o.Client
	parent := o.Context
	if parent == nil {
		parent = context.Background()
	}
	es.ctx, es.cancel = context.WithCancelCause(parent)
	return es
}

// prepare finds what can not work, before anything is sent.
func (es *EventStream) prepare() error {
	u, err := url.Parse(es.target)
	if err != nil {
		return fmt.Errorf("websocket: event stream: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("websocket: event stream: %q is not an absolute http or https URL", es.target)
	}
	for name, values := range es.opts.Header {
		if !canBeSent(name, values) {
			return fmt.Errorf("websocket: EventSourceDialOptions.Header: %q can not be sent as it is", name)
		}
	}
	for _, status := range es.opts.RetryStatus {
		if status < 400 || status > 599 {
			return fmt.Errorf("websocket: EventSourceDialOptions.RetryStatus: %d is not one of 400 to 599", status)
		}
	}
	if id := es.opts.LastEventID; len(id) > codec.MaxEventIDSize || strings.ContainsAny(id, "\x00\r\n") {
		return fmt.Errorf("websocket: EventSourceDialOptions.LastEventID: %.100q can not be an id", id)
	}
	if es.client == nil {
		es.client = ownClient(es.ctx)
	}
	if es.client.Timeout != 0 {
		return errors.New("websocket: EventSourceDialOptions.Client has a Timeout, which would end the stream when it " +
			"is over: leave it 0, and use IdleTimeout, or the transport's ResponseHeaderTimeout")
	}
	return nil
}

// canBeSent reports that net/http sends a header field, and as it is. It leaves some
// out without a word; Host is one of them, and a field of the request.
func canBeSent(name string, values []string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding", "Trailer":
		return false
	case "Host":
		if len(values) != 1 || values[0] == "" {
			return false
		}
		u, err := url.Parse("http://" + values[0])
		return err == nil && u.Host == values[0]
	}
	return isHeaderName(name) && !slices.ContainsFunc(values, func(v string) bool { return !isHeaderValue(v) })
}

// Opened is closed when the stream is open for the first time.
func (es *EventStream) Opened() <-chan struct{} { return es.opened }

// Messages yields the events, and is closed after the last. A receiver that
// stops receiving stops the reading of the connection, and TCP slows the server.
func (es *EventStream) Messages() <-chan Event { return es.messages }

// Errors tells of every lost connection and failed attempt, and of an id that
// could not be sent. Nobody has to read it: what does not fit into its buffer is
// dropped. It is closed at the end.
func (es *EventStream) Errors() <-chan error { return es.errs }

// Closed yields one event when the stream is over for good, all events having been
// received, or dropped by Close or the end of Context, and is then closed. The stream
// itself has no goroutine then; those of the Client for its connection, which is
// being closed, end shortly after. There is no closing handshake in an event stream;
// the event's Code is
//
//	1000, Clean and without Err after Close,
//	1001 after the end of EventSourceDialOptions.Context,
//	1006 after a response that is not an event stream, which includes the status
//	     204 by which a server tells the client to stop,
//
// and Err is the cause, in the last case an [*EventSourceError].
func (es *EventStream) Closed() <-chan CloseEvent { return es.closed }

// Close ends the stream, or the attempt or the wait for one, and returns when that
// is over, as Closed has it. An event that nobody has received by then is dropped, and
// LastEventID does not count it. It returns ErrClosed if the stream was over
// already. It must not be called by the hooks of the http.Client.
func (es *EventStream) Close() error {
	es.mu.Lock()
	open := es.state != StateClosed
	es.state = StateClosed
	es.mu.Unlock()
	es.cancel(errStreamClosed)
	<-es.done
	if !open {
		return ErrClosed
	}
	return nil
}

// State is StateConnecting until the stream is open and whenever the connection
// was lost, StateOpen, or StateClosed.
func (es *EventStream) State() State {
	es.mu.Lock()
	defer es.mu.Unlock()
	return es.state
}

// URL is where the stream comes from: after redirects, once it is open. It
// connects again to the URL it was given, not to this one.
func (es *EventStream) URL() string {
	es.mu.Lock()
	defer es.mu.Unlock()
	return es.url
}

// LastEventID is the id of the last event that was handed over, or of a later
// block without data: the LastEventID to go on from with another stream. It is
// never that of an event which nobody has received; for a moment after one was
// received it may still be the one before, where Event.ID is exact.
func (es *EventStream) LastEventID() string {
	es.mu.Lock()
	defer es.mu.Unlock()
	return es.lastID
}

func (es *EventStream) report(err error) {
	es.mu.Lock()
	es.lastErr = err
	es.mu.Unlock()
	select {
	case es.errs <- err:
	default:
	}
}

// finish is the end of the stream; run calls it, or whoever did not start run.
func (es *EventStream) finish(cause error) {
	ev := CloseEvent{Code: StatusAbnormalClosure, Err: cause}
	switch {
	case cause == errStreamClosed:
		ev = CloseEvent{Code: StatusNormalClosure, Clean: true}
	case es.ctx.Err() != nil:
		ev.Code = StatusGoingAway
	}
	es.mu.Lock()
	es.state = StateClosed
	es.mu.Unlock()
	es.cancel(cause)
	close(es.messages)
	close(es.errs)
	es.closed <- ev
	close(es.closed)
	close(es.done)
}
