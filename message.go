package websocket

import (
	"context"
	"encoding/json"

	"github.com/chanws/websocket/codec"
)

// A MessageType tells text from binary (RFC 6455, section 5.6). Its values are the
// opcodes.
type MessageType uint8

const (
	TextMessage   MessageType = 1 // UTF-8, checked both ways
	BinaryMessage MessageType = 2
)

func (t MessageType) String() string {
	switch t {
	case TextMessage:
		return "text"
	case BinaryMessage:
		return "binary"
	}
	return "unknown"
}

// A Message is one message, or a part of one where the option Fragments asks for
// that. A received Message belongs to its receiver: nobody else touches Data.
type Message struct {
	// Type is that of the whole message, in each of its parts too.
	Type MessageType
	// Final is true for a whole message and for the last part of one.
	Final bool

	generation uint32

	// Data is the payload. In a text it is UTF-8; a part of a text may end within
	// a character.
	Data []byte

	buffer *codec.Buffer
}

// Text makes a text message of s, which must be UTF-8 to be sent.
func Text(s string) Message {
	return Message{Type: TextMessage, Final: true, Data: []byte(s)}
}

// Binary makes a binary message of b, which is not copied.
func Binary(b []byte) Message {
	return Message{Type: BinaryMessage, Final: true, Data: b}
}

// String gives the payload as a string.
func (m Message) String() string { return string(m.Data) }

// JSON decodes the payload into v, as [json.Unmarshal] does, whatever the type of
// the message.
func (m Message) JSON(v any) error { return json.Unmarshal(m.Data, v) }

// Release gives the memory of a received message back for reuse: Data must not be
// used after it, in no copy of the Message. It is optional, and saves an allocation
// a message. A second Release, and that of a message made by the application, do
// nothing.
func (m Message) Release() {
	if m.buffer != nil {
		m.buffer.ReleaseOnce(m.generation)
	}
}

// SendJSON sends v in JSON as a text message. The error is that of [json.Marshal]
// or of [Conn.Send].
func (c *Conn) SendJSON(ctx context.Context, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.Send(ctx, Message{Type: TextMessage, Final: true, Data: data})
}
