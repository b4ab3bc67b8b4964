package websocket_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/codec"
)

// poison takes buffers of all sizes from the pool, overwrites them and gives them
// back: whoever uses one that is not his gets to see it.
func poison() {
	for size := 64; size <= 1<<20; size *= 2 {
		var taken []*codec.Buffer
		for range 3 {
			b := codec.NewBuffer(size)
			b.Bytes = b.Bytes[:cap(b.Bytes)]
			copy(b.Bytes, poisonous)
			taken = append(taken, b)
		}
		for _, b := range taken {
			b.Release()
		}
	}
}

var poisonous = bytes.Repeat([]byte{0xee}, 1<<21)

var ownerSizes = []int{0, 1, 7, 64, 125, 126, 500, 1000, 2040, 2048, 4000, 4096, 4097, 16 << 10, 16<<10 + 1, 65535, 65536, 70_000, 300_000}

// payloadOf makes a payload that tells from which message it is.
func payloadOf(i, size int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%08d", i), size/8+1)[:size]
}

// A received message is its receiver's until he releases it, whatever goes on.
func TestReceivedMessagesStay(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		const rounds = 3
		go func() {
			for i := range rounds * len(ownerSizes) {
				payload := payloadOf(i, ownerSizes[i%len(ownerSizes)])
				switch i % 3 {
				case 0:
					p.sendFrame(0x81, string(payload))
				case 1:
					half := len(payload) / 2
					p.sendFrame(0x01, string(payload[:half]))
					p.sendFrame(0x8a, "between")
					p.sendFrame(0x80, string(payload[half:]))
				case 2: // in one write with its neighbours
					b := p.encode(0x82, []byte("a neighbour"))
					b = append(b, p.encode(0x82, payload)...)
					p.write(append(b, p.encode(0x82, []byte("a neighbour"))...))
				}
			}
		}()
		kept := map[int]websocket.Message{}
		for i := range rounds * len(ownerSizes) {
			if i%3 == 2 {
				wantMessage(t, c, "a neighbour")
			}
			m := <-c.Messages()
			if !bytes.Equal(m.Data, payloadOf(i, ownerSizes[i%len(ownerSizes)])) {
				t.Fatalf("message %d of %d bytes came as %.20q", i, ownerSizes[i%len(ownerSizes)], m.Data)
			}
			if i%3 == 2 {
				n := <-c.Messages()
				n.Release()
			}
			if i%4 == 3 {
				m.Release()
				m.Release()
			} else {
				kept[i] = m
			}
			if i%16 == 0 {
				poison()
			}
		}
		poison()
		for i, m := range kept {
			if !bytes.Equal(m.Data, payloadOf(i, ownerSizes[i%len(ownerSizes)])) {
				t.Errorf("message %d of %d bytes has become %.20q", i, len(m.Data), m.Data)
			}
			m.Release()
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// A second Release does not take the buffer from its next owner.
func TestReleaseTwiceIsOnce(t *testing.T) {
	on(t, sockets, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		p.sendFrame(0x82, "the first one")
		first := <-c.Messages()
		other := first
		first.Release()
		p.sendFrame(0x82, "the second one")
		second := <-c.Messages()
		first.Release()
		other.Release()
		poison()
		if string(second.Data) != "the second one" {
			t.Errorf("the second message has become %q", second.Data)
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// Send leaves the caller's bytes alone, and they are his again when it returns:
// on the direct path, which writes, and on the queued one.
func TestSendLeavesTheCallersBytes(t *testing.T) {
	for _, path := range []string{"direct", "queued"} {
		t.Run(path, func(t *testing.T) {
			on(t, everywhere, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{QueueMessages: 1000, QueueBytes: 64 << 20})
				if path == "queued" { // behind what does not go out as long as the peer does not read
					if err := c.Send(t.Context(), websocket.Binary(make([]byte, 2<<20))); err != nil {
						t.Fatal(err)
					}
				}
				send := func(i, size int) {
					data := payloadOf(i, size)
					m := websocket.Binary(data)
					var err error
					switch i % 3 {
					case 0:
						err = c.Send(context.Background(), m)
					case 1:
						err = c.TrySend(m)
					case 2:
						err = c.SendFragment(context.Background(), m)
					}
					if err != nil {
						t.Errorf("message %d: %v", i, err)
					}
					if !bytes.Equal(data, payloadOf(i, size)) {
						t.Errorf("message %d of %d bytes: Send has changed the caller's bytes", i, size)
					}
					copy(data, poisonous)
				}
				want := func(i, size int) {
					f, err := p.readFrame()
					if err != nil || !bytes.Equal(f.payload, payloadOf(i, size)) {
						t.Errorf("message %d of %d bytes: the peer got %v, %v", i, size, f, err)
					}
				}
				if path == "direct" {
					for i, size := range ownerSizes {
						sending := result(func() error { send(i, size); return nil })
						want(i, size)
						wantResult(t, "Send", sending)
					}
				} else {
					for i, size := range ownerSizes {
						send(i, size)
						if i%4 == 0 {
							poison()
						}
					}
					p.readFrame()
					for i, size := range ownerSizes {
						want(i, size)
					}
				}
				c.Abort()
				wantClosed(t, c, 1006)
			})
		})
	}
}

// What an application echoes and releases at once arrives as it was.
func TestEchoAndRelease(t *testing.T) {
	on(t, everywhere, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		echoing := result(func() error {
			for m := range c.Messages() {
				if err := c.Send(context.Background(), m); err != nil {
					return err
				}
				m.Release()
			}
			return nil
		})
		go func() {
			for i := range 2 * len(ownerSizes) {
				p.sendFrame(0x82, string(payloadOf(i, ownerSizes[i%len(ownerSizes)])))
			}
		}()
		for i := range 2 * len(ownerSizes) {
			f, err := p.readFrame()
			if err != nil || !bytes.Equal(f.payload, payloadOf(i, ownerSizes[i%len(ownerSizes)])) {
				t.Fatalf("message %d came back as %v, %v", i, f, err)
			}
		}
		p.sendClose(1000, "")
		p.wantClose(1000)
		p.hangUp()
		if err := wantResult(t, "the echo", echoing); err != nil {
			t.Errorf("Send: %v", err)
		}
		wantClosed(t, c, 1000)
	})
}
