package deflate

import (
	"math/bits"
	"sync"

	"github.com/klauspost/compress/flate"
)

// A compressor takes about a megabyte, a decompressor 44 KB, and there are as many
// as messages are worked on at once.
var (
	levels        [10]sync.Pool // 0: HuffmanOnly
	windows       [MaxWindowBits]sync.Pool
	appenders     = sync.Pool{New: func() any { return new(appender) }}
	decompressors = sync.Pool{New: func() any { return newDecompressor() }}
)

func init() {
	for level := range levels {
		if level == 0 {
			level = HuffmanOnly
		}
		poolOfLevel(level).New = func() any {
			return newCompressor(flate.NewWriter(nil, level))
		}
	}
	for bits := MinWindowBits; bits < MaxWindowBits; bits++ {
		windows[bits].New = func() any {
			return newCompressor(flate.NewWriterWindow(nil, 1<<bits))
		}
	}
}

// newCompressor wraps a writer. The arguments that could be wrong are constants of
// this file.
func newCompressor(w *flate.Writer, err error) *compressor {
	if err != nil {
		panic(err)
	}
	return &compressor{writer: w}
}

func poolOfLevel(level int) *sync.Pool { return &levels[max(level, 0)] }

func poolOfWindow(size int) *sync.Pool { return &windows[bits.Len(uint(size))-1] }
