package websocket

import (
	"syscall"
	"unsafe"
)

// writeBoth writes head and body in one system call, for which package syscall has no
// function: that of package net waits. Against two, a header that waits for more
// (MSG_MORE) and the body, it takes 0.93 of the time of an echo of 64 KiB.
func (w *directWrite) writeBoth(fd int) {
	head, body := w.head.Bytes, w.body
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
