package websocket

import (
	"fmt"
	"time"
)

// writeLoop is the only user of the ResponseWriter.
func (es *EventSource) writeLoop() {
	defer es.finish()
	var silent <-chan time.Time
	ping := time.NewTimer(time.Hour)
	defer ping.Stop()
	if es.opts.PingInterval > 0 {
		silent = ping.C
	}
	for {
		ping.Reset(es.opts.PingInterval)
		select {
		case <-es.wake:
		case <-silent:
			es.enqueue(eventBlock{bytes: pingBlock})
		}
		for batch := es.next(); batch != nil; batch = es.next() {
			es.wrote(es.write(batch))
		}
		if es.State() == StateClosed {
			return
		}
	}
}

// next takes all that is queued, if the stream may still write. A stream that is
// closing and has nothing left to write ends here.
func (es *EventSource) next() []byte {
	es.mu.Lock()
	defer es.mu.Unlock()
	es.alive()
	switch {
	case es.state == StateClosed:
		return nil
	case es.queue.buf != nil:
		es.writing = true
		es.rc.SetWriteDeadline(time.Now().Add(es.opts.WriteTimeout))
		return es.queue.take()
	case es.state == StateClosing:
		es.endLocked(CloseEvent{Code: StatusNormalClosure, Clean: true})
	}
	return nil
}

// wrote settles the write of what next gave.
func (es *EventSource) wrote(err error) {
	es.mu.Lock()
	defer es.mu.Unlock()
	es.writing = false
	if err == nil {
		es.queue.wrote()
	} else {
		es.endLocked(CloseEvent{Code: StatusAbnormalClosure, Err: err})
	}
	if es.state != StateClosed {
		es.rc.SetWriteDeadline(time.Time{})
	}
}

// write is one write and one flush. The ResponseWriter of a handler that has
// returned may panic.
func (es *EventSource) write(b []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("websocket: writing the event stream: panic: %v", v)
		}
	}()
	if _, err = es.w.Write(b); err == nil {
		err = es.rc.Flush()
	}
	if err != nil {
		err = fmt.Errorf("websocket: writing the event stream: %w", err)
	}
	return err
}

func (es *EventSource) finish() {
	es.mu.Lock()
	ev := es.end
	for _, stop := range es.stops {
		stop()
	}
	close(es.errs)
	es.mu.Unlock()
	es.closed <- ev
	close(es.closed)
	close(es.done)
}
