package codec

import "strconv"

// A StatusCode tells why a connection is closed (RFC 6455, section 7.4).
type StatusCode uint16

// The codes of RFC 6455, section 7.4.1, and those registered with IANA since.
const (
	StatusNormalClosure       StatusCode = 1000
	StatusGoingAway           StatusCode = 1001
	StatusProtocolError       StatusCode = 1002
	StatusUnsupportedData     StatusCode = 1003
	StatusNoStatusReceived    StatusCode = 1005 // never on the wire: the close frame had no code
	StatusAbnormalClosure     StatusCode = 1006 // never on the wire: there was no close frame
	StatusInvalidFramePayload StatusCode = 1007
	StatusPolicyViolation     StatusCode = 1008
	StatusMessageTooBig       StatusCode = 1009
	StatusMandatoryExtension  StatusCode = 1010
	StatusInternalError       StatusCode = 1011
	StatusServiceRestart      StatusCode = 1012
	StatusTryAgainLater       StatusCode = 1013
	StatusBadGateway          StatusCode = 1014
	StatusTLSHandshake        StatusCode = 1015 // never on the wire: the TLS handshake failed
)

// Sendable reports whether an endpoint may put the code in a close frame, which
// is also whether it may accept it from one: the registered codes but 1004, 1005,
// 1006 and 1015, and 3000 to 4999 (RFC 6455, sections 7.4.1 and 7.4.2).
func (c StatusCode) Sendable() bool {
	switch {
	case c >= 1000 && c <= 1003, c >= 1007 && c <= 1014:
		return true
	}
	return c >= 3000 && c <= 4999
}

// String gives the number.
func (c StatusCode) String() string { return strconv.Itoa(int(c)) }
