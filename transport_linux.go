package websocket

import "syscall"

const (
	// sendMore tells that more follows at once, so that a header does not leave in
	// a packet of its own.
	sendMore = syscall.MSG_MORE
	// sendQuietly keeps a broken connection from raising a signal.
	sendQuietly = syscall.MSG_NOSIGNAL
)
