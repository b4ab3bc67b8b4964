package main

import (
	"bytes"
	"context"
	"net/http"

	"github.com/coder/websocket"
)

var coderPeer = &peer{
	name: "coder", module: "github.com/coder/websocket",
	about: "Reader into a buffer from a pool (Read would allocate), Write; no prepared messages, " +
		"so Write to one connection after the other for broadcasts",
	serve:  serveCoder,
	client: &clientPeer{echo: coderClientEcho, dial: coderDial},
}

func coderCompression(d deflate) websocket.CompressionMode {
	switch d {
	case deflateTakeover:
		return websocket.CompressionContextTakeover
	case deflateFresh:
		return websocket.CompressionNoContextTakeover
	default:
		return websocket.CompressionDisabled
	}
}

func serveCoder(j *serverJob) error {
	opts := &websocket.AcceptOptions{CompressionMode: coderCompression(j.Deflate), CompressionThreshold: 1}
	var all hub[*websocket.Conn]
	return j.serveHTTP(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, opts)
		if err != nil {
			return
		}
		c.SetReadLimit(int64(j.maxMessage()))
		// A goroutine of its own frees what net/http holds, as for all peers.
		// The background context: that of the request is not to be used after
		// Accept, and one that can end costs a timer's worth more for each call.
		if j.broadcast() {
			all.add(c)
			go coderLoop(c, func(ctx context.Context, t websocket.MessageType, b []byte) error {
				all.each(func(c *websocket.Conn) { _ = c.Write(ctx, t, b) })
				return nil
			})
		} else {
			go coderLoop(c, c.Write)
		}
	})
}

func coderLoop(c *websocket.Conn, handle func(context.Context, websocket.MessageType, []byte) error) {
	defer c.CloseNow()
	ctx := context.Background()
	for {
		t, r, err := c.Reader(ctx)
		if err != nil {
			return
		}
		err = withMessage(r, func(b []byte) error { return handle(ctx, t, b) })
		if err != nil {
			return
		}
	}
}

func coderRead(ctx context.Context, c *websocket.Conn, b *bytes.Buffer) (websocket.MessageType, error) {
	t, r, err := c.Reader(ctx)
	if err != nil {
		return 0, err
	}
	b.Reset()
	_, err = b.ReadFrom(r)
	return t, err
}

func coderClientEcho(j *clientJob, i int) error {
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, j.url(i), nil)
	if err != nil {
		return err
	}
	go func() {
		defer c.CloseNow()
		var b bytes.Buffer
		for {
			err := c.Write(ctx, websocket.MessageBinary, j.payload)
			if err == nil {
				_, err = coderRead(ctx, c, &b)
			}
			if err != nil {
				j.fail(err)
				return
			}
			if !j.reply(i, b.Bytes()) {
				return
			}
		}
	}()
	return nil
}

func coderDial(url string) error {
	c, _, err := websocket.Dial(context.Background(), url, nil)
	if err != nil {
		return err
	}
	return c.CloseNow()
}
