package codec

// An Encoder is the Writer of hybi frames. The zero value is a server's; a client
// has a source of masking keys.
type Encoder struct {
	// NewKey gives the masking key for each frame of a client. It must not be
	// possible to predict it (RFC 6455, sections 5.3 and 10.3). nil means that
	// frames are not masked, as a server's. It is called by whoever calls the Encoder, at
	// once where they do so at once.
	NewKey func() MaskKey
}

// AppendFrame appends the frame, masked where the Encoder is a client's.
func (e *Encoder) AppendFrame(dst []byte, f Frame) []byte {
	h := Header{Final: f.Final, Reserved: f.Reserved, Opcode: f.Opcode, Length: uint64(len(f.Payload))}
	if e.NewKey == nil {
		return append(AppendHeader(dst, h), f.Payload...)
	}
	h.Masked, h.Key = true, e.NewKey()
	dst = AppendHeader(dst, h)
	n := len(dst)
	dst = append(dst, f.Payload...)
	Mask(dst[n:], h.Key, 0)
	return dst
}

// AppendHeader appends the header of an unmasked frame. A client's payload has to
// be masked, so there it reports false.
func (e *Encoder) AppendHeader(dst []byte, f Frame) ([]byte, bool) {
	if e.NewKey != nil {
		return dst, false
	}
	h := Header{Final: f.Final, Reserved: f.Reserved, Opcode: f.Opcode, Length: uint64(len(f.Payload))}
	return AppendHeader(dst, h), true
}

// Seal appends the header and masks the payload in place, where it is masked.
func (e *Encoder) Seal(dst []byte, f Frame) ([]byte, bool) {
	if e.NewKey == nil {
		return e.AppendHeader(dst, f)
	}
	h := Header{Final: f.Final, Reserved: f.Reserved, Opcode: f.Opcode, Masked: true, Key: e.NewKey(), Length: uint64(len(f.Payload))}
	Mask(f.Payload, h.Key, 0)
	return AppendHeader(dst, h), true
}

// Supports reports true: RFC 6455 has all frames.
func (e *Encoder) Supports(Opcode) bool { return true }
