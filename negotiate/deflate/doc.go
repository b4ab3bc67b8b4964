// Package deflate is permessage-deflate (RFC 7692), the extension that compresses
// messages, for package negotiate and whatever is built on it:
//
//	websocket.DialOptions{Extensions: []negotiate.Extension{deflate.New(nil)}}
//
// Options are the same for servers and clients; see [Options].
//
// # What it costs
//
// Compressors and decompressors are pooled and taken only while a message is
// worked on. Between messages a connection holds some 150 bytes and, with context
// takeover, history:
//
//   - of what it has sent, 1.5 KiB, or 4 KiB where the last message was longer than
//     that, as that gives nearly the size on the wire of all that the protocol allows
//     (the memory stays where it was needed once);
//   - of what it has received, the peer's window: 2 KiB where a server could agree on
//     [DefaultClientWindowBits], else up to 32 KiB, since the peer may refer to any
//     byte of it.
//
// Both grow with what passes, to at most twice as much, so that a connection that has
// echoed 1 KiB keeps 2 KiB. Without takeover there is no history.
//
// With takeover every message pays for going through the history again, which shows in
// the time and in the size: to send and receive a JSON record of 1 KiB takes 29 us and
// 266 bytes on the wire, without takeover 21 us and 375 bytes (BenchmarkJSON, on a core
// of an AMD EPYC in November 2026). The module bench compares with other libraries.
package deflate
