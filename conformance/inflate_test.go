package conformance

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

func samples() [][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	return [][]byte{
		nil, []byte("a"), []byte("Hello"), bytes.Repeat([]byte("a"), 70000),
		noise, jsonSample(40000), append(jsonSample(300), noise...),
	}
}

// TestCompressAgainstStandardLibrary shows that what the suite sends is what
// an independent inflater takes it for.
func TestCompressAgainstStandardLibrary(t *testing.T) {
	for _, window := range []int{256, 512, 4096, 32768} {
		d := deflater{window: window}
		var wire, plain bytes.Buffer
		for _, s := range samples() {
			wire.Write(d.message(s))
			wire.Write([]byte{0, 0, 0xff, 0xff})
			plain.Write(s)
		}
		wire.Write([]byte{1, 0, 0, 0xff, 0xff})
		got, err := io.ReadAll(flate.NewReader(&wire))
		if err != nil || !bytes.Equal(got, plain.Bytes()) {
			t.Fatalf("window %d: %d bytes, %v; want %d", window, len(got), err, plain.Len())
		}
	}
}

func TestInflateAgainstStandardLibrary(t *testing.T) {
	for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
		in := inflater{window: 32768}
		var wire bytes.Buffer
		w, err := flate.NewWriter(&wire, level)
		if err != nil {
			t.Fatal(err)
		}
		for n, s := range samples() {
			wire.Reset()
			if _, err := w.Write(s); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			got, err := in.message(bytes.TrimSuffix(wire.Bytes(), []byte{0, 0, 0xff, 0xff}), mostHeld(Heavy))
			if err != nil || !bytes.Equal(got, s) {
				t.Fatalf("level %d, sample %d: %d bytes, %v; want %d", level, n, len(got), err, len(s))
			}
		}
	}
}

func TestInflateSeesTheWindow(t *testing.T) {
	for bits := 9; bits < 15; bits++ {
		d := deflater{window: 1 << (bits + 1)}
		in := inflater{window: 1 << bits}
		far := []byte(noise(1<<bits + 100))
		_, err := in.message(d.message(append(far, far...)), mostHeld(Heavy))
		want := fmt.Sprintf("and the agreed window has %d", 1<<bits)
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("%d bits: got %v, want an error that says %q", bits, err, want)
		}
	}
}

func FuzzInflate(f *testing.F) {
	for _, s := range samples() {
		f.Add((&deflater{window: 512}).message(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := (&inflater{window: 32768}).message(b, mostHeld(Heavy))
		want, wantErr := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(b),
			bytes.NewReader([]byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}))))
		// compress/flate stops at a block with BFINAL; the suite goes on.
		if err == nil && wantErr == nil && !bytes.HasPrefix(got, want) {
			t.Fatalf("%d bytes, want %d", len(got), len(want))
		}
	})
}
