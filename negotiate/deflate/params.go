package deflate

import (
	"errors"
	"strconv"

	"github.com/chanws/websocket/negotiate"
)

// The names of the parameters (RFC 7692, section 7.1).
const (
	serverNoContextTakeover = "server_no_context_takeover"
	clientNoContextTakeover = "client_no_context_takeover"
	serverMaxWindowBits     = "server_max_window_bits"
	clientMaxWindowBits     = "client_max_window_bits"
)

// anyBits stands for a client_max_window_bits without a value, which is legal in
// an offer alone.
const anyBits = -1

// params are the parameters of an offer or of an answer. Bits are 0 where the
// parameter is absent.
type params struct {
	serverNoTakeover, clientNoTakeover bool
	serverBits, clientBits             int
}

var (
	errUnknown  = errors.New("deflate: unknown parameter (RFC 7692, section 7.1)")
	errRepeated = errors.New("deflate: parameter given twice (RFC 7692, section 7.1)")
	errValue    = errors.New("deflate: illegal value of a parameter (RFC 7692, section 7.1)")
)

// parseOffer reads what a client offers.
func parseOffer(list []negotiate.Param) (params, error) { return parse(list, offerBits) }

// parseAnswer reads what a server answers.
func parseAnswer(list []negotiate.Param) (params, error) { return parse(list, consumeBits) }

// parse refuses what both sides have to: unknown names, illegal values, and a name
// that occurs twice (RFC 7692, section 7.1). The two differ in what they allow as
// a value of client_max_window_bits.
func parse(list []negotiate.Param, clientBits func(string) int) (params, error) {
	var p params
	var err error
	for _, param := range list {
		switch param.Name {
		case serverNoContextTakeover:
			err = flag(&p.serverNoTakeover, param.Value)
		case clientNoContextTakeover:
			err = flag(&p.clientNoTakeover, param.Value)
		case serverMaxWindowBits:
			err = number(&p.serverBits, consumeBits(param.Value))
		case clientMaxWindowBits:
			err = number(&p.clientBits, clientBits(param.Value))
		default:
			err = errUnknown
		}
		if err != nil {
			return params{}, err
		}
	}
	return p, nil
}

// flag sets a parameter that has no value.
func flag(p *bool, value string) error {
	switch {
	case *p:
		return errRepeated
	case value != "":
		return errValue
	}
	*p = true
	return nil
}

// number sets a parameter that has one.
func number(p *int, bits int) error {
	switch {
	case *p != 0:
		return errRepeated
	case bits == 0:
		return errValue
	}
	*p = bits
	return nil
}

// consumeBits reads "a decimal integer value without leading zeroes between 8 to
// 15, inclusive" (RFC 7692, sections 7.1.2.1 and 7.1.2.2); 0 for anything else.
func consumeBits(value string) int {
	switch {
	case len(value) == 1 && (value == "8" || value == "9"):
		return int(value[0] - '0')
	case len(value) == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '5':
		return 10 + int(value[1]-'0')
	}
	return 0
}

// offerBits reads the value of client_max_window_bits in an offer, where there need
// not be one (RFC 7692, section 7.1.2.2).
func offerBits(value string) int {
	if value == "" {
		return anyBits
	}
	return consumeBits(value)
}

// list writes the parameters, in the order of RFC 7692, section 7.1.
func (p params) list() []negotiate.Param {
	var list []negotiate.Param
	if p.serverNoTakeover {
		list = append(list, negotiate.Param{Name: serverNoContextTakeover})
	}
	if p.clientNoTakeover {
		list = append(list, negotiate.Param{Name: clientNoContextTakeover})
	}
	if p.serverBits != 0 {
		list = append(list, negotiate.Param{Name: serverMaxWindowBits, Value: strconv.Itoa(p.serverBits)})
	}
	switch p.clientBits {
	case 0:
	case anyBits:
		list = append(list, negotiate.Param{Name: clientMaxWindowBits})
	default:
		list = append(list, negotiate.Param{Name: clientMaxWindowBits, Value: strconv.Itoa(p.clientBits)})
	}
	return list
}
