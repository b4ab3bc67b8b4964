package main

import (
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/chanws/websocket"
	r3labs "github.com/r3labs/sse/v2"
	tmaxmax "github.com/tmaxmax/go-sse"
)

var tmaxmaxPeer = &peer{
	name: "tmaxmax", module: "github.com/tmaxmax/go-sse",
	about: "EventSource only: its Server as the handler, with Joe, the provider it comes with and advises, without a replayer; " +
		"Publish of a Message, which Joe encodes and writes for one stream after the other",
	events: serveTmaxmax,
}

var r3labsPeer = &peer{
	name: "r3labs", module: "github.com/r3labs/sse/v2",
	about: "EventSource only: its Server as the handler, one stream for all without AutoReplay, which would keep every event; " +
		"Publish, which queues for each client's goroutine",
	events: serveR3labs,
}

// serveEvents runs net/http with the streams and with what is posted for them.
func (j *serverJob) serveEvents(streams http.Handler, publish func(data []byte) error) error {
	mux := http.NewServeMux()
	mux.Handle("GET /events", streams)
	mux.HandleFunc("POST "+publishPath, func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err == nil {
			err = publish(data)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return j.serveHTTP(mux.ServeHTTP)
}

// serveOursEvents encodes an event once and queues it. TrySendPrepared never waits;
// whoever has not read the last 256 is dropped.
func serveOursEvents(j *serverJob) error {
	var all hub[*websocket.EventSource]
	streams := websocket.EventSourceHandler(func(es *websocket.EventSource) {
		all.add(es)
		<-es.Closed()
	}, nil)
	return j.serveEvents(streams, func(data []byte) error {
		e, err := websocket.PrepareEvent(websocket.Event{Data: string(data)})
		if err != nil {
			return err
		}
		all.each(func(es *websocket.EventSource) {
			if es.TrySendPrepared(e) != nil {
				es.Abort()
			}
		})
		return nil
	})
}

func serveTmaxmax(j *serverJob) error {
	s := &tmaxmax.Server{}
	return j.serveEvents(s, func(data []byte) error {
		m := &tmaxmax.Message{}
		m.AppendData(string(data))
		return s.Publish(m)
	})
}

func serveR3labs(j *serverJob) error {
	s := r3labs.New()
	s.AutoReplay = false
	s.CreateStream(eventsName)
	return j.serveEvents(s, func(data []byte) error {
		s.Publish(eventsName, &r3labs.Event{Data: data})
		return nil
	})
}

// serveRawEvents takes the connections from net/http and writes to one after the
// other: one write of one chunk each.
func serveRawEvents(j *serverJob) error {
	var all hub[net.Conn]
	streams := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
		all.add(c)
	})
	return j.serveEvents(streams, func(data []byte) error {
		event := "data: " + string(data) + "\n\n"
		chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", len(event), event)
		all.each(func(c net.Conn) { _, _ = c.Write(chunk) })
		return nil
	})
}
