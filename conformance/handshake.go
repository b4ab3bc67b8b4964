package conformance

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// request builds a correct opening request (RFC 6455, 4.1; over HTTP/2 RFC 8441, 5).
func (s *session) request(edits ...edit) message {
	if s.stream != nil {
		return message{line: "CONNECT " + s.target.path + " HTTP/2", fields: []field{
			{"Sec-WebSocket-Version", "13"},
		}}.changed(edits)
	}
	raw := make([]byte, 16)
	for i := range raw {
		raw[i] = byte(s.random.Uint32())
	}
	m := message{line: "GET " + s.target.path + " HTTP/1.1", fields: []field{
		{"Host", s.target.host},
		{"Upgrade", "websocket"},
		{"Connection", "Upgrade"},
		{"Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(raw)},
		{"Sec-WebSocket-Version", "13"},
	}}.changed(edits)
	s.key = m.get("Sec-WebSocket-Key")
	return m
}

// reply builds a correct answer to the client's request (RFC 6455, 4.2.2).
func (s *session) reply(edits ...edit) message {
	if s.stream != nil {
		return message{line: "HTTP/2 200"}.changed(edits)
	}
	return message{line: "HTTP/1.1 101 Switching Protocols", fields: []field{
		{"Upgrade", "websocket"},
		{"Connection", "Upgrade"},
		{"Sec-WebSocket-Accept", acceptKey(s.asked.get("Sec-WebSocket-Key"))},
	}}.changed(edits)
}

// open brings a session to the state in which most cases begin.
func (s *session) open(o opening) *finding {
	if o.kind == openingRaw {
		return nil
	}
	if s.role == Server {
		return s.openToServer(o)
	}
	return s.openToClient(o)
}

func (s *session) openToServer(o opening) *finding {
	var edits []edit
	if o.offer != "" {
		edits = append(edits, with("Sec-WebSocket-Extensions", o.offer))
	}
	s.sendHead(s.request(edits...))
	if f := s.readResponse(); f != nil {
		return found(Undecided, "the opening handshake failed: %s", f.text)
	}
	if !s.accepted() && o.offer != "" {
		return s.offerRefused()
	}
	if !s.accepted() {
		return found(Undecided, "the opening handshake failed: %s", s.response.line)
	}
	if o.offer != "" {
		if f := s.readAgreement(); f != nil {
			return f
		}
	}
	s.startFrames()
	return nil
}

// offerRefused judges a server that answers a legal offer with an error in
// place of declining it.
func (s *session) offerRefused() *finding {
	if s.response.status() >= 500 {
		return failure("the server failed on a legal offer: %s", s.response.line)
	}
	return found(NotStrict, "the server refused the whole request for its offer: %s", s.response.line)
}

// readAgreement takes the server's answer to an offer of permessage-deflate.
func (s *session) readAgreement() *finding {
	list := parseExtensions(s.response.values("Sec-WebSocket-Extensions"))
	if len(list) == 0 {
		return found(Unimplemented, "the server declined the offer")
	}
	if len(list) > 1 || list[0].name != "permessage-deflate" {
		return failure("the server answered with extensions that were not offered: %s", s.response.get("Sec-WebSocket-Extensions"))
	}
	a, wrong := deflateAnswer(list[0])
	if wrong != "" {
		return failure("the server's answer is not valid: %s", wrong)
	}
	s.agree(a)
	return nil
}

func (s *session) agree(a agreement) {
	s.zip = &a
	s.deflater = a.deflater(s.role)
}

func (s *session) openToClient(o opening) *finding {
	var edits []edit
	if o.answer != nil {
		offer := strings.Join(s.asked.values("Sec-WebSocket-Extensions"), ", ")
		chosen := o.answer(offer)
		if chosen.missing != "" {
			return s.notFor(chosen.missing)
		}
		a, wrong := deflateAnswer(parseExtensions([]string{chosen.header})[0])
		if wrong != "" {
			return found(Undecided, "the suite's own answer is not valid: %s", wrong)
		}
		s.agree(a)
		edits = append(edits, with("Sec-WebSocket-Extensions", chosen.header))
	}
	s.sendHead(s.reply(edits...))
	s.startFrames()
	return nil
}

// sendHead sends the head of a request or a response, in the way of the carrier.
func (s *session) sendHead(m message) {
	if s.stream == nil {
		s.write(m.bytes())
		return
	}
	s.log.remark("send %s %v", m.line, m.fields)
	if err := s.stream.sendHead(m, s.target); err != nil {
		s.log.remark("writing: %v", err)
	}
}

// accepted reports whether the server's answer opens the connection.
func (s *session) accepted() bool {
	if s.stream != nil {
		return s.response.status()/100 == 2
	}
	return s.response.status() == 101
}

// readResponse reads the head of the server's answer.
func (s *session) readResponse() *finding {
	head, err := s.readHead()
	if err != nil {
		return failure("no answer to the request: %v", err)
	}
	s.response = head
	return nil
}

func (s *session) readHead() (*message, error) {
	if s.stream == nil {
		return readHead(s.reader)
	}
	m, err := s.stream.readHead()
	if err == nil {
		s.log.remark("the peer sent %s %v", m.line, m.fields)
	}
	return m, err
}

// target is the server under test.
type target struct {
	scheme  string // "ws" or "wss"
	address string // host and port to connect to
	host    string // for the Host field
	path    string
}

// String returns the target's URL.
func (t target) String() string { return fmt.Sprintf("%s://%s%s", t.scheme, t.host, t.path) }
