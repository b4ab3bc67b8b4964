package codec

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// DefaultMaxEventSize is the limit of an [EventParser] that was given none, in
// bytes.
const DefaultMaxEventSize = 1 << 20

// MaxEventIDSize is the most bytes an event's id may have. A longer one can not be
// sent, and is ignored when received, as one with NUL is: it would have to come
// back as Last-Event-ID in the head of a request, of which common servers and
// proxies take a line of 8 KiB, its name included, and refuse a longer one.
const MaxEventIDSize = 8000

// An Event is one event of an event stream (WHATWG HTML, section 9.2).
//
// Its fields are strings, as they are in the browser: an event can be compared,
// kept and passed on to many receivers without a thought about who owns the
// bytes. A received event takes one allocation, or two if it brings an id and much
// data; an id or a type that is that of the event before takes none.
type Event struct {
	// Type is the name listeners wait for. A received event always has one; when
	// sent, the empty string stands for "message".
	Type string
	// ID is, on a received event, the last event ID of the stream as of this
	// event: it stays until the server sends another. When sent, the empty string
	// sends no id, which leaves the client's as it is; another must be fit for a
	// header, in which it comes back (see AppendEvent).
	ID string
	// Data is the payload. Line ends in it travel as LF, whatever they were.
	Data string
	// ClearID sends an empty id, so that the client forgets the one it has and
	// reconnects without Last-Event-ID. ID must then be empty. A received event
	// never has it set: its empty ID says all.
	ClearID bool
}

// A RawEvent is an event as bytes that belong to its parser.
type RawEvent struct {
	Type, ID, Data []byte
}

// An EventSizeError is returned for an event over the limit. It matches
// [ErrMessageTooBig].
type EventSizeError struct {
	Size  int // bytes of the event, as far as they had come
	Limit int // bytes allowed
}

func (e *EventSizeError) Error() string {
	return fmt.Sprintf("websocket: event of %d bytes or more is over the limit of %d", e.Size, e.Limit)
}

// Unwrap gives [ErrMessageTooBig].
func (e *EventSizeError) Unwrap() error { return ErrMessageTooBig }

// An EventParser turns the bytes of an event stream into events, as WHATWG HTML
// section 9.2.6 says. Feed it what was read, in pieces of any size, and call
// Next until it returns [ErrNeedMore]. The zero value is ready for the start of
// a stream; a stream takes one parser, which is no longer of use after its end:
// an unfinished block is discarded by discarding the parser.
//
// It takes time linear in the bytes fed, and memory for the block at hand only.
// It is not for concurrent use.
type EventParser struct {
	// MaxEventSize limits an event, in bytes as received: the lines of its
	// fields, without their ends. Comments and unknown fields do not count, nor
	// are they kept. 0 means DefaultMaxEventSize. Set it before the first Feed.
	MaxEventSize int

	in     []byte // the piece at hand, the caller's
	off    int    // in[:off] is consumed
	lf, cr int    // where the next LF and CR are, if not before off; len(in) for nowhere

	bom     int    // bytes of a byte order mark met; bomDone once it is decided
	afterCR bool   // an LF that comes next belongs to the line end before
	skip    bool   // the line at hand is to be ignored
	line    []byte // the line at hand, as far as it came in earlier pieces

	size    int    // bytes of this block's field lines
	lines   int    // number of data lines in this block
	view    []byte // the data while it is one line: part of in or of data
	data    []byte // the data once it had to be copied
	copied  bool   // data, not view, is the data
	typ     []byte // event type buffer
	id      []byte // last event ID buffer, where newID is set
	newID   bool   // there was an id field since the last blank line
	last    []byte // last event ID string: the buffer as of the last blank line
	repair  []byte // data, or an id, with U+FFFD in it
	typeStr string // the last Type given out, to give out again
	lastStr string // last as it was given out, to give out again
	newLast bool   // last is not lastStr

	retry    time.Duration
	hasRetry bool
	err      error
}

const (
	byteOrderMark = "\xEF\xBB\xBF"
	bomDone       = len(byteOrderMark) + 1

	// keepBuffer is how large a buffer may stay once small events are all there is.
	keepBuffer = 64 << 10

	// sharedData is how much data an id may keep in memory: ids are kept for long.
	sharedData = 1 << 10
)

// SetLastEventID gives the parser the last event ID that an earlier connection
// of the same stream ended with. Call it before the first Feed.
func (p *EventParser) SetLastEventID(id string) {
	p.last = append(p.last[:0], id...)
	p.lastStr, p.newLast = id, false
}

// LastEventID gives the last event ID string, to be sent with the next request:
// that of the last block that was ended by a blank line, which need not have
// been an event.
func (p *EventParser) LastEventID() string {
	if p.newLast {
		p.lastStr, p.newLast = string(p.last), false
	}
	return p.lastStr
}

// Retry gives the reconnection time of the last valid retry field, and whether
// there was one. It is in effect from the end of its line on.
func (p *EventParser) Retry() (d time.Duration, ok bool) { return p.retry, p.hasRetry }

// Feed adds bytes of the stream. They are not copied: leave them alone until
// Next has returned ErrNeedMore.
func (p *EventParser) Feed(b []byte) {
	if p.off < len(p.in) {
		b = append(p.in[p.off:len(p.in):len(p.in)], b...)
	}
	p.in, p.off, p.lf, p.cr = b, 0, -1, -1
}

// Next gives the next event. It returns [ErrNeedMore] when
// all that was fed is used up, and an [*EventSizeError], for good, when the
// event is over the limit.
func (p *EventParser) Next() (Event, error) {
	raw, err := p.NextRaw()
	if err != nil {
		return Event{}, err
	}
	if string(raw.Type) != p.typeStr {
		p.typeStr = string(raw.Type)
	}
	if p.newLast && len(raw.Data) <= sharedData {
		return p.shareData(raw), nil
	}
	return Event{Type: p.typeStr, ID: p.LastEventID(), Data: string(raw.Data)}, nil
}

// shareData gives the event whose id is a new one, in one allocation for both.
func (p *EventParser) shareData(raw RawEvent) Event {
	var b strings.Builder
	b.Grow(len(raw.Data) + len(raw.ID))
	b.Write(raw.Data)
	b.Write(raw.ID)
	s, n := b.String(), len(raw.Data)
	p.lastStr, p.newLast = s[n:], false
	return Event{Type: p.typeStr, ID: p.lastStr, Data: s[:n]}
}

// NextRaw is Next without the allocation: the bytes of the event are the
// parser's, or those fed, and good until the next call of Next, NextRaw or Feed.
func (p *EventParser) NextRaw() (RawEvent, error) {
	for p.err == nil {
		line, ok := p.nextLine()
		switch {
		case !ok:
			return RawEvent{}, p.pause()
		case len(line) > 0:
			p.field(line)
		default:
			if ev, ok := p.dispatch(); ok {
				return ev, nil
			}
		}
	}
	return RawEvent{}, p.err
}

// pause lets go of the piece at hand: what is needed of it is copied.
func (p *EventParser) pause() error {
	p.copyData()
	p.in, p.off = nil, 0
	if len(p.line) >= longestField {
		p.checkSize(p.size + len(p.line))
	}
	if p.err != nil {
		return p.err
	}
	return ErrNeedMore
}

// nextLine takes the next line, without its end, from the piece at hand. The
// line is good until the next call.
func (p *EventParser) nextLine() (line []byte, ok bool) {
	p.skipByteOrderMark()
	if p.afterCR && p.off < len(p.in) {
		p.afterCR = false
		if p.in[p.off] == '\n' {
			p.off++
		}
	}
	if p.lf < p.off {
		p.lf = indexFrom(p.in, p.off, '\n')
	}
	if p.cr < p.off {
		p.cr = indexFrom(p.in, p.off, '\r')
	}
	end := min(p.lf, p.cr)
	line = p.in[p.off:end]
	if end == len(p.in) {
		p.off = end
		p.hold(line)
		return nil, false
	}
	p.off = end + 1
	p.afterCR = p.in[end] == '\r'
	switch {
	case p.skip:
		p.skip = false
		return ignoredLine, true
	case len(p.line) > 0:
		line = append(p.line, line...)
		p.line = line[:0]
	}
	return line, true
}

// "The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM), if
// any." (WHATWG HTML, section 9.2.6)
func (p *EventParser) skipByteOrderMark() {
	for p.bom < len(byteOrderMark) && p.off < len(p.in) {
		if p.in[p.off] != byteOrderMark[p.bom] {
			p.hold([]byte(byteOrderMark[:p.bom]))
			p.bom = bomDone
			return
		}
		p.bom++
		p.off++
	}
}

// hold keeps the start of a line whose end has not come, unless it is of no use.
func (p *EventParser) hold(part []byte) {
	if p.skip || len(part) == 0 {
		return
	}
	n := min(len(part), max(0, longestField-len(p.line)))
	p.line = append(p.line, part[:n]...)
	if ignored(p.line) {
		p.skip, p.line = true, p.line[:0]
		return
	}
	p.line = append(p.line, part[n:]...)
}

var (
	ignoredLine = []byte(":")
	defaultType = []byte("message")
)

// longestField is the number of bytes that tell what field a line is of.
const longestField = len("retry:")

// ignored reports that a line that starts so is a comment or an unknown field.
func ignored(start []byte) bool {
	if start[0] == ':' {
		return true
	}
	if len(start) < longestField {
		return false
	}
	name, _, ok := bytes.Cut(start[:longestField], []byte(":"))
	return !ok || !known(name)
}

func known(name []byte) bool {
	switch string(name) {
	case "data", "event", "id", "retry":
		return true
	}
	return false
}

// field processes a line that is not empty.
func (p *EventParser) field(line []byte) {
	name, value := cutField(line)
	if !known(name) || !p.checkSize(p.size+len(line)) {
		return
	}
	p.size += len(line)
	switch string(name) {
	case "data":
		p.addData(value)
	case "event":
		p.typ = appendUTF8(p.typ[:0], value)
	case "id":
		p.setID(value)
	case "retry":
		if d, ok := parseRetry(value); ok {
			p.retry, p.hasRetry = d, true
		}
	}
}

// setID sets the last event ID buffer: "If the field value does not contain U+0000
// NULL, then set the last event ID buffer to the field value. Otherwise, ignore the
// field."
func (p *EventParser) setID(value []byte) {
	if !utf8.Valid(value) {
		p.repair = appendUTF8(p.repair[:0], value)
		value = p.repair
	}
	if len(value) <= MaxEventIDSize && bytes.IndexByte(value, 0) < 0 {
		p.id, p.newID = append(p.id[:0], value...), true
	}
}

// commitID is what a blank line does to the id: "Set the last event ID string of
// the event source to the value of the last event ID buffer." Where no field has
// set that since the last time, both are the same, and nothing is looked at: a
// server may send millions of blank lines after one id.
func (p *EventParser) commitID() {
	if p.newID {
		p.id, p.last, p.newID = p.last, p.id, false
		p.newLast = string(p.last) != p.lastStr
	}
}

func (p *EventParser) checkSize(size int) bool {
	limit := p.MaxEventSize
	if limit <= 0 {
		limit = DefaultMaxEventSize
	}
	if size <= limit {
		return true
	}
	p.err = &EventSizeError{Size: size, Limit: limit}
	return false
}

func (p *EventParser) addData(value []byte) {
	p.lines++
	if p.lines == 1 {
		p.view, p.copied = value, false
		if sameArray(value, p.line) {
			p.line, p.data = p.data[:0], p.line
		}
		return
	}
	p.copyData()
	p.data = append(p.data, '\n')
	p.data = append(p.data, value...)
}

// copyData makes the data the parser's own.
func (p *EventParser) copyData() {
	if p.lines > 0 && !p.copied {
		p.data = append(p.data[:0], p.view...)
		p.view, p.copied = nil, true
	}
}

// dispatch is what a blank line asks for.
func (p *EventParser) dispatch() (ev RawEvent, ok bool) {
	p.commitID() // that comes before the look at the data
	ok = p.lines > 0
	if ok {
		ev = RawEvent{Type: p.typ, ID: p.last, Data: p.view}
		if p.copied {
			ev.Data = p.data
		}
		if len(ev.Type) == 0 {
			ev.Type = defaultType
		}
		if !utf8.Valid(ev.Data) {
			p.repair = appendUTF8(p.repair[:0], ev.Data)
			ev.Data = p.repair
		}
	}
	if p.size < keepBuffer/16 {
		p.shrink()
	}
	p.typ, p.view, p.copied = p.typ[:0], nil, false
	p.lines, p.size = 0, 0
	return ev, ok
}

// shrink lets go of buffers that only an earlier, large event needed. Those of
// the event at hand, which is small, may be among them: it keeps them alive.
func (p *EventParser) shrink() {
	for _, b := range []*[]byte{&p.line, &p.data, &p.typ, &p.repair} {
		if cap(*b) > keepBuffer {
			*b = nil
		}
	}
}

// cutField cuts a line at its first colon and drops one space after it. "Otherwise,
// the string is not empty but does not contain a U+003A COLON character (:)":
// "Process the field using the steps described below, using the whole line as the
// field name, and the empty string as the field value."
func cutField(line []byte) (name, value []byte) {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return line, nil
	}
	name, value = line[:i], line[i+1:]
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return name, value
}

// parseRetry reads a retry field: ASCII digits only, milliseconds. A time beyond
// what a Duration holds is taken as the longest that one does.
func parseRetry(value []byte) (d time.Duration, ok bool) {
	const most = time.Duration(1<<63-1) / time.Millisecond
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		if d <= most/10-1 {
			d = d*10 + time.Duration(c-'0')
		} else {
			d = most
		}
	}
	return d * time.Millisecond, len(value) > 0
}

// indexFrom is where c is in b[from:], as an index of b; len(b) if nowhere.
func indexFrom(b []byte, from int, c byte) int {
	if i := bytes.IndexByte(b[from:], c); i >= 0 {
		return from + i
	}
	return len(b)
}

// sameArray reports that part lies in the array of whole.
func sameArray(part, whole []byte) bool {
	return cap(part) > 0 && cap(whole) > 0 &&
		&part[:cap(part)][cap(part)-1] == &whole[:cap(whole)][cap(whole)-1]
}

// appendUTF8 appends src with U+FFFD in place of each maximal subpart of an
// ill-formed sequence, as the UTF-8 decoder of the Encoding standard does.
func appendUTF8(dst, src []byte) []byte {
	for len(src) > 0 {
		n := ill(src)
		if n == len(src) {
			return append(dst, src...)
		}
		dst = append(dst, src[:n]...)
		dst = append(dst, "\uFFFD"...)
		src = src[n+maximalSubpart(src[n:]):]
	}
	return dst
}

// ill is the index of the first byte of b that is not part of well-formed
// UTF-8; len(b) if there is none.
func ill(b []byte) int {
	if utf8.Valid(b) {
		return len(b)
	}
	for i := 0; ; {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
}

// maximalSubpart is the length of the ill-formed sequence at the start of b that
// one U+FFFD stands for (Encoding, section 8.1.1).
func maximalSubpart(b []byte) int {
	lo, hi, need := byte(0x80), byte(0xBF), 0
	switch c := b[0]; {
	case c >= 0xC2 && c <= 0xDF:
		need = 1
	case c >= 0xE0 && c <= 0xEF:
		need = 2
	case c >= 0xF0 && c <= 0xF4:
		need = 3
	}
	switch b[0] {
	case 0xE0:
		lo = 0xA0
	case 0xED:
		hi = 0x9F
	case 0xF0:
		lo = 0x90
	case 0xF4:
		hi = 0x8F
	}
	n := 1
	for n <= need && n < len(b) && b[n] >= lo && b[n] <= hi {
		lo, hi = 0x80, 0xBF
		n++
	}
	return n
}
