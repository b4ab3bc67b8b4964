package websocket

// growStackToShake makes the stack of a goroutine 4 KiB, which a handshake needs, for
// SHA-1 most of all. It begins with 2 KiB, and to grow the runtime moves all that is on
// it, which takes some hundreds of instructions a frame: here there are few.
//
//go:noinline
func growStackToShake() {
	var room [1200]byte
	occupy(room[:])
}

// growStackToTransform makes it 8 KiB, as extensions that compress need. With the 4 KiB
// that are enough for most others it would lie among the stacks of applications that
// compress, and leave holes there when it ends: 2000 connections with compression took
// 3 KB more each.
//
//go:noinline
func growStackToTransform() {
	var room [3584]byte
	occupy(room[:])
}

// occupy keeps the compiler from leaving the room out.
//
//go:noinline
func occupy([]byte) {}
