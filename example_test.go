package websocket_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/chanws/websocket"
)

// The examples below have a server at hand that echoes.
func newEchoServer() (url string, stop func()) {
	server := httptest.NewServer(websocket.Handler(echoServer, nil))
	return "ws" + strings.TrimPrefix(server.URL, "http"), server.Close
}

func echoServer(ws *websocket.Conn) {
	for m := range ws.Messages() {
		if err := ws.Send(context.Background(), m); err != nil {
			return
		}
		m.Release() // optional: gives the memory back
	}
}

// A handler that accepts a connection and serves it in a select loop, beside
// whatever else it waits for.
func ExampleAccept() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered the request
		}
		defer ws.Abort()
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case m, ok := <-ws.Messages():
				if !ok {
					fmt.Println("server:", (<-ws.Closed()).Code)
					return
				}
				ws.Send(r.Context(), websocket.Text("you said "+m.String()))
			case <-ticker.C:
				ws.Send(r.Context(), websocket.Text("tick"))
			}
		}
	}
	var handling sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handling.Add(1)
		defer handling.Done()
		handler(w, r)
	}))
	defer server.Close()

	ctx := context.Background()
	ws, err := websocket.Dial(ctx, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-ws.Messages())
	ws.Send(ctx, websocket.Text("hello"))
	for m := range ws.Messages() {
		if m.String() != "tick" {
			fmt.Println(m)
			break
		}
	}
	ws.Close(ctx, websocket.StatusNormalClosure, "")
	handling.Wait()
	// Output:
	// tick
	// you said hello
	// server: 1000
}

// A server without net/http.
func ExampleAcceptConn() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			ws, r, err := websocket.AcceptConn(context.Background(), c, nil)
			if err != nil {
				continue // answered and closed
			}
			ws.Send(context.Background(), websocket.Text("you asked for "+r.URL.Path))
			ws.Close(context.Background(), websocket.StatusNormalClosure, "")
		}
	}()

	ws, err := websocket.Dial(context.Background(), "ws://"+listener.Addr().String()+"/news", nil)
	if err != nil {
		log.Fatal(err)
	}
	for m := range ws.Messages() {
		fmt.Println(m)
	}
	listener.Close()
	<-done
	// Output: you asked for /news
}

// A page and a WebSocket at one address.
func ExampleIsWebSocket() {
	socket := websocket.Handler(echoServer, nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if websocket.IsWebSocket(r) {
			socket.ServeHTTP(w, r)
			return
		}
		io.WriteString(w, "a page")
	}))
	defer server.Close()

	response, err := server.Client().Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	page, _ := io.ReadAll(response.Body)
	fmt.Printf("%s\n", page)

	ws, err := websocket.Dial(context.Background(), server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Abort()
	fmt.Println(ws.State(), ws.Version())
	// Output:
	// a page
	// open hybi-13
}

// The handler runs as long as the connection. What the function leaves open is
// closed with 1000.
func ExampleHandler() {
	greet := func(ws *websocket.Conn) {
		name := ws.URL().Query().Get("name")
		ws.Send(context.Background(), websocket.Text("hello, "+name))
	}
	server := httptest.NewServer(websocket.Handler(greet, nil))
	defer server.Close()

	ws, err := websocket.Dial(context.Background(), server.URL+"/?name=Ada", nil)
	if err != nil {
		log.Fatal(err)
	}
	for m := range ws.Messages() {
		fmt.Println(m)
	}
	fmt.Println((<-ws.Closed()).Code)
	// Output:
	// hello, Ada
	// 1000
}

func ExampleDial() {
	url, stop := newEchoServer()
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel() // bounds the calls, not the connection
	ws, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		Header:       http.Header{"Authorization": {"Bearer secret"}},
		PingInterval: 30 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Abort()
	if err := ws.Send(ctx, websocket.Text("hello")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-ws.Messages())
	// Output: hello
}

// A failed handshake tells what the server has answered.
func ExampleDial_refused() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "members only", http.StatusForbidden)
	}))
	defer server.Close()

	_, err := websocket.Dial(context.Background(), server.URL, nil)
	var failed *websocket.HandshakeError
	if errors.As(err, &failed) {
		fmt.Printf("%d %s", failed.Status, failed.Body)
	}
	// Output: 403 members only
}

// Open returns at once. What is sent before the connection is open waits in the
// queue.
func ExampleOpen() {
	url, stop := newEchoServer()
	defer stop()

	ctx := context.Background()
	ws := websocket.Open(url, nil)
	ws.Send(ctx, websocket.Text("early"))
	opened := ws.Opened()
	for {
		select {
		case <-opened:
			fmt.Println("open")
			opened = nil
		case m, ok := <-ws.Messages():
			if !ok {
				fmt.Println("closed:", (<-ws.Closed()).Code)
				return
			}
			fmt.Println(m)
			go ws.Close(ctx, websocket.StatusNormalClosure, "")
		}
	}
	// Unordered output:
	// open
	// early
	// closed: 1000
}

// Where the connection can not be opened, Errors tells why, and Closed that it is
// over. Nobody has to receive from Errors.
func ExampleOpen_failed() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()

	ws := websocket.Open(server.URL, nil)
	select {
	case <-ws.Opened():
		fmt.Println("open")
	case e := <-ws.Closed():
		var failed *websocket.HandshakeError
		if errors.As(<-ws.Errors(), &failed) {
			fmt.Println(e.Code, failed.Status)
		}
	}
	// Output: 1006 404
}

// Close in a select loop runs beside it, so that what is still to come is received.
func ExampleConn_Close() {
	url, stop := newEchoServer()
	defer stop()

	ctx := context.Background()
	ws, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	lines := make(chan string, 3)
	lines <- "one"
	lines <- "two"
	close(lines)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				lines = nil // never ready again
				go ws.Close(ctx, websocket.StatusNormalClosure, "done")
				continue
			}
			if err := ws.Send(ctx, websocket.Text(line)); err != nil {
				log.Fatal(err)
			}
		case m, ok := <-ws.Messages():
			if !ok {
				end := <-ws.Closed()
				fmt.Println("closed:", end.Code, end.Clean)
				return
			}
			fmt.Println("echo:", m)
		}
	}
	// Output:
	// echo: one
	// echo: two
	// closed: 1000 true
}

// Send waits while the queue is full, and its context bounds the wait.
func ExampleConn_Send() {
	enough := make(chan struct{})
	server := httptest.NewServer(websocket.Handler(func(ws *websocket.Conn) {
		<-enough // receives nothing
		ws.Abort()
	}, nil))
	defer server.Close()
	defer close(enough)
	ws, err := websocket.Dial(context.Background(), server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Abort()

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	m := websocket.Binary(make([]byte, 1<<20))
	for err == nil {
		err = ws.Send(ctx, m)
	}
	fmt.Println(err, ws.State()) // nothing of the last one was sent, and the connection lives
	// Output: context deadline exceeded open
}

// A sender that must not wait for a slow client drops it instead.
func ExampleConn_TrySend() {
	dropped := make(chan struct{})
	server := httptest.NewServer(websocket.Handler(func(ws *websocket.Conn) {
		update := websocket.Binary(make([]byte, 64<<10))
		for {
			if err := ws.TrySend(update); errors.Is(err, websocket.ErrQueueFull) {
				fmt.Println("too slow")
				ws.Abort()
				close(dropped)
				return
			}
		}
	}, &websocket.AcceptOptions{QueueMessages: 8}))
	defer server.Close()

	ws, err := websocket.Dial(context.Background(), server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	<-dropped
	for m := range ws.Messages() {
		m.Release()
	}
	fmt.Println((<-ws.Closed()).Code)
	// Output:
	// too slow
	// 1006
}

func ExampleConn_Ping() {
	url, stop := newEchoServer()
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ws, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Abort()
	trip, err := ws.Ping(ctx, []byte("are you there?"))
	fmt.Println(trip > 0, err)
	// Output: true <nil>
}

// A connection as a stream of bytes, for code that wants a net.Conn.
func ExampleConn_NetConn() {
	server := httptest.NewServer(websocket.Handler(func(ws *websocket.Conn) {
		c := ws.NetConn(websocket.BinaryMessage)
		io.Copy(c, c)
	}, nil))
	defer server.Close()

	ws, err := websocket.Dial(context.Background(), server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	c := ws.NetConn(websocket.BinaryMessage)
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintln(c, "a line")
	line, err := bufio.NewReader(c).ReadString('\n')
	fmt.Print(line, err)
	// Output:
	// a line
	// <nil>
}

func ExampleConn_SendJSON() {
	url, stop := newEchoServer()
	defer stop()
	ctx := context.Background()
	ws, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Abort()

	type point struct{ X, Y int }
	if err := ws.SendJSON(ctx, point{1, 2}); err != nil {
		log.Fatal(err)
	}
	var p point
	m := <-ws.Messages()
	if err := m.JSON(&p); err != nil {
		log.Fatal(err)
	}
	fmt.Println(m, p)
	// Output: {"X":1,"Y":2} {1 2}
}

// A message that is never whole in memory, neither here nor there.
func ExampleConn_SendFragment() {
	var received int
	done := make(chan struct{})
	server := httptest.NewServer(websocket.Handler(func(ws *websocket.Conn) {
		defer close(done)
		for part := range ws.Messages() {
			received += len(part.Data)
			part.Release()
			if part.Final {
				return
			}
		}
	}, &websocket.AcceptOptions{Fragments: true}))
	defer server.Close()

	ctx := context.Background()
	ws, err := websocket.Dial(ctx, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Abort()
	part := websocket.Message{Type: websocket.BinaryMessage, Data: make([]byte, 64<<10)}
	for range 1000 {
		if err := ws.SendFragment(ctx, part); err != nil {
			log.Fatal(err)
		}
	}
	ws.SendFragment(ctx, websocket.Message{Type: websocket.BinaryMessage, Final: true})
	<-done
	fmt.Println(received)
	// Output: 65536000
}

// NetDialContext decides where the connection goes: here to a unix socket. The URL
// still gives the Host header and the path.
func ExampleDialOptions_unixSocket() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "echo.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: websocket.Handler(echoServer, nil)}
	go server.Serve(listener)
	defer server.Close()

	ctx := context.Background()
	ws, err := websocket.Dial(ctx, "ws://localhost/", &websocket.DialOptions{
		NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Abort()
	ws.Send(ctx, websocket.Text("hello"))
	fmt.Println(<-ws.Messages(), ws.RemoteAddr().Network())
	// Output: hello unix
}

// RootCAs are the authorities that a client trusts, instead of the system's. The
// host name is verified in any case.
func ExampleDialOptions_rootCAs() {
	server := httptest.NewTLSServer(websocket.Handler(echoServer, nil))
	defer server.Close()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())

	ws, err := websocket.Dial(context.Background(), server.URL, &websocket.DialOptions{
		TLSConfig: &tls.Config{RootCAs: pool},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Abort()
	fmt.Println(ws.URL().Scheme)
	// Output: wss
}

// The client's order decides among the subprotocols that both speak.
func ExampleAcceptOptions_subprotocols() {
	server := httptest.NewServer(websocket.Handler(echoServer, &websocket.AcceptOptions{
		Subprotocols: []string{"chat.v1", "chat.v2"},
	}))
	defer server.Close()

	ws, err := websocket.Dial(context.Background(), server.URL, &websocket.DialOptions{
		Subprotocols: []string{"chat.v3", "chat.v2", "chat.v1"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Abort()
	fmt.Println(ws.Subprotocol())
	// Output: chat.v2
}

// The end of the context in the options closes the connections with 1001. That is
// how a server goes down: http.Server.Shutdown knows nothing of those that came over
// HTTP/1.1, and waits for those that came over HTTP/2.
func ExampleAcceptOptions_shutdown() {
	ctx, shutdown := context.WithCancel(context.Background())
	var open sync.WaitGroup
	socket := websocket.Handler(echoServer, &websocket.AcceptOptions{Context: ctx})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		open.Add(1)
		defer open.Done()
		socket.ServeHTTP(w, r)
	}))

	ws, err := websocket.Dial(context.Background(), server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	shutdown()
	fmt.Println((<-ws.Closed()).Code)
	server.Config.Shutdown(context.Background())
	open.Wait()
	fmt.Println("all closed")
	// Output:
	// 1001
	// all closed
}

// CloseError in an error's chain tells how the peer has closed the connection.
func ExampleCloseError() {
	server := httptest.NewServer(websocket.Handler(func(ws *websocket.Conn) {
		ws.Close(context.Background(), 4001, "session expired")
	}, nil))
	defer server.Close()
	ctx := context.Background()
	ws, err := websocket.Dial(ctx, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	<-ws.Closed()

	err = ws.Send(ctx, websocket.Text("too late"))
	fmt.Println(errors.Is(err, websocket.ErrClosed))
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		fmt.Println(closed.Code, closed.Reason)
	}
	// Output:
	// true
	// 4001 session expired
}
