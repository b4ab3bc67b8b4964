// Command http3 opens a WebSocket over HTTP/3 (RFC 9220), with quic-go on both
// sides, to a server of its own: the library needs no more than a RoundTripper and a
// ResponseWriter. It is a module of its own, so that the library does not require
// quic-go.
//
//	cd examples/http3 && go run .
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/chanws/websocket"
	"github.com/quic-go/quic-go/http3"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := serve(websocket.Handler(echo, nil))
	if err != nil {
		return err
	}
	defer s.close()
	transport := s.transport()
	defer transport.Close()
	ws, err := websocket.Dial(ctx, s.url, &websocket.DialOptions{RoundTripper: transport})
	if err != nil {
		return err
	}
	defer ws.Abort()
	if err := ws.Send(ctx, websocket.Text("hello")); err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", ws.Response().Proto, (<-ws.Messages()).Data)
	return ws.Close(ctx, websocket.StatusNormalClosure, "")
}

// echo sends back what comes.
func echo(ws *websocket.Conn) {
	for m := range ws.Messages() {
		if ws.Send(context.Background(), m) != nil {
			return
		}
	}
}

// A site is a server of HTTP/3 with a certificate that nobody vouches for.
type site struct {
	url    string
	server *http3.Server
	packet net.PacketConn
	roots  *x509.CertPool
}

func serve(handler http.Handler) (*site, error) {
	// httptest has a certificate for example.com and 127.0.0.1.
	lender := httptest.NewTLSServer(nil)
	defer lender.Close()
	roots := x509.NewCertPool()
	roots.AddCert(lender.Certificate())
	packet, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &site{
		url:    "wss://" + packet.LocalAddr().String(),
		packet: packet,
		roots:  roots,
		server: &http3.Server{
			Handler:   handler,
			TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: lender.TLS.Certificates}),
		},
	}
	go s.server.Serve(packet)
	return s, nil
}

// transport is what the client is given.
func (s *site) transport() *http3.Transport {
	return &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}, DisableCompression: true}
}

func (s *site) close() {
	s.server.Close()
	s.packet.Close()
}
