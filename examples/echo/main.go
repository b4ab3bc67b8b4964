// Command echo serves a page that opens a WebSocket, and sends back every message
// that comes on one. SIGINT closes the connections with 1001 and ends it.
//
//	go run ./examples/echo -addr 127.0.0.1:8080
package main

import (
	"context"
	_ "embed"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/chanws/websocket"
)

//go:embed index.html
var page []byte

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on")
	flag.Parse()
	log.SetFlags(log.Ltime)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	var open sync.WaitGroup // http.Server.Shutdown does not wait for WebSockets
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		open.Add(1)
		defer open.Done()
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{PingInterval: 30 * time.Second})
		if err != nil {
			log.Print(r.RemoteAddr, " refused: ", err)
			return // Accept has answered the request
		}
		defer ws.Abort()
		echo(ctx, ws)
	})

	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	log.Printf("listening on http://%s", listener.Addr())

	<-ctx.Done()
	stop() // a second SIGINT kills
	log.Print("shutting down")
	limit, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		log.Print(err)
	}
	open.Wait()
}

// echo sends back what comes, until the connection or the server ends.
func echo(shutdown context.Context, ws *websocket.Conn) {
	log.Print(ws.RemoteAddr(), " open")
	for {
		select {
		case m, ok := <-ws.Messages():
			if !ok {
				end := <-ws.Closed()
				log.Print(ws.RemoteAddr(), " closed: ", end.Code, " ", end.Reason)
				return
			}
			if err := ws.Send(shutdown, m); err != nil {
				continue // what ended the connection is told by Closed
			}
			m.Release()
		case <-shutdown.Done():
			limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			ws.Close(limit, websocket.StatusGoingAway, "server is shutting down")
			return
		}
	}
}
