package websocket_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chanws/websocket"
	"go.uber.org/goleak"
)

// patience is how long a test waits for what has to happen at once.
const patience = 10 * time.Second

// A link says which side the connection under test is and what carries it: "tcp"
// is the fast path, "pipe" and "tls" are any net.Conn.
type link struct{ role, medium string }

var (
	sockets    = []link{{"server", "tcp"}, {"client", "tcp"}}
	pipes      = []link{{"server", "pipe"}, {"client", "pipe"}}
	secured    = []link{{"server", "tls"}, {"client", "tls"}}
	everywhere = slices.Concat(sockets, pipes, secured, streams)
)

// on runs the test on each of the links, and lets none leave a goroutine.
func on(t *testing.T, links []link, test func(t *testing.T, l link)) {
	t.Helper()
	for _, l := range links {
		t.Run(l.role+" on "+l.medium, func(t *testing.T) {
			leavesNothing(t)
			test(t, l)
		})
	}
}

// leavesNothing fails the test if it leaves a goroutine behind.
func leavesNothing(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
}

// open makes an open connection on the link and its peer, which is ended with the
// test. The connection is not: the test does that.
func open(t testing.TB, l link, opts websocket.AcceptOptions) (*websocket.Conn, *peer) {
	t.Helper()
	if by, ok := carriers[l.medium]; ok {
		return by.open(t, l, opts)
	}
	near, p := dialled(t, l)
	shaken := make(chan struct{})
	go func() {
		defer close(shaken)
		p.shakeHands()
	}()
	defer func() { <-shaken }()
	if l.role == "server" {
		c, err := websocket.Accept(&hijackable{conn: near}, upgradeRequest(t), &opts)
		if err != nil {
			t.Fatal(err)
		}
		return c, p
	}
	c, err := websocket.Dial(context.Background(), l.url(), clientOptions(opts, near))
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

// opening makes a client's connection that the peer has not answered yet.
func opening(t testing.TB, l link, opts websocket.AcceptOptions) (*websocket.Conn, *peer) {
	t.Helper()
	near, p := dialled(t, l)
	return websocket.Open(l.url(), clientOptions(opts, near)), p
}

func (l link) url() string {
	if l.medium == "tls" {
		return "wss://example.com/chat"
	}
	return "ws://example.com/chat"
}

// clientOptions are the same options for a client, whose network connection is
// made.
func clientOptions(o websocket.AcceptOptions, conn net.Conn) *websocket.DialOptions {
	return &websocket.DialOptions{
		NetDialContext:   func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		TLSConfig:        &tls.Config{RootCAs: certificates().roots},
		HandshakeTimeout: o.HandshakeTimeout,
		MaxMessageSize:   o.MaxMessageSize,
		Fragments:        o.Fragments,
		QueueMessages:    o.QueueMessages,
		QueueBytes:       o.QueueBytes,
		ReceiveMessages:  o.ReceiveMessages,
		ReceiveBytes:     o.ReceiveBytes,
		PingInterval:     o.PingInterval,
		PongTimeout:      o.PongTimeout,
		CloseTimeout:     o.CloseTimeout,
		WriteTimeout:     o.WriteTimeout,
		Context:          o.Context,
		Logger:           o.Logger,
		Trace:            o.Trace,
	}
}

// dialled makes the network connection of a link, and the peer at its far end.
func dialled(t testing.TB, l link) (net.Conn, *peer) {
	t.Helper()
	var near, far net.Conn
	if l.medium == "pipe" {
		near, far = net.Pipe()
	} else {
		near, far = tcpPair(t)
	}
	p := &peer{t: t, conn: far, raw: far, masks: l.role == "server"}
	if l.medium == "tls" && l.role == "server" {
		near = tls.Server(near, &tls.Config{Certificates: certificates().own})
		p.conn = tls.Client(far, &tls.Config{RootCAs: certificates().roots, ServerName: "example.com"})
	} else if l.medium == "tls" {
		p.conn = tls.Server(far, &tls.Config{Certificates: certificates().own})
	}
	p.in = bufio.NewReader(p.conn)
	t.Cleanup(func() { far.Close() })
	return near, p
}

func tcpPair(t testing.TB) (near, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if far, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	// A small buffer, so that it does not take much to find it full.
	near.(*net.TCPConn).SetWriteBuffer(64 << 10)
	return near, far
}

type authority struct {
	own   []tls.Certificate
	roots *x509.CertPool
}

// certificates gives a certificate for example.com and who vouches for it.
var certificates = sync.OnceValue(func() authority {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return authority{s.TLS.Certificates, roots}
})

// A hijackable is the ResponseWriter of a request that came on conn.
type hijackable struct {
	httptest.ResponseRecorder
	conn net.Conn
	rest string // came with the request
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	in := bufio.NewReader(io.MultiReader(strings.NewReader(h.rest), h.conn))
	if h.rest != "" {
		in.Peek(len(h.rest))
	}
	return h.conn, bufio.NewReadWriter(in, bufio.NewWriter(h.conn)), nil
}

const (
	sampleKey     = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleRequest = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + sampleKey + "\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

func upgradeRequest(t testing.TB) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(sampleRequest)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A peer is the other end of a connection under test. It knows bytes, and of
// frames what is written in RFC 6455, section 5.2; nothing of it is the library's.
type peer struct {
	t     testing.TB
	conn  net.Conn
	raw   net.Conn // under TLS, or conn
	in    *bufio.Reader
	masks bool // a client's peer does not, a server's does
}

// A frame as it was on the wire, unmasked.
type frame struct {
	first   byte // FIN, reserved bits, opcode
	payload []byte
}

func (f frame) String() string {
	if len(f.payload) > 64 {
		return fmt.Sprintf("%02x with %d bytes", f.first, len(f.payload))
	}
	return fmt.Sprintf("%02x %q", f.first, f.payload)
}

// unhex reads bytes in hex, spaces between them.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// acceptFor is the answer to a Sec-WebSocket-Key (RFC 6455, section 4.2.2).
func acceptFor(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// shakeHands is the peer's part of the opening handshake.
func (p *peer) shakeHands() {
	if p.masks {
		p.wantHead()
		return
	}
	p.write([]byte(switching(p.wantHead().Get("Sec-WebSocket-Key"))))
}

// switching is the response that opens a connection.
func switching(key string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptFor(key) + "\r\n\r\n"
}

// wantHead reads the head of a request or response.
func (p *peer) wantHead() http.Header {
	p.conn.SetReadDeadline(time.Now().Add(patience))
	header := http.Header{}
	for first := true; ; first = false {
		line, err := p.in.ReadString('\n')
		if err != nil {
			p.t.Errorf("peer: reading the head: %v", err)
			return header
		}
		if line = strings.TrimSpace(line); line == "" {
			return header
		}
		if first {
			header.Set("", line)
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		header.Add(name, strings.TrimSpace(value))
	}
}

// write sends bytes.
func (p *peer) write(b []byte) {
	p.t.Helper()
	p.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := p.conn.Write(b); err != nil {
		p.t.Errorf("peer: sending %d bytes: %v", len(b), err)
		p.raw.Close()
	}
}

// send sends bytes given in hex.
func (p *peer) send(hex string) {
	p.t.Helper()
	p.write(unhex(hex))
}

// encode makes the bytes of a frame, masked where the peer is a client.
func (p *peer) encode(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	b = append(b, payload...)
	if p.masks {
		b = mask(b)
	}
	return b
}

// mask makes a client's frame of a server's.
func mask(frame []byte) []byte {
	n := 2
	switch frame[1] {
	case 126:
		n = 4
	case 127:
		n = 10
	}
	key := []byte{0x12, 0x34, 0x56, 0x78}
	b := append(append([]byte{}, frame[:n]...), key...)
	b[1] |= 0x80
	b = append(b, frame[n:]...)
	xor(b[n+4:], key)
	return b
}

// xor masks and unmasks (RFC 6455, section 5.3).
func xor(b, key []byte) {
	subtle.XORBytes(b, b, bytes.Repeat(key, len(b)/4+1))
}

// sendFrame sends a frame.
func (p *peer) sendFrame(first byte, payload string) {
	p.t.Helper()
	p.write(p.encode(first, []byte(payload)))
}

// closePayload is that of a close frame (RFC 6455, section 5.5.1).
func closePayload(code int, reason string) string {
	return string([]byte{byte(code >> 8), byte(code)}) + reason
}

func (p *peer) sendClose(code int, reason string) {
	p.t.Helper()
	p.sendFrame(0x88, closePayload(code, reason))
}

// readFrame reads a frame, and sees to it that it is masked or not as it must be.
func (p *peer) readFrame() (f frame, err error) {
	p.conn.SetReadDeadline(time.Now().Add(patience))
	var head [2]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return f, err
	}
	f.first = head[0]
	if masked := head[1]&0x80 != 0; masked == p.masks {
		return f, fmt.Errorf("frame %x: masked is %v (RFC 6455, section 5.1)", head, masked)
	}
	length := uint64(head[1] & 0x7f)
	if extended := map[uint64]int{126: 2, 127: 8}[length]; extended > 0 {
		var b [8]byte
		if _, err := io.ReadFull(p.in, b[8-extended:]); err != nil {
			return f, noEOF(err)
		}
		length = binary.BigEndian.Uint64(b[:])
	}
	if length > 1<<27 {
		return f, fmt.Errorf("frame %x of %d bytes", head, length)
	}
	var key [4]byte
	if !p.masks {
		if _, err := io.ReadFull(p.in, key[:]); err != nil {
			return f, noEOF(err)
		}
	}
	f.payload = make([]byte, length)
	if _, err := io.ReadFull(p.in, f.payload); err != nil {
		return f, noEOF(err)
	}
	xor(f.payload, key[:])
	return f, nil
}

// noEOF tells the end within a frame from the end after one.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// wantFrame reads a frame that has to be this one.
func (p *peer) wantFrame(first byte, payload string) {
	p.t.Helper()
	f, err := p.readFrame()
	if err != nil {
		p.t.Errorf("peer: %v, want %v", err, frame{first, []byte(payload)})
		return
	}
	if f.first != first || string(f.payload) != payload {
		p.t.Errorf("peer: got %v, want %v", f, frame{first, []byte(payload)})
	}
}

// wantClose reads a close frame with the code, and gives its reason.
func (p *peer) wantClose(code int) (reason string) {
	p.t.Helper()
	f, err := p.readFrame()
	if err != nil || f.first != 0x88 || len(f.payload) < 2 {
		p.t.Errorf("peer: got %v, %v, want a close frame with %d", f, err, code)
		return ""
	}
	if got := int(binary.BigEndian.Uint16(f.payload)); got != code {
		p.t.Errorf("peer: got a close frame with %d %q, want %d", got, f.payload[2:], code)
	}
	return string(f.payload[2:])
}

// wantEOF reads the end of the connection.
func (p *peer) wantEOF() {
	p.t.Helper()
	f, err := p.readFrame()
	if err == nil {
		p.t.Errorf("peer: got %v, want the end", f)
	} else if !errors.Is(err, io.EOF) {
		p.t.Errorf("peer: got %v, want the end", err)
	}
}

// wantEnd reads the end of the connection, whether it is orderly or not, and
// gives the frames before it.
func (p *peer) wantEnd() (frames []frame) {
	p.t.Helper()
	for {
		f, err := p.readFrame()
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			p.t.Errorf("peer: the connection has not ended")
		}
		if err != nil {
			return frames
		}
		frames = append(frames, f)
	}
}

// hangUp closes the network connection without a close frame.
func (p *peer) hangUp() { p.raw.Close() }

// reset breaks the network connection.
func (p *peer) reset() {
	switch c := p.raw.(type) {
	case *net.TCPConn:
		c.SetLinger(0)
	case *tunnel:
		c.once.Do(c.abort)
	}
	p.raw.Close()
}

// wantMessage receives a message that has to be this one.
func wantMessage(t testing.TB, c *websocket.Conn, payload string) {
	t.Helper()
	select {
	case m, ok := <-c.Messages():
		if !ok {
			t.Errorf("no message any more, want %.80q", payload)
		} else if string(m.Data) != payload {
			t.Errorf("got message %.80q, want %.80q", m.Data, payload)
		}
	case <-time.After(patience):
		t.Fatalf("no message, want %.80q", payload)
	}
}

// wantNoMessage finds that there are no more messages, and will not be.
func wantNoMessage(t testing.TB, c *websocket.Conn) {
	t.Helper()
	select {
	case m, ok := <-c.Messages():
		if ok {
			t.Errorf("got message %.80q, want the end of them", m.Data)
		}
	case <-time.After(patience):
		t.Fatal("Messages is not closed")
	}
}

// wantClosed receives the one event on Closed.
func wantClosed(t testing.TB, c *websocket.Conn, code websocket.StatusCode) websocket.CloseEvent {
	t.Helper()
	select {
	case e := <-c.Closed():
		if e.Code != code {
			t.Errorf("closed with %+v, want %d", e, code)
		}
		if e.Clean && e.Err != nil {
			t.Errorf("closed with %+v: clean and an error", e)
		}
		if !e.Clean && e.Err == nil {
			t.Errorf("closed with %+v: neither clean nor an error", e)
		}
		if again, ok := <-c.Closed(); ok {
			t.Errorf("a second event: %+v", again)
		}
		if s := c.State(); s != websocket.StateClosed {
			t.Errorf("state is %v after Closed", s)
		}
		if n := c.BufferedAmount(); n != 0 {
			t.Errorf("BufferedAmount is %d after Closed", n)
		}
		return e
	case <-time.After(patience):
		t.Fatalf("not closed, want %d; state %v", code, c.State())
		panic("unreachable")
	}
}

// wantErrorAs reads Errors to its end, and finds one error of the type.
func wantErrorAs[E error](t testing.TB, c *websocket.Conn) (found E) {
	t.Helper()
	var all []error
	for err := range c.Errors() {
		if errors.As(err, &found) {
			return found
		}
		all = append(all, err)
	}
	t.Fatalf("Errors has no %T: %v", found, all)
	return found
}

// result runs f in a goroutine and gives what it returns.
func result[T any](f func() T) <-chan T {
	done := make(chan T, 1)
	go func() { done <- f() }()
	return done
}

// wantResult waits for the result of a call that has to return.
func wantResult[T any](t testing.TB, what string, done <-chan T) T {
	t.Helper()
	select {
	case v := <-done:
		return v
	case <-time.After(patience):
		t.Fatalf("%s has not returned", what)
		panic("unreachable")
	}
}

// wantUsage finds that the call was refused as a wrong use.
func wantUsage(t testing.TB, what string, err error) {
	t.Helper()
	var usage *websocket.UsageError
	if !errors.As(err, &usage) {
		t.Errorf("%s: got %v, want a UsageError", what, err)
	}
}

// wantIs compares errors.
func wantIs(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got %v, want %v", what, err, target)
	}
}

// fill sends from the connection until its queue is full: the peer does not read.
func fill(t testing.TB, c *websocket.Conn, size int) (sent int) {
	t.Helper()
	m := websocket.Binary(bytes.Repeat([]byte{'x'}, size))
	for {
		err := c.TrySend(m)
		if err == nil {
			sent++
			continue
		}
		wantIs(t, "TrySend", err, websocket.ErrQueueFull)
		// The network may still take some: it is full when no Send finds room, many
		// times over, so that a busy machine is not taken for a full one.
		for range 6 {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			err = c.Send(ctx, m)
			cancel()
			if err == nil {
				break
			}
			wantIs(t, "Send", err, context.DeadlineExceeded)
		}
		if err != nil {
			return sent
		}
		sent++
	}
}
