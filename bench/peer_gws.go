package main

import (
	"bufio"
	"errors"
	"net"
	"net/http"

	"github.com/lxzan/gws"
)

var gwsPeer = &peer{
	name: "gws", module: "github.com/lxzan/gws",
	about: "its own server (NewServer), which reads requests without net/http; OnMessage on the reading goroutine, " +
		"messages given back with Close; ReadLoop in a goroutine of its own, as its README has it, but for churn; Broadcaster for broadcasts",
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
	gwsPoolLarge(j.Size)
	server := gws.NewServer(s, opts)
	if j.Kind != kindChurn { // whose connections are gone before it pays
		gwsFreshStacks(server)
	}
	return server.RunListener(j.listener())
}

// gwsFreshStacks reads in a goroutine whose stack has not grown in the handshake, as
// for the others. The README has it so with net/http; its own server does not.
func gwsFreshStacks(s *gws.Server) {
	s.OnRequest = func(c net.Conn, br *bufio.Reader, r *http.Request) {
		socket, err := s.GetUpgrader().UpgradeFromConn(c, br, r)
		if err != nil {
			s.OnError(c, err)
			return
		}
		go socket.ReadLoop()
	}
}

// gwsPoolLarge has buffers reused that a large message takes: by default those of
// more than 256 KiB are not. They are the next power of two, of a message and its
// header.
func gwsPoolLarge(size int) {
	if size > 128<<10 {
		gws.SetBufferThreshold(uint32(2 * size))
	}
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
