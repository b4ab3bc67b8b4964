package codec

import "testing"

// A lent buffer's bytes are never given to another, nor written to.
func TestLendBuffer(t *testing.T) {
	const size = 1<<10 + bufferRoom // as the pool of a class has them
	mine := make([]byte, size, size+100)
	b := LendBuffer(mine[:size])
	if &b.Bytes[0] != &mine[0] || len(b.Bytes) != size {
		t.Fatal("not the same bytes")
	}
	if b = b.Append([]byte("x")); &b.Bytes[0] == &mine[0] || mine[:size+1][size] == 'x' {
		t.Error("Append wrote to bytes that are not its own")
	}
	b.Release()
	LendBuffer(mine[:size]).Release()
	for range 4 {
		if b := NewBuffer(1 << 10); &b.Bytes[:1][0] == &mine[0] {
			t.Error("lent bytes are in the pool")
		}
	}
}
