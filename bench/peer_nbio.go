package main

import (
	"net"
	"net/http"
	"sync"

	"github.com/lesismal/llib/std/crypto/tls"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

var nbioPeer = &peer{
	name: "nbio", module: "github.com/lesismal/nbio",
	about: "IOModNonBlocking, its default, for one small message at a time and for idle connections, callbacks on the poller's goroutine; " +
		"IOModMixed, a goroutine for each connection while they are few, where that is better: pipelines, large messages, broadcasts, churn; " +
		"payloads given back (ReleaseWebsocketPayload)",
	serve:  serveNbio,
	client: &clientPeer{echo: nbioClientEcho, dial: nbioDial},
}

func serveNbio(j *serverJob) error {
	logging.SetLevel(logging.LevelNone)
	u := nbioUpgrader(j)
	conf := nbhttp.Config{
		Network:                 "tcp",
		Listen:                  func(string, string) (net.Listener, error) { return j.ln, nil },
		MaxLoad:                 1 << 20,
		ReleaseWebsocketPayload: true,
		// The default splits messages into frames of 32 KiB.
		MaxWebsocketFramePayloadSize: j.maxMessage(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = u.Upgrade(w, r, nil) // answers the request if it fails
		}),
	}
	nbioTune(j, &conf)
	addrs := []string{j.ln.Addr().String()}
	if j.tls == nil {
		conf.Addrs = addrs
	} else {
		// It has a copy of crypto/tls that can do without blocking.
		conf.AddrsTLS = addrs
		cert := j.tls.Certificates[0]
		conf.TLSConfig = &tls.Config{Certificates: []tls.Certificate{
			{Certificate: cert.Certificate, PrivateKey: cert.PrivateKey},
		}}
	}
	e := nbhttp.NewEngine(conf)
	u.Engine = e // else connections that block take the default's configuration
	if err := e.Start(); err != nil {
		return err
	}
	select {}
}

// nbioInline runs callbacks where the data was read, as they wait for nothing. Its
// default is a pool of goroutines, and a handoff for each message.
func nbioInline(f func()) { f() }

// nbioTune chooses what is best for what is measured. A message at a time costs a
// tenth to a quarter less CPU with its pollers than with a goroutine for each
// connection, which is IOModMixed while they are few. That does 1.2 to 1.6 times the
// work a second in pipelines, broadcasts and the scenarios of large messages, and a
// connection's whole life costs a fifth less with it.
func nbioTune(j *serverJob, conf *nbhttp.Config) {
	conf.ServerExecutor = nbioInline
	byRate := j.Size >= nbioLarge && j.Growth == ""
	if j.Kind == kindIdle || j.Kind == kindEcho && j.Depth == 1 && !byRate {
		conf.IOMod = nbhttp.IOModNonBlocking
		return
	}
	conf.IOMod = nbhttp.IOModMixed
	if j.Depth > 1 || j.Size >= nbioLarge {
		// What its pollers have by default, instead of 4 KiB.
		conf.BlockingReadBufferSize = nbioLarge
	}
}

// nbioLarge is a size that takes more than one read, even of its pollers.
const nbioLarge = 64 << 10

func nbioUpgrader(j *serverJob) *websocket.Upgrader {
	u := websocket.NewUpgrader()
	u.EnableCompression(j.Deflate != noDeflate)
	u.MessageLengthLimit = j.maxMessage() // instead of 4 MiB
	u.KeepaliveTime = 0                   // a deadline for each message, which no other peer has here
	if !j.broadcast() {
		u.BlockingModAsyncWrite = false // an echo has nothing to wait for
		u.OnMessage(func(c *websocket.Conn, t websocket.MessageType, b []byte) {
			_ = c.WriteMessage(t, b)
		})
		return u
	}
	// "We can set Upgrader.BlockingModAsyncWrite=true to handle writing with a
	// separated goroutine and then avoid head-of-line blocking on broadcasting
	// scenarios." It has no prepared messages.
	u.BlockingModAsyncWrite = true
	var all hub[*websocket.Conn]
	u.OnOpen(all.add)
	u.OnMessage(func(_ *websocket.Conn, t websocket.MessageType, b []byte) {
		all.each(func(c *websocket.Conn) { _ = c.WriteMessage(t, b) })
	})
	return u
}

// nbioEngine polls for the clients of this process.
var nbioEngine = sync.OnceValues(func() (*nbhttp.Engine, error) {
	logging.SetLevel(logging.LevelNone)
	e := nbhttp.NewEngine(nbhttp.Config{ReleaseWebsocketPayload: true, ServerExecutor: nbioInline})
	return e, e.Start()
})

func nbioDialConn(url string, opts *websocket.Options) (*websocket.Conn, error) {
	e, err := nbioEngine()
	if err != nil {
		return nil, err
	}
	d := &websocket.Dialer{Engine: e, Options: opts}
	c, _, err := d.Dial(url, nil)
	return c, err
}

func nbioClientEcho(j *clientJob, i int) error {
	opts := websocket.NewOptions()
	opts.KeepaliveTime = 0
	opts.OnMessage(func(c *websocket.Conn, t websocket.MessageType, b []byte) {
		if j.reply(i, b) {
			if err := c.WriteMessage(t, j.payload); err != nil {
				j.fail(err)
			}
		}
	})
	opts.OnClose(func(_ *websocket.Conn, err error) { j.fail(err) })
	c, err := nbioDialConn(j.url(i), opts)
	if err != nil {
		return err
	}
	return c.WriteMessage(websocket.BinaryMessage, j.payload)
}

func nbioDial(url string) error {
	c, err := nbioDialConn(url, websocket.NewOptions())
	if err != nil {
		return err
	}
	return c.Close()
}
