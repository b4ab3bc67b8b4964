package negotiate_test

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/chanws/websocket/negotiate"
)

// shift is a toy extension: it adds a number to every byte of a text message.
// The client offers the number, the server takes it or declines.
type shift struct{ by int }

func (shift) Name() string                        { return "x-shift" }
func (shift) Reserved() negotiate.Reserved        { return negotiate.RSV3 }
func (s shift) Client() negotiate.ClientExtension { return s }
func (s shift) Offers() [][]negotiate.Param       { return [][]negotiate.Param{s.params()} }
func (s shift) params() []negotiate.Param {
	return []negotiate.Param{{Name: "by", Value: strconv.Itoa(s.by)}}
}

// Activate accepts what was offered and nothing else.
func (s shift) Activate(answer []negotiate.Param) (negotiate.Session, error) {
	if len(answer) != 1 || answer[0] != s.params()[0] {
		return nil, errors.New("x-shift: not what was offered")
	}
	return shiftSession(s), nil
}

// Server takes the first offer it understands.
func (shift) Server(offers [][]negotiate.Param) ([]negotiate.Param, negotiate.Session, bool) {
	for _, offer := range offers {
		if len(offer) != 1 || offer[0].Name != "by" {
			continue
		}
		if by, err := strconv.Atoi(offer[0].Value); err == nil && by > 0 && by < 256 {
			return offer, shiftSession{by}, true
		}
	}
	return nil, nil, false
}

type shiftSession struct{ by int }

func (s shiftSession) Outgoing(dst []byte, m negotiate.Message) ([]byte, negotiate.Reserved, bool, error) {
	if !m.Text {
		return nil, 0, false, nil
	}
	for _, c := range m.Data {
		dst = append(dst, c+byte(s.by))
	}
	return dst, negotiate.RSV3, true, nil
}

func (s shiftSession) Incoming(dst []byte, m negotiate.Message, limit int64) ([]byte, bool, error) {
	switch {
	case m.Reserved == 0:
		return nil, false, nil
	case int64(len(m.Data)) > limit:
		return nil, false, fmt.Errorf("x-shift: %w", negotiate.ErrTooBig)
	}
	for _, c := range m.Data {
		dst = append(dst, c-byte(s.by))
	}
	return dst, true, nil
}

func (shiftSession) Close() {}

// A third party's extension goes into the options of both sides.
func ExampleExtension() {
	target, _ := negotiate.ParseURL("ws://server.example.com/chat")
	key := [16]byte([]byte("the sample nonce"))
	client, err := negotiate.Client(target, key, &negotiate.ClientOptions{Extensions: []negotiate.Extension{shift{by: 1}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, header, _ := bytes.Cut(client.AppendRequest(nil), []byte("Sec-WebSocket-Extensions: "))
	header, _, _ = bytes.Cut(header, []byte("\r\n"))

	server, err := negotiate.Server(request("Sec-WebSocket-Extensions: "+string(header)),
		&negotiate.ServerOptions{Extensions: []negotiate.Extension{shift{}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := client.Consume(server.AppendResponse(nil)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(server.Extensions())

	wire, bits, _, _ := client.Pipeline.Outgoing(nil, negotiate.Message{Text: true, Data: []byte("HAL")})
	fmt.Printf("%s, reserved bits %03b\n", wire, bits)
	text, _, err := server.Pipeline.Incoming(nil, negotiate.Message{Text: true, Reserved: bits, Data: wire}, 1<<20)
	fmt.Printf("%s, %v\n", text, err)
	// Output:
	// [{x-shift [{by 1}]}]
	// IBM, reserved bits 001
	// HAL, <nil>
}
