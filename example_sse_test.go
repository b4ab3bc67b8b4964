package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/chanws/websocket"
)

// A handler in a select loop.
func ExampleAcceptEventSource() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		es, err := websocket.AcceptEventSource(w, r, nil)
		if err != nil {
			return // the request is answered
		}
		defer es.Close() // sends what is queued; nothing uses w after that
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for n := 1; n <= 3; n++ {
			select {
			case <-tick.C:
				es.Send(r.Context(), websocket.Event{Type: "tick", ID: fmt.Sprint(n), Data: "hello"})
			case ev := <-es.Closed():
				log.Print(ev.Code, ev.Err)
				return
			}
		}
	})
	server := httptest.NewServer(handler)
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Print(string(body))
	http.DefaultClient.CloseIdleConnections()
	// Output:
	// retry: 5000
	//
	// event: tick
	// id: 1
	// data: hello
	//
	// event: tick
	// id: 2
	// data: hello
	//
	// event: tick
	// id: 3
	// data: hello
}

func ExampleEventSourceHandler() {
	mux := http.NewServeMux()
	mux.Handle("GET /news", websocket.EventSourceHandler(func(es *websocket.EventSource) {
		es.Send(es.Request().Context(), websocket.Event{Data: "continuing after " + es.LastEventID()})
	}, &websocket.EventSourceOptions{Retry: time.Second}))
	server := httptest.NewServer(mux)
	defer server.Close()

	es, err := websocket.DialEventSource(context.Background(), server.URL+"/news",
		&websocket.EventSourceDialOptions{LastEventID: "41"})
	if err != nil {
		log.Fatal(err)
	}
	defer es.Close()
	fmt.Println((<-es.Messages()).Data)
	// Output: continuing after 41
}

// One path for the page and for the stream.
func ExampleIsEventSource() {
	stream := websocket.EventSourceHandler(func(es *websocket.EventSource) {}, nil)
	handler := func(w http.ResponseWriter, r *http.Request) {
		if websocket.IsEventSource(r) {
			stream.ServeHTTP(w, r)
			return
		}
		io.WriteString(w, "a page")
	}
	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Body)
	// Output: a page
}

func ExampleDialEventSource() {
	server := httptest.NewServer(websocket.EventSourceHandler(func(es *websocket.EventSource) {
		if es.LastEventID() == "" {
			es.SetRetry(es.Request().Context(), time.Millisecond)
			es.Send(es.Request().Context(), websocket.Event{ID: "1", Data: "before the break"})
			return // the client comes back
		}
		es.Send(es.Request().Context(), websocket.Event{Data: "and after " + es.LastEventID()})
		<-es.Closed()
	}, nil))
	defer server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	es, err := websocket.DialEventSource(ctx, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer es.Close()
	for range 2 {
		select {
		case ev, ok := <-es.Messages():
			if !ok {
				log.Fatal((<-es.Closed()).Err)
			}
			fmt.Println(ev.Type, ev.Data)
		case <-ctx.Done():
			log.Fatal(ctx.Err())
		}
	}
	// Output:
	// message before the break
	// message and after 1
}

// A server says with status 204 that there is nothing more to come.
func ExampleOpenEventSource() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	es := websocket.OpenEventSource(server.URL, nil)
	defer es.Close()
	select {
	case <-es.Opened():
		fmt.Println("open")
	case ev := <-es.Closed():
		var no *websocket.EventSourceError
		fmt.Println(ev.Code, errors.As(ev.Err, &no), no.StatusCode)
	}
	// Output: 1006 true 204
}

// An event for many streams is encoded once. A stream whose queue is full is
// left out, or given up with Abort, rather than waited for.
func ExamplePrepareEvent() {
	joined := make(chan *websocket.EventSource)
	server := httptest.NewServer(websocket.EventSourceHandler(func(es *websocket.EventSource) {
		joined <- es
		<-es.Closed()
	}, nil))
	defer server.Close()
	var pages []*websocket.EventStream
	var streams []*websocket.EventSource // of all that are connected
	for range 2 {
		page, err := websocket.DialEventSource(context.Background(), server.URL, nil)
		if err != nil {
			log.Fatal(err)
		}
		defer page.Close()
		pages, streams = append(pages, page), append(streams, <-joined)
	}

	event, err := websocket.PrepareEvent(websocket.Event{Type: "price", Data: "42"})
	if err != nil {
		log.Fatal(err)
	}
	for _, es := range streams {
		if err := es.TrySendPrepared(event); errors.Is(err, websocket.ErrQueueFull) {
			es.Abort()
		}
	}
	for _, page := range pages {
		e := <-page.Messages()
		fmt.Println(e.Type, e.Data)
	}
	// Output:
	// price 42
	// price 42
}
