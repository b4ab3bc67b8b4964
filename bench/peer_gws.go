package main

import (
	"errors"

	"github.com/lxzan/gws"
)

var gwsPeer = &peer{
	name: "gws", module: "github.com/lxzan/gws",
	about: "its own server (NewServer), which reads requests without net/http; OnMessage on the reading goroutine, " +
		"messages given back with Close; Broadcaster for broadcasts",
	serve:  serveGWS,
	client: &clientPeer{echo: gwsClientEcho, dial: gwsDial},
}

// gwsServer handles events on the goroutine that reads. ParallelEnabled, which the
// README has under "Best Practice", would run each message in a goroutine of its own:
// it only pays for handlers that wait, and loses the order that an echo has to keep.
type gwsServer struct {
	gws.BuiltinEventHandler
	broadcast bool
	all       hub[*gws.Conn]
}

func serveGWS(j *serverJob) error {
	s := &gwsServer{broadcast: j.broadcast()}
	opts := &gws.ServerOption{
		Recovery:           gws.Recovery,
		ReadMaxPayloadSize: j.maxMessage(),
		ReadBufferSize:     j.readBuffer(),
	}
	if j.Deflate != noDeflate {
		// Defaults where the documentation has no advice: level BestSpeed,
		// windows of 12 bits with takeover. Without, every message is
		// compressed as at the other peers.
		opts.PermessageDeflate = gws.PermessageDeflate{
			Enabled:               true,
			ServerContextTakeover: j.Deflate == deflateTakeover,
			ClientContextTakeover: j.Deflate == deflateTakeover,
			Threshold:             1,
		}
	}
	return gws.NewServer(s, opts).RunListener(j.listener())
}

func (s *gwsServer) OnOpen(c *gws.Conn) {
	if s.broadcast {
		s.all.add(c)
	}
}

func (s *gwsServer) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	if !s.broadcast {
		_ = c.WriteMessage(m.Opcode, m.Bytes())
		return
	}
	b := gws.NewBroadcaster(m.Opcode, m.Bytes())
	defer b.Close()
	s.all.each(func(c *gws.Conn) { _ = b.Broadcast(c) })
}

// gwsClient answers each reply with the next message, from OnMessage.
type gwsClient struct {
	gws.BuiltinEventHandler
	j *clientJob
	i int
}

func (h *gwsClient) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	if h.j.reply(h.i, m.Bytes()) {
		if err := c.WriteMessage(gws.OpcodeBinary, h.j.payload); err != nil {
			h.j.fail(err)
		}
	}
}

func (h *gwsClient) OnClose(_ *gws.Conn, err error) {
	h.j.fail(errors.Join(errors.New("gws: closed"), err))
}

func gwsClientEcho(j *clientJob, i int) error {
	c, _, err := gws.NewClient(&gwsClient{j: j, i: i}, &gws.ClientOption{Addr: j.url(i)})
	if err != nil {
		return err
	}
	go c.ReadLoop()
	return c.WriteMessage(gws.OpcodeBinary, j.payload)
}

func gwsDial(url string) error {
	c, _, err := gws.NewClient(&gws.BuiltinEventHandler{}, &gws.ClientOption{Addr: url})
	if err != nil {
		return err
	}
	return c.NetConn().Close()
}
