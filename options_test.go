package websocket

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/chanws/websocket/codec"
	"github.com/chanws/websocket/negotiate"
)

// Every option gets to where it has its effect: none is forgotten on the way.
func TestOptionsArePassedOn(t *testing.T) {
	accept := &AcceptOptions{
		Subprotocols:            []string{"a"},
		SelectSubprotocol:       func(*http.Request, []string) string { return "" },
		OriginPatterns:          []string{"a.example"},
		InsecureSkipOriginCheck: true,
		Header:                  http.Header{"A": {"b"}},
		Extensions:              []negotiate.Extension{nil},
		AllowDrafts:             true,
		TrustForwarded:          true,
		MaxMessageSize:          1,
		Fragments:               true,
		QueueMessages:           2,
		QueueBytes:              3,
		ReceiveMessages:         4,
		ReceiveBytes:            5,
		PingInterval:            6,
		PongTimeout:             7,
		CloseTimeout:            8,
		WriteTimeout:            9,
		Context:                 context.Background(),
		Logger:                  slog.Default(),
		Trace:                   new(Trace),
	}
	wantNoZero(t, *accept.negotiation())
	want := settings{
		role: codec.Server, maxMessageSize: 1, fragments: true, queueRoom: room{2, 3}, receiveMessages: 4, receiveBytes: 5,
		pingInterval: 6, pongTimeout: 7, closeTimeout: 8, writeTimeout: 9, context: accept.Context, logger: accept.Logger, trace: accept.Trace,
	}
	if got := accept.settings(); got != want {
		t.Errorf("AcceptOptions: got %+v, want %+v", got, want)
	}
	dial := &DialOptions{
		MaxMessageSize: 1, Fragments: true, QueueMessages: 2, QueueBytes: 3, ReceiveMessages: 4, ReceiveBytes: 5,
		PingInterval: 6, PongTimeout: 7, CloseTimeout: 8, WriteTimeout: 9, Context: accept.Context, Logger: accept.Logger, Trace: accept.Trace,
	}
	want.role = codec.Client
	if got := dial.settings(); got != want {
		t.Errorf("DialOptions: got %+v, want %+v", got, want)
	}
	want.receiveShare = 1 // the rest of the settings are options
	wantNoZero(t, want)
}

// wantNoZero finds a value in each field.
func wantNoZero(t *testing.T, options any) {
	t.Helper()
	v := reflect.ValueOf(options)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%T has no %s", options, v.Type().Field(i).Name)
		}
	}
}

// The defaults are those in the comments.
func TestDefaults(t *testing.T) {
	var s settings
	s.pingInterval = time.Minute
	s.setDefaults()
	want := settings{
		queueRoom: room{256, 1 << 20}, receiveMessages: 12, receiveBytes: 4 << 20, receiveShare: 4 << 20 / 12,
		pingInterval: time.Minute, pongTimeout: time.Minute, closeTimeout: 30 * time.Second,
	}
	if s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
	if DefaultMaxMessageSize != 1<<26-1 || DefaultHandshakeTimeout != 30*time.Second || negotiate.DefaultMaxHeaderBytes != 64<<10 {
		t.Error("a default is not what the comments say")
	}
}
