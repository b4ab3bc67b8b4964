package websocket

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// A Conn is one WebSocket connection, of a client or of a server. It is received
// from by channels and sent to by methods; all of them may be used by any number
// of goroutines at once.
//
// The channels are [Conn.Opened], [Conn.Messages], [Conn.Errors] and
// [Conn.Closed]. Whoever stops receiving from Messages stops the connection's
// reading, and so, by TCP, the peer: pings and the peer's close frame wait
// meanwhile behind the messages that came before them.
//
// A Conn needs no cleaning up after Closed has become ready. Before that, Close or
// Abort ends it, or the context given as an option.
type Conn struct {
	*settings              // shared, not to be changed
	messages  chan Message // sent to by the reader alone, and closed by the read loop

	transport transport
	writer    codec.Writer        // has no state: senders encode with it under the lock, whoever set writing without
	pipeline  *negotiate.Pipeline // of its two directions that out is of whoever set writing

	// The reader's own: the read loop, or a host that reads while there is none.
	reader        codec.Reader
	unsettled     *unsettled // what consume has left
	discarding    int32      // messages that nobody received after Close
	messagesEnded bool
	receiving     bool // the application has received since Close
	delayed       bool // by the application, after the connection had failed

	secure bool // the peer opened a wss:// URL

	backlog  atomic.Bool   // the read loop has more input at hand
	waiting  atomic.Bool   // the read loop waits for the application, not for the peer
	activity atomic.Uint32 // reads; the sign of life

	attention atomic.Uint32 // how often Messages was called, up to askedAgain, and whether watched

	received counters // the reader's, for Stats

	decoder codec.Decoder   // the reader, but of hixie
	socket  socketTransport // the transport, if it is a plain socket

	sizes  *inboxSizes                     // the reader's own, of the last messages delivered, where they are large
	closed atomic.Pointer[chan CloseEvent] // made when first used, sent to once

	mu sync.Mutex
	state
}

const (
	askedAgain = 2       // the application does not hold the channel
	watched    = 1 << 31 // it matters that the application comes back to the channels, or receives
)

// state is what the lock guards.
type state struct {
	phase         State
	writing       bool // a goroutine is the writer
	scheduled     bool // a broadcast comes by and writes what is queued
	parting       bool // within a message sent in fragments
	broken        bool // nothing more can be written
	freed         bool // nothing more is to be read
	resting       bool // there is no reader until there is something to read
	closeQueued   bool
	closeSent     bool
	closeReceived bool
	finished      bool // only Closed is left to be published
	published     bool
	transformed   uint32 // when a message for the extensions was last not queued: sinceBegan
	signals       signals

	data   *batch
	urgent *batch // pings and pongs
	carry  *carry // of a direct write
	budget budget // of data

	queued, written uint64   // data frames
	sent            counters // for Stats

	requestHead string  // of a request not kept
	end         *ending // made when first used; use atEnd
	extras      *extra  // made when first used; use extra
}

// began is what short times are counted from.
var began = time.Now()

// sinceBegan is in milliseconds. Two that are less than 49 days apart may be compared.
func sinceBegan() uint32 { return uint32(time.Since(began).Milliseconds()) }

// ending is what there is to know of the end of a connection.
type ending struct {
	cause          error      // the first, where it is not the peer's close frame
	closeCode      StatusCode // sent
	closeReason    string
	peerFirst      bool // the peer's close frame came before there was one here
	receivedCode   StatusCode
	receivedReason string
	event          CloseEvent
	untold         error         // the first for Errors, while that has no channel
	contextTold    bool          // Errors has been told of the end of the context
	lost           bool          // not all that was sent was written
	lingerReads    uint64        // how many there were when the linger began
	lingered       time.Duration // beyond the first
	lingerFrom     uint64        // bytes received when the connection failed
	lingerBy       time.Time     // when the linger ends that is under way
	takenBefore    uint64        // what the application has received before Close: taken
	ignored        bool          // the application gave up what it had not received by not receiving
	closeTimer     *time.Timer
	closeBy        time.Time // when closeTimer ends the connection
	abandonTimer   *time.Timer
	publishTimer   *time.Timer
}

func (c *Conn) atEnd() *ending {
	if c.end == nil {
		c.end = new(ending)
	}
	return c.end
}

// A connector completes the handshake of a connection that was returned before it
// was done. It runs in the read loop.
type connector func(context.Context) (*handshake, error)

// A handshake is what a completed one leaves.
type handshake struct {
	transport   transport
	reader      codec.Reader
	writer      codec.Writer
	pipeline    *negotiate.Pipeline
	rest        []byte // came with the handshake
	version     string
	subprotocol string
	response    *http.Response
	upgraded    *negotiate.ClientHandshake // has the headers of a response with status 101
	target      *url.URL                   // of a client
}

// newConn makes a connection that is still to be started.
func newConn(s settings) *Conn {
	s.setDefaults()
	c := &Conn{
		settings: s.shared(),
		messages: make(chan Message, s.receiveMessages),
	}
	return c
}

// start begins the life of a connection whose handshake is done.
func (c *Conn) start(h *handshake) {
	c.mu.Lock()
	c.open(h)
	c.mu.Unlock()
	c.follow()
	go c.readLoop()
}

// startConnecting begins the life of a connection whose handshake is to be done.
func (c *Conn) startConnecting(connect connector) {
	ctx, cancel := context.WithCancel(context.Background())
	c.makeExtra().cancelConnect = cancel
	c.follow()
	go func() {
		defer cancel()
		c.connectAndRead(ctx, connect)
	}()
}

// follow ties the connection to the context of its options.
func (c *Conn) follow() {
	if c.context == nil || c.context.Done() == nil {
		return
	}
	stop := context.AfterFunc(c.context, c.contextEnded)
	c.mu.Lock()
	c.makeExtra().stopContext = stop
	c.mu.Unlock()
}

// open takes the handshake over. What was queued meanwhile goes out.
func (c *Conn) open(h *handshake) {
	c.transport, c.reader, c.writer, c.pipeline = h.transport, h.reader, h.writer, h.pipeline
	c.noteAgreed(h.version, h.subprotocol)
	if h.target != nil {
		x := c.makeExtra()
		x.target, x.response, x.upgraded = h.target, h.response, h.upgraded
	}
	feed(c.reader, h.rest)
	if c.phase == StateConnecting {
		c.phase = StateOpen
	}
	c.signals.raise(opened)
	if c.pingInterval > 0 && c.writer.Supports(codec.OpPing) {
		c.startKeepalive()
	}
	c.kick()
}

// feed gives bytes to a reader.
func feed(r codec.Reader, b []byte) {
	for len(b) > 0 {
		n := copy(r.Space(0), b)
		r.Wrote(n)
		b = b[n:]
	}
}

// Opened is closed when the handshake is complete. For a connection that fails to
// open it stays as it is: select on Closed beside it.
func (c *Conn) Opened() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.signals.wait(opened)
}

// Messages gives the messages received, in order, and is closed after the last
// one. A connection whose messages are not received stops reading, once as many are
// buffered as the options allow: then it does not learn that the peer has closed or
// is gone either, until the application goes on, or calls Close or Abort. After Close
// messages are delivered to an application that goes on to receive: see [Conn.Close].
func (c *Conn) Messages() <-chan Message {
	if a := c.attention.Load(); a&^watched < askedAgain {
		c.attention.CompareAndSwap(a, a+1)
	}
	c.cameBack()
	return c.messages
}

// Errors tells what ended the connection otherwise than by a closing handshake: the
// handshake that failed, the protocol, the network, a timeout, an Abort of its own, the end
// of the Context in the options; and of messages that were discarded because nobody received
// them, after Close or after the connection had failed. Nobody has to read it. It keeps the
// first few errors and drops the newest, and is closed when Closed is ready.
func (c *Conn) Errors() <-chan error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.errorChannel()
}

// Closed gives exactly one event and is closed then. It becomes ready after the
// last message has been received from Messages, so that a select that sees both
// ready loses nothing; or after the application has given the rest up: by Abort, by
// a Close whose context ended, by the end of the context in the options, or by
// receiving nothing for the close timeout after the connection was gone. Waiting for Closed
// alone is not enough on a connection that may receive messages: see [Conn.Messages].
func (c *Conn) Closed() <-chan CloseEvent {
	c.cameBack()
	if ch := c.closed.Load(); ch != nil {
		return *ch
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closedChannel()
}

// closedChannel makes the channel of Closed when it is first asked for.
func (c *Conn) closedChannel() chan CloseEvent {
	if c.closed.Load() == nil {
		ch := make(chan CloseEvent, 1)
		if c.published {
			c.sendEvent(ch)
		}
		c.closed.Store(&ch)
	}
	return *c.closed.Load()
}

func (c *Conn) sendEvent(ch chan CloseEvent) {
	ch <- c.end.event
	close(ch)
}

// State tells where the connection stands. It is StateClosing as soon as the peer's
// close frame has been read, and Send works on then, for answers to the messages before
// it, until this side's is on its way.
func (c *Conn) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == StateOpen && c.closeReceived {
		return StateClosing
	}
	return c.phase
}

// URL is the address of the connection, ws:// or wss://: for a client the one
// dialled, without user and password; for a server the one requested. It is a copy.
func (c *Conn) URL() *url.URL {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.target()
	return &u
}

// Version is the protocol version agreed on, "hybi-13" for RFC 6455. It is empty
// before the handshake is complete.
func (c *Conn) Version() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.versionLocked()
}

func (c *Conn) versionLocked() string {
	switch version := c.extra().version; {
	case version != "":
		return version
	case c.transport == nil:
		return ""
	}
	return negotiate.Hybi13
}

// noteAgreed notes what the handshake has agreed on.
func (c *Conn) noteAgreed(version, subprotocol string) {
	if version != negotiate.Hybi13 {
		c.makeExtra().version = version
	}
	if subprotocol != "" {
		c.makeExtra().subprotocol = subprotocol
	}
}

// Subprotocol is the one agreed on, or empty (RFC 6455, section 1.9).
func (c *Conn) Subprotocol() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.extra().subprotocol
}

// Extensions lists what was agreed on, in the order of the handshake (RFC 6455,
// section 9). It must not be changed.
func (c *Conn) Extensions() []negotiate.Offer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pipeline.Agreed()
}

// Response has the status and the headers of the handshake's response, without a
// body; nil before the handshake is complete, and for a server. It must not be
// changed.
func (c *Conn) Response() *http.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.extra()
	if x.response == nil && x.upgraded != nil {
		x.response = &http.Response{
			Status: "101 Switching Protocols", StatusCode: http.StatusSwitchingProtocols,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: x.upgraded.Header(), Body: http.NoBody,
		}
		x.upgraded = nil
	}
	return x.response
}

// BufferedAmount is the number of payload bytes that wait to be sent: none after the
// connection has ended.
func (c *Conn) BufferedAmount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return 0 // a Send that waited for room may have yet to give it back
	}
	return c.budget.bytes
}

// LocalAddr is the address of this side; nil before the handshake is complete.
func (c *Conn) LocalAddr() net.Addr {
	if t := c.currentTransport(); t != nil {
		return t.localAddr()
	}
	return nil
}

// RemoteAddr is the address of the peer; nil before the handshake is complete.
func (c *Conn) RemoteAddr() net.Addr {
	if t := c.currentTransport(); t != nil {
		return t.remoteAddr()
	}
	return nil
}

func (c *Conn) currentTransport() transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.transport
}

// errorChannel makes the channel of Errors when it is first asked for.
func (c *Conn) errorChannel() chan error {
	x := c.makeExtra()
	if x.errors == nil {
		x.errors = make(chan error, 4)
		if c.end != nil && c.end.untold != nil {
			x.errors <- c.end.untold
			c.end.untold = nil
		}
		if c.published {
			close(x.errors)
		}
	}
	return x.errors
}
