package websocket

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"
	"unsafe"
)

// What an idle connection may cost: the goroutine of the application, where there is no
// place to rest one that reads too, and memory for it, for what the network package
// holds, and for the client that this test has in the same process. Measured on Linux:
// 1.0 goroutines, and 5.2 KiB of heap and stacks together.
const (
	maxIdleGoroutines = 2.1
	maxIdleBytes      = 5900
	maxConnBytes      = 512 // a size class, with the Decoder and the transport
)

func TestIdleConnectionCost(t *testing.T) {
	const conns = 500
	served := make(chan *Conn, conns)
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
	buf := make([]byte, 200)
	idle := func() *rawClient {
		c := newRawClient(t, server.Listener.Addr().String(), 125, 1)
		if err := c.round(buf); err != nil {
			t.Fatal(err)
		}
		c.frames, c.replies, c.failed = nil, nil, nil
		return c
	}
	clients := []*rawClient{idle()} // and whatever is made once
	goroutines, bytes := processCost()
	for len(clients) < conns {
		clients = append(clients, idle())
	}
	awaitRest()
	moreGoroutines, moreBytes := processCost()
	if each := float64(moreGoroutines-goroutines) / (conns - 1); each > maxIdleGoroutines {
		t.Errorf("%.2f goroutines a connection", each)
	}
	if each := float64(moreBytes-bytes) / (conns - 1); each > maxIdleBytes && !raceEnabled {
		t.Errorf("%.0f bytes a connection", each)
	} else {
		t.Logf("%.0f bytes a connection", each)
	}
	for _, c := range clients {
		c.Close()
		(<-served).Abort()
	}
}

func TestConnSize(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > maxConnBytes {
		t.Errorf("a Conn has %d bytes", n)
	}
}

// processCost gives the goroutines of the process, and its heap and stacks after
// collections: each shrinks a stack by half at most, and empties pools by half.
func processCost() (goroutines int, bytes int64) {
	for range 4 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), int64(m.HeapAlloc + m.StackInuse)
}

// awaitRest waits until no connection gives a goroutine back any more, for as long as
// two looks a second apart differ.
func awaitRest() {
	for before := 0; before != runtime.NumGoroutine(); time.Sleep(time.Second) {
		before = runtime.NumGoroutine()
	}
}
