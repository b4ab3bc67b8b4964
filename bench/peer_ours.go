package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/negotiate"
	permessage "github.com/chanws/websocket/negotiate/deflate"
)

// oursExtensions gives the extension for a scenario with compression, at its
// defaults: level, threshold and windows are what a user gets.
func oursExtensions(d deflate) []negotiate.Extension {
	opts := &permessage.Options{}
	if d == deflateFresh {
		opts.ServerNoContextTakeover, opts.ClientNoContextTakeover = true, true
	}
	return []negotiate.Extension{permessage.New(opts)}
}

var oursPeer = &peer{
	name: "ours", ours: true, module: "github.com/chanws/websocket",
	about:  "net/http and Accept; a goroutine that ranges over Messages, sends with Send and gives buffers back with Release; Broadcast for broadcasts",
	serve:  func(j *serverJob) error { return serveOurs(j, rangeLoop) },
	client: &clientPeer{echo: oursClientEcho, dial: oursDial},
	events: serveOursEvents,
}

var oursSelectPeer = &peer{
	name: "ours-select", ours: true, module: "github.com/chanws/websocket",
	about:  "as ours, but with a select loop over Messages, Closed and a ticker: the form that the documentation shows first",
	serve:  func(j *serverJob) error { return serveOurs(j, selectLoop) },
	client: &clientPeer{echo: oursSelectClientEcho},
}

var oursTCPPeer = &peer{
	name: "ours-tcp", ours: true, module: "github.com/chanws/websocket",
	about: "AcceptConn on connections of a listener, without net/http, for comparison with those peers that do so: gws, gobwas, nbio",
	serve: serveOursTCP,
	able:  func(s *scenario) bool { return s.Kind == kindIdle || s.Kind == kindChurn },
}

// oursHub lists the connections for broadcasts.
type oursHub = hub[*websocket.Conn]

// publish sends m to all. Whoever has not read the last rounds, so that his queue is
// full, is dropped.
func publish(h *oursHub, m websocket.Message) {
	missed, err := websocket.Broadcast(h.all, m)
	if err != nil {
		panic(err) // a received message can be sent
	}
	for _, miss := range missed {
		miss.Conn.Abort()
	}
}

func oursAcceptOptions(j *serverJob) *websocket.AcceptOptions {
	opts := &websocket.AcceptOptions{}
	if j.Deflate != noDeflate {
		opts.Extensions = oursExtensions(j.Deflate)
	}
	return opts
}

type oursLoop func(c *websocket.Conn, handle func(websocket.Message) bool)

func serveOurs(j *serverJob, loop oursLoop) error {
	opts := oursAcceptOptions(j)
	var all oursHub
	return j.serveHTTP(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, opts)
		if err != nil {
			return
		}
		// In a goroutine of its own, so that what net/http holds for the
		// request is free; the same for all peers.
		go oursServe(j, c, &all, loop)
	})
}

func serveOursTCP(j *serverJob) error {
	opts := oursAcceptOptions(j)
	var all oursHub
	return acceptLoop(j.listener(), func(nc net.Conn) {
		c, _, err := websocket.AcceptConn(context.Background(), nc, opts)
		if err != nil {
			return
		}
		// The loop gets a fresh goroutine here too, whose stack has not grown
		// in the handshake.
		go oursServe(j, c, &all, rangeLoop)
	})
}

func oursServe(j *serverJob, c *websocket.Conn, all *oursHub, loop oursLoop) {
	defer c.Abort()
	if j.broadcast() {
		all.add(c)
		loop(c, func(m websocket.Message) bool { publish(all, m); m.Release(); return true })
		return
	}
	loop(c, func(m websocket.Message) bool {
		err := c.Send(context.Background(), m)
		m.Release()
		return err == nil
	})
}

func rangeLoop(c *websocket.Conn, handle func(websocket.Message) bool) {
	for m := range c.Messages() {
		if !handle(m) {
			return
		}
	}
	// Messages ends before the closing handshake does: an Abort now would take
	// the close frame back.
	<-c.Closed()
}

func selectLoop(c *websocket.Conn, handle func(websocket.Message) bool) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	messages := c.Messages()
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				messages = nil // Closed is next
			} else if !handle(m) {
				return
			}
		case <-ticker.C:
			if c.TrySend(websocket.Text("tick")) != nil {
				return
			}
		case <-c.Closed():
			return
		}
	}
}

func oursClientEcho(j *clientJob, i int) error {
	c, err := websocket.Dial(context.Background(), j.url(i), nil)
	if err != nil {
		return err
	}
	go func() {
		defer c.Abort()
		err := c.Send(context.Background(), websocket.Binary(j.payload))
		for m := range c.Messages() {
			more := j.reply(i, m.Data)
			m.Release()
			if !more {
				return
			}
			if err = c.Send(context.Background(), websocket.Binary(j.payload)); err != nil {
				break
			}
		}
		if err == nil {
			err = (<-c.Closed()).Err
		}
		j.fail(err)
	}()
	return nil
}

// oursSelectClientEcho is a client in a select loop.
func oursSelectClientEcho(j *clientJob, i int) error {
	c, err := websocket.Dial(context.Background(), j.url(i), nil)
	if err != nil {
		return err
	}
	go func() {
		defer c.Abort()
		err := c.Send(context.Background(), websocket.Binary(j.payload))
		if err == nil {
			selectLoop(c, func(m websocket.Message) bool {
				more := j.reply(i, m.Data)
				m.Release()
				return more && c.Send(context.Background(), websocket.Binary(j.payload)) == nil
			})
		}
		j.fail(err)
	}()
	return nil
}

func oursDial(url string) error {
	c, err := websocket.Dial(context.Background(), url, nil)
	if err != nil {
		return err
	}
	c.Abort()
	return nil
}
