package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"
)

// TestWrongReply has a server that changes one bit of what it echoes.
func TestWrongReply(t *testing.T) {
	s := &scenario{Size: 100, Depth: 3}
	b := s.bursts(&target{})[0]
	for _, at := range []int{0, 1, 2, len(b.reply) / 2, len(b.reply) - 1} {
		client, server := net.Pipe()
		reply := bytes.Clone(b.reply)
		reply[at] ^= 1
		go func() {
			_, _ = io.ReadFull(server, make([]byte, len(b.request)))
			_, _ = server.Write(reply)
		}()
		w := &newLoad(1).workers[0]
		if err := w.exchange(client, &b, make([]byte, len(b.reply))); !errors.Is(err, errWrongReply) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
}

// TestScript unpacks all that connections send, as a server would.
func TestScript(t *testing.T) {
	s := newScript(1 << 10)
	for _, f := range []framing{{fresh: true, bits: 15}, {bits: 15}, {bits: 12}, {bits: 9}} {
		t.Run(fmt.Sprint(f), func(t *testing.T) {
			laps, err := s.laps(f)
			if err != nil {
				t.Fatal(err)
			}
			var history []byte
			for n := range 4 * lapSize {
				want := s.texts[n%lapSize]
				if f.fresh {
					history = nil
				} else if window := s.window(n); !bytes.Equal(window, history) {
					t.Fatalf("message %d: the window is not what was sent before", n)
				}
				got := unpack(t, s.request(laps, n), history[max(0, len(history)-1<<f.bits):])
				if !bytes.Equal(got, want) {
					t.Fatalf("message %d of %d bytes, not %d", n, len(got), len(want))
				}
				history = append(history, want...)
				history = history[max(0, len(history)-maxWindow):]
			}
		})
	}
}

func unpack(t *testing.T, frame, window []byte) []byte {
	t.Helper()
	h, ok, err := parseHeader(frame)
	if err != nil || !ok || h.size+h.length != len(frame) || h.first != finBit|rsv1Bit|opText {
		t.Fatalf("header %+v, %v", h, err)
	}
	payload := bytes.Clone(frame[h.size:])
	unmask(payload, h.key)
	b, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(append(payload, deflateTail...)), window))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFrames(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		payload := randomBytes(n, 3)
		frame := appendClientFrame(nil, finBit|opBinary, payload, [4]byte{9, 8, 7, 6})
		h, ok, err := parseHeader(frame)
		if err != nil || !ok || h.length != n || h.size+n != len(frame) || !h.masked {
			t.Fatalf("%d bytes: %+v, %v, %v", n, h, ok, err)
		}
		for i := range h.size {
			if _, ok, _ := parseHeader(frame[:i]); ok {
				t.Errorf("%d bytes: a header of %d is complete with %d", n, h.size, i)
			}
		}
		var echo bytes.Buffer
		used, err := echoFrames(&echo, append(frame, 0x82))
		if err != nil || used != len(frame) {
			t.Fatalf("%d bytes: used %d of %d, %v", n, used, len(frame), err)
		}
		// Long headers keep their form, so compare what they say.
		if h, ok, err := parseHeader(echo.Bytes()); err != nil || !ok || h.masked ||
			!bytes.Equal(echo.Bytes()[h.size:], payload) {
			t.Errorf("%d bytes: echo %+v, %v", n, h, err)
		}
	}
}

// TestWaitEOF is content with a server that leaves it to the client to close, and not
// with one that goes on sending.
func TestWaitEOF(t *testing.T) {
	for _, test := range []struct {
		name   string
		server func(net.Conn)
		fails  bool
	}{
		{"closes", func(c net.Conn) { c.Close() }, false},
		{"waits", func(net.Conn) {}, false},
		{"sends", func(c net.Conn) { c.Write([]byte{1}); c.Close() }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			here, there := net.Pipe()
			defer there.Close()
			go test.server(there)
			if err := waitEOF(here); (err != nil) != test.fails {
				t.Error(err)
			}
		})
	}
}

// TestCollectingConn has nothing written before a read, and the rest at the end.
func TestCollectingConn(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	got := make(chan string)
	go func() {
		defer close(got)
		b := make([]byte, 10)
		for {
			n, err := there.Read(b)
			if err != nil {
				return
			}
			got <- string(b[:n])
			if string(b[:n]) == "ab" {
				there.Write([]byte("c"))
			}
		}
	}()
	c := &collectingConn{Conn: here}
	c.Write([]byte("a"))
	c.Write([]byte("b"))
	go func() {
		c.Read(make([]byte, 1))
		c.Write([]byte("d"))
		c.Close()
	}()
	for _, want := range []string{"ab", "d", ""} {
		if s := <-got; s != want {
			t.Errorf("%q, not %q", s, want)
		}
	}
}

func TestParseResponse(t *testing.T) {
	head := "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + sampleAccept + "\r\n"
	a, err := parseResponse(head + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12; " +
		"server_no_context_takeover\r\n\r\n")
	if err != nil || a != (agreement{deflate: true, serverFresh: true, clientBits: 12}) {
		t.Errorf("%+v, %v", a, err)
	}
	for _, bad := range []string{
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
		head + "Sec-WebSocket-Extensions: foo\r\n\r\n",
	} {
		if _, err := parseResponse(bad); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for d := time.Microsecond; d <= time.Millisecond; d += time.Microsecond {
		h.add(d)
	}
	for q, want := range map[float64]float64{0.5: 500, 0.99: 990} {
		if got := h.quantile(q); got < want*0.93 || got > want*1.07 {
			t.Errorf("quantile %v is %v, not about %v", q, got, want)
		}
	}
	h.add(-1)
	h.add(time.Hour)
	h.add(1 << 62)
}

func TestSummary(t *testing.T) {
	s := summarize([]float64{3, 1, 2, 10})
	if s.Median != 2.5 || s.Min != 1 || s.Max != 10 {
		t.Errorf("%+v", s)
	}
	s.compare([]float64{1, 1.1, 1.2})
	if s.Ratio != 1.1 || s.Worthless {
		t.Errorf("steady: %+v", s)
	}
	s.compare([]float64{0.5, 1.1, 1.2})
	if !s.Worthless {
		t.Errorf("unsteady: %+v", s)
	}
	s.compare([]float64{1, 1})
	if !s.Worthless {
		t.Errorf("too few: %+v", s)
	}
}

// TestRatiosByRound leaves rounds out in which either has failed.
func TestRatiosByRound(t *testing.T) {
	m := messages
	a := &peerResult{runs: []values{{m.Key: 2}, nil, {m.Key: 6}}}
	b := &peerResult{runs: []values{{m.Key: 1}, {m.Key: 1}, {m.Key: 2}}}
	if r := a.ratios(b, m); len(r) != 2 || r[0] != 2 || r[1] != 3 {
		t.Errorf("ratios %v", r)
	}
}
