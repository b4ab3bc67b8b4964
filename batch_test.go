package websocket

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// What is sent while the peer's next messages are at hand leaves in few writes: system
// calls decide how fast a server is. Measured: 0.016 writes a message, one for 64; the
// limit leaves room for machines where a burst arrives in pieces.
func TestPipelinedEchoIsBatched(t *testing.T) {
	const maxWrites, rounds, burst = 0.2, 50, 64
	served := make(chan *Conn, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		served <- c
		go echo(c)
	}))
	defer server.Close()
	client := newRawClient(t, server.Listener.Addr().String(), 32, burst)
	defer client.Close()
	c := <-served
	defer c.Abort()
	buf := make([]byte, len(client.replies))
	for range rounds {
		if err := client.round(buf); err != nil {
			t.Fatal(err)
		}
	}
	// The last write is counted when it is done, which the client may see before.
	if s := c.Stats(); float64(s.Writes) > maxWrites*rounds*burst || s.MessagesReceived != rounds*burst {
		t.Errorf("%+v: more than %v writes a message", s, maxWrites)
	}
}
