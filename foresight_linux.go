package websocket

import (
	"encoding/binary"
	"sync/atomic"
	"syscall"

	"github.com/chanws/websocket/codec"
)

// What Linux calls TCP_INQ, since 4.18: with what is received comes the number of
// bytes that are left. It is 1 at least where the peer has ended its side.
const tcpInq = 36

// foresightAfter is how many reads a connection has made when it asks for that: to ask is
// two system calls, and the host has to be there. It saves a read that finds nothing after
// each that finds something.
const foresightAfter = 16

// foresight is what tells what is left to be read: first the number of reads, and then one
// of the two below.
type foresight struct{ atomic.Uint32 }

const (
	sighted = foresightAfter // the kernel tells, and the host of a reset
	blind   = foresightAfter + 1
)

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

// foresees reports whether reads tell what is left. They do not of a reset that came
// behind it, which nobody would be told of again once the bytes are read: the host sees to
// that, see hangUp. It can not for sockets that have no place to rest.
func (t *socketTransport) foresees(fd int) bool {
	if !t.consumer.consumes() || t.idle.restless {
		return false
	}
	reads := t.foresight.Load()
	if reads < foresightAfter {
		reads++
		t.foresight.Store(reads) // before the host can know better
		if reads == sighted && !t.askForesight(fd) {
			reads = blind
			t.foresight.Store(blind)
		}
	}
	return reads == sighted
}

func (t *socketTransport) askForesight(fd int) bool {
	c, ok := t.consumer.(*Conn)
	return ok && !inBubble() && syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, tcpInq, 1) == nil && t.idle.place.watch(c)
}

// hangUp has the reader, whatever it waits for, look what there is: the peer is gone.
func (t *socketTransport) hangUp() {
	t.foresight.Store(blind)
	t.idle.mu.Lock()
	defer t.idle.mu.Unlock()
	if !t.idle.final {
		t.SetReadDeadline(past)
	}
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
