// Command coder echoes with github.com/coder/websocket, as a server or as a
// client.
package main

import (
	"context"
	"net/http"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/chanws/websocket/conformance/peers/driver"
)

func main() { driver.Main(serve, dial) }

func compression(mode driver.Compression) websocket.CompressionMode {
	if mode == driver.Compressed {
		return websocket.CompressionContextTakeover
	}
	return websocket.CompressionDisabled
}

func serve(mode driver.Compression) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: compression(mode)})
		if err != nil {
			return
		}
		echo(r.Context(), conn)
	})
}

func dial(url string, mode driver.Compression, each driver.Each) error {
	ctx := context.Background()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{CompressionMode: compression(mode)})
	if err != nil {
		return err
	}
	if each == nil {
		echo(ctx, conn)
		return nil
	}
	defer conn.CloseNow()
	_, p, err := conn.Read(ctx)
	if err == nil {
		each(p)
	}
	return err
}

func echo(ctx context.Context, conn *websocket.Conn) {
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	for {
		kind, p, err := conn.Read(ctx)
		if err != nil {
			return
		}
		// The library leaves this check to the application.
		if kind == websocket.MessageText && !utf8.Valid(p) {
			_ = conn.Close(websocket.StatusInvalidFramePayloadData, "")
			return
		}
		if err := conn.Write(ctx, kind, p); err != nil {
			return
		}
	}
}
