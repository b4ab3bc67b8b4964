package deflate

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/chanws/websocket/negotiate"
	"github.com/klauspost/compress/flate"
)

// BenchmarkJSON sends and receives JSON records of 1 KiB.
func BenchmarkJSON(b *testing.B) {
	messages := records(1000, 1024)
	for name, o := range map[string]*Options{
		"takeover":    {ClientMaxWindowBits: 15},
		"no_takeover": {ServerNoContextTakeover: true, ClientNoContextTakeover: true},
	} {
		b.Run(name, func(b *testing.B) {
			p, _ := agree(b, nil, o)
			wire, got := make([]byte, 0, 4096), make([]byte, 0, 4096)
			total, n := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				var bits negotiate.Reserved
				wire, bits, _, _ = p.server.Outgoing(wire[:0], message(messages[n%len(messages)]))
				got, _, _ = p.client.Incoming(got[:0], negotiate.Message{Reserved: bits, Data: wire}, big)
				total += len(wire)
				n++
			}
			b.ReportMetric(float64(total)/float64(n), "wire-B/op")
			b.ReportMetric(float64(cap(p.server.out.history.bytes)+cap(p.server.in.history.bytes)), "sender-B/conn")
			b.ReportMetric(float64(cap(p.client.out.history.bytes)+cap(p.client.in.history.bytes)), "receiver-B/conn")
		})
	}
}

func BenchmarkOutgoing(b *testing.B) { benchmarkOneWay(b, sendOnly) }
func BenchmarkIncoming(b *testing.B) { benchmarkOneWay(b, receiveOnly) }

func benchmarkOneWay(b *testing.B, run func(*testing.B, pair, [][]byte)) {
	for _, size := range []int{128, 1 << 10, 16 << 10, 1 << 20} {
		for name, o := range map[string]*Options{"takeover": nil, "no_takeover": {ServerNoContextTakeover: true}} {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				p, _ := agree(b, nil, o)
				messages := records(2, 1024)
				for i := range messages {
					messages[i] = bytes.Repeat(messages[i], max(1, size>>10))[:size]
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				run(b, p, messages)
			})
		}
	}
}

func sendOnly(b *testing.B, p pair, messages [][]byte) {
	var wire []byte
	for b.Loop() {
		wire, _, _, _ = p.server.Outgoing(wire[:0], message(messages[0]))
	}
}

// receiveOnly receives a message that refers to the one before it.
func receiveOnly(b *testing.B, p pair, messages [][]byte) {
	echo(b, p.server, p.client, messages[0])
	wire := echo(b, p.server, p.client, messages[0])
	var got []byte
	for b.Loop() {
		got, _, _ = p.client.Incoming(got[:0], compressed(wire), big)
	}
}

// BenchmarkCompressors is what the choice of compressor and history rests on.
func BenchmarkCompressors(b *testing.B) {
	messages := records(2000, 1024)
	for _, size := range []int{0, 2 << 10, 4 << 10, 8 << 10, 32 << 10} {
		for level := 1; level <= 7; level++ {
			w, _ := flate.NewWriter(nil, level)
			benchmarkCompressor(b, fmt.Sprintf("level=%d/history=%d", level, size), size, messages, func(out *appender, data, history []byte) {
				w.ResetDict(out, history)
				w.Write(data)
				w.Flush()
			})
		}
		benchmarkCompressor(b, fmt.Sprintf("stateless/history=%d", size), size, messages, func(out *appender, data, history []byte) {
			flate.StatelessDeflate(out, data, false, history)
		})
	}
}

func benchmarkCompressor(b *testing.B, name string, size int, messages [][]byte, compress func(out *appender, data, history []byte)) {
	b.Run(name, func(b *testing.B) {
		var out appender
		h := history{max: size}
		total, n := 0, 0
		b.ReportAllocs()
		for b.Loop() {
			data := messages[n%len(messages)]
			out.bytes = out.bytes[:0]
			compress(&out, data, h.bytes)
			h.add(data)
			total += len(out.bytes) - len(tail)
			n++
		}
		b.ReportMetric(float64(total)/float64(n), "wire-B/op")
	})
}
