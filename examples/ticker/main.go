// Ticker broadcasts to any number of event streams, and gives a client that
// comes back what it has missed. Watch it with
//
//	go run ./examples/ticker &
//	curl -N localhost:8080
//	curl -N -H 'Last-Event-ID: 3' localhost:8080
package main

import (
	"flag"
	"log"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/chanws/websocket"
)

// A hub keeps the latest events. Each stream reads them at its own pace, so that
// nobody waits for anybody: a client that stalls misses what the hub no longer
// has, and is given up after the write timeout.
type hub struct {
	mu     sync.Mutex
	events []*websocket.PreparedEvent // those with the ids last-len+1 to last
	last   int
	news   chan struct{} // closed at the next event
}

const kept = 1000

func newHub() *hub { return &hub{news: make(chan struct{})} }

func (h *hub) publish(data string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, err := websocket.PrepareEvent(websocket.Event{Type: "tick", ID: strconv.Itoa(h.last + 1), Data: data})
	if err != nil {
		return err
	}
	h.last++
	h.events = append(h.events, e)
	if len(h.events) > kept {
		h.events = h.events[1:]
	}
	close(h.news)
	h.news = make(chan struct{})
	return nil
}

// after gives the events that follow an id, the id of the last of them, and what
// to wait for when they are sent.
func (h *hub) after(id int) (events []*websocket.PreparedEvent, last int, news <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	missed := min(h.last-id, len(h.events))
	if missed > 0 {
		// A copy, as the hub writes to its own.
		events = append(events, h.events[len(h.events)-missed:]...)
	}
	return events, h.last, h.news
}

// serve is one client. A new one starts with the next event.
func (h *hub) serve(es *websocket.EventSource) {
	_, last, _ := h.after(0)
	if id, err := strconv.Atoi(es.LastEventID()); err == nil && id >= 0 && id < last {
		last = id
	}
	ctx := es.Request().Context()
	for {
		events, now, news := h.after(last)
		for _, e := range events {
			if err := es.SendPrepared(ctx, e); err != nil {
				return
			}
		}
		last = now
		select {
		case <-news:
		case <-es.Closed():
			return
		}
	}
}

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	flag.Parse()
	h := newHub()
	go func() {
		for now := range time.Tick(time.Second) {
			if err := h.publish(now.Format(time.TimeOnly)); err != nil {
				log.Print(err)
			}
		}
	}()
	log.Printf("curl -N http://%s", *addr)
	log.Fatal(http.ListenAndServe(*addr, websocket.EventSourceHandler(h.serve, nil)))
}
