package deflate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/chanws/websocket/negotiate"
)

// big is a limit that no message of these tests reaches.
const big = 1 << 30

// A pair is the two ends of an agreed connection.
type pair struct{ client, server *session }

// agree negotiates between two sets of options, through the header as it would be
// written.
func agree(t testing.TB, client, server *Options) (p pair, answer string) {
	t.Helper()
	c := New(client).Client()
	list, s, ok := New(server).Server(parseList(t, formatList(c.Offers()...)))
	if !ok {
		t.Fatal("the server declined", c.Offers())
	}
	answer = formatList(list)
	activated, err := c.Activate(parseList(t, answer)[0])
	if err != nil {
		t.Fatal(err, answer)
	}
	return pair{activated.(*session), s.(*session)}, answer
}

func formatList(lists ...[]negotiate.Param) string {
	var offers []negotiate.Offer
	for _, params := range lists {
		offers = append(offers, negotiate.Offer{Name: Name, Params: params})
	}
	return string(negotiate.AppendExtensions(nil, offers))
}

func parseList(t testing.TB, header string) (lists [][]negotiate.Param) {
	t.Helper()
	offers, err := negotiate.ParseExtensions([]string{header})
	if err != nil {
		t.Fatal(err, header)
	}
	for _, o := range offers {
		lists = append(lists, o.Params)
	}
	return lists
}

// echo sends a message from the one session to the other, which must get it, and
// returns what was on the wire.
func echo(t testing.TB, from, to *session, data []byte) []byte {
	t.Helper()
	kept := bytes.Clone(data)
	wire, bits, transformed, err := from.Outgoing([]byte("before"), negotiate.Message{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, kept) {
		t.Fatal("Outgoing changed the message")
	}
	if !transformed {
		return data
	}
	if bits != negotiate.RSV1 {
		t.Fatal("bits", bits)
	}
	wire = bytes.Clone(bytes.TrimPrefix(wire, []byte("before")))
	got, transformed, err := to.Incoming([]byte("after"), negotiate.Message{Reserved: bits, Data: wire}, int64(len(data)))
	if err != nil || !transformed {
		t.Fatal(err, transformed)
	}
	if !bytes.Equal(got, append([]byte("after"), data...)) {
		t.Fatalf("%d bytes came out differently", len(data))
	}
	return wire
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

var names = []string{"alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india"}

// records returns n messages of the size, which look like those of a feed.
func records(n, size int) [][]byte {
	r := newRand(1)
	out := make([][]byte, n)
	for i := range out {
		var items []map[string]any
		var b []byte
		for len(b) < size {
			items = append(items, map[string]any{
				"id": r.IntN(1e6), "name": names[r.IntN(len(names))] + " " + names[r.IntN(len(names))],
				"price": float64(r.IntN(1e5)) / 100, "active": r.IntN(2) == 0, "ts": 1700000000000 + r.Int64N(1e10),
			})
			b, _ = json.Marshal(map[string]any{"type": "update", "seq": i, "items": items})
		}
		out[i] = b[:size]
	}
	return out
}

// random returns bytes that do not compress.
func random(n int) []byte {
	r := newRand(uint64(n))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// mixed returns a message of the size, of one of several kinds.
func mixed(r *rand.Rand, size int) []byte {
	b := make([]byte, 0, size+64)
	kind := r.IntN(4)
	for len(b) < size {
		switch kind {
		case 0:
			b = append(b, byte(r.Uint32()))
		case 1:
			b = fmt.Appendf(b, `{"id":%d,"name":%q}`, r.IntN(1000), names[r.IntN(len(names))])
		case 2:
			b = append(b, 'x')
		case 3:
			// Repeats from any distance, to find those that go too far.
			if n := len(b); n > 8 && r.IntN(4) > 0 {
				from := r.IntN(n)
				b = append(b, b[from:min(n, from+3+r.IntN(60))]...)
			} else {
				b = fmt.Appendf(b, "%x", r.Uint64())
			}
		}
	}
	return b[:size]
}
