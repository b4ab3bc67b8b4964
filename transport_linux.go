package websocket

import (
	"syscall"
	"unsafe"
)

// maxVector is the largest body that writeBoth writes with its head. Against two system
// calls, one takes 0.93 of the time of an echo of 64 KiB, but 1.04 of that of 1 MiB.
const maxVector = 256 << 10

// writeBoth writes head and body.
func (w *directWrite) writeBoth(fd int) {
	if len(w.body) <= maxVector {
		w.writeVector(fd, w.head.Bytes, w.body)
		return
	}
	// The head waits for more, so that it does not leave in a packet of its own.
	w.count(syscall.SendmsgN(fd, w.head.Bytes, nil, nil, syscall.MSG_MORE))
	if w.written == len(w.head.Bytes) && w.err == nil {
		w.count(syscall.Write(fd, w.body))
	}
}

// writeVector writes head and body in one system call, for which package syscall has no
// function: that of package net waits.
func (w *directWrite) writeVector(fd int, head, body []byte) {
	vector := [2]syscall.Iovec{{Base: &head[0]}, {Base: &body[0]}}
	vector[0].SetLen(len(head))
	vector[1].SetLen(len(body))
	n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vector)), uintptr(len(vector)))
	if errno != 0 {
		w.count(0, errno)
		return
	}
	w.count(int(n), nil)
}
