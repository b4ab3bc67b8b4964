package codec

import (
	"bytes"
	"fmt"
)

// The frames of the drafts hixie-75 and hixie-76 (there in sections 4.2 and 5.3): a
// byte of type, then for a type below 0x80 everything up to a byte 0xFF, else a
// length, seven bits a byte, and as many bytes. Only type 0x00, a text, means
// anything; hixie-76 adds 0xFF 0x00, the closing handshake.

// A HixieVersion is one of the two drafts.
type HixieVersion uint8

// The drafts, which differ in that only the later one has a closing handshake.
const (
	Hixie75 HixieVersion = 75
	Hixie76 HixieVersion = 76
)

func (v HixieVersion) section() string {
	if v == Hixie75 {
		return "draft-hixie-thewebsocketprotocol-75, section 4.2"
	}
	return "draft-hixie-thewebsocketprotocol-76, section 5.3"
}

// A HixieDecoder is the Reader of the hixie drafts. Any division of the input into
// chunks gives the same events. Frames that mean nothing are skipped, under the
// limit on messages.
type HixieDecoder struct {
	version HixieVersion
	limit   uint64

	buf    *Buffer
	start  int
	offset int64

	state  hixieState
	kind   byte
	skip   uint64 // bytes of a frame with a length
	length uint64 // of a text so far
	text   textCheck
	body   *Buffer
	err    error
}

// A hixieState says what the next byte is.
type hixieState uint8

const (
	hixieType    hixieState = iota
	hixieText               // of a frame that ends with 0xFF
	hixieLength             // of a frame that has one
	hixieSkipped            // payload of a frame that has a length
)

// NewHixieDecoder returns a HixieDecoder at the start of the stream of frames. 0 as
// the limit on messages stands for DefaultMaxMessageSize.
func NewHixieDecoder(version HixieVersion, maxMessageSize int64) *HixieDecoder {
	d := &HixieDecoder{version: version, limit: DefaultMaxMessageSize}
	if maxMessageSize > 0 {
		d.limit = min(uint64(maxMessageSize), 1<<56) // a length grows by seven bits a byte
	}
	return d
}

// Space is described at [Reader].
func (d *HixieDecoder) Space(limit int) []byte {
	if d.buf == nil {
		d.buf = NewBuffer(minRead)
	}
	if d.start > 0 {
		n := copy(d.buf.Bytes, d.buf.Bytes[d.start:])
		d.buf.Bytes, d.start = d.buf.Bytes[:n], 0
	}
	if len(d.buf.Bytes) == cap(d.buf.Bytes) {
		d.buf = d.buf.Grow(2 * cap(d.buf.Bytes))
	}
	space := d.buf.Bytes[len(d.buf.Bytes):cap(d.buf.Bytes)]
	if limit > 0 {
		space = space[:min(limit, len(space))]
	}
	return space
}

// Wrote is described at [Reader].
func (d *HixieDecoder) Wrote(n int) { d.buf.Bytes = d.buf.Bytes[:len(d.buf.Bytes)+n] }

// Rest is described at [Reader].
func (d *HixieDecoder) Rest() int {
	if d.buf == nil {
		return 0
	}
	return len(d.buf.Bytes) - d.start
}

// Idle is described at [Reader].
func (d *HixieDecoder) Idle() {
	if d.buf != nil && d.Rest() == 0 {
		d.buf.Release()
		d.buf, d.start = nil, 0
	}
}

// Next is described at [Reader].
func (d *HixieDecoder) Next() (FrameEvent, error) {
	for d.err == nil && d.Rest() > 0 {
		input := d.buf.Bytes[d.start:]
		switch d.state {
		case hixieType:
			d.beginFrame(input[0])
			d.use(1)
		case hixieText:
			if event, ok := d.takeText(input); ok {
				return event, nil
			}
		case hixieLength:
			if d.takeLength(input[0]) {
				return FrameEvent{Opcode: OpClose, Final: true}, nil
			}
		case hixieSkipped:
			n := min(d.skip, uint64(len(input)))
			d.skip -= n
			d.use(int(n))
			if d.skip == 0 {
				d.state = hixieType
			}
		}
	}
	if d.err != nil {
		return FrameEvent{}, d.err
	}
	return FrameEvent{}, ErrNeedMore
}

func (d *HixieDecoder) use(n int) {
	d.start += n
	d.offset += int64(n)
}

func (d *HixieDecoder) beginFrame(kind byte) {
	d.kind, d.length, d.skip, d.text = kind, 0, 0, textCheck{}
	d.state = hixieText
	if kind&0x80 != 0 {
		d.state = hixieLength
	}
}

// takeText takes what there is of a frame that ends with 0xFF.
func (d *HixieDecoder) takeText(input []byte) (FrameEvent, bool) {
	end := bytes.IndexByte(input, 0xFF)
	chunk := input
	if end >= 0 {
		chunk = input[:end]
	}
	room := d.limit - d.length
	fits := uint64(len(chunk)) <= room
	if !fits {
		chunk = chunk[:room]
	}
	if d.kind == 0 && !d.addText(chunk, fits && end >= 0) {
		return FrameEvent{}, false
	}
	if !fits {
		d.fail(StatusMessageTooBig, tooBig(1, d.limit, d.limit).Reason, len(chunk))
		return FrameEvent{}, false
	}
	d.length += uint64(len(chunk))
	d.use(len(chunk))
	if end < 0 {
		return FrameEvent{}, false
	}
	d.use(1)
	d.state = hixieType
	if d.kind != 0 {
		return FrameEvent{}, false
	}
	event := FrameEvent{Opcode: OpText, Final: true, Buffer: d.body}
	if d.body != nil {
		event.Payload = d.body.Bytes
	}
	d.body = nil
	return event, true
}

// addText adds the chunk to the message, if it is UTF-8.
func (d *HixieDecoder) addText(chunk []byte, last bool) bool {
	bad, ok := d.text.next(chunk)
	if ok && last && !d.text.complete() {
		bad, ok = len(chunk), false
	}
	if !ok {
		d.fail(StatusInvalidFramePayload, "text is not UTF-8", bad)
		return false
	}
	if len(chunk) > 0 {
		if d.body == nil {
			d.body = NewBuffer(len(chunk))
		}
		d.body = d.body.Append(chunk)
	}
	return true
}

// takeLength takes a byte of a length, and reports whether it was that of the
// closing handshake.
func (d *HixieDecoder) takeLength(b byte) (closing bool) {
	d.skip = d.skip<<7 | uint64(b&0x7F)
	if d.skip > d.limit {
		d.fail(StatusMessageTooBig, tooBig(d.skip, 0, d.limit).Reason, 0)
		return false
	}
	d.use(1)
	if b&0x80 != 0 {
		return false
	}
	d.state = hixieSkipped
	if d.skip == 0 {
		d.state = hixieType
		return d.kind == 0xFF && d.version == Hixie76
	}
	return false
}

func (d *HixieDecoder) fail(code StatusCode, reason string, at int) {
	e := &ProtocolError{Code: code, Section: d.version.section(), Reason: reason, Offset: d.offset + int64(at)}
	if code == StatusMessageTooBig {
		e.Err = ErrMessageTooBig
	}
	d.err, d.body = e, nil
}

// A HixieEncoder is the Writer of the hixie drafts, which have texts only.
type HixieEncoder struct{ Version HixieVersion }

// AppendFrame appends a text, or the closing handshake where the draft has one.
// The payload of a close frame has no place in it.
func (e HixieEncoder) AppendFrame(dst []byte, f Frame) []byte {
	switch {
	case f.Opcode == OpText:
		return append(append(append(dst, 0x00), f.Payload...), 0xFF)
	case f.Opcode == OpClose && e.Version == Hixie76:
		return append(dst, 0xFF, 0x00)
	}
	return dst
}

// AppendHeader reports false: something comes after the payload.
func (e HixieEncoder) AppendHeader(dst []byte, _ Frame) ([]byte, bool) { return dst, false }

// Seal reports false, as AppendHeader does.
func (e HixieEncoder) Seal(dst []byte, _ Frame) ([]byte, bool) { return dst, false }

// Supports reports true for texts, and in hixie-76 for the close frame.
func (e HixieEncoder) Supports(op Opcode) bool {
	return op == OpText || op == OpClose && e.Version == Hixie76
}

var (
	_ Reader = (*Decoder)(nil)
	_ Reader = (*HixieDecoder)(nil)
	_ Writer = (*Encoder)(nil)
	_ Writer = HixieEncoder{}
)

// String gives the name of the version, such as "hixie-76".
func (v HixieVersion) String() string { return fmt.Sprintf("hixie-%d", uint8(v)) }
