// Command gorilla echoes with github.com/gorilla/websocket, as a server or as
// a client.
package main

import (
	"log"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/chanws/websocket/conformance/peers/driver"
)

func main() { driver.Main(serve, dial) }

func serve(mode driver.Compression) http.Handler {
	upgrader := websocket.Upgrader{
		EnableCompression: mode == driver.Compressed,
		CheckOrigin:       func(*http.Request) bool { return true },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		echo(conn)
	})
}

func dial(url string, mode driver.Compression, each driver.Each) error {
	dialer := websocket.Dialer{EnableCompression: mode == driver.Compressed}
	conn, resp, err := dialer.Dial(url, nil)
	if err != nil {
		if resp != nil {
			log.Printf("%s: %v (%s)", url, err, resp.Status)
		}
		return err
	}
	if each == nil {
		echo(conn)
		return nil
	}
	defer conn.Close()
	_, p, err := conn.ReadMessage()
	if err == nil {
		each(p)
	}
	return err
}

func echo(conn *websocket.Conn) {
	defer conn.Close()
	for {
		kind, p, err := conn.ReadMessage()
		if err != nil {
			return
		}
		// The library leaves this check to the application, as its own example
		// for the public suite does it.
		if kind == websocket.TextMessage && !utf8.Valid(p) {
			body := websocket.FormatCloseMessage(websocket.CloseInvalidFramePayloadData, "")
			_ = conn.WriteControl(websocket.CloseMessage, body, time.Now().Add(time.Second))
			return
		}
		if err := conn.WriteMessage(kind, p); err != nil {
			return
		}
	}
}
