//go:build !unix

package websocket

import "net"

// socketTransport is nothing here: a socket is a net.Conn like any other.
type socketTransport struct{ connTransport }

func (t *socketTransport) init(net.Conn) bool { return false }
