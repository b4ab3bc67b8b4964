package deflate

import (
	"runtime"
	"testing"

	"github.com/chanws/websocket/negotiate"
)

const connections = 1000

// heap returns the live bytes, without what the pools hold.
func heap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC() // pools let go at the second
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// perSession measures what a session holds after it has echoed messages.
func perSession(t *testing.T, o *Options, messages [][]byte) int64 {
	t.Helper()
	e := New(o)
	offers := parseList(t, Name)
	sessions := make([]negotiate.Session, connections)
	before := heap()
	for i := range sessions {
		_, s, _ := e.Server(offers)
		sessions[i] = s
		for _, data := range messages {
			out, bits, transformed, err := s.Outgoing(nil, message(data))
			if err != nil || !transformed {
				t.Fatal(err, transformed)
			}
			// It receives what it has sent: both directions begin without history.
			if _, _, err := s.Incoming(nil, negotiate.Message{Reserved: bits, Data: out}, big); err != nil {
				t.Fatal(err)
			}
		}
	}
	after := heap()
	runtime.KeepAlive(sessions)
	runtime.KeepAlive(messages)
	return (after - before) / connections
}

// TestIdleMemory holds idle sessions to what the package comment says they cost.
func TestIdleMemory(t *testing.T) {
	none := &Options{ServerNoContextTakeover: true, ClientNoContextTakeover: true}
	for _, c := range []struct {
		name     string
		options  *Options
		messages [][]byte
		most     int64
	}{
		{"never used", nil, nil, 256},
		{"1 KiB, takeover", nil, records(1, 1024), 2560},
		{"1 KiB, no takeover", none, records(1, 1024), 256},
		{"100 KiB, takeover", nil, records(5, 20<<10), 256 + 4<<10 + 32<<10},
		{"100 KiB, no takeover", none, records(5, 20<<10), 256},
	} {
		if got := perSession(t, c.options, c.messages); got > c.most && !raceEnabled { // which makes pools forget
			t.Errorf("%s: %d bytes a session, at most %d wanted", c.name, got, c.most)
		} else {
			t.Logf("%s: %d bytes a session", c.name, got)
		}
	}
}

// With the window that a server asks for and short messages, a session stays below 4 KiB
// for ever.
func TestIdleMemoryBrowser(t *testing.T) {
	p, _ := agree(t, nil, nil)
	for _, data := range records(100, 1024) {
		echo(t, p.client, p.server, data)
		echo(t, p.server, p.client, data)
	}
	if n := cap(p.server.in.history.bytes) + cap(p.server.out.history.bytes); n > 4<<10 {
		t.Errorf("%d bytes of history", n)
	}
}

func TestAllocations(t *testing.T) {
	for _, o := range []*Options{nil, {ServerNoContextTakeover: true}} {
		p, _ := agree(t, nil, o)
		messages := records(50, 1024)
		wire, got := make([]byte, 0, 2048), make([]byte, 0, 2048)
		i := 0
		n := testing.AllocsPerRun(500, func() {
			var bits negotiate.Reserved
			wire, bits, _, _ = p.server.Outgoing(wire[:0], message(messages[i%50]))
			got, _, _ = p.client.Incoming(got[:0], negotiate.Message{Reserved: bits, Data: wire}, big)
			i++
		})
		if n > 0 && !raceEnabled { // which makes pools forget
			t.Errorf("%v allocations a message", n)
		}
	}
}

// After Close a session holds nothing.
func TestClose(t *testing.T) {
	p, _ := agree(t, nil, nil)
	echo(t, p.client, p.server, records(1, 1024)[0])
	p.client.Close()
	p.server.Close()
	if p.client.out.history.bytes != nil || p.server.in.history.bytes != nil {
		t.Error("history was kept")
	}
}
