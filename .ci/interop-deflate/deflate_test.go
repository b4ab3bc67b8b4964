package interop

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/negotiate"
	"github.com/chanws/websocket/negotiate/deflate"
)

// options are all combinations of what can be agreed, for one side.
func options() (all []deflate.Options) {
	for i := range 4 {
		for _, server := range []int{0, 8, 9, 11, 15} {
			for _, client := range []int{0, 8, 9, 12, 15} {
				all = append(all, deflate.Options{
					ServerNoContextTakeover: i&1 > 0, ClientNoContextTakeover: i&2 > 0,
					ServerMaxWindowBits: server, ClientMaxWindowBits: client,
					Level: 1 + (i+server+client)%9, Threshold: -1,
				})
			}
		}
	}
	return all
}

// forPeer has the same options as the peers name them.
func forPeer(o deflate.Options) map[string]any {
	m := map[string]any{}
	for name, on := range map[string]bool{
		"serverNoContextTakeover": o.ServerNoContextTakeover, "clientNoContextTakeover": o.ClientNoContextTakeover,
	} {
		if on {
			m[name] = true
		}
	}
	for name, bits := range map[string]int{
		"serverMaxWindowBits": o.ServerMaxWindowBits, "clientMaxWindowBits": o.ClientMaxWindowBits,
	} {
		if bits != 0 {
			m[name] = bits
		}
	}
	return m
}

// payloads are what goes through one connection, in this order.
func payloads(r *rand.Rand, largest int) (all []websocket.Message) {
	for _, size := range []int{0, 1, 13, 125, 126, 127, 128, 1000, 1000, 4096, 1000, 33000, 65536, largest, 200} {
		for kind := range 3 {
			if kind != 2 && size > 65536 && largest < 1<<20 {
				continue
			}
			all = append(all, payload(r, kind, size))
		}
	}
	return all
}

func payload(r *rand.Rand, kind, size int) websocket.Message {
	b := make([]byte, 0, size+100)
	for len(b) < size {
		switch {
		case kind == 0:
			b = append(b, byte(r.Uint32()))
		case kind == 1:
			b = fmt.Appendf(b, `{"id":%d,"name":"n%d","tags":["a","b"],"value":%f},`, r.IntN(1e6), r.IntN(100), r.Float64())
		case len(b) > 10 && r.IntN(3) > 0:
			from := r.IntN(len(b))
			b = append(b, b[from:min(len(b), from+3+r.IntN(80))]...)
		default:
			b = append(b, "abcdefghijklmnop"[r.IntN(16)])
		}
	}
	if kind == 0 {
		return websocket.Binary(b[:size])
	}
	return websocket.Text(string(b[:size]))
}

// drive sends messages to the peer, which has to echo them.
func drive(t *testing.T, c *websocket.Conn, messages []websocket.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		for _, m := range messages {
			if err := c.Send(ctx, m); err != nil {
				return
			}
		}
	}()
	for i, want := range messages {
		select {
		case got, ok := <-c.Messages():
			if !ok {
				t.Fatalf("message %d of %d bytes: %+v", i, len(want.Data), <-c.Closed())
			}
			if got.Type != want.Type || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("message %d of %d bytes came back differently", i, len(want.Data))
			}
		case <-ctx.Done():
			t.Fatalf("message %d of %d bytes: no answer", i, len(want.Data))
		}
	}
	if err := c.Close(ctx, websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
}

// atLeast raises limits to what a library can do.
func atLeast(o deflate.Options, bits int) deflate.Options {
	for _, p := range []*int{&o.ServerMaxWindowBits, &o.ClientMaxWindowBits} {
		if *p != 0 {
			*p = max(*p, bits)
		}
	}
	return o
}

// agreedOn says what was agreed, which must be this extension.
func agreedOn(t *testing.T, c *websocket.Conn) string {
	t.Helper()
	agreed := string(negotiate.AppendExtensions(nil, c.Extensions()))
	if !strings.HasPrefix(agreed, deflate.Name) {
		t.Fatalf("agreed on %q", agreed)
	}
	return agreed
}

// eachCombination runs the test with every combination of options here, each with
// two of those at the peer.
func eachCombination(t *testing.T, l library, run func(t *testing.T, p *peer, own, theirs deflate.Options, messages []websocket.Message)) {
	p := start(t, l.command...)
	all := options()
	r := rand.New(rand.NewPCG(1, uint64(len(l.name))))
	for i, own := range all {
		for k, j := range []int{i, (7*i + 3) % len(all)} {
			theirs := atLeast(all[j], l.leastBits)
			largest := 100000
			if i%10 == 0 && k == 0 {
				largest = 1 << 20
			}
			t.Run(fmt.Sprintf("%d-%d", i, j), func(t *testing.T) {
				run(t, p, own, theirs, payloads(r, largest))
				if t.Failed() {
					t.Logf("own %+v", own)
					t.Logf("theirs %v", forPeer(theirs))
				}
			})
		}
	}
}

func TestClient(t *testing.T) {
	for _, l := range libraries() {
		t.Run(l.name, func(t *testing.T) {
			eachCombination(t, l, func(t *testing.T, p *peer, own, theirs deflate.Options, messages []websocket.Message) {
				port := p.do(t, job{Role: "server", Library: l.name, Options: forPeer(theirs)})
				c, err := websocket.Dial(t.Context(), "ws://127.0.0.1:"+port, &websocket.DialOptions{
					Extensions: []negotiate.Extension{deflate.New(&own)},
				})
				if err != nil {
					t.Fatalf("%v\nown %+v\ntheirs %v", err, own, forPeer(theirs))
				}
				defer c.Abort()
				t.Log(agreedOn(t, c))
				drive(t, c, messages)
			})
		})
	}
}

func TestServer(t *testing.T) {
	for _, l := range libraries() {
		t.Run(l.name, func(t *testing.T) {
			eachCombination(t, l, func(t *testing.T, p *peer, own, theirs deflate.Options, messages []websocket.Message) {
				accepted := make(chan *websocket.Conn)
				done := make(chan struct{})
				srv := httptest.NewServer(websocket.Handler(func(c *websocket.Conn) {
					accepted <- c
					<-done
				}, &websocket.AcceptOptions{Extensions: []negotiate.Extension{deflate.New(&own)}}))
				defer srv.Close()
				defer close(done)
				p.do(t, job{Role: "client", Library: l.name, URL: "ws" + strings.TrimPrefix(srv.URL, "http"), Options: forPeer(theirs)})
				select {
				case c := <-accepted:
					defer c.Abort()
					t.Log(agreedOn(t, c))
					drive(t, c, messages)
				case <-time.After(10 * time.Second):
					t.Fatalf("no connection\nown %+v\ntheirs %v", own, forPeer(theirs))
				}
			})
		})
	}
}
