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

// occupy keeps the compiler from leaving the room out.
//
//go:noinline
func occupy([]byte) {}
