//go:build !race

package websocket_test

import (
	"net/http"
	"testing"

	"github.com/chanws/websocket"
)

// The one use of a response that can not be made right: a handler returns, out of
// Handler and Hold and without Abort, while a write is under way. The race detector
// sees it, and so it is not asked here. The connection ends with an error all the
// same, and so does the write, which the peer does not let go on.
func TestStreamHandlerReturnsWhileAWriteWaits(t *testing.T) {
	leavesNothing(t)
	accepted := make(chan *websocket.Conn, 1)
	s := h2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- c
		fill(t, c, 256<<10)
	}))
	_, response := connectStream(t, rawClient(t, s), s.URL, http.Header{"Sec-Websocket-Version": {"13"}})
	defer response.Body.Close()
	if e := wantClosed(t, <-accepted, 1006); e.Err == nil {
		t.Errorf("closed with %+v", e)
	}
}
