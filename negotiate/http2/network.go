package http2

import (
	"crypto/tls"
	"encoding/binary"
	"sync/atomic"
	"time"
)

const (
	frameHeaderSize      = 9
	settingSize          = 6
	settingsFrame        = 4
	maxStreamsSetting    = 3 // SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113, section 6.5.2)
	enableConnectSetting = 8 // SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441, section 3)
)

// A network is what lies below a connection of HTTP/2. It looks at the first frame
// that a server sends, its SETTINGS, for whether it takes extended CONNECTs:
// x/net/http2 tells that only by the text of the error of a request. And it tells when
// the connection has ended.
type network struct {
	*tls.Conn
	ended func() // called more than once

	extendedConnect atomic.Bool
	noStreams       atomic.Bool

	seen []byte // of the first frame; nil when it was read
	done bool
}

func (n *network) Read(p []byte) (int, error) {
	length, err := n.Conn.Read(p)
	if !n.done {
		n.seen = append(n.seen, p[:length]...)
		n.look()
	}
	if err != nil {
		n.ended()
	}
	return length, err
}

// Close waits for a peer that does not read only briefly. x/net/http2 sees to that
// too, but for a [tls.Conn] alone.
func (n *network) Close() error {
	n.ended()
	force := time.AfterFunc(closeTimeout, func() { n.NetConn().Close() })
	defer force.Stop()
	return n.Conn.Close()
}

// refusal says why the server takes no extended CONNECT; it is "" where it does.
func (n *network) refusal() string {
	switch {
	case !n.extendedConnect.Load():
		return "the server does not offer it"
	case n.noStreams.Load():
		return "the server allows no streams"
	default:
		return ""
	}
}

// look reads the frame when all of it is there (RFC 9113, sections 4.1 and 6.5.1).
func (n *network) look() {
	if len(n.seen) < frameHeaderSize {
		return
	}
	length := int(n.seen[0])<<16 | int(n.seen[1])<<8 | int(n.seen[2])
	payload := n.seen[frameHeaderSize:]
	if len(payload) < length && n.seen[3] == settingsFrame {
		return
	}
	for payload = payload[:min(length, len(payload))]; n.seen[3] == settingsFrame && len(payload) >= settingSize; payload = payload[settingSize:] {
		value := binary.BigEndian.Uint32(payload[2:])
		switch binary.BigEndian.Uint16(payload) {
		case enableConnectSetting:
			n.extendedConnect.Store(value == 1)
		case maxStreamsSetting:
			n.noStreams.Store(value == 0)
		}
	}
	n.seen, n.done = nil, true
}
