package codec

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// maskNaively is section 5.3 of RFC 6455 word for word.
func maskNaively(b []byte, key MaskKey, pos int) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ key[(pos+i)%4]
	}
	return out
}

func TestMaskAgainstTheNaiveLoop(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for length := range 300 {
		for pos := range 9 {
			for offset := range 9 {
				b := make([]byte, offset+length)
				for i := range b {
					b[i] = byte(random.Uint32())
				}
				key := MaskKey{byte(random.Uint32()), byte(random.Uint32()), 0, 255}
				want := maskNaively(b[offset:], key, pos)
				Mask(b[offset:], key, pos)
				if !slices.Equal(b[offset:], want) {
					t.Fatalf("Mask of %d bytes at offset %d, pos %d differs", length, offset, pos)
				}
			}
		}
	}
}

func TestMaskOfLargePayloads(t *testing.T) {
	for _, length := range []int{4<<10 - 1, 4 << 10, 4<<10 + 1, 12<<10 + 5} {
		for pos := range 4 {
			b := make([]byte, length)
			for i := range b {
				b[i] = byte(i * 7)
			}
			key := MaskKey{1, 2, 3, 254}
			want := maskNaively(b, key, pos)
			if Mask(b, key, pos); !slices.Equal(b, want) {
				t.Fatalf("Mask of %d bytes, pos %d differs", length, pos)
			}
		}
	}
}

func BenchmarkMask(b *testing.B) {
	for _, size := range []int{32, 125, 1 << 10, 4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			payload := make([]byte, size+MaxHeaderSize)[MaxHeaderSize:] // as it is received
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				Mask(payload, MaskKey{1, 2, 3, 4}, 1)
			}
		})
	}
}
