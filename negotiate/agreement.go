package negotiate

import (
	"errors"
	"strings"
)

// serverPipeline answers the offers of a client with the extensions known
// here. Of what the client offers, the first that is known and wanted is taken
// first; one that needs a bit that is taken is declined.
//
// "the header fields listed by the client in its request represent a preference
// of the header fields it wishes to use, with the first options listed being
// most preferable" (RFC 6455, section 9.1)
func serverPipeline(lines []string, known []Extension) (*Pipeline, error) {
	if len(known) == 0 {
		return nil, checkExtensions(lines)
	}
	offers, err := ParseExtensions(cloneAll(lines))
	if err != nil || len(offers) == 0 {
		return nil, err
	}
	p := &Pipeline{}
	for i, o := range offers {
		ext := findExtension(known, o.Name)
		if ext == nil || ext.Reserved()&p.reserved != 0 || offeredBefore(offers[:i], o.Name) {
			continue
		}
		answer, session, ok := ext.Server(paramsOf(offers[i:], o.Name))
		if !ok || session == nil {
			continue
		}
		p.add(Offer{Name: ext.Name(), Params: answer}, ext.Reserved(), session)
		if !validParams(answer) {
			p.Close()
			return nil, &OptionError{Option: "Extensions", Section: "RFC 6455, section 9.1", Reason: "an extension's answer is not made of tokens"}
		}
	}
	return p.orNil(), nil
}

// cloneAll copies the lines, out of the head of the request: extensions may keep what
// they are offered, and answer with it.
func cloneAll(lines []string) []string {
	clones := make([]string, len(lines))
	for i, line := range lines {
		clones[i] = strings.Clone(line)
	}
	return clones
}

// A clientOffer is one extension under negotiation at a client.
type clientOffer struct {
	extension Extension
	client    ClientExtension
}

// offerExtensions begins the negotiation of all extensions that offer
// anything, and returns their offers in order.
func offerExtensions(known []Extension) (pending []clientOffer, offers []Offer, err error) {
	for i, ext := range known {
		name := ext.Name()
		if !validToken(name) || findExtension(known[:i], name) != nil {
			return nil, nil, &OptionError{Option: "Extensions", Section: "RFC 6455, section 9.1", Reason: "a name is not a token or occurs twice"}
		}
		client := ext.Client()
		wanted := client.Offers()
		for _, params := range wanted {
			if !validParams(params) {
				return nil, nil, &OptionError{Option: "Extensions", Section: "RFC 6455, section 9.1", Reason: "an offer's parameters are not tokens"}
			}
			offers = append(offers, Offer{Name: name, Params: params})
		}
		if len(wanted) > 0 {
			pending = append(pending, clientOffer{ext, client})
		}
	}
	return pending, offers, nil
}

// clientPipeline activates what the server answered.
//
// "If the response includes a |Sec-WebSocket-Extensions| header field and this
// header field indicates the use of an extension that was not present in the
// client's handshake [...], the client MUST _Fail the WebSocket Connection_"
// (RFC 6455, section 4.1, item 5)
func clientPipeline(lines []string, pending []clientOffer) (*Pipeline, error) {
	answers, err := ParseExtensions(lines)
	if err != nil || len(answers) == 0 {
		return nil, err
	}
	p := &Pipeline{}
	for i, answer := range answers {
		if err := p.activate(answer, answers[:i], pending); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// activate adds the session of one answer.
func (p *Pipeline) activate(answer Offer, before []Offer, pending []clientOffer) error {
	for _, c := range pending {
		if c.extension.Name() != answer.Name {
			continue
		}
		bits := c.extension.Reserved()
		if offeredBefore(before, answer.Name) {
			return errors.New("an extension is answered twice")
		}
		if bits&p.reserved != 0 {
			return errors.New("two extensions answered use the same reserved bit")
		}
		session, err := c.client.Activate(answer.Params)
		if err != nil {
			return err
		}
		if session == nil {
			return errors.New("an extension made no session")
		}
		p.add(answer, bits, session)
		return nil
	}
	return errors.New("an extension is answered that was not offered")
}

// findExtension returns the first extension of that name, nil if none.
func findExtension(list []Extension, name string) Extension {
	for _, ext := range list {
		if ext.Name() == name {
			return ext
		}
	}
	return nil
}

func offeredBefore(offers []Offer, name string) bool {
	for _, o := range offers {
		if o.Name == name {
			return true
		}
	}
	return false
}

// paramsOf returns the parameters of all offers of one name, in their order.
func paramsOf(offers []Offer, name string) (params [][]Param) {
	for _, o := range offers {
		if o.Name == name {
			params = append(params, o.Params)
		}
	}
	return params
}
