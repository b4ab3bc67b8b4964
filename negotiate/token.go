package negotiate

// MaxSubprotocols is the most subprotocols a request may offer; one with more
// is refused with 400. Browsers and libraries offer a handful.
const MaxSubprotocols = 64

// maxSubprotocolBytes is the most bytes of Sec-WebSocket-Protocol, over all header lines.
// Tokens that authenticate travel there, as pages can set no other header.
const maxSubprotocolBytes = 64 << 10

// tokenBytes has the bytes a token is made of.
//
// "tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" /
// "_" / "`" / "|" / "~" / DIGIT / ALPHA" (RFC 9110, section 5.6.2)
var tokenBytes = func() (table [256]bool) {
	for c := range table {
		table[c] = '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		table[c] = true
	}
	return table
}()

// listContains reports whether one of the comma-separated lists has the
// element. Names of protocols and connection options are matched in any case
// (RFC 6455, section 4.2.1, items 3 and 4).
func listContains(lists []string, element string) bool {
	for _, list := range lists {
		if listHas(list, element) {
			return true
		}
	}
	return false
}

// listHas is listContains for one list.
func listHas(list, element string) bool {
	for list != "" {
		var e string
		e, list = cutElement(list)
		if equalFold(e, element) {
			return true
		}
	}
	return false
}

// appendTokens appends the elements of the comma-separated lists to dst. It
// stops with ok false at the first that is not a token, occurs twice, or is one
// too many, and at a list that is too long.
//
// "A recipient MUST parse and ignore a reasonable number of empty list
// elements" (RFC 9110, section 5.6.1.2)
func appendTokens(dst []string, lists []string) (tokens []string, ok bool) {
	size := 0
	for _, list := range lists {
		if size += len(list); size > maxSubprotocolBytes {
			return dst, false
		}
		for list != "" {
			var e string
			e, list = cutElement(list)
			if e == "" {
				continue
			}
			if !validToken(e) || contains(dst, e) || len(dst) == MaxSubprotocols {
				return dst, false
			}
			dst = append(dst, e)
		}
	}
	return dst, true
}

// contains reports whether list has s.
func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// cutElement returns the first element of a comma-separated list, without the
// white space around it, and the list after it.
func cutElement(list string) (element, rest string) {
	for i := range len(list) {
		if list[i] == ',' {
			return trimSpace(list[:i]), list[i+1:]
		}
	}
	return trimSpace(list), ""
}

// validToken reports whether s is a token.
func validToken(s string) bool { return s != "" && consumeToken(s) == len(s) }

// consumeToken returns the length of the token s begins with, 0 if none.
func consumeToken(s string) int {
	n := 0
	for n < len(s) && tokenBytes[s[n]] {
		n++
	}
	return n
}

// consumeSpace returns the length of the optional white space s begins with.
//
// "OWS = *( SP / HTAB )" (RFC 9110, section 5.6.3)
func consumeSpace(s string) int {
	n := 0
	for n < len(s) && isSpace(s[n]) {
		n++
	}
	return n
}

// trimSpace cuts optional white space off both ends.
func trimSpace(s string) string {
	s = s[consumeSpace(s):]
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// equalFold compares without regard to ASCII case. strings.EqualFold would
// also take the Kelvin sign for a k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// lowerAll is strings.ToLower for ASCII alone, which leaves the Kelvin sign what it is.
func lowerAll(s string) string {
	for i := range len(s) {
		if lower(s[i]) == s[i] {
			continue
		}
		b := []byte(s)
		for ; i < len(b); i++ {
			b[i] = lower(b[i])
		}
		return string(b)
	}
	return s
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
