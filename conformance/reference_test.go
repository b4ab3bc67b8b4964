package conformance

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// fault is the one thing that a reference peer does wrong; none is "".
type fault string

// reference is a strict echo peer for the suite's own tests. It is written for
// clearness, not for use: it holds a whole message, and it is told its one
// fault.
type reference struct {
	fault   fault
	role    Role
	conn    net.Conn
	in      *bufio.Reader
	zip     *agreement
	out     *deflater
	inflate *inflater

	opcode byte
	zipped byte
	inside bool
	buffer []byte
	late   [][]byte // pongs that a fault holds back
	closed bool
}

// startReference runs a reference server until the test ends.
func startReference(t testing.TB, f fault) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			connections.Go(func() {
				stop := context.AfterFunc(ctx, func() { conn.Close() })
				defer stop()
				defer conn.Close()
				(&reference{fault: f, role: Server, conn: conn, in: bufio.NewReader(conn)}).serve()
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		ln.Close()
		connections.Wait()
	})
	return "ws://" + ln.Addr().String() + "/echo"
}

var (
	requestLine = regexp.MustCompile(`^[A-Z]+ /[^ ]* HTTP/1\.[01]$`)
	fieldLine   = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+:[^\x00]*$")
	extensions  = regexp.MustCompile(`^[-\w]+( *; *[-\w]+( *= *("[-.\w]+"|[-.\w]+))?)*( *, *[-\w]+( *; *[-\w]+( *= *("[-.\w]+"|[-.\w]+))?)*)*$`)
	tokenList   = regexp.MustCompile(`^[-%:.\w]+( *, *[-%:.\w]+)*$`)
)

// strictHead reads a request head and refuses what is not HTTP.
func strictHead(r *bufio.Reader) (*message, error) {
	var m message
	for total := 0; ; {
		l, err := r.ReadString('\n')
		if total += len(l); err != nil || total > 256<<10 {
			return nil, errors.New("too long or cut")
		}
		l = strings.TrimSuffix(l, "\r\n")
		name, value, _ := strings.Cut(l, ":")
		switch {
		case m.line == "":
			if m.line = l; !requestLine.MatchString(l) {
				return &m, errors.New("bad request line")
			}
		case l == "":
			return &m, nil
		case !fieldLine.MatchString(l):
			return &m, errors.New("bad field")
		default:
			m.fields = append(m.fields, field{name, strings.TrimSpace(value)})
		}
	}
}

func (r *reference) status(line string, fields ...string) {
	head := "HTTP/1.1 " + line + "\r\n"
	for _, f := range fields {
		head += f + "\r\n"
	}
	r.conn.Write([]byte(head + "Content-Length: 0\r\nConnection: close\r\n\r\n"))
}

func (r *reference) serve() {
	m, err := strictHead(r.in)
	if err != nil {
		r.status("400 Bad Request")
		return
	}
	switch {
	case m.get("Accept") == "text/event-stream":
		r.serveEvents(m)
	case m.count("Sec-WebSocket-Version") == 0 && m.contains("Upgrade", "WebSocket") && m.count("Origin") > 0:
		r.serveHixie(m)
	case r.accept(m):
		if r.fault == "loses-first-frame" && r.in.Buffered() > 0 {
			r.in.Discard(r.in.Buffered())
		}
		r.loop()
	}
}

// accept does the opening handshake and reports whether it took place.
func (r *reference) accept(m *message) bool {
	if refused := r.refusal(m); refused != "" {
		var fields []string
		if r.fault != "version-silent" {
			fields = []string{"Sec-WebSocket-Version: 13"}
		}
		r.status(refused, fields...)
		return false
	}
	key := m.get("Sec-WebSocket-Key")
	answer := message{line: "HTTP/1.1 101 Switching Protocols", fields: []field{
		{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", acceptKey(key)},
	}}
	if header := r.negotiate(m); header != "" {
		answer.fields = append(answer.fields, field{"Sec-WebSocket-Extensions", header})
	}
	switch r.fault {
	case "wrong-accept":
		answer.fields[2].value = acceptKey("x" + key)
	case "no-accept":
		answer.fields = answer.fields[:2]
	case "no-upgrade-field":
		answer.fields = answer.fields[1:]
	case "unasked-subprotocol":
		answer.fields = append(answer.fields, field{"Sec-WebSocket-Protocol", "chat"})
	case "unasked-extension":
		answer.fields = append(answer.fields, field{"Sec-WebSocket-Extensions", "x-webkit-deflate-frame"})
	case "injection":
		if decoded, err := url.QueryUnescape(m.target()); err == nil {
			answer.fields = append(answer.fields, field{"X-Target", decoded})
		}
	}
	r.conn.Write(answer.bytes())
	return true
}

// refusal returns the status with which a request is refused, or "".
func (r *reference) refusal(m *message) string {
	method, _, _ := strings.Cut(m.line, " ")
	raw, err := base64.StdEncoding.Strict().DecodeString(m.get("Sec-WebSocket-Key"))
	badKey := err != nil || len(raw) != 16
	if r.fault == "any-key" {
		badKey = m.get("Sec-WebSocket-Key") == ""
	}
	upgrade, connection := m.contains("Upgrade", "websocket"), m.contains("Connection", "Upgrade")
	switch r.fault {
	case "upgrade-case-sensitive":
		upgrade = slices.Contains(m.values("Upgrade"), "websocket")
	case "connection-whole":
		connection = strings.EqualFold(m.get("Connection"), "Upgrade")
	case "connection-substring":
		connection = strings.Contains(strings.ToLower(m.get("Connection")), "upgrade") || connection
	}
	goodVersion := m.count("Sec-WebSocket-Version") == 1 && m.get("Sec-WebSocket-Version") == "13"
	bad := func(name string, list *regexp.Regexp) bool {
		return m.count(name) > 0 && !list.MatchString(m.get(name))
	}
	switch {
	case m.count("Host") != 1 && r.fault != "no-host":
		return "400 Bad Request"
	case method != "GET" && r.fault != "any-method":
		return "405 Method Not Allowed"
	case strings.HasSuffix(m.line, "1.0") && r.fault != "http-1.0":
		return "505 HTTP Version Not Supported"
	case !upgrade || !connection:
		return "426 Upgrade Required"
	case !goodVersion && r.fault != "any-version":
		if r.fault == "version-400" || r.fault == "version-silent" {
			return "400 Bad Request"
		}
		return "426 Upgrade Required"
	case m.count("Sec-WebSocket-Key") != 1 || badKey:
		return "400 Bad Request"
	case bad("Sec-WebSocket-Extensions", extensions), bad("Sec-WebSocket-Protocol", tokenList):
		return "400 Bad Request"
	}
	return ""
}

// negotiate accepts the first legal offer of permessage-deflate.
func (r *reference) negotiate(m *message) string {
	for _, e := range parseExtensions(m.values("Sec-WebSocket-Extensions")) {
		if e.name != "permessage-deflate" {
			continue
		}
		answered := ""
		for i, p := range e.parameters {
			if p.name == "client_max_window_bits" && p.valued == "" {
				e.parameters[i].value, e.parameters[i].valued = "15", "valued"
			}
			if r.fault != "no-takeover-unanswered" || p.name != "server_no_context_takeover" {
				answered += "; " + p.name
				if e.parameters[i].valued != "" {
					answered += "=" + e.parameters[i].value
				}
			}
		}
		a, wrong := deflateAnswer(e)
		if wrong != "" && r.fault != "any-offer" {
			continue
		}
		if r.fault == "any-offer" && wrong != "" {
			answered = ""
		}
		r.agree(a)
		return "permessage-deflate" + answered
	}
	return ""
}

func (r *reference) agree(a agreement) {
	switch r.fault {
	case "keeps-context":
		a.serverFresh = ""
	case "forgets-context":
		a.clientFresh = "fresh"
	case "ignores-window":
		if r.role == Client {
			a.clientBits = 15
		} else {
			a.serverBits = 15
		}
	}
	r.zip = &a
	suite := map[Role]Role{Server: Client, Client: Server}[r.role]
	r.inflate, r.out = a.inflater(suite), a.deflater(suite)
}

// loop reads frames until the connection ends.
func (r *reference) loop() {
	for !r.closed {
		f, err := readFrame(r.in, mostHeld(Heavy))
		if errors.Is(err, errTooLong) {
			r.fail(1009)
		}
		if err != nil {
			return
		}
		if code := r.check(f); code != 0 {
			r.fail(code)
			return
		}
		switch {
		case f.opcode == opClose:
			r.closeFrame(f)
		case f.opcode == opPing:
			r.pong(f.payload)
		case f.opcode == opPong:
			if r.fault == "pong-to-pong" {
				r.send(opPong, f.payload)
			}
		case f.opcode <= opBinary:
			if code := r.data(f); code != 0 {
				r.fail(code)
				return
			}
		}
	}
	if r.fault == "echoes-after-close" {
		for {
			f, err := readFrame(r.in, mostHeld(Heavy))
			if err != nil {
				return
			}
			if f.opcode <= opBinary {
				r.send(opText, f.payload)
			}
		}
	}
	if r.fault == "keeps-tcp" {
		r.in.Discard(1 << 30)
	}
}

// check judges a frame by itself and returns the code to fail with, or 0.
func (r *reference) check(f received) int {
	reserved := f.reserved
	if r.zip != nil && (f.opcode == opText || f.opcode == opBinary) || r.fault == "rsv1-anywhere" && r.zip != nil {
		reserved &^= rsv1
	}
	control := f.opcode >= opClose
	switch {
	case f.masked != (r.role == Server) && r.fault != "any-masking":
		return 1002
	case reserved != 0 && r.fault != "ignores-reserved-bits":
		return 1002
	case (f.opcode > opBinary && f.opcode < opClose || f.opcode > opPong) && r.fault != "ignores-reserved-opcodes":
		return 1002
	case !f.minimal && r.fault != "any-length-form":
		return 1002
	case control && !f.final && r.fault != "fragmented-control":
		return 1002
	case control && len(f.payload) > 125 && r.fault != "long-control":
		return 1002
	}
	return 0
}

// data takes a data frame and returns the code to fail with, or 0.
func (r *reference) data(f received) int {
	switch {
	case f.opcode == opContinuation && !r.inside:
		if r.fault == "continuation-without-start" {
			r.opcode = opText
		} else {
			return 1002
		}
	case f.opcode != opContinuation && r.inside && r.fault != "start-inside":
		return 1002
	}
	if f.opcode != opContinuation {
		r.opcode, r.zipped, r.buffer = f.opcode, f.reserved&rsv1, nil
	}
	if r.fault == "utf8-per-fragment" && r.opcode == opText && r.zipped == 0 && !utf8.Valid(f.payload) {
		return 1007
	}
	r.inside = !f.final
	if r.fault == "last-fragment-only" {
		r.buffer = nil
	}
	r.buffer = append(r.buffer, f.payload...)
	if !f.final {
		return 0
	}
	payload := r.buffer
	r.buffer = nil
	if r.zipped != 0 && r.zip != nil {
		plain, err := r.inflate.message(payload, mostHeld(Heavy))
		if err != nil && strings.Contains(err.Error(), "longer") {
			return 1009
		}
		if err != nil {
			return 1007
		}
		payload = plain
	}
	if r.opcode == opText && !r.isText(payload) {
		return 1007
	}
	r.echo(payload)
	for _, p := range r.late {
		r.send(opPong, p)
	}
	r.late = nil
	return 0
}

var noncharacter = regexp.MustCompile("[\ufdd0-\ufdef]|.*[\ufffe\uffff]")

func (r *reference) isText(payload []byte) bool {
	switch r.fault {
	case "any-utf8":
		return true
	case "no-noncharacters":
		for _, c := range string(payload) {
			if c&0xfffe == 0xfffe || noncharacter.MatchString(string(c)) {
				return false
			}
		}
	case "surrogates":
		for i := 0; i+2 < len(payload); i++ {
			if payload[i] == 0xed && payload[i+1] >= 0xa0 {
				payload = append(append(slices.Clone(payload[:i]), '?'), payload[i+3:]...)
			}
		}
	}
	return utf8.Valid(payload)
}

func (r *reference) echo(payload []byte) {
	switch {
	case r.fault == "binary-only":
		r.opcode = opBinary
	case r.fault == "drops-empty" && len(payload) == 0:
		return
	case r.fault == "drops-last-byte" && len(payload) > 65535:
		payload = payload[:len(payload)-1]
	case r.fault == "echoes-twice":
		r.send(r.opcode, payload)
	}
	r.send(r.opcode, payload)
}

func (r *reference) pong(payload []byte) {
	switch {
	case r.fault == "no-pong":
	case r.fault == "empty-pong":
		r.send(opPong, nil)
	case r.fault == "pong-after-message" && r.inside:
		r.late = append(r.late, payload)
	default:
		r.send(opPong, payload)
	}
}

// send writes a frame, compressed where that was agreed.
func (r *reference) send(opcode byte, payload []byte) {
	f := frame{opcode: opcode, payload: payload}
	if r.zip != nil && opcode < opClose {
		f.payload, f.reserved = r.out.message(payload), rsv1
		if r.fault == "no-rsv1" {
			f.reserved = 0
		}
	}
	if r.fault == "long-lengths" {
		f.form = lengthSixtyFour
	}
	var key *[4]byte
	if r.role == Client && r.fault != "no-mask" || r.fault == "masks-frames" {
		key = new([4]byte)
		rand.Read(key[:])
		if r.fault == "one-key" {
			*key = [4]byte{1, 2, 3, 4}
		}
	}
	b := appendFrame(nil, f, key)
	if r.fault == "reserved-bit-set" {
		b[0] |= 0x10
	}
	r.conn.Write(b)
}

func (r *reference) fail(code int) {
	r.closed = true
	switch r.fault {
	case "fails-with-1000":
		code = 1000
	case "fails-with-1011":
		code = 1011
	case "fails-silently":
		return
	}
	r.send(opClose, closing(code, "").payload)
}

// closeFrame answers a Close frame.
func (r *reference) closeFrame(f received) {
	r.closed = true
	if r.fault == "no-close-reply" {
		return
	}
	reply := f.payload
	if len(f.payload) >= 2 {
		code := int(f.payload[0])<<8 | int(f.payload[1])
		switch {
		case len(f.payload) > 125:
			reply = f.payload[:2]
		case !mayBeSent(code) && r.fault != "any-close-code":
			r.fail(1002)
			return
		case !utf8.Valid(f.payload[2:]) && r.fault != "any-close-reason":
			r.fail(1007)
			return
		}
	}
	if len(f.payload) == 1 && r.fault != "one-byte-close" {
		r.fail(1002)
		return
	}
	if r.fault == "one-byte-close" && len(f.payload) == 1 || r.fault == "close-reply-empty" {
		reply = nil
	}
	if r.fault == "close-reply-1001" {
		reply = closing(1001, "").payload
	}
	r.send(opClose, reply)
}

// serveHixie speaks the two drafts.
func (r *reference) serveHixie(m *message) {
	prefix, answer := "", ""
	h := hixie{keys: m.values("Sec-WebSocket-Key1")}
	if m.count("Sec-WebSocket-Key1") > 0 {
		h.keys = []string{m.get("Sec-WebSocket-Key1"), m.get("Sec-WebSocket-Key2")}
		if !slices.ContainsFunc(h.keys, badHixieKey) || r.fault == "any-hixie-key" {
			body := make([]byte, 8)
			for i := range body {
				b, err := r.in.ReadByte()
				if err != nil {
					return
				}
				body[i] = b
			}
			h.body, prefix = string(body), "Sec-"
			sum := h.challenge()
			answer = string(sum[:])
		} else {
			r.status("400 Bad Request")
			return
		}
	}
	r.conn.Write([]byte("HTTP/1.1 101 WebSocket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n" +
		prefix + "WebSocket-Origin: " + m.get("Origin") + "\r\n" + prefix + "WebSocket-Location: ws://" + m.get("Host") + m.target() + "\r\n\r\n" + answer))
	r.hixieLoop()
}

// hixieLoop echoes the drafts' texts.
func (r *reference) hixieLoop() {
	for {
		kind, err := r.in.ReadByte()
		if err != nil {
			return
		}
		if kind == 0 {
			b, err := r.in.ReadBytes(0xff)
			if err != nil {
				return
			}
			r.conn.Write(append([]byte{0}, b...))
			continue
		}
		length := 0
		for {
			b, err := r.in.ReadByte()
			if err != nil {
				return
			}
			length = length<<7 | int(b&0x7f)
			if b < 0x80 {
				break
			}
		}
		if kind == 0xff && length == 0 {
			r.conn.Write([]byte{0xff, 0x00})
			return
		}
		r.in.Discard(length)
	}
}

func badHixieKey(k string) bool {
	digits := regexp.MustCompile(`[0-9]`).FindAllString(k, -1)
	n, err := strconv.ParseUint(strings.Join(digits, ""), 10, 64)
	spaces := uint64(strings.Count(k, " "))
	return err != nil || spaces == 0 || n%spaces != 0 || n/spaces > 1<<32-1
}

// serveEvents sends the events that the request carries.
func (r *reference) serveEvents(m *message) {
	u, err := url.ParseRequestURI(m.target())
	if err != nil {
		return
	}
	kind := "text/event-stream"
	if r.fault == "event-content-type" {
		kind = "text/plain"
	}
	body := ""
	if u.Query().Get("echo") == "last-event-id" {
		body = "data: " + m.get("Last-Event-ID") + "\n\n"
	}
	clean := strings.NewReplacer("\r", "", "\n", "", "\x00", "")
	if r.fault == "event-injection" {
		clean = strings.NewReplacer()
	}
	for _, raw := range u.Query()["event"] {
		var e StreamEvent
		if json.Unmarshal([]byte(raw), &e) != nil {
			return
		}
		if e.Type != "" {
			body += "event: " + clean.Replace(e.Type) + "\n"
		}
		if e.ID != "" {
			body += "id: " + clean.Replace(e.ID) + "\n"
		}
		lines := strings.Split(asReceived([]StreamEvent{e})[0].Data, "\n")
		if r.fault == "event-data-unsplit" {
			lines = []string{e.Data}
		}
		for _, l := range lines {
			body += "data: " + l + "\n"
		}
		body += "\n"
	}
	r.conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: " + kind + "\r\nConnection: close\r\n\r\n" + body))
}
