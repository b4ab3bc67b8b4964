package conformance

import (
	"bytes"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What a client under test could have the suite hold over HTTP/2 is bounded: it is
// cut off.
func TestHostileClientOverHTTP2(t *testing.T) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	head := func(name, value string) []byte {
		block.Reset()
		encoder.WriteField(hpack.HeaderField{Name: name, Value: value})
		return bytes.Clone(block.Bytes())
	}
	open := func(f *http2.Framer, id uint32) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, BlockFragment: head(":method", "CONNECT")})
	}
	for name, attack := range map[string]func(f *http2.Framer, i int) error{
		"data": func(f *http2.Framer, i int) error {
			if i == 0 {
				return open(f, 1)
			}
			return f.WriteData(1, false, make([]byte, 16<<10))
		},
		"streams": func(f *http2.Framer, i int) error { return open(f, uint32(2*i+1)) },
		"a head": func(f *http2.Framer, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head(":method", "CONNECT")})
			}
			return f.WriteContinuation(1, false, head("x-large", string(make([]byte, 12<<10))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			go io.Copy(io.Discard, far)
			c := newHTTP2Conn(near, Client, func(*http2Stream) {})
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.read()
			}()
			f := http2.NewFramer(far, far)
			var err error
			sent := 0
			for ; sent < 10_000 && err == nil; sent++ {
				err = attack(f, sent)
			}
			if err == nil {
				t.Errorf("%d frames were taken", sent)
			}
			far.Close()
			<-done
		})
	}
}
