package websocket

import (
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

func BenchmarkIdle(b *testing.B) {
	const conns = 2000
	for _, form := range []string{"range", "select"} {
		b.Run(form, func(b *testing.B) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := Accept(w, r, nil)
				if err != nil {
					return
				}
				if form == "range" {
					go echo(c)
					return
				}
				go func() {
					tick := time.NewTicker(time.Hour)
					defer tick.Stop()
					for {
						select {
						case m, ok := <-c.Messages():
							if !ok {
								return
							}
							c.TrySend(m)
							m.Release()
						case <-c.Closed():
							return
						case <-tick.C:
						}
					}
				}()
			}))
			defer server.Close()
			clients := make([]*rawClient, conns)
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			g := runtime.NumGoroutine()
			for i := range clients {
				clients[i] = newRawClient(b, server.Listener.Addr().String(), 125, 1)
				buf := make([]byte, 200)
				clients[i].round(buf)
				clients[i].frames, clients[i].replies, clients[i].failed = nil, nil, nil
			}
			for range 5 {
				runtime.GC()
				time.Sleep(100 * time.Millisecond)
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/conns, "heap/conn")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/conns, "heapalloc/conn")
			b.ReportMetric(float64(after.StackInuse-before.StackInuse)/conns, "stack/conn")
			b.ReportMetric(float64(runtime.NumGoroutine()-g)/conns, "goroutines/conn")
			if f := os.Getenv("HEAP"); f != "" {
				w, _ := os.Create(f)
				pprof.Lookup("heap").WriteTo(w, 0)
				w.Close()
			}
			for _, c := range clients {
				c.Close()
			}
		})
	}
}
