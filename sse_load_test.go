package websocket

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// One client of a thousand does not read. The others get every event, and what
// the server holds for that one stays within the bound of its queue.
func TestEventSourceStalledAmongThousand(t *testing.T) {
	const clients, events, queueBytes = 1000, 80, 32 << 10
	payload := strings.Repeat("x", 1<<10)
	streams := make(chan *EventSource, clients)
	s := httptest.NewUnstartedServer(EventSourceHandler(func(es *EventSource) {
		streams <- es
		<-es.Closed()
	}, &EventSourceOptions{QueueBytes: queueBytes, Retry: -1}))
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		c.(*net.TCPConn).SetWriteBuffer(4 << 10) // so that a client that does not read is felt soon
		return ctx
	}
	s.Start()
	defer s.Close()

	var readers sync.WaitGroup
	connect := func() (*EventSource, net.Conn) {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.(*net.TCPConn).SetReadBuffer(4 << 10)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		return <-streams, c
	}
	stalled, stalledConn := connect()
	defer stalledConn.Close()
	var lively []*EventSource
	for range clients - 1 {
		es, c := connect()
		lively = append(lively, es)
		readers.Go(func() {
			defer c.Close()
			if n := countEvents(c, payload, events); n != events {
				t.Errorf("a client got %d events of %d", n, events)
			}
		})
	}

	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	dropped, most := 0, uint64(0)
	for i := range events {
		p, _ := PrepareEvent(Event{ID: strconv.Itoa(i), Data: payload})
		if stalled.TrySendPrepared(p) != nil {
			dropped++
		}
		for _, es := range lively {
			if err := es.SendPrepared(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		if held := heldBytes(stalled); held > queueBytes {
			t.Fatalf("%d bytes are held for the stalled client", held)
		}
		if i%20 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse)
		}
	}
	readers.Wait()
	if dropped == 0 {
		t.Error("the stalled client was not felt")
	}
	// What is queued has a buffer that grows by doubling. On a busy machine all are full.
	if grown := int64(most) - int64(before.HeapInuse); grown > 3*clients*queueBytes {
		t.Errorf("the heap grew by %d bytes", grown)
	} else {
		t.Logf("heap grew by %d bytes at most; %d of %d events refused for the stalled client", grown, dropped, events)
	}
	stalled.Abort()
}

func heldBytes(es *EventSource) int {
	es.mu.Lock()
	defer es.mu.Unlock()
	n := es.queue.busyBytes()
	if es.queue.buf != nil {
		n += len(es.queue.buf.b)
	}
	return n
}

func countEvents(c net.Conn, payload string, most int) (n int) {
	lines := bufio.NewScanner(c)
	for n < most && lines.Scan() {
		if lines.Text() == "data: "+payload {
			n++
		}
	}
	return n
}

// The fan-out of 1,000 streams over ResponseWriters that cost nothing.
func BenchmarkEventSourceFanOut(b *testing.B) {
	const clients = 1000
	streams := make([]*EventSource, clients)
	for i := range streams {
		r := httptest.NewRequest("GET", "/", nil)
		es, err := AcceptEventSource(discardWriter{http.Header{}}, r, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer es.Close()
		streams[i] = es
	}
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		p, _ := PrepareEvent(Event{Data: "about as much as a price"})
		for _, es := range streams {
			es.SendPrepared(ctx, p)
		}
	}
	for _, es := range streams {
		es.Flush(ctx)
	}
	b.ReportMetric(float64(b.N)*clients/b.Elapsed().Seconds(), "events/s")
}

// One stream from server to client, both of this library, over loopback.
func BenchmarkEventStream(b *testing.B) {
	s := httptest.NewServer(EventSourceHandler(func(es *EventSource) {
		p, _ := PrepareEvent(Event{Type: "tick", ID: "12345", Data: "about as much as a price"})
		for es.SendPrepared(context.Background(), p) == nil {
		}
	}, nil))
	defer s.Close()
	es, err := DialEventSource(context.Background(), s.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		<-es.Messages()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	es.Close()
}
