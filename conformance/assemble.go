package conformance

import (
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf8"
)

type eventKind int

const (
	gotMessage eventKind = iota
	gotPing
	gotPong
	gotClose
	gotEnd       // the transport ended
	gotViolation // the peer sent what no peer may send
)

// event is what the peer did, as the steps see it.
type event struct {
	kind       eventKind
	at         time.Duration
	opcode     byte
	payload    []byte
	code       int // of a Close frame; 0 when it had no body
	reason     string
	compressed string // how the message came, when it came compressed
	cost       int    // of holding it
	frames     int
	err        error
	rule       string
}

// String describes the event in a finding.
func (e event) String() string {
	switch e.kind {
	case gotMessage:
		return fmt.Sprintf("%s message %s", opcodeName(e.opcode), bytesInBrief(e.payload))
	case gotPing:
		return fmt.Sprintf("ping %s", bytesInBrief(e.payload))
	case gotPong:
		return fmt.Sprintf("pong %s", bytesInBrief(e.payload))
	case gotClose:
		if e.code == 0 {
			return "close without a code"
		}
		return fmt.Sprintf("close %d %q", e.code, e.reason)
	case gotEnd:
		return fmt.Sprintf("end of the connection (%v)", e.err)
	}
	return e.rule
}

// assembler turns the peer's frames into events and refuses what no peer may
// ever send, whichever case is running.
type assembler struct {
	role    Role // of the peer
	inflate *inflater
	opcode  byte // of the message under way
	inside  string
	zipped  string
	buffer  []byte
	frames  int
	closed  string
	keys    map[[4]byte]int
	room    int64 // for the next message, inflated
	cost    int   // of the message under way, as it came
}

// accept takes one frame. It returns no event for a fragment that ends
// nothing.
func (a *assembler) accept(f received) (event, string) {
	if broken := a.checkFrame(f); broken != "" {
		return event{}, broken
	}
	if f.masked {
		a.keys[f.key]++
	}
	if f.opcode >= opClose {
		return a.control(f)
	}
	return a.dataFrame(f)
}

// none is the kind of an event that is none.
const none eventKind = -1

func (a *assembler) checkFrame(f received) string {
	switch {
	case a.role == Server && f.masked:
		return `the server masked a frame (RFC 6455, 5.1: "A server MUST NOT mask any frames that it sends to the client.")`
	case a.role == Client && !f.masked:
		return `the client did not mask a frame (RFC 6455, 5.1: "a client MUST mask all frames that it sends to the server")`
	case !f.minimal:
		return `a payload length was not in its shortest form (RFC 6455, 5.2: "the minimal number of bytes MUST be used to encode the length")`
	case f.reserved&(rsv2|rsv3) != 0, f.reserved&rsv1 != 0 && (a.inflate == nil || f.opcode != opText && f.opcode != opBinary):
		return `a reserved bit was set that no extension has given a meaning (RFC 6455, 5.2: "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values")`
	case f.opcode > opBinary && f.opcode < opClose || f.opcode > opPong:
		return fmt.Sprintf("a frame had the reserved opcode %d (RFC 6455, 5.2)", f.opcode)
	}
	return ""
}

func (a *assembler) control(f received) (event, string) {
	if len(f.payload) > 125 || !f.final {
		return event{}, `a control frame was fragmented or longer than 125 bytes (RFC 6455, 5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented.")`
	}
	switch f.opcode {
	case opPing:
		return event{kind: gotPing, payload: f.payload}, ""
	case opPong:
		return event{kind: gotPong, payload: f.payload}, ""
	}
	if a.closed != "" {
		return event{}, "a second Close frame was sent (RFC 6455, 5.5.1)"
	}
	a.closed = "closed"
	return closeEvent(f.payload)
}

func closeEvent(body []byte) (event, string) {
	if len(body) == 0 {
		return event{kind: gotClose}, ""
	}
	if len(body) == 1 {
		return event{}, "a Close frame had a body of one byte (RFC 6455, 5.5.1)"
	}
	code := int(binary.BigEndian.Uint16(body))
	if !mayBeSent(code) {
		return event{}, fmt.Sprintf(`a Close frame carried code %d (RFC 6455, 7.4: not one an endpoint may set)`, code)
	}
	if !utf8.Valid(body[2:]) {
		return event{}, "the reason of a Close frame was not UTF-8 (RFC 6455, 5.5.1)"
	}
	return event{kind: gotClose, code: code, reason: string(body[2:])}, ""
}

// mayBeSent reports whether a close code may stand in a Close frame: RFC 6455,
// section 7.4, and IANA's registry (1012 to 1014).
func mayBeSent(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code == 1004, code == 1005, code == 1006:
		return false
	}
	return code >= 1000 && code <= 1014
}

func (a *assembler) dataFrame(f received) (event, string) {
	if a.closed != "" {
		return event{}, `a data frame followed the Close frame (RFC 6455, 5.5.1: "The application MUST NOT send any more data frames after sending a Close frame.")`
	}
	if f.opcode == opContinuation && a.inside == "" {
		return event{}, "a continuation frame continued nothing (RFC 6455, 5.4)"
	}
	if f.opcode != opContinuation {
		if a.inside != "" {
			return event{}, "a message began before the last one ended (RFC 6455, 5.4)"
		}
		a.opcode, a.inside, a.buffer, a.frames, a.zipped, a.cost = f.opcode, "inside", nil, 0, "", 0
		if f.reserved&rsv1 != 0 {
			a.zipped = "compressed"
		}
	}
	a.frames++
	a.cost += len(f.payload) + frameCost
	if a.frames == 1 {
		a.buffer = f.payload
	} else {
		a.buffer = append(a.buffer, f.payload...)
	}
	if !f.final {
		return event{kind: none}, ""
	}
	return a.message()
}

func (a *assembler) message() (event, string) {
	e := event{kind: gotMessage, opcode: a.opcode, payload: a.buffer, compressed: a.zipped, frames: a.frames, cost: a.cost}
	a.inside, a.buffer = "", nil
	if a.zipped != "" {
		plain, err := a.inflate.message(e.payload, a.room)
		if err != nil {
			return event{}, fmt.Sprintf("a compressed message can not be inflated (RFC 7692, 7.2.2): %v", err)
		}
		e.payload = plain
		e.cost += len(plain)
	}
	if e.opcode == opText && !utf8.Valid(e.payload) {
		return event{}, "a text message was not UTF-8 (RFC 6455, 5.6)"
	}
	return e, ""
}
