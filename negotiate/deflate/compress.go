package deflate

import (
	"sync"

	"github.com/klauspost/compress/flate"
)

const (
	// shortHistory is how much of what was sent a compressor is primed with, and
	// longHistory how much where the last message is longer than that, as it may be much
	// like the next. All 32 KiB that the protocol allows would have to be looked through
	// again for each message. Measured with JSON records of 1 KiB (bytes on the wire and
	// time a message; 414 B and 13 us without history): level 5 with 1.5 KiB 285 B,
	// 22 us; with 2 KiB 280 B, 24 us; with 4 KiB 270 B, 33 us; level 3 with 2 KiB 294 B,
	// 19 us; with 4 KiB 287 B, 24 us.
	shortHistory = 3 << 9
	longHistory  = 4 << 10

	// shortLevel is the level for messages no longer than shortHistory, where none is
	// set. To look harder at less of what came before them finds more than to look
	// quickly at more.
	shortLevel = 5

	// smallMessage is the size below which the compressors of levels 1 to 6 look
	// neither for repetitions nor at what they were primed with.
	smallMessage = 128

	// lazyLevel is the first of the levels that do.
	lazyLevel = 7

	// pieceSize is what a compressor takes of a message at a time.
	pieceSize = 64 << 10
)

// A deflater compresses the messages of one direction.
//
// The choice of compressor is by measurement, see BenchmarkCompressors and
// shortHistory. A message of 16 KiB takes level 5 two fifths longer than level 3, for
// a twelfth less on the wire.
type deflater struct {
	level   int // 0: that for the size of the message
	window  int // how far back a reference may go
	history history
}

// deflate appends the compressed message to dst, without its last four bytes. It
// does not add it to the history.
//
// "Compress all the octets of the payload of the message using DEFLATE [...] Remove
// 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end" (RFC 7692, section
// 7.2.1)
func (d *deflater) deflate(dst, data []byte, i *interruption) ([]byte, error) {
	out, err := d.deflateBlocks(dst, data, i)
	if err != nil {
		return dst, err
	}
	return out[:len(out)-len(tail)], nil
}

// levelFor is the level for a message of the size.
func (d *deflater) levelFor(size int) int {
	switch {
	case d.level != 0:
		return d.level
	case size <= shortHistory && d.history.max > 0:
		return shortLevel
	}
	return DefaultLevel
}

// remember adds a message to the history, if one is kept.
func (d *deflater) remember(message []byte) {
	if d.history.max > 0 {
		d.history.max = min(d.window, shortHistory)
		if len(message) > shortHistory {
			d.history.max = min(d.window, longHistory)
		}
	}
	d.history.add(message)
}

// pays reports whether a message that deflated to size is to go out so.
//
// With takeover a small one does even where it grew by a few bytes, as it is what
// makes the next one like it shrink: no message of 100 bytes would, if it had to
// begin by itself. A large one that does not shrink will hardly help the next.
func (d *deflater) pays(size, message int) bool {
	if d.history.max > 0 && message <= min(d.window, longHistory)/4 {
		return size <= message+message/16+8
	}
	return size < message
}

// deflateBlocks appends the message in blocks, the last of which is an empty one.
//
// No reference goes further back than the window: either all there is to refer to
// fits into it, or a compressor is used that limits itself to it.
func (d *deflater) deflateBlocks(dst, data []byte, i *interruption) ([]byte, error) {
	level := d.levelFor(len(data))
	if len(data) < smallMessage && level < lazyLevel && level != HuffmanOnly {
		return deflateSmall(dst, data, d.history.last(d.window-len(data)), i)
	}
	if d.window == 1<<MaxWindowBits || level == HuffmanOnly {
		return deflateWith(poolOfLevel(level), dst, data, d.history.bytes, i)
	}
	// Half the window is enough history to be worth the faster compressor, which
	// does without the limit.
	if len(data) <= d.window/2 {
		return deflateWith(poolOfLevel(level), dst, data, d.history.last(d.window-len(data)), i)
	}
	return deflateWith(poolOfWindow(d.window), dst, data, d.history.bytes, i)
}

// A compressor is a flate.Writer and where it writes to.
type compressor struct {
	writer *flate.Writer
	out    appender
}

// deflateWith compresses with one of the pool. The compressor goes back with a
// reference to the history, which it neither reads nor changes again; one that was
// interrupted does not go back, as nobody has promised what state it is in.
func deflateWith(pool *sync.Pool, dst, data, history []byte, i *interruption) ([]byte, error) {
	c := pool.Get().(*compressor)
	c.out = appender{dst, i}
	c.writer.ResetDict(&c.out, history)
	err := c.write(data)
	if err == nil {
		err = c.writer.Flush()
	}
	if err != nil {
		return dst, err
	}
	dst, c.out = c.out.bytes, appender{}
	pool.Put(c)
	return dst, nil
}

// write gives the message to the compressor a piece at a time, as there may be nothing
// to write out for as long as it is. What comes out is the same.
func (c *compressor) write(data []byte) error {
	for len(data) > pieceSize {
		if err := c.out.interruption.err(); err != nil {
			return err
		}
		if _, err := c.writer.Write(data[:pieceSize]); err != nil {
			return err
		}
		data = data[pieceSize:]
	}
	_, err := c.writer.Write(data)
	return err
}

// deflateSmall compresses with a compressor that takes what it needs from the stack
// and one copy of the history from the heap.
func deflateSmall(dst, data, history []byte, i *interruption) ([]byte, error) {
	out := appenders.Get().(*appender)
	*out = appender{dst, i}
	err := flate.StatelessDeflate(out, data, false, history)
	dst, *out = out.bytes, appender{}
	appenders.Put(out)
	return dst, err
}

// An appender is a writer that appends.
type appender struct {
	bytes        []byte
	interruption *interruption
}

func (a *appender) Write(p []byte) (int, error) {
	if err := a.interruption.err(); err != nil {
		return 0, err
	}
	a.bytes = append(a.bytes, p...)
	return len(p), nil
}
