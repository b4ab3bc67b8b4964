// Command http2 serves a page that opens several WebSockets, and shows over which
// protocol and connection each of them came to the server. A browser opens them as
// streams of the HTTP/2 connection that the page came over (RFC 8441). The certificate
// is made at the start, and the browser will warn of it. SIGINT closes the WebSockets
// with 1001 and ends it.
//
//	go run ./examples/http2
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"flag"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chanws/websocket"
	_ "github.com/chanws/websocket/negotiate/http2/xconnect" // net/http's extended CONNECT
)

//go:embed page.html
var page []byte

// A connection is a network connection to the server.
type connection struct {
	number     int64
	webSockets atomic.Int64 // opened on it so far
}

type connectionKey struct{}

func main() {
	addr := flag.String("addr", "127.0.0.1:8443", "`address` to listen on")
	flag.Parse()
	certificate, err := selfSigned()
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	life, end := context.WithCancel(context.Background()) // of the WebSockets
	var open sync.WaitGroup                               // Shutdown waits for those of HTTP/2 alone
	var made atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { w.Write(page) })
	// Not "GET /echo": over HTTP/2 it is a CONNECT.
	mux.Handle("/echo", websocket.Handler(func(ws *websocket.Conn) {
		open.Add(1)
		defer open.Done()
		echo(ws)
	}, &websocket.AcceptOptions{Context: life, PingInterval: 30 * time.Second}))
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}},
		HTTP2:             websocket.HTTP2Config(),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, &connection{number: made.Add(1)})
		},
	}
	server.RegisterOnShutdown(end) // they end with 1001, which Shutdown waits for
	go func() {
		if err := server.ServeTLS(listener, "", ""); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	log.Printf("listening on https://%s", listener.Addr())

	interrupt, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	<-interrupt.Done()
	stop() // a second SIGINT kills
	limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		log.Fatal(err)
	}
	open.Wait()
}

// echo tells the page how it came here, and sends back what comes.
func echo(ws *websocket.Conn) {
	r := ws.Request()
	c := r.Context().Value(connectionKey{}).(*connection)
	ctx := context.Background() // Send ends with the connection, too
	ws.SendJSON(ctx, map[string]any{"protocol": r.Proto, "connection": c.number, "webSocket": c.webSockets.Add(1)})
	for m := range ws.Messages() {
		ws.Send(ctx, m)
		m.Release()
	}
	ev := <-ws.Closed()
	log.Printf("connection %d, %s: closed with %d %s", c.number, r.Proto, ev.Code, ev.Reason)
}

// selfSigned makes a certificate for this machine that nobody vouches for.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(0, 0, 7),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
