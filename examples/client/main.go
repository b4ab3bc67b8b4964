// Command client sends the lines of its standard input to a WebSocket server and
// prints what comes back. SIGINT and the end of the input close the connection.
//
//	go run ./examples/client ws://127.0.0.1:8080/echo
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/chanws/websocket"
)

func main() {
	interval := flag.Duration("ping", 10*time.Second, "`time` between pings")
	flag.Parse()
	log.SetFlags(log.Ltime)
	url := "ws://127.0.0.1:8080/echo"
	if flag.NArg() > 0 {
		url = flag.Arg(0)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ws, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Abort()
	log.Print("open: ", ws.URL())
	talk(ctx, ws, lines(os.Stdin), *interval)
}

// talk is the whole client: one select, and nobody else receives or sends.
func talk(ctx context.Context, ws *websocket.Conn, input <-chan string, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	interrupted := ctx.Done()
	for {
		select {
		case m, ok := <-ws.Messages():
			if !ok {
				end := <-ws.Closed()
				log.Print("closed: ", end.Code, " ", end.Reason)
				return
			}
			fmt.Println(m)
			m.Release()
		case line, ok := <-input:
			if !ok {
				input = nil
				go ws.Close(context.Background(), websocket.StatusNormalClosure, "")
				continue // to receive what is still to come
			}
			if err := ws.Send(ctx, websocket.Text(line)); err != nil {
				log.Print(err)
			}
		case <-ticker.C:
			go ping(ctx, ws, interval)
		case <-interrupted:
			interrupted = nil
			go ws.Close(context.Background(), websocket.StatusGoingAway, "interrupted")
		}
	}
}

// ping closes a connection that does not answer within the interval.
func ping(ctx context.Context, ws *websocket.Conn, interval time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	switch trip, err := ws.Ping(ctx, nil); {
	case err == nil:
		log.Print("pong after ", trip)
	case errors.Is(err, context.DeadlineExceeded):
		log.Print("no pong")
		ws.Abort()
	}
}

// lines gives the lines of r. It ends with r, and so, for the standard input, with
// the program.
func lines(r io.Reader) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		for s := bufio.NewScanner(r); s.Scan(); {
			out <- s.Text()
		}
	}()
	return out
}
