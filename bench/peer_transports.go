package main

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/negotiate/http2"
	"github.com/quic-go/quic-go/http3"
)

// A transportPeer is this library over one version of HTTP. There is nobody to
// compare it to: no other Go library has WebSockets over HTTP/2 or HTTP/3.
type transportPeer struct {
	serve func(*serverJob) error
	// options make one connection of the version, which WebSockets share if they can.
	options func(*tls.Config) *websocket.DialOptions
}

const oursH1 = "ours-h1"

var oursH1Peer = &peer{
	name: oursH1, ours: true, module: "github.com/chanws/websocket",
	about:     "HTTP/1.1 over TLS: net/http and Handler; the load is this library's client, as for ours-h2 and ours-h3",
	transport: &transportPeer{serve: serveOursH1, options: dialH1},
}

var oursH2Peer = &peer{
	name: "ours-h2", ours: true, module: "golang.org/x/net",
	about: "HTTP/2 (RFC 8441): net/http with HTTP2Config and Handler; the load is this library's client over " +
		"negotiate/http2, as there is no raw one",
	transport: &transportPeer{serve: serveOursH2, options: dialH2},
}

var oursH3Peer = &peer{
	name: "ours-h3", ours: true, module: "github.com/quic-go/quic-go",
	about: "HTTP/3 (RFC 9220): quic-go's http3.Server at its defaults and Handler; the load is this library's client over " +
		"quic-go's http3.Transport, as there is no raw one",
	transport: &transportPeer{serve: serveOursH3, options: dialH3},
}

// transportHandler echoes, in the form that is right on all of them.
func transportHandler(j *serverJob) http.Handler {
	return websocket.Handler(func(c *websocket.Conn) { oursServe(j, c, nil, rangeLoop) }, nil)
}

func serveOursH1(j *serverJob) error {
	s := &http.Server{Handler: transportHandler(j), ReadHeaderTimeout: 30 * time.Second}
	return s.Serve(tls.NewListener(j.ln, j.tls))
}

// serveOursH2 needs GODEBUG=http2xconnect=1 in the environment: see startProcess.
func serveOursH2(j *serverJob) error {
	s := &http.Server{
		Handler: transportHandler(j), ReadHeaderTimeout: 30 * time.Second,
		TLSConfig: &tls.Config{Certificates: j.tls.Certificates},
		HTTP2:     websocket.HTTP2Config(),
	}
	return s.ServeTLS(j.ln, "", "")
}

// serveOursH3 listens on the same port of UDP.
func serveOursH3(j *serverJob) error {
	if j.packet == nil {
		return errors.New("no UDP socket")
	}
	s := &http3.Server{
		Handler:   transportHandler(j),
		TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: j.tls.Certificates}),
	}
	return s.Serve(j.packet)
}

// listenPacket has the UDP port in place before anyone is told of it.
func (j *serverJob) listenPacket() (err error) {
	j.packet, err = net.ListenPacket("udp", j.ln.Addr().String())
	return err
}

func dialH1(c *tls.Config) *websocket.DialOptions {
	return &websocket.DialOptions{TLSConfig: c}
}

func dialH2(c *tls.Config) *websocket.DialOptions {
	return &websocket.DialOptions{TLSConfig: c, RoundTripper: &http2.Transport{TLSConfig: c}}
}

func dialH3(c *tls.Config) *websocket.DialOptions {
	return &websocket.DialOptions{RoundTripper: &http3.Transport{TLSClientConfig: c.Clone(), DisableCompression: true}}
}
