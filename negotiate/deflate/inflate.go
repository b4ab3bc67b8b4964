package deflate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/chanws/websocket/negotiate"
	"github.com/klauspost/compress/flate"
)

const (
	// tail is what the sender has removed (RFC 7692, section 7.2.1).
	tail = "\x00\x00\xff\xff"

	// final is an empty last block. It makes a decompressor end the stream, which
	// tells that the one before it was complete.
	final = "\x01\x00\x00\xff\xff"

	tailAndFinal = tail + final

	// readSize is what a decompressor takes of a message at a time.
	readSize = 2 << 10

	// maxStreams is how many blocks marked as the last a message may have, beside one
	// for each streamShare bytes of it. A sender that has no other way to flush makes
	// one each time. But each begins a stream anew, with all of the window, and two
	// bytes are enough for one: 64 MiB of them would take minutes.
	maxStreams  = 128
	streamShare = 1 << 10
)

var (
	// errRest is a message that ends within a block.
	errRest = errors.New("deflate: message ends within a block (RFC 7692, section 7.2.2)")

	errStreams = errors.New("deflate: too many blocks marked as the last (RFC 7692, section 7.2.3.4)")
)

// An inflater decompresses the messages of one direction.
type inflater struct{ history history }

// inflate appends the message to dst.
//
// "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload of the
// message. Decompress the resulting data using DEFLATE." (RFC 7692, section 7.2.2)
func (d *inflater) inflate(dst, data []byte, limit int64, i *interruption) ([]byte, error) {
	// A sender that leaves no block at all has sent nothing that could be wrong.
	if len(data) == 0 {
		return dst, nil
	}
	c := decompressors.Get().(*decompressor)
	c.start(dst, data, limit, i)
	err := c.run(d.history.bytes)
	out := c.out.bytes
	c.stop()
	decompressors.Put(c)
	switch {
	case errors.Is(err, errInterrupted):
		return dst, errInterrupted
	case errors.Is(err, negotiate.ErrTooBig):
		return dst, fmt.Errorf("deflate: message of %d bytes inflates to more than the limit of %d: %w", len(data), limit, err)
	case err != nil:
		return dst, fmt.Errorf("deflate: message does not inflate (RFC 7692, section 7.2.2): %w", err)
	}
	d.history.add(out[len(dst):])
	return out, nil
}

// A decompressor is a flate reader, where it reads from and where it writes to.
type decompressor struct {
	reader inflateReader
	buffer *bufio.Reader
	source source
	end    int // how much of the source is not the message's own
	out    limited
	joined []byte // history and message, where a stream begins within the message
}

// An inflateReader is what flate.NewReader returns.
type inflateReader interface {
	flate.Resetter
	io.WriterTo
}

func newDecompressor() *decompressor {
	return &decompressor{
		reader: flate.NewReader(nil).(inflateReader),
		buffer: bufio.NewReaderSize(nil, readSize),
	}
}

// start prepares for a message.
func (c *decompressor) start(dst, data []byte, limit int64, i *interruption) {
	c.source = source{data, tailAndFinal, i}
	// Some senders leave the tail in place. No other message ends like this: the
	// last byte has bits of the header that belongs to the tail, which are zero.
	if bytes.HasSuffix(data, []byte(tail)) {
		c.source.after = final
	}
	c.end = len(c.source.after)
	c.out = limited{bytes: dst, base: len(dst), limit: limit, interruption: i}
	c.buffer.Reset(&c.source)
}

// stop lets go of the message.
func (c *decompressor) stop() {
	c.source, c.out = source{}, limited{}
}

// run inflates. A block may be marked as the last; what follows it is as if there
// were no mark (RFC 7692, section 7.2.3.4).
func (c *decompressor) run(dict []byte) error {
	window := dict
	for streams := maxStreams + len(c.source.data)/streamShare; streams > 0; streams-- {
		before := len(c.out.bytes)
		// There is no error: the reader is reset, not read.
		_ = c.reader.Reset(c.buffer, window)
		if _, err := c.reader.WriteTo(&c.out); err != nil {
			return err
		}
		switch rest := c.source.len() + c.buffer.Buffered(); {
		case rest == 0 || rest == c.end:
			return nil
		case rest < c.end:
			return errRest
		}
		if len(c.out.bytes) > before {
			window = c.window(dict)
		}
	}
	return errStreams
}

// window returns the last bytes of what was and is decompressed.
func (c *decompressor) window(dict []byte) []byte {
	made := c.out.bytes[c.out.base:]
	room := 1<<MaxWindowBits - len(made)
	if len(dict) == 0 || room <= 0 {
		return made
	}
	c.joined = append(c.joined[:0], dict[max(len(dict)-room, 0):]...)
	c.joined = append(c.joined, made...)
	return c.joined
}

// A source is a message and what is to be read after it.
type source struct {
	data         []byte
	after        string
	interruption *interruption
}

func (s *source) len() int { return len(s.data) + len(s.after) }

func (s *source) Read(p []byte) (int, error) {
	if err := s.interruption.err(); err != nil {
		return 0, err
	}
	if len(s.data) > 0 {
		n := copy(p, s.data)
		s.data = s.data[n:]
		return n, nil
	}
	if s.after == "" {
		return 0, io.EOF
	}
	n := copy(p, s.after)
	s.after = s.after[n:]
	return n, nil
}

// A limited is a writer that appends up to a limit.
type limited struct {
	bytes        []byte
	base         int // what was there before
	limit        int64
	interruption *interruption
}

// Write refuses what would be over the limit before it makes room for it.
func (l *limited) Write(p []byte) (int, error) {
	if err := l.interruption.err(); err != nil {
		return 0, err
	}
	if int64(len(l.bytes)-l.base)+int64(len(p)) > l.limit {
		return 0, negotiate.ErrTooBig
	}
	if size := len(l.bytes) + len(p); size > cap(l.bytes) {
		l.grow(size)
	}
	l.bytes = append(l.bytes, p...)
	return len(p), nil
}

// grow doubles the room, so that it follows what was made of the message and not
// what the message claims; but not beyond the limit.
func (l *limited) grow(size int) {
	room := max(size, 2*cap(l.bytes))
	if most := int64(l.base) + l.limit; int64(room) > most {
		room = int(most)
	}
	l.bytes = append(make([]byte, 0, room), l.bytes...)
}
