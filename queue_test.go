package websocket

import (
	"context"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// queueing makes a connection whose writer is stuck with the message "first", so that
// what is sent next stays in the queue until far is read from.
func queueing(t *testing.T, pipeline *negotiate.Pipeline) (c *Conn, far net.Conn) {
	near, far := net.Pipe()
	c = newConn((&AcceptOptions{}).settings())
	c.start(&handshake{
		transport: newTransport(near, c),
		reader:    c.readerFor(negotiate.Hybi13, pipeline), writer: serverEncoder, pipeline: pipeline,
	})
	t.Cleanup(func() {
		far.Close()
		c.Abort()
		<-c.whenEnded()
	})
	if err := c.Send(t.Context(), Text("first")); err != nil {
		t.Fatal(err)
	}
	await(t, c, func() bool { return c.data == nil })
	return c, far
}

// await waits until what holds under the lock does.
func await(t *testing.T, c *Conn, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		c.mu.Lock()
		done := holds()
		c.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(limit) {
			t.Fatal("it did not come to that")
		}
	}
}

// receiveFrames reads what comes in one write after the other, until there are so many
// messages.
func receiveFrames(t *testing.T, far net.Conn, messages int) (texts []string, largest int) {
	t.Helper()
	d := codec.NewDecoder(codec.DecoderOptions{Role: codec.Client})
	room := make([]byte, 1<<20)
	far.SetReadDeadline(time.Now().Add(20 * time.Second))
	for len(texts) < messages {
		n, err := far.Read(room)
		if err != nil {
			t.Fatalf("after %d messages: %v", len(texts), err)
		}
		largest = max(largest, n)
		for b := room[:n]; len(b) > 0; {
			n := copy(d.Space(0), b)
			d.Wrote(n)
			b = b[n:]
			for {
				event, err := d.Next()
				if err == codec.ErrNeedMore {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if event.Opcode == codec.OpText {
					texts = append(texts, string(event.Payload))
				}
			}
		}
	}
	return texts, largest
}

// More than one write takes leaves in several, whole and in order, alone and with a
// control frame before it.
func TestQueueOfManyFrames(t *testing.T) {
	for _, pong := range []bool{false, true} {
		c, far := queueing(t, nil)
		want := []string{"first"}
		for i := range 200 {
			text := strings.Repeat(string(rune('a'+i%26)), 1000)
			if err := c.TrySend(Text(text)); err != nil {
				t.Fatal(err)
			}
			want = append(want, text)
		}
		// Small frames are encoded at once, one behind the other.
		await(t, c, func() bool { return len(c.data.pieces) == 1 })
		if pong {
			if err := c.Pong(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		got, largest := receiveFrames(t, far, len(want))
		if !slices.Equal(got, want) {
			t.Errorf("pong %v: other messages came, or in another order", pong)
		}
		if largest > maxWrite+codec.MaxHeaderSize+2 { // what a buffer has more
			t.Errorf("pong %v: %d bytes in one write", pong, largest)
		}
	}
}

// loud is an extension's session that adds to what is sent.
type loud struct{}

func (loud) Close() {}

func (loud) Incoming(dst []byte, _ negotiate.Message, _ int64) ([]byte, bool, error) {
	return dst, false, nil
}

func (loud) Outgoing(dst []byte, m negotiate.Message) ([]byte, negotiate.Reserved, bool, error) {
	return append(append(dst, m.Data...), '!'), 0, true, nil
}

// What waits in the queue goes through the extensions as what does not.
func TestQueueWithExtension(t *testing.T) {
	c, far := queueing(t, negotiate.NewPipeline(negotiate.Offer{Name: "loud"}, 0, loud{}))
	for _, text := range []string{"second", "third"} {
		if err := c.Send(t.Context(), Text(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := receiveFrames(t, far, 3); !slices.Equal(got, []string{"first!", "second!", "third!"}) {
		t.Errorf("got %q", got)
	}
}

// However a connection ends, nothing of the queue stays counted.
func TestQueueAtTheEnd(t *testing.T) {
	for name, end := range map[string]func(c *Conn, far net.Conn){
		"close":  func(c *Conn, _ net.Conn) { go c.Close(context.Background(), StatusNormalClosure, "bye") },
		"breach": func(_ *Conn, far net.Conn) { far.Write([]byte("\x83\x80\x00\x00\x00\x00")) },
		"abort":  func(c *Conn, _ net.Conn) { c.Abort() },
	} {
		t.Run(name, func(t *testing.T) {
			c, far := queueing(t, nil)
			for range 3 {
				if err := c.Send(t.Context(), Text("more")); err != nil {
					t.Fatal(err)
				}
			}
			end(c, far)
			await(t, c, func() bool { return c.phase != StateOpen })
			go io.Copy(io.Discard, far)
			await(t, c, func() bool { return c.closeSent || c.broken })
			far.Close()
			<-c.Closed()
			await(t, c, func() bool {
				// What was being written at an Abort counts as neither.
				return c.budget.messages == 0 && c.budget.bytes == 0 && (c.queued == c.written || name == "abort")
			})
		})
	}
}
