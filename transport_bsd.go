//go:build unix && !linux

package websocket

import "syscall"

// writeBoth writes head and body.
func (w *directWrite) writeBoth(fd int) {
	w.count(syscall.Write(fd, w.head.Bytes))
	if w.written == len(w.head.Bytes) && w.err == nil {
		w.count(syscall.Write(fd, w.body))
	}
}
