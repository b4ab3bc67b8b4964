package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"time"
)

// patience bounds whatever waits for a server, beyond the measured time.
const patience = 20 * time.Second

// A target is the server under test, as the load sees it.
type target struct {
	addr  string
	tcp   bool        // no WebSocket: payloads without frames
	tls   *tls.Config // nil in clear
	offer string      // Sec-WebSocket-Extensions
}

// An agreement is what the handshake said about compression.
type agreement struct {
	deflate     bool
	clientFresh bool // client_no_context_takeover
	serverFresh bool // server_no_context_takeover
	clientBits  int  // client_max_window_bits, 15 if absent
}

// sourceAddrs is how many loopback addresses connections come from, so that
// ports do not run out while old ones are in TIME_WAIT.
const sourceAddrs = 16

// loopback is one of several addresses of this machine, where it has them.
func loopback(i int) string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1"
	}
	return fmt.Sprintf("127.0.0.%d", 2+i%sourceAddrs)
}

// dial opens connection i, with the handshake. deadline bounds the connection's
// whole life.
func (t *target) dial(i int, deadline time.Time) (net.Conn, agreement, error) {
	d := net.Dialer{Deadline: deadline, LocalAddr: &net.TCPAddr{IP: net.ParseIP(loopback(i))}}
	c, err := d.Dial("tcp", t.addr)
	if err != nil {
		return nil, agreement{}, err
	}
	if err := c.SetDeadline(deadline); err != nil {
		c.Close()
		return nil, agreement{}, err
	}
	if t.tls != nil {
		tc := tls.Client(c, t.tls)
		if err := tc.Handshake(); err != nil {
			c.Close()
			return nil, agreement{}, fmt.Errorf("TLS handshake: %w", err)
		}
		c = tc
	}
	if t.tcp {
		return c, agreement{}, nil
	}
	a, err := t.handshake(c)
	if err != nil {
		c.Close()
		return nil, a, fmt.Errorf("handshake: %w", err)
	}
	return c, a, nil
}

// The key of RFC 6455, section 1.3, and what has to be answered to it.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

func (t *target) handshake(c net.Conn) (agreement, error) {
	req := "GET /ws HTTP/1.1\r\nHost: " + t.addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + sampleKey + "\r\nSec-WebSocket-Version: 13\r\n"
	if t.offer != "" {
		req += "Sec-WebSocket-Extensions: " + t.offer + "\r\n"
	}
	if _, err := c.Write([]byte(req + "\r\n")); err != nil {
		return agreement{}, err
	}
	buf := make([]byte, 4096)
	n := 0
	for !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) { // no server speaks first
		if n == len(buf) {
			return agreement{}, errors.New("a long response")
		}
		k, err := c.Read(buf[n:])
		if err != nil {
			return agreement{}, err
		}
		n += k
	}
	return parseResponse(string(buf[:n]))
}

func parseResponse(s string) (agreement, error) {
	a := agreement{clientBits: 15}
	lines := strings.Split(s, "\r\n")
	if !strings.HasPrefix(lines[0], "HTTP/1.1 101") {
		return a, fmt.Errorf("response %q", lines[0])
	}
	accepted := false
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "sec-websocket-accept":
			accepted = value == sampleAccept
		case "sec-websocket-extensions":
			if err := a.parse(value); err != nil {
				return a, err
			}
		}
	}
	if !accepted {
		return a, errors.New("wrong Sec-WebSocket-Accept")
	}
	return a, nil
}

// parse reads the parameters of RFC 7692, section 7.1.
func (a *agreement) parse(s string) error {
	for i, p := range strings.Split(s, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		switch {
		case i == 0 && name == "permessage-deflate":
			a.deflate = true
		case name == "client_no_context_takeover":
			a.clientFresh = true
		case name == "server_no_context_takeover":
			a.serverFresh = true
		case name == "server_max_window_bits": // we can read all
		case name == "client_max_window_bits":
			if _, err := fmt.Sscanf(strings.Trim(value, `"`), "%d", &a.clientBits); err != nil {
				return fmt.Errorf("extension %q: %w", s, err)
			}
		default:
			return fmt.Errorf("extension %q was not offered", s)
		}
	}
	return nil
}

// A link is an open connection of the load.
type link struct {
	net.Conn
	agreement
}

// dialAll opens n connections, some at a time.
func (t *target) dialAll(n int, deadline time.Time) ([]link, error) {
	const atATime = 32
	links := make([]link, n)
	errs := make([]error, atATime)
	var wg sync.WaitGroup
	for w := range atATime {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += atATime {
				links[i].Conn, links[i].agreement, errs[w] = t.dial(i, deadline)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		closeAll(links)
		return nil, fmt.Errorf("opening %d connections: %w", n, err)
	}
	return links, nil
}

func closeAll(links []link) {
	for _, l := range links {
		if l.Conn != nil {
			_ = l.Close()
		}
	}
}
