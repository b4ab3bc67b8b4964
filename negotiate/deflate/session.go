package deflate

import "github.com/chanws/websocket/negotiate"

// A direction is what was agreed for one direction of a connection.
type direction struct {
	bits     int // 0: not mentioned
	takeover bool
}

// A session is the extension at work on one connection. Between messages it holds
// nothing but history: compressors and decompressors come from pools.
type session struct {
	extension *Extension
	out       deflater
	in        inflater
	alike     any // the prepareKey, once it was asked for

	interruption interruption
}

func (e *Extension) session(own, peer direction) *session {
	s := &session{extension: e}
	s.out.level = e.level
	s.out.window = 1 << orElse(own.bits, MaxWindowBits)
	if own.takeover && e.level != HuffmanOnly {
		s.out.history.max = min(s.out.window, shortHistory)
	}
	if peer.takeover {
		s.in.history.max = incomingWindow(orElse(peer.bits, MaxWindowBits))
	}
	return s
}

// incomingWindow returns how much has to be kept of what the peer sent.
func incomingWindow(bits int) int {
	// zlib, which most peers use, has no window of 8 bits and takes one of 9
	// instead. What it then refers to is near enough as a rule, but a rule that is
	// not in its documentation is not worth a lost connection.
	return 1 << max(bits, 9)
}

// Outgoing compresses m, unless it is small, unwanted or would not get smaller.
func (s *session) Outgoing(dst []byte, m negotiate.Message) (out []byte, bits negotiate.Reserved, transformed bool, err error) {
	if !s.extension.wants(m) {
		return dst, 0, false, nil
	}
	out, err = s.out.deflate(dst, m.Data, &s.interruption)
	if err != nil || !s.out.pays(len(out)-len(dst), len(m.Data)) {
		// The peer never sees what was compressed in vain, so it is not to become
		// history either.
		return dst, 0, false, err
	}
	s.out.remember(m.Data)
	return out, negotiate.RSV1, true, nil
}

// wants reports whether m is to be compressed, if it gets smaller by that.
func (e *Extension) wants(m negotiate.Message) bool {
	// An empty message would be the byte 0x00 (RFC 7692, section 7.2.3.6): it is
	// among those that would not get smaller.
	if len(m.Data) == 0 || len(m.Data) < e.threshold {
		return false
	}
	return e.options.Compress == nil || e.options.Compress(m)
}

// Incoming inflates m if its first frame has RSV1 (RFC 7692, section 6.2).
func (s *session) Incoming(dst []byte, m negotiate.Message, limit int64) (out []byte, transformed bool, err error) {
	if m.Reserved&negotiate.RSV1 == 0 {
		return dst, false, nil
	}
	out, err = s.in.inflate(dst, m.Data, limit, &s.interruption)
	if err != nil {
		return dst, false, err
	}
	return out, true, nil
}

// Close forgets the history.
func (s *session) Close() {
	s.out.history = history{}
	s.in.history = history{}
}
