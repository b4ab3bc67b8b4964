package websocket

import (
	"encoding/binary"
	"syscall"

	"github.com/chanws/websocket/codec"
)

// What Linux calls TCP_INQ, since 4.18: with what is received comes the number of
// bytes that are left. It is 1 at least where the peer has ended its side.
const tcpInq = 36

// foresightAfter is how many reads a connection has made when it asks for that: to ask
// is a system call, and saves one that finds nothing after each read.
const foresightAfter = 4

// foresight is what tells what is left to be read.
type foresight struct {
	reads uint8
	asked bool
}

// receive reads once, and reports whether it is known that nothing is left.
func (t *socketTransport) receive(fd int, r codec.Reader) (n int, drained bool, err error) {
	b := r.Space(0)
	if !t.foresees(fd) {
		n, err = syscall.Read(fd, b)
		return n, false, err
	}
	var control [32]byte
	n, size, _, _, err := syscall.Recvmsg(fd, b, control[:], 0)
	return n, n > 0 && bytesLeft(control[:size]) == 0, err
}

// foresees reports whether reads tell what is left. Without a clock they need not: a
// connection that was reset at once after the bytes is not known to be before it is
// read again, and the clock sees to that. It stands still where there is no place to rest.
func (t *socketTransport) foresees(fd int) bool {
	if !t.consumer.consumes() {
		return false
	}
	f := &t.foresight
	if f.reads < foresightAfter {
		f.reads++
		f.asked = f.reads == foresightAfter && syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, tcpInq, 1) == nil
	}
	return f.asked && t.idle.ticking && !t.idle.restless
}

// bytesLeft finds how many bytes are left in a control message: some, where there is
// none.
func bytesLeft(control []byte) int {
	const word = 4
	header := syscall.CmsgLen(0)
	if len(control) < header+word {
		return 1
	}
	level := binary.NativeEndian.Uint32(control[header-2*word:])
	kind := binary.NativeEndian.Uint32(control[header-word:])
	if level != syscall.IPPROTO_TCP || kind != tcpInq {
		return 1
	}
	return int(binary.NativeEndian.Uint32(control[header:]))
}
