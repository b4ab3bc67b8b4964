package conformance

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The opcodes of RFC 6455, section 5.2.
const (
	opContinuation byte = 0x0
	opText         byte = 0x1
	opBinary       byte = 0x2
	opClose        byte = 0x8
	opPing         byte = 0x9
	opPong         byte = 0xA
)

// The reserved bits as they stand in frame.reserved.
const (
	rsv1 byte = 4
	rsv2 byte = 2
	rsv3 byte = 1
)

// lengthForm is one of the three ways to write a payload length.
type lengthForm int

const (
	lengthMinimal   lengthForm = iota // the shortest that holds it
	lengthSixteen                     // 126 and two bytes
	lengthSixtyFour                   // 127 and eight bytes
)

// masking says how a frame to be sent is masked.
type masking int

const (
	maskByRole masking = iota // as the RFC asks of the side the suite plays
	maskNever
	maskWithKey // with the key given in the frame
)

// frame is a frame to be sent, right or wrong. The methods return changed
// copies, so that a table line reads like the frame it describes.
type frame struct {
	more     string // not empty: FIN is not set (the word is for the description)
	reserved byte
	opcode   byte
	payload  []byte
	form     lengthForm
	claim    uint64 // when claiming: the length written in place of the true one
	claiming string
	mask     masking
	key      [4]byte
}

func text(payload string) frame         { return frame{opcode: opText, payload: []byte(payload)} }
func binaryFrame(payload string) frame  { return frame{opcode: opBinary, payload: []byte(payload)} }
func continuation(payload string) frame { return frame{payload: []byte(payload)} }
func ping(payload string) frame         { return frame{opcode: opPing, payload: []byte(payload)} }
func pong(payload string) frame         { return frame{opcode: opPong, payload: []byte(payload)} }

// data is a text or binary frame, by opcode.
func data(opcode byte, payload []byte) frame { return frame{opcode: opcode, payload: payload} }

// closing is a Close frame with a code and a reason.
func closing(code int, reason string) frame {
	body := binary.BigEndian.AppendUint16(nil, uint16(code))
	return frame{opcode: opClose, payload: append(body, reason...)}
}

// closingBody is a Close frame with any body.
func closingBody(body string) frame { return frame{opcode: opClose, payload: []byte(body)} }

// open clears FIN: more fragments follow.
func (f frame) open() frame { f.more = "more"; return f }

// bits sets reserved bits.
func (f frame) bits(b byte) frame { f.reserved = b; return f }

// lengthAs writes the length in the given form, be it too long or not.
func (f frame) lengthAs(form lengthForm) frame { f.form = form; return f }

// claims writes a length that is not the payload's, in eight bytes.
func (f frame) claims(n uint64) frame {
	f.form, f.claim, f.claiming = lengthSixtyFour, n, "claims"
	return f
}

// masked fixes how the frame is masked.
func (f frame) masked(m masking) frame { f.mask = m; return f }

// keyed masks with a key of the case's choice.
func (f frame) keyed(key [4]byte) frame { f.mask, f.key = maskWithKey, key; return f }

// String describes the frame for the report.
func (f frame) String() string {
	s := fmt.Sprintf("%s %s", opcodeName(f.opcode), bytesInBrief(f.payload))
	if f.more != "" {
		s += " FIN=0"
	}
	if f.reserved != 0 {
		s += fmt.Sprintf(" RSV=%03b", f.reserved)
	}
	if f.form != lengthMinimal {
		s += fmt.Sprintf(" length in %d bytes", map[lengthForm]int{lengthSixteen: 2, lengthSixtyFour: 8}[f.form])
	}
	if f.claiming != "" {
		s += fmt.Sprintf(" claiming %d", f.claim)
	}
	switch f.mask {
	case maskNever:
		s += " not masked"
	case maskWithKey:
		s += fmt.Sprintf(" key %x", f.key)
	}
	return s
}

func opcodeName(op byte) string {
	switch op {
	case opContinuation:
		return "continuation"
	case opText:
		return "text"
	case opBinary:
		return "binary"
	case opClose:
		return "close"
	case opPing:
		return "ping"
	case opPong:
		return "pong"
	}
	return fmt.Sprintf("opcode %d", op)
}

// bytesInBrief shows a payload in one short piece of text.
func bytesInBrief(b []byte) string {
	const most = 24
	if len(b) <= most {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q... (%d bytes)", b[:most], len(b))
}

// appendFrame appends the frame's bytes. key is used when the frame is masked.
func appendFrame(dst []byte, f frame, key *[4]byte) []byte {
	first := f.reserved<<4 | f.opcode
	if f.more == "" {
		first |= 0x80
	}
	dst = append(dst, first)
	length := uint64(len(f.payload))
	if f.claiming != "" {
		length = f.claim
	}
	at := len(dst)
	dst = appendLength(dst, length, f.form)
	if key == nil {
		return append(dst, f.payload...)
	}
	dst[at] |= 0x80
	dst = append(dst, key[:]...)
	body := len(dst)
	dst = append(dst, f.payload...)
	maskBytes(dst[body:], *key)
	return dst
}

func appendLength(dst []byte, n uint64, form lengthForm) []byte {
	switch {
	case form == lengthSixtyFour || n > 65535:
		return binary.BigEndian.AppendUint64(append(dst, 127), n)
	case form == lengthSixteen || n > 125:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	}
	return append(dst, byte(n))
}

// maskBytes applies the transformation of RFC 6455, section 5.3, from a
// payload's first byte.
func maskBytes(b []byte, key [4]byte) {
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	k |= k << 32
	i := 0
	for ; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], binary.LittleEndian.Uint64(b[i:])^k)
	}
	for ; i < len(b); i++ {
		b[i] ^= key[i&3]
	}
}

// received is a frame as the peer sent it, already unmasked.
type received struct {
	final    bool
	masked   bool
	minimal  bool // its length was written in the shortest form
	reserved byte
	opcode   byte
	key      [4]byte
	payload  []byte
}

// String describes the frame for the transcript.
func (f received) String() string {
	s := fmt.Sprintf("%s %s", opcodeName(f.opcode), bytesInBrief(f.payload))
	if !f.final {
		s += " FIN=0"
	}
	if f.reserved != 0 {
		s += fmt.Sprintf(" RSV=%03b", f.reserved)
	}
	return s
}

// mostHeld bounds what a peer can make the suite hold in one case: what it has
// sent and no step has taken yet, in bytes as it came and as it was inflated, with
// something for each frame. It is well above the largest message that the suite
// sends in a case of that load.
func mostHeld(load Load) int64 {
	if load == Heavy {
		return 96 << 20
	}
	return 16 << 20
}

// frameCost is what a frame costs beside its bytes.
const frameCost = 512

var errTooLong = errors.New("the peer announced more than the suite is ready to hold")

// readFrame reads one frame. It judges nothing except that the length is one
// the suite is ready to hold: judging is the assembler's work.
func readFrame(r *bufio.Reader, most int64) (received, error) {
	var f received
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return f, err
	}
	f.final = head[0]&0x80 != 0
	f.reserved = head[0] >> 4 & 7
	f.opcode = head[0] & 15
	f.masked = head[1]&0x80 != 0
	length, err := readLength(r, head[1]&0x7f)
	if err != nil {
		return f, unexpectedEnd(err)
	}
	f.minimal = minimalForm(length) == writtenForm(head[1]&0x7f)
	if length > uint64(max(0, most)) {
		return f, fmt.Errorf("%w: %d bytes", errTooLong, length)
	}
	if f.masked {
		if _, err := io.ReadFull(r, f.key[:]); err != nil {
			return f, unexpectedEnd(err)
		}
	}
	if f.payload, err = readPayload(r, int(length)); err != nil {
		return f, unexpectedEnd(err)
	}
	if f.masked {
		maskBytes(f.payload, f.key)
	}
	return f, nil
}

func minimalForm(n uint64) lengthForm {
	switch {
	case n > 65535:
		return lengthSixtyFour
	case n > 125:
		return lengthSixteen
	}
	return lengthMinimal
}

func readLength(r io.Reader, seven byte) (uint64, error) {
	var b [8]byte
	switch seven {
	case 126:
		_, err := io.ReadFull(r, b[:2])
		return uint64(binary.BigEndian.Uint16(b[:2])), err
	case 127:
		_, err := io.ReadFull(r, b[:])
		return binary.BigEndian.Uint64(b[:]), err
	}
	return uint64(seven), nil
}

// readPayload lets memory grow with the bytes that come, not with the length
// that was announced.
func readPayload(r io.Reader, n int) ([]byte, error) {
	const step = 1 << 20
	payload := make([]byte, 0, min(n, step))
	for len(payload) < n {
		have := len(payload)
		payload = append(payload, make([]byte, min(n-have, step))...)
		if _, err := io.ReadFull(r, payload[have:]); err != nil {
			return payload, err
		}
	}
	return payload, nil
}

// unexpectedEnd makes the end of input inside a frame what it is.
func unexpectedEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func writtenForm(seven byte) lengthForm {
	switch seven {
	case 126:
		return lengthSixteen
	case 127:
		return lengthSixtyFour
	}
	return lengthMinimal
}
