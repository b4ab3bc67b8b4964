package negotiate

import (
	"strings"
	"testing"
)

// hixieRequest is the worked example of draft 76, section 1.2.
const hixieRequest = "GET /demo HTTP/1.1\r\n" +
	"Host: example.com\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n" +
	"Sec-WebSocket-Protocol: sample\r\n" +
	"Upgrade: WebSocket\r\n" +
	"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n" +
	"Origin: http://example.com\r\n\r\n"

const hixieResponse = "HTTP/1.1 101 WebSocket Protocol Handshake\r\n" +
	"Upgrade: WebSocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Origin: http://example.com\r\n" +
	"Sec-WebSocket-Location: ws://example.com/demo\r\n" +
	"Sec-WebSocket-Protocol: sample\r\n\r\n" +
	"8jKS'y:G*Co,Wxa-"

var drafts = &ServerOptions{AllowDrafts: true, Subprotocols: []string{"sample"}}

func TestHixie76Example(t *testing.T) {
	h, err := Server(readRequest(t, hixieRequest), drafts)
	if err != nil {
		t.Fatal(err)
	}
	if !h.NeedsBody() || h.Version != Hixie76 || h.Subprotocol != "sample" {
		t.Errorf("%+v", h)
	}
	if got := h.AppendResponse(nil); len(got) != 0 {
		t.Errorf("a response before the body: %q", got)
	}
	h.SetBody([8]byte([]byte("^n:ds[4U")))
	if got := string(h.AppendResponse(nil)); got != hixieResponse || h.NeedsBody() {
		t.Errorf("%q\nwant\n%q", got, hixieResponse)
	}
}

// Its eight bytes are a body to some, and nothing else is.
func TestHixie76Body(t *testing.T) {
	for length, status := range map[string]int{"8": 0, "7": 400, "9": 400} {
		request := strings.Replace(hixieRequest, "\r\n\r\n", "\r\nContent-Length: "+length+"\r\n\r\n", 1)
		h, err := Server(readRequest(t, request), drafts)
		switch {
		case status != 0:
			wantRefused(t, err, status, "7.8")
		case err != nil:
			t.Errorf("%s: %v", length, err)
		case !h.NeedsBody():
			t.Errorf("%s: no body needed", length)
		}
	}
}

func TestHixie75Bytes(t *testing.T) {
	const request = "GET /demo?a=b HTTP/1.1\r\n" +
		"Upgrade: WebSocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Host: example.com:8080\r\n" +
		"Origin: http://example.com:8080\r\n" +
		"WebSocket-Protocol: sample\r\n\r\n"
	const want = "HTTP/1.1 101 Web Socket Protocol Handshake\r\n" +
		"Upgrade: WebSocket\r\n" +
		"Connection: Upgrade\r\n" +
		"WebSocket-Origin: http://example.com:8080\r\n" +
		"WebSocket-Location: ws://example.com:8080/demo?a=b\r\n" +
		"WebSocket-Protocol: sample\r\n\r\n"
	h, err := Server(readRequest(t, request), drafts)
	if err != nil {
		t.Fatal(err)
	}
	h.SetBody([8]byte{1}) // means nothing here
	if got := string(h.AppendResponse(nil)); got != want || h.Version != Hixie75 || h.NeedsBody() {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}

func TestDraftsAreOptIn(t *testing.T) {
	hybi := strings.Replace(sampleRequest, "Version: 13", "Version: 8", 1)
	old := strings.Replace(hixieRequest, "Sec-WebSocket-Key", "X-Key", 2)
	for version, request := range map[string]string{Hixie76: hixieRequest, Hixie75: old, Hybi8: hybi} {
		_, err := Server(readRequest(t, request), &ServerOptions{InsecureSkipOriginCheck: true})
		e := wantRefused(t, err, 426, "RFC 6455")
		if e.Header.Get("Sec-WebSocket-Version") != "13" {
			t.Error(version, e.Header)
		}
		h, err := Server(readRequest(t, request), &ServerOptions{InsecureSkipOriginCheck: true, AllowDrafts: true})
		if err != nil || h.Version != version {
			t.Errorf("%s: %v, %v", version, h, err)
		}
	}
	_, err := Server(readRequest(t, strings.Replace(hybi, "Version: 8", "Version: 6", 1)), drafts)
	if e := wantRefused(t, err, 426, "4.4"); e.Header.Get("Sec-WebSocket-Version") != "13, 8, 7" {
		t.Error(e.Header)
	}
}

func TestHybi8Origin(t *testing.T) {
	hybi := strings.Replace(sampleRequest, "Version: 13", "Version: 8", 1)
	foreign := strings.Replace(hybi, "Origin: http://example.com", "Sec-WebSocket-Origin: http://example.com", 1)
	_, err := Server(readRequest(t, foreign), drafts)
	wantRefused(t, err, 403, "4.2.2")
	own := strings.Replace(foreign, "http://example", "http://server.example", 1)
	if h, err := Server(readRequest(t, own), drafts); err != nil || h.Version != Hybi8 {
		t.Error(h, err)
	}
}

func TestHixieRequestsRefused(t *testing.T) {
	const key1, key2 = "Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n", "Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n"
	const origin = "Origin: http://example.com\r\n"
	for _, row := range []struct {
		name, old, new string
		status         int
	}{
		{"no first key", key1, "", 400},
		{"no second key", key2, "", 400},
		{"two first keys", key1, key1 + key1, 400},
		{"no spaces", "4 @1  46546xW%0l 1 5", "4146546015", 400},
		{"no digits", "4 @1  46546xW%0l 1 5", "a b c", 400},
		{"empty", "4 @1  46546xW%0l 1 5", "", 400},
		{"a rest", "4 @1  46546xW%0l 1 5", "1 1 1", 400},
		{"over 32 bits", "4 @1  46546xW%0l 1 5", "4294967296 0", 400},
		{"far over 64 bits", "4 @1  46546xW%0l 1 5", strings.Repeat("9", 400) + " 0", 400},
		{"no origin", origin, "", 400},
		{"two origins", origin, origin + origin, 400},
		{"foreign origin", origin, "Origin: http://example.org\r\n", 403},
		{"malformed subprotocols", "Sec-WebSocket-Protocol: sample", "Sec-WebSocket-Protocol: sample sample", 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := Server(readRequest(t, strings.Replace(hixieRequest, row.old, row.new, 1)), drafts)
			wantRefused(t, err, row.status, "")
		})
	}
}

func TestHixieNumber(t *testing.T) {
	for _, row := range []struct {
		key    string
		number uint32
		ok     bool
	}{
		{"4 @1  46546xW%0l 1 5", 829309203, true},
		{"12998 5 Y3 1  .P00", 259970620, true},
		{"18x 6]8vM;54 *(5:  {   U1]8  z [  8", 155712099, true},
		{"1_ tx7X d  <  nw  334J702) 7]o}` 0", 173347027, true},
		{"0 0", 0, true},
		{" 4294967295", 4294967295, true},
		{" 4294967296", 0, false},
		{"0000000000000000000000 1", 1, true},
		{"", 0, false},
		{" ", 0, false},
		{"7", 0, false},
		{"7\t", 0, false},
		{"3  ", 0, false},
	} {
		if number, ok := hixieNumber(row.key); number != row.number || ok != row.ok {
			t.Errorf("%q: %d, %t; want %d, %t", row.key, number, ok, row.number, row.ok)
		}
	}
}

func FuzzHixieKey(f *testing.F) {
	f.Add("4 @1  46546xW%0l 1 5")
	f.Add("18446744073709551616 ")
	f.Fuzz(func(t *testing.T, key string) {
		number, ok := hixieNumber(key)
		spaces := uint64(strings.Count(key, " "))
		if ok && (spaces == 0 || uint64(number)*spaces > 1<<32-1) {
			t.Errorf("%q gives %d", key, number)
		}
	})
}
