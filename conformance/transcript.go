package conformance

import (
	"encoding/hex"
	"fmt"
	"net"
	"sync"
	"time"
)

// Direction tells whose bytes a transcript entry holds.
type Direction string

// The directions. A remark holds no bytes: it is the suite speaking.
const (
	Sent     Direction = "sent"
	Received Direction = "received"
	Remark   Direction = "remark"
)

// Entry is one line of a transcript.
type Entry struct {
	At        time.Duration `json:"at"`
	Direction Direction     `json:"direction"`
	Length    int           `json:"length,omitempty"` // bytes in all, of which Hex shows the first
	Hex       string        `json:"hex,omitempty"`
	Text      string        `json:"text,omitempty"`
}

// The bounds of a transcript: what is beyond them is counted, not kept.
const (
	mostEntries    = 96
	mostEntryBytes = 160
)

// transcript records what passed on one connection.
type transcript struct {
	mu      sync.Mutex
	start   time.Time
	entries []Entry
	dropped int
}

func newTranscript() *transcript { return &transcript{start: time.Now()} }

func (t *transcript) bytes(d Direction, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries) >= mostEntries {
		t.dropped++
		return
	}
	shown := b[:min(len(b), mostEntryBytes)]
	t.entries = append(t.entries, Entry{
		At: time.Since(t.start), Direction: d, Length: len(b), Hex: hex.EncodeToString(shown),
	})
}

func (t *transcript) remark(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries) >= mostEntries+8 {
		t.dropped++
		return
	}
	t.entries = append(t.entries, Entry{
		At: time.Since(t.start), Direction: Remark, Text: fmt.Sprintf(format, args...),
	})
}

// list returns the entries, with a last line for those that were not kept.
func (t *transcript) list() []Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := append([]Entry(nil), t.entries...)
	if t.dropped > 0 {
		list = append(list, Entry{
			At: time.Since(t.start), Direction: Remark,
			Text: fmt.Sprintf("%d more entries not kept", t.dropped),
		})
	}
	return list
}

// recordingConn writes what passes to a transcript.
type recordingConn struct {
	net.Conn
	log *transcript
}

func (c recordingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.log.bytes(Received, b[:n])
	}
	return n, err
}

func (c recordingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.log.bytes(Sent, b[:n])
	}
	return n, err
}
