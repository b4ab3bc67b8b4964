package codec

import "time"

// A streamVector is a stream, byte by byte, and all that comes of it: the
// events, the last event ID string at its end and the retry in effect.
type streamVector struct {
	name  string
	in    string
	want  []Event
	last  string
	retry time.Duration // 0 for none, unless zero is set
	zero  bool
}

func msg(data string) Event                { return Event{Type: "message", Data: data} }
func idMsg(data, id string) Event          { return Event{Type: "message", Data: data, ID: id} }
func typed(typ, data string) Event         { return Event{Type: typ, Data: data} }
func events(list ...Event) []Event         { return list }
func full(typ, data, id string) Event      { return Event{Type: typ, Data: data, ID: id} }
func millis(n time.Duration) time.Duration { return n * time.Millisecond }

const (
	bom = "\xEF\xBB\xBF"
	rep = "\xEF\xBF\xBD"
)

// streamVectors follows WHATWG HTML, section 9.2.5 (the grammar) and 9.2.6 (the
// interpretation), and Encoding, section 8.1.1 (the UTF-8 decoder).
var streamVectors = []streamVector{
	// The examples of section 9.2.6.
	{name: "standard: stocks", in: "data: YHOO\ndata: +2\ndata: 10\n\n", want: events(msg("YHOO\n+2\n10"))},
	{name: "standard: four blocks", in: ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
		want: events(idMsg("first event", "1"), msg("second event"), msg(" third event"))},
	{name: "standard: two events of three", in: "data\n\ndata\ndata\n\ndata:", want: events(msg(""), msg("\n"))},
	{name: "standard: space is ignored", in: "data:test\n\ndata: test\n\n", want: events(msg("test"), msg("test"))},
	{name: "standard: first example", in: "data: This is the first message.\n\ndata: This is the second message, it\ndata: has two lines.\n\n",
		want: events(msg("This is the first message."), msg("This is the second message, it\nhas two lines."))},
	{name: "standard: add and remove", in: "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
		want: events(typed("add", "73857293"), typed("remove", "2153"))},

	// Byte order mark: "one leading", none elsewhere.
	{name: "bom", in: bom + "data: a\n\n", want: events(msg("a"))},
	{name: "two boms hide the first field", in: bom + bom + "data: a\n\ndata: b\n\n", want: events(msg("b"))},
	{name: "two boms spoil one line only", in: bom + bom + "data: a\ndata: b\n\n", want: events(msg("b"))},
	{name: "bom on a later line", in: "data: a\n" + bom + "data: b\n\n", want: events(msg("a"))},
	{name: "bom in a value stays", in: "data: " + bom + "a\n\n", want: events(msg(bom + "a"))},
	{name: "bom before a blank line", in: bom + "\ndata: a\n\n", want: events(msg("a"))},
	{name: "bom before a comment", in: bom + ": c\ndata: a\n\n", want: events(msg("a"))},
	{name: "bom alone", in: bom},
	{name: "first two bytes of a bom", in: "\xEF\xBBdata: a\n\ndata: b\n\n", want: events(msg("b"))},
	{name: "first byte of a bom and a line end", in: "\xEF\ndata: b\n\n", want: events(msg("b"))},
	{name: "a bom that breaks at the third byte", in: "\xEF\xBB\xBEdata: a\n\ndata: b\n\n", want: events(msg("b"))},
	{name: "utf-16 bom", in: "\xFF\xFEdata: a\n\ndata: b\n\n", want: events(msg("b"))},

	// Line ends.
	{name: "lf", in: "data: a\n\n", want: events(msg("a"))},
	{name: "cr", in: "data: a\r\r", want: events(msg("a"))},
	{name: "crlf", in: "data: a\r\n\r\n", want: events(msg("a"))},
	{name: "cr lf cr: crlf and cr", in: "data: a\r\n\r", want: events(msg("a"))},
	{name: "lf cr: two ends", in: "data: a\n\r", want: events(msg("a"))},
	{name: "crlf is one end", in: "data: a\r\ndata: b\r\n\r\n", want: events(msg("a\nb"))},
	{name: "a cr acts at once", in: "data: a\n\rdata: b\n\r", want: events(msg("a"), msg("b"))},
	{name: "cr swallows one lf only", in: "data: a\r\n\ndata: b\r\n\n", want: events(msg("a"), msg("b"))},
	{name: "mixed ends", in: "data: a\rdata: b\r\ndata: c\n\r\n", want: events(msg("a\nb\nc"))},
	{name: "cr cr lf", in: "data: a\r\r\ndata: b\r\r\n", want: events(msg("a"), msg("b"))},
	{name: "many blank lines", in: "\n\n\r\r\n\r\n\ndata: a\n\n\n\n\r\r", want: events(msg("a"))},
	{name: "line separators of Unicode are not", in: "data: a\u2028b\u2029c\u0085d\n\n", want: events(msg("a\u2028b\u2029c\u0085d"))},
	{name: "form feed and vertical tab are not", in: "data: a\fb\vc\n\n", want: events(msg("a\fb\vc"))},

	// Comments.
	{name: "comment", in: ": hello\n\ndata: a\n\n", want: events(msg("a"))},
	{name: "empty comment", in: ":\ndata: a\n:\n\n", want: events(msg("a"))},
	{name: "comment between data lines", in: "data: a\n: c\ndata: b\n\n", want: events(msg("a\nb"))},
	{name: "comment that looks like a field", in: ":data: a\n\ndata: b\n\n", want: events(msg("b"))},
	{name: "comment that looks like a field after a space", in: ": data: a\n\n"},
	{name: "comment ended by cr", in: ": c\rdata: a\r\r", want: events(msg("a"))},
	{name: "space before the colon is no comment", in: " : c\ndata: a\n\n", want: events(msg("a"))},
	{name: "long comment", in: ":" + long + "\ndata: a\n\n", want: events(msg("a"))},
	{name: "comment with NUL and bad bytes", in: ":\x00\xFF\ndata: a\n\n", want: events(msg("a"))},

	// Fields, colons, spaces.
	{name: "no space", in: "data:a\n\n", want: events(msg("a"))},
	{name: "one space dropped", in: "data: a\n\n", want: events(msg("a"))},
	{name: "one of two spaces dropped", in: "data:  a\n\n", want: events(msg(" a"))},
	{name: "a tab stays", in: "data:\ta\n\n", want: events(msg("\ta"))},
	{name: "a tab after the space stays", in: "data: \ta\n\n", want: events(msg("\ta"))},
	{name: "space at the end stays", in: "data: a \n\n", want: events(msg("a "))},
	{name: "value is one space", in: "data: \n\n", want: events(msg(""))},
	{name: "value is two spaces", in: "data:  \n\n", want: events(msg(" "))},
	{name: "colons in the value", in: "data:a:b: c\n\n", want: events(msg("a:b: c"))},
	{name: "value starts with a colon", in: "data::a\n\n", want: events(msg(":a"))},
	{name: "space then colon", in: "data: :a\n\n", want: events(msg(":a"))},
	{name: "no-break space stays", in: "data:\u00a0a\n\n", want: events(msg("\u00a0a"))},
	{name: "field without colon", in: "data\n\n", want: events(msg(""))},
	{name: "data without colon after data", in: "data: a\ndata\n\n", want: events(msg("a\n"))},
	{name: "data without colon before data", in: "data\ndata: a\n\n", want: events(msg("\na"))},
	{name: "three empty data lines", in: "data\ndata:\ndata: \n\n", want: events(msg("\n\n"))},
	{name: "upper case name", in: "DATA: a\n\nData: b\n\n"},
	{name: "space before the name", in: " data: a\n\n"},
	{name: "space after the name", in: "data : a\n\n"},
	{name: "tab after the name", in: "data\t: a\n\n"},
	{name: "longer name", in: "datax: a\ndata: b\n\n", want: events(msg("b"))},
	{name: "shorter name", in: "dat: a\ndata: b\n\n", want: events(msg("b"))},
	{name: "name with NUL", in: "data\x00: a\ndata: b\n\n", want: events(msg("b"))},
	{name: "unknown fields", in: "foo: 1\nbar\nx:\ndata: a\nevents: no\nids: 3\nretrys: 4\n\n", want: events(msg("a"))},
	{name: "long unknown field", in: long + ": 1\ndata: a\n\n", want: events(msg("a"))},
	{name: "json", in: `data: {"a": "b\n"}` + "\n\n", want: events(msg(`{"a": "b\n"}`))},
	{name: "NUL in data", in: "data: a\x00b\n\n", want: events(msg("a\x00b"))},
	{name: "long data", in: "data: " + long + "\ndata:" + long + "\n\n", want: events(msg(long + "\n" + long))},

	// Event types.
	{name: "type", in: "event: add\ndata: a\n\n", want: events(typed("add", "a"))},
	{name: "type after data", in: "data: a\nevent: add\n\n", want: events(typed("add", "a"))},
	{name: "the last type counts", in: "event: one\nevent: two\ndata: a\n\n", want: events(typed("two", "a"))},
	{name: "an empty type is message", in: "event: one\nevent:\ndata: a\n\n", want: events(msg("a"))},
	{name: "a type without colon is message", in: "event: one\nevent\ndata: a\n\n", want: events(msg("a"))},
	{name: "type holds for one block", in: "event: add\ndata: a\n\ndata: b\n\n", want: events(typed("add", "a"), msg("b"))},
	{name: "a block without data resets the type", in: "event: add\n\ndata: a\n\n", want: events(msg("a"))},
	{name: "types are case-sensitive", in: "event: Message\ndata: a\n\n", want: events(typed("Message", "a"))},
	{name: "type message", in: "event: message\ndata: a\n\n", want: events(msg("a"))},
	{name: "type of a space", in: "event:  \ndata: a\n\n", want: events(typed(" ", "a"))},
	{name: "type in UTF-8", in: "event: grüße\ndata: a\n\n", want: events(typed("grüße", "a"))},
	{name: "type with NUL", in: "event: a\x00b\ndata: a\n\n", want: events(typed("a\x00b", "a"))},
	{name: "types error and open", in: "event: error\ndata: a\n\nevent: open\ndata: b\n\n", want: events(typed("error", "a"), typed("open", "b"))},

	// IDs.
	{name: "id", in: "id: 1\ndata: a\n\n", want: events(idMsg("a", "1")), last: "1"},
	{name: "id after data", in: "data: a\nid: 1\n\n", want: events(idMsg("a", "1")), last: "1"},
	{name: "id stays", in: "id: 1\ndata: a\n\ndata: b\n\n", want: events(idMsg("a", "1"), idMsg("b", "1")), last: "1"},
	{name: "the last id counts", in: "id: 1\nid: 2\ndata: a\n\n", want: events(idMsg("a", "2")), last: "2"},
	{name: "empty id resets", in: "id: 1\ndata: a\n\nid:\ndata: b\n\n", want: events(idMsg("a", "1"), msg("b"))},
	{name: "id without colon resets", in: "id: 1\ndata: a\n\nid\ndata: b\n\ndata: c\n\n", want: events(idMsg("a", "1"), msg("b"), msg("c"))},
	{name: "id of a dropped space resets", in: "id: 1\ndata: a\n\nid: \ndata: b\n\n", want: events(idMsg("a", "1"), msg("b"))},
	{name: "id with NUL is ignored", in: "id: 1\ndata: a\n\nid: 2\x003\ndata: b\n\n", want: events(idMsg("a", "1"), idMsg("b", "1")), last: "1"},
	{name: "id of NUL is ignored", in: "id: 1\nid: \x00\ndata: a\n\n", want: events(idMsg("a", "1")), last: "1"},
	{name: "a block without data commits its id", in: "id: 7\n\ndata: a\n\n", want: events(idMsg("a", "7")), last: "7"},
	{name: "a block with an id and a type commits its id only", in: "id: 7\nevent: x\n\ndata: a\n\n", want: events(idMsg("a", "7")), last: "7"},
	{name: "a block without data commits the reset", in: "id: 7\ndata: a\n\nid\n\n", want: events(idMsg("a", "7"))},
	{name: "an unfinished block commits nothing", in: "id: 1\ndata: a\n\nid: 2\ndata: b\n", want: events(idMsg("a", "1")), last: "1"},
	{name: "an unfinished id line commits nothing", in: "id: 1\ndata: a\n\nid: 2", want: events(idMsg("a", "1")), last: "1"},
	{name: "id in UTF-8", in: "id: …\ndata: a\n\n", want: events(idMsg("a", "…")), last: "…"},
	{name: "id with spaces", in: "id:  a b \ndata: a\n\n", want: events(idMsg("a", " a b ")), last: " a b "},
	{name: "ID in capitals is unknown", in: "ID: 1\ndata: a\n\n", want: events(msg("a"))},
	{name: "id with bad bytes", in: "id: a\xFFb\ndata: a\n\n", want: events(idMsg("a", "a"+rep+"b")), last: "a" + rep + "b"},
	{name: "all three", in: "event: x\nid: 9\ndata: a\n\n", want: events(full("x", "a", "9")), last: "9"},

	// Retry.
	{name: "retry", in: "retry: 1000\n\n", retry: millis(1000)},
	{name: "retry acts before the blank line", in: "retry: 1000\n", retry: millis(1000)},
	{name: "retry without a line end", in: "retry: 1000"},
	{name: "retry without space", in: "retry:20\n", retry: millis(20)},
	{name: "retry zero", in: "retry: 0\n", zero: true},
	{name: "retry with leading zeros", in: "retry: 0012\n", retry: millis(12)},
	{name: "retry empty", in: "retry:\nretry\n"},
	{name: "retry with a sign", in: "retry: +5\nretry: -5\n"},
	{name: "retry with a unit", in: "retry: 5s\n"},
	{name: "retry with a fraction", in: "retry: 5.0\n"},
	{name: "retry with two spaces", in: "retry:  5\n"},
	{name: "retry with a space behind", in: "retry: 5 \n"},
	{name: "retry in hex", in: "retry: 0x10\n"},
	{name: "retry in Arabic digits", in: "retry: ١٢\n"},
	{name: "a bad retry leaves the good one", in: "retry: 7\nretry: x\n", retry: millis(7)},
	{name: "the last retry counts", in: "retry: 7\nretry: 8\n", retry: millis(8)},
	{name: "retry beyond all bounds", in: "retry: 99999999999999999999999999\n", retry: 9223372036854 * time.Millisecond},
	{name: "retry inside a block", in: "data: a\nretry: 3\ndata: b\n\n", want: events(msg("a\nb")), retry: millis(3)},
	{name: "retry in capitals is unknown", in: "Retry: 5\n"},

	// The end of the stream.
	{name: "empty", in: ""},
	{name: "one line end", in: "\n"},
	{name: "unfinished line", in: "data: a"},
	{name: "unfinished block", in: "data: a\n"},
	{name: "unfinished block after a cr", in: "data: a\r"},
	{name: "unfinished block after crlf", in: "data: a\r\n"},
	{name: "unfinished second block", in: "data: a\n\ndata: b\n", want: events(msg("a"))},
	{name: "only the type", in: "event: x\n\n"},

	// Ill-formed UTF-8: one U+FFFD for each maximal subpart.
	{name: "utf-8 of all lengths", in: "data: aé€😀\n\n", want: events(msg("aé€😀"))},
	{name: "lone continuation", in: "data: a\x80b\n\n", want: events(msg("a" + rep + "b"))},
	{name: "two continuations", in: "data: \x80\xBF\n\n", want: events(msg(rep + rep))},
	{name: "cut two-byte sequence", in: "data: \xC3\n\n", want: events(msg(rep))},
	{name: "cut three-byte sequence is one", in: "data: \xE2\x82x\n\n", want: events(msg(rep + "x"))},
	{name: "cut four-byte sequence is one", in: "data: \xF0\x9F\x98x\n\n", want: events(msg(rep + "x"))},
	{name: "cut twice", in: "data: \xF0\x9F\xE2\x82\n\n", want: events(msg(rep + rep))},
	{name: "overlong two bytes", in: "data: \xC0\xAF\n\n", want: events(msg(rep + rep))},
	{name: "overlong three bytes", in: "data: \xE0\x80\xAF\n\n", want: events(msg(rep + rep + rep))},
	{name: "overlong four bytes", in: "data: \xF0\x80\x80\xAF\n\n", want: events(msg(rep + rep + rep + rep))},
	{name: "surrogate", in: "data: \xED\xA0\x80\n\n", want: events(msg(rep + rep + rep))},
	{name: "above U+10FFFF", in: "data: \xF4\x90\x80\x80\n\n", want: events(msg(rep + rep + rep + rep))},
	{name: "FE and FF", in: "data: \xFE\xFF\n\n", want: events(msg(rep + rep))},
	{name: "a lead before a line end", in: "data: a\xE2\ndata: b\n\n", want: events(msg("a" + rep + "\nb"))},
	{name: "Unicode's own example", in: "data: a\xF1\x80\x80\xE1\x80\xC2b\x80c\x80\xBFd\n\n",
		want: events(msg("a" + rep + rep + rep + "b" + rep + "c" + rep + rep + "d"))},
	{name: "bad bytes in a type", in: "event: \xE2\x82\ndata: a\n\n", want: events(typed(rep, "a"))},
	{name: "bad bytes in a name", in: "da\xFFta: a\ndata: b\n\n", want: events(msg("b"))},
	{name: "U+FFFD and noncharacters are fine", in: "data: " + rep + "\uFFFF\n\n", want: events(msg(rep + "\uFFFF"))},
	{name: "iso-8859-1 is not looked for", in: "data: caf\xE9\n\n", want: events(msg("caf" + rep))},
}

const long = "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789"
