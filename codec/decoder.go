package codec

import (
	"math"
	"unicode/utf8"
)

// A Role is the side of the connection that an endpoint is on.
type Role uint8

// The roles of RFC 6455, section 1.2. Frames from the client are masked, frames
// from the server are not (section 5.1).
const (
	Server Role = iota
	Client
)

// DefaultMaxMessageSize is the limit on messages where none is set: 2^26-1 bytes,
// as in faye-websocket.
const DefaultMaxMessageSize = 1<<26 - 1

// maxEmptyFragments is how many frames without payload a message may have. They
// add nothing to the size that is limited, but cost the receiver all the same.
const maxEmptyFragments = 128

// DecoderOptions say what a [Decoder] accepts.
type DecoderOptions struct {
	// Role is that of the endpoint that decodes: a Server takes only masked
	// frames, a Client only unmasked ones.
	Role Role
	// MaxMessageSize is the most bytes a message may have, over all its frames;
	// 0 stands for DefaultMaxMessageSize. Messages of an extension (those with
	// reserved bits) are limited as they come, before they are decompressed.
	MaxMessageSize int64
	// Reserved has the bits that extensions have been agreed for. Text with any of
	// them set is not checked to be UTF-8: that can be done when it is decoded.
	Reserved Reserved
	// Parts gives messages in parts as they arrive, frames of any length included,
	// for messages too large to hold. Messages with reserved bits still come whole.
	// The default of MaxMessageSize is for those alone then; the others have no
	// limit unless one is set.
	Parts bool
}

// A Decoder is the Reader of hybi frames, those of RFC 6455 and of the drafts 7
// and later. Any division of the input into chunks gives the same events.
//
// Invariants: buf.Bytes[start:] is input not yet used. Within a frame, its header
// has been used and done bytes of its payload have been unmasked and checked; in
// a frame that is a message of its own they stay at buf.Bytes[start:start+done],
// else they have been used too and moved to the assembly.
//
// The fields are in the order that leaves the least between them: an idle connection
// keeps its Decoder.
type Decoder struct {
	rules     rules
	inFrame   bool
	inMessage bool
	opcode    Opcode
	reserved  Reserved
	empty     uint8 // frames without payload
	text      textCheck

	hint, space int32  // how large a buffer to read into, and what the last Space had
	limit       uint64 // on messages; 0 where none is set

	buf    *Buffer
	start  int
	offset int64 // of buf.Bytes[start] in the stream
	trust  int   // a size of messages received, half as large after each smaller one

	header   Header
	done     uint64
	total    uint64 // payload bytes of the message, those of the frame at hand included
	assembly *Buffer

	err *ProtocolError
}

// Buffers to read into start at minRead bytes and grow while they are filled, to
// maxRead; for large messages to maxHint, so that the next one of the size finds
// its place at once. One that is larger still is given its place when its header has
// come. A peer has to send as much to get there.
const (
	minRead = 4 << 10
	maxRead = 64 << 10
	maxHint = 1 << 20
)

// NewDecoder returns a Decoder at the start of the stream of frames.
func NewDecoder(options DecoderOptions) *Decoder {
	d := new(Decoder)
	d.Init(options)
	return d
}

// Init makes d a Decoder at the start of the stream, for those who hold one by
// value.
func (d *Decoder) Init(options DecoderOptions) {
	*d = Decoder{
		rules: rules{options.Role, options.Reserved, options.Parts},
		limit: uint64(max(options.MaxMessageSize, 0)),
		hint:  minRead,
	}
}

// wholeLimit is the limit on messages given whole.
func (d *Decoder) wholeLimit() uint64 {
	if d.limit == 0 {
		return DefaultMaxMessageSize
	}
	return min(d.limit, math.MaxInt-MaxHeaderSize)
}

// partsLimit is the limit on messages given in parts.
func (d *Decoder) partsLimit() uint64 {
	if d.limit == 0 {
		return math.MaxInt64
	}
	return d.limit
}

// Space is described at [Reader].
func (d *Decoder) Space(limit int) []byte {
	size := int(d.hint)
	if limit > 0 {
		size = min(size, limit)
	}
	d.makeRoom(size)
	b := d.buf.Bytes
	space := b[len(b):cap(b)]
	missing := int(d.header.Length) - (len(b) - d.start)
	if d.inPlace() && int(d.header.Length) >= (cap(b)+1)/2 && missing > 0 {
		// Read to the end of the frame and no further: then the buffer has
		// nothing but the message, and can be handed over.
		space = space[:min(len(space), missing)]
	}
	if limit > 0 {
		space = space[:min(len(space), limit)]
	}
	d.space = int32(min(len(space), math.MaxInt32))
	return space
}

// makeRoom sees to a buffer with room for at least one byte, and for the whole
// frame as far as as much has been received as justifies it.
func (d *Decoder) makeRoom(size int) {
	if d.buf != nil && d.Rest() == 0 && (cap(d.buf.Bytes) < size || cap(d.buf.Bytes) > 4*max(size, int(d.hint))) {
		d.Idle()
	}
	if d.buf == nil {
		d.buf, d.start = NewBuffer(size), 0
		return
	}
	unused := d.buf.Bytes[d.start:]
	want := len(unused) + MaxHeaderSize
	if d.inPlace() {
		want = max(int(d.header.Length), len(unused)+1)
	}
	if want <= cap(d.buf.Bytes)-d.start {
		return
	}
	if want <= cap(d.buf.Bytes) {
		d.buf.Bytes = d.buf.Bytes[:copy(d.buf.Bytes[:cap(d.buf.Bytes)], unused)]
		d.start = 0
		return
	}
	known := max(int(d.hint), d.trust)
	if want > known && len(d.buf.Bytes) < cap(d.buf.Bytes) {
		return
	}
	larger := NewBuffer(min(want, max(3*len(unused), known, cap(d.buf.Bytes))))
	larger.Bytes = append(larger.Bytes, unused...)
	d.buf.Release()
	d.buf, d.start = larger, 0
}

// Wrote is described at [Reader].
func (d *Decoder) Wrote(n int) {
	d.buf.Bytes = d.buf.Bytes[:len(d.buf.Bytes)+n]
	if n < int(d.space) {
		d.hint = max(minRead, d.hint-(d.hint-int32(min(n, int(d.hint))))/8)
	} else if d.hint < maxRead {
		d.hint *= 2
	}
}

// Rest is described at [Reader].
func (d *Decoder) Rest() int {
	if d.buf == nil {
		return 0
	}
	return len(d.buf.Bytes) - d.start
}

// Idle is described at [Reader].
func (d *Decoder) Idle() {
	if d.buf != nil && d.start == len(d.buf.Bytes) {
		d.buf.Release()
		d.buf, d.start = nil, 0
	}
}

// Next is described at [Reader]. Where a message is cut into parts they have the
// opcode of the message, and all but the last have Final false.
func (d *Decoder) Next() (FrameEvent, error) {
	if d.err == nil && d.buf != nil && !d.inFrame && !d.inMessage {
		if opcode, message := d.whole(); message != nil {
			return FrameEvent{Opcode: opcode, Final: true, Payload: message.Bytes, Buffer: message}, nil
		}
	}
	for d.err == nil && d.buf != nil {
		if !d.inFrame && !d.beginFrame() {
			break
		}
		chunk, ok := d.decodePayload()
		if !ok {
			break
		}
		if d.header.Opcode.IsControl() {
			if event, ok := d.controlEvent(); ok {
				return event, nil
			}
		} else if event, ok := d.dataEvent(chunk); ok {
			return event, nil
		}
		if d.inFrame {
			break
		}
	}
	if d.err != nil {
		return FrameEvent{}, d.err
	}
	return FrameEvent{}, ErrNeedMore
}

// whole gives the message that the input begins with, if it is as most are: short, in
// one frame without reserved bits, and all there. The rest, what breaks a rule too, is
// left to the general way, which takes twice the time of this one.
func (d *Decoder) whole() (Opcode, *Buffer) {
	b := d.buf.Bytes[d.start:]
	at, length, ok := consumeShort(b, d.rules.role)
	// A limit that was set holds for parts too; the defaults are above what is short.
	if !ok || len(b) < at+length || 2*length >= cap(d.buf.Bytes) || uint64(length) > d.wholeLimit() {
		return 0, nil
	}
	message := NewBuffer(length)
	message.Bytes = append(message.Bytes, b[at:at+length]...)
	if d.rules.role == Server {
		Mask(message.Bytes, MaskKey(b[at-4:at]), 0)
	}
	opcode := Opcode(b[0] & 0xF)
	if opcode == OpText && !utf8.Valid(message.Bytes) {
		message.Release()
		return 0, nil
	}
	d.trust = max(d.trust/2, length)
	d.use(at + length)
	return opcode, message
}

// beginFrame uses the header of a frame, if it is there.
func (d *Decoder) beginFrame() bool {
	h, n, err := consumeHeader(d.buf.Bytes[d.start:], &d.rules)
	if err == nil && !h.Opcode.IsControl() {
		err = d.checkMessage(h)
	}
	if err == ErrNeedMore {
		return false
	}
	if err != nil {
		d.fail(err.(*ProtocolError), 0)
		return false
	}
	d.use(n)
	d.inFrame, d.header, d.done = true, h, 0
	if !h.Opcode.IsControl() {
		d.beginData(h)
	}
	return true
}

// checkMessage checks the place of a data frame in its message, and the size that
// the message has with it.
func (d *Decoder) checkMessage(h Header) error {
	switch {
	case h.Opcode == OpContinuation && !d.inMessage:
		return protocolError("RFC 6455, section 5.4", "continuation frame without a message to continue")
	case h.Opcode != OpContinuation && d.inMessage:
		return protocolError("RFC 6455, section 5.4", "new message before the end of the one begun")
	}
	var total uint64
	if d.inMessage {
		total = d.total
	}
	limit := d.wholeLimit()
	if d.rules.parts && (d.inMessage && d.reserved == 0 || !d.inMessage && h.Reserved == 0) {
		limit = d.partsLimit()
	}
	if h.Length > limit || total > limit-h.Length {
		return tooBig(h.Length, total, limit)
	}
	if h.Length == 0 && !h.Final && d.inMessage && d.empty == maxEmptyFragments {
		return &ProtocolError{Code: StatusPolicyViolation, Section: "RFC 6455, section 10.4", Reason: "too many frames without payload in one message"}
	}
	return nil
}

// beginData takes the frame up into its message.
func (d *Decoder) beginData(h Header) {
	if h.Opcode != OpContinuation {
		d.inMessage, d.opcode, d.reserved = true, h.Opcode, h.Reserved
		d.total, d.empty, d.text = 0, 0, textCheck{}
	}
	d.total += h.Length
	if h.Length == 0 {
		d.empty++
	}
}

// inPlace reports whether the frame at hand keeps its payload in the read buffer:
// control frames, and messages of one frame.
func (d *Decoder) inPlace() bool {
	if !d.inFrame {
		return false
	}
	if d.header.Opcode.IsControl() {
		return true
	}
	return d.header.Final && d.header.Opcode != OpContinuation && !d.parts()
}

func (d *Decoder) parts() bool { return d.rules.parts && d.reserved == 0 }

// decodePayload unmasks and checks what there is of the payload. It reports false where
// that breaks a rule.
func (d *Decoder) decodePayload() (chunk []byte, ok bool) {
	from := d.start
	if d.inPlace() {
		from += int(d.done)
	}
	// No more than the buffer has, so that it fits an int.
	n := int(min(uint64(len(d.buf.Bytes)-from), d.header.Length-d.done))
	chunk = d.buf.Bytes[from : from+n]
	if d.header.Masked {
		Mask(chunk, d.header.Key, int(d.done&3))
	}
	d.done += uint64(n)
	if !d.header.Opcode.IsControl() && !d.checkText(chunk, from, d.complete() && d.header.Final) {
		return nil, false
	}
	return chunk, true
}

// complete reports whether all of the frame at hand has been unmasked.
func (d *Decoder) complete() bool { return d.done == d.header.Length }

// dataEvent gives what the chunk of a data frame completes, or makes a part of.
func (d *Decoder) dataEvent(chunk []byte) (FrameEvent, bool) {
	inPlace, complete := d.inPlace(), d.complete()
	if complete {
		d.inFrame = false
	}
	switch {
	case inPlace && !complete:
		return FrameEvent{}, false
	case inPlace:
		payload, buffer := d.take(int(d.header.Length))
		return d.messageEvent(payload, buffer, true), true
	case d.parts():
		return d.partEvent(chunk, complete)
	}
	return d.assemble(chunk, complete)
}

// checkText checks the next bytes of a text, which begin at from in the buffer.
func (d *Decoder) checkText(chunk []byte, from int, last bool) bool {
	if d.opcode != OpText || d.reserved != 0 {
		return true
	}
	bad, ok := d.text.next(chunk)
	if ok && last && !d.text.complete() {
		bad, ok = len(chunk), false
	}
	if !ok {
		// "When an endpoint is to interpret a byte stream as UTF-8 but finds that
		// the byte stream is not, in fact, a valid UTF-8 stream, that endpoint MUST
		// _Fail the WebSocket Connection_." RFC 6455, section 8.1.
		d.fail(&ProtocolError{Code: StatusInvalidFramePayload, Section: "RFC 6455, section 8.1", Reason: "text is not UTF-8"}, from-d.start+bad)
	}
	return ok
}

// controlEvent gives a control frame, if it is there.
func (d *Decoder) controlEvent() (FrameEvent, bool) {
	if !d.complete() {
		return FrameEvent{}, false
	}
	d.inFrame = false
	n := int(d.header.Length)
	event := FrameEvent{Opcode: d.header.Opcode, Final: true, Payload: d.buf.Bytes[d.start : d.start+n : d.start+n]}
	if event.Opcode == OpClose {
		if _, _, err := ConsumeClosePayload(event.Payload); err != nil {
			d.fail(err.(*ProtocolError), 0)
			return FrameEvent{}, false
		}
	}
	d.use(n)
	return event, true
}

// take uses the n bytes of a message that stand in the read buffer. Where they
// are most of it, the buffer itself goes to the receiver: no copy. Else they are
// copied, so that a small message does not pin a large buffer.
func (d *Decoder) take(n int) ([]byte, *Buffer) {
	if n == 0 {
		return nil, nil
	}
	d.trust = max(d.trust/2, n)
	b := d.buf
	payload := b.Bytes[d.start : d.start+n : d.start+n]
	if 2*n < cap(b.Bytes) {
		d.use(n)
		small := NewBuffer(n)
		small.Bytes = append(small.Bytes, payload...)
		return small.Bytes, small
	}
	rest := b.Bytes[d.start+n:]
	d.offset += int64(n)
	d.buf, d.start = nil, 0
	if len(rest) > 0 {
		d.buf = NewBuffer(max(len(rest), minRead))
		d.buf.Bytes = append(d.buf.Bytes, rest...)
	}
	if n <= maxHint {
		d.hint = max(d.hint, int32(n+MaxHeaderSize))
	}
	return payload, b
}

// partEvent gives a part of a message, where there is anything to give.
func (d *Decoder) partEvent(chunk []byte, complete bool) (FrameEvent, bool) {
	final := complete && d.header.Final
	if len(chunk) == 0 && !final {
		return FrameEvent{}, false
	}
	if len(chunk) == 0 {
		return d.messageEvent(nil, nil, final), true
	}
	payload, buffer := d.take(len(chunk))
	return d.messageEvent(payload, buffer, final), true
}

// assemble adds the chunk to the message, and gives it when it is whole.
func (d *Decoder) assemble(chunk []byte, complete bool) (FrameEvent, bool) {
	if len(chunk) > 0 {
		if d.assembly == nil {
			d.assembly = NewBuffer(len(chunk))
		}
		d.assembly = d.assembly.Append(chunk)
		d.use(len(chunk))
	}
	if !complete || !d.header.Final {
		return FrameEvent{}, false
	}
	b := d.assembly
	d.assembly = nil
	if b == nil {
		return d.messageEvent(nil, nil, true), true
	}
	return d.messageEvent(b.Bytes, b, true), true
}

func (d *Decoder) messageEvent(payload []byte, buffer *Buffer, final bool) FrameEvent {
	if final {
		d.inMessage = false
	}
	return FrameEvent{Opcode: d.opcode, Final: final, Reserved: d.reserved, Payload: payload, Buffer: buffer}
}

// use drops the first n bytes of the input.
func (d *Decoder) use(n int) {
	d.start += n
	d.offset += int64(n)
	if d.start == len(d.buf.Bytes) {
		// Nothing is left: the next bytes go to the front again. Payloads of
		// control frames stay in place until then.
		d.buf.Bytes, d.start = d.buf.Bytes[:0], 0
	}
}

// fail makes the error the last thing that Next gives. It happened at bytes after the
// start of the unused input.
func (d *Decoder) fail(e *ProtocolError, at int) {
	e.Offset = d.offset + int64(at)
	d.err = e
	d.inFrame, d.inMessage, d.assembly = false, false, nil
}
