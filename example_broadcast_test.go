package websocket_test

import (
	"context"
	"fmt"
	"log"
	"maps"
	"net/http/httptest"
	"slices"
	"sync"

	"github.com/chanws/websocket"
)

// A room is the connections that get what any of them sends.
type room struct {
	mu      sync.Mutex
	members map[*websocket.Conn]bool
}

func (r *room) join(ws *websocket.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[ws] = true
}

func (r *room) leave(ws *websocket.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, ws)
}

// say sends to all. Those who do not read as fast as is said are dropped.
func (r *room) say(m websocket.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	missed, err := websocket.Broadcast(maps.Keys(r.members), m)
	for _, miss := range missed {
		delete(r.members, miss.Conn)
		miss.Conn.Abort()
	}
	return err
}

// dialRoom opens connections to a server, and waits until they are served.
func dialRoom(n int, serve func(*websocket.Conn)) (members []*websocket.Conn, stop func()) {
	server := httptest.NewServer(websocket.Handler(serve, nil))
	for range n {
		ws, err := websocket.Dial(context.Background(), server.URL, nil)
		if err != nil {
			log.Fatal(err)
		}
		<-ws.Messages()
		members = append(members, ws)
	}
	return members, func() {
		for _, ws := range members {
			ws.Abort()
		}
		server.Close()
	}
}

// A chat: what one says, all get.
func ExampleBroadcast() {
	chat := &room{members: map[*websocket.Conn]bool{}}
	members, stop := dialRoom(3, func(ws *websocket.Conn) {
		ws.Send(context.Background(), websocket.Text("welcome"))
		chat.join(ws)
		defer chat.leave(ws)
		for m := range ws.Messages() {
			if chat.say(m) != nil {
				return
			}
			m.Release()
		}
	})
	defer stop()

	// A member's own message comes back when it has joined.
	for _, ws := range members {
		ws.Send(context.Background(), websocket.Text("hello"))
		<-ws.Messages()
	}
	members[0].Send(context.Background(), websocket.Text("good night"))
	for i, ws := range members {
		for m := range ws.Messages() {
			if m.String() == "good night" {
				fmt.Println(i, m)
				break
			}
		}
	}
	// Output:
	// 0 good night
	// 1 good night
	// 2 good night
}

// A message for several groups is prepared once.
func ExamplePrepared_Broadcast() {
	joined := make(chan *websocket.Conn, 4)
	members, stop := dialRoom(4, func(ws *websocket.Conn) {
		ws.Send(context.Background(), websocket.Text("welcome"))
		joined <- ws
		for range ws.Messages() {
		}
	})
	defer stop()
	left, right := []*websocket.Conn{<-joined, <-joined}, []*websocket.Conn{<-joined, <-joined}

	p, err := websocket.Prepare(websocket.Text("to all"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(p.Broadcast(slices.Values(left))), "missed on the left")
	fmt.Println(len(p.Broadcast(slices.Values(right))), "missed on the right")
	for _, ws := range members {
		fmt.Println(<-ws.Messages())
	}
	// Output:
	// 0 missed on the left
	// 0 missed on the right
	// to all
	// to all
	// to all
	// to all
}

// What every connection gets first need not be encoded for each.
func ExamplePrepare() {
	greeting, err := websocket.Prepare(websocket.Text("a long list of rules"))
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(websocket.Handler(func(ws *websocket.Conn) {
		ws.SendPrepared(context.Background(), greeting)
	}, nil))
	defer server.Close()
	for range 2 {
		ws, err := websocket.Dial(context.Background(), server.URL, nil)
		if err != nil {
			log.Fatal(err)
		}
		for m := range ws.Messages() {
			fmt.Println(m)
		}
	}
	// Output:
	// a long list of rules
	// a long list of rules
}

// A replay that must be complete waits for those who read slowly.
func ExampleConn_SendPrepared() {
	var history []*websocket.Prepared
	for _, line := range []string{"one", "two", "three"} {
		p, err := websocket.Prepare(websocket.Text(line))
		if err != nil {
			log.Fatal(err)
		}
		history = append(history, p)
	}
	server := httptest.NewServer(websocket.Handler(func(ws *websocket.Conn) {
		for _, p := range history {
			if err := ws.SendPrepared(context.Background(), p); err != nil {
				return
			}
		}
	}, nil))
	defer server.Close()

	ws, err := websocket.Dial(context.Background(), server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	for m := range ws.Messages() {
		fmt.Println(m)
	}
	// Output:
	// one
	// two
	// three
}

// Prices that are out of date soon are not worth waiting for: who is behind misses one
// and gets the next.
func ExampleConn_TrySendPrepared() {
	price, err := websocket.Prepare(websocket.Text("12.50"))
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(websocket.Handler(func(ws *websocket.Conn) {
		if err := ws.TrySendPrepared(price); err != nil {
			log.Print("missed: ", err)
		}
	}, nil))
	defer server.Close()

	ws, err := websocket.Dial(context.Background(), server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	for m := range ws.Messages() {
		fmt.Println(m)
	}
	// Output: 12.50
}
