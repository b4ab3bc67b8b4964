package websocket

import (
	"context"
	"errors"

	"github.com/chanws/websocket/codec"
)

// An Event is one event of an event stream: its Type, ID and Data (WHATWG HTML,
// section 9.2).
type Event = codec.Event

// An EventFieldError is returned for an event whose Type or ID can not go over
// the wire, or whose ID could not come back as Last-Event-ID. Nothing was queued.
type EventFieldError = codec.EventFieldError

// An EventSizeError names both the size of an event and the limit it is over: the
// queue's when sending, MaxEventSize when receiving. It matches
// [ErrMessageTooBig].
type EventSizeError = codec.EventSizeError

// A PreparedEvent is an event encoded once, to be sent to many. It may be used by
// any number of goroutines.
type PreparedEvent struct{ block []byte }

var errNilEvent = errors.New("websocket: nil PreparedEvent")

// PrepareEvent encodes e for [EventSource.SendPrepared]. The error is an
// [*EventFieldError].
func PrepareEvent(e Event) (*PreparedEvent, error) {
	block, err := codec.AppendEvent(nil, e)
	if err != nil {
		return nil, err
	}
	return &PreparedEvent{block: block}, nil
}

// contextError is what a call that was given ctx must return at once.
func contextError(ctx context.Context) error {
	if ctx == nil {
		return ErrNilContext
	}
	return ctx.Err()
}
