package deflate

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/chanws/websocket/negotiate"
	"github.com/klauspost/compress/flate"
)

// emptyBlocks is a message of about n bytes that is empty: dynamic blocks with nothing
// in them, of which four take 45 bytes, and 3 us each to find that out.
func emptyBlocks(t *testing.T, n int) []byte {
	four := unhex(t, "04c081000000000090ff6b100007020000000040feaf41001c080000000000f9bf060170200000000000e4ff1a")
	return append(bytes.Repeat(four, n/len(four)), 0)
}

func TestEmptyBlocks(t *testing.T) {
	p, _ := agree(t, nil, nil)
	data := emptyBlocks(t, 1<<10)
	if out, transformed, err := p.server.Incoming([]byte("before"), compressed(data), 0); string(out) != "before" || !transformed || err != nil {
		t.Errorf("%q, %t, %v", out, transformed, err)
	}
	if got, err := (&strict{window: 1 << MaxWindowBits}).message(data); len(got) > 0 || err != nil {
		t.Errorf("by RFC 1951 alone: %q, %v", got, err)
	}
}

// What is under way ends, though neither side of it has anything to show for its work.
func TestInterruptWhatIsUnderWay(t *testing.T) {
	p, _ := agree(t, nil, nil)
	data := emptyBlocks(t, 16<<20) // 4 s
	interrupted := make(chan struct{})
	go func() {
		time.Sleep(20 * time.Millisecond)
		p.server.Interrupt()
		close(interrupted)
	}()
	if _, _, err := p.server.Incoming(nil, compressed(data), big); !errors.Is(err, errInterrupted) {
		t.Errorf("Incoming: %v", err)
	}
	<-interrupted

	for _, size := range []int{10, 1000, 1 << 20} {
		for _, level := range []int{0, 9, HuffmanOnly} {
			var s negotiate.Interrupter
			p, _ = agree(t, nil, &Options{Level: level, Threshold: -1, Compress: func(negotiate.Message) bool {
				s.Interrupt()
				return true
			}})
			s = p.server
			if _, _, transformed, err := s.Outgoing(nil, message(make([]byte, size))); err != errInterrupted || transformed {
				t.Errorf("Outgoing of %d bytes at level %d: %t, %v", size, level, transformed, err)
			}
		}
	}
}

// What is begun later ends too, and before it has given or taken anything.
func TestInterruptBefore(t *testing.T) {
	p, _ := agree(t, nil, nil)
	wire := bytes.Clone(echo(t, p.client, p.server, records(1, 1024)[0]))
	p.client.Interrupt()
	p.server.Interrupt()
	p.server.Interrupt()
	if out, transformed, err := p.server.Incoming([]byte("x"), compressed(wire), big); string(out) != "x" || transformed || err != errInterrupted {
		t.Errorf("Incoming: %q, %t, %v", out, transformed, err)
	}
	if out, _, transformed, err := p.client.Outgoing([]byte("x"), message(records(1, 1024)[0])); string(out) != "x" || transformed || err != errInterrupted {
		t.Errorf("Outgoing: %q, %t, %v", out, transformed, err)
	}
	// What is prepared is for other connections too.
	if _, _, transformed, err := p.client.Prepare(nil, message(records(1, 1024)[0])); !transformed || err != nil {
		t.Errorf("Prepare: %t, %v", transformed, err)
	}
	p.client.Close()
	p.client.Interrupt()
	// And none of it has spoilt what others take from the pools.
	for range 10 {
		p, _ = agree(t, nil, nil)
		for _, data := range records(5, 1024) {
			echo(t, p.client, p.server, data)
			echo(t, p.server, p.client, data)
		}
	}
}

// Both ends of the work look: there may be nothing to write for all of a message, and
// nothing to read for the thousand bytes that come of one.
func TestWhereTheWorkIsInterrupted(t *testing.T) {
	i := new(interruption)
	i.raised.Store(true)
	if n, err := (&source{data: []byte("x"), interruption: i}).Read(make([]byte, 1)); n != 0 || err != errInterrupted {
		t.Errorf("source: %d, %v", n, err)
	}
	if n, err := (&limited{limit: big, interruption: i}).Write([]byte("x")); n != 0 || err != errInterrupted {
		t.Errorf("limited: %d, %v", n, err)
	}
	if n, err := (&appender{interruption: i}).Write([]byte("x")); n != 0 || err != errInterrupted {
		t.Errorf("appender: %d, %v", n, err)
	}
	c := newCompressor(flate.NewWriter(nil, 1))
	c.out = appender{interruption: i}
	c.writer.Reset(&c.out)
	if err := c.write(make([]byte, pieceSize+1)); err != errInterrupted {
		t.Errorf("compressor: %v", err)
	}
}

// That a message is given to the compressor in pieces does not show.
func TestPiecesDoNotShow(t *testing.T) {
	r := newRand(3)
	all := make([]byte, 0, 4*pieceSize)
	for len(all) < 3*pieceSize {
		all = append(all, mixed(r, r.IntN(20<<10))...)
	}
	history := all[100:3000]
	compressors := []*compressor{newCompressor(flate.NewWriterWindow(nil, 1<<10))}
	for _, level := range []int{HuffmanOnly, 1, 3, 5, 6, 7, 9} {
		compressors = append(compressors, newCompressor(flate.NewWriter(nil, level)))
	}
	for i, c := range compressors {
		for _, size := range []int{pieceSize + 1, 2 * pieceSize} {
			c.out.bytes = nil
			c.writer.ResetDict(&c.out, history)
			if err := errors.Join(c.write(all[:size]), c.writer.Flush()); err != nil {
				t.Fatal(err)
			}
			var whole bytes.Buffer
			c.writer.ResetDict(&whole, history)
			c.writer.Write(all[:size])
			c.writer.Flush()
			if !bytes.Equal(c.out.bytes, whole.Bytes()) {
				t.Errorf("compressor %d, %d bytes: it does", i, size)
			}
		}
	}
}
