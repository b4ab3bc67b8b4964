package conformance

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Carrier is the version of HTTP whose handshake opens the connections, and on
// which their frames travel.
type Carrier int

// The carriers.
const (
	HTTP1 Carrier = iota // an Upgrade of HTTP/1.1 (RFC 6455, 4)
	HTTP2                // an extended CONNECT of HTTP/2 (RFC 8441), over TLS
)

const (
	streamWindow     = 1 << 20  // what a peer may send on a stream before it is read
	connectionWindow = 16 << 20 // on all streams together
	defaultWindow    = 65535    // RFC 9113, 6.9.2
	stuckWrite       = 20 * time.Second
	mostStreams      = 100
)

var errNoExtendedConnect = errors.New("the server does not offer extended CONNECT (RFC 8441, 3: SETTINGS_ENABLE_CONNECT_PROTOCOL)")

// notOver says why a case has no meaning on a carrier: "" where it has one.
func (c Case) notOver(carrier Carrier) string {
	if carrier == HTTP1 {
		return ""
	}
	switch c.Group {
	case GroupServerHandshake, GroupClientHandshake:
		return "it is about the Upgrade of HTTP/1.1, which HTTP/2 does not have (RFC 8441, 5)"
	case GroupHixie:
		return "the drafts are spoken over HTTP/1.1 alone"
	case GroupEventStream:
		return "event streams are tested over HTTP/1.1"
	}
	return ""
}

// notApplicable is the result of a case that has no meaning on the carrier.
func (c Case) notApplicable(why string) Result {
	return Result{ID: c.ID, Group: c.Group, Title: c.Title, Rule: c.Rule, Steps: c.Steps(), Verdict: NotApplicable, Reason: why}
}

// http2Conn is a connection of HTTP/2 with no more of it than the suite needs: it
// judges nothing. A goroutine reads; who reads from a stream returns the window.
type http2Conn struct {
	network net.Conn
	peer    Role
	framer  *http2.Framer
	accept  func(*http2Stream) // of a peer that is a client
	settled chan struct{}      // closed with the peer's first SETTINGS

	writing sync.Mutex // of frames, in order
	block   bytes.Buffer
	encoder *hpack.Encoder

	mu       sync.Mutex
	changed  *sync.Cond
	streams  map[uint32]*http2Stream
	window   int64 // for what is sent, on all streams together
	initial  int64 // of a stream
	frame    int   // the most bytes in one
	extended uint32
	err      error
}

func newHTTP2Conn(network net.Conn, peer Role, accept func(*http2Stream)) *http2Conn {
	c := &http2Conn{
		network: network, peer: peer, accept: accept, framer: http2.NewFramer(network, network),
		settled: make(chan struct{}), streams: make(map[uint32]*http2Stream),
		window: defaultWindow, initial: defaultWindow, frame: 16 << 10,
	}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.MaxHeaderListSize = mostHead
	c.framer.SetMaxReadFrameSize(16 << 10)
	c.encoder = hpack.NewEncoder(&c.block)
	c.changed = sync.NewCond(&c.mu)
	return c
}

// greet sends what comes first (RFC 9113, 3.4).
func (c *http2Conn) greet() error {
	settings := []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: streamWindow}}
	if c.peer == Client {
		settings = append(settings, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1},
			http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: mostStreams})
	}
	return c.write(func() error {
		if c.peer == Server {
			if _, err := c.network.Write([]byte(http2.ClientPreface)); err != nil {
				return err
			}
		}
		if err := c.framer.WriteSettings(settings...); err != nil {
			return err
		}
		return c.framer.WriteWindowUpdate(0, connectionWindow-defaultWindow)
	})
}

// write writes frames, one goroutine at a time.
func (c *http2Conn) write(frames func() error) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.network.SetWriteDeadline(time.Now().Add(stuckWrite)); err != nil {
		return err
	}
	return frames()
}

// read handles frames until the connection ends.
func (c *http2Conn) read() {
	for {
		f, err := c.framer.ReadFrame()
		var stream http2.StreamError
		if errors.As(err, &stream) {
			c.endStream(stream.StreamID, stream)
			continue
		}
		if err == nil {
			err = c.handle(f)
		}
		if err != nil {
			c.fail(err)
			c.network.Close()
			return
		}
	}
}

func (c *http2Conn) handle(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		return c.gotSettings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.write(func() error { return c.framer.WritePing(true, f.Data) })
		}
	case *http2.WindowUpdateFrame:
		c.mu.Lock()
		defer c.mu.Unlock()
		if s := c.streams[f.StreamID]; s != nil {
			s.window += int64(f.Increment)
		} else if f.StreamID == 0 {
			c.window += int64(f.Increment)
		}
		c.changed.Broadcast()
	case *http2.MetaHeadersFrame:
		return c.gotHead(f)
	case *http2.DataFrame:
		return c.gotData(f)
	case *http2.RSTStreamFrame:
		c.endStream(f.StreamID, fmt.Errorf("the peer reset the stream with %v", f.ErrCode))
	}
	return nil
}

func (c *http2Conn) gotSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	c.mu.Lock()
	err := f.ForeachSetting(func(s http2.Setting) error {
		switch s.ID {
		case http2.SettingInitialWindowSize:
			for _, stream := range c.streams {
				stream.window += int64(s.Val) - c.initial
			}
			c.initial = int64(s.Val)
		case http2.SettingMaxFrameSize:
			c.frame = int(s.Val)
		case http2.SettingEnableConnectProtocol:
			c.extended = s.Val
		}
		return s.Valid()
	})
	c.changed.Broadcast()
	c.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-c.settled:
	default:
		close(c.settled)
	}
	return c.write(c.framer.WriteSettingsAck)
}

func (c *http2Conn) gotHead(f *http2.MetaHeadersFrame) error {
	c.mu.Lock()
	s := c.streams[f.StreamID]
	fresh := s == nil && c.accept != nil
	if fresh && len(c.streams) >= mostStreams {
		defer c.mu.Unlock()
		return errors.New("the peer opened more streams than it may")
	}
	if fresh {
		s = c.newStream(f.StreamID)
	}
	if s != nil {
		s.head = headOf(f)
		s.ended = s.ended || f.StreamEnded()
	}
	c.changed.Broadcast()
	c.mu.Unlock()
	if fresh {
		c.accept(s)
	}
	return nil
}

// headOf writes a head as those of HTTP/1.1 are written.
func headOf(f *http2.MetaHeadersFrame) *message {
	m := &message{line: "HTTP/2 " + f.PseudoValue("status")}
	if method := f.PseudoValue("method"); method != "" {
		m.line = method + " " + f.PseudoValue("path") + " HTTP/2"
	}
	for _, h := range f.Fields {
		m.fields = append(m.fields, field{h.Name, h.Value})
	}
	return m
}

func (c *http2Conn) gotData(f *http2.DataFrame) error {
	c.mu.Lock()
	s := c.streams[f.StreamID]
	lost := int(f.Length)
	if s != nil && len(s.in)+len(f.Data()) > streamWindow {
		defer c.mu.Unlock()
		return errors.New("the peer sent more than the stream's window")
	}
	if s != nil {
		s.in = append(s.in, f.Data()...)
		s.ended = s.ended || f.StreamEnded()
		lost -= len(f.Data()) // padding
	}
	c.changed.Broadcast()
	c.mu.Unlock()
	if lost == 0 {
		return nil
	}
	return c.write(func() error { return c.framer.WriteWindowUpdate(0, uint32(lost)) })
}

func (c *http2Conn) endStream(id uint32, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[id]; s != nil && s.err == nil {
		s.err = err
	}
	c.changed.Broadcast()
}

// fail ends all streams.
func (c *http2Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	for _, s := range c.streams {
		if s.err == nil {
			s.err = c.err
		}
	}
	c.changed.Broadcast()
}

// newStream is called with the lock held.
func (c *http2Conn) newStream(id uint32) *http2Stream {
	s := &http2Stream{conn: c, id: id, window: c.initial, err: c.err}
	c.streams[id] = s
	return s
}

// dialHTTP2 connects to the server under test for one stream.
func dialHTTP2(ctx context.Context, t target, o Options) (*http2Stream, error) {
	if t.scheme != "wss" {
		return nil, errors.New("over HTTP/2 the suite speaks to wss URLs only")
	}
	config := new(tls.Config)
	if o.TLS != nil {
		config = o.TLS.Clone()
	}
	config.NextProtos = []string{"h2"}
	network, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, err
	}
	c := newHTTP2Conn(network, Server, nil)
	// "The client connection preface [...] MUST be followed by a SETTINGS frame": nothing
	// that reading answers may come before it (RFC 9113, 3.4).
	if err := c.greet(); err != nil {
		network.Close()
		return nil, err
	}
	go c.read()
	select {
	case <-c.settled:
	case <-ctx.Done():
		network.Close()
		return nil, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.extended != 1 {
		network.Close()
		return nil, errNoExtendedConnect
	}
	return c.newStream(1), nil
}

// appendBlock compresses a head. The first line becomes pseudo-header fields; a
// client's request is an extended CONNECT (RFC 8441, 4).
func (c *http2Conn) appendBlock(m message, scheme, authority string) ([]byte, error) {
	var fields []field
	if c.peer == Client {
		fields = append(fields, field{":status", fmt.Sprint(m.status())})
	} else {
		fields = append(fields,
			field{":method", "CONNECT"}, field{":protocol", "websocket"},
			field{":scheme", scheme}, field{":path", m.target()}, field{":authority", authority})
	}
	c.block.Reset()
	for _, f := range append(fields, m.fields...) {
		if err := c.encoder.WriteField(hpack.HeaderField{Name: strings.ToLower(f.name), Value: f.value}); err != nil {
			return nil, err
		}
	}
	return c.block.Bytes(), nil
}
