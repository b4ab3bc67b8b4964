package http2

import (
	"crypto/tls"
	"encoding/binary"
	"sync/atomic"
)

const (
	frameHeaderSize      = 9
	settingSize          = 6
	settingsFrame        = 4
	enableConnectSetting = 8 // SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441, section 3)
)

// A settingsReader looks at the first frame that a server sends, its SETTINGS, for
// whether it offers extended CONNECT. x/net/http2 tells that only by the text of the
// error of a request.
type settingsReader struct {
	*tls.Conn
	extendedConnect atomic.Bool

	seen []byte // of the first frame; nil when it was read
	done bool
}

func (s *settingsReader) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if !s.done {
		s.seen = append(s.seen, p[:n]...)
		s.look()
	}
	return n, err
}

// look reads the frame when all of it is there (RFC 9113, sections 4.1 and 6.5.1).
func (s *settingsReader) look() {
	if len(s.seen) < frameHeaderSize {
		return
	}
	length := int(s.seen[0])<<16 | int(s.seen[1])<<8 | int(s.seen[2])
	payload := s.seen[frameHeaderSize:]
	if len(payload) < length && s.seen[3] == settingsFrame {
		return
	}
	for payload = payload[:min(length, len(payload))]; s.seen[3] == settingsFrame && len(payload) >= settingSize; payload = payload[settingSize:] {
		if binary.BigEndian.Uint16(payload) == enableConnectSetting {
			s.extendedConnect.Store(binary.BigEndian.Uint32(payload[2:]) == 1)
		}
	}
	s.seen, s.done = nil, true
}
