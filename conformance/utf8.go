package conformance

import (
	"fmt"
	"strings"
)

var (
	ruleUTF8     = rfc6455("8.1", "“When an endpoint is to interpret a byte stream as UTF-8 but finds that the byte stream is not, in fact, a valid UTF-8 stream, that endpoint MUST _Fail the WebSocket Connection_.”")
	ruleTextUTF8 = rfc6455("5.6", `“The "Payload data" is text data encoded as UTF-8. Note that a particular text frame might include a partial UTF-8 sequence; however, the whole message MUST contain valid UTF-8.”`)
	ruleAnyBytes = rfc6455("5.6", `“The "Payload data" is arbitrary binary data whose interpretation is solely up to the application layer.”`)
)

// sequence is a string of bytes that is UTF-8, or is not.
type sequence struct{ name, bytes string }

// validSequences are the corners of RFC 3629: the first and last code points
// of every length, the neighbours of the surrogates, noncharacters (which are
// valid), and text in several scripts.
func validSequences() []sequence {
	list := []sequence{
		{"nul", "\x00"}, {"ascii-last", "\x7f"},
		{"two-first", "\u0080"}, {"two-last", "\u07ff"},
		{"three-first", "\u0800"}, {"three-last", "\uffff"},
		{"four-first", "\U00010000"}, {"four-last", "\U0010ffff"},
		{"before-surrogates", "\ud7ff"}, {"after-surrogates", "\ue000"},
		{"replacement", "\ufffd"}, {"byte-order-mark", "\ufeff"}, {"byte-order-mark-inside", "a\ufeffb"},
		{"e1-first", "\u1000"}, {"ec-last", "\ucfff"}, {"ed-first", "\ud000"}, {"ee-first", "\ue000\uefff"},
		{"f1-first", "\U00040000"}, {"f3-last", "\U000fffff"}, {"f4-first", "\U00100000"},
		{"greek", "κόσμε"}, {"mixed", "Hello-µ@ßöäüàá-UTF-8!!"}, {"cyrillic", "Съешь ещё этих мягких булок"},
		{"chinese", "視野無限廣，窗外有藍天"}, {"hebrew", "דג סקרן שט בים"}, {"emoji", "👩‍👩‍👧‍👦 🏳️‍🌈"}, {"combining", "Z\u0351\u0343a\u0324l\u0330g\u033co"},
		{"all-lengths", "a\u00e9\u20ac\U0001d11e"}, {"all-lengths-twice", "\U0001d11e\u20ac\u00e9aa\u00e9\u20ac\U0001d11e"},
	}
	for plane := rune(0); plane <= 16; plane++ {
		for _, last := range []rune{0xfffe, 0xffff} {
			r := plane<<16 | last
			list = append(list, sequence{fmt.Sprintf("nonchar-%x", r), string(r)})
		}
	}
	for _, r := range []rune{0xfdd0, 0xfdef} {
		list = append(list, sequence{fmt.Sprintf("nonchar-%x", r), string(r)})
	}
	return list
}

// invalidSequences are what RFC 3629 forbids, row by row of its section 4.
func invalidSequences() []sequence {
	var list []sequence
	add := func(name string, b ...byte) {
		list = append(list, sequence{name, string(b)})
	}
	for b := 0x80; b <= 0xbf; b++ {
		add(fmt.Sprintf("lone-continuation-%x", b), byte(b))
	}
	for b := 0xc0; b <= 0xff; b++ {
		add(fmt.Sprintf("lone-start-%x", b), byte(b), ' ')
	}
	for n := 2; n <= 6; n++ {
		add(fmt.Sprintf("continuations-%d", n), []byte(strings.Repeat("\x80", n))...)
	}
	list = append(list, overlongSequences()...)
	list = append(list, surrogateSequences()...)
	list = append(list, truncatedSequences()...)
	return append(list,
		sequence{"above-110000", "\xf4\x90\x80\x80"}, sequence{"above-13ffff", "\xf4\xbf\xbf\xbf"},
		sequence{"above-140000", "\xf5\x80\x80\x80"}, sequence{"above-1fffff", "\xf7\xbf\xbf\xbf"},
		sequence{"five-first", "\xf8\x88\x80\x80\x80"}, sequence{"five-last", "\xfb\xbf\xbf\xbf\xbf"},
		sequence{"six-first", "\xfc\x84\x80\x80\x80\x80"}, sequence{"six-last", "\xfd\xbf\xbf\xbf\xbf\xbf"},
		sequence{"fe-fe-ff-ff", "\xfe\xfe\xff\xff"}, sequence{"latin-1", "caf\xe9 au lait"},
		sequence{"utf-16", "\xff\xfeh\x00i\x00"}, sequence{"greek-and-surrogate", "κόσμε\xed\xa0\x80edited"},
		sequence{"greek-and-above", "κόσμε\xf4\x90\x80\x80edited"}, sequence{"continuation-too-many", "\u20ac\x80"},
		sequence{"good-then-bad", "Hello-µ@ßöäüàá-UTF-8!!\xff"}, sequence{"bad-then-good", "\xffHello-µ@ßöäüàá-UTF-8!!"},
	)
}

// overlongSequences write a character in more bytes than it needs.
func overlongSequences() []sequence {
	return []sequence{
		{"overlong-2-slash", "\xc0\xaf"}, {"overlong-3-slash", "\xe0\x80\xaf"}, {"overlong-4-slash", "\xf0\x80\x80\xaf"},
		{"overlong-5-slash", "\xf8\x80\x80\x80\xaf"}, {"overlong-6-slash", "\xfc\x80\x80\x80\x80\xaf"},
		{"overlong-2-max", "\xc1\xbf"}, {"overlong-3-max", "\xe0\x9f\xbf"}, {"overlong-4-max", "\xf0\x8f\xbf\xbf"},
		{"overlong-5-max", "\xf8\x87\xbf\xbf\xbf"}, {"overlong-6-max", "\xfc\x83\xbf\xbf\xbf\xbf"},
		{"overlong-2-nul", "\xc0\x80"}, {"overlong-3-nul", "\xe0\x80\x80"}, {"overlong-4-nul", "\xf0\x80\x80\x80"},
		{"overlong-5-nul", "\xf8\x80\x80\x80\x80"}, {"overlong-6-nul", "\xfc\x80\x80\x80\x80\x80"},
	}
}

// surrogateSequences encode the halves of UTF-16, which are no characters.
func surrogateSequences() []sequence {
	var list []sequence
	singles := map[string]string{
		"d800": "\xed\xa0\x80", "db7f": "\xed\xad\xbf", "db80": "\xed\xae\x80", "dbff": "\xed\xaf\xbf",
		"dc00": "\xed\xb0\x80", "df80": "\xed\xbe\x80", "dfff": "\xed\xbf\xbf",
	}
	for _, name := range []string{"d800", "db7f", "db80", "dbff", "dc00", "df80", "dfff"} {
		list = append(list, sequence{"surrogate-" + name, singles[name]})
	}
	for _, high := range []string{"d800", "db7f", "db80", "dbff"} {
		for _, low := range []string{"dc00", "dfff"} {
			list = append(list, sequence{"surrogates-" + high + "-" + low, singles[high] + singles[low]})
		}
	}
	return list
}

// truncatedSequences lack their last bytes, at the end of the text and inside
// it.
func truncatedSequences() []sequence {
	var list []sequence
	for _, s := range []sequence{
		{"two-first", "\u0080"}, {"two-last", "\u07ff"}, {"three-first", "\u0800"}, {"three-last", "\uffff"},
		{"four-first", "\U00010000"}, {"four-last", "\U0010ffff"},
	} {
		for cut := 1; cut < len(s.bytes); cut++ {
			name := fmt.Sprintf("truncated-%s-to-%d", s.name, len(s.bytes)-cut)
			part := s.bytes[:len(s.bytes)-cut]
			list = append(list, sequence{name, part}, sequence{name + "-inside", part + "x"}, sequence{name + "-doubled", part + s.bytes})
		}
	}
	return list
}

func utf8Cases() []Case {
	var cases []Case
	for _, s := range validSequences() {
		cases = append(cases, validTextCases(s)...)
	}
	for _, s := range invalidSequences() {
		cases = append(cases, invalidTextCases(s)...)
	}
	cases = append(cases, failFastCases()...)
	return append(cases, Case{
		ID: "utf8.binary", Title: "a binary message with bytes that are no UTF-8", Rule: ruleAnyBytes,
		steps: plan(sends(binaryFrame("\xff\xfe\xed\xa0\x80\xc0")), echoes(opBinary, "\xff\xfe\xed\xa0\x80\xc0")),
	}, Case{
		ID: "utf8.binary.fragments", Title: "a fragmented binary message with bytes that are no UTF-8", Rule: ruleAnyBytes,
		steps: plan(sends(split(opBinary, "\xff", "\xed", "\xa0")...), echoes(opBinary, "\xff\xed\xa0")),
	}, Case{
		ID: "utf8.state-is-reset", Title: "a message that ends with a four-byte character, then one that begins with another", Rule: ruleTextUTF8,
		steps: plan(sends(split(opText, "a\xf0", "\x9d\x84\x9e")...), sends(text("\U0001d11e")), echoes(opText, "a\U0001d11e"), echoes(opText, "\U0001d11e")),
	}, Case{
		ID: "utf8.ping-inside-character", Title: "a ping between the bytes of one character", Rule: ruleTextUTF8,
		steps: plan(sends(split(opText, "\xf0\x9d", "\x84\x9e")[0], ping("\xff"), continuation("\x84\x9e")), pongs("\xff"), echoes(opText, "\U0001d11e")),
	})
}

// bytesOf cuts a text into its bytes, each a fragment.
func bytesOf(s string) []string {
	parts := make([]string, len(s))
	for i := range parts {
		parts[i] = s[i : i+1]
	}
	return parts
}

func validTextCases(s sequence) []Case {
	id, title := "utf8.valid."+s.name, fmt.Sprintf("valid UTF-8 (% x)", cutText(s.bytes))
	return []Case{{
		ID: id, Title: title + " in one frame", Rule: ruleTextUTF8,
		steps: plan(sends(text(s.bytes)), echoes(opText, s.bytes)),
	}, {
		ID: id + ".fragments", Title: title + ", every byte in a frame of its own", Rule: ruleTextUTF8,
		steps: plan(sends(split(opText, append(bytesOf(s.bytes), "")...)...), echoes(opText, s.bytes)),
	}, {
		ID: id + ".chunk1", Title: title + " in one frame, one byte a write", Rule: ruleTextUTF8,
		steps: plan(sendsChunked(1, text(s.bytes)), echoes(opText, s.bytes)),
	}}
}

func cutText(s string) string { return s[:min(len(s), 16)] }

func invalidTextCases(s sequence) []Case {
	id, title := "utf8.invalid."+s.name, fmt.Sprintf("not UTF-8 (% x)", cutText(s.bytes))
	cases := []Case{{
		ID: id, Title: title + " in one frame", Rule: ruleUTF8,
		steps: plan(sends(text(s.bytes)), fails(1007)),
	}}
	if strings.HasPrefix(s.name, "lone-") {
		return cases
	}
	return append(cases, Case{
		ID: id + ".fragments", Title: title + ", every byte in a frame of its own", Rule: ruleUTF8,
		steps: plan(sends(split(opText, append(bytesOf(s.bytes), "")...)...), fails(1007)),
	}, Case{
		ID: id + ".chunk1", Title: title + " in one frame, one byte a write", Rule: ruleUTF8,
		steps: plan(sendsChunked(1, text(s.bytes)), fails(1007)),
	})
}

// failFastCases note when a peer finds out: at the wrong byte, at the end of
// its frame, or at the end of the message. The RFC asks for none of them.
func failFastCases() []Case {
	var cases []Case
	for _, s := range []sequence{
		{"surrogate", "κόσμε\xed\xa0\x80"}, {"above", "κόσμε\xf4\x90"}, {"overlong", "κόσμε\xc0"},
		{"lone-continuation", "κόσμε\x80"}, {"impossible", "κόσμε\xff"}, {"overlong-3", "κόσμε\xe0\x80"},
	} {
		whole := text(s.bytes + "edited").open()
		cases = append(cases, Case{
			ID: "utf8.fail-fast.frame." + s.name, Title: "a wrong byte in the first fragment, then the rest of the message", Rule: ruleUTF8,
			steps: plan(sends(whole), pauses("at the end of the frame with the wrong byte"), sends(continuation("rest")), pauses("at the end of the message"), fails(1007)),
		}, failFastInFrame(s))
	}
	return cases
}

// failFastInFrame stops in the middle of a frame, just behind the wrong byte.
func failFastInFrame(s sequence) Case {
	const rest = "edited"
	part := func(from, to int) Step {
		var encoded []byte
		return Step{Text: fmt.Sprintf("send bytes %d to %d of the frame's payload", from, to), run: func(s2 *session) *finding {
			encoded = s2.encode(text(s.bytes + rest).keyed([4]byte{1, 2, 3, 4}).masked(s2.fixedMask()))
			head := len(encoded) - len(s.bytes) - len(rest)
			if from == 0 {
				s2.write(encoded[:head])
			}
			s2.write(encoded[head+from : head+to])
			return nil
		}}
	}
	n := len(s.bytes)
	return Case{
		ID: "utf8.fail-fast.byte." + s.name, Title: "a frame that stops for a moment behind its wrong byte", Rule: ruleUTF8,
		steps: plan(part(0, n), pauses("at the wrong byte"), part(n, n+len(rest)), pauses("at the end of the frame"), fails(1007)),
	}
}

// fixedMask masks with the frame's own key where the role asks for a mask, so
// that a frame can be sent in parts.
func (s *session) fixedMask() masking {
	if s.role == Server {
		return maskWithKey
	}
	return maskNever
}
