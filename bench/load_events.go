package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Where streams are, and where to post what they are to get. The query is what
// one of the libraries finds the stream by.
const (
	eventsPath  = "/events?stream=" + eventsName
	eventsName  = "bench"
	publishPath = "/publish"
)

// probeText is what is sent until every stream is there: libraries answer a
// request before or after they have listed it.
const probeText = "probe"

// eventTexts are a few different ones, so that a late event is not taken for the
// one that is due.
func eventTexts(size int) []string {
	texts := make([]string, 4)
	for i := range texts {
		texts[i] = base64.StdEncoding.EncodeToString(randomBytes(size, uint64(i)))[:size]
	}
	return texts
}

// loadEvents posts events that all streams are to get.
func loadEvents(p *process, s *scenario, t *target, dur time.Duration) (values, error) {
	deadline := time.Now().Add(s.lifetime(dur))
	streams, err := t.subscribeAll(s.Conns, deadline)
	if err != nil {
		return nil, err
	}
	defer closeAll(streams)
	post, err := t.poster(deadline)
	if err != nil {
		return nil, err
	}
	defer post.Close()
	f := &fanOut{
		rounds: &rounds{conns: int64(s.Conns), done: make(chan struct{}, roundRing)},
		texts:  eventTexts(s.Size),
		ready:  make(chan struct{}),
		ended:  make(chan struct{}),
		load:   newLoad(s.Conns),
		next:   make([]int, s.Conns),
	}
	readers := make([]*eventReader, s.Conns)
	f.goEach(func(i int, w *worker) error {
		if readers[i] == nil {
			readers[i] = newEventReader(streams[i])
		}
		return f.receive(readers[i], i, w)
	})
	f.wg.Go(func() {
		if err := f.publish(post, s.Depth); err != nil {
			f.fail(err)
		}
	})
	f.interrupt = func() {
		close(f.ended)
		for _, c := range append(streams, link{Conn: post}) {
			_ = c.SetReadDeadline(time.Now())
		}
	}
	return f.measure(p, dur)
}

// A fanOut is events on their way to all.
type fanOut struct {
	*load
	*rounds
	texts []string
	ready chan struct{} // closed when all have got a probe
	ended chan struct{}
	here  atomic.Int64
	next  []int // of each stream: how many it has got, 0 before the first probe
}

// receive takes one event of stream i.
func (f *fanOut) receive(r *eventReader, i int, w *worker) error {
	data, err := r.next()
	if err != nil {
		return err
	}
	if data == probeText && f.next[i] <= 1 {
		if f.next[i] == 0 {
			f.next[i] = 1
			if f.here.Add(1) == f.conns {
				close(f.ready)
			}
		}
		return nil
	}
	round := f.next[i] - 1
	if round < 0 || data != f.texts[round%len(f.texts)] {
		return fmt.Errorf("event %d is not what was posted", round)
	}
	f.next[i]++
	took, complete := f.deliver(round)
	if complete && w.measuring.Load() {
		w.times.add(took)
	}
	w.n.Add(1)
	return nil
}

// publish posts probes until all are there, and then keeps a number of events in
// flight.
func (f *fanOut) publish(p *poster, inFlight int) error {
	for ready := false; !ready; {
		if err := p.post(probeText); err != nil {
			return err
		}
		select {
		case <-f.ready:
			ready = true
		case <-f.ended:
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
	for range inFlight {
		f.done <- struct{}{}
	}
	for round := 0; ; round++ {
		select {
		case <-f.done:
		case <-f.ended:
			return nil
		}
		f.started[round%roundRing].Store(time.Now().UnixNano())
		if err := p.post(f.texts[round%len(f.texts)]); err != nil {
			return err
		}
	}
}

// subscribeAll asks for n streams, some at a time. Answers are read later: some
// libraries give them with the first event.
func (t *target) subscribeAll(n int, deadline time.Time) ([]link, error) {
	plain := *t
	plain.tcp = true // no handshake
	streams, err := plain.dialAll(n, deadline)
	if err != nil {
		return nil, err
	}
	for _, c := range streams {
		_, err := io.WriteString(c, "GET "+eventsPath+" HTTP/1.1\r\nHost: "+t.addr+"\r\nAccept: text/event-stream\r\n\r\n")
		if err != nil {
			closeAll(streams)
			return nil, err
		}
	}
	return streams, nil
}

// An eventReader reads an event stream (WHATWG HTML, section 9.2.6) and no more of
// it than a check takes.
type eventReader struct {
	conn  *bufio.Reader
	lines *bufio.Reader // of the body; nil until the answer was read
}

func newEventReader(c net.Conn) *eventReader { return &eventReader{conn: bufio.NewReader(c)} }

// open reads the answer. The body comes in chunks, whose borders mean nothing.
func (r *eventReader) open() error {
	response, err := http.ReadResponse(r.conn, nil)
	if err != nil {
		return err
	}
	mediaType, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	if response.StatusCode != http.StatusOK || mediaType != "text/event-stream" {
		return fmt.Errorf("answer %s, %s", response.Status, mediaType)
	}
	r.lines = bufio.NewReader(response.Body)
	return nil
}

// next gives the data of the next event that has any.
func (r *eventReader) next() (string, error) {
	if r.lines == nil {
		if err := r.open(); err != nil {
			return "", err
		}
	}
	data := ""
	for {
		line, err := r.lines.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		name, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(":"))
		switch {
		case len(line) == 1 && data != "":
			return data, nil
		case string(name) == "event":
			return "", errors.New("an event with a type")
		case string(name) == "data" && data != "":
			return "", errors.New("an event of two lines")
		case string(name) == "data":
			data = string(bytes.TrimPrefix(value, []byte(" ")))
		}
	}
}

// A poster posts over one connection, one after the other.
type poster struct {
	net.Conn
	answers *bufio.Reader
	host    string
}

func (t *target) poster(deadline time.Time) (*poster, error) {
	plain := *t
	plain.tcp = true
	c, _, err := plain.dial(0, deadline)
	if err != nil {
		return nil, err
	}
	return &poster{c, bufio.NewReader(c), t.addr}, nil
}

// post returns when the server has taken the event, which may be before or after it
// went out.
func (p *poster) post(text string) error {
	_, err := fmt.Fprintf(p, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", publishPath, p.host, len(text), text)
	if err != nil {
		return err
	}
	response, err := http.ReadResponse(p.answers, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusNoContent {
		return fmt.Errorf("posting: %s", response.Status)
	}
	return nil
}
