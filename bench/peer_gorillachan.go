package main

import (
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

var gorillaChanPeer = &peer{
	name: "gorilla-chan", reference: true, module: "github.com/gorilla/websocket",
	about: "gorilla in channels: the two pumps of its chat example with a goroutine of the application between them, " +
		"which is what a user of channels writes today; in broadcasts gorilla is the same",
	serve: serveGorillaChan,
	able:  func(s *scenario) bool { return s.Kind != kindBroadcast },
}

// The constants of the chat example.
const (
	chanWriteWait  = 10 * time.Second
	chanPongWait   = 60 * time.Second
	chanPingPeriod = chanPongWait * 9 / 10
	chanQueue      = 256
)

// A chanMessage goes out by itself, or prepared for many.
type chanMessage struct {
	typ      int
	data     []byte
	prepared *websocket.PreparedMessage
}

// A chanConn is the chat example's Client, with a channel for received messages
// too. It differs in two things: messages are not joined, as an echo needs their
// boundaries, and buffers are those that gorilla has here, not of 1 KiB everywhere.
type chanConn struct {
	conn *websocket.Conn
	in   chan chanMessage // written and closed by readPump
	send chan chanMessage // closed by the application
	gone chan struct{}    // closed by writePump
}

func serveGorillaChan(j *serverJob) error {
	u := gorillaUpgrader(j)
	var all hub[*chanConn]
	return j.serveHTTP(func(w http.ResponseWriter, r *http.Request) {
		conn, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		conn.SetReadLimit(int64(j.maxMessage()))
		c := &chanConn{
			conn: conn,
			in:   make(chan chanMessage),
			send: make(chan chanMessage, chanQueue),
			gone: make(chan struct{}),
		}
		go c.writePump()
		go c.readPump()
		if j.broadcast() {
			all.add(c)
			go c.publish(&all)
		} else {
			go c.echo()
		}
	})
}

func (c *chanConn) readPump() {
	defer close(c.in)
	c.conn.SetReadDeadline(time.Now().Add(chanPongWait))
	c.conn.SetPongHandler(func(string) error {
		return c.conn.SetReadDeadline(time.Now().Add(chanPongWait))
	})
	for {
		t, b, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		select {
		case c.in <- chanMessage{typ: t, data: b}:
		case <-c.gone:
			return
		}
	}
}

func (c *chanConn) writePump() {
	ticker := time.NewTicker(chanPingPeriod)
	defer func() {
		ticker.Stop()
		close(c.gone)
		c.conn.Close()
	}()
	for {
		select {
		case m, ok := <-c.send:
			c.conn.SetWriteDeadline(time.Now().Add(chanWriteWait))
			if !ok {
				c.conn.WriteMessage(websocket.CloseMessage, nil)
				return
			}
			if err := m.write(c.conn); err != nil {
				return
			}
		case <-ticker.C:
			c.conn.SetWriteDeadline(time.Now().Add(chanWriteWait))
			if err := c.conn.WriteMessage(websocket.PingMessage, nil); err != nil {
				return
			}
		}
	}
}

func (m *chanMessage) write(c *websocket.Conn) error {
	if m.prepared != nil {
		return c.WritePreparedMessage(m.prepared)
	}
	return c.WriteMessage(m.typ, m.data)
}

// echo is the application.
func (c *chanConn) echo() {
	defer close(c.send)
	for m := range c.in {
		select {
		case c.send <- m:
		case <-c.gone:
			return
		}
	}
}

// publish is the application of a broadcast. Unlike echo it leaves its send
// channel open, as others go on to send on it.
func (c *chanConn) publish(all *hub[*chanConn]) {
	for m := range c.in {
		p, err := websocket.NewPreparedMessage(m.typ, m.data)
		if err != nil {
			return
		}
		all.each(func(c *chanConn) {
			select {
			case c.send <- chanMessage{prepared: p}:
			default: // the example drops a client whose queue is full
				c.conn.Close()
			}
		})
	}
}
