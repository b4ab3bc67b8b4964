package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"

	"github.com/chanws/websocket"
)

// exampleServer greets each client, at /old it sends it to /new, and at /login it gives
// a cookie to one that has none, which is what / asks for.
func exampleServer(start func(http.Handler) *httptest.Server) *httptest.Server {
	mux := http.NewServeMux()
	mux.Handle("/old", http.RedirectHandler("/new", http.StatusFound))
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "gopher", Path: "/"})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		greeting := "hello"
		if cookie, err := r.Cookie("session"); err == nil {
			greeting += ", " + cookie.Value
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		ws.Send(r.Context(), websocket.Text(greeting))
		ws.Close(context.Background(), websocket.StatusNormalClosure, "")
	})
	return start(mux)
}

// exampleProxy answers the first request of a client with the answers, one after the
// other, and leads it to the address.
func exampleProxy(address string, answers ...string) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		request := make([]byte, 1<<10)
		for _, answer := range answers {
			in.Read(request)
			io.WriteString(in, answer)
		}
		out, err := net.Dial("tcp", address)
		if err != nil {
			in.Close()
			return
		}
		splice(in, in, out)
	}()
	return l
}

// A proxy of one's own, with user and password and a header for it alone. Without the
// option, HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment decide, as in
// net/http; with websocket.NoProxy nothing does.
func ExampleDialOptions_proxy() {
	server := exampleServer(httptest.NewServer)
	defer server.Close()
	l := exampleProxy(server.Listener.Addr().String(), "HTTP/1.1 200 Connection established\r\n\r\n")
	defer l.Close()

	proxy, err := url.Parse("http://user:password@" + l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	ws, err := websocket.Dial(ctx, "ws://service.example/", &websocket.DialOptions{
		Proxy:       http.ProxyURL(proxy),
		ProxyHeader: http.Header{"User-Agent": {"example"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ws.Abort()
	for m := range ws.Messages() {
		fmt.Printf("%s\n", m.Data)
	}
	fmt.Println((<-ws.Closed()).Code)
	// Output:
	// hello
	// 1000
}

// What a proxy says when it refuses.
func ExampleProxyError() {
	l := exampleProxy("", "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"office\"\r\n\r\n")
	defer l.Close()
	_, err := websocket.Dial(context.Background(), "ws://service.example/", &websocket.DialOptions{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: l.Addr().String()}),
	})
	var refused *websocket.ProxyError
	if errors.As(err, &refused) {
		fmt.Println(refused.Status, refused.Header.Get("Proxy-Authenticate"))
	}
	// Output: 407 Basic realm="office"
}

// SOCKS5 differs by the scheme alone.
func ExampleDialOptions_socks5() {
	server := exampleServer(httptest.NewServer)
	defer server.Close()
	l := exampleProxy(server.Listener.Addr().String(), "\x05\x00", "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	defer l.Close()

	ws, err := websocket.Dial(context.Background(), "ws://service.example/", &websocket.DialOptions{
		Proxy: http.ProxyURL(&url.URL{Scheme: "socks5", Host: l.Addr().String()}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ws.Abort()
	for m := range ws.Messages() {
		fmt.Printf("%s\n", m.Data)
	}
	// Output: hello
}

// A redirect is an error, unless the options allow some.
func ExampleDialOptions_redirects() {
	server := exampleServer(httptest.NewServer)
	defer server.Close()
	ctx := context.Background()

	_, err := websocket.Dial(ctx, server.URL+"/old", nil)
	var failed *websocket.HandshakeError
	if errors.As(err, &failed) {
		fmt.Println(failed.Status, failed.Header.Get("Location"))
	}
	ws, err := websocket.Dial(ctx, server.URL+"/old", &websocket.DialOptions{MaxRedirects: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ws.Abort()
	fmt.Println(ws.URL().Path)
	// Output:
	// 302 /new
	// /new
}

// A jar keeps the cookies of every response, here of the redirect after a login.
func ExampleDialOptions_jar() {
	server := exampleServer(httptest.NewServer)
	defer server.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ws, err := websocket.Dial(context.Background(), server.URL+"/login", &websocket.DialOptions{Jar: jar, MaxRedirects: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ws.Abort()
	for m := range ws.Messages() {
		fmt.Printf("%s\n", m.Data)
	}
	// Output: hello, gopher
}
