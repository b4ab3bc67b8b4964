package deflate_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/chanws/websocket"
	"github.com/chanws/websocket/negotiate"
	"github.com/chanws/websocket/negotiate/deflate"
)

// A server and a client that compress.
func Example() {
	extensions := []negotiate.Extension{deflate.New(nil)}
	srv := httptest.NewServer(websocket.Handler(func(c *websocket.Conn) {
		for m := range c.Messages() {
			c.Send(context.Background(), m)
		}
	}, &websocket.AcceptOptions{Extensions: extensions}))
	defer srv.Close()

	ctx := context.Background()
	url := "ws" + strings.TrimPrefix(srv.URL, "http")
	c, err := websocket.Dial(ctx, url, &websocket.DialOptions{Extensions: extensions})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Abort()
	text := strings.Repeat("all work and no play ", 100)
	if err := c.Send(ctx, websocket.Text(text)); err != nil {
		fmt.Println(err)
		return
	}
	m := <-c.Messages()
	fmt.Println(m.String() == text)
	fmt.Printf("%s\n", negotiate.AppendExtensions(nil, c.Extensions()))
	c.Close(ctx, websocket.StatusNormalClosure, "")
	// Output:
	// true
	// permessage-deflate; client_max_window_bits=11
}

// A server with very many idle connections can do without history.
func ExampleNew_memory() {
	ext := deflate.New(&deflate.Options{ServerNoContextTakeover: true, ClientNoContextTakeover: true})

	answer, session, ok := ext.Server([][]negotiate.Param{{{Name: "client_max_window_bits"}}})
	defer session.Close()
	fmt.Println(ok)
	for _, p := range answer {
		fmt.Println(p.Name)
	}
	// Output:
	// true
	// server_no_context_takeover
	// client_no_context_takeover
}

// Messages that are compressed already, here those that are not text, go out as
// they are.
func ExampleOptions_compress() {
	ext := deflate.New(&deflate.Options{
		Compress: func(m negotiate.Message) bool { return m.Text },
	})
	_, session, _ := ext.Server([][]negotiate.Param{nil})
	defer session.Close()

	data := []byte(strings.Repeat("many words ", 50))
	for _, text := range []bool{true, false} {
		out, bits, transformed, err := session.Outgoing(nil, negotiate.Message{Text: text, Data: data})
		fmt.Println(len(out) < len(data) && transformed, bits == negotiate.RSV1, err)
	}
	// Output:
	// true true <nil>
	// false false <nil>
}
