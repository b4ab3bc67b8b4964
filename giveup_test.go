package websocket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// served is a server's connection on a pipe, and the peer's end of that.
func served(opts AcceptOptions) (*Conn, net.Conn) {
	near, far := net.Pipe()
	c := newConn(opts.settings())
	c.start(&handshake{transport: newTransport(near, c), reader: c.readerFor(negotiate.Hybi13, nil), writer: serverEncoder})
	return c, far
}

// fromClient is a masked frame.
func fromClient(opcode codec.Opcode, payload []byte) []byte {
	encoder := codec.Encoder{NewKey: func() codec.MaskKey { return codec.MaskKey{} }}
	return encoder.AppendFrame(nil, codec.Frame{Opcode: opcode, Final: true, Payload: payload})
}

// A breach of the protocol drops what is queued, but not what the peer has the beginning
// of, nor the close frame; and the peer is let read both.
func TestBreachWithMessagesQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := served(AcceptOptions{})
		defer far.Close()
		if err := c.Send(t.Context(), Text("first")); err != nil { // the peer does not read
			t.Fatal(err)
		}
		synctest.Wait()
		if err := c.TrySend(Text("second")); err != nil {
			t.Fatal(err)
		}
		go far.Write([]byte{0xf1, 0x80, 1, 2, 3, 4}) // reserved bits
		synctest.Wait()
		ended := make(chan struct{})
		go func() {
			io.CopyN(io.Discard, far, int64(len("\x81\x05first")))
			head := make([]byte, 2)
			io.ReadFull(far, head)
			if head[0] != 0x88 {
				t.Errorf("behind the message came % x", head)
			}
			io.ReadFull(far, make([]byte, head[1]))
			close(ended)
			io.Copy(io.Discard, far)
		}()
		<-ended
		// It goes on to read, so that the close frame is not lost to a reset.
		if _, err := far.Write([]byte("more")); err != nil {
			t.Errorf("at the end: %v", err)
		}
	})
}

// That there was room for a message by the time of Close is not the application having
// received since.
func TestCloseByTheReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := served(AcceptOptions{ReceiveBytes: 1000, ReceiveMessages: 4, CloseTimeout: time.Minute})
		defer far.Close()
		go func() {
			for range 3 {
				far.Write(fromClient(codec.OpBinary, make([]byte, 900)))
			}
			far.Write(fromClient(codec.OpClose, codec.AppendClosePayload(nil, StatusNormalClosure, "")))
		}()
		go io.Copy(io.Discard, far)
		time.Sleep(time.Second) // the reader waits with the second
		<-c.Messages()
		began := time.Now()
		if err := c.Close(t.Context(), StatusNormalClosure, ""); err != nil || time.Since(began) > 2*leaveGrace {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		c.Abort()
	})
}

// Nor is that a message was handed over to the receiver which then calls Close.
func TestCloseByTheReceiverOfTheNext(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			c, far := served(AcceptOptions{ReceiveMessages: 1, CloseTimeout: time.Minute})
			defer far.Close()
			go func() {
				for range 4 {
					far.Write(fromClient(codec.OpBinary, make([]byte, 9)))
				}
				far.Write(fromClient(codec.OpClose, codec.AppendClosePayload(nil, StatusNormalClosure, "")))
			}()
			go io.Copy(io.Discard, far)
			time.Sleep(time.Second)
			<-c.Messages()
			began := time.Now()
			if err := c.Close(t.Context(), StatusNormalClosure, ""); err != nil || time.Since(began) > 2*leaveGrace {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			c.Abort()
		})
	}
}

// A message that needs the room of several waits for a receiver that goes on after Close,
// and one for which there is room in the last moment is seen.
func TestCloseWaitsForRoomInBytes(t *testing.T) {
	for name, test := range map[string]struct {
		sizes        []int
		first, pause time.Duration
	}{
		"the room of several": {[]int{250, 250, 250, 250, 900}, 0, 400 * time.Millisecond},
		"the last moment":     {[]int{900, 900}, leaveGrace - 50*time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, far := served(AcceptOptions{ReceiveBytes: 1000, ReceiveMessages: 8, CloseTimeout: time.Minute})
				defer far.Close()
				go func() {
					for _, size := range test.sizes {
						far.Write(fromClient(codec.OpBinary, make([]byte, size)))
					}
					far.Write(fromClient(codec.OpClose, codec.AppendClosePayload(nil, StatusNormalClosure, "")))
				}()
				go io.Copy(io.Discard, far)
				time.Sleep(time.Second)
				go c.Close(context.Background(), StatusNormalClosure, "")
				time.Sleep(test.first)
				got := 0
				for range c.Messages() {
					got++
					time.Sleep(test.pause)
				}
				if got != len(test.sizes) {
					t.Errorf("received %d of %d; %v", got, len(test.sizes), <-c.Errors())
				}
				<-c.Closed()
			})
		})
	}
}

// A peer that sends on keeps a failed connection no longer than the close timeout, where
// the application takes all at once.
func TestFailedConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := served(AcceptOptions{CloseTimeout: 2 * time.Second, WriteTimeout: 100 * time.Millisecond})
		go func() {
			burst := bytes.Repeat(fromClient(codec.OpBinary, []byte("x")), 200)
			for {
				if _, err := far.Write(burst); err != nil {
					return
				}
				time.Sleep(900 * time.Millisecond)
			}
		}()
		began := time.Now()
		time.AfterFunc(time.Hour, func() { far.Close() })
		c.Send(t.Context(), Binary(make([]byte, 1<<20))) // nobody reads
		for range c.Messages() {
		}
		<-c.Closed()
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("it took %v", d)
		}
		far.Close()
		time.Sleep(time.Hour)
	})
}

// An application that receives slowly has all that came before a write failed.
func TestSlowReceiverAfterAFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 12
		c, far := served(AcceptOptions{ReceiveMessages: 1, CloseTimeout: 2 * time.Second, WriteTimeout: 100 * time.Millisecond})
		defer far.Close()
		go func() {
			for range messages {
				far.Write(fromClient(codec.OpBinary, make([]byte, 60000)))
			}
			far.Close()
		}()
		c.Send(t.Context(), Binary(make([]byte, 1<<20))) // nobody reads
		got := 0
		for range c.Messages() {
			got++
			time.Sleep(1200 * time.Millisecond)
		}
		if e := <-c.Closed(); got < messages {
			t.Errorf("received %d of %d, %+v", got, messages, e)
		}
	})
}

// The end of the context is told on Errors, though what it leads to is noticed first.
func TestContextIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		near, far := net.Pipe()
		c := newConn((&AcceptOptions{}).settings())
		ended := *c.settings
		ended.context = ctx
		c.settings = &ended // and nothing follows it yet
		c.start(&handshake{transport: newTransport(near, c), reader: c.readerFor(negotiate.Hybi13, nil), writer: serverEncoder})
		c.extra().stopContext()
		errs := c.Errors()
		cancel()
		far.Close()
		e := <-c.Closed()
		if told := <-errs; !errors.Is(e.Err, context.Canceled) || !errors.Is(told, context.Canceled) {
			t.Errorf("Closed tells %v, Errors %v", e.Err, told)
		}
		c.contextEnded() // late, and for nobody
	})
}

// A slowLog takes its time.
type slowLog struct{ slog.Handler }

func (slowLog) Enabled(context.Context, slog.Level) bool { return true }

func (slowLog) Handle(context.Context, slog.Record) error {
	time.Sleep(10 * time.Second)
	return nil
}

// Nor is it lost while it is logged.
func TestContextIsToldBeforeItIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, far := served(AcceptOptions{Context: ctx, Logger: slog.New(slowLog{slog.DiscardHandler})})
		errs := c.Errors()
		cancel()
		synctest.Wait() // it logs
		far.Close()
		e := <-c.Closed()
		if told := <-errs; !errors.Is(told, context.Canceled) {
			t.Errorf("Closed tells %v, Errors %v", e.Err, told)
		}
		time.Sleep(time.Minute)
	})
}

// A tape with something in its way.
type slowTape struct {
	*tape
	written, abandoned func()
}

func (t *slowTape) tryWrite(w *directWrite) error {
	err := t.tape.tryWrite(w)
	t.written()
	return err
}

func (t *slowTape) abort() error { t.abandoned(); return nil }

// Flush tells that all was written, whatever came to an end beside it.
func TestFlushAfterTheEndOfAWrite(t *testing.T) {
	for name, slow := range map[string]func(c *Conn, tp *slowTape){
		"a Close while the connection ends": func(c *Conn, tp *slowTape) {
			tp.written = func() {}
			tp.abandoned = func() {
				go c.Close(context.Background(), StatusNormalClosure, "")
				time.Sleep(time.Millisecond)
			}
		},
		"the end while it is written": func(_ *Conn, tp *slowTape) {
			tp.written = func() { time.Sleep(10 * time.Millisecond) }
			tp.abandoned = func() {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newConn((&AcceptOptions{}).settings())
				tp := &slowTape{tape: newTape(1000)}
				slow(c, tp)
				c.start(&handshake{transport: tp, reader: c.readerFor(negotiate.Hybi13, nil), writer: serverEncoder})
				go func() {
					time.Sleep(time.Millisecond)
					tp.end() // the peer ends its side
				}()
				if err := c.Send(t.Context(), Text("x")); err != nil {
					t.Fatal(err)
				}
				<-c.Closed()
				if err := c.Flush(t.Context()); err != nil {
					t.Errorf("Flush: %v", err)
				}
				c.mu.Lock()
				defer c.mu.Unlock()
				if c.data != nil {
					t.Error("something is left in the queue")
				}
			})
		})
	}
}
