package websocket

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/chanws/websocket/negotiate"
)

// A shout is an extension without reserved bits, which all messages pass.
type shout struct{}

func (shout) Outgoing(dst []byte, m negotiate.Message) ([]byte, negotiate.Reserved, bool, error) {
	return dst, 0, false, nil
}

func (shout) Incoming(dst []byte, m negotiate.Message, _ int64) ([]byte, bool, error) {
	return append(append(dst, m.Data...), '!'), true, nil
}

func (shout) Close() {}

// Extensions work on whole messages: what is delivered in parts does not pass them,
// its last part no more than the others.
func TestPartsDoNotPassExtensions(t *testing.T) {
	for _, test := range []struct {
		name      string
		fragments bool
		want      []string
	}{
		{"whole", false, []string{"ab!"}},
		{"in parts", true, []string{"a", "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			near, far := net.Pipe()
			go io.Copy(io.Discard, far)
			c := newConn((&DialOptions{Fragments: test.fragments}).settings())
			pipeline := negotiate.NewPipeline(negotiate.Offer{Name: "shout"}, 0, shout{})
			c.start(&handshake{transport: newTransport(near, c), reader: c.readerFor(negotiate.Hybi13, pipeline), writer: clientEncoder, pipeline: pipeline})
			go io.WriteString(far, "\x01\x01a\x80\x01b")
			for _, want := range test.want {
				if m := <-c.Messages(); m.String() != want {
					t.Errorf("got %q, want %q", m, want)
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			c.Close(ctx, StatusNormalClosure, "")
			far.Close()
			<-c.Closed()
		})
	}
}
