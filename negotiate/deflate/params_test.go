package deflate

import (
	"strings"
	"testing"

	"github.com/chanws/websocket/negotiate"
)

// What RFC 7692, section 7.1 says about each parameter by itself.
var forms = []struct {
	params        string
	offer, answer bool // whether it is legal there
}{
	{"", true, true},
	{"; server_no_context_takeover", true, true},
	{"; server_no_context_takeover=1", false, false},
	{"; server_no_context_takeover=true", false, false},
	{"; server_no_context_takeover; server_no_context_takeover", false, false},
	{"; client_no_context_takeover", true, true},
	{"; client_no_context_takeover=1", false, false},
	{"; client_no_context_takeover; client_no_context_takeover", false, false},
	{"; server_max_window_bits", false, false},
	{"; server_max_window_bits=7", false, false},
	{"; server_max_window_bits=8", true, true},
	{"; server_max_window_bits=9", true, true},
	{"; server_max_window_bits=10", true, true},
	{"; server_max_window_bits=15", true, true},
	{`; server_max_window_bits="12"`, true, true},
	{`; server_max_window_bits="1\2"`, true, true},
	{"; server_max_window_bits=16", false, false},
	{"; server_max_window_bits=0", false, false},
	{"; server_max_window_bits=08", false, false},
	{"; server_max_window_bits=010", false, false},
	{"; server_max_window_bits=-8", false, false},
	{"; server_max_window_bits=+8", false, false},
	{"; server_max_window_bits=1", false, false},
	{"; server_max_window_bits=1a", false, false},
	{"; server_max_window_bits=0x8", false, false},
	{"; server_max_window_bits=8.0", false, false},
	{"; server_max_window_bits=4294967304", false, false},
	{"; server_max_window_bits=18446744073709551624", false, false},
	{"; server_max_window_bits=10; server_max_window_bits=10", false, false},
	{"; server_max_window_bits=10; server_max_window_bits=11", false, false},
	{"; client_max_window_bits", true, false},
	{"; client_max_window_bits=7", false, false},
	{"; client_max_window_bits=8", true, true},
	{"; client_max_window_bits=15", true, true},
	{"; client_max_window_bits=16", false, false},
	{"; client_max_window_bits=08", false, false},
	{"; client_max_window_bits=x", false, false},
	{"; client_max_window_bits; client_max_window_bits", false, false},
	{"; client_max_window_bits; client_max_window_bits=10", false, false},
	{"; client_max_window_bits=10; client_max_window_bits=10", false, false},
	{"; Server_no_context_takeover", false, false},
	{"; unknown", false, false},
	{"; unknown=1", false, false},
	{"; server_no_context_takeover; unknown", false, false},
	{"; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10", true, true},
	{"; client_max_window_bits=10; server_max_window_bits=9; client_no_context_takeover; server_no_context_takeover", true, true},
}

func TestForms(t *testing.T) {
	for _, f := range forms {
		list := parseList(t, Name+f.params)[0]
		if _, _, ok := New(nil).Server([][]negotiate.Param{list}); ok != f.offer {
			t.Errorf("offer %q: accepted %v", f.params, ok)
		}
		s, err := New(nil).Client().Activate(list)
		if (err == nil) != f.answer || (s == nil) != (err != nil) {
			t.Errorf("answer %q: %v, %v", f.params, s, err)
		}
	}
}

// What parse has read, list writes.
func TestFormsRoundTrip(t *testing.T) {
	for _, f := range forms {
		if !f.offer {
			continue
		}
		p, err := parseOffer(parseList(t, Name+f.params)[0])
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseOffer(p.list())
		if err != nil || again != p {
			t.Errorf("%q became %v (%v)", f.params, again, err)
		}
	}
}

// A limits is what came of a negotiation, as one side knows it.
type limits struct {
	out, kept, in int // how far back sent messages may refer; bytes kept of those sent; of those received
}

func limitsOf(s *session) limits {
	return limits{s.out.window, s.out.history.max, s.in.history.max}
}

var serverTable = []struct {
	name          string
	options       Options
	offer, answer string
	limits        limits
}{
	{"nothing", Options{}, "", "", limits{32768, 1536, 32768}},
	{"browser", Options{}, "; client_max_window_bits", "; client_max_window_bits=11", limits{32768, 1536, 2048}},
	{"client takes less", Options{}, "; client_max_window_bits=10", "; client_max_window_bits=10", limits{32768, 1536, 1024}},
	{"client takes more", Options{}, "; client_max_window_bits=15", "; client_max_window_bits=11", limits{32768, 1536, 2048}},
	{"server wants all", Options{ClientMaxWindowBits: 15}, "; client_max_window_bits", "; client_max_window_bits=15", limits{32768, 1536, 32768}},
	{"server wants too little", Options{ClientMaxWindowBits: 8}, "; client_max_window_bits", "; client_max_window_bits=9", limits{32768, 1536, 512}},
	{"client wants that", Options{ClientMaxWindowBits: 8}, "; client_max_window_bits=8", "; client_max_window_bits=8", limits{32768, 1536, 512}},
	{"client can not", Options{ClientMaxWindowBits: 8}, "", "", limits{32768, 1536, 32768}},
	{"server asked", Options{}, "; server_max_window_bits=15", "; server_max_window_bits=15", limits{32768, 1536, 32768}},
	{"server asked for 8", Options{}, "; server_max_window_bits=8", "; server_max_window_bits=8", limits{256, 256, 32768}},
	{"server has less", Options{ServerMaxWindowBits: 9}, "; server_max_window_bits=11", "; server_max_window_bits=9", limits{512, 512, 32768}},
	{"server has more", Options{ServerMaxWindowBits: 13}, "; server_max_window_bits=11", "; server_max_window_bits=11", limits{2048, 1536, 32768}},
	{"server limits itself", Options{ServerMaxWindowBits: 10}, "", "; server_max_window_bits=10", limits{1024, 1024, 32768}},
	{"server asked not to", Options{}, "; server_no_context_takeover", "; server_no_context_takeover", limits{32768, 0, 32768}},
	{"server does not", Options{ServerNoContextTakeover: true}, "", "; server_no_context_takeover", limits{32768, 0, 32768}},
	{"hint taken", Options{}, "; client_no_context_takeover", "; client_no_context_takeover", limits{32768, 1536, 0}},
	{"client must not", Options{ClientNoContextTakeover: true}, "", "; client_no_context_takeover", limits{32768, 1536, 0}},
	{"nobody", Options{ServerNoContextTakeover: true, ClientNoContextTakeover: true}, "; client_max_window_bits",
		"; server_no_context_takeover; client_no_context_takeover", limits{32768, 0, 0}},
	{"nobody, and little", Options{ClientNoContextTakeover: true, ClientMaxWindowBits: 9}, "; client_max_window_bits",
		"; client_no_context_takeover; client_max_window_bits=9", limits{32768, 1536, 0}},
	{"no history for Huffman", Options{Level: HuffmanOnly}, "", "", limits{32768, 0, 32768}},
	{"second offer", Options{}, "; x, permessage-deflate; client_max_window_bits=9", "; client_max_window_bits=9", limits{32768, 1536, 512}},
	{"first legal offer", Options{}, "; server_max_window_bits=9, permessage-deflate", "; server_max_window_bits=9", limits{512, 512, 32768}},
}

func TestServer(t *testing.T) {
	for _, c := range serverTable {
		answer, s, ok := New(&c.options).Server(parseList(t, Name+c.offer))
		if !ok {
			t.Errorf("%s: declined", c.name)
			continue
		}
		if got := strings.TrimPrefix(formatList(answer), Name); got != c.answer {
			t.Errorf("%s: answer %q, want %q", c.name, got, c.answer)
		}
		if got := limitsOf(s.(*session)); got != c.limits {
			t.Errorf("%s: limits %v, want %v", c.name, got, c.limits)
		}
	}
	if _, _, ok := New(nil).Server(parseList(t, Name+"; x, "+Name+"; y")); ok {
		t.Error("accepted one of several illegal offers")
	}
	if _, _, ok := New(nil).Server(nil); ok {
		t.Error("accepted no offer")
	}
}

var clientTable = []struct {
	name           string
	options        Options
	offers, answer string
	err            error
	limits         limits
}{
	{"nothing", Options{}, "; client_max_window_bits", "", nil, limits{32768, 1536, 32768}},
	{"limited by the server", Options{}, "; client_max_window_bits", "; client_max_window_bits=9", nil, limits{512, 512, 32768}},
	{"server limits itself", Options{}, "; client_max_window_bits", "; server_max_window_bits=8", nil, limits{32768, 1536, 512}},
	{"forbidden", Options{}, "; client_max_window_bits", "; client_no_context_takeover", nil, limits{32768, 0, 32768}},
	{"server does not", Options{}, "; client_max_window_bits", "; server_no_context_takeover", nil, limits{32768, 1536, 0}},
	{"own limit", Options{ClientMaxWindowBits: 11}, "; client_max_window_bits=11, permessage-deflate; client_max_window_bits", "", nil, limits{2048, 1536, 32768}},
	{"own limit lowered", Options{ClientMaxWindowBits: 11}, "; client_max_window_bits=11, permessage-deflate; client_max_window_bits", "; client_max_window_bits=10", nil, limits{1024, 1024, 32768}},
	{"own limit raised", Options{ClientMaxWindowBits: 11}, "; client_max_window_bits=11, permessage-deflate; client_max_window_bits", "; client_max_window_bits=12", nil, limits{2048, 1536, 32768}},
	{"own hint", Options{ClientNoContextTakeover: true}, "; client_no_context_takeover; client_max_window_bits", "", nil, limits{32768, 0, 32768}},
	{"demand met", Options{ServerNoContextTakeover: true}, "; server_no_context_takeover; client_max_window_bits",
		"; server_no_context_takeover", nil, limits{32768, 1536, 0}},
	{"demand not met", Options{ServerNoContextTakeover: true}, "; server_no_context_takeover; client_max_window_bits", "", errTakeover, limits{}},
	{"wish met", Options{ServerMaxWindowBits: 10}, "; server_max_window_bits=10; client_max_window_bits, permessage-deflate; client_max_window_bits",
		"; server_max_window_bits=9", nil, limits{32768, 1536, 512}},
	{"wish for 8", Options{ServerMaxWindowBits: 8}, "; server_max_window_bits=9; client_max_window_bits, permessage-deflate; client_max_window_bits",
		"; server_max_window_bits=9", nil, limits{32768, 1536, 512}},
	{"wish not met", Options{ServerMaxWindowBits: 10}, "; server_max_window_bits=10; client_max_window_bits, permessage-deflate; client_max_window_bits",
		"", nil, limits{32768, 1536, 32768}},
}

func TestClient(t *testing.T) {
	for _, c := range clientTable {
		client := New(&c.options).Client()
		if got := strings.TrimPrefix(formatList(client.Offers()...), Name); got != c.offers {
			t.Errorf("%s: offers %q, want %q", c.name, got, c.offers)
		}
		s, err := client.Activate(parseList(t, Name+c.answer)[0])
		if err != c.err {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if err != nil {
			continue
		}
		if got := limitsOf(s.(*session)); got != c.limits {
			t.Errorf("%s: limits %v, want %v", c.name, got, c.limits)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{
		{Level: 10}, {Level: -1}, {Level: -3},
		{ServerMaxWindowBits: 7}, {ServerMaxWindowBits: 16}, {ClientMaxWindowBits: -8}, {ClientMaxWindowBits: 32768},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v passed", o)
				}
			}()
			New(&o)
		}()
	}
}

func TestOptionsAreCopied(t *testing.T) {
	o := Options{ServerNoContextTakeover: true}
	e := New(&o)
	o = Options{}
	if answer, _, _ := e.Server(parseList(t, Name)); formatList(answer) != Name+"; server_no_context_takeover" {
		t.Error(answer)
	}
}
