package codec

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

const closeSection = "RFC 6455, section 5.5.1"

// AppendClosePayload appends the payload of a close frame: the code in two bytes
// and the reason, or nothing for [StatusNoStatusReceived] (RFC 6455, section
// 5.5.1). The arguments have been checked with [CheckClose].
func AppendClosePayload(dst []byte, code StatusCode, reason string) []byte {
	if code == StatusNoStatusReceived {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// CheckClose says why a close frame may not be sent with the code and the reason,
// or nil. [StatusNoStatusReceived] without a reason stands for a frame without a
// payload.
func CheckClose(code StatusCode, reason string) error {
	switch {
	case code == StatusNoStatusReceived && reason == "":
		return nil
	case !code.Sendable():
		return fmt.Errorf("websocket: status code %d must not be sent (RFC 6455, section 7.4)", code)
	case len(reason) > MaxReason:
		return fmt.Errorf("websocket: close reason of %d bytes, at most %d fit (%s)", len(reason), MaxReason, closeSection)
	case !utf8.ValidString(reason):
		return fmt.Errorf("websocket: close reason is not UTF-8 (%s)", closeSection)
	}
	return nil
}

// ConsumeClosePayload reads the payload of a close frame: code
// [StatusNoStatusReceived] where it is empty, a [*ProtocolError] where it breaks
// the rules (RFC 6455, sections 5.5.1 and 7.4).
func ConsumeClosePayload(p []byte) (StatusCode, string, error) {
	switch len(p) {
	case 0:
		return StatusNoStatusReceived, "", nil
	case 1:
		return 0, "", protocolError(closeSection, "close frame with a payload of one byte")
	}
	code := StatusCode(binary.BigEndian.Uint16(p))
	if !code.Sendable() {
		return 0, "", unsendable(code)
	}
	if !utf8.Valid(p[2:]) {
		return 0, "", &ProtocolError{Code: StatusInvalidFramePayload, Section: closeSection, Reason: "close reason is not UTF-8"}
	}
	return code, string(p[2:]), nil
}

// unsendable is apart from ConsumeClosePayload so that the frame of that is small: it is
// called at the end of a connection, where for a few bytes more of stack the runtime
// would move all of it.
//
//go:noinline
func unsendable(code StatusCode) error {
	return protocolError("RFC 6455, section 7.4", fmt.Sprintf("close frame with the status code %d", code))
}
