// Package sse measures how fast event streams are parsed, beside
// github.com/tmaxmax/go-sse and github.com/r3labs/sse. Run it with
//
//	cd bench && go test -bench . ./sse
//
// What it takes to send events to many is measured by the command itself: the
// scenarios events-1 and events-8.
package sse

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/chanws/websocket/codec"
	r3labs "github.com/r3labs/sse/v2"
	tmaxmax "github.com/tmaxmax/go-sse"
)

// readSize is what one read of a connection gives.
const readSize = 16 << 10

// parsers read a whole stream and tell how many events it had.
var parsers = []struct {
	name  string
	parse func(io.Reader) (int, error)
}{
	{"ours", parseOurs},
	{"tmaxmax", parseTmaxmax},
	{"r3labs", parseR3labs},
}

func parseOurs(r io.Reader) (n int, err error) {
	var p codec.EventParser
	buf := make([]byte, readSize)
	for {
		k, err := r.Read(buf)
		p.Feed(buf[:k])
		for {
			if _, err := p.Next(); err == codec.ErrNeedMore {
				break
			} else if err != nil {
				return n, err
			}
			n++
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// parseTmaxmax uses Read, which its documentation has for streams that are read once.
func parseTmaxmax(r io.Reader) (n int, err error) {
	for _, err := range tmaxmax.Read(r, &tmaxmax.ReadConfig{MaxEventSize: 1 << 20}) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// parseR3labs splits the stream into blocks, which is all that can be called of its
// parser from outside: fields are not looked at, so that it does less than the others.
func parseR3labs(r io.Reader) (n int, err error) {
	for s := r3labs.NewEventStreamReader(r, 1<<20); ; n++ {
		if _, err := s.ReadEvent(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

// stream has about a megabyte of events.
func stream(size int) (text []byte, events int) {
	for len(text) < 1<<20 {
		text = fmt.Appendf(text, "event: tick\nid: %d\ndata: %s\n\n", events, strings.Repeat("x", size))
		events++
	}
	return text, events
}

// pieces is a reader that gives no more than a connection does.
type pieces struct{ io.Reader }

func (p pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), readSize)]) }

func TestParsers(t *testing.T) {
	text, events := stream(32)
	for _, p := range parsers {
		if n, err := p.parse(pieces{bytes.NewReader(text)}); err != nil || n != events {
			t.Errorf("%s: %d events of %d, %v", p.name, n, events, err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, size := range []int{32, 1 << 10, 64 << 10} {
		text, events := stream(size)
		for _, p := range parsers {
			b.Run(fmt.Sprintf("%s/%d", p.name, size), func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					if n, err := p.parse(pieces{bytes.NewReader(text)}); err != nil || n != events {
						b.Fatal(n, err)
					}
				}
				b.ReportMetric(float64(b.N)*float64(events)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}
