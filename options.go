package websocket

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
	"weak"

	"github.com/chanws/websocket/codec"
)

// Defaults of the options that [AcceptOptions] and [DialOptions] share.
const (
	DefaultMaxMessageSize   = codec.DefaultMaxMessageSize // 2^26-1 bytes
	DefaultQueueMessages    = 256
	DefaultQueueBytes       = 1 << 20
	DefaultReceiveMessages  = 12 // more would take more of an idle connection
	DefaultReceiveBytes     = 4 << 20
	DefaultCloseTimeout     = 30 * time.Second
	DefaultHandshakeTimeout = 30 * time.Second
)

// A Trace is told of pings and pongs. Its functions are called by the goroutines
// of the connection: they must not block, nor keep the payload. Any may be nil.
type Trace struct {
	PingReceived func(payload []byte) // the pong goes out by itself
	PongReceived func(payload []byte)
	PingSent     func(payload []byte) // by Ping or for PingInterval; queued, to be exact
	PongSent     func(payload []byte) // by Pong or in answer to a ping; queued, to be exact
}

// settings are the options that a connection has, whichever side opened it, with
// defaults in place.
type settings struct {
	role            codec.Role
	maxMessageSize  int64
	fragments       bool
	queueRoom       room
	receiveMessages int
	receiveBytes    int
	receiveShare    int // of a message, where all have the same
	pingInterval    time.Duration
	pongTimeout     time.Duration
	closeTimeout    time.Duration
	writeTimeout    time.Duration
	context         context.Context
	logger          *slog.Logger
	trace           *Trace
}

func (s *settings) setDefaults() {
	s.queueRoom.messages = positive(s.queueRoom.messages, DefaultQueueMessages)
	s.queueRoom.bytes = positive(s.queueRoom.bytes, DefaultQueueBytes)
	s.receiveMessages = positive(s.receiveMessages, DefaultReceiveMessages)
	s.receiveBytes = positive(s.receiveBytes, DefaultReceiveBytes)
	s.receiveShare = s.receiveBytes / s.receiveMessages
	s.closeTimeout = positive(s.closeTimeout, DefaultCloseTimeout)
	s.pongTimeout = positive(s.pongTimeout, s.pingInterval)
}

// lastSettings are those of the connection made last, a weak.Pointer[settings]: what they
// refer to is not to outlive the connections.
var lastSettings atomic.Value

// shared returns the settings in memory that other connections with the same may use
// too, as those of a server do.
func (s settings) shared() *settings {
	if s.context != nil {
		return s.kept() // which may not be comparable
	}
	if last, ok := lastSettings.Load().(weak.Pointer[settings]); ok {
		if shared := last.Value(); shared != nil && *shared == s {
			return shared
		}
	}
	kept := s.kept()
	lastSettings.Store(weak.Make(kept))
	return kept
}

func (s settings) kept() *settings { return &s }

// positive gives value, or instead where value is not above zero.
func positive[T int | time.Duration](value, instead T) T {
	if value > 0 {
		return value
	}
	return instead
}
