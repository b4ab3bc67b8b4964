package codec

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// A parsed is all that can be seen of a stream from outside.
type parsed struct {
	events   []Event
	last     string
	retry    time.Duration
	hasRetry bool
	tooBig   bool
}

func parse(limit int, pieces ...[]byte) parsed {
	p := &EventParser{MaxEventSize: limit}
	var got parsed
	for _, piece := range pieces {
		own := bytes.Clone(piece)
		p.Feed(own)
		for {
			ev, err := p.Next()
			if err != nil {
				got.tooBig = errors.Is(err, ErrMessageTooBig)
				break
			}
			got.events = append(got.events, ev)
		}
		for i := range own {
			own[i] = '!' // the piece is the caller's again
		}
		if got.tooBig {
			break
		}
	}
	got.last = p.LastEventID()
	got.retry, got.hasRetry = p.Retry()
	return got
}

func (a parsed) equal(b parsed) bool {
	return slices.Equal(a.events, b.events) && a.last == b.last &&
		a.retry == b.retry && a.hasRetry == b.hasRetry && a.tooBig == b.tooBig
}

func split(b []byte, size int) [][]byte { return slices.Collect(slices.Chunk(b, size)) }

func TestEventStreamVectors(t *testing.T) {
	if len(streamVectors) < 80 {
		t.Fatalf("%d vectors, want 80 at least", len(streamVectors))
	}
	for _, v := range streamVectors {
		t.Run(v.name, func(t *testing.T) {
			in := []byte(v.in)
			want := parsed{events: v.want, last: v.last, retry: v.retry, hasRetry: v.retry > 0 || v.zero}
			check := func(how string, got parsed) {
				t.Helper()
				if !got.equal(want) {
					t.Errorf("%s:\n got %+q\nwant %+q", how, fmt.Sprint(got), fmt.Sprint(want))
				}
			}
			check("in one piece", parse(0, in))
			for i := range in {
				check(fmt.Sprintf("cut at %d", i), parse(0, in[:i], in[i:]))
				check(fmt.Sprintf("cut at %d, and an empty read", i), parse(0, in[:i], nil, in[i:]))
			}
			for _, size := range []int{1, 2, 3, 5, 7} {
				check(fmt.Sprintf("by %d", size), parse(0, split(in, size)...))
			}
		})
	}
}

func TestEventParserFeedBeforeTheEnd(t *testing.T) {
	var p EventParser
	p.Feed([]byte("data: a\n\ndata: b\n"))
	if ev, err := p.Next(); err != nil || ev.Data != "a" {
		t.Fatal(ev, err)
	}
	p.Feed([]byte("\n"))
	if ev, err := p.Next(); err != nil || ev.Data != "b" {
		t.Fatal(ev, err)
	}
}

func TestEventParserSetLastEventID(t *testing.T) {
	var p EventParser
	p.SetLastEventID("41")
	p.Feed([]byte("data: a\n\nid: 42\n"))
	if ev, err := p.Next(); err != nil || ev.ID != "41" {
		t.Fatal(ev, err)
	}
	if _, err := p.Next(); err != ErrNeedMore {
		t.Fatal(err)
	}
	if got := p.LastEventID(); got != "41" {
		t.Errorf("last event ID %q before the blank line, want 41", got)
	}
}

func TestEventSizeLimit(t *testing.T) {
	const limit = 100
	ok := "data: " + strings.Repeat("x", limit-6) + "\n\n"
	tests := map[string]struct {
		in  string
		big bool
	}{
		"at the limit":          {ok + ok, false},
		"one byte over":         {"data: " + strings.Repeat("x", limit-5) + "\n\n", true},
		"over in many lines":    {strings.Repeat("data: x\n", 15) + "\n", true},
		"over in empty lines":   {strings.Repeat("data\n", 26) + "\n", true},
		"over in ids":           {strings.Repeat("id: 1\n", 21) + "\n", true},
		"a line without end":    {"data: " + strings.Repeat("x", limit), true},
		"comments do not count": {strings.Repeat(": "+long+"\n", 10) + ok, false},
		"nor unknown fields":    {strings.Repeat("datum: "+long+"\n", 10) + ok, false},
		"a comment without end": {":" + strings.Repeat("x", 10*limit), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := []byte("id: 5\ndata: before\n\n" + test.in)
			for _, size := range []int{1, 3, 64, len(in)} {
				got := parse(limit, split(in, size)...)
				if got.tooBig != test.big || len(got.events) == 0 || got.last != "5" {
					t.Errorf("by %d: %+v", size, got)
				}
			}
		})
	}
	p := EventParser{MaxEventSize: limit}
	p.Feed([]byte("data: " + strings.Repeat("x", limit)))
	_, err := p.Next()
	var big *EventSizeError
	if !errors.As(err, &big) || big.Size != limit+6 || big.Limit != limit || !errors.Is(err, ErrMessageTooBig) {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(err.Error(), "106") || !strings.Contains(err.Error(), "100") {
		t.Errorf("%q does not name both sizes", err)
	}
	p.Feed([]byte("\n\n"))
	if _, again := p.Next(); again != err {
		t.Errorf("afterwards %v", again)
	}
}

// What is longer could not come back in the head of a request.
func TestEventIDSizeLimit(t *testing.T) {
	longest := strings.Repeat("i", MaxEventIDSize)
	wide := strings.Repeat(rep, MaxEventIDSize/len(rep))
	tests := map[string]struct{ id, want string }{
		"at the limit":                        {longest, longest},
		"one byte over":                       {longest + "i", "1"},
		"at the limit with U+FFFD in it":      {strings.Repeat("\xFF", MaxEventIDSize/len(rep)), wide},
		"over it with U+FFFD in it":           {strings.Repeat("\xFF", MaxEventIDSize/len(rep)+1), "1"},
		"over it after one in the same block": {"2\nid: " + longest + "i", "2"},
	}
	for name, test := range tests {
		in := []byte("id: 1\n\nid: " + test.id + "\ndata: a\n\ndata: b\n\n")
		want := parsed{events: []Event{idMsg("a", test.want), idMsg("b", test.want)}, last: test.want}
		for _, size := range []int{7, len(in)} {
			if got := parse(0, split(in, size)...); !got.equal(want) {
				t.Errorf("%s, by %d: the id is %.20q of %d bytes", name, size, got.last, len(got.last))
			}
		}
	}
	var field *EventFieldError
	if _, err := AppendEvent(nil, Event{ID: longest + "i"}); !errors.As(err, &field) || field.Field != "ID" {
		t.Errorf("AppendEvent: %v", err)
	}
}

// An id is looked at when it comes, and not for each of the lines and events after
// it: there may be millions, of a byte or six each.
func TestEventParserIDCostsOnce(t *testing.T) {
	largest := strings.Repeat("i", MaxEventIDSize)
	work := func(id string, tail []byte) (took time.Duration, allocated uint64) {
		var p EventParser
		p.Feed([]byte("id: " + id + "\n\n"))
		p.Next()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		p.Feed(tail)
		for {
			if _, err := p.Next(); err != nil {
				break
			}
		}
		took = time.Since(start)
		runtime.ReadMemStats(&after)
		if got := p.LastEventID(); got != id {
			t.Fatalf("the id is %.20q", got)
		}
		return took, after.TotalAlloc - before.TotalAlloc
	}
	for name, tail := range map[string]string{"blank lines": strings.Repeat("\n", 1<<18), "events": strings.Repeat("data\n\n", 1<<15)} {
		var ratio float64
		for range 5 {
			small, _ := work("i", []byte(tail))
			large, allocated := work(largest, []byte(tail))
			if allocated > 1<<20 {
				t.Errorf("%s: %d bytes allocated", name, allocated)
				break
			}
			if ratio = float64(large) / float64(small); ratio < 3 {
				break
			}
		}
		if ratio >= 3 {
			t.Errorf("%s: after a large id they took %.0f times as long as after a small one", name, ratio)
		}
	}
}

// Memory grows with what an event holds, not with what is skipped.
func TestEventParserKeepsNothingUseless(t *testing.T) {
	var p EventParser
	junk := bytes.Repeat([]byte("x"), 1000)
	for _, start := range []string{":", "unknown-field: ", "\n"} {
		p.Feed([]byte(start))
		p.Next()
		for range 1000 {
			p.Feed(junk)
			if _, err := p.Next(); err != ErrNeedMore {
				t.Fatal(err)
			}
		}
		if cap(p.line)+cap(p.data) > 4096 {
			t.Errorf("after %q: %d bytes kept", start, cap(p.line)+cap(p.data))
		}
		p.Feed([]byte("\n"))
		p.Next()
	}
	p.Feed([]byte("data: " + strings.Repeat("x", 1<<19)))
	p.Next()
	p.Feed([]byte("\n\ndata: y\n\n"))
	for range 2 {
		if _, err := p.Next(); err != nil {
			t.Fatal(err)
		}
	}
	p.Next()
	if kept := p.kept(); kept > keepBuffer {
		t.Errorf("a small event later %d bytes are kept of a large one", kept)
	}
	for _, field := range []string{"event: ", "id: ", "data: "} {
		p.Feed([]byte(field + strings.Repeat("\xFF", 1<<19) + "\ndata\n\ndata: z\n\n"))
		for range 2 {
			if _, err := p.Next(); err != nil {
				t.Fatal(err)
			}
		}
		p.Next()
		if kept := p.kept(); kept > keepBuffer {
			t.Errorf("after a large %q and a small event %d bytes are kept", field, kept)
		}
	}
}

func (p *EventParser) kept() int {
	return cap(p.line) + cap(p.data) + cap(p.typ) + cap(p.id) + cap(p.last) + cap(p.repair) + len(p.typeStr) + len(p.lastStr)
}

// wantLinear fails the test if run takes much longer for all of n than for a sixteenth
// of it, sixteen times. What is quadratic takes sixteen times as long. Both last about
// the same, so that a busy machine does the same to both; and once is enough.
func wantLinear(t *testing.T, what string, n int, run func(n int)) {
	t.Helper()
	took := func(times, n int) time.Duration {
		start := time.Now()
		for range times {
			run(n)
		}
		return time.Since(start)
	}
	var ratio float64
	for range 5 {
		parts, whole := took(16, n/16), took(1, n)
		if ratio = float64(whole) / float64(parts); ratio < 6 {
			return
		}
	}
	t.Errorf("%s: it took %.0f times as long as in sixteen parts", what, ratio)
}

// A byte at a time costs the same for each byte: no rescanning.
func TestEventParserLinear(t *testing.T) {
	wantLinear(t, "a byte at a time", 1<<17, func(n int) {
		in := []byte("data: " + strings.Repeat("x", n))
		var p EventParser
		for i := range in {
			p.Feed(in[i : i+1])
			p.Next()
		}
	})
}

// Many short lines in one large piece, with one kind of line end only: each is
// looked at once.
func TestEventParserLinearInOnePiece(t *testing.T) {
	for _, end := range []string{"\n", "\r", "\r\n"} {
		wantLinear(t, fmt.Sprintf("lines that end with %q", end), 1<<16, func(n int) {
			var p EventParser
			events := 0
			for p.Feed([]byte(strings.Repeat("data"+end+end, n))); ; events++ {
				if _, err := p.NextRaw(); err != nil {
					break
				}
			}
			if events != n {
				t.Fatalf("%d events of %d", events, n)
			}
		})
	}
}

func TestEventParserAllocs(t *testing.T) {
	in := []byte("event: tick\nid: 12345\ndata: one line of data\ndata: and another\n\n")
	var p EventParser
	next := func(raw bool) {
		p.Feed(in[:20])
		p.Next()
		p.Feed(in[20:])
		var err error
		if raw {
			_, err = p.NextRaw()
		} else {
			_, err = p.Next()
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Next()
	}
	if n := testing.AllocsPerRun(1000, func() { next(false) }); n > 1 {
		t.Errorf("Next: %v allocations an event, want 1", n)
	}
	if n := testing.AllocsPerRun(1000, func() { next(true) }); n > 0 {
		t.Errorf("NextRaw: %v allocations an event, want 0", n)
	}
}

func TestAppendEvent(t *testing.T) {
	tests := []struct {
		ev   Event
		want string
	}{
		{Event{}, "data: \n\n"},
		{Event{Data: "a"}, "data: a\n\n"},
		{Event{Data: " a "}, "data:  a \n\n"},
		{Event{Type: "message", Data: "a"}, "data: a\n\n"},
		{Event{Type: "add", ID: "7", Data: "a"}, "event: add\nid: 7\ndata: a\n\n"},
		{Event{ClearID: true, Data: "a"}, "id:\ndata: a\n\n"},
		{Event{Data: "a\nb\rc\r\nd"}, "data: a\ndata: b\ndata: c\ndata: d\n\n"},
		{Event{Data: "\r\n\n\r\r\n"}, "data: \ndata: \ndata: \ndata: \ndata: \n\n"},
		{Event{Data: "a\r"}, "data: a\ndata: \n\n"},
		{Event{Data: "a\n"}, "data: a\ndata: \n\n"},
		{Event{Data: ": x\nid: 3\n\nevent: y"}, "data: : x\ndata: id: 3\ndata: \ndata: event: y\n\n"},
		{Event{Data: "\x00\xFF"}, "data: \x00\xFF\n\n"},
		{Event{Type: " x ", ID: "y\tz…", Data: ""}, "event:  x \nid: y\tz…\ndata: \n\n"},
	}
	for _, test := range tests {
		got, err := AppendEvent([]byte("before"), test.ev)
		if err != nil || string(got) != "before"+test.want {
			t.Errorf("%+v: %q, %v", test.ev, got, err)
		}
		if size := EventSize(test.ev); size != len(test.want) {
			t.Errorf("%+v: EventSize says %d, not %d", test.ev, size, len(test.want))
		}
	}
}

func TestAppendEventRefuses(t *testing.T) {
	tests := []struct {
		ev    Event
		field string
	}{
		{Event{Type: "a\nb"}, "Type"}, {Event{Type: "a\r"}, "Type"}, {Event{Type: "\x00"}, "Type"}, {Event{Type: "\xFF"}, "Type"},
		{Event{ID: "a\nb"}, "ID"}, {Event{ID: "\r"}, "ID"}, {Event{ID: "a\x00"}, "ID"}, {Event{ID: "\xC3"}, "ID"},
		{Event{ID: "1", ClearID: true}, "ClearID"},
		// What no Last-Event-ID can say.
		{Event{ID: " a"}, "ID"}, {Event{ID: "a "}, "ID"}, {Event{ID: "\t"}, "ID"}, {Event{ID: "a\x01b"}, "ID"}, {Event{ID: "\x7f"}, "ID"},
	}
	for _, test := range tests {
		got, err := AppendEvent([]byte("before"), test.ev)
		var field *EventFieldError
		if !errors.As(err, &field) || field.Field != test.field || string(got) != "before" {
			t.Errorf("%+v: %q, %v", test.ev, got, err)
		}
	}
}

func TestAppendCommentAndRetry(t *testing.T) {
	for text, want := range map[string]string{
		"": ": \n\n", "x": ": x\n\n", "a\nb\r\nc": ": a\n: b\n: c\n\n", "\n\ndata: x\n\n": ": \n: \n: data: x\n: \n: \n\n",
	} {
		if got := AppendComment(nil, text); string(got) != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "retry: 0\n\n", time.Nanosecond: "retry: 1\n\n", 1500 * time.Microsecond: "retry: 2\n\n",
		5 * time.Second: "retry: 5000\n\n", 1<<63 - 1: "retry: 9223372036855\n\n",
	} {
		if got, err := AppendRetry(nil, d); err != nil || string(got) != want {
			t.Errorf("%v: %q, %v", d, got, err)
		}
	}
	if got, err := AppendRetry([]byte("x"), -1); err == nil || string(got) != "x" {
		t.Errorf("negative: %q, %v", got, err)
	}
}

func TestAppendEventAllocs(t *testing.T) {
	buf := make([]byte, 0, 1024)
	ev := Event{Type: "tick", ID: "12", Data: "one\ntwo"}
	if n := testing.AllocsPerRun(1000, func() { buf, _ = AppendEvent(buf[:0], ev) }); n > 0 {
		t.Errorf("%v allocations an event", n)
	}
}

// Any cutting of any stream gives the same, and no buffer is reused too early.
func FuzzEventParserChunks(f *testing.F) {
	for _, v := range streamVectors {
		f.Add([]byte(v.in), uint64(1), uint8(0))
	}
	f.Add([]byte("data: "+long+"\n\ndata: a\n\n"), uint64(7), uint8(40))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64, limit uint8) {
		want := parse(int(limit), in)
		if got := parse(int(limit), split(in, 1)...); len(in) > 0 && !got.equal(want) {
			t.Fatalf("by single bytes\n got %+v\nwant %+v", got, want)
		}
		var pieces [][]byte
		for rest := in; len(rest) > 0; {
			seed = seed*6364136223846793005 + 1442695040888963407
			n := min(len(rest), int(seed>>33)%17)
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		if got := parse(int(limit), pieces...); !got.equal(want) {
			t.Fatalf("cut as %q\n got %+v\nwant %+v", pieces, got, want)
		}
	})
}

// What AppendEvent writes is what EventParser reads, or is refused.
func FuzzEventRoundTrip(f *testing.F) {
	f.Add("tick", "1", "data", "comment", false)
	f.Add("", "", "a\r\nb\n\n\rc", "x\ny", true)
	f.Add("message", " 1 ", "\xFF\xE2\x82", "", false)
	f.Add(" x\t", "1\t2", "\x01", "", false)
	f.Fuzz(func(t *testing.T, typ, id, data, comment string, clearID bool) {
		sent := Event{Type: typ, ID: id, Data: data, ClearID: clearID}
		before := AppendComment(nil, comment)
		wire, err := AppendEvent(before, sent)
		refused := strings.ContainsAny(typ+id, "\r\n\x00") || clearID && id != "" ||
			len(id) > MaxEventIDSize || id != strings.Trim(id, " \t") ||
			strings.ContainsFunc(id, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) || typ != strings.ToValidUTF8(typ, "?") || id != strings.ToValidUTF8(id, "?")
		if (err != nil) != refused {
			t.Fatalf("%+v: %v", sent, err)
		}
		if refused {
			return
		}
		if size := EventSize(sent); size != len(wire)-len(before) {
			t.Fatalf("%+v: EventSize says %d, not %d", sent, size, len(wire)-len(before))
		}
		lf := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data)
		want := Event{Type: typ, ID: id, Data: string(appendUTF8(nil, []byte(lf)))}
		if typ == "" {
			want.Type = "message"
		}
		if !clearID && id == "" {
			want.ID = "before"
		}
		var p EventParser
		p.SetLastEventID("before")
		p.Feed(wire)
		got, err := p.Next()
		if err != nil || got != want {
			t.Fatalf("sent %+v\n got %+v, %v\nwant %+v", sent, got, err, want)
		}
		if _, err := p.Next(); err != ErrNeedMore {
			t.Fatalf("more than one event: %v", err)
		}
	})
}
