// Package negotiate is the opening handshake of WebSocket (RFC 6455, section 4)
// without I/O: requests and bytes in, decisions and bytes out. It tells which
// protocol version a request speaks, checks it, chooses subprotocol and
// extensions, and writes and reads the bytes of both sides, of a proxy's
// CONNECT, and of the drafts hixie-75 and hixie-76.
//
// It never reads a clock, starts no goroutine and touches no network, so it
// serves whoever brings their own. A server calls [Server] and sends what
// [ServerHandshake.AppendResponse] gives; a client calls [ParseURL] and
// [Client], sends what [ClientHandshake.AppendRequest] gives and hands what
// comes back to [ClientHandshake.Consume].
//
// Nothing here writes to the options, headers or requests it is given, and no
// CR, LF or NUL of a caller's or a peer's reaches a line that it writes.
package negotiate
