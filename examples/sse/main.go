// Sse serves a page with a live stream. Stop the server and start it again: the
// page goes on after the last event it has seen, and misses none.
//
//	go run ./examples/sse
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/chanws/websocket"
)

//go:embed page.html
var page []byte

// Event n is of the time n times this, which makes ids that hold over a restart;
// a program with a log or a database has its own.
const interval = 500 * time.Millisecond

// replay is how many missed events a client gets at most.
const replay = 1000

func at(n int64) time.Time { return time.Unix(0, n*int64(interval)) }

// first is the event to start with, for a client that has seen the one called id.
func first(id string, now time.Time) int64 {
	next := now.UnixNano()/int64(interval) + 1
	seen, err := strconv.ParseInt(id, 10, 64)
	if err != nil || seen >= next {
		return next
	}
	return max(seen+1, next-replay)
}

func serve(es *websocket.EventSource) {
	ctx := es.Request().Context()
	for n := first(es.LastEventID(), time.Now()); ; n++ {
		select {
		case <-time.After(time.Until(at(n))):
		case <-es.Closed():
			return
		}
		event := websocket.Event{Type: "tick", ID: strconv.FormatInt(n, 10), Data: at(n).Format("15:04:05.0")}
		if err := es.Send(ctx, event); err != nil {
			return
		}
	}
}

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { w.Write(page) })
	mux.Handle("GET /events", websocket.EventSourceHandler(serve, &websocket.EventSourceOptions{
		Retry:   time.Second,
		Context: ctx, // streams end when the server does
	}))
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	fmt.Printf("open http://%s/ and restart this server\n", listener.Addr())

	<-ctx.Done()
	stop() // a second SIGINT kills
	limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil { // which waits for the streams
		log.Print(err)
	}
}
