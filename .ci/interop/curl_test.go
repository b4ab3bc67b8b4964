package interop

import (
	"os/exec"
	"strings"
	"testing"
)

// good are the headers of a right request (RFC 6455, section 1.3).
var good = map[string]string{
	"Connection":            "keep-alive, Upgrade",
	"Upgrade":               "WebSocket",
	"Sec-WebSocket-Version": "13",
	"Sec-WebSocket-Key":     "dGhlIHNhbXBsZSBub25jZQ==",
}

// curl gives the head and the body of the response to a request that differs from
// the good one in some headers. An empty value leaves a header out.
func curl(t *testing.T, url string, headers map[string]string, args ...string) (head, body string) {
	t.Helper()
	args = append(args, "--http1.1", "-s", "-i", "-N", "--max-time", "1", url)
	for name, value := range good {
		if instead, ok := headers[name]; ok {
			value = instead
		}
		if value != "" {
			args = append(args, "-H", name+": "+value)
		}
	}
	for name, value := range headers {
		if _, ok := good[name]; !ok {
			args = append(args, "-H", name+": "+value)
		}
	}
	out, err := exec.Command("curl", args...).Output()
	if e, ok := err.(*exec.ExitError); err != nil && !(ok && e.ExitCode() == 28) { // 28: --max-time
		t.Fatal(err)
	}
	head, body, _ = strings.Cut(string(out), "\r\n\r\n")
	return head, body
}

func TestCurl(t *testing.T) {
	s := newServer(t)
	head, _ := curl(t, s.URL+"/echo", nil)
	for _, line := range []string{
		"HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
	} {
		if !strings.Contains(head+"\r\n", line+"\r\n") {
			t.Errorf("no %q in\n%s", line, head)
		}
	}
	// A close frame with 1001 and "bye", unmasked as a server's are.
	if _, body := curl(t, s.URL+"/close?code=1001&reason=bye", nil); body != "\x88\x05\x03\xe9bye" {
		t.Errorf("close frame is % x", body)
	}
	for name, c := range map[string]struct {
		headers map[string]string
		args    []string
		status  string
		header  string
	}{
		"plain GET":            {map[string]string{"Connection": "", "Upgrade": ""}, nil, "HTTP/1.1 426 ", "Upgrade: websocket"},
		"no upgrade":           {map[string]string{"Connection": "keep-alive"}, nil, "HTTP/1.1 400 ", ""},
		"upgrade to another":   {map[string]string{"Upgrade": "h2c"}, nil, "HTTP/1.1 426 ", "Upgrade: websocket"},
		"old version":          {map[string]string{"Sec-WebSocket-Version": "8"}, nil, "HTTP/1.1 426 ", "Sec-Websocket-Version: 13"},
		"no key":               {map[string]string{"Sec-WebSocket-Key": ""}, nil, "HTTP/1.1 400 ", ""},
		"short key":            {map[string]string{"Sec-WebSocket-Key": "c2hvcnQ="}, nil, "HTTP/1.1 400 ", ""},
		"key that is not one":  {map[string]string{"Sec-WebSocket-Key": "!"}, nil, "HTTP/1.1 400 ", ""},
		"POST":                 {nil, []string{"-X", "POST"}, "HTTP/1.1 405 ", "Allow: GET"},
		"another site's page":  {map[string]string{"Origin": "https://evil.example"}, nil, "HTTP/1.1 403 ", ""},
		"malformed extensions": {map[string]string{"Sec-WebSocket-Extensions": "a;;b"}, nil, "HTTP/1.1 400 ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			head, body := curl(t, s.URL+"/echo", c.headers, c.args...)
			if !strings.HasPrefix(head, c.status) || !strings.Contains(head+"\r\n", c.header) {
				t.Errorf("want %s %s, got\n%s", c.status, c.header, head)
			}
			if lines := strings.Count(body, "\n"); body == "" || lines != 1 || len(body) > 200 {
				t.Errorf("want one line of text, got %q", body)
			}
			t.Log(strings.TrimSpace(body))
		})
	}
}
