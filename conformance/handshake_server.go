package conformance

import (
	"fmt"
	"slices"
	"strings"
)

var (
	ruleRequest      = rfc6455("4.2.1", "“If the server, while reading the handshake, finds that the client did not send a handshake that matches the description below (note that as per [RFC2616], the order of the header fields is not important), including but not limited to any violations of the ABNF grammar specified for the components of the handshake, the server MUST stop processing the client's handshake and return an HTTP response with an appropriate error code (such as 400 Bad Request).”")
	ruleVersion      = rfc6455("4.2.2", "“If this version does not match a version understood by the server, the server MUST abort the WebSocket handshake described in this section and instead send an appropriate HTTP error code (such as 426 Upgrade Required) and a |Sec-WebSocket-Version| header field indicating the version(s) the server is capable of understanding.”")
	ruleAnswer       = rfc6455("4.2.2", `“A Status-Line with a 101 response code as per RFC 2616 [RFC2616].” “An |Upgrade| header field with value "websocket" as per RFC 2616 [RFC2616].” “A |Connection| header field with value "Upgrade".” “A |Sec-WebSocket-Accept| header field.”`)
	ruleCaseless     = rfc6455("4.2.1", `“An |Upgrade| header field containing the value "websocket", treated as an ASCII case-insensitive value.” “A |Connection| header field that includes the token "Upgrade", treated as an ASCII case-insensitive value.”`)
	ruleUnknownField = rfc6455("4.2.1", "“Unknown header fields are ignored, as per [RFC2616].”")
	ruleKey          = rfc6455("4.2.1", "“A |Sec-WebSocket-Key| header field with a base64-encoded (see Section 4 of [RFC4648]) value that, when decoded, is 16 bytes in length.”")
	ruleKeyOnce      = rfc6455("11.3.1", "“The |Sec-WebSocket-Key| header field MUST NOT appear more than once in an HTTP request.”")
	ruleVersionOnce  = rfc6455("11.3.5", "“the |Sec-WebSocket-Version| header field MUST NOT appear more than once in an HTTP request.”")
	ruleOfferedOnly  = rfc6455("4.2.2", "“The value chosen MUST be derived from the client's handshake, specifically by selecting one of the values from the |Sec-WebSocket-Protocol| field that the server is willing to use for this connection (if any). If the client's handshake did not contain such a header field or if the server does not agree to any of the client's requested subprotocols, the only acceptable value is null.”")
	ruleExtensions   = rfc6455("4.2.2", "“Extensions not listed by the client MUST NOT be listed.”")
	ruleGrammar      = rfc6455("9.1", "“If a value is received by either the client or the server during negotiation that does not conform to the ABNF below, the recipient of such malformed data MUST immediately _Fail the WebSocket Connection_.”")
	ruleHTTP         = Rule{"RFC 9112", "3 and 5", "A recipient of a message that does not match the grammar answers with 400 and ends the connection; a sender generates no whitespace between a field name and the colon."}
	ruleHost         = Rule{"RFC 9112", "3.2", "“A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host header field and to any request message that contains more than one Host header field line or a Host header field with an invalid field value.”"}
)

func serverHandshakeCases() []Case {
	var cases []Case
	for _, list := range [][]Case{acceptedRequests(), refusedRequests(), versionRequests(), subprotocolRequests(), malformedRequests(), deliveredRequests()} {
		cases = append(cases, list...)
	}
	for i := range cases {
		cases[i].ID = "handshake.server." + cases[i].ID
		cases[i].Roles = Server
		cases[i].opening = openingByHand
	}
	return cases
}

// asks sends an opening request, changed as the case wants.
func asks(edits ...edit) Step {
	return Step{Text: "send the opening request", run: func(s *session) *finding {
		s.sendHead(s.request(edits...))
		return nil
	}}
}

// accepts expects 101 and an answer that is right in every part, and then an
// echo.
func accepts() Step {
	return Step{Text: "expect 101 and a correct answer, then an echo", kind: expectation, run: func(s *session) *finding {
		if f := s.readResponse(); f != nil {
			return f
		}
		if wrong := s.wrongAnswer(); wrong != "" {
			return failure("%s", wrong)
		}
		s.startFrames()
		s.send(0, text("hello"))
		return s.expectMessage(opText, []byte("hello"))
	}}
}

// wrongAnswer says what is wrong with a server's 101.
func (s *session) wrongAnswer() string {
	r := s.response
	switch {
	case r.status() != 101:
		return "the answer was " + r.line
	case !strings.HasPrefix(r.line, "HTTP/1.1 101"):
		return "the status line was " + r.line
	case !strings.EqualFold(r.get("Upgrade"), "websocket"):
		return fmt.Sprintf("Upgrade was %q", r.get("Upgrade"))
	case !r.contains("Connection", "Upgrade"):
		return fmt.Sprintf("Connection was %q", r.get("Connection"))
	case r.get("Sec-WebSocket-Accept") != acceptKey(s.key):
		return fmt.Sprintf("Sec-WebSocket-Accept was %q, want %q", r.get("Sec-WebSocket-Accept"), acceptKey(s.key))
	case r.count("Sec-WebSocket-Accept") > 1, r.count("Sec-WebSocket-Protocol") > 1:
		return "a header field that may stand once stands in the answer more often"
	case r.count("Content-Length") > 0 && r.get("Content-Length") != "0", r.count("Transfer-Encoding") > 0:
		return "the answer announces a body, which 101 can not have (RFC 9110, 6.4.1)"
	}
	return ""
}

func acceptedRequests() []Case {
	ok := func(id, title string, rule Rule, edits ...edit) Case {
		return Case{ID: "accepts." + id, Title: title, Rule: rule, steps: plan(asks(edits...), accepts())}
	}
	key := func(k string) edit { return with("Sec-WebSocket-Key", k) }
	return []Case{
		ok("plain", "a plain request: status line, Upgrade, Connection, Sec-WebSocket-Accept", ruleAnswer),
		ok("rfc-example", "the key of the RFC's example", ruleAnswer, key("dGhlIHNhbXBsZSBub25jZQ==")),
		ok("key-zeros", "a key of 16 zero bytes", ruleKey, key("AAAAAAAAAAAAAAAAAAAAAA==")),
		ok("key-ones", "a key of 16 bytes 0xff, with plus and slash in its base64", ruleKey, key("//////////////////+//w==")),
		ok("upgrade-case", "Upgrade: WebSocket", ruleCaseless, with("Upgrade", "WebSocket")),
		ok("upgrade-upper", "Upgrade: WEBSOCKET", ruleCaseless, with("Upgrade", "WEBSOCKET")),
		ok("connection-case", "Connection: upgrade", ruleCaseless, with("Connection", "upgrade")),
		ok("connection-upper", "Connection: UPGRADE", ruleCaseless, with("Connection", "UPGRADE")),
		ok("connection-list", "Connection: keep-alive, Upgrade", ruleCaseless, with("Connection", "keep-alive, Upgrade")),
		ok("connection-list-tight", "Connection: Upgrade,keep-alive", ruleCaseless, with("Connection", "Upgrade,keep-alive")),
		ok("connection-two-fields", "Connection in two fields", ruleCaseless, with("Connection", "keep-alive"), adding("Connection", "Upgrade")),
		{ID: "accepts.upgrade-list", Title: "Upgrade: h2c, websocket", Rule: ruleCaseless, steps: plan(asks(with("Upgrade", "h2c, websocket")), leftOpen(accepts()))},
		ok("field-names-lower", "field names in small letters", ruleUnknownField, renaming("Upgrade", "upgrade"), renaming("Connection", "connection"), renaming("Sec-WebSocket-Key", "sec-websocket-key"), renaming("Sec-WebSocket-Version", "sec-websocket-version")),
		ok("field-names-upper", "field names in capitals", ruleUnknownField, renaming("Host", "HOST"), renaming("Upgrade", "UPGRADE"), renaming("Sec-WebSocket-Key", "SEC-WEBSOCKET-KEY")),
		ok("unknown-fields", "fields that the protocol does not know", ruleUnknownField, with("X-Unknown", "yes"), with("Cookie", "a=b; c=d"), with("User-Agent", "conformance")),
		ok("long-field", "a field of 2000 bytes", ruleUnknownField, with("X-Long", letters(2000))),
		ok("empty-field", "a field without a value", ruleUnknownField, with("X-Empty", "")),
		ok("whitespace", "spaces and a tab around field values", ruleHTTP, with("Upgrade", " \twebsocket \t"), with("Connection", "  Upgrade  ")),
		ok("query", "a query in the request target", ruleAnswer, addingQuery("a=b&c=d%20e")),
		ok("same-origin", "an Origin that is the server's own", ruleAnswer, sameOrigin()),
	}
}

func addingQuery(query string) edit {
	return func(m *message) {
		mark := "?"
		if strings.Contains(m.line, "?") {
			mark = "&"
		}
		m.line = strings.Replace(m.line, " HTTP/1.1", mark+query+" HTTP/1.1", 1)
	}
}

func sameOrigin() edit {
	return func(m *message) { m.fields = append(m.fields, field{"Origin", "http://" + m.get("Host")}) }
}

// refusal says how strictly a refusal is judged.
type refusal int

const (
	withStatus    refusal = iota // an HTTP error is due
	withAny                      // ending the connection without an answer will do
	notUpgraded                  // any HTTP answer except 101: the request is an ordinary one
	perhapsRefuse                // accepting is not strict, since only the client is bound
)

// refuses expects an answer that is not 101.
func refuses(how refusal) Step {
	title := map[refusal]string{
		withStatus: "expect an HTTP error", withAny: "expect an HTTP error, or the end of the connection",
		notUpgraded: "expect any HTTP answer except 101", perhapsRefuse: "expect an HTTP error; accepting the request is not strict",
	}[how]
	return Step{Text: title, kind: expectation, run: func(s *session) *finding {
		if f := s.readResponse(); f != nil {
			if how == withAny {
				s.note("the connection was ended without an answer")
				return nil
			}
			s.lower(NotStrict, "the connection was ended without an HTTP answer")
			return nil
		}
		return s.judgeRefusal(how)
	}}
}

func (s *session) judgeRefusal(how refusal) *finding {
	status := s.response.status()
	switch {
	case status == 101 && how == perhapsRefuse:
		s.lower(NotStrict, "the request was accepted")
	case status == 101:
		return failure("the request was accepted: %s", s.response.line)
	case how == notUpgraded && status >= 200:
	case status >= 400 && status < 500, status == 501, status == 505:
	case status >= 500 && status < 600:
		s.lower(NotStrict, "the answer blames the server: %s", s.response.line)
	default:
		return failure("the answer was %s", s.response.line)
	}
	return nil
}

func refusedRequests() []Case {
	no := func(id, title string, rule Rule, how refusal, edits ...edit) Case {
		return Case{ID: "refuses." + id, Title: title, Rule: rule, steps: plan(asks(edits...), refuses(how))}
	}
	key := func(k string) edit { return with("Sec-WebSocket-Key", k) }
	return []Case{
		no("no-upgrade", "no Upgrade", ruleRequest, notUpgraded, without("Upgrade")),
		no("upgrade-other", "Upgrade: h2c", ruleRequest, notUpgraded, with("Upgrade", "h2c")),
		no("upgrade-prefix", "Upgrade: websocketx", ruleRequest, notUpgraded, with("Upgrade", "websocketx")),
		no("no-connection", "no Connection", ruleRequest, notUpgraded, without("Connection")),
		no("connection-other", "Connection: keep-alive", ruleRequest, notUpgraded, with("Connection", "keep-alive")),
		no("connection-prefix", "Connection: Upgraded", ruleRequest, notUpgraded, with("Connection", "Upgraded")),
		no("no-key", "no Sec-WebSocket-Key", ruleKey, withStatus, without("Sec-WebSocket-Key")),
		no("key-empty", "an empty key", ruleKey, withStatus, key("")),
		no("key-short", "a key of 15 bytes", ruleKey, withStatus, key("AAAAAAAAAAAAAAAAAAAA")),
		no("key-long", "a key of 17 bytes", ruleKey, withStatus, key("AAAAAAAAAAAAAAAAAAAAAAA=")),
		no("key-longer", "a key of 32 bytes", ruleKey, withStatus, key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
		no("key-no-base64", "a key that is not base64", ruleKey, withStatus, key("!!!!!!!!!!!!!!!!!!!!!!==")),
		no("key-no-padding", "a key without its padding", ruleKey, withStatus, key("dGhlIHNhbXBsZSBub25jZQ")),
		no("key-url-alphabet", "a key in the URL alphabet of base64", ruleKey, withStatus, key("__________________-__w==")),
		no("key-twice", "two different keys", ruleKeyOnce, withStatus, adding("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")),
		no("key-list", "two keys in one field", ruleKey, withStatus, key("dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==")),
		no("post", "POST in place of GET", ruleMethod(), withStatus, line("GET ", "POST ")),
		no("head", "HEAD in place of GET", ruleMethod(), withStatus, line("GET ", "HEAD ")),
		no("put", "PUT in place of GET", ruleMethod(), withStatus, line("GET ", "PUT ")),
		no("method-small", "get in place of GET: methods are case-sensitive", ruleMethod(), withAny, line("GET ", "get ")),
		no("http-1.0", "HTTP/1.0", ruleMethod(), notUpgraded, line("HTTP/1.1", "HTTP/1.0")),
		no("http-0.9", "HTTP/0.9", ruleMethod(), withAny, line("HTTP/1.1", "HTTP/0.9")),
		no("http-2.0", "HTTP/2.0 in a request line", ruleHTTP, withAny, line("HTTP/1.1", "HTTP/2.0")),
		no("no-host", "no Host", ruleHost, withStatus, without("Host")),
		no("host-twice", "two Host fields", ruleHost, withStatus, adding("Host", "other.example")),
	}
}

func ruleMethod() Rule {
	return rfc6455("4.1", "“The method of the request MUST be GET, and the HTTP version MUST be at least 1.1.”")
}

func versionRequests() []Case {
	row := func(id, title string, rule Rule, edits ...edit) Case {
		return Case{ID: "version." + id, Title: title, Rule: rule, steps: plan(asks(edits...), refusesVersion())}
	}
	var cases []Case
	for _, v := range []string{"14", "12", "0", "255", "99999999999999999999", "13a", "013", "-13", "1.3", "13, 14"} {
		cases = append(cases, row("value."+strings.NewReplacer(", ", "-and-").Replace(v), "Sec-WebSocket-Version: "+v, ruleVersion, with("Sec-WebSocket-Version", v)))
	}
	return append(cases,
		row("empty", "an empty Sec-WebSocket-Version", ruleVersion, with("Sec-WebSocket-Version", "")),
		row("twice", "Sec-WebSocket-Version 12 and 13 in two fields", ruleVersionOnce, with("Sec-WebSocket-Version", "12"), adding("Sec-WebSocket-Version", "13")),
		Case{ID: "version.missing", Title: "no Sec-WebSocket-Version", Rule: rfc6455("4.2.1", "“A |Sec-WebSocket-Version| header field, with a value of 13.”"), steps: plan(asks(without("Sec-WebSocket-Version")), refuses(withStatus))},
	)
}

// refusesVersion expects 426 and the versions that the server understands.
// "such as 426" lets other codes in; they are not strict.
func refusesVersion() Step {
	return Step{Text: "expect 426 with Sec-WebSocket-Version: 13; another error with that field is not strict", kind: expectation, run: func(s *session) *finding {
		if f := s.readResponse(); f != nil {
			return f
		}
		if f := s.judgeRefusal(withStatus); f != nil {
			return f
		}
		if !slices.Contains(s.response.values("Sec-WebSocket-Version"), "13") {
			return failure("%s came without a Sec-WebSocket-Version field that names 13", s.response.line)
		}
		if s.response.status() != 426 {
			s.lower(NotStrict, "the version was refused with %s in place of 426", s.response.line)
		}
		return nil
	}}
}

func subprotocolRequests() []Case {
	row := func(id, title string, rule Rule, check Step, edits ...edit) Case {
		return Case{ID: id, Title: title, Rule: rule, steps: plan(asks(edits...), accepts(), check)}
	}
	offer := func(list string) edit { return with("Sec-WebSocket-Protocol", list) }
	extend := func(list string) edit { return with("Sec-WebSocket-Extensions", list) }
	return []Case{
		row("subprotocol.not-offered", "no subprotocol is offered", ruleOfferedOnly, chosenFrom("Sec-WebSocket-Protocol")),
		row("subprotocol.unknown", "a subprotocol that nobody knows is offered", ruleOfferedOnly, chosenFrom("Sec-WebSocket-Protocol", "x-nobody-knows"), offer("x-nobody-knows")),
		row("subprotocol.list", "three subprotocols in one field", ruleOfferedOnly, chosenFrom("Sec-WebSocket-Protocol", "chat", "superchat", "x-other"), offer("chat, superchat,x-other")),
		row("subprotocol.fields", "three subprotocols in two fields", ruleOfferedOnly, chosenFrom("Sec-WebSocket-Protocol", "chat", "superchat", "x-other"), offer("chat"), adding("Sec-WebSocket-Protocol", "superchat, x-other")),
		row("extension.not-offered", "no extension is offered", ruleExtensions, chosenFrom("Sec-WebSocket-Extensions")),
		row("extension.unknown", "an extension that nobody knows is offered", ruleExtensions, chosenFrom("Sec-WebSocket-Extensions"), extend("x-nobody-knows")),
		row("extension.unknown-parameters", "an unknown extension with parameters", ruleExtensions, chosenFrom("Sec-WebSocket-Extensions"), extend(`x-nobody-knows; a; b=1; c="two"`)),
		row("extension.unknown-many", "fifty unknown extensions", ruleExtensions, chosenFrom("Sec-WebSocket-Extensions"), extend(strings.TrimSuffix(strings.Repeat("x-unknown; p=1, ", 50), ", "))),
		{ID: "extension.malformed.empty-name", Title: "an extension list that is not in the grammar: \"; a=b\"", Rule: ruleGrammar, steps: plan(asks(extend("; a=b")), refusesOrDeclines())},
		{ID: "extension.malformed.quote", Title: "an extension list with an open quote", Rule: ruleGrammar, steps: plan(asks(extend(`x-unknown; a="b`)), refusesOrDeclines())},
		{ID: "extension.malformed.comma", Title: "an extension list of commas", Rule: ruleGrammar, steps: plan(asks(extend(",,,")), anyOf101OrRefusal())},
		{ID: "subprotocol.malformed.space", Title: "a subprotocol that is no token: \"two words\"", Rule: ruleRequest, steps: plan(asks(offer("two words")), refusesOrDeclines())},
		{ID: "subprotocol.malformed.comma", Title: "a subprotocol list of commas", Rule: ruleRequest, steps: plan(asks(offer(",,,")), anyOf101OrRefusal())},
	}
}

// chosenFrom expects the answer to choose nothing that was not offered.
func chosenFrom(name string, offered ...string) Step {
	return Step{Text: "expect no " + name + " that was not offered", kind: expectation, run: func(s *session) *finding {
		for _, v := range s.response.values(name) {
			if !slices.Contains(offered, v) {
				return failure("the server chose %s %q, which was not offered", name, v)
			}
		}
		if len(s.response.values(name)) > 1 && name == "Sec-WebSocket-Protocol" {
			return failure("the server chose more than one subprotocol")
		}
		return nil
	}}
}

// refusesOrDeclines expects an error, or an answer that chooses nothing: what
// was asked has no meaning.
func refusesOrDeclines() Step {
	return Step{Text: "expect an HTTP error; an answer that chooses nothing is not strict", kind: expectation, run: func(s *session) *finding {
		if f := s.readResponse(); f != nil {
			return f
		}
		for _, name := range []string{"Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"} {
			if s.response.count(name) > 0 {
				return failure("the server answered %s: %s", name, s.response.get(name))
			}
		}
		return s.judgeRefusal(perhapsRefuse)
	}}
}

// anyOf101OrRefusal expects that nothing is chosen. RFC 6455 asks for one
// element at least, and RFC 9110, 5.6.1.2, has empty elements ignored: a list of
// none but these may be taken for no list, or refused.
func anyOf101OrRefusal() Step {
	return Step{Text: "expect an HTTP error or an answer that chooses nothing", kind: expectation, run: func(s *session) *finding {
		verdict, reason := s.verdict, s.reason
		f := refusesOrDeclines().run(s)
		if f == nil {
			s.verdict, s.reason = verdict, reason
			s.note("the answer was %s", s.response.line)
		}
		return f
	}}
}

func malformedRequests() []Case {
	raw := func(id, title string, how refusal, change func(string) string) Case {
		return Case{ID: "malformed." + id, Title: title, Rule: ruleHTTP, steps: plan(Step{
			Text: "send a request that is no HTTP: " + title, run: func(s *session) *finding {
				s.write([]byte(change(string(s.request().bytes()))))
				return nil
			}}, refuses(how))}
	}
	insert := func(l string) func(string) string {
		return func(r string) string { return strings.Replace(r, "\r\n", "\r\n"+l+"\r\n", 1) }
	}
	return []Case{
		raw("space-before-colon", "a space between a field name and its colon", withAny, insert("X-Space : yes")),
		raw("space-in-name", "a space in a field name", withAny, insert("X Space: yes")),
		raw("no-colon", "a field without a colon", withAny, insert("X-No-Colon")),
		raw("empty-name", "a field without a name", withAny, insert(": yes")),
		raw("nul-in-value", "a NUL in a field value", withAny, insert("X-Nul: a\x00b")),
		raw("control-in-name", "a control character in a field name", withAny, insert("X-\x01: yes")),
		raw("request-line", "a request line of one word", withAny, func(r string) string { return "GET\r\n" + r[strings.Index(r, "\r\n")+2:] }),
		raw("version", "a request line that ends with HTTP/x", withAny, func(r string) string { return strings.Replace(r, "HTTP/1.1", "HTTP/x", 1) }),
		raw("oversized", "a header of 2 MiB", withAny, insert("X-Oversized: "+strings.Repeat("a", 2<<20))),
		injectionCase("target", "the request target", addingQuery("x=%0d%0aX-Injected:%20yes")),
		injectionCase("subprotocol", "the subprotocol", with("Sec-WebSocket-Protocol", "chat%0d%0aX-Injected:yes")),
	}
}

// injectionCase brings an encoded line end where a server might decode it.
func injectionCase(id, where string, change edit) Case {
	return Case{
		ID: "malformed.injection." + id, Title: "a percent-encoded CR LF in " + where + " reaches no header",
		Rule: Rule{"RFC 9110", "5.5", "“Field values containing CR, LF, or NUL characters are invalid and dangerous, due to the varying ways that implementations might parse and interpret those characters”"},
		steps: plan(asks(change), Step{Text: "expect no field X-Injected in the answer", kind: expectation, run: func(s *session) *finding {
			if f := s.readResponse(); f != nil {
				return f
			}
			if s.response.count("X-Injected") > 0 {
				return failure("the answer has a field that the request brought in")
			}
			return nil
		}}),
	}
}

// deliveredRequests cut one good request in awkward ways.
func deliveredRequests() []Case {
	var cases []Case
	for _, chunk := range []int{1, 7, 50} {
		cases = append(cases, Case{
			ID: fmt.Sprintf("delivery.chunk%d", chunk), Title: fmt.Sprintf("the request %d bytes a write", chunk), Rule: ruleAnswer,
			steps: plan(Step{Text: "send the opening request " + writesOf(chunk), run: func(s *session) *finding {
				for b := range slices.Chunk(s.request().bytes(), chunk) {
					s.write(b)
				}
				return nil
			}}, accepts()),
		})
	}
	rule := rfc6455("4.1", "“Once the client's opening handshake has been sent, the client MUST wait for a response from the server before sending any further data.” A server that has read more than the handshake keeps it all the same: a stream has no borders.")
	for _, n := range []int{1, 2, 50} {
		cases = append(cases, Case{
			ID: fmt.Sprintf("delivery.pipelined.%d", n), Title: fmt.Sprintf("%d messages in one write with the request", n), Rule: rule,
			steps: plan(Step{Text: "send the request and the messages in one write", run: func(s *session) *finding {
				b := s.request().bytes()
				for range n {
					b = append(b, s.encode(text("early"))...)
				}
				s.write(b)
				return nil
			}}, earlyEchoes(n)),
		})
	}
	return cases
}

// earlyEchoes expects the echoes of frames that came with the request. Since
// the client broke a rule by sending them, a refusal is allowed; losing them is
// not.
func earlyEchoes(n int) Step {
	return Step{Text: "expect every echo; a refusal is allowed", kind: expectation, run: func(s *session) *finding {
		if f := s.readResponse(); f != nil {
			return found(Informational, "a client that does not wait is refused: %s", f.text)
		}
		if s.response.status() != 101 {
			return found(Informational, "a client that does not wait is refused with %s", s.response.line)
		}
		s.startFrames()
		for range n {
			if f := s.expectMessage(opText, []byte("early")); f != nil {
				return f
			}
		}
		return nil
	}}
}
