package negotiate

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestExtensionHeader(t *testing.T) {
	for _, row := range []struct {
		lines []string
		want  string // as written again; "!" if refused
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"a"}, "a"},
		{[]string{"a, b"}, "a, b"},
		{[]string{"a", "b"}, "a, b"},
		{[]string{" a\t,\tb "}, "a, b"},
		{[]string{", a,, b ,"}, "a, b"},
		{[]string{"a;x"}, "a; x"},
		{[]string{"a ; x ; y=1"}, "a; x; y=1"},
		{[]string{"a; x = 1"}, "a; x=1"},
		{[]string{"a; x=1; x=2"}, "a; x=1; x=2"},
		{[]string{"a; x, a; y"}, "a; x, a; y"},
		{[]string{`a; x="1"`}, "a; x=1"},
		{[]string{`a; x="1\2\3"; y`}, "a; x=123; y"},
		{[]string{`a; x="\1"`}, "a; x=1"},
		{[]string{"permessage-deflate; client_max_window_bits; server_max_window_bits=10"}, "permessage-deflate; client_max_window_bits; server_max_window_bits=10"},
		{[]string{"A!#$%&'*+-.^_`|~9"}, "A!#$%&'*+-.^_`|~9"},

		{[]string{";"}, "!"},
		{[]string{"a;"}, "!"},
		{[]string{"a; ,b"}, "!"},
		{[]string{"a b"}, "!"},
		{[]string{"a; x y"}, "!"},
		{[]string{"a; x="}, "!"},
		{[]string{"a; =1"}, "!"},
		{[]string{"a=1"}, "!"},
		{[]string{"a; x=1=2"}, "!"},
		{[]string{`a; x=""`}, "!"},
		{[]string{`a; x="1`}, "!"},
		{[]string{`a; x="`}, "!"},
		{[]string{`a; x="1\`}, "!"},
		{[]string{`a; x="1\"`}, "!"},
		{[]string{`a; x="1\""`}, "!"},
		{[]string{`a; x="1 2"`}, "!"},
		{[]string{`a; x="1,2"`}, "!"},
		{[]string{`a; x="1"2`}, "!"},
		{[]string{`a; x="1`, `2"`}, "!"},
		{[]string{`"a"`}, "!"},
		{[]string{"a\x00"}, "!"},
		{[]string{"a; x=\u00e9"}, "!"},
		{[]string{"a; x\r\n y"}, "!"},
	} {
		offers, err := ParseExtensions(row.lines)
		got := string(AppendExtensions(nil, offers))
		if err != nil {
			got = "!"
		}
		if got != row.want {
			t.Errorf("%q: %q, want %q", row.lines, got, row.want)
		}
		if (checkExtensions(row.lines) == nil) != (err == nil) {
			t.Errorf("%q: checkExtensions does not agree", row.lines)
		}
	}
}

func TestExtensionHeaderBounds(t *testing.T) {
	long := "a; x=" + strings.Repeat("1", MaxExtensionBytes-5)
	many := "a" + strings.Repeat(";x", MaxExtensionParams-1)
	for _, row := range []struct {
		lines []string
		ok    bool
	}{
		{[]string{long}, true},
		{[]string{long + "1"}, false},
		{[]string{long, "b"}, false},
		{[]string{many}, true},
		{[]string{many + ";x"}, false},
		{[]string{many, "a"}, false},
		{[]string{strings.Repeat("a,", MaxExtensionParams)}, true},
		{[]string{strings.Repeat("a,", MaxExtensionParams+1)}, false},
		{[]string{strings.Repeat(",", MaxExtensionBytes)}, true},
		{[]string{strings.Repeat(",", MaxExtensionBytes+1)}, false},
	} {
		if _, err := ParseExtensions(row.lines); (err == nil) != row.ok {
			t.Errorf("%.20q... of %d lines: %v", row.lines[0], len(row.lines), err)
		}
	}
}

// A fake is an extension that wraps payloads in its name and brackets, answers
// with the first offer and keeps a record of what is closed.
type fake struct {
	name    string
	bits    Reserved
	offers  [][]Param
	decline bool
	refuse  error
	answer  []Param
	seen    [][]Param
	closed  *[]string
}

func (f *fake) Name() string            { return f.name }
func (f *fake) Reserved() Reserved      { return f.bits }
func (f *fake) Client() ClientExtension { return f }
func (f *fake) Offers() [][]Param       { return f.offers }

func (f *fake) Activate(answer []Param) (Session, error) {
	if f.refuse != nil {
		return nil, f.refuse
	}
	f.answer = answer
	return &fakeSession{fake: f}, nil
}

func (f *fake) Server(offers [][]Param) ([]Param, Session, bool) {
	f.seen = offers
	if f.decline {
		return nil, nil, false
	}
	answer := f.answer
	if answer == nil {
		answer = offers[0]
	}
	return answer, &fakeSession{fake: f}, true
}

type fakeSession struct {
	*fake
	wrongBits Reserved
	leave     bool
	got       Reserved
}

func (s *fakeSession) Outgoing(dst []byte, m Message) ([]byte, Reserved, bool, error) {
	if s.leave {
		return nil, 0, false, nil
	}
	return fmt.Appendf(dst, "%s(%s)", s.name, m.Data), s.bits | s.wrongBits, true, nil
}

func (s *fakeSession) Incoming(dst []byte, m Message, limit int64) ([]byte, bool, error) {
	s.got = m.Reserved
	if s.leave || m.Reserved == 0 {
		return nil, false, nil
	}
	inner, begins := strings.CutPrefix(string(m.Data), s.name+"(")
	inner, ends := strings.CutSuffix(inner, ")")
	if !begins || !ends {
		return nil, false, errors.New("not wrapped")
	}
	return append(dst, inner...), true, nil
}

func (s *fakeSession) Close() {
	if s.closed != nil {
		*s.closed = append(*s.closed, s.name)
	}
}

func flag(names ...string) [][]Param {
	var offers [][]Param
	for _, name := range names {
		offers = append(offers, []Param{{Name: name}})
	}
	return offers
}

// serve returns what a server with the extensions answers to a header.
func serve(t *testing.T, header string, known ...Extension) (*ServerHandshake, string) {
	t.Helper()
	h, err := Server(readRequest(t, edit(t, "Origin: http://example.com\r\n", "Sec-WebSocket-Extensions: "+header+"\r\n")), &ServerOptions{Extensions: known})
	if err != nil {
		t.Fatal(err)
	}
	return h, h.Header().Get("Sec-WebSocket-Extensions")
}

func TestServerAgrees(t *testing.T) {
	a := &fake{name: "a", bits: RSV1}
	b := &fake{name: "b", bits: RSV2}
	rival := &fake{name: "r", bits: RSV1 | RSV3}
	no := &fake{name: "n", decline: true}
	for _, row := range []struct{ offers, want string }{
		{"", ""},
		{"x, y", ""},
		{"a", "a"},
		{"a, b", "a, b"},
		{"b, a", "b, a"},
		{"a; x=1, a; y", "a; x=1"},
		{"x, a; z, b", "a; z, b"},
		{"r, a", "r"},
		{"a, r, b", "a, b"},
		{"n, b", "b"},
		{"A", ""},
	} {
		h, got := serve(t, row.offers, a, b, rival, no)
		if got != row.want || string(AppendExtensions(nil, h.Extensions())) != row.want {
			t.Errorf("%q: %q, want %q", row.offers, got, row.want)
		}
		if (h.Pipeline == nil) != (row.want == "") {
			t.Errorf("%q: pipeline %v", row.offers, h.Pipeline)
		}
	}
	serve(t, "a; x, b, a; y=1", a, b)
	if want := [][]Param{{{Name: "x"}}, {{Name: "y", Value: "1"}}}; !reflect.DeepEqual(a.seen, want) {
		t.Errorf("a saw %v, want %v", a.seen, want)
	}
}

func TestServerRefusesOwnWrongAnswer(t *testing.T) {
	var closed []string
	a := &fake{name: "a", bits: RSV1, closed: &closed}
	b := &fake{name: "b", bits: RSV2, closed: &closed, answer: []Param{{Name: "x", Value: "1\r\nc: d"}}}
	_, err := Server(readRequest(t, edit(t, "Origin: http://example.com\r\n", "Sec-WebSocket-Extensions: a, b\r\n")), &ServerOptions{Extensions: []Extension{a, b}})
	wantRefused(t, err, 500, "")
	if !reflect.DeepEqual(closed, []string{"a", "b"}) {
		t.Errorf("closed %q", closed)
	}
}

// answered returns a client's verdict on a Sec-WebSocket-Extensions answer.
func answered(t *testing.T, answer string, known ...Extension) (*ClientHandshake, error) {
	t.Helper()
	target, _ := ParseURL("ws://a.example/")
	h, err := Client(target, [16]byte([]byte("the sample nonce")), &ClientOptions{Extensions: known})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Consume([]byte(strings.Replace(sampleResponse, "Protocol: chat", "Extensions: "+answer, 1)))
	return h, err
}

func TestClientAgrees(t *testing.T) {
	a := &fake{name: "a", bits: RSV1, offers: flag("x", "y")}
	b := &fake{name: "b", bits: RSV2, offers: [][]Param{{{Name: "z", Value: "1"}}}}
	silent := &fake{name: "s"}
	target, _ := ParseURL("ws://a.example/")
	h, err := Client(target, [16]byte{}, &ClientOptions{Extensions: []Extension{a, silent, b}})
	if err != nil || !strings.Contains(string(h.AppendRequest(nil)), "\r\nSec-WebSocket-Extensions: a; x, a; y, b; z=1\r\n") {
		t.Fatalf("%v\n%s", err, h.AppendRequest(nil))
	}
	for _, answer := range []string{"", "a", "a; y", "b, a", "a; whatever=1"} {
		h, err := answered(t, answer, a, silent, b)
		if err != nil || string(AppendExtensions(nil, h.Pipeline.Agreed())) != answer {
			t.Errorf("%q: %v, %v", answer, h.Pipeline.Agreed(), err)
		}
	}
}

func TestClientRefusesAnswers(t *testing.T) {
	refusal := errors.New("no such window")
	var closed []string
	a := &fake{name: "a", bits: RSV1, offers: flag("x"), closed: &closed}
	rival := &fake{name: "r", bits: RSV1, offers: flag("x")}
	stern := &fake{name: "t", bits: RSV2, offers: flag("x"), refuse: refusal}
	silent := &fake{name: "s", bits: RSV3}
	for _, answer := range []string{"b", "A", "s", "a, a", "a, r", "a, t", "a;", "a, b"} {
		closed = nil
		h, err := answered(t, answer, a, rival, stern, silent)
		wantFailed(t, err, 101, "4.1")
		if h.Pipeline != nil {
			t.Errorf("%q: a pipeline after failure", answer)
		}
		if strings.HasPrefix(answer, "a, ") && !reflect.DeepEqual(closed, []string{"a"}) {
			t.Errorf("%q: closed %q", answer, closed)
		}
		if (answer == "a, t") != errors.Is(err, refusal) {
			t.Errorf("%q: %v", answer, err)
		}
	}
}

func TestClientRefusesOwnWrongExtensions(t *testing.T) {
	target, _ := ParseURL("ws://a.example/")
	for _, known := range [][]Extension{
		{&fake{name: "a", offers: flag("x")}, &fake{name: "a", offers: flag("y")}},
		{&fake{name: "a b", offers: flag("x")}},
		{&fake{name: "a\r\n", offers: flag("x")}},
		{&fake{name: "a", offers: flag("x\r\n")}},
		{&fake{name: "a", offers: flag("")}},
		{&fake{name: "a", offers: [][]Param{{{Name: "x", Value: "1 2"}}}}},
	} {
		_, err := Client(target, [16]byte{}, &ClientOptions{Extensions: known})
		var e *OptionError
		if !errors.As(err, &e) || e.Option != "Extensions" {
			t.Errorf("%v: %v", known, err)
		}
	}
}

func TestPipelineOrder(t *testing.T) {
	var closed []string
	a := &fake{name: "a", bits: RSV1, closed: &closed}
	b := &fake{name: "b", bits: RSV2, closed: &closed}
	h, _ := serve(t, "a, b", a, b)
	p := h.Pipeline
	if p.Reserved() != RSV1|RSV2 {
		t.Errorf("owns %b", p.Reserved())
	}
	out, bits, transformed, err := p.Outgoing([]byte("head "), Message{Text: true, Reserved: RSV3, Data: []byte("m")})
	if string(out) != "head b(a(m))" || bits != RSV1|RSV2 || !transformed || err != nil {
		t.Errorf("%q, %b, %t, %v", out, bits, transformed, err)
	}
	in, transformed, err := p.Incoming([]byte("head "), Message{Reserved: bits, Data: []byte("b(a(m))")}, 100)
	if string(in) != "head m" || !transformed || err != nil {
		t.Errorf("%q, %t, %v", in, transformed, err)
	}
	sa, sb := p.stages[0].session.(*fakeSession), p.stages[1].session.(*fakeSession)
	if sa.got != RSV1 || sb.got != RSV2 {
		t.Errorf("shown %b and %b", sa.got, sb.got)
	}
	in, transformed, err = p.Incoming(nil, Message{Reserved: RSV1, Data: []byte("a(m)")}, 100)
	if string(in) != "m" || !transformed || err != nil || sb.got != 0 {
		t.Errorf("%q, %t, %v", in, transformed, err)
	}
	p.Close()
	if !reflect.DeepEqual(closed, []string{"a", "b"}) {
		t.Errorf("closed %q", closed)
	}
}

func TestPipelineHoldsSessionsToTheirs(t *testing.T) {
	s := &fakeSession{fake: &fake{name: "a", bits: RSV1}}
	for _, p := range []*Pipeline{
		NewPipeline(Offer{Name: "a"}, RSV1, s),
		{reserved: RSV1, stages: []stage{{s, RSV1}, {&fakeSession{fake: &fake{}, leave: true}, 0}}},
	} {
		for _, bits := range []Reserved{RSV2, RSV1 | RSV3} {
			if _, _, err := p.Incoming(nil, Message{Reserved: bits}, 100); err != ErrReserved {
				t.Errorf("bits %b: %v", bits, err)
			}
		}
		if _, _, err := p.Incoming(nil, Message{Reserved: RSV1, Data: []byte("a(123456)")}, 5); !errors.Is(err, ErrTooBig) {
			t.Error("over the limit:", err)
		}
		if out, _, err := p.Incoming(nil, Message{Reserved: RSV1, Data: []byte("a(12345)")}, 5); string(out) != "12345" || err != nil {
			t.Errorf("at the limit: %q, %v", out, err)
		}
		if out, _, err := p.Incoming([]byte("."), Message{Reserved: RSV1, Data: []byte("x")}, 5); string(out) != "." || err == nil {
			t.Errorf("an error of the session: %q, %v", out, err)
		}
		s.wrongBits = RSV2
		if out, _, _, err := p.Outgoing([]byte("."), Message{}); string(out) != "." || err != ErrReserved {
			t.Errorf("a bit of another's: %q, %v", out, err)
		}
		s.wrongBits, s.leave = 0, true
		if out, bits, transformed, err := p.Outgoing([]byte("."), Message{}); string(out) != "." || bits != 0 || transformed || err != nil {
			t.Errorf("left alone: %q, %b, %t, %v", out, bits, transformed, err)
		}
		s.leave = false
	}
}

func TestNilPipeline(t *testing.T) {
	var p *Pipeline
	out, bits, transformed, err := p.Outgoing([]byte("."), Message{Data: []byte("m")})
	if string(out) != "." || bits != 0 || transformed || err != nil {
		t.Error(out, bits, transformed, err)
	}
	out, transformed, err = p.Incoming([]byte("."), Message{Data: []byte("m")}, 0)
	if string(out) != "." || transformed || err != nil {
		t.Error(out, transformed, err)
	}
	if _, _, err := p.Incoming(nil, Message{Reserved: RSV1}, 0); err != ErrReserved {
		t.Error(err)
	}
	p.Interrupt()
	if p.Close(); p.Reserved() != 0 || p.Agreed() != nil {
		t.Error("a nil pipeline has something")
	}
}

func TestOptionsAreNotWritten(t *testing.T) {
	a := &fake{name: "a", bits: RSV1, offers: flag("x")}
	known := make([]Extension, 1, 4)
	known[0] = a
	server := &ServerOptions{Subprotocols: []string{"chat", "x"}[:1], OriginPatterns: []string{"EXAMPLE.com"}, Header: http.Header{"x-a": {"b"}}, Extensions: known}
	client := &ClientOptions{Subprotocols: []string{"chat", "x"}[:1], Header: http.Header{"x-a": {"b"}}, Extensions: known}
	serverBefore, clientBefore := *server, *client
	serverBefore.Header, clientBefore.Header = server.Header.Clone(), client.Header.Clone()
	r := readRequest(t, sampleRequest)
	header := r.Header.Clone()
	if _, err := Server(r, server); err != nil {
		t.Fatal(err)
	}
	target, _ := ParseURL("ws://a.example/")
	h, err := Client(target, [16]byte([]byte("the sample nonce")), client)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Consume([]byte(sampleResponse)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*server, serverBefore) || !reflect.DeepEqual(*client, clientBefore) || !reflect.DeepEqual(r.Header, header) {
		t.Error("options or request were written to")
	}
}
