package deflate

import (
	"errors"

	"github.com/chanws/websocket/negotiate"
)

// Client begins the negotiation of a connection as a client.
func (e *Extension) Client() negotiate.ClientExtension { return (*client)(e) }

// A client negotiates as a client. All it knows is in the options.
type client Extension

// Offers asks for what the options say, and where that has limits asks again
// without: "a server declines an extension negotiation offer with this parameter if
// the server doesn't support it" (RFC 7692, section 7.1.2.1), and some do too for a
// client that wants to use less than they allow.
func (c *client) Offers() [][]negotiate.Param {
	first, second := c.offers()
	if first == second {
		return [][]negotiate.Param{first.list()}
	}
	return [][]negotiate.Param{first.list(), second.list()}
}

// offers returns the two offers, which are the same where there are no limits.
func (c *client) offers() (first, second params) {
	second = params{
		serverNoTakeover: c.options.ServerNoContextTakeover,
		clientNoTakeover: c.options.ClientNoContextTakeover,
		clientBits:       anyBits,
	}
	first = second
	first.serverBits = asked(c.options.ServerMaxWindowBits)
	first.clientBits = orElse(c.options.ClientMaxWindowBits, anyBits)
	return first, second
}

// Activate makes the session of an answer. Any legal one answers one of the two
// offers, unless it lacks what both demand: beyond what was offered a server may
// limit itself, and forbid the client takeover (RFC 7692, sections 7.1.1 and
// 7.1.2).
//
// "A client MUST _Fail the WebSocket Connection_ if the peer server accepted an
// extension negotiation offer for this extension with an extension negotiation
// response meeting any of the following conditions" (section 7.1)
func (c *client) Activate(answer []negotiate.Param) (negotiate.Session, error) {
	p, err := parseAnswer(answer)
	if err != nil {
		return nil, err
	}
	if c.options.ServerNoContextTakeover && !p.serverNoTakeover {
		return nil, errTakeover
	}
	own := direction{
		bits:     min(orElse(p.clientBits, MaxWindowBits), orElse(c.options.ClientMaxWindowBits, MaxWindowBits)),
		takeover: !p.clientNoTakeover && !c.options.ClientNoContextTakeover,
	}
	peer := direction{orElse(p.serverBits, MaxWindowBits), !p.serverNoTakeover}
	return (*Extension)(c).session(own, peer), nil
}

var errTakeover = errors.New("deflate: server_no_context_takeover was asked for and not granted (RFC 7692, section 7.1.1.1)")
