package codec

import "encoding/binary"

// An Opcode says what a frame is (RFC 6455, section 5.2).
type Opcode uint8

// The opcodes of RFC 6455, section 11.8.
const (
	OpContinuation Opcode = 0x0
	OpText         Opcode = 0x1
	OpBinary       Opcode = 0x2
	OpClose        Opcode = 0x8
	OpPing         Opcode = 0x9
	OpPong         Opcode = 0xA
)

// IsControl reports whether the opcode is of the control range, 8 to 15
// (RFC 6455, section 5.5).
func (o Opcode) IsControl() bool { return o&0x8 != 0 }

func (o Opcode) isReserved() bool { return o > OpBinary && o < OpClose || o > OpPong }

// Reserved is a set of the bits RSV1, RSV2 and RSV3 of a frame, which mean what
// an extension says (RFC 6455, section 5.2).
type Reserved uint8

// The reserved bits.
const (
	RSV1 Reserved = 4
	RSV2 Reserved = 2
	RSV3 Reserved = 1
)

const (
	// MaxHeaderSize is the most bytes a frame header has (RFC 6455, section 5.2).
	MaxHeaderSize = 14
	// MaxControlPayload is the most bytes the payload of a control frame has
	// (RFC 6455, section 5.5).
	MaxControlPayload = 125
	// MaxReason is the most bytes the reason in a close frame has: the payload
	// less the two of the code.
	MaxReason = MaxControlPayload - 2
)

const frameSection = "RFC 6455, section 5.2"

// A Header is what precedes the payload of a frame (RFC 6455, section 5.2).
type Header struct {
	Final    bool
	Reserved Reserved
	Opcode   Opcode
	Masked   bool
	Key      MaskKey // where Masked
	Length   uint64  // of the payload, in bytes; at most 2^63-1
}

// AppendHeader appends the header in the bytes of the wire, the length in the
// least of its three forms.
func AppendHeader(dst []byte, h Header) []byte {
	first := byte(h.Reserved)<<4 | byte(h.Opcode)
	if h.Final {
		first |= 0x80
	}
	var mask byte
	if h.Masked {
		mask = 0x80
	}
	switch {
	case h.Length <= 125:
		dst = append(dst, first, mask|byte(h.Length))
	case h.Length <= 0xFFFF:
		dst = append(dst, first, mask|126, byte(h.Length>>8), byte(h.Length))
	default:
		dst = append(dst, first, mask|127)
		dst = binary.BigEndian.AppendUint64(dst, h.Length)
	}
	if h.Masked {
		dst = append(dst, h.Key[:]...)
	}
	return dst
}

// ConsumeHeader reads the header that b begins with and tells how many bytes it
// has. The error is [ErrNeedMore] where b ends before the header does, or a
// [*ProtocolError] (its Offset 0) for what no frame may be: a reserved opcode, a
// fragmented or long control frame, a length not in its least form or over 63
// bits. What depends on the connection, masking and reserved bits, is left to
// the caller.
func ConsumeHeader(b []byte) (h Header, n int, err error) {
	return consumeHeader(b, nil)
}

// rules are those of the options that headers are checked by.
type rules struct {
	role     Role
	reserved Reserved
	parts    bool
}

// consumeHeader is ConsumeHeader with the rules of a connection, if there are any.
// It goes from byte to byte, so that what is reported first does not depend on how
// many of them are there.
func consumeHeader(b []byte, rules *rules) (h Header, n int, err error) {
	if len(b) < 1 {
		return h, 0, ErrNeedMore
	}
	h.Final = b[0]&0x80 != 0
	h.Reserved = Reserved(b[0] >> 4 & 7)
	h.Opcode = Opcode(b[0] & 0xF)
	if err := checkFirst(h, rules); err != nil {
		return h, 0, err
	}
	if len(b) < 2 {
		return h, 0, ErrNeedMore
	}
	h.Masked = b[1]&0x80 != 0
	h.Length = uint64(b[1] & 0x7F)
	if err := checkSecond(h, rules); err != nil {
		return h, 0, err
	}
	if n, err = consumeLength(b, &h); err != nil {
		return h, 0, err
	}
	if !h.Masked {
		return h, n, nil
	}
	if len(b) < n+4 {
		return h, 0, ErrNeedMore
	}
	return h, n + copy(h.Key[:], b[n:]), nil
}

// checkFirst checks what the first byte of a frame says.
func checkFirst(h Header, rules *rules) error {
	switch {
	// "MUST be 0 unless an extension is negotiated that defines meanings for
	// non-zero values." The bits of the extensions there are belong to the first
	// frame of a message.
	case rules != nil && (h.Reserved&^rules.reserved != 0 || h.Reserved != 0 && (h.Opcode.IsControl() || h.Opcode == OpContinuation)):
		return protocolError(frameSection, "reserved bit set without an extension that owns it")
	case h.Opcode.isReserved():
		return protocolError(frameSection, "reserved opcode")
	case h.Opcode.IsControl() && !h.Final:
		return protocolError("RFC 6455, section 5.5", "fragmented control frame")
	}
	return nil
}

// checkSecond checks what the second byte of a frame says.
func checkSecond(h Header, rules *rules) error {
	switch {
	case rules != nil && rules.role == Server && !h.Masked:
		return protocolError("RFC 6455, section 5.1", "frame from the client is not masked")
	case rules != nil && rules.role == Client && h.Masked:
		return protocolError("RFC 6455, section 5.1", "frame from the server is masked")
	case h.Opcode.IsControl() && h.Length > MaxControlPayload:
		return protocolError("RFC 6455, section 5.5", "control frame with more than 125 bytes")
	}
	return nil
}

// consumeLength reads the extended payload length, if there is one, and gives the
// number of bytes up to its end.
func consumeLength(b []byte, h *Header) (n int, err error) {
	switch {
	case h.Length == 126 && len(b) < 4, h.Length == 127 && len(b) < 10:
		return 0, ErrNeedMore
	case h.Length == 126:
		h.Length, n = uint64(binary.BigEndian.Uint16(b[2:])), 4
		if h.Length < 126 {
			return 0, protocolError(frameSection, "payload length not in the least number of bytes")
		}
	case h.Length == 127:
		h.Length, n = binary.BigEndian.Uint64(b[2:]), 10
		// "the most significant bit MUST be 0"
		if h.Length>>63 != 0 {
			return 0, protocolError(frameSection, "payload length with the most significant bit set")
		}
		if h.Length <= 0xFFFF {
			return 0, protocolError(frameSection, "payload length not in the least number of bytes")
		}
	default:
		n = 2
	}
	return n, nil
}

// consumeShort reads the header of a message in one frame, without reserved bits, of 1
// to 65,535 bytes, that the role may receive; the payload begins at b[at]. It reports
// false for all else.
func consumeShort(b []byte, role Role) (at, length int, ok bool) {
	const text, binaryData = 0x80 | byte(OpText), 0x80 | byte(OpBinary)
	if len(b) < 2 || b[0] != text && b[0] != binaryData || b[1]&0x80 != 0 != (role == Server) {
		return 0, 0, false
	}
	at, length = 2, int(b[1]&0x7F)
	ok = length > 0 && length < 126
	if length == 126 && len(b) >= 4 {
		at, length = 4, int(binary.BigEndian.Uint16(b[2:]))
		ok = length >= 126
	}
	if role == Server {
		at += len(MaskKey{})
	}
	return at, length, ok
}

func protocolError(section, reason string) error {
	return &ProtocolError{Code: StatusProtocolError, Section: section, Reason: reason}
}
