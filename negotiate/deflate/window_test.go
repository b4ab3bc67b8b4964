package deflate

import (
	"bytes"
	"fmt"
	"testing"
)

// sizes are around all the limits that decide how a message is compressed.
func sizes(window int) []int {
	return []int{
		1, 12, 13, 100, smallMessage - 1, smallMessage, 200, window / 2, window/2 + 1,
		window - 1, window, window + 1, 2*window + 3, 65535, 66000,
	}
}

// TestWindow has an inflater that knows only as much as was agreed inflate what is
// sent, at every level and number of bits.
func TestWindow(t *testing.T) {
	for _, level := range []int{HuffmanOnly, 0, 1, 2, 3, 5, 6, 9} {
		for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
			if raceEnabled && (bits+level)%4 != 0 {
				continue // nothing here runs at once, and bits are slow to read
			}
			t.Run(fmt.Sprintf("level=%d/bits=%d", level, bits), func(t *testing.T) {
				p, _ := agree(t, nil, &Options{Level: level, ServerMaxWindowBits: bits, Threshold: -1})
				testWindow(t, p.server, 1<<bits)
			})
		}
	}
}

func testWindow(t *testing.T, s *session, window int) {
	r := newRand(uint64(window))
	peer := &strict{window: window}
	for _, size := range sizes(window) {
		data := mixed(r, size)
		wire, _, transformed, err := s.Outgoing(nil, message(data))
		if err != nil {
			t.Fatal(err)
		}
		if !transformed {
			continue
		}
		got, err := peer.message(wire)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if !bytes.Equal(got, data) {
			t.Fatalf("%d bytes came out differently", size)
		}
	}
	t.Logf("furthest reference %d of %d", peer.far, window)
}

// TestWindowUsed proves that the limit is near what is used, so that the test above
// tests something.
func TestWindowUsed(t *testing.T) {
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		p, _ := agree(t, nil, &Options{ServerMaxWindowBits: bits})
		peer := &strict{window: 1 << bits}
		// What repeats at a distance just within the window is found there.
		data := bytes.Repeat(random(1<<bits-8), 3)
		wire, _, transformed, err := p.server.Outgoing(nil, message(data))
		if err != nil || !transformed {
			t.Fatal(bits, err, transformed)
		}
		if got, err := peer.message(wire); err != nil || !bytes.Equal(got, data) {
			t.Fatal(bits, err)
		}
		if peer.far < 1<<(bits-1) {
			t.Errorf("%d bits: no reference beyond %d", bits, peer.far)
		}
	}
}

// TestStrictInflater proves the inflater by what it has to refuse.
func TestStrictInflater(t *testing.T) {
	p, _ := agree(t, nil, nil)
	data := bytes.Repeat(random(1000), 2)
	wire, _, _, err := p.server.Outgoing(nil, message(data))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&strict{window: 512}).message(wire); err == nil {
		t.Error("a reference beyond the window passed")
	}
}

// TestWindowAcrossMessages repeats at the end of a message what is in the history but
// further back than the window.
func TestWindowAcrossMessages(t *testing.T) {
	// Half of it is blank, so that it shrinks whatever the window finds.
	hexes := func(seed, n int) []byte {
		var text []byte
		for source := random(n + seed); len(text) < n; source = source[8:] {
			text = fmt.Appendf(text, "%x%16s", source[:8], "")
		}
		return text[:n]
	}
	for bits := MinWindowBits; bits < MaxWindowBits; bits++ {
		window := 1 << bits
		p, _ := agree(t, nil, &Options{ServerMaxWindowBits: bits, Threshold: -1})
		peer := &strict{window: window}
		first := hexes(1, min(window, longHistory))
		again := append(hexes(3, window/4), first...)[:window/2]
		small := append(hexes(5, 50), first[len(first)/2:]...)[:min(110, window/2)]
		for _, data := range [][]byte{first, again, small} {
			wire, _, transformed, err := p.server.Outgoing(nil, message(data))
			if err != nil || !transformed {
				t.Fatal(bits, err, transformed)
			}
			if got, err := peer.message(wire); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bits: %v", bits, err)
			}
		}
	}
}
