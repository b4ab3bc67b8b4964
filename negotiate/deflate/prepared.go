package deflate

import "github.com/chanws/websocket/negotiate"

var _ negotiate.Preparer = (*session)(nil)

// A prepareKey is all that what Prepare makes of a message depends on.
type prepareKey struct {
	level, threshold, window int
	compress                 *Extension // where it has the option Compress, as functions can not be compared
}

// PreparedKey is described at [negotiate.Preparer].
func (s *session) PreparedKey() any {
	if s.alike == nil {
		key := prepareKey{level: s.alone().levelFor(0), threshold: s.extension.threshold, window: s.out.window}
		if s.extension.options.Compress != nil {
			key.compress = s.extension
		}
		s.alike = key
	}
	return s.alike
}

// Prepare compresses m without history, so that it needs none to be inflated. Where
// context takeover was agreed on it may be used and need not be (RFC 7692, section
// 7.1.1). All references are within m, and where m is longer than the window agreed on,
// no further back than that.
func (s *session) Prepare(dst []byte, m negotiate.Message) (out []byte, bits negotiate.Reserved, transformed bool, err error) {
	if !s.extension.wants(m) {
		return dst, 0, false, nil
	}
	alone := s.alone()
	out, err = alone.deflate(dst, m.Data, nil)
	if err != nil || !alone.pays(len(out)-len(dst), len(m.Data)) {
		return dst, 0, false, err
	}
	return out, negotiate.RSV1, true, nil
}

// alone compresses without history.
func (s *session) alone() *deflater { return &deflater{level: s.out.level, window: s.out.window} }

// SentPrepared adds m to the history. The peer's window slides over every compressed
// message, and distances are counted back from its end: a history without m would have
// later messages refer to the wrong bytes.
func (s *session) SentPrepared(m negotiate.Message) { s.out.remember(m.Data) }
