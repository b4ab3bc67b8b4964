package deflate

import "github.com/chanws/websocket/negotiate"

// Server accepts the first offer that is legal. A server can do all that a legal
// offer may ask for, so there is no reason to prefer another.
func (e *Extension) Server(offers [][]negotiate.Param) (answer []negotiate.Param, s negotiate.Session, ok bool) {
	for _, offer := range offers {
		// "A server MUST decline an extension negotiation offer for this extension
		// if" a parameter is unknown, illegal or repeated (RFC 7692, section 7.1).
		p, err := parseOffer(offer)
		if err != nil {
			continue
		}
		agreed := e.accept(p)
		own := direction{agreed.serverBits, !agreed.serverNoTakeover}
		peer := direction{agreed.clientBits, !agreed.clientNoTakeover}
		return agreed.list(), e.session(own, peer), true
	}
	return nil, nil, false
}

// accept answers an offer with what is least of it and the options.
func (e *Extension) accept(offer params) params {
	answer := params{
		// Where the client asks for it, "A server accepts [...] by including" it
		// (RFC 7692, section 7.1.1.1).
		serverNoTakeover: offer.serverNoTakeover || e.options.ServerNoContextTakeover,
		// In an offer it is a hint that the client will do so anyhow. Only once it is
		// agreed can the server rely on it, and keep no history (section 7.1.1.2).
		clientNoTakeover: offer.clientNoTakeover || e.options.ClientNoContextTakeover,
		serverBits:       offer.serverBits,
	}
	// "A server accepts [...] by including the "server_max_window_bits" extension
	// parameter in the extension negotiation response [...] with the same or
	// smaller value as the offer", or unasked (section 7.1.2.1).
	if limit := e.options.ServerMaxWindowBits; limit != 0 && (offer.serverBits == 0 || limit < offer.serverBits) {
		answer.serverBits = limit
	}
	// "If a received extension negotiation offer doesn't have the
	// "client_max_window_bits" extension parameter, the corresponding extension
	// negotiation response [...] MUST NOT include" it (section 7.1.2.2).
	limit := orElse(asked(e.options.ClientMaxWindowBits), DefaultClientWindowBits)
	switch {
	case offer.clientBits == 0:
	case answer.clientNoTakeover && e.options.ClientMaxWindowBits == 0:
		// Nothing is kept, so there is nothing to gain from a smaller window.
	case offer.clientBits == anyBits:
		answer.clientBits = limit
	default:
		answer.clientBits = min(limit, offer.clientBits)
	}
	return answer
}
