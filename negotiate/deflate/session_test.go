package deflate

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/chanws/websocket/negotiate"
)

func message(data []byte) negotiate.Message { return negotiate.Message{Data: data} }

func compressed(data []byte) negotiate.Message {
	return negotiate.Message{Reserved: negotiate.RSV1, Data: data}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Each case is what one connection receives, message by message.
var incomingTable = []struct {
	name string
	wire []string
	want []string // "!" for an error
}{
	{"RFC 7.2.3.1", []string{"f2 48 cd c9 c9 07 00"}, []string{"Hello"}},
	{"RFC 7.2.3.2, takeover", []string{"f2 48 cd c9 c9 07 00", "f2 00 11 00 00"}, []string{"Hello", "Hello"}},
	{"RFC 7.2.3.3, stored", []string{"00 05 00 fa ff 48 65 6c 6c 6f 00"}, []string{"Hello"}},
	{"RFC 7.2.3.4, BFINAL", []string{"f3 48 cd c9 c9 07 00 00"}, []string{"Hello"}},
	{"RFC 7.2.3.5, two blocks", []string{"f2 48 05 00 00 00 ff ff ca c9 c9 07 00"}, []string{"Hello"}},
	{"RFC 7.2.3.6, empty", []string{"00"}, []string{""}},
	{"empty with fixed codes", []string{"02 00"}, []string{""}},
	{"BFINAL, nothing after it", []string{"f3 48 cd c9 c9 07 00"}, []string{"Hello"}},
	{"BFINAL, tail in place", []string{"f3 48 cd c9 c9 07 00 00 00 00 ff ff"}, []string{"Hello"}},
	{"BFINAL twice", []string{"f3 48 cd c9 c9 07 00 f3 48 cd c9 c9 07 00 00"}, []string{"HelloHello"}},
	{"BFINAL of nothing", []string{"03 00 03 00 03 00 00"}, []string{""}},
	{"takeover after BFINAL", []string{"f3 48 cd c9 c9 07 00 00", "f2 00 11 00 00"}, []string{"Hello", "Hello"}},
	{"takeover within BFINAL", []string{"f3 48 cd c9 c9 07 00 f2 00 11 00 00"}, []string{"HelloHello"}},
	{"stored BFINAL", []string{"01 05 00 fa ff 48 65 6c 6c 6f 00"}, []string{"Hello"}},
	{"tail in place", []string{"f2 48 cd c9 c9 07 00 00 00 ff ff"}, []string{"Hello"}},
	{"no block at all", []string{""}, []string{""}},
	{"after an empty one", []string{"00", "f2 48 cd c9 c9 07 00", "00", "f2 00 11 00 00"}, []string{"", "Hello", "", "Hello"}},
	{"reference before the start", []string{"f2 00 11 00 00"}, []string{"!"}},
	{"cut", []string{"f2 48 cd c9 c9 07"}, []string{"!"}},
	{"cut BFINAL", []string{"f3 48 cd c9 c9 07"}, []string{"!"}},
	{"cut stored", []string{"00 05 00 fa ff 48 65"}, []string{"!"}},
	{"cut length", []string{"00 05 00 fa"}, []string{"!"}},
	{"wrong length", []string{"00 05 00 fa fe 48 65 6c 6c 6f 00"}, []string{"!"}},
	{"reserved type", []string{"06 00"}, []string{"!"}},
	{"garbage after BFINAL", []string{"f3 48 cd c9 c9 07 00 ff ff ff"}, []string{"!"}},
	{"text", []string{"48 65 6c 6c 6f"}, []string{"!"}},
}

func TestIncoming(t *testing.T) {
	for _, c := range incomingTable {
		t.Run(c.name, func(t *testing.T) {
			p, _ := agree(t, nil, nil)
			for i, wire := range c.wire {
				data := unhex(t, wire)
				kept := bytes.Clone(data)
				got, transformed, err := p.server.Incoming([]byte("x"), compressed(data), big)
				switch {
				case !bytes.Equal(data, kept):
					t.Fatal("the message was changed")
				case c.want[i] == "!":
					if err == nil {
						t.Fatalf("message %d: %q came through", i, got)
					}
				case err != nil || !transformed || string(got) != "x"+c.want[i]:
					t.Fatalf("message %d: %q, %v, %v", i, got, transformed, err)
				}
			}
		})
	}
}

// The second message of RFC 7692, section 7.2.3.2 is an error where the peer agreed not
// to take over.
func TestIncomingNoTakeover(t *testing.T) {
	p, _ := agree(t, &Options{ClientNoContextTakeover: true}, nil)
	if _, _, err := p.server.Incoming(nil, compressed(unhex(t, "f2 48 cd c9 c9 07 00")), big); err != nil {
		t.Fatal(err)
	}
	if got, _, err := p.server.Incoming(nil, compressed(unhex(t, "f2 00 11 00 00")), big); err == nil {
		t.Fatalf("%q came through", got)
	}
}

func TestIncomingUncompressed(t *testing.T) {
	p, _ := agree(t, nil, nil)
	if _, transformed, err := p.server.Incoming(nil, message([]byte("Hello")), 1); err != nil || transformed {
		t.Fatal(transformed, err)
	}
	if n := len(p.server.in.history.bytes); n > 0 {
		t.Error("an uncompressed message became history")
	}
}

// every combination of options that changes what is negotiated.
func combinations() (all []Options) {
	for i := range 4 {
		for _, server := range []int{0, 8, 9, 12, 15} {
			for _, client := range []int{0, 8, 10, 15} {
				all = append(all, Options{
					ServerNoContextTakeover: i&1 > 0, ClientNoContextTakeover: i&2 > 0,
					ServerMaxWindowBits: server, ClientMaxWindowBits: client, Threshold: -1,
				})
			}
		}
	}
	return all
}

// TestRoundTrip runs many messages both ways through all pairs of options.
func TestRoundTrip(t *testing.T) {
	all := combinations()
	for i, client := range all {
		for j, server := range all {
			if (i+j)%11 != 0 {
				continue // every option meets every other one so too
			}
			p, answer := agree(t, &client, &server)
			r := newRand(uint64(i*len(all) + j))
			for k := range 12 {
				from, to := p.client, p.server
				if k%2 > 0 {
					from, to = to, from
				}
				if echo(t, from, to, mixed(r, r.IntN(1<<r.IntN(14)))); t.Failed() {
					t.Fatal(answer)
				}
			}
			p.client.Close()
			p.server.Close()
		}
	}
}

func TestRoundTripLevels(t *testing.T) {
	for _, level := range []int{HuffmanOnly, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9} {
		p, _ := agree(t, &Options{Level: level, Threshold: -1}, nil)
		r := newRand(9)
		for _, size := range []int{0, 1, 50, 127, 128, 1000, 65535, 65536, 1 << 18, 100} {
			echo(t, p.client, p.server, mixed(r, size))
			echo(t, p.client, p.server, bytes.Join(records(size/1000, 1000), nil))
		}
	}
}

// TestTakeover has the second of two alike messages be far smaller, small ones too.
func TestTakeover(t *testing.T) {
	for _, size := range []int{40, 100, 127, 128, 1000, 3000} {
		p, _ := agree(t, nil, &Options{Threshold: -1})
		data := records(1, size)[0]
		first := len(echo(t, p.server, p.client, data))
		second := len(echo(t, p.server, p.client, data))
		if second > 40 {
			t.Errorf("%d bytes took %d, and again %d", size, first, second)
		}
		p, _ = agree(t, nil, &Options{Threshold: -1, ServerNoContextTakeover: true})
		first = len(echo(t, p.server, p.client, data))
		echo(t, p.server, p.client, data)
		if again := len(echo(t, p.server, p.client, data)); again != first {
			t.Errorf("%d bytes without takeover took %d and then %d", size, first, again)
		}
	}
}

func TestOutgoingLeftAlone(t *testing.T) {
	text := []byte(strings.Repeat("compressible ", 20))
	binaryToo := func(m negotiate.Message) bool { return m.Text }
	for name, c := range map[string]struct {
		options Options
		data    []byte
		want    bool
	}{
		"default":           {Options{}, text, true},
		"at the default":    {Options{}, text[:DefaultThreshold], true},
		"below the default": {Options{}, text[:DefaultThreshold-1], false},
		"at the threshold":  {Options{Threshold: 50}, text[:50], true},
		"below":             {Options{Threshold: 50}, text[:49], false},
		"no threshold":      {Options{Threshold: -1}, text[:40], true},
		"empty":             {Options{Threshold: -1}, nil, false},
		"incompressible":    {Options{Threshold: -1}, random(2000), false},
		"small, history":    {Options{Threshold: -1}, random(1000), true},
		"small, no history": {Options{Threshold: -1, ServerNoContextTakeover: true}, random(1000), false},
		"unwanted":          {Options{Compress: binaryToo}, text, false},
	} {
		p, _ := agree(t, nil, &c.options)
		dst := make([]byte, 3, 4096)
		out, bits, transformed, err := p.server.Outgoing(dst, message(c.data))
		if err != nil || transformed != c.want || (bits != 0) != c.want {
			t.Errorf("%s: %v, %v, %v", name, transformed, bits, err)
		}
		if n := len(p.server.out.history.bytes); (n > 0) != c.want {
			t.Errorf("%s: history of %d", name, n)
		}
		if transformed && (!bytes.HasPrefix(out, dst) || len(out)-len(dst) > len(c.data)+8) {
			t.Errorf("%s: %d bytes", name, len(out))
		}
	}
}

func TestCompressSeesMessage(t *testing.T) {
	var got []negotiate.Message
	p, _ := agree(t, nil, &Options{Compress: func(m negotiate.Message) bool { got = append(got, m); return true }})
	data := records(1, 300)[0]
	if _, _, _, err := p.server.Outgoing(nil, negotiate.Message{Text: true, Data: data}); err != nil {
		t.Fatal(err)
	}
	p.server.Outgoing(nil, message(data[:10]))
	if len(got) != 1 || !got[0].Text || !bytes.Equal(got[0].Data, data) {
		t.Error(got)
	}
}

// A session must not keep what it is shown: the bytes are changed after each call.
func TestNothingKept(t *testing.T) {
	p, _ := agree(t, nil, nil)
	for _, data := range records(20, 2000) {
		want := bytes.Clone(data)
		wire, bits, _, err := p.server.Outgoing(nil, message(data))
		if err != nil {
			t.Fatal(err)
		}
		clear(data)
		got, _, err := p.client.Incoming(nil, negotiate.Message{Reserved: bits, Data: wire}, big)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatal(err)
		}
		clear(wire)
		clear(got)
	}
}

// Both directions of many sessions at once, which share the pools.
func TestConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		p, _ := agree(t, &Options{Level: 1 + i}, nil)
		for d := range 2 {
			wg.Go(func() {
				from, to := p.client, p.server
				if d > 0 {
					from, to = to, from
				}
				r := newRand(uint64(i))
				for range 50 {
					echo(t, from, to, mixed(r, r.IntN(5000)))
				}
			})
		}
	}
	wg.Wait()
}

func TestHistory(t *testing.T) {
	for _, limit := range []int{256, 512, 4096} {
		h := history{max: limit}
		var all []byte
		r := newRand(uint64(limit))
		for range 300 {
			p := random(r.IntN(limit/2 + r.IntN(limit)))
			h.add(p)
			all = append(all, p...)
			want := all[max(0, len(all)-limit):]
			if !bytes.Equal(h.bytes, want) {
				t.Fatalf("history of %d is not the last of what was added", limit)
			}
			if cap(h.bytes) > max(minHistory, 2*len(want)) || cap(h.bytes) > limit {
				t.Fatalf("room for %d to keep %d", cap(h.bytes), len(want))
			}
			for _, n := range []int{-1, 0, 1, limit / 2, limit, 2 * limit} {
				last := h.last(n)
				if !bytes.HasSuffix(want, last) || len(last) != min(max(n, 0), len(want)) {
					t.Fatalf("last %d are %d", n, len(last))
				}
			}
		}
	}
	h := history{}
	if h.add(random(10)); h.bytes != nil {
		t.Error("history where there is to be none")
	}
}

func TestSessionsAreDistinct(t *testing.T) {
	e := New(nil)
	seen := map[negotiate.Session]bool{}
	for range 3 {
		_, s, _ := e.Server(parseList(t, Name))
		seen[s] = true
	}
	if len(seen) != 3 || e.Name() != "permessage-deflate" || e.Reserved() != negotiate.RSV1 {
		t.Error(len(seen), e.Name(), e.Reserved())
	}
}

// TestDefaultLevel has the default be one level for short messages that have a history,
// and another for all else.
func TestDefaultLevel(t *testing.T) {
	for _, c := range []struct {
		size     int
		takeover bool
		level    int
	}{
		{1000, true, shortLevel}, {shortHistory, true, shortLevel}, {shortHistory + 1, true, DefaultLevel},
		{1000, false, DefaultLevel}, {16 << 10, true, DefaultLevel},
	} {
		wire := func(level int) (wire [][]byte) {
			p, _ := agree(t, nil, &Options{Level: level, ServerNoContextTakeover: !c.takeover})
			for _, data := range records(4, c.size) {
				wire = append(wire, echo(t, p.server, p.client, data))
			}
			return wire
		}
		other := shortLevel + DefaultLevel - c.level
		if got := wire(0); !reflect.DeepEqual(got, wire(c.level)) || reflect.DeepEqual(got, wire(other)) {
			t.Errorf("%d bytes, takeover %v: not level %d", c.size, c.takeover, c.level)
		}
	}
}

// TestHistoryFollowsTheLast has the history be long after a long message, and short after
// a short one.
func TestHistoryFollowsTheLast(t *testing.T) {
	p, _ := agree(t, nil, nil)
	other, _ := agree(t, nil, nil)
	prepared := other.server
	for _, c := range []struct{ size, history int }{
		{1000, 1000}, {1000, shortHistory}, {3000, longHistory}, {shortHistory, shortHistory}, {16 << 10, longHistory}, {200, shortHistory},
	} {
		data := records(1, c.size)[0]
		echo(t, p.server, p.client, data)
		prepared.SentPrepared(message(data))
		for _, s := range []*session{p.server, prepared} {
			h := s.out.history.bytes
			if len(h) != c.history || !bytes.HasSuffix(h, data[len(data)-min(len(data), c.history):]) {
				t.Errorf("after %d bytes the history has %d", c.size, len(h))
			}
		}
	}
}
