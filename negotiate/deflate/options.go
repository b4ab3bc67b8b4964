package deflate

import (
	"fmt"

	"github.com/chanws/websocket/negotiate"
)

// Bounds and defaults of [Options].
const (
	MinWindowBits = 8
	MaxWindowBits = 15

	// HuffmanOnly is the level that looks for no repetitions: the fastest, the
	// least compression, and no memory for history when sending.
	HuffmanOnly = -2

	// DefaultLevel is what level 0 means, but for short messages: see [Options].
	DefaultLevel = 3

	// DefaultThreshold is the size from which on messages are compressed.
	DefaultThreshold = 128

	// DefaultClientWindowBits is the window that a server asks its clients to
	// keep to.
	DefaultClientWindowBits = 11
)

// Options say how to compress and what to negotiate. The zero value, and nil,
// is a good choice for small structured messages. It is never written to.
//
// "Server" and "client" in the names of the fields are the sides of the connection, as in
// RFC 7692, whichever of them uses the Options.
type Options struct {
	// Level is the effort, from 1 (fast) to 9 (small), or [HuffmanOnly]. Default:
	// [DefaultLevel]; with context takeover, 5 for messages of up to 1.5 KiB, which gain
	// most from what was sent before them.
	Level int

	// Threshold is the size in bytes from which on messages are compressed.
	// Default: [DefaultThreshold]; below 0: all. A message that would not get
	// smaller goes out as it is anyhow.
	Threshold int

	// Compress is asked for each message of at least Threshold bytes; one for which
	// it returns false goes out as it is: what is compressed already, or what must
	// not be. An attacker who sees the sizes of encrypted messages and has some of
	// his own bytes among their contents may guess at the rest; do not compress
	// secrets with them (RFC 7692, section 8). It is called by the goroutine
	// that sends, must not block, and must not change or keep m.Data. For a message
	// that was prepared for many connections it is called for one of them.
	Compress func(m negotiate.Message) bool

	// ServerNoContextTakeover has the server compress each message on its own: it
	// costs neither side memory between messages, and takes more bytes on the wire.
	// A client demands it of the server (RFC 7692, section 7.1.1.1).
	ServerNoContextTakeover bool

	// ClientNoContextTakeover is the same for what the client sends. A server
	// demands it of the client (RFC 7692, section 7.1.1.2).
	ClientNoContextTakeover bool

	// ServerMaxWindowBits limits how far back, in what it has sent, the server's
	// compression may refer: 2^bits bytes, with bits from [MinWindowBits] to
	// [MaxWindowBits] (RFC 7692, section 7.1.2.1). The client has to keep as much.
	//
	// A server holds itself to it and tells the client. A client asks for it (for 9
	// in place of 8, which most peers can not do) but makes do with a server that can
	// not. Default: 15, which a client does not ask for and a server does not mention.
	ServerMaxWindowBits int

	// ClientMaxWindowBits is the same for what the client sends, and so for what the
	// server has to keep (RFC 7692, section 7.1.2.2).
	//
	// A client holds itself to it and tells the server. Default: 15. A server asks for
	// it (for 9 in place of 8) from clients that say that they can, as most do but Firefox; the others use
	// 15, and only ClientNoContextTakeover keeps them from costing up to 32 KiB
	// each. Default: [DefaultClientWindowBits].
	ClientMaxWindowBits int
}

// check says what is wrong with the options.
func (o *Options) check() error {
	if o.Level != HuffmanOnly && (o.Level < 0 || o.Level > 9) {
		return fmt.Errorf("deflate: level %d is not 1 to 9 or HuffmanOnly", o.Level)
	}
	for _, bits := range [...]int{o.ServerMaxWindowBits, o.ClientMaxWindowBits} {
		if bits != 0 && !validBits(bits) {
			return fmt.Errorf("deflate: window bits %d are not 8 to 15", bits)
		}
	}
	return nil
}

func validBits(bits int) bool { return bits >= MinWindowBits && bits <= MaxWindowBits }

// asked returns what to ask of a peer for a limit in the options. zlib, with which
// most compress, can not do 8 bits: some libraries then take 9, others fail at the
// first message.
func asked(bits int) int {
	if bits == MinWindowBits {
		return MinWindowBits + 1
	}
	return bits
}

// orElse returns bits, or instead where none are set.
func orElse(bits, instead int) int {
	if bits == 0 {
		return instead
	}
	return bits
}
