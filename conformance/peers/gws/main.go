// Command gws echoes with github.com/lxzan/gws, as a server or as a client.
package main

import (
	"net/http"

	"github.com/lxzan/gws"

	"github.com/chanws/websocket/conformance/peers/driver"
)

func main() { driver.Main(serve, dial) }

const mostPayload = 32 << 20

// handler echoes, or hands one message to each.
type handler struct {
	gws.BuiltinEventHandler
	each driver.Each
}

func (handler) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

func (h handler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	if h.each != nil {
		h.each(m.Bytes())
		return
	}
	_ = c.WriteMessage(m.Opcode, m.Bytes())
}

func deflate(mode driver.Compression) gws.PermessageDeflate {
	return gws.PermessageDeflate{
		Enabled: mode == driver.Compressed, ServerContextTakeover: true, ClientContextTakeover: true, Threshold: 1,
	}
}

func serve(mode driver.Compression) http.Handler {
	upgrader := gws.NewUpgrader(handler{}, &gws.ServerOption{
		CheckUtf8Enabled: true, ReadMaxPayloadSize: mostPayload, WriteMaxPayloadSize: mostPayload, PermessageDeflate: deflate(mode),
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r)
		if err != nil {
			return
		}
		conn.ReadLoop()
	})
}

func dial(url string, mode driver.Compression, each driver.Each) error {
	conn, _, err := gws.NewClient(handler{each: each}, &gws.ClientOption{
		Addr: url, CheckUtf8Enabled: true, ReadMaxPayloadSize: mostPayload, WriteMaxPayloadSize: mostPayload, PermessageDeflate: deflate(mode),
	})
	if err != nil {
		return err
	}
	conn.ReadLoop()
	return nil
}
