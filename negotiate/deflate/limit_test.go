package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/chanws/websocket/negotiate"
)

// bomb returns what inflates to n zeros, n being below 1 MiB or a multiple of it, compressed by the standard library.
func bomb(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	if err != nil {
		t.Fatal(err)
	}
	// One piece is compressed, as it does not refer to the one before it.
	piece := min(n, 1<<20)
	if _, err := w.Write(make([]byte, piece)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	all := bytes.Repeat(b.Bytes(), max(1, n/max(piece, 1)))
	return bytes.TrimSuffix(all, []byte(tail))
}

// TestBomb has 1 GiB out of 1 MiB cost no more than the limit.
func TestBomb(t *testing.T) {
	data := bomb(t, 1<<30)
	const limit = 1 << 20
	p, _ := agree(t, nil, nil)
	incoming := func() ([]byte, error) {
		out, _, err := p.server.Incoming([]byte("x"), compressed(data), limit)
		return out, err
	}
	incoming() // the pool is filled
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out, err := incoming()
	runtime.ReadMemStats(&after)
	if !errors.Is(err, negotiate.ErrTooBig) || string(out) != "x" {
		t.Fatal(err, len(out))
	}
	if !strings.Contains(err.Error(), strconv.Itoa(len(data))+" bytes") || !strings.Contains(err.Error(), strconv.Itoa(limit)) {
		t.Error("sizes are not named:", err, len(data))
	}
	// Doubling to the limit takes less than twice of it.
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 2*limit+128<<10 {
		t.Errorf("allocated %d bytes for a limit of %d", spent, limit)
	}
}

func TestLimit(t *testing.T) {
	for _, size := range []int{0, 1, 1000, 32767, 32768, 32769, 100000} {
		data := bomb(t, size)
		for _, limit := range []int{0, 1, size - 1, size, size + 1} {
			if limit < 0 {
				continue
			}
			p, _ := agree(t, nil, nil)
			out, transformed, err := p.server.Incoming([]byte("before"), compressed(data), int64(limit))
			switch {
			case size > limit:
				if !errors.Is(err, negotiate.ErrTooBig) {
					t.Errorf("%d over the limit of %d: %v", size, limit, err)
				}
			case err != nil || !transformed || len(out) != len("before")+size:
				t.Errorf("%d within the limit of %d: %d, %v", size, limit, len(out), err)
			case cap(out) > len("before")+limit+8:
				t.Errorf("%d within the limit of %d: room for %d", size, limit, cap(out))
			}
		}
	}
}

// The limit holds for a message of many streams as for one of one.
func TestLimitOverBlocksMarkedAsLast(t *testing.T) {
	p, _ := agree(t, nil, nil)
	data := append(bytes.Repeat(unhex(t, "f3 48 cd c9 c9 07 00"), 20), 0)
	if out, _, err := p.server.Incoming(nil, compressed(data), 100); err != nil || string(out) != strings.Repeat("Hello", 20) {
		t.Error(err, len(out))
	}
	if _, _, err := p.server.Incoming(nil, compressed(data), 99); !errors.Is(err, negotiate.ErrTooBig) {
		t.Error(err)
	}
}

// A message may be of many streams, as from a sender that ends one to flush, but not of
// hardly anything else: each costs the receiver the work of a message.
func TestBlocksMarkedAsLastAreCapped(t *testing.T) {
	unit := unhex(t, "4b 04 00") // "a", marked as the last
	for _, test := range []struct {
		name    string
		streams int
		between []byte
		ok      bool
	}{
		{"as many as may be", maxStreams - 1, nil, true},
		{"one more", maxStreams, nil, false},
		{"a thousand", 1000, nil, false},
		{"a thousand with a share of the message each", 1000, stored(streamShare), true},
	} {
		p, _ := agree(t, nil, nil)
		echo(t, p.client, p.server, random(1000)) // there is history
		data := append(bytes.Repeat(append(unit, test.between...), test.streams), 0)
		out, _, err := p.server.Incoming(nil, compressed(data), 4<<20)
		if (err == nil) != test.ok || !test.ok && !errors.Is(err, errStreams) {
			t.Errorf("%s: %v", test.name, err)
		}
		if test.ok && bytes.Count(out, []byte("a")) < test.streams {
			t.Errorf("%s: %d bytes", test.name, len(out))
		}
	}
}

// stored is a block of n bytes as they are.
func stored(n int) []byte {
	return append([]byte{0, byte(n), byte(n >> 8), ^byte(n), ^byte(n >> 8)}, make([]byte, n)...)
}

// The window of a stream that begins within a message is the history and the message.
func TestWindowOfALaterStream(t *testing.T) {
	for _, size := range []int{0, 10, 1<<MaxWindowBits - 1, 1 << MaxWindowBits, 1<<MaxWindowBits + 1} {
		c := newDecompressor()
		dict, made := random(1<<MaxWindowBits), random(size)
		c.out = limited{bytes: append([]byte("before"), made...), base: len("before")}
		want := append(bytes.Clone(dict), made...)
		want = want[len(want)-1<<MaxWindowBits:]
		got := c.window(dict)
		if !bytes.HasSuffix(got, want) {
			t.Errorf("%d bytes of a message: the window is wrong", size)
		}
		if !bytes.Equal(c.window(nil), made) {
			t.Errorf("%d bytes of a message, without history: the window is wrong", size)
		}
	}
}

// Other errors are not taken for a message over the limit.
func TestOtherErrors(t *testing.T) {
	p, _ := agree(t, nil, nil)
	_, _, err := p.server.Incoming(nil, compressed([]byte("Hello")), big)
	if err == nil || errors.Is(err, negotiate.ErrTooBig) {
		t.Error(err)
	}
}
