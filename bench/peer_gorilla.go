package main

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

var gorillaPeer = &peer{
	name: "gorilla", module: "github.com/gorilla/websocket",
	about: "NextReader into a buffer from a pool (ReadMessage would allocate), WriteMessage; " +
		"for broadcasts the hub and the pumps of its chat example, as gorilla-chan has them, with a PreparedMessage",
	serve:  serveGorilla,
	client: &clientPeer{echo: gorillaClientEcho, dial: gorillaDial},
}

// gorillaUpgrader follows the documentation on buffers: those that net/http
// has allocated are taken over (sizes of 0) where connections are busy. Larger ones
// would not help with large messages: these are read and written past the buffers, in
// one call. Where memory is measured its guidelines are for less: "limit the buffer
// sizes to the maximum expected message size", a read buffer of 256 B where 99 % of
// the messages fit into it, and a WriteBufferPool, which lends a buffer for the time
// of a write. With compression that costs no CPU.
func gorillaUpgrader(j *serverJob) *websocket.Upgrader {
	u := &websocket.Upgrader{EnableCompression: j.Deflate != noDeflate, ReadBufferSize: j.readBuffer()}
	switch {
	case j.Kind == kindIdle:
		u.WriteBufferSize = 1024
		u.WriteBufferPool = &sync.Pool{}
	case j.Deflate != noDeflate:
		u.ReadBufferSize, u.WriteBufferSize = j.Size, j.Size
		u.WriteBufferPool = &sync.Pool{}
	}
	return u
}

// serveGorilla has the chat example do broadcasts: its queues deliver more a second
// than one write after the other, by half with eight rounds in flight.
func serveGorilla(j *serverJob) error {
	if j.broadcast() {
		return serveGorillaChan(j)
	}
	u := gorillaUpgrader(j)
	return j.serveHTTP(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c.SetReadLimit(int64(j.maxMessage()))
		// The chat example: "allow collection of memory referenced by the
		// caller by doing all work in new goroutines".
		go gorillaEcho(c)
	})
}

func gorillaEcho(c *websocket.Conn) {
	defer c.Close()
	for {
		t, r, err := c.NextReader()
		if err != nil {
			return
		}
		err = withMessage(r, func(b []byte) error { return c.WriteMessage(t, b) })
		if err != nil {
			return
		}
	}
}

// gorillaDialer has the default's time-out but no look-up of proxies.
var gorillaDialer = &websocket.Dialer{HandshakeTimeout: 45 * time.Second}

func gorillaClientEcho(j *clientJob, i int) error {
	c, _, err := gorillaDialer.DialContext(context.Background(), j.url(i), nil)
	if err != nil {
		return err
	}
	go func() {
		defer c.Close()
		var b bytes.Buffer
		for {
			if err := c.WriteMessage(websocket.BinaryMessage, j.payload); err != nil {
				j.fail(err)
				return
			}
			_, r, err := c.NextReader()
			if err == nil {
				b.Reset()
				_, err = b.ReadFrom(r)
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

// gorillaManyDialer is for many connections that write little: "a pool of buffers is
// most useful when the application has a modest volume of writes across a large
// number of connections".
var gorillaManyDialer = &websocket.Dialer{HandshakeTimeout: 45 * time.Second, WriteBufferPool: &sync.Pool{}}

func gorillaDial(url string) error {
	c, _, err := gorillaManyDialer.DialContext(context.Background(), url, nil)
	if err != nil {
		return err
	}
	return c.Close()
}
