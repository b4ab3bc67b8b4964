package websocket_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/chanws/websocket"
)

// What RFC 6455 says a peer must not send, and the close code for it. The frames are
// a server's; those of a client are made of them by masking.
var violations = []struct {
	section, name string
	frames        []string
	code          int
	only          string // the role of the connection, where the frame is sent as it is
}{
	{"5.1", "a client's frame is not masked", []string{"81 02 68 69"}, 1002, "server"},
	{"5.1", "a client's ping is not masked", []string{"89 00"}, 1002, "server"},
	{"5.1", "a client's close frame is not masked", []string{"88 02 03 e8"}, 1002, "server"},
	{"5.1", "a server's frame is masked", []string{"81 82 00 00 00 00 68 69"}, 1002, "client"},
	{"5.1", "a server's close frame is masked", []string{"88 82 00 00 00 00 03 e8"}, 1002, "client"},
	{"5.2", "RSV1 without an extension", []string{"c1 01 61"}, 1002, ""},
	{"5.2", "RSV2 without an extension", []string{"a1 01 61"}, 1002, ""},
	{"5.2", "RSV3 without an extension", []string{"91 01 61"}, 1002, ""},
	{"5.2", "all reserved bits on binary", []string{"f2 01 61"}, 1002, ""},
	{"5.2", "RSV1 on a ping", []string{"c9 00"}, 1002, ""},
	{"5.2", "RSV2 on a close frame", []string{"a8 02 03 e8"}, 1002, ""},
	{"5.2", "RSV3 on a continuation", []string{"01 01 61", "90 01 62"}, 1002, ""},
	{"5.2", "reserved opcode 3", []string{"83 00"}, 1002, ""},
	{"5.2", "reserved opcode 4", []string{"84 01 61"}, 1002, ""},
	{"5.2", "reserved opcode 5", []string{"85 00"}, 1002, ""},
	{"5.2", "reserved opcode 6", []string{"86 00"}, 1002, ""},
	{"5.2", "reserved opcode 7", []string{"07 00"}, 1002, ""},
	{"5.2", "reserved control opcode 11", []string{"8b 00"}, 1002, ""},
	{"5.2", "reserved control opcode 12", []string{"8c 00"}, 1002, ""},
	{"5.2", "reserved control opcode 13", []string{"8d 00"}, 1002, ""},
	{"5.2", "reserved control opcode 14", []string{"8e 00"}, 1002, ""},
	{"5.2", "reserved control opcode 15", []string{"8f 01 61"}, 1002, ""},
	{"5.2", "16-bit length of 1", []string{"82 7e 00 01 61"}, 1002, ""},
	{"5.2", "16-bit length of 125", []string{"82 7e 00 7d"}, 1002, ""},
	{"5.2", "64-bit length of 0", []string{"82 7f 00 00 00 00 00 00 00 00"}, 1002, ""},
	{"5.2", "64-bit length of 65535", []string{"82 7f 00 00 00 00 00 00 ff ff"}, 1002, ""},
	{"5.2", "most significant bit of the length", []string{"82 7f 80 00 00 00 00 01 00 00"}, 1002, ""},
	{"5.4", "continuation of nothing", []string{"80 01 61"}, 1002, ""},
	{"5.4", "first fragment is a continuation", []string{"00 01 61", "80 01 62"}, 1002, ""},
	{"5.4", "text within a text", []string{"01 01 61", "81 01 62"}, 1002, ""},
	{"5.4", "binary within a text", []string{"01 01 61", "82 01 62"}, 1002, ""},
	{"5.4", "fragment of a text within a binary", []string{"02 01 61", "01 01 62"}, 1002, ""},
	{"5.5", "fragmented ping", []string{"09 01 61", "80 01 62"}, 1002, ""},
	{"5.5", "fragmented pong", []string{"0a 00"}, 1002, ""},
	{"5.5", "fragmented close frame", []string{"08 02 03 e8"}, 1002, ""},
	{"5.5", "ping with 126 bytes", []string{"89 7e 00 7e" + strings.Repeat("61", 126)}, 1002, ""},
	{"5.5", "pong with a 64-bit length", []string{"8a 7f 00 00 00 00 00 01 00 00"}, 1002, ""},
	{"5.5", "close frame with 126 bytes", []string{"88 7e 00 7e 03 e8" + strings.Repeat("61", 124)}, 1002, ""},
	{"5.5.1", "close frame with one byte", []string{"88 01 03"}, 1002, ""},
	{"5.5.1", "close reason is not UTF-8", []string{"88 03 03 e8 ff"}, 1007, ""},
	{"5.5.1", "close reason ends within a character", []string{"88 04 03 e8 e2 82"}, 1007, ""},
	{"7.4", "close code 0", []string{"88 02 00 00"}, 1002, ""},
	{"7.4", "close code 999", []string{"88 02 03 e7"}, 1002, ""},
	{"7.4", "close code 1004", []string{"88 02 03 ec"}, 1002, ""},
	{"7.4", "close code 1005", []string{"88 02 03 ed"}, 1002, ""},
	{"7.4", "close code 1006", []string{"88 02 03 ee"}, 1002, ""},
	{"7.4", "close code 1015", []string{"88 02 03 f7"}, 1002, ""},
	{"7.4", "close code 1016", []string{"88 02 03 f8"}, 1002, ""},
	{"7.4", "close code 2999", []string{"88 02 0b b7"}, 1002, ""},
	{"7.4", "close code 5000", []string{"88 02 13 88"}, 1002, ""},
	{"7.4", "close code 65535", []string{"88 02 ff ff"}, 1002, ""},
	{"8.1", "text is not UTF-8", []string{"81 03 61 ff 62"}, 1007, ""},
	{"8.1", "text with a surrogate", []string{"81 03 ed a0 80"}, 1007, ""},
	{"8.1", "text with an overlong slash", []string{"81 02 c0 af"}, 1007, ""},
	{"8.1", "text above U+10FFFF", []string{"81 04 f4 90 80 80"}, 1007, ""},
	{"8.1", "text ends within a character", []string{"81 02 61 c3"}, 1007, ""},
	{"8.1", "text not UTF-8 over fragments", []string{"01 02 61 e2", "00 01 82", "80 01 2e"}, 1007, ""},
	{"8.1", "last fragment ends within a character", []string{"01 01 e2", "80 01 82"}, 1007, ""},
	{"8.1", "the first wrong byte of a text that goes on", []string{"01 7e 04 00 61 ed a0"}, 1007, ""},
	{"7.4.1", "message over the limit", []string{"82 7e 04 01"}, 1009, ""},
	{"7.4.1", "message of 2^32 bytes", []string{"82 7f 00 00 00 01 00 00 00 00"}, 1009, ""},
	{"7.4.1", "message of 2^63-1 bytes", []string{"81 7f 7f ff ff ff ff ff ff ff"}, 1009, ""},
	{"7.4.1", "message over the limit by its fragments", []string{"02 7e 04 00" + strings.Repeat("61", 1024), "80 01 61"}, 1009, ""},
	{"7.4.1", "lengths of fragments that overflow", []string{"02 01 61", "80 7f 7f ff ff ff ff ff ff ff"}, 1009, ""},
}

func TestHostilePeer(t *testing.T) {
	for _, v := range violations {
		t.Run(v.section+" "+v.name, func(t *testing.T) {
			on(t, append(slices.Clone(sockets), pipes...), func(t *testing.T, l link) {
				if v.only != "" && v.only != l.role {
					return
				}
				c, p := open(t, l, websocket.AcceptOptions{MaxMessageSize: 1024})
				p.sendFrame(0x81, "first")
				p.sendFrame(0x01, "sec")
				p.sendFrame(0x80, "ond")
				var b []byte
				for _, f := range v.frames {
					if p.masks && v.only == "" {
						b = append(b, mask(unhex(f))...)
					} else {
						b = append(b, unhex(f)...)
					}
				}
				go p.conn.Write(b) // which may not be read to its end
				p.wantClose(v.code)
				p.hangUp()
				wantMessage(t, c, "first")
				wantMessage(t, c, "second")
				wantNoMessage(t, c)
				event := wantClosed(t, c, websocket.StatusCode(v.code))
				if event.Clean {
					t.Errorf("closed with %+v: not clean", event)
				}
				for where, err := range map[string]error{"Closed": event.Err, "Errors": wantErrorAs[*websocket.ProtocolError](t, c)} {
					var broken *websocket.ProtocolError
					if !errors.As(err, &broken) || int(broken.Code) != v.code || !strings.HasSuffix(broken.Section, "section "+v.section) {
						t.Errorf("%s: %v, want code %d and section %s", where, err, v.code, v.section)
					}
					if (v.code == 1009) != errors.Is(err, websocket.ErrMessageTooBig) {
						t.Errorf("%s: %v, ErrMessageTooBig", where, err)
					}
				}
			})
		})
	}
}

// What looks odd and is right.
func TestOddButRight(t *testing.T) {
	for _, test := range []struct {
		name   string
		frames []string
		want   []string
	}{
		{"empty text", []string{"81 00"}, []string{""}},
		{"empty fragments", []string{"01 00", "00 00", "80 00"}, []string{""}},
		{"a character over three fragments", []string{"01 01 e2", "00 01 82", "80 01 ac"}, []string{"€"}},
		{"a pong between fragments", []string{"01 01 61", "8a 00", "80 01 62"}, []string{"ab"}},
		{"a pong that nobody asked for", []string{"8a 01 61", "81 01 62"}, []string{"b"}},
		{"NUL in a text", []string{"81 01 00"}, []string{"\x00"}},
		{"a noncharacter in a text", []string{"81 03 ef bf bf"}, []string{"\uffff"}},
		{"exactly the limit", []string{"82 7e 04 00" + strings.Repeat("61", 1024)}, []string{strings.Repeat("a", 1024)}},
		{"16-bit length of 126", []string{"82 7e 00 7e" + strings.Repeat("61", 126)}, []string{strings.Repeat("a", 126)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			on(t, sockets, func(t *testing.T, l link) {
				c, p := open(t, l, websocket.AcceptOptions{MaxMessageSize: 1024})
				for _, f := range test.frames {
					b := unhex(f)
					if p.masks {
						b = mask(b)
					}
					p.write(b)
				}
				for _, want := range test.want {
					wantMessage(t, c, want)
				}
				p.sendClose(1000, "")
				p.wantClose(1000)
				p.hangUp()
				wantClosed(t, c, 1000)
			})
		})
	}
}

// Close codes that a peer may send are answered with the same.
func TestCloseCodesAreAnswered(t *testing.T) {
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		on(t, sockets, func(t *testing.T, l link) {
			c, p := open(t, l, websocket.AcceptOptions{})
			p.sendClose(code, "why")
			p.wantClose(code)
			if l.role == "server" {
				p.wantEOF() // "the server MUST close the TCP connection first"
			}
			p.hangUp()
			if e := wantClosed(t, c, websocket.StatusCode(code)); !e.Clean || e.Reason != "why" {
				t.Errorf("closed with %+v", e)
			}
		})
	}
}

// A peer that breaks a rule and is gone before it can be told has still broken it.
func TestHostilePeerThatIsGone(t *testing.T) {
	on(t, pipes, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		p.send("ff") // an opcode and reserved bits that nobody knows
		p.hangUp()
		event := wantClosed(t, c, websocket.StatusProtocolError)
		var broken *websocket.ProtocolError
		if !errors.As(event.Err, &broken) {
			t.Errorf("closed with %+v, want the rule that was broken", event)
		}
	})
}

// The code of the rule goes out also where a close frame of our own still waits in
// the queue, which is dropped.
func TestHostilePeerWhileClosing(t *testing.T) {
	timed(t, func(t *testing.T, l link) {
		c, p := open(t, l, websocket.AcceptOptions{})
		for _, s := range []string{"under way", "queued"} {
			c.TrySend(websocket.Text(s))
			synctest.Wait()
		}
		closing := result(func() error { return c.Close(context.Background(), 1000, "") })
		synctest.Wait()
		p.send("ff")
		synctest.Wait()
		p.wantFrame(0x81, "under way")
		p.wantClose(1002)
		p.hangUp()
		var broken *websocket.ProtocolError
		if err := <-closing; !errors.As(err, &broken) {
			t.Errorf("Close: %v", err)
		}
		wantClosed(t, c, 1002)
	})
}
