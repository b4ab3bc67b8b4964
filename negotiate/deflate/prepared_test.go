package deflate

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/chanws/websocket/negotiate"
)

// TestPrepareWindow has an inflater that knows only as much as was agreed, and nothing
// of what was sent before, inflate what was prepared, at every number of bits.
func TestPrepareWindow(t *testing.T) {
	for _, level := range []int{HuffmanOnly, 0, 1, 3, 6, 9} {
		for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
			if raceEnabled && (bits+level)%4 != 0 {
				continue // nothing here runs at once, and bits are slow to read
			}
			t.Run(fmt.Sprintf("level=%d/bits=%d", level, bits), func(t *testing.T) {
				p, _ := agree(t, nil, &Options{Level: level, ServerMaxWindowBits: bits, Threshold: -1})
				r := newRand(uint64(bits))
				for _, size := range sizes(1 << bits) {
					data := mixed(r, size)
					// History, which must not be referred to.
					if _, _, _, err := p.server.Outgoing(nil, message(data)); err != nil {
						t.Fatal(err)
					}
					wire, set, transformed, err := p.server.Prepare([]byte("before"), message(data))
					if err != nil {
						t.Fatal(err)
					}
					if !transformed {
						continue
					}
					wire, ok := bytes.CutPrefix(wire, []byte("before"))
					if !ok || set != negotiate.RSV1 || len(wire) >= size {
						t.Fatalf("%d bytes: %v, bits %v, %d on the wire", size, ok, set, len(wire))
					}
					got, err := (&strict{window: 1 << bits}).message(wire)
					if err != nil || !bytes.Equal(got, data) {
						t.Fatalf("%d bytes: %v", size, err)
					}
				}
			})
		}
	}
}

// TestPreparedAmongOthers has a peer inflate messages of which some were prepared, by
// another session that is alike, in between those that refer to them.
func TestPreparedAmongOthers(t *testing.T) {
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		for _, fresh := range []bool{false, true} {
			e := New(&Options{ServerMaxWindowBits: bits, ServerNoContextTakeover: fresh, Threshold: -1})
			_, s, _ := e.Server([][]negotiate.Param{nil})
			_, other, _ := e.Server([][]negotiate.Param{nil})
			to, from := s.(*session), other.(*session)
			peer := &strict{window: 1 << bits}
			for i, data := range records(40, 300) {
				var wire []byte
				var transformed bool
				var err error
				if i%3 == 0 {
					wire, _, transformed, err = from.Prepare(nil, message(data))
					to.SentPrepared(message(data))
				} else {
					wire, _, transformed, err = to.Outgoing(nil, message(data))
				}
				if err != nil || !transformed {
					t.Fatal(err, transformed)
				}
				if fresh {
					peer = &strict{window: 1 << bits}
				}
				if got, err := peer.message(wire); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%d bits, message %d: %v", bits, i, err)
				}
			}
		}
	}
}

// TestPreparedKey finds alike what makes the same of a message, and nothing else.
func TestPreparedKey(t *testing.T) {
	all := func(negotiate.Message) bool { return true }
	key := func(o *Options, offer ...negotiate.Param) any {
		_, s, ok := New(o).Server([][]negotiate.Param{offer})
		if !ok {
			t.Fatal("declined")
		}
		return s.(*session).PreparedKey()
	}
	nine := negotiate.Param{Name: serverMaxWindowBits, Value: "9"}
	same := []any{
		key(nil), key(nil), key(&Options{Level: DefaultLevel, ServerNoContextTakeover: true}),
		key(nil, negotiate.Param{Name: clientMaxWindowBits}),
	}
	for i, k := range same {
		if k != same[0] {
			t.Errorf("%d: %v and %v", i, k, same[0])
		}
	}
	different := []any{same[0], key(nil, nine), key(&Options{Level: 9}), key(&Options{Threshold: 1}), key(&Options{Compress: all}), key(&Options{Compress: all})}
	for i, a := range different {
		for k, b := range different[:i] {
			if a == b {
				t.Errorf("%d and %d are alike: %v", k, i, a)
			}
		}
	}
	if a, b := key(&Options{ServerMaxWindowBits: 9}), key(nil, nine); a != b {
		t.Errorf("%v and %v: the same window by either way", a, b)
	}
}

// Prepare leaves what is small or unwanted as it is, as Outgoing does, and what would
// not get smaller.
func TestPrepareLeaves(t *testing.T) {
	p, _ := agree(t, nil, &Options{Compress: func(m negotiate.Message) bool { return m.Text }})
	for name, m := range map[string]negotiate.Message{
		"empty":    {Text: true},
		"small":    {Text: true, Data: make([]byte, DefaultThreshold-1)},
		"unwanted": {Data: make([]byte, 1000)},
		"random":   {Text: true, Data: random(1000)},
	} {
		if out, bits, transformed, err := p.server.Prepare([]byte("x"), m); string(out) != "x" || bits != 0 || transformed || err != nil {
			t.Errorf("%s: %q, %v, %v, %v", name, out, bits, transformed, err)
		}
	}
}
