package negotiate

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestConnectBytes(t *testing.T) {
	got, err := AppendConnect([]byte("."), "a.example:443", http.Header{"User-Agent": {"x"}, "X-A": {"b"}}, url.UserPassword("us", "p:w"))
	const want = ".CONNECT a.example:443 HTTP/1.1\r\n" +
		"Host: a.example:443\r\n" +
		"Proxy-Authorization: Basic dXM6cDp3\r\n" +
		"User-Agent: x\r\n" +
		"X-A: b\r\n\r\n"
	if string(got) != want || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	got, err = AppendConnect(nil, "[::1]:80", nil, nil)
	if string(got) != "CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	got, err = AppendConnect(nil, "a:1", http.Header{"Proxy-Authorization": {"Bearer t"}}, url.User("us"))
	if strings.Contains(string(got), "Basic") || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

func TestConnectRefused(t *testing.T) {
	for _, hostport := range []string{"", "a", ":80", "a:", "a b:80", "a:80\r\nX: y", "a@b:80", "a/b:80", "::1:80", "\u00e9:80"} {
		got, err := AppendConnect(nil, hostport, nil, nil)
		var e *OptionError
		if !errors.As(err, &e) || len(got) != 0 {
			t.Errorf("%q: %q, %v", hostport, got, err)
		}
	}
	for name, value := range map[string]string{"X-A": "b\r\nc: d", "X\n": "", "Host": "b", "content-length": "5", "Transfer-Encoding": "chunked"} {
		if got, err := AppendConnect(nil, "a:80", http.Header{name: {value}}, nil); err == nil || len(got) != 0 {
			t.Errorf("%q: %q gives %q", name, value, got)
		}
	}
}

func TestConnectAnswer(t *testing.T) {
	for _, row := range []struct {
		name, answer string
		ok           bool
		status       int
	}{
		{"200", "HTTP/1.1 200 Connection established\r\n\r\n", true, 0},
		{"of HTTP/1.0", "HTTP/1.0 200 OK\r\nVia: x\r\n\r\n", true, 0},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", true, 0},
		{"length means nothing", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 0},
		{"interim first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", true, 0},
		{"407", "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 5\r\n\r\n", false, 407},
		{"403", "HTTP/1.1 403 Forbidden\r\n\r\n", false, 403},
		{"101", "HTTP/1.1 101 Switching Protocols\r\n\r\n", false, 101},
		{"302", "HTTP/1.1 302 Found\r\nLocation: http://evil/\r\n\r\n", false, 302},
		{"garbage", "\x16\x03\x01 garbage", false, 0},
		{"malformed", "HTTP/1.1 200 OK\r\nX A: b\r\n\r\n", false, 0},
		{"too big", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("b", 2000) + "\r\n\r\n", false, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, step := range []int{1, 13, 1 << 20} {
				testConnectAnswer(t, row.answer, step, row.ok, row.status)
			}
		})
	}
}

// testConnectAnswer hands the answer over step bytes at a time, the last ones
// with early data behind them.
func testConnectAnswer(t *testing.T, answer string, step int, ok bool, status int) {
	t.Helper()
	a := ConnectAnswer{MaxHeaderBytes: 1000}
	for end := step; ; end += step {
		text := answer[:min(end, len(answer))]
		if len(text) == len(answer) {
			text += "early\r\n\r\n"
		}
		n, err := a.Consume([]byte(text))
		if err == ErrNeedMore && end < len(answer) {
			continue
		}
		if ok && (n != len(answer) || err != nil || a.Header == nil) {
			t.Errorf("%d bytes at a time: consumed %d of %d, %v", step, n, len(answer), err)
		}
		var e *ProxyError
		if !ok && (!errors.As(err, &e) || e.Status != status) {
			t.Errorf("%d bytes at a time: %v", step, err)
		}
		return
	}
}

func TestProxyErrorTellsWhatIsWanted(t *testing.T) {
	const head = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 5\r\n\r\n"
	n, err := new(ConnectAnswer).Consume([]byte(head + "denied"))
	var e *ProxyError
	if !errors.As(err, &e) || n != len(head) || e.BodyLength != 5 || e.Header.Get("Proxy-Authenticate") != `Basic realm="x"` {
		t.Errorf("%d, %+v", n, e)
	}
	if want := "negotiate: proxy: the proxy refused the tunnel (RFC 9110, section 9.3.6): status 407"; e.Error() != want {
		t.Error(e)
	}
}
