package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/chanws/websocket"
)

// sharers is how many WebSockets share a connection where the version of HTTP lets
// them: as many as quic-go and net/http allow by default, or fewer.
const sharers = 100

// A crowd is the WebSockets of the load, with what they share.
type crowd struct {
	conns  []*websocket.Conn
	shared []*websocket.DialOptions
}

// openCrowd opens n WebSockets, one after the other.
func openCrowd(ctx context.Context, n int, url string, peer *peer, cert *certificate) (*crowd, error) {
	c := &crowd{}
	for i := range n {
		if i%sharers == 0 {
			c.shared = append(c.shared, peer.transport.options(cert.client))
		}
		ws, err := websocket.Dial(ctx, url, c.shared[len(c.shared)-1])
		if err != nil {
			c.close()
			return nil, fmt.Errorf("opening connection %d: %w", i, err)
		}
		c.conns = append(c.conns, ws)
	}
	return c, nil
}

func (c *crowd) close() {
	for _, ws := range c.conns {
		ws.Abort()
	}
	for _, o := range c.shared {
		switch t := o.RoundTripper.(type) {
		case io.Closer:
			_ = t.Close()
		case interface{ CloseIdleConnections() }:
			t.CloseIdleConnections()
		}
	}
}

// loadTransport echoes over this library's client: ours over every version.
func loadTransport(p *process, s *scenario, peer *peer, cert *certificate, dur time.Duration) (values, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.lifetime(dur))
	defer cancel()
	empty, err := p.ask(askMemory)
	if err != nil {
		return nil, err
	}
	c, err := openCrowd(ctx, s.Conns, "wss://"+p.addr+"/ws", peer, cert)
	if err != nil {
		return nil, err
	}
	defer c.close()
	payload := randomBytes(s.Size, 7)
	if s.Kind == kindIdle {
		return c.idle(ctx, p, empty, payload)
	}
	l := newLoad(s.Conns)
	l.interrupt = cancel
	l.goEach(func(i int, w *worker) error {
		t0 := time.Now()
		if err := exchangeOurs(ctx, c.conns[i], payload); err != nil {
			return err
		}
		if w.measuring.Load() {
			w.times.add(time.Since(t0))
		}
		w.n.Add(1)
		return nil
	})
	return l.measure(p, dur)
}

// idle echoes once on each and then lets them be.
func (c *crowd) idle(ctx context.Context, p *process, empty answer, payload []byte) (values, error) {
	for i, ws := range c.conns {
		if err := exchangeOurs(ctx, ws, payload); err != nil {
			return nil, fmt.Errorf("connection %d: %w", i, err)
		}
	}
	p.pause(settle)
	full, err := p.ask(askMemory)
	if err != nil {
		return nil, err
	}
	return memoryValues(empty, full, len(c.conns)), nil
}

// exchangeOurs sends a message and checks the reply.
func exchangeOurs(ctx context.Context, ws *websocket.Conn, payload []byte) error {
	if err := ws.Send(ctx, websocket.Binary(payload)); err != nil {
		return err
	}
	select {
	case m, ok := <-ws.Messages():
		if !ok {
			return errors.New("the connection has ended")
		}
		defer m.Release()
		if m.Type != websocket.BinaryMessage || !bytes.Equal(m.Data, payload) {
			return errWrongReply
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
