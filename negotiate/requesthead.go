package negotiate

import (
	"bufio"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// ParseRequest makes the request of its head: request line and headers, with the
// blank line after them. It gives what [http.ReadRequest] gives for it, errors
// included, but for the body, which is none. It is an error too if that finds the blank
// line before the end of head, as it may where line feeds stand alone: what follows then
// is not what the request's sender meant, or what somebody between read.
//
// The request's strings may be parts of head.
func ParseRequest(head string) (*http.Request, error) {
	if r := consumeRequest(head); r != nil {
		return r, nil
	}
	in := bufio.NewReader(strings.NewReader(head))
	r, err := http.ReadRequest(in)
	if err != nil {
		return nil, err
	}
	if _, err := in.Peek(1); err == nil {
		return nil, errHeadGoesOn
	}
	r.Body = http.NoBody
	return r, nil
}

var errHeadGoesOn = errors.New("negotiate: the head goes on after a blank line")

// consumeRequest reads a head such as those that open a WebSocket have. For anything
// else, which http.ReadRequest may accept or not, it returns nil.
func consumeRequest(head string) *http.Request {
	line, fields, _ := strings.Cut(head, "\r\n")
	target, ok := consumeRequestLine(line)
	if !ok || !strings.HasSuffix(head, "\r\n\r\n") {
		return nil
	}
	header, host, ok := consumeRequestFields(fields)
	if !ok {
		return nil
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil
	}
	return &http.Request{
		Method: http.MethodGet, URL: u, RequestURI: target,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Host: host, Body: http.NoBody,
	}
}

// consumeRequestLine returns the target of a GET by a path in HTTP/1.1: "method SP
// request-target SP HTTP-version" (RFC 9112, section 3).
func consumeRequestLine(line string) (target string, ok bool) {
	line, get := strings.CutPrefix(line, "GET ")
	target, version := strings.CutSuffix(line, " HTTP/1.1")
	return target, get && version && strings.HasPrefix(target, "/") && !strings.Contains(target, " ")
}

// consumeRequestFields reads header lines and the blank one that s ends with. Host is not
// among the headers. It reports false for lines that are malformed or folded, and for
// headers that mean something for the request itself: that give it a body, say what
// becomes of the connection, or make http.ReadRequest add or refuse something.
func consumeRequestFields(s string) (header http.Header, host string, ok bool) {
	fields := newFieldSet(s)
	hosts, plain := 0, true
	wellFormed := eachField(s, func(name, value string) {
		switch name = canonical(name); name {
		case "Host":
			host = value
			hosts++
			return
		case "Content-Length", "Transfer-Encoding", "Trailer":
			plain = false
		case "Connection":
			plain = plain && !listHas(value, "close")
		}
		fields.add(name, value)
	})
	header = fields.header
	return header, host, wellFormed && plain && hosts <= 1 && (header["Pragma"] == nil || header["Cache-Control"] != nil)
}
