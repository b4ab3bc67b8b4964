package websocket

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// A Prepared is a message that is sent to many connections. It is encoded once, and
// compressed once for each set of parameters that the connections have agreed on. The
// queues of the connections refer to it and hold no copy. It never changes, can be sent
// any number of times by any number of goroutines, and is the garbage collector's when
// nobody refers to it any more.
//
// Only what is the same on the wire for all can be shared. A client masks every frame
// with a key of its own (RFC 6455, section 5.3), so a client's connections encode for
// themselves, as do the drafts before RFC 6455 and connections with extensions that are
// no [negotiate.Preparer].
//
// With permessage-deflate a Prepared is compressed by itself, without reference to
// earlier messages, whether there is context takeover or not: that takes more bytes on
// the wire than Send does with takeover, and for many connections a small part of the
// time.
type Prepared struct {
	opcode  codec.Opcode
	payload []byte
	plain   wireForm // for connections without extensions

	forms  atomic.Pointer[wireForm] // for others, a list
	adding sync.Mutex
}

// A wireForm is a Prepared as a server sends it, unmasked: the same bytes for all
// connections whose extensions have the key.
type wireForm struct {
	key         any
	once        sync.Once
	frame       []byte
	transformed bool
	err         error
	next        *wireForm
	length      int // of the list from here on
}

// maxForms bounds the forms that a Prepared holds, in case connections have more
// parameters than there are reasons for. Those of permessage-deflate give 8, as many
// as there are windows, where all have the same options.
const maxForms = 32

// Prepare makes a message ready to be sent to many connections, with
// [Conn.SendPrepared], [Conn.TrySendPrepared] or [Broadcast]. It copies m.Data, which
// is the caller's again when it returns.
//
// It returns a [*UsageError] for a text that is not UTF-8 and for an unknown type.
func Prepare(m Message) (*Prepared, error) {
	var f outFrame
	if err := f.set("Prepare", &m); err != nil {
		return nil, err
	}
	frame := make([]byte, 0, codec.MaxHeaderSize+len(m.Data))
	frame = new(codec.Encoder).AppendFrame(frame, f.Frame)
	p := &Prepared{opcode: f.Opcode, payload: frame[len(frame)-len(m.Data):]}
	p.plain.frame = frame
	return p, nil
}

// SendPrepared sends a prepared message. Waiting, order and errors are as for
// [Conn.Send]. One that waits in the queue counts with the size of its payload.
func (c *Conn) SendPrepared(ctx context.Context, p *Prepared) error {
	if ctx == nil {
		return &UsageError{"SendPrepared", errNilContext}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !p.valid() {
		return &UsageError{"SendPrepared", errNotPrepared}
	}
	f := p.outFrame()
	return c.sendFrame(ctx, &f)
}

// TrySendPrepared sends a prepared message as SendPrepared does, but never waits: where
// the queue has no room it returns [ErrQueueFull].
func (c *Conn) TrySendPrepared(p *Prepared) error {
	if !p.valid() {
		return &UsageError{"TrySendPrepared", errNotPrepared}
	}
	f := p.outFrame()
	return c.trySendFrame(&f)
}

const errNotPrepared = "the message was not made by Prepare"

func (p *Prepared) valid() bool { return p != nil && p.opcode != 0 }

func (p *Prepared) outFrame() outFrame {
	return outFrame{Frame: codec.Frame{Opcode: p.opcode, Final: true, Payload: p.payload}, prepared: p}
}

// wireFrame gives the bytes of a prepared message on this connection, which are not to
// be changed. What it gives is the next message to be written: extensions take it to be
// sent. It reports false where the connection has to encode for itself. It is called by
// the writer.
func (c *Conn) wireFrame(p *Prepared) (frame []byte, ok bool, err error) {
	if !c.sharesFrames() {
		return nil, false, nil
	}
	if c.pipeline == nil {
		return p.plain.frame, true, nil
	}
	return c.transformedFrame(p) // apart, as others are not to pay for its defer
}

func (c *Conn) transformedFrame(p *Prepared) (frame []byte, ok bool, err error) {
	returned := false
	defer func() {
		if !returned {
			c.loseWriter()
		}
	}()
	frame, ok, err = c.formFor(p)
	returned = true
	return frame, ok, err
}

// formFor is wireFrame for a connection with extensions.
func (c *Conn) formFor(p *Prepared) (frame []byte, ok bool, err error) {
	key, ok := c.pipeline.PreparedKey()
	if !ok {
		return nil, false, nil
	}
	form := p.form(key)
	if form == nil {
		return nil, false, nil
	}
	form.once.Do(func() { p.fill(form, c.pipeline) })
	if form.transformed {
		c.pipeline.SentPrepared(p.message())
	}
	return form.frame, true, form.err
}

// sharesFrames reports whether this side's frames are the same as other connections':
// those of a server of RFC 6455.
func (c *Conn) sharesFrames() bool {
	encoder, ok := c.writer.(*codec.Encoder)
	return ok && encoder.NewKey == nil
}

func (p *Prepared) message() negotiate.Message {
	return negotiate.Message{Text: p.opcode == codec.OpText, Data: p.payload}
}

// form gives the form for the key, which may be still to be filled; nil where there are
// too many already.
func (p *Prepared) form(key any) *wireForm {
	if f := p.findForm(key); f != nil {
		return f
	}
	p.adding.Lock()
	defer p.adding.Unlock()
	if f := p.findForm(key); f != nil {
		return f
	}
	f := &wireForm{key: key, next: p.forms.Load(), length: 1}
	if f.next != nil {
		f.length += f.next.length
	}
	if f.length > maxForms {
		return nil
	}
	p.forms.Store(f)
	return f
}

func (p *Prepared) findForm(key any) *wireForm {
	f := p.forms.Load()
	for f != nil && f.key != key {
		f = f.next
	}
	return f
}

// fill makes the frame of a form, once. Where that panics there is none for those who
// come later either, and they are told.
func (p *Prepared) fill(form *wireForm, pipeline *negotiate.Pipeline) {
	form.err = errExtension
	buffer := codec.NewBuffer(len(p.payload))
	defer buffer.Release()
	out, bits, transformed, err := pipeline.Prepare(buffer.Bytes, p.message())
	form.err = err
	switch {
	case err != nil:
	case !transformed:
		form.frame = p.plain.frame
	default:
		f := codec.Frame{Opcode: p.opcode, Final: true, Reserved: codec.Reserved(bits), Payload: out}
		form.transformed = true
		form.frame = new(codec.Encoder).AppendFrame(make([]byte, 0, codec.MaxHeaderSize+len(out)), f)
		buffer.Bytes = out
	}
}

// addPrepared queues a prepared message by reference.
func (b *batch) addPrepared(p *Prepared) {
	b.pieces = append(b.pieces, outgoing{opcode: p.opcode, final: true, prepared: p})
	b.count++
	b.size += len(p.payload)
	b.prepared++
}

// addPrepared gathers the frame of a prepared message with others, or writes it from
// where it lies. It reports false where the connection has to encode for itself.
func (p *packer) addPrepared(m *Prepared) (ok bool, err error) {
	frame, ok, err := p.conn.wireFrame(m)
	if err != nil || !ok {
		return ok, err
	}
	if len(frame) < byReference {
		if len(p.out.Bytes)+len(frame) > cap(p.out.Bytes) {
			if err := p.flush(); err != nil {
				return true, err
			}
		}
		if len(frame) <= cap(p.out.Bytes) {
			p.out.Bytes = append(p.out.Bytes, frame...)
			return true, nil
		}
	}
	return true, p.writeWith(frame)
}

// writeWith writes what is gathered and, after it, a frame from where it lies.
func (p *packer) writeWith(frame []byte) error {
	p.writes++
	err := p.conn.write(p.out.Bytes, frame)
	p.out.Bytes = p.out.Bytes[:0]
	return err
}
