package websocket_test

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/negotiate"
	"github.com/chanws/websocket/negotiate/deflate"
)

// acceptExtension opens a connection with the options to a raw peer that offers the
// extension.
func acceptExtension(t *testing.T, offer string, opts websocket.AcceptOptions) (*websocket.Conn, *peer) {
	t.Helper()
	accepted := make(chan *websocket.Conn, 1)
	p := call(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &opts)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}), nil))
	p.write([]byte(strings.TrimSuffix(sampleRequest, "\r\n") + "Sec-WebSocket-Extensions: " + offer + "\r\n\r\n"))
	if h := p.wantHead(); h.Get("Sec-WebSocket-Extensions") != offer {
		t.Errorf("agreed on %q", h.Get("Sec-WebSocket-Extensions"))
	}
	return <-accepted, p
}

// zeros are n zeros, compressed as RFC 7692, section 7.2.1 says.
func zeros(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	for piece := make([]byte, 1<<20); n > 0; n -= len(piece) {
		w.Write(piece[:min(n, len(piece))])
	}
	w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// A message that inflates to more than the limit costs no more than the limit, and is
// refused with both sizes, whether it comes whole, in fragments, or where the
// application wants parts: those are for messages that no extension has touched.
func TestMessageThatInflates(t *testing.T) {
	bomb := zeros(t, 256<<20)
	limit := len(bomb) // it holds before and after
	for _, test := range []struct {
		name              string
		fragments, inPart bool
	}{
		{"whole", false, false}, {"in fragments", true, false}, {"whole, Fragments", false, true}, {"in fragments, Fragments", true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			leavesNothing(t)
			c, p := acceptExtension(t, deflate.Name, websocket.AcceptOptions{
				Extensions: []negotiate.Extension{deflate.New(nil)}, MaxMessageSize: int64(limit), Fragments: test.inPart,
			})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if test.fragments {
				p.sendFrame(0x42, string(bomb[:1000]))
				p.sendFrame(0x00, string(bomb[1000:2000]))
				p.sendFrame(0x89, "between")
				p.wantFrame(0x8a, "between")
				p.sendFrame(0x80, string(bomb[2000:]))
			} else {
				p.sendFrame(0xc2, string(bomb))
			}
			want := fmt.Sprintf("message of %d bytes becomes more than the limit of %d", len(bomb), limit)
			if reason := p.wantClose(1009); reason != want {
				t.Errorf("reason %q, want %q", reason, want)
			}
			runtime.ReadMemStats(&after)
			if spent := after.TotalAlloc - before.TotalAlloc; spent > 16<<20 {
				t.Errorf("allocated %d bytes", spent)
			}
			p.hangUp()
			wantNoMessage(t, c)
			wantIs(t, "Closed", wantClosed(t, c, websocket.StatusMessageTooBig).Err, websocket.ErrMessageTooBig)
		})
	}
}

// A failing is an extension whose sessions can undo nothing, for the reason.
type failing struct{ err error }

func (failing) Name() string                      { return "x-failing" }
func (failing) Reserved() negotiate.Reserved      { return negotiate.RSV2 }
func (failing) Client() negotiate.ClientExtension { return nil }
func (failing) Close()                            {}
func (f failing) Server([][]negotiate.Param) (_ []negotiate.Param, _ negotiate.Session, ok bool) {
	return nil, f, true
}

func (failing) Outgoing([]byte, negotiate.Message) ([]byte, negotiate.Reserved, bool, error) {
	return nil, 0, false, nil
}

func (f failing) Incoming([]byte, negotiate.Message, int64) ([]byte, bool, error) {
	return nil, false, f.err
}

// What an extension says of its failure is for this side alone: the peer gets to know
// the kind of it.
func TestExtensionFails(t *testing.T) {
	for _, test := range []struct {
		err    error
		code   int
		reason string
	}{
		{errors.New("key s3cret"), 1002, "message that an extension can not undo"},
		{fmt.Errorf("key s3cret: %w", negotiate.ErrTooBig), 1009, "message of 3 bytes becomes more than the limit of 1000"},
	} {
		leavesNothing(t)
		c, p := acceptExtension(t, "x-failing", websocket.AcceptOptions{
			Extensions: []negotiate.Extension{failing{test.err}}, MaxMessageSize: 1000,
		})
		p.sendFrame(0xa1, "abc")
		if reason := p.wantClose(test.code); reason != test.reason {
			t.Errorf("reason %q, want %q", reason, test.reason)
		}
		p.hangUp()
		e := wantClosed(t, c, websocket.StatusCode(test.code))
		wantIs(t, "Closed", e.Err, test.err)
		if e.Reason != test.reason || strings.Contains(e.Err.Error(), "at byte") {
			t.Errorf("closed with %+v", e)
		}
		if test.code == 1002 && !strings.Contains(e.Err.Error(), "key s3cret") {
			t.Errorf("the text does not tell what failed: %v", e.Err)
		}
	}
}

// What passes an extension and what does not keep their order, and the close frame
// comes last.
func TestExtensionsKeepTheOrder(t *testing.T) {
	leavesNothing(t)
	extensions := []negotiate.Extension{deflate.New(nil)}
	address := serve(t, websocket.Handler(echoAll, &websocket.AcceptOptions{Extensions: extensions}), nil)
	c, err := websocket.Dial(t.Context(), "ws://"+address, &websocket.DialOptions{Extensions: extensions})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Extensions(); len(got) != 1 || got[0].Name != deflate.Name {
		t.Errorf("agreed on %v", got)
	}
	text := func(i int) string { return fmt.Sprint(i, strings.Repeat(" again", i*37%200)) } // above and below the threshold
	const total = 300
	sent := result(func() error {
		for i := range total {
			if err := c.Send(context.Background(), websocket.Text(text(i))); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range total {
		wantMessage(t, c, text(i))
	}
	if err := wantResult(t, "Send", sent); err != nil {
		t.Error(err)
	}
	closing := result(func() error {
		for i := range 10 {
			c.Send(context.Background(), websocket.Text(text(i)))
		}
		return c.Close(context.Background(), 1000, "")
	})
	for i := range 10 {
		wantMessage(t, c, text(i))
	}
	wantNoMessage(t, c)
	if err := wantResult(t, "Close", closing); err != nil {
		t.Errorf("Close: %v", err)
	}
	wantClosed(t, c, 1000)
}
