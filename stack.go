package websocket

// A goroutine begins with 2 KiB of stack, and with each doubling the runtime moves all
// that is on it, which takes some hundreds of instructions a frame. Where it is known
// that it has to grow it grows at once, while there are few frames.

// growStackToShake makes it 4 KiB, which a handshake needs, for SHA-1 most of all.
//
//go:noinline
func growStackToShake() {
	var room [1200]byte
	occupy(room[:])
}

// growStackToCompress makes it 8 KiB, which extensions need. It saves 4% of the
// instructions of a compressed echo of 1 KiB.
//
//go:noinline
func growStackToCompress() {
	var room [3584]byte
	occupy(room[:])
}

// occupy keeps the compiler from leaving the room out.
//
//go:noinline
func occupy([]byte) {}
