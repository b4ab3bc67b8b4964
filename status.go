package websocket

import "github.com/chanws/websocket/codec"

// A StatusCode tells why a connection is closed (RFC 6455, section 7.4).
type StatusCode = codec.StatusCode

// The codes of RFC 6455, section 7.4.1, and those registered with IANA since.
// 1005, 1006 and 1015 are only ever reported, never sent: with StatusNoStatusReceived
// [Conn.Close] sends a close frame without a code.
const (
	StatusNormalClosure       = codec.StatusNormalClosure
	StatusGoingAway           = codec.StatusGoingAway
	StatusProtocolError       = codec.StatusProtocolError
	StatusUnsupportedData     = codec.StatusUnsupportedData
	StatusNoStatusReceived    = codec.StatusNoStatusReceived
	StatusAbnormalClosure     = codec.StatusAbnormalClosure
	StatusInvalidFramePayload = codec.StatusInvalidFramePayload
	StatusPolicyViolation     = codec.StatusPolicyViolation
	StatusMessageTooBig       = codec.StatusMessageTooBig
	StatusMandatoryExtension  = codec.StatusMandatoryExtension
	StatusInternalError       = codec.StatusInternalError
	StatusServiceRestart      = codec.StatusServiceRestart
	StatusTryAgainLater       = codec.StatusTryAgainLater
	StatusBadGateway          = codec.StatusBadGateway
	StatusTLSHandshake        = codec.StatusTLSHandshake
)
