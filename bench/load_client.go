package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// A rawServer is the other side when a library is the client: it accepts,
// shakes hands and echoes, with as little as that takes.
type rawServer struct {
	listeners []net.Listener
	urls      []string
}

// startRawServer listens on several loopback addresses, so that clients which
// close first do not run out of ports.
func startRawServer() (*rawServer, error) {
	s := &rawServer{}
	for i := range sourceAddrs {
		ln, err := net.Listen("tcp", loopback(i)+":0")
		if err != nil {
			s.close()
			return nil, err
		}
		s.listeners = append(s.listeners, ln)
		s.urls = append(s.urls, "ws://"+ln.Addr().String()+"/ws")
		go func() { _ = acceptLoop(ln, serveRawEcho) }()
	}
	return s, nil
}

func (s *rawServer) close() {
	for _, ln := range s.listeners {
		_ = ln.Close()
	}
}

// serveRawEcho echoes until the client goes. Whatever it sends wrongly ends
// the connection, which the client then reports.
func serveRawEcho(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	buf := make([]byte, 4096)
	n, err := acceptRaw(c, buf)
	if err != nil {
		return
	}
	for {
		used, err := echoFrames(c, buf[:n])
		if err != nil {
			return
		}
		n = copy(buf, buf[used:n])
		k, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		n += k
	}
}

// acceptRaw reads the request and answers it. It returns how many bytes came
// after it, which are at the beginning of buf then.
func acceptRaw(c net.Conn, buf []byte) (int, error) {
	n := 0
	for {
		if end := bytes.Index(buf[:n], []byte("\r\n\r\n")); end >= 0 {
			if err := answerRaw(c, string(buf[:end])); err != nil {
				return 0, err
			}
			return copy(buf, buf[end+4:n]), nil
		}
		if n == len(buf) {
			return 0, errors.New("a long request")
		}
		k, err := c.Read(buf[n:])
		if err != nil {
			return 0, err
		}
		n += k
	}
}

// answerRaw computes Sec-WebSocket-Accept (RFC 6455, section 4.2.2).
func answerRaw(c net.Conn, request string) error {
	for _, l := range strings.Split(request, "\r\n") {
		name, value, _ := strings.Cut(l, ":")
		if !strings.EqualFold(name, "Sec-WebSocket-Key") {
			continue
		}
		sum := sha1.Sum([]byte(strings.TrimSpace(value) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		_, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
		return err
	}
	return errors.New("no key")
}

// echoFrames answers all whole frames in b and returns how much they were.
func echoFrames(c io.Writer, b []byte) (int, error) {
	used := 0
	for {
		h, ok, err := parseHeader(b[used:])
		if err != nil {
			return used, err
		}
		if !ok || len(b)-used < h.size+h.length {
			return used, nil
		}
		if h.first != finBit|opBinary || !h.masked {
			return used, errors.New("not a masked, whole, binary message")
		}
		payload := b[used+h.size : used+h.size+h.length]
		unmask(payload, h.key)
		// The header without a mask is shorter: it goes right before the payload.
		start := used + 4
		copy(b[start:], b[used:used+h.size-4])
		b[start+1] &^= maskBit
		used += h.size + h.length
		if _, err := c.Write(b[start:used]); err != nil {
			return used, err
		}
	}
}

// unmask works on words, as the load should not be what is measured.
func unmask(b []byte, key [4]byte) {
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	k |= k << 32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}

// loadClient has the child connect to a raw server here.
func loadClient(ctx context.Context, o order, dur time.Duration) (values, error) {
	s, err := startRawServer()
	if err != nil {
		return nil, err
	}
	defer s.close()
	o.URLs = s.urls
	p, err := startProcess(ctx, o)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if _, err := p.ask(askStart); err != nil {
		return nil, err
	}
	p.pause(min(dur/3, 300*time.Millisecond))
	iv, err := p.measure(dur, nil)
	if _, failure := p.ask(askStop); failure != nil {
		return nil, failure
	}
	if err != nil {
		return nil, err
	}
	return iv.values(), nil
}
