package websocket

import "syscall"

// sendMore tells that more follows at once, so that a header does not leave in a
// packet of its own.
const sendMore = syscall.MSG_MORE
