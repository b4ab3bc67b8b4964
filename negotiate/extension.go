package negotiate

// Reserved is a set of the reserved bits of a frame's first byte (RFC 6455,
// section 5.2).
type Reserved uint8

// The reserved bits.
const (
	RSV1 Reserved = 4
	RSV2 Reserved = 2
	RSV3 Reserved = 1
)

// A Param is one parameter of an extension. Value is empty for a parameter
// that is a flag: a value, once unquoted, has to be a token and so has at least
// one byte (RFC 6455, section 9.1).
type Param struct{ Name, Value string }

// An Offer is an extension with its parameters, as one element of
// Sec-WebSocket-Extensions: what a client offers, or what was agreed.
type Offer struct {
	Name   string
	Params []Param
}

// An Extension is what a connection may agree on beyond RFC 6455 (its section
// 9). One value serves any number of connections, from any goroutine: what
// belongs to a connection lives in the [Session] made for it.
type Extension interface {
	// Name returns the registered name, a token such as
	// "permessage-deflate".
	Name() string
	// Reserved returns the bits that messages of this extension may carry. Two
	// extensions that share a bit are not both agreed on.
	Reserved() Reserved
	// Client begins the negotiation of one connection as a client.
	Client() ClientExtension
	// Server decides on the offers of this name, in the client's order of
	// preference. With ok it returns the parameters to answer with and the
	// session; without, or with a nil session, all offers are declined.
	//
	// An offer with unknown or illegal parameters is to be declined, not to be
	// taken for another (RFC 7692, section 5.1).
	Server(offers [][]Param) (answer []Param, s Session, ok bool)
}

// A ClientExtension is the negotiation of one connection as a client.
type ClientExtension interface {
	// Offers returns what to offer, the most wanted first. None is valid: then
	// the extension is not offered.
	Offers() [][]Param
	// Activate makes the session from the server's answer, or refuses it with
	// an error, which fails the handshake. It has to refuse a parameter that the
	// server had no right to answer with: only the extension knows which may
	// come without having been offered.
	Activate(answer []Param) (Session, error)
}

// A Message is what passes through a session: the payload of a whole data
// message, never of a control frame.
type Message struct {
	// Text tells a text message from a binary one.
	Text bool
	// Reserved has the reserved bits that the first frame came with, only those
	// that belong to the session asked. Outgoing messages have none.
	Reserved Reserved
	// Data is the payload. A session neither changes nor keeps it.
	Data []byte
}

// A Session is an extension at work on one connection. Outgoing is called by
// one goroutine at a time, Incoming by one goroutine at a time; the two may run
// at once. Close is called once, after the last of both. It may be an [Interrupter]
// and a [Preparer] too.
type Session interface {
	// Outgoing appends m's transformed payload to dst and says which reserved
	// bits the first frame carries. If transformed is false, m goes out as it
	// is, without bits, and out is not looked at. An error ends the connection.
	Outgoing(dst []byte, m Message) (out []byte, bits Reserved, transformed bool, err error)

	// Incoming appends m's payload as it was before the peer's Outgoing to
	// dst. If transformed is false, m is as it was and out is not looked at.
	// What it appends is at most limit bytes; for a message that would be longer
	// it returns an error with [ErrTooBig] in its chain, before it holds more
	// than that. Any other error ends the connection as a breach of protocol.
	Incoming(dst []byte, m Message, limit int64) (out []byte, transformed bool, err error)

	// Close gives back what the session holds.
	Close()
}
