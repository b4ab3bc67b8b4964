package codec

// A Reader turns the bytes of one protocol version into events. It owns the
// buffer that they are read into:
//
//	for {
//		event, err := r.Next()
//		if err == codec.ErrNeedMore {
//			n, err := socket.Read(r.Space(limit))
//			r.Wrote(n)
//		}
//	}
//
// The versions are siblings behind this interface, so that a connection does not
// ask which one it has.
type Reader interface {
	// Next returns the next event, ErrNeedMore where the bytes at hand hold none,
	// or a *ProtocolError, after which the Reader only gives that error again.
	Next() (FrameEvent, error)

	// Space returns where the next bytes are to be written: at least one byte,
	// and at most limit where that is above 0. It may move what Next has not used.
	Space(limit int) []byte

	// Wrote tells that the first n bytes of Space hold input now.
	Wrote(n int)

	// Rest gives the bytes written and not yet used by Next.
	Rest() int

	// Idle lets the buffer go where no byte is in it.
	Idle()
}

// A Writer turns messages into the bytes of one protocol version.
type Writer interface {
	// AppendFrame appends the whole frame. The payload stays as it is.
	AppendFrame(dst []byte, f Frame) []byte

	// AppendHeader appends what goes before the payload, if the payload goes out
	// as it is and nothing comes after it; else it reports false.
	AppendHeader(dst []byte, f Frame) ([]byte, bool)

	// Seal does so too, and may change the payload in place to what then follows.
	Seal(dst []byte, f Frame) ([]byte, bool)

	// Supports reports whether the version has frames of this kind.
	Supports(op Opcode) bool
}

// A Frame is what a Writer is given.
type Frame struct {
	Opcode   Opcode // OpContinuation for all but the first frame of a message
	Final    bool
	Reserved Reserved
	Payload  []byte
}

// A FrameEvent is what a Reader gives: a message or a part of one (OpText, OpBinary),
// or a control frame (OpClose, OpPing, OpPong).
type FrameEvent struct {
	Opcode Opcode
	// Final is false for all but the last part of a message, where a Reader was
	// told to give messages in parts.
	Final bool
	// Reserved has the bits of the first frame of the message.
	Reserved Reserved
	// Payload is the message's, or the control frame's. The latter is valid until
	// the next call of Next, Space or Idle; the former as long as Buffer is not released.
	// That of a close frame has been checked: ConsumeClosePayload gives its code and
	// reason, and no error.
	Payload []byte
	// Buffer holds the Payload of a message and is the receiver's from now on. It
	// is nil where the payload is empty.
	Buffer *Buffer
}
