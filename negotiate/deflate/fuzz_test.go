package deflate

import (
	"bytes"
	"testing"

	"github.com/chanws/websocket/negotiate"
)

// What is accepted was legal, and what is answered is accepted by the client that
// might have offered it.
func FuzzParams(f *testing.F) {
	for _, c := range forms {
		f.Add(Name + c.params)
	}
	f.Fuzz(func(t *testing.T, header string) {
		offers, err := negotiate.ParseExtensions([]string{header})
		if err != nil {
			return
		}
		for _, o := range offers {
			New(nil).Client().Activate(o.Params)
			answer, _, ok := New(nil).Server([][]negotiate.Param{o.Params})
			if !ok {
				continue
			}
			p, err := parseOffer(o.Params)
			if err != nil {
				t.Fatal("an illegal offer was accepted", err)
			}
			answered, err := parseAnswer(answer)
			if err != nil {
				t.Fatal("an illegal answer", answer, err)
			}
			illegal := p.serverNoTakeover && !answered.serverNoTakeover ||
				p.serverBits != 0 && (answered.serverBits == 0 || answered.serverBits > p.serverBits) ||
				p.clientBits == 0 && answered.clientBits != 0 ||
				p.clientBits > 0 && answered.clientBits > p.clientBits
			if illegal {
				t.Fatal("an answer to another offer", o.Params, answer, err)
			}
		}
	})
}

// Whatever comes in, nothing panics, the limit holds, and the message is not
// changed. What inflates is what another inflater makes of it.
func FuzzIncoming(f *testing.F) {
	for _, c := range incomingTable {
		for i := range c.wire {
			f.Add(unhexSeed(c.wire[i]), uint16(100))
		}
	}
	f.Add(bomb(f, 1<<20), uint16(1000))
	f.Fuzz(func(t *testing.T, data []byte, limit uint16) {
		p, _ := agree(t, nil, nil)
		kept := bytes.Clone(data)
		for range 2 {
			out, _, err := p.server.Incoming([]byte("x"), compressed(data), int64(limit))
			if !bytes.Equal(data, kept) {
				t.Fatal("the message was changed")
			}
			if len(out)-1 > int(limit) || out[0] != 'x' || cap(out) > 1<<17 {
				t.Fatal("over the limit", len(out), cap(out))
			}
			if err != nil {
				if len(out) != 1 {
					t.Fatal("both an error and a message", err)
				}
				return
			}
			compareStrict(t, data, out[1:])
			p, _ = agree(t, nil, nil)
		}
	})
}

// compareStrict inflates with the tests' own inflater, where that can.
func compareStrict(t *testing.T, data, want []byte) {
	t.Helper()
	if len(data) == 0 || bytes.HasSuffix(data, []byte(tail)) {
		return
	}
	got, err := (&strict{window: 1 << MaxWindowBits}).message(data)
	if err == nil && !bytes.Equal(got, want) {
		t.Fatalf("%q, and strictly %q", want, got)
	}
}

func unhexSeed(s string) []byte {
	var b []byte
	for i := 0; i+1 < len(s); i += 3 {
		b = append(b, nibble(s[i])<<4|nibble(s[i+1]))
	}
	return b
}

func nibble(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// With any two sets of options, what goes in comes out.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint64(0), uint64(0), []byte("Hello"), uint16(10))
	f.Add(uint64(0x12345), uint64(0xfedcba), bytes.Repeat([]byte("Hello "), 100), uint16(300))
	f.Fuzz(func(t *testing.T, client, server uint64, data []byte, cut uint16) {
		p, _ := agree(t, fuzzOptions(client), fuzzOptions(server))
		at := min(int(cut), len(data))
		for _, part := range [][]byte{data, data[at:], data[:at], data} {
			echo(t, p.client, p.server, part)
			echo(t, p.server, p.client, part)
			echo(t, p.server, p.client, bytes.Repeat(part, 3))
		}
	})
}

// fuzzOptions makes options of a number.
func fuzzOptions(n uint64) *Options {
	bits := func(shift int) int {
		if v := int(n >> shift & 15); v >= MinWindowBits {
			return v
		}
		return 0
	}
	return &Options{
		ServerMaxWindowBits: bits(0), ClientMaxWindowBits: bits(4), Level: int(n>>8&15) % 10,
		ServerNoContextTakeover: n>>12&1 > 0, ClientNoContextTakeover: n>>13&1 > 0,
		Threshold: int(n>>14&0xff) - 1,
	}
}
