package websocket

import (
	"net"
	"testing"
	"time"

	"github.com/chanws/websocket/negotiate"
)

// A metered net.Conn looks at the Stats of its connection whenever it is called.
type metered struct {
	net.Conn
	conn *Conn
}

func (m *metered) SetWriteDeadline(t time.Time) error {
	m.conn.Stats()
	return m.Conn.SetWriteDeadline(t)
}

func (m *metered) SetReadDeadline(t time.Time) error {
	m.conn.Stats()
	return m.Conn.SetReadDeadline(t)
}

// An application's net.Conn may ask for Stats while the connection ends.
func TestStatsWithinNetConn(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := newConn((&AcceptOptions{}).settings())
	c.start(&handshake{
		transport: newTransport(&metered{near, c}, c),
		reader:    c.readerFor(negotiate.Hybi13, nil), writer: serverEncoder,
	})
	go c.Abort()
	select {
	case <-c.Closed():
	case <-time.After(20 * time.Second):
		t.Fatal("Abort waits")
	}
}
