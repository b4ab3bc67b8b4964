// Package conformance is a suite of the WebSocket protocol's rules. It plays
// the client against a server under test, or the server against a client under
// test, and says of every rule whether the peer kept it.
//
// It shares no code with any implementation: it speaks raw bytes with its own
// few lines of framing, so that a shared fault can not hide. README.md lists
// the groups of cases; the command wsconform runs them.
package conformance
