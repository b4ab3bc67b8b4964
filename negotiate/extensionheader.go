package negotiate

import (
	"errors"
	"strings"
)

// Bounds on the Sec-WebSocket-Extensions of a peer; what is over them is
// refused as malformed. Browsers send some 60 bytes.
const (
	// MaxExtensionBytes is the most bytes, over all header lines.
	MaxExtensionBytes = 8 << 10
	// MaxExtensionParams is the most extensions and parameters together.
	MaxExtensionParams = 128
)

// errExtensionHeader is a Sec-WebSocket-Extensions against the grammar.
var errExtensionHeader = errors.New("negotiate: malformed Sec-WebSocket-Extensions")

// ParseExtensions reads Sec-WebSocket-Extensions headers, one line an element,
// in the order of the offers. It fails on what the grammar does not allow and
// on more than [MaxExtensionBytes] or [MaxExtensionParams].
//
//	extension-list = 1#extension
//	extension = extension-token *( ";" extension-param )
//	extension-param = token [ "=" (token | quoted-string) ]
//
// (RFC 6455, section 9.1). Empty elements are ignored (RFC 9110, section
// 5.6.1.2).
func ParseExtensions(lines []string) ([]Offer, error) {
	var offers []Offer
	err := scanOffers(lines, func(s string) (int, int, bool) {
		o, n, ok := consumeOffer(s, nil)
		offers = append(offers, o)
		return n, len(o.Params), ok
	})
	if err != nil {
		return nil, err
	}
	return offers, nil
}

// checkExtensions is [ParseExtensions] for whoever does not need the offers:
// it does not allocate.
func checkExtensions(lines []string) error {
	var room [8]Param
	return scanOffers(lines, func(s string) (int, int, bool) {
		o, n, ok := consumeOffer(s, room[:0])
		return n, len(o.Params), ok
	})
}

// scanOffers hands each element of the lists to consume, which returns its
// length and how many parameters it has, and holds the whole to the bounds.
func scanOffers(lines []string, consume func(s string) (n, params int, ok bool)) error {
	size, count := 0, 0
	for _, s := range lines {
		if size += len(s); size > MaxExtensionBytes {
			return errExtensionHeader
		}
		for s = s[consumeEmpty(s):]; s != ""; s = s[consumeEmpty(s):] {
			n, params, ok := consume(s)
			if count += 1 + params; !ok || count > MaxExtensionParams {
				return errExtensionHeader
			}
			if s = s[n:]; s != "" && s[0] != ',' {
				return errExtensionHeader
			}
		}
	}
	return nil
}

// consumeEmpty returns the length of the commas and white space s begins with.
func consumeEmpty(s string) int {
	n := 0
	for n < len(s) && (s[n] == ',' || isSpace(s[n])) {
		n++
	}
	return n
}

// consumeOffer reads one extension, with the white space after it. Its
// parameters are appended to params.
func consumeOffer(s string, params []Param) (o Offer, n int, ok bool) {
	n = consumeToken(s)
	o = Offer{Name: s[:n], Params: params}
	if n == 0 {
		return o, 0, false
	}
	for {
		n += consumeSpace(s[n:])
		if n == len(s) || s[n] != ';' {
			return o, n, true
		}
		n++
		n += consumeSpace(s[n:])
		p, m, ok := consumeParam(s[n:])
		if !ok {
			return o, n, false
		}
		o.Params = append(o.Params, p)
		n += m
	}
}

// consumeParam reads one parameter. White space around its sign is allowed as
// it is between any two words of that grammar (RFC 2616, section 2.1).
func consumeParam(s string) (p Param, n int, ok bool) {
	n = consumeToken(s)
	if n == 0 {
		return p, 0, false
	}
	p.Name = s[:n]
	sign := n + consumeSpace(s[n:])
	if sign == len(s) || s[sign] != '=' {
		return p, n, true
	}
	n = sign + 1
	n += consumeSpace(s[n:])
	var m int
	p.Value, m = consumeValue(s[n:])
	return p, n + m, m > 0
}

// consumeValue reads a token or a quoted string; n is 0 if there is neither.
//
// "When using the quoted-string syntax variant, the value after quoted-string
// unescaping MUST conform to the 'token' ABNF" (RFC 6455, section 9.1)
func consumeValue(s string) (value string, n int) {
	if s == "" || s[0] != '"' {
		n = consumeToken(s)
		return s[:n], n
	}
	value, n = consumeQuoted(s)
	if !validToken(value) {
		return "", 0
	}
	return value, n
}

// consumeQuoted reads a quoted string and undoes its quoting; n is 0 if it has
// no end (RFC 9110, section 5.6.4).
func consumeQuoted(s string) (value string, n int) {
	end := strings.IndexAny(s[1:], `"\`) + 1
	if end > 0 && s[end] == '"' {
		return s[1:end], end + 1
	}
	var text []byte
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return string(text), i + 1
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		text = append(text, s[i])
	}
	return "", 0
}

// AppendExtensions appends the value of a Sec-WebSocket-Extensions header:
// nothing for no offers. Names and values are to be tokens, as those of
// [ParseExtensions] are; nothing is quoted then.
func AppendExtensions(dst []byte, offers []Offer) []byte {
	for i, o := range offers {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(dst, o.Name...)
		for _, p := range o.Params {
			dst = append(dst, "; "...)
			dst = append(dst, p.Name...)
			if p.Value != "" {
				dst = append(dst, '=')
				dst = append(dst, p.Value...)
			}
		}
	}
	return dst
}

// validParams reports whether params can be written.
func validParams(params []Param) bool {
	for _, p := range params {
		if !validToken(p.Name) || p.Value != "" && !validToken(p.Value) {
			return false
		}
	}
	return true
}
