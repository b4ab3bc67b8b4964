//go:build !unix

package websocket

import "net"

// newSocketTransport returns nil: here a socket is a net.Conn like any other.
func newSocketTransport(net.Conn) transport { return nil }
