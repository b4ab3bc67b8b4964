package codec

import (
	"strconv"
	"strings"
	"testing"
)

func benchStream(size int) (stream []byte, events int) {
	for len(stream) < 1<<20 {
		stream, _ = AppendEvent(stream, Event{Type: "tick", ID: strconv.Itoa(events), Data: strings.Repeat("x", size)})
		events++
	}
	return stream, events
}

func BenchmarkEventParser(b *testing.B) {
	for _, size := range []int{32, 1 << 10, 64 << 10} {
		stream, events := benchStream(size)
		for name, next := range map[string]func(*EventParser) error{
			"Next":    func(p *EventParser) error { _, err := p.Next(); return err },
			"NextRaw": func(p *EventParser) error { _, err := p.NextRaw(); return err },
		} {
			b.Run(name+"/"+strconv.Itoa(size), func(b *testing.B) {
				b.SetBytes(int64(len(stream)))
				b.ReportAllocs()
				var p EventParser
				for b.Loop() {
					n := 0
					for rest := stream; len(rest) > 0; {
						piece := rest[:min(len(rest), 16<<10)]
						rest = rest[len(piece):]
						p.Feed(piece)
						for next(&p) == nil {
							n++
						}
					}
					if n != events {
						b.Fatal(n, events)
					}
				}
				b.ReportMetric(float64(b.N)*float64(events)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	for _, size := range []int{32, 1 << 10, 64 << 10} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			ev := Event{Type: "tick", ID: "12345", Data: strings.Repeat("x", size)}
			buf, _ := AppendEvent(nil, ev)
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = AppendEvent(buf[:0], ev)
			}
		})
	}
}
