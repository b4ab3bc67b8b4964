package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// windowCases agree on every window there is. What the peer sends is checked
// against it byte by byte: the inflater refuses a reference that is too far.
func windowCases() []Case {
	var cases []Case
	for bits := 8; bits <= 15; bits++ {
		far := noise(1<<bits + 100)
		payload := far + far + string(jsonSample(2<<bits))
		steps := plan(zips(opBinary, payload, payload), echoes(opBinary, payload), echoes(opBinary, payload))
		cases = append(cases, Case{
			ID: fmt.Sprintf("deflate.window.server.%d", bits), Title: fmt.Sprintf("the server compresses with a window of %d bits", bits), Rule: ruleWindow,
			opening: windowOpening("server", bits), steps: steps,
		}, Case{
			ID: fmt.Sprintf("deflate.window.client.%d", bits), Title: fmt.Sprintf("the client compresses with a window of %d bits", bits), Rule: ruleWindow,
			opening: windowOpening("client", bits), steps: steps,
		})
	}
	return cases
}

func windowOpening(side string, bits int) opening {
	header := fmt.Sprintf("permessage-deflate; %s_max_window_bits=%d", side, bits)
	return opening{offer: header, answer: func(offer string) *answer {
		return answerTo(offer, header)
	}}
}

// answerTo fits the answer that a case wants to the client's first offer, which
// binds the suite as it binds any server (RFC 7692, 7.1): what the client asks
// for is granted as well, or the case is not for this client.
func answerTo(offer, wanted string) *answer {
	for _, offered := range parseExtensions(strings.Split(offer, ",")) {
		if offered.name != "permessage-deflate" {
			continue
		}
		chosen := parseExtensions([]string{wanted})[0]
		for _, p := range offered.parameters {
			if _, ok := chosen.find(p.name); !ok && p.name != "client_max_window_bits" {
				wanted += "; " + p.name
				if p.valued != "" {
					wanted += "=" + p.value
				}
			}
		}
		if why := misfit(offered, parseExtensions([]string{wanted})[0]); why != "" {
			return &answer{missing: "the client's offer does not allow it: " + why}
		}
		return &answer{header: wanted}
	}
	return &answer{missing: "the client does not offer permessage-deflate"}
}

// offerCases offer what is legal and look at the answer.
func offerCases() []Case {
	offers := []string{
		"permessage-deflate",
		"permessage-deflate; client_max_window_bits",
		"permessage-deflate; client_max_window_bits=15",
		"permessage-deflate; client_max_window_bits=9",
		"permessage-deflate; server_max_window_bits=15",
		"permessage-deflate; server_max_window_bits=9",
		`permessage-deflate; server_max_window_bits="10"`,
		"permessage-deflate; server_no_context_takeover",
		"permessage-deflate; client_no_context_takeover",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		"permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
		"permessage-deflate; client_no_context_takeover; client_max_window_bits=10",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9",
		"permessage-deflate;server_no_context_takeover;client_max_window_bits",
		"permessage-deflate; client_max_window_bits; server_max_window_bits=12, permessage-deflate; client_max_window_bits",
		"permessage-deflate; server_max_window_bits=10, permessage-deflate",
		"x-unknown, permessage-deflate",
		"permessage-deflate, x-unknown; a=1",
		"x-webkit-deflate-frame, permessage-deflate",
		"permessage-deflate; server_max_window_bits=99, permessage-deflate",
		"permessage-deflate; unknown, permessage-deflate; server_no_context_takeover",
	}
	var cases []Case
	for i, offer := range offers {
		payload := string(jsonSample(3000))
		cases = append(cases, Case{
			ID: fmt.Sprintf("deflate.offer.%s", slug(offer)), Title: "the offer " + offer, Rule: ruleAgreement(), Roles: Server,
			opening: opening{offer: offer},
			steps: plan(answerFits(offer), zips(opText, payload, payload), echoes(opText, payload), echoes(opText, payload),
				sends(text("plain")), echoes(opText, "plain")),
		})
		if slices.ContainsFunc(cases[:i], func(c Case) bool { return c.ID == cases[i].ID }) {
			cases[i].ID += "-again"
		}
	}
	return cases
}

func ruleAgreement() Rule {
	return rfc7692("7.1", "A server accepts an offer by the parameters it asks for: server_no_context_takeover is repeated; server_max_window_bits is answered with the same or a smaller value; client_max_window_bits may be in the answer only if it is in the offer.")
}

// slug makes an ID of a header value.
func slug(offer string) string {
	words := strings.FieldsFunc(offer, func(r rune) bool { return strings.ContainsRune("; ,=\"", r) })
	short := strings.NewReplacer("permessage-deflate", "pmd", "context_takeover", "takeover", "max_window_bits", "bits", "_", "-", ".", "-")
	return short.Replace(strings.Join(words, "-"))
}

// answerFits compares the server's answer with the offers it was given: it
// has to fit one of them.
func answerFits(offer string) Step {
	return Step{Text: "expect an answer that fits the offer", kind: expectation, run: func(s *session) *finding {
		got := parseExtensions(s.response.values("Sec-WebSocket-Extensions"))[0]
		var reasons []string
		for _, o := range parseExtensions(strings.Split(offer, ",")) {
			reason := misfit(o, got)
			if reason == "" {
				return nil
			}
			reasons = append(reasons, reason)
		}
		return failure("the answer %q does not fit the offer: %s", s.response.get("Sec-WebSocket-Extensions"), strings.Join(reasons, "; "))
	}}
}

// misfit says why an answer is none to this offer.
func misfit(offer, answer extension) string {
	if offer.name != "permessage-deflate" {
		return offer.name + " is another extension"
	}
	if _, ok := offer.find("unknown"); ok {
		return "the offer has a parameter that is unknown"
	}
	if _, ok := offer.find("server_no_context_takeover"); ok {
		if _, ok := answer.find("server_no_context_takeover"); !ok {
			return "server_no_context_takeover is not repeated"
		}
	}
	if p, ok := offer.find("server_max_window_bits"); ok {
		got, answered := answer.find("server_max_window_bits")
		if !answered || number(got.value) > number(p.value) || number(p.value) > 15 {
			return "server_max_window_bits is not answered with the same or a smaller value"
		}
	}
	if got, ok := answer.find("client_max_window_bits"); ok {
		p, offered := offer.find("client_max_window_bits")
		if !offered {
			return "client_max_window_bits was not offered"
		}
		if p.valued != "" && number(got.value) > number(p.value) {
			return "client_max_window_bits is larger than offered"
		}
	}
	return ""
}

func (e extension) find(name string) (parameter, bool) {
	i := slices.IndexFunc(e.parameters, func(p parameter) bool { return p.name == name })
	if i < 0 {
		return parameter{}, false
	}
	return e.parameters[i], true
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// illegalOfferCases offer what a server MUST decline.
func illegalOfferCases() []Case {
	var cases []Case
	for _, row := range []struct{ id, parameters string }{
		{"unknown-parameter", "unknown"},
		{"unknown-parameter-value", "unknown=1"},
		{"parameter-case", "Server_No_Context_Takeover"},
		{"server-takeover-value", "server_no_context_takeover=1"},
		{"client-takeover-value", "client_no_context_takeover=true"},
		{"server-takeover-twice", "server_no_context_takeover; server_no_context_takeover"},
		{"client-takeover-twice", "client_no_context_takeover; client_no_context_takeover"},
		{"server-bits-none", "server_max_window_bits"},
		{"server-bits-7", "server_max_window_bits=7"},
		{"server-bits-16", "server_max_window_bits=16"},
		{"server-bits-0", "server_max_window_bits=0"},
		{"server-bits-leading-zero", "server_max_window_bits=09"},
		{"server-bits-negative", "server_max_window_bits=-10"},
		{"server-bits-word", "server_max_window_bits=ten"},
		{"server-bits-fraction", "server_max_window_bits=10.5"},
		{"server-bits-huge", "server_max_window_bits=99999999999999999999"},
		{"server-bits-twice", "server_max_window_bits=10; server_max_window_bits=11"},
		{"client-bits-7", "client_max_window_bits=7"},
		{"client-bits-16", "client_max_window_bits=16"},
		{"client-bits-0", "client_max_window_bits=0"},
		{"client-bits-leading-zero", "client_max_window_bits=09"},
		{"client-bits-word", "client_max_window_bits=ten"},
		{"client-bits-twice", "client_max_window_bits; client_max_window_bits"},
	} {
		offer := "permessage-deflate; " + row.parameters
		cases = append(cases, Case{
			ID: "deflate.illegal-offer." + row.id, Title: "the offer " + offer, Rule: ruleDecline, Roles: Server, opening: openingByHand,
			steps: plan(asks(with("Sec-WebSocket-Extensions", offer)), declines()),
		})
	}
	return cases
}

// declines expects the handshake to succeed without the extension. Refusing
// the whole request is stricter than the rule, and not what it says.
func declines() Step {
	return Step{Text: "expect success without the extension; an HTTP error is not strict", kind: expectation, run: func(s *session) *finding {
		if f := s.readResponse(); f != nil {
			return f
		}
		status := s.response.status()
		switch {
		case s.response.count("Sec-WebSocket-Extensions") > 0:
			return failure("the server accepted: %s", s.response.get("Sec-WebSocket-Extensions"))
		case s.accepted():
			s.startFrames()
			return nil
		case status >= 400 && status < 500:
			s.lower(NotStrict, "the whole request was refused: %s", s.response.line)
			return nil
		}
		return failure("the answer was %s", s.response.line)
	}}
}

// illegalAnswerCases give answers that a client MUST refuse. A client that
// does not offer the extension has to refuse them as well; for it another
// group has the case.
func illegalAnswerCases() []Case {
	var cases []Case
	for _, row := range []struct{ id, answer string }{
		{"unknown-parameter", "permessage-deflate; unknown"},
		{"unknown-parameter-value", "permessage-deflate; unknown=1"},
		{"server-takeover-value", "permessage-deflate; server_no_context_takeover=1"},
		{"client-takeover-value", "permessage-deflate; client_no_context_takeover=1"},
		{"server-takeover-twice", "permessage-deflate; server_no_context_takeover; server_no_context_takeover"},
		{"client-takeover-twice", "permessage-deflate; client_no_context_takeover; client_no_context_takeover"},
		{"server-bits-none", "permessage-deflate; server_max_window_bits"},
		{"server-bits-7", "permessage-deflate; server_max_window_bits=7"},
		{"server-bits-16", "permessage-deflate; server_max_window_bits=16"},
		{"server-bits-leading-zero", "permessage-deflate; server_max_window_bits=09"},
		{"server-bits-word", "permessage-deflate; server_max_window_bits=ten"},
		{"server-bits-twice", "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10"},
		{"client-bits-none", "permessage-deflate; client_max_window_bits"},
		{"client-bits-7", "permessage-deflate; client_max_window_bits=7"},
		{"client-bits-16", "permessage-deflate; client_max_window_bits=16"},
		{"client-bits-word", "permessage-deflate; client_max_window_bits=ten"},
		{"extension-twice", "permessage-deflate, permessage-deflate"},
		{"other-extension", "permessage-bzip2"},
	} {
		cases = append(cases, Case{
			ID: "deflate.illegal-answer." + row.id, Title: "the answer " + row.answer, Rule: ruleBadAnswer, Roles: Client, opening: openingByHand,
			steps: plan(needsOffer(), answers(with("Sec-WebSocket-Extensions", row.answer)), givesUp()),
		})
	}
	return append(cases, Case{
		ID: "deflate.illegal-answer.client-bits-not-offered", Title: "client_max_window_bits in the answer to a client that did not offer it", Rule: ruleBadAnswer, Roles: Client, opening: openingByHand,
		steps: plan(needsOffer(), Step{Text: "go on only where the client did not offer client_max_window_bits", run: func(s *session) *finding {
			if strings.Contains(strings.Join(s.asked.values("Sec-WebSocket-Extensions"), ","), "client_max_window_bits") {
				return s.notFor("the client offers client_max_window_bits")
			}
			return nil
		}}, answers(with("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=10")), givesUp()),
	}, Case{
		ID: "deflate.client-offer", Title: "the client's own offer is a legal one", Rule: ruleDecline, Roles: Client, opening: openingByHand,
		steps: plan(needsOffer(), Step{Text: "look at the client's offer", kind: expectation, run: legalOffer}, answers(), takes()),
	})
}

func legalOffer(s *session) *finding {
	for _, e := range parseExtensions(s.asked.values("Sec-WebSocket-Extensions")) {
		if e.name != "permessage-deflate" {
			continue
		}
		for i, p := range e.parameters {
			if p.name == "client_max_window_bits" && p.valued == "" {
				e.parameters[i].value, e.parameters[i].valued = "15", "valued"
			}
		}
		if _, wrong := deflateAnswer(e); wrong != "" {
			return failure("the client's offer is not legal: %s", wrong)
		}
	}
	return nil
}

// needsOffer asks that the client offers the extension at all.
func needsOffer() Step {
	return Step{Text: "go on only where the client offers permessage-deflate", run: func(s *session) *finding {
		if !strings.Contains(strings.Join(s.asked.values("Sec-WebSocket-Extensions"), ","), "permessage-deflate") {
			return s.notFor("the client does not offer permessage-deflate")
		}
		return nil
	}}
}

// notFor ends a case that a client has not got what it takes for, in good
// order, so that its driver goes on.
func (s *session) notFor(why string) *finding {
	s.sendHead(s.reply())
	s.startFrames()
	s.finish()
	return found(Unimplemented, "%s", why)
}
