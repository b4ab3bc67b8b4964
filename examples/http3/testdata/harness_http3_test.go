package websocket_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

// This file is laid over the tests of the library by those of examples/http3, so that
// the ways in which a connection ends are tried over HTTP/3 too.
func init() {
	h3 := []link{{"server", "h3"}, {"client", "h3"}}
	streams = append(streams, h3...)
	everywhere = append(everywhere, h3...)
	carriers["h3"] = carrier{serve: serveHTTP3, raw: clientOfHTTP3, client: clientOfHTTP3}
}

func serveHTTP3(t testing.TB, handler http.Handler) (url string) {
	packet, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http3.Server{
		Handler:   handler,
		TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: certificates().own}),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(packet)
	}()
	t.Cleanup(func() {
		s.Close()
		packet.Close()
		<-done
	})
	return "https://" + packet.LocalAddr().String()
}

func clientOfHTTP3(t testing.TB) http.RoundTripper {
	c := &http3.Transport{TLSClientConfig: trustingAll(), DisableCompression: true}
	t.Cleanup(func() { c.Close() })
	return c
}
