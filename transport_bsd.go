//go:build unix && !linux

package websocket

import (
	"syscall"

	"github.com/chanws/websocket/codec"
)

// foresight is what a system has that tells what is left to be read.
type foresight struct{}

// receive reads once. Whether more is left only the next read tells here.
func (t *socketTransport) receive(fd int, r codec.Reader) (n int, drained bool, err error) {
	n, err = syscall.Read(fd, r.Space(0))
	return n, false, err
}

// writeBoth writes head and body.
func (w *directWrite) writeBoth(fd int) {
	w.count(syscall.Write(fd, w.head.Bytes))
	if w.written == len(w.head.Bytes) && w.err == nil {
		w.count(syscall.Write(fd, w.body))
	}
}
