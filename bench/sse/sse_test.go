// Package sse measures the fan-out of one event to 1,000 event streams, beside
// github.com/tmaxmax/go-sse and github.com/r3labs/sse. Run it with
//
//	cd bench && go test -bench . ./sse
package sse

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chanws/websocket"
	r3labs "github.com/r3labs/sse/v2"
	tmaxmax "github.com/tmaxmax/go-sse"
)

const clients = 1000

var payload = strings.Repeat("x", 125)

// A peer is a server that broadcasts.
type peer struct {
	handler http.Handler
	publish func()
	path    string
}

func peers() map[string]func() peer {
	return map[string]func() peer{"chanws": ours, "tmaxmax": newTmaxmax, "r3labs": newR3labs}
}

func ours() peer {
	var mu sync.Mutex
	streams := map[*websocket.EventSource]bool{}
	handler := websocket.EventSourceHandler(func(es *websocket.EventSource) {
		mu.Lock()
		streams[es] = true
		mu.Unlock()
		<-es.Closed()
		mu.Lock()
		delete(streams, es)
		mu.Unlock()
	}, nil)
	return peer{handler, func() {
		e, _ := websocket.PrepareEvent(websocket.Event{Data: payload})
		mu.Lock()
		defer mu.Unlock()
		for es := range streams {
			es.SendPrepared(context.Background(), e)
		}
	}, "/"}
}

func newTmaxmax() peer {
	s := &tmaxmax.Server{}
	return peer{s, func() {
		var m tmaxmax.Message
		m.AppendData(payload)
		s.Publish(&m)
	}, "/"}
}

func newR3labs() peer {
	s := r3labs.New()
	s.AutoReplay = false
	s.CreateStream("b")
	return peer{s, func() { s.Publish("b", &r3labs.Event{Data: []byte(payload)}) }, "/?stream=b"}
}

// connect starts the clients. They count what they get, at next to no cost.
func connect(b *testing.B, addr, path string) (got *atomic.Int64) {
	got = new(atomic.Int64)
	mark := []byte("xxxx\n")
	for range clients {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
		go func() {
			for r := bufio.NewReader(c); ; {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if bytes.HasSuffix(line, mark) {
					got.Add(1)
				}
			}
		}()
	}
	return got
}

func BenchmarkFanOut(b *testing.B) {
	for name, start := range peers() {
		for rounds, label := range map[int]string{1: "one round", 8: "eight rounds in flight"} {
			b.Run(name+"/"+label, func(b *testing.B) {
				p := start()
				s := httptest.NewServer(p.handler)
				b.Cleanup(s.CloseClientConnections)
				got := connect(b, s.Listener.Addr().String(), p.path)
				warm(b, p, got)
				before := cpu()
				for b.Loop() {
					want := got.Load() + int64(rounds)*clients
					for range rounds {
						p.publish()
					}
					await(b, got, want)
				}
				events := float64(b.N) * float64(rounds) * clients
				b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(float64(cpu()-before)/events, "cpu-ns/event")
			})
		}
	}
}

// warm publishes until all clients get every event.
func warm(b *testing.B, p peer, got *atomic.Int64) {
	for deadline := time.Now().Add(30 * time.Second); ; {
		before := got.Load()
		p.publish()
		time.Sleep(200 * time.Millisecond)
		if got.Load() == before+clients {
			return
		}
		if time.Now().After(deadline) {
			b.Fatal("the clients do not get all events")
		}
	}
}

func await(b *testing.B, got *atomic.Int64, want int64) {
	for deadline := time.Now().Add(30 * time.Second); got.Load() < want; time.Sleep(50 * time.Microsecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%d events of %d", got.Load(), want)
		}
	}
}

// cpu is the time this process has used, clients included.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
