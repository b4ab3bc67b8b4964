package websocket

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/chanws/websocket/codec"
)

// echo is the application of the benchmarks.
func echo(c *Conn) {
	for m := range c.Messages() {
		if c.Send(context.Background(), m) != nil {
			return
		}
		m.Release()
	}
}

// A rawClient sends masked frames and reads replies without being a Conn, so that
// what is measured is the server alone.
type rawClient struct {
	net.Conn
	frames  []byte // a burst
	replies []byte // as long as what comes back
	failed  chan error
}

func newRawClient(b testing.TB, address string, size, burst int) *rawClient {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	response := make([]byte, 0, 1024)
	for !strings.HasSuffix(string(response), "\r\n\r\n") {
		n, err := conn.Read(response[len(response):cap(response)])
		if err != nil {
			b.Fatal(err)
		}
		response = response[:len(response)+n]
	}
	c := &rawClient{Conn: conn, failed: make(chan error, 1)}
	c.prepare(size, burst)
	return c
}

// prepare encodes the burst and what has to come back.
func (c *rawClient) prepare(size, burst int) {
	payload := make([]byte, size)
	masked := &codec.Encoder{NewKey: func() codec.MaskKey { return codec.MaskKey{1, 2, 3, 4} }}
	reply := new(codec.Encoder)
	for i := range burst {
		if size >= 4 {
			binary.BigEndian.PutUint32(payload, uint32(i))
		}
		f := codec.Frame{Opcode: codec.OpBinary, Final: true, Payload: payload}
		c.frames = masked.AppendFrame(c.frames, f)
		c.replies = reply.AppendFrame(c.replies, f)
	}
}

// round sends the burst and waits for all replies.
func (c *rawClient) round(buf []byte) error {
	if len(c.frames) > 128<<10 {
		go func() { _, err := c.Write(c.frames); c.failed <- err }()
	} else {
		_, err := c.Write(c.frames)
		c.failed <- err
	}
	if _, err := io.ReadFull(c, buf[:len(c.replies)]); err != nil {
		return err
	}
	return <-c.failed
}

func benchmarkEcho(b *testing.B, conns, size, burst int) {
	var mu sync.Mutex
	var served []*Conn
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			return
		}
		mu.Lock()
		served = append(served, c)
		mu.Unlock()
		go echo(c)
	}))
	defer server.Close()
	clients := make([]*rawClient, conns)
	for i := range clients {
		clients[i] = newRawClient(b, server.Listener.Addr().String(), size, burst)
		defer clients[i].Close()
	}
	rounds := b.N/(conns*burst) + 1
	b.ReportAllocs()
	b.SetBytes(int64(size))
	b.ResetTimer()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			buf := make([]byte, len(c.replies))
			for range rounds {
				if err := c.round(buf); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	var total Stats
	mu.Lock()
	defer mu.Unlock()
	for _, c := range served {
		s := c.Stats()
		total.MessagesSent += s.MessagesSent
		total.Writes += s.Writes
		total.Reads += s.Reads
		c.Abort()
	}
	b.ReportMetric(float64(total.Writes)/float64(total.MessagesSent), "writes/msg")
	b.ReportMetric(float64(total.Reads)/float64(total.MessagesSent), "reads/msg")
}

func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{125, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) { benchmarkEcho(b, 1, size, 1) })
	}
	b.Run("125/100conns", func(b *testing.B) { benchmarkEcho(b, 100, 125, 1) })
}

func BenchmarkPipelined(b *testing.B) {
	for _, size := range []int{32, 1 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) { benchmarkEcho(b, 16, size, 64) })
	}
}
