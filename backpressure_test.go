package websocket_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket"
)

// An application that does not receive stops the reading, at the bounds it has
// set, and goes on where it was.
func TestReceivingIsBounded(t *testing.T) {
	for _, test := range []struct {
		name            string
		messages, bytes int
		sizes           []int // what the peer sends, over and over
		most            int   // messages read while none is received: those buffered and one on its way
	}{
		{"messages", 4, 1 << 20, []int{1}, 5},
		{"bytes", 16, 10_000, []int{3000}, 4},
		{"one large message always fits", 16, 1000, []int{100_000}, 2},
		{"small ones before a large one", 8, 8000, []int{1000, 1000, 1000, 1000, 1000, 1000, 8000}, 7},
		{"many sizes", 8, 8000, []int{4000, 10, 3000, 900, 100}, 6},
	} {
		t.Run(test.name, func(t *testing.T) {
			timed(t, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: test.messages, ReceiveBytes: test.bytes})
				const total = 50
				sent := result(func() int {
					for i := range total {
						p.conn.SetWriteDeadline(time.Time{})
						payload := bytes.Repeat([]byte{byte(i)}, test.sizes[i%len(test.sizes)])
						if _, err := p.conn.Write(p.encode(0x82, payload)); err != nil {
							return i
						}
					}
					return total
				})
				pass(time.Minute)
				if n := int(c.Stats().MessagesReceived); n > test.most || n < test.most-1 {
					t.Errorf("%d messages were read while nobody received, want %d", n, test.most)
				}
				for i := range total {
					m := <-c.Messages()
					if want := bytes.Repeat([]byte{byte(i)}, test.sizes[i%len(test.sizes)]); !bytes.Equal(m.Data, want) {
						t.Fatalf("message %d: got %d bytes, %.10x", i, len(m.Data), m.Data)
					}
					if i%7 == 0 {
						pass(time.Second)
					}
					m.Release()
				}
				if n := <-sent; n != total {
					t.Errorf("%d messages were sent", n)
				}
				c.Abort()
				wantClosed(t, c, 1006)
			})
		})
	}
}

// Messages that came before a large one count with it, though each alone was not worth
// noting.
func TestReceiveBytesHoldForAll(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		const share = 1000
		c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 12, ReceiveBytes: 12 * share})
		go func() {
			sizes := append(slices.Repeat([]int{share}, 10), 2*share, 10*share, 12*share)
			for _, n := range sizes {
				p.conn.Write(p.encode(0x82, make([]byte, n))) // until nobody reads
			}
		}()
		pass(time.Minute)
		buffered := 0
		for range len(c.Messages()) {
			buffered += len((<-c.Messages()).Data)
		}
		if buffered > 12*share {
			t.Errorf("%d bytes were buffered, ReceiveBytes is %d", buffered, 12*share)
		}
		c.Abort()
		wantClosed(t, c, 1006)
		p.hangUp()
	})
}

// For room in bytes a connection has to look. It does so ever more seldom: twenty of
// which each gets room at another moment of the same second notice that at six at most.
func TestRoomIsLookedForSeldom(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		began := time.Now()
		noticed := make(chan time.Duration, 20)
		for i := range cap(noticed) {
			c, p := open(t, l, websocket.AcceptOptions{ReceiveBytes: 100})
			for range 2 {
				p.sendFrame(0x82, strings.Repeat("x", 100))
			}
			go func() {
				pass(time.Until(began.Add(time.Minute + time.Duration(i)*50*time.Millisecond)))
				<-c.Messages()
				<-c.Messages()
				noticed <- time.Since(began)
				c.Abort()
				<-c.Closed()
			}()
		}
		moments := map[time.Duration]bool{}
		for range cap(noticed) {
			at := <-noticed
			if moments[at] = true; at > 62*time.Second {
				t.Errorf("noticed after %v", at)
			}
		}
		if len(moments) > 6 {
			t.Errorf("noticed at %d moments", len(moments))
		}
	})
}

// Sending goes on while receiving does not.
func TestSendingWhileNotReceiving(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{ReceiveMessages: 1})
		for range 2 {
			p.sendFrame(0x81, "not received")
		}
		synctest.Wait()
		for range 100 {
			if err := c.Send(t.Context(), websocket.Text("out")); err != nil {
				t.Fatal(err)
			}
			p.wantFrame(0x81, "out")
		}
		c.Abort()
		wantClosed(t, c, 1006)
	})
}

// A length that a peer claims costs nothing (RFC 6455, section 10.4).
func TestClaimedLengthCostsNothing(t *testing.T) {
	on(t, sockets, func(t *testing.T, l link) {
		before := heap()
		var conns []*websocket.Conn
		for range 20 {
			c, p := open(t, l, websocket.AcceptOptions{})
			header := unhex("82 7f 00 00 00 00 03 ff ff ff 61")
			if p.masks {
				header = mask(header)
			}
			p.write(header)
			p.send("00") // a byte more; the ping after it can not be read
			conns = append(conns, c)
			for c.Stats().Reads == 0 {
			}
		}
		if grown := heap() - before; grown > 2<<20 {
			t.Errorf("the heap has grown by %d bytes", grown)
		}
		for _, c := range conns {
			c.Abort()
			wantClosed(t, c, 1006)
		}
	})
}
