package conformance

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

var (
	ruleClientRequest = rfc6455("4.1", "The opening handshake's request: GET, HTTP/1.1 or higher, |Host|, |Upgrade| with \"websocket\", |Connection| with \"Upgrade\", |Sec-WebSocket-Key| and |Sec-WebSocket-Version| with 13.")
	ruleClientKey     = rfc6455("4.1", "“The value of this header field MUST be a nonce consisting of a randomly selected 16-byte value that has been base64-encoded (see Section 4 of [RFC4648]). The nonce MUST be selected randomly for each connection.”")
	ruleClientWaits   = rfc6455("4.1", "“Once the client's opening handshake has been sent, the client MUST wait for a response from the server before sending any further data.”")
	ruleValidates     = rfc6455("4.1", `“If the response lacks a |Sec-WebSocket-Accept| header field or the |Sec-WebSocket-Accept| contains a value other than the base64-encoded SHA-1 of the concatenation of the |Sec-WebSocket-Key| (as a string, not base64-decoded) with the string "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" but ignoring any leading and trailing whitespace, the client MUST _Fail the WebSocket Connection_.”`)
	ruleUpgradeField  = rfc6455("4.1", `“If the response lacks an |Upgrade| header field or the |Upgrade| header field contains a value that is not an ASCII case-insensitive match for the value "websocket", the client MUST _Fail the WebSocket Connection_.”`)
	ruleConnection    = rfc6455("4.1", `“If the response lacks a |Connection| header field or the |Connection| header field doesn't contain a token that is an ASCII case-insensitive match for the value "Upgrade", the client MUST _Fail the WebSocket Connection_.”`)
	ruleNoExtension   = rfc6455("4.1", "“If the response includes a |Sec-WebSocket-Extensions| header field and this header field indicates the use of an extension that was not present in the client's handshake (the server has indicated an extension not requested by the client), the client MUST _Fail the WebSocket Connection_.”")
	ruleNoProtocol    = rfc6455("4.1", "“If the response includes a |Sec-WebSocket-Protocol| header field and this header field indicates the use of a subprotocol that was not present in the client's handshake (the server has indicated a subprotocol not requested by the client), the client MUST _Fail the WebSocket Connection_.”")
	ruleStatus        = rfc6455("4.1", "“If the status code received from the server is not 101, the client handles the response per HTTP [RFC2616] procedures.”")
)

func clientHandshakeCases() []Case {
	cases := slices.Concat(clientRequests(), takenAnswers(), refusedAnswers(), deliveredAnswers(), otherStatuses())
	for i := range cases {
		cases[i].ID = "handshake.client." + cases[i].ID
		cases[i].Roles = Client
		cases[i].opening = openingByHand
	}
	return cases
}

// answers sends a 101, changed as the case wants.
func answers(edits ...edit) Step {
	return Step{Text: "answer with success", run: func(s *session) *finding {
		s.sendHead(s.reply(edits...))
		return nil
	}}
}

// takes expects the client to hold the connection for open: it echoes.
func takes() Step {
	return Step{Text: "expect the client to take the answer and to echo", kind: expectation, run: func(s *session) *finding {
		if s.events == nil {
			s.startFrames()
		}
		s.send(0, text("hello"))
		return s.expectMessage(opText, []byte("hello"))
	}}
}

// givesUp expects the client to fail the connection: it echoes nothing, and
// the connection ends.
func givesUp() Step {
	return Step{Text: "expect the client to fail the connection", kind: expectation, run: func(s *session) *finding {
		s.startFrames()
		s.send(0, text("hello"))
		late := s.watch(s.times.Reply, func() bool { return len(s.messages) > 0 || s.over() })
		switch {
		case len(s.messages) > 0:
			return failure("the client took the answer: it echoed a message")
		case s.wrong != nil:
			return failure("the client sent bytes after an answer it had to refuse: %s", s.wrong.rule)
		case late == tooLate:
			return failure("the client neither echoed nor ended the connection")
		case s.closed != nil:
			s.note("the client ended the connection with %v", s.closed)
		}
		return nil
	}}
}

// checks looks at the client's request, answers it, and sees that it works.
func checks(id, title string, rule Rule, wrong func(*session) string) Case {
	return Case{ID: "request." + id, Title: title, Rule: rule, steps: plan(Step{
		Text: "look at the client's request: " + title, kind: expectation, run: func(s *session) *finding {
			if text := wrong(s); text != "" {
				s.lower(Fail, "%s", text)
			}
			return nil
		}}, answers(), takes())}
}

func once(name string) func(*session) string {
	return func(s *session) string {
		if n := s.asked.count(name); n != 1 {
			return fmt.Sprintf("%s stands in the request %d times", name, n)
		}
		return ""
	}
}

func clientRequests() []Case {
	return []Case{
		checks("line", "the request line is GET ... HTTP/1.1", ruleClientRequest, func(s *session) string {
			if !strings.HasPrefix(s.asked.line, "GET /runCase?") || !strings.HasSuffix(s.asked.line, " HTTP/1.1") {
				return "the request line was " + s.asked.line
			}
			return ""
		}),
		checks("host", "Host, once", ruleClientRequest, once("Host")),
		checks("upgrade", "Upgrade: websocket", ruleClientRequest, func(s *session) string {
			if !s.asked.contains("Upgrade", "websocket") {
				return fmt.Sprintf("Upgrade was %q", s.asked.get("Upgrade"))
			}
			return ""
		}),
		checks("connection", "Connection with Upgrade", ruleClientRequest, func(s *session) string {
			if !s.asked.contains("Connection", "Upgrade") {
				return fmt.Sprintf("Connection was %q", s.asked.get("Connection"))
			}
			return ""
		}),
		checks("version", "Sec-WebSocket-Version: 13", ruleClientRequest, func(s *session) string {
			if s.asked.get("Sec-WebSocket-Version") != "13" {
				return fmt.Sprintf("Sec-WebSocket-Version was %q", s.asked.get("Sec-WebSocket-Version"))
			}
			return ""
		}),
		checks("version-once", "Sec-WebSocket-Version, once", ruleVersionOnce, once("Sec-WebSocket-Version")),
		checks("key-once", "Sec-WebSocket-Key, once", ruleKeyOnce, once("Sec-WebSocket-Key")),
		checks("key", "a key of 16 bytes in base64", ruleClientKey, func(s *session) string {
			raw, err := base64.StdEncoding.Strict().DecodeString(s.asked.get("Sec-WebSocket-Key"))
			if err != nil || len(raw) != 16 {
				return fmt.Sprintf("Sec-WebSocket-Key was %q", s.asked.get("Sec-WebSocket-Key"))
			}
			return ""
		}),
		checks("key-fresh", "a key that no earlier connection had", ruleClientKey, func(s *session) string {
			if s.before[s.asked.get("Sec-WebSocket-Key")] > 1 {
				return "the key was used for an earlier connection"
			}
			return ""
		}),
		checks("no-body", "no body", ruleClientRequest, func(s *session) string {
			if s.asked.count("Transfer-Encoding") > 0 || s.asked.count("Content-Length") > 0 && s.asked.get("Content-Length") != "0" {
				return "the request announces a body"
			}
			return ""
		}),
		checks("waits", "nothing is sent before the answer", ruleClientWaits, func(s *session) string {
			return s.earlyBytes()
		}),
	}
}

// earlyBytes looks for what a client sends before it has its answer.
func (s *session) earlyBytes() string {
	deadline, _ := s.ctx.Deadline()
	if err := s.conn.SetReadDeadline(time.Now().Add(s.times.Quiet)); err != nil {
		return ""
	}
	_, err := s.reader.Peek(1)
	if again := s.conn.SetReadDeadline(deadline); again != nil {
		s.log.remark("setting the deadline: %v", again)
	}
	if err == nil {
		return "the client sent bytes before the answer"
	}
	return ""
}

func takenAnswers() []Case {
	ok := func(id, title string, edits ...edit) Case {
		return Case{ID: "takes." + id, Title: title, Rule: ruleClientHTTP(), steps: plan(answers(edits...), takes())}
	}
	return []Case{
		ok("plain", "a plain 101"),
		ok("upgrade-case", "Upgrade: WebSocket", with("Upgrade", "WebSocket")),
		ok("connection-case", "Connection: upgrade", with("Connection", "upgrade")),
		ok("connection-list", "Connection: keep-alive, Upgrade", with("Connection", "keep-alive, Upgrade")),
		ok("field-names-lower", "field names in small letters", renaming("Upgrade", "upgrade"), renaming("Connection", "connection"), renaming("Sec-WebSocket-Accept", "sec-websocket-accept")),
		ok("field-names-upper", "field names in capitals", renaming("Upgrade", "UPGRADE"), renaming("Connection", "CONNECTION"), renaming("Sec-WebSocket-Accept", "SEC-WEBSOCKET-ACCEPT")),
		ok("reason", "another reason phrase", line("Switching Protocols", "Web Socket Protocol Handshake")),
		ok("no-reason", "an empty reason phrase", line("Switching Protocols", "")),
		ok("whitespace", "spaces and a tab around field values", with("Upgrade", " \twebsocket \t"), with("Connection", "  Upgrade  ")),
		ok("unknown-fields", "fields that the protocol does not know", with("Server", "conformance"), with("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), with("X-Empty", "")),
		ok("cookies", "two Set-Cookie fields", adding("Set-Cookie", "a=b"), adding("Set-Cookie", "c=d; Path=/")),
		ok("long-field", "a field of 2000 bytes", with("X-Long", letters(2000))),
	}
}

func ruleClientHTTP() Rule {
	return rfc6455("4.1", "“The client MUST validate the server's response as follows”: status 101, |Upgrade|, |Connection| and |Sec-WebSocket-Accept|; field names and these values are case-insensitive, other fields mean nothing to it.")
}

func refusedAnswers() []Case {
	no := func(id, title string, rule Rule, edits ...edit) Case {
		return Case{ID: "refuses." + id, Title: title, Rule: rule, steps: plan(answers(edits...), givesUp())}
	}
	accept := func(v string) edit { return with("Sec-WebSocket-Accept", v) }
	protocol := func(v string) edit { return with("Sec-WebSocket-Protocol", v) }
	extend := func(v string) edit { return with("Sec-WebSocket-Extensions", v) }
	return []Case{
		no("accept-missing", "no Sec-WebSocket-Accept", ruleValidates, without("Sec-WebSocket-Accept")),
		no("accept-empty", "an empty Sec-WebSocket-Accept", ruleValidates, accept("")),
		no("accept-other", "a Sec-WebSocket-Accept for another key", ruleValidates, accept("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
		no("accept-key", "a Sec-WebSocket-Accept that has the form of a key", ruleValidates, accept("dGhlIHNhbXBsZSBub25jZQ==")),
		no("accept-small", "a Sec-WebSocket-Accept in small letters", ruleValidates, changing("Sec-WebSocket-Accept", strings.ToLower)),
		no("accept-tail", "a Sec-WebSocket-Accept with more behind it", ruleValidates, changing("Sec-WebSocket-Accept", func(v string) string { return v + "AAAA" })),
		no("accept-cut", "a Sec-WebSocket-Accept without its last characters", ruleValidates, changing("Sec-WebSocket-Accept", func(v string) string { return v[:20] })),
		no("upgrade-missing", "no Upgrade", ruleUpgradeField, without("Upgrade")),
		no("upgrade-other", "Upgrade: h2c", ruleUpgradeField, with("Upgrade", "h2c")),
		no("upgrade-prefix", "Upgrade: websocketx", ruleUpgradeField, with("Upgrade", "websocketx")),
		no("connection-missing", "no Connection", ruleConnection, without("Connection")),
		no("connection-other", "Connection: keep-alive", ruleConnection, with("Connection", "keep-alive")),
		no("connection-prefix", "Connection: Upgraded", ruleConnection, with("Connection", "Upgraded")),
		no("protocol-not-offered", "a subprotocol that was not offered", ruleNoProtocol, protocol("x-not-offered")),
		no("protocol-list", "two subprotocols", ruleNoProtocol, protocol("x-not-offered, x-other")),
		no("extension-not-offered", "an extension that was not offered", ruleNoExtension, extend("x-not-offered")),
		no("extension-not-offered-parameters", "an extension that was not offered, with a parameter", ruleNoExtension, extend("x-not-offered; a=1")),
		no("status-200", "status 200 with the fields of a 101", ruleStatus, line("101 Switching Protocols", "200 OK"), with("Connection", "Upgrade, close"), with("Content-Length", "0")),
		no("line-garbage", "an answer that is no HTTP", ruleStatus, line("HTTP/1.1 101", "HELLO 101")),
		no("line-no-status", "a status line without a status", ruleStatus, line("HTTP/1.1 101 Switching Protocols", "HTTP/1.1")),
	}
}

// changing rewrites the value of a field.
func changing(name string, rewrite func(string) string) edit {
	return func(m *message) { with(name, rewrite(m.get(name)))(m) }
}

// deliveredAnswers cut a good answer in awkward ways.
func deliveredAnswers() []Case {
	var cases []Case
	for _, chunk := range []int{1, 7, 50} {
		cases = append(cases, Case{
			ID: fmt.Sprintf("delivery.chunk%d", chunk), Title: fmt.Sprintf("the answer %d bytes a write", chunk), Rule: ruleClientHTTP(),
			steps: plan(Step{Text: "answer with 101, " + writesOf(chunk), run: func(s *session) *finding {
				for b := range slices.Chunk(s.reply().bytes(), chunk) {
					s.write(b)
				}
				return nil
			}}, takes()),
		})
	}
	for _, n := range []int{1, 2, 50} {
		cases = append(cases, Case{
			ID: fmt.Sprintf("delivery.pipelined.%d", n), Title: fmt.Sprintf("%d messages in one write with the answer", n), Rule: ruleClientHTTP(),
			steps: plan(Step{Text: "answer with 101 and messages in one write", run: func(s *session) *finding {
				b := s.reply().bytes()
				for range n {
					b = append(b, s.encode(text("early"))...)
				}
				s.write(b)
				s.startFrames()
				return nil
			}}, repeatedStep(echoes(opText, "early"), n)),
		})
	}
	return append(cases, oversizedAnswer(), interimAnswer(), Case{
		ID: "delivery.close", Title: "a Close frame in one write with the answer", Rule: ruleCloseReply,
		steps: plan(Step{Text: "answer with 101 and a Close frame in one write", run: func(s *session) *finding {
			s.closing = "sent"
			s.write(append(s.reply().bytes(), s.encode(closing(1000, ""))...))
			s.startFrames()
			return nil
		}}, closeReply(1000)),
	}, Case{
		ID: "delivery.cut", Title: "the connection ends in the middle of the answer", Rule: ruleClientHTTP(),
		steps: plan(Step{Text: "send half of an answer and end the connection's write side", run: func(s *session) *finding {
			s.write(s.reply().bytes()[:40])
			s.closeWrite()
			return nil
		}}, endsQuietly()),
	})
}

func oversizedAnswer() Case {
	return Case{
		ID: "oversized", Title: "an answer with a field of 4 MiB", Rule: rfc6455("10.4", "The limits of 10.4 are about frames and messages; where a header becomes too long is for the implementation to say."),
		steps: plan(answers(with("X-Oversized", strings.Repeat("a", 4<<20))), leftOpen(givesUp())),
	}
}

func interimAnswer() Case {
	return Case{
		ID: "interim", Title: "an interim answer (103) before the 101", Rule: Rule{"RFC 9110", "15.2", "“A client MUST be able to parse one or more 1xx responses received prior to a final response, even if the client does not expect one. A user agent MAY ignore unexpected 1xx responses.”"},
		steps: plan(Step{Text: "send an interim answer", run: func(s *session) *finding {
			s.write([]byte("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"))
			return nil
		}}, answers(), leftOpen(takes())),
	}
}

// endsQuietly expects the client to end the connection without a word.
func endsQuietly() Step {
	return Step{Text: "expect the client to end the connection and to send nothing", kind: expectation, run: func(s *session) *finding {
		s.startFrames()
		late := s.watch(s.times.Reply, func() bool { return len(s.messages) > 0 || s.over() })
		switch {
		case len(s.messages) > 0 || s.wrong != nil || s.closed != nil:
			return failure("the client sent frames although the handshake had not succeeded")
		case late == tooLate:
			s.lower(NotStrict, "the client left the connection open")
		}
		return nil
	}}
}

// otherStatuses answer as HTTP servers do when they do not speak WebSocket.
func otherStatuses() []Case {
	var cases []Case
	for _, status := range []string{
		"200 OK", "204 No Content", "400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found",
		"407 Proxy Authentication Required", "426 Upgrade Required", "429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable",
	} {
		cases = append(cases, Case{
			ID: "status." + status[:3], Title: "the answer is " + status, Rule: ruleStatus,
			steps: plan(Step{Text: "answer with " + status, run: func(s *session) *finding {
				s.write([]byte("HTTP/1.1 " + status + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
				s.closeWrite()
				return nil
			}}, endsQuietly()),
		})
	}
	return append(cases, Case{
		ID: "status.body", Title: "the answer is 400 with a body", Rule: ruleStatus,
		steps: plan(Step{Text: "answer with 400 and a body", run: func(s *session) *finding {
			s.write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhy?\n"))
			s.closeWrite()
			return nil
		}}, endsQuietly()),
	})
}
