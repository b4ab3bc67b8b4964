package websocket

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/chanws/websocket/codec"
)

// maxControlQueue is how many pings and pongs of the application may wait to be
// written. Answers to the peer's pings do not count: only the latest waits.
const maxControlQueue = 16

var controlRoom = room{maxControlQueue, maxControlQueue * codec.MaxControlPayload}

// A pinging is what a connection keeps of pings and pongs that the application sends.
type pinging struct {
	lane  budget
	pings []*ping // sent or queued, in this order, and not answered
}

// controlLane makes the lane when it is first used.
func (c *Conn) controlLane() *pinging {
	x := c.makeExtra()
	if x.pinging == nil {
		x.pinging = new(pinging)
	}
	return x.pinging
}

// A keepalive has the timers of PingInterval and PongTimeout.
//
// The time for a pong begins when the ping has been written. Until then it waits behind
// what is being written, and the peer is alive if it takes of that: maxWrite bytes within
// the PongTimeout. What the operating systems hold on the way counts as taken, so a
// PongTimeout is to be longer than the peer needs for that.
type keepalive struct {
	next    *time.Timer
	pong    *time.Timer // nil while none is waited for
	due     time.Time   // of pong
	written time.Time   // when the ping was; zero before

	// As they were when pong was set.
	seen       uint32 // activity
	seenWrites uint32

	writes atomic.Uint32 // that have come to an end
}

// stop ends both.
func (k *keepalive) stop() {
	k.next.Stop()
	if k.pong != nil {
		k.pong.Stop()
	}
}

// A ping waits for its pong.
type ping struct {
	payload   []byte
	sent      time.Time
	taken     bool // by the writer: no pong before is an answer
	keepalive bool // nobody waits for it, but those before it
	done      chan struct{}
	trip      time.Duration
	err       error
}

// Ping sends a ping and waits for the pong with the same payload, or for the pong
// to a later ping, which answers this one too (RFC 6455, sections 5.5.2 and 5.5.3).
// It returns how long that took. The payload has at most 125 bytes. Pings pass the
// messages that wait to be sent; a pong waits behind the messages that came before
// it, until the application receives them: a select loop calls Ping in a goroutine of
// its own.
//
// Errors: ctx's, [ErrClosed], [ErrPingUnsupported], a [*UsageError]. Before the
// handshake is complete the ping waits for it.
func (c *Conn) Ping(ctx context.Context, payload []byte) (time.Duration, error) {
	p := &ping{payload: bytes.Clone(payload), done: make(chan struct{})}
	if err := c.control(ctx, "Ping", codec.OpPing, payload, p); err != nil {
		return 0, err
	}
	if c.trace != nil && c.trace.PingSent != nil {
		c.trace.PingSent(p.payload)
	}
	select {
	case <-p.done:
		return p.trip, p.err
	case <-ctx.Done():
		c.forgetPing(p)
		return 0, ctx.Err()
	}
}

// Pong sends a pong that no ping asked for, a sign of life that is not answered
// (RFC 6455, section 5.5.3). Pings are answered without it. Waiting and errors are
// as for Ping, but it does not wait for an answer.
func (c *Conn) Pong(ctx context.Context, payload []byte) error {
	if err := c.control(ctx, "Pong", codec.OpPong, payload, nil); err != nil {
		return err
	}
	if c.trace != nil && c.trace.PongSent != nil {
		c.trace.PongSent(payload)
	}
	return nil
}

// control queues a control frame in the lane that is theirs.
func (c *Conn) control(ctx context.Context, call string, op codec.Opcode, payload []byte, p *ping) error {
	if ctx == nil {
		return &UsageError{call, errNilContext}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(payload) > codec.MaxControlPayload {
		return &UsageError{call, "payload of " + strconv.Itoa(len(payload)) + " bytes, at most 125 fit (RFC 6455, section 5.5)"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refuseControl(op); err != nil {
		return err
	}
	own := c.controlLane()
	if !own.lane.fits(controlRoom, len(payload)) {
		if err := c.awaitLane(ctx, op, len(payload)); err != nil {
			return err
		}
	} else {
		own.lane.take(len(payload))
	}
	if p != nil {
		p.sent = time.Now()
		own.pings = append(own.pings, p)
	}
	c.queueControl(op, payload)
	c.urgent.lane++
	c.urgent.laneSize += len(payload)
	return nil
}

// awaitLane waits for room in the lane, without the lock that it is called with.
func (c *Conn) awaitLane(ctx context.Context, op codec.Opcode, size int) error {
	lane := &c.controlLane().lane
	w := lane.wait(size)
	closing := c.signals.wait(closing)
	c.mu.Unlock()
	var err error
	select {
	case <-w.granted:
	case <-ctx.Done():
		err = ctx.Err()
	case <-closing:
	}
	c.mu.Lock()
	if err == nil {
		err = c.refuseControl(op)
	}
	if err != nil {
		lane.leave(controlRoom, w)
	}
	return err
}

func (c *Conn) refuseControl(op codec.Opcode) error {
	switch {
	case c.closeQueued || c.broken || c.phase > StateOpen:
		return c.closedError()
	case c.writer != nil && !c.writer.Supports(op):
		return ErrPingUnsupported
	}
	return nil
}

// queueControl puts a control frame into the lane and sees to a writer.
func (c *Conn) queueControl(op codec.Opcode, payload []byte) {
	b := c.urgentBatch()
	b.pinged = b.pinged || op == codec.OpPing
	b.add(c.encoder(), codec.Frame{Opcode: op, Final: true, Payload: payload})
	c.kick()
}

// urgentBatch makes the batch of control frames when it is first used.
func (c *Conn) urgentBatch() *batch {
	if c.urgent == nil {
		c.urgent = batches.Get().(*batch)
	}
	return c.urgent
}

// gotPing has the ping answered: the latest, where the peer does not read as fast
// as it pings (RFC 6455, section 5.5.3).
func (c *Conn) gotPing(payload []byte) {
	if c.trace != nil && c.trace.PingReceived != nil {
		c.trace.PingReceived(payload)
	}
	c.mu.Lock()
	b := c.urgentBatch()
	if b.pong == nil {
		b.pong = codec.NewBuffer(codec.MaxControlPayload)
	}
	b.pong.Bytes = append(b.pong.Bytes[:0], payload...)
	c.kick()
	c.mu.Unlock()
	if c.trace != nil && c.trace.PongSent != nil {
		c.trace.PongSent(payload)
	}
}

// takePings notes that the writer has those that were queued.
func (c *Conn) takePings() {
	if own := c.extra().pinging; own != nil {
		for _, p := range own.pings {
			p.taken = true
		}
	}
}

// gotPong ends the wait of the ping it answers and of those before it.
func (c *Conn) gotPong(payload []byte) {
	if c.trace != nil && c.trace.PongReceived != nil {
		c.trace.PongReceived(payload)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.extra().pinging
	if own == nil {
		return
	}
	pings := own.pings
	for i := len(pings) - 1; i >= 0; i-- {
		if !pings[i].taken || !bytes.Equal(pings[i].payload, payload) {
			continue
		}
		now := time.Now()
		for _, p := range pings[:i+1] {
			p.trip = now.Sub(p.sent)
			close(p.done)
		}
		own.pings = slices.Delete(pings, 0, i+1)
		return
	}
}

func (c *Conn) forgetPing(p *ping) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.controlLane()
	own.pings = slices.DeleteFunc(own.pings, func(other *ping) bool { return other == p })
}

// settlePings ends the waits for pongs that will not come.
func (c *Conn) settlePings() {
	own := c.extra().pinging
	if own == nil || len(own.pings) == 0 {
		return
	}
	err := c.closedError()
	for _, p := range own.pings {
		p.err = err
		close(p.done)
	}
	own.pings = nil
}

// startKeepalive sends the first ping after the interval.
func (c *Conn) startKeepalive() {
	c.makeExtra().keepalive = &keepalive{next: time.AfterFunc(c.pingInterval, c.sendKeepalive)}
}

// sendKeepalive pings, and once more after the interval.
func (c *Conn) sendKeepalive() {
	c.mu.Lock()
	if c.phase != StateOpen || c.closeQueued {
		c.mu.Unlock()
		return
	}
	k := c.extra().keepalive
	if k.pong != nil && !time.Now().Before(k.due) && k.pong.Stop() {
		// Both timers are due: what the last ping was for comes first.
		c.mu.Unlock()
		c.checkKeepalive()
		c.sendKeepalive()
		return
	}
	idle := c.urgent == nil || !c.urgent.pinged // else one waits that will be answered
	var payload []byte
	if idle {
		payload = c.queueKeepalive()
	}
	k.next = time.AfterFunc(c.pingInterval, c.sendKeepalive)
	if k.pong == nil {
		k.written = time.Time{}
		k.seen = c.activity.Load()
		c.checkPongIn(c.pongTimeout)
	}
	c.mu.Unlock()
	if idle && c.trace != nil && c.trace.PingSent != nil {
		c.trace.PingSent(payload)
	}
}

// queueKeepalive queues a ping whose payload is no other's, so that no Ping of the
// application's takes the answer for its own.
func (c *Conn) queueKeepalive() (payload []byte) {
	payload = binary.BigEndian.AppendUint32(nil, rand.Uint32())
	if own := c.extra().pinging; own != nil {
		own.addKeepalive(payload)
	}
	c.queueControl(codec.OpPing, payload)
	return payload
}

// addKeepalive notes a keepalive behind the pings that its pong may be the answer to. The
// last is enough.
func (own *pinging) addKeepalive(payload []byte) {
	own.pings = slices.DeleteFunc(own.pings, func(p *ping) bool { return p.keepalive })
	if len(own.pings) > 0 {
		own.pings = append(own.pings, &ping{payload: payload, keepalive: true, done: make(chan struct{})})
	}
}

// checkPongIn sets the timer for the pong.
func (c *Conn) checkPongIn(d time.Duration) {
	k := c.extras.keepalive
	k.seenWrites = k.writes.Load()
	k.due = time.Now().Add(d)
	k.pong = time.AfterFunc(d, c.checkKeepalive)
}

// checkKeepalive ends the connection if nothing came since the ping that it was
// started for. Whatever came is life; and while the application does not receive,
// nothing is read that could be.
func (c *Conn) checkKeepalive() {
	c.mu.Lock()
	switch k := c.extras.keepalive; {
	case c.phase == StateClosed:
	case c.activity.Load() != k.seen || c.waiting.Load():
		k.pong = nil
	case k.written.IsZero() && k.writes.Load() != k.seenWrites:
		c.checkPongIn(c.pongTimeout)
	case time.Since(k.written) < c.pongTimeout:
		c.checkPongIn(c.pongTimeout - time.Since(k.written))
	default:
		c.mu.Unlock()
		c.fail(&TimeoutError{"pong", c.pongTimeout}, 0)
		return
	}
	c.mu.Unlock()
}

// wrotePing notes that a ping is with the operating system: the one that a pong is waited
// for, or one before it, which the peer has to answer as well.
func (c *Conn) wrotePing() {
	if k := c.extra().keepalive; k != nil && k.written.IsZero() {
		k.written = time.Now()
	}
}

// writeWatched writes for a keepalive, which sees only how many writes have come to an
// end: what is large, as only the last buffer can be, is written in pieces.
func (c *Conn) writeWatched(buffers net.Buffers) error {
	k := c.extra().keepalive // as it was before there was a writer
	if k == nil {
		return c.transport.write(buffers)
	}
	for {
		last := len(buffers) - 1
		n := min(len(buffers[last]), maxWrite)
		rest := buffers[last][n:]
		buffers[last] = buffers[last][:n]
		if err := c.transport.write(buffers); err != nil {
			return err
		}
		k.writes.Add(1)
		if len(rest) == 0 {
			return nil
		}
		buffers = buffers[:1]
		buffers[0] = rest
	}
}
