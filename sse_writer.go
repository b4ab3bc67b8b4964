package websocket

import (
	"fmt"
	"os"
	"time"
)

// writeLoop is the only user of the ResponseWriter.
func (es *EventSource) writeLoop() {
	defer es.finish()
	var silent <-chan time.Time
	ping := time.NewTimer(es.opts.PingInterval)
	defer ping.Stop()
	if es.opts.PingInterval > 0 {
		silent = ping.C
	}
	for {
		select {
		case <-es.wake:
		case <-silent:
			left := es.opts.PingInterval - time.Since(es.since)
			if left <= 0 {
				es.enqueue(eventBlock{bytes: pingBlock})
				left = es.opts.PingInterval
			}
			ping.Reset(left)
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
		es.writing, es.since = true, time.Now()
		if es.opts.WriteTimeout > 0 {
			es.runDog(es.opts.WriteTimeout)
		}
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
}

// runDog has the write that goes on looked at after d. A deadline is only set
// once it has to interrupt something: two for each write cost as much as a tenth
// of the write, and a timer that is left to run costs nothing.
func (es *EventSource) runDog(d time.Duration) {
	switch {
	case es.dog == nil:
		es.dog = time.AfterFunc(d, es.checkWrite)
	case !es.dogRuns:
		es.dog.Reset(d)
	}
	es.dogRuns = true
}

// checkWrite gives up a client whose write takes longer than WriteTimeout.
func (es *EventSource) checkWrite() {
	es.mu.Lock()
	defer es.mu.Unlock()
	es.dogRuns = false
	if !es.writing || es.state == StateClosed {
		return
	}
	if left := es.opts.WriteTimeout - time.Since(es.since); left > 0 {
		es.runDog(left)
		return
	}
	es.endLocked(CloseEvent{Code: StatusAbnormalClosure, Err: fmt.Errorf(
		"websocket: writing the event stream: the client does not read: %w", os.ErrDeadlineExceeded)})
}

// write is one write and one flush. The ResponseWriter of a handler that has
// returned may panic. That it has is asked for between the two as well: there is
// nothing in net/http to keep it from returning, so all there is to do is to leave
// w alone as soon as it is known.
func (es *EventSource) write(b []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("websocket: writing the event stream: panic: %v", v)
		}
	}()
	_, err = es.w.Write(b)
	if err == nil && es.req.Context().Err() != nil {
		return errHandlerGone
	}
	if err == nil {
		err = es.rc.Flush()
	}
	if err != nil {
		err = fmt.Errorf("websocket: writing the event stream: %w", err)
	}
	return err
}

// interrupt makes the write that is going on fail.
func (es *EventSource) interrupt() {
	es.expired = true
	es.setWriteDeadline(time.Unix(1, 0)) // without effect only where there is no WriteTimeout
}

// setWriteDeadline is called by timers and by whoever ends the stream, when the
// handler may have returned: the ResponseWriter of HTTP/2 then has no stream any
// more, and panics.
func (es *EventSource) setWriteDeadline(t time.Time) {
	defer func() {
		if v := recover(); v != nil {
			es.report(fmt.Errorf("websocket: interrupting the event stream: panic: %v", v))
		}
	}()
	es.rc.SetWriteDeadline(t)
}

// limitEnd gives net/http a deadline for the end of the response, which it writes
// when the handler has returned, unless it has one that is over, or has returned.
func (es *EventSource) limitEnd() {
	if !es.expired && es.req.Context().Err() == nil {
		es.setWriteDeadline(es.opts.writeDeadline())
	}
}

func (es *EventSource) finish() {
	es.mu.Lock()
	ev := es.end
	if es.dog != nil {
		es.dog.Stop()
	}
	for _, stop := range es.stops {
		stop()
	}
	es.limitEnd()
	close(es.errs)
	es.mu.Unlock()
	es.closed <- ev
	close(es.closed)
	close(es.done)
}
