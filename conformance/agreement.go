package conformance

import (
	"fmt"
	"strconv"
	"strings"
)

// agreement is what both sides agreed on for permessage-deflate.
type agreement struct {
	serverFresh, clientFresh string // not empty: no context takeover
	serverBits, clientBits   int
}

// inflater returns the inflater for what a peer of this role compresses.
func (a *agreement) inflater(peer Role) *inflater {
	if peer == Server {
		return &inflater{window: 1 << a.serverBits, fresh: a.serverFresh}
	}
	return &inflater{window: 1 << a.clientBits, fresh: a.clientFresh}
}

// deflater returns the deflater for what the suite sends to such a peer.
func (a *agreement) deflater(peer Role) *deflater {
	if peer == Server {
		return &deflater{window: 1 << a.clientBits, fresh: a.clientFresh}
	}
	return &deflater{window: 1 << a.serverBits, fresh: a.serverFresh}
}

// parameter is one parameter of an extension; it may have no value.
type parameter struct {
	name, value string
	valued      string // not empty: it has a value
}

// extension is one element of Sec-WebSocket-Extensions.
type extension struct {
	name       string
	parameters []parameter
}

// parseExtensions reads a list as RFC 6455, 9.1 writes it.
func parseExtensions(values []string) []extension {
	var list []extension
	for _, v := range values {
		parts := strings.Split(v, ";")
		e := extension{name: strings.TrimSpace(parts[0])}
		for _, p := range parts[1:] {
			name, value, ok := strings.Cut(strings.TrimSpace(p), "=")
			one := parameter{name: strings.TrimSpace(name), value: strings.Trim(strings.TrimSpace(value), `"`)}
			if ok {
				one.valued = "valued"
			}
			e.parameters = append(e.parameters, one)
		}
		list = append(list, e)
	}
	return list
}

// deflateAnswer reads a server's answer for permessage-deflate and says what is
// wrong with it, seen by itself (RFC 7692, 7.1).
func deflateAnswer(e extension) (agreement, string) {
	a := agreement{serverBits: 15, clientBits: 15}
	seen := map[string]int{}
	for _, p := range e.parameters {
		if seen[p.name]++; seen[p.name] > 1 {
			return a, fmt.Sprintf("parameter %s stands in the answer twice", p.name)
		}
		if wrong := a.set(p); wrong != "" {
			return a, wrong
		}
	}
	return a, ""
}

func (a *agreement) set(p parameter) string {
	switch p.name {
	case "server_no_context_takeover", "client_no_context_takeover":
		if p.valued != "" {
			return fmt.Sprintf("parameter %s has a value", p.name)
		}
		if p.name == "server_no_context_takeover" {
			a.serverFresh = "fresh"
		} else {
			a.clientFresh = "fresh"
		}
	case "server_max_window_bits", "client_max_window_bits":
		n, err := strconv.Atoi(p.value)
		if err != nil || n < 8 || n > 15 || strconv.Itoa(n) != p.value {
			return fmt.Sprintf("parameter %s has the value %q", p.name, p.value)
		}
		if p.name == "server_max_window_bits" {
			a.serverBits = n
		} else {
			a.clientBits = n
		}
	default:
		return fmt.Sprintf("parameter %s is unknown", p.name)
	}
	return ""
}
