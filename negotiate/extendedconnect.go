package negotiate

import (
	"net"
	"net/http"
	"strings"
)

// protocolField is where net/http keeps the pseudo-header of an extended CONNECT
// in HTTP/2, and takes it from.
const protocolField = ":protocol"

const (
	sectionExtended = "RFC 8441, section 4"
	sectionStreams  = "RFC 8441, section 5"
)

// streams reports whether r came over a version of HTTP whose requests are
// streams of one connection, and in which there is no Upgrade.
func streams(r *http.Request) bool { return r.ProtoMajor >= 2 }

// extendedProtocol returns the protocol that an extended CONNECT asks for, "" if
// r is none.
//
// "A new pseudo-header field :protocol MAY be included on request HEADERS
// indicating the desired protocol to be spoken on the tunnel created by CONNECT"
// (RFC 8441, section 4). In HTTP/3 quic-go has it in Proto, where the version is
// otherwise.
func extendedProtocol(r *http.Request) string {
	switch {
	case r.ProtoMajor == 2 && len(r.Header[protocolField]) == 1:
		return r.Header[protocolField][0]
	case r.ProtoMajor == 3 && !hasPrefixFold(r.Proto, "HTTP/"):
		return r.Proto
	}
	return ""
}

// newStreamServer is newServer for an extended CONNECT.
//
// "Implementations using this extended CONNECT to bootstrap WebSockets do not do
// the processing of the Sec-WebSocket-Key and Sec-WebSocket-Accept header fields
// of [RFC6455], as that functionality has been superseded by the :protocol
// pseudo-header field" (RFC 8441, section 5)
func newStreamServer(r *http.Request, opts *ServerOptions) (*ServerHandshake, *Error) {
	if e := checkExtended(r); e != nil {
		return nil, e
	}
	h := &ServerHandshake{Version: Hybi13, reply: connectReply{}}
	if e := h.agree(r, opts); e != nil {
		return nil, e
	}
	return h, nil
}

// checkExtended checks what an extended CONNECT for a WebSocket has to have.
func checkExtended(r *http.Request) *Error {
	protocol := extendedProtocol(r)
	versions := r.Header["Sec-Websocket-Version"]
	switch {
	case r.Method != http.MethodConnect:
		return &Error{
			Status: http.StatusMethodNotAllowed, Header: http.Header{"Allow": {"CONNECT"}},
			Section: sectionExtended, Reason: "in this version of HTTP a WebSocket is opened with CONNECT",
		}
	case protocol == "":
		return &Error{
			Status:  http.StatusNotImplemented,
			Section: sectionExtended, Reason: "a CONNECT without a protocol is for a proxy",
		}
	// "If a server advertises support for Extended CONNECT but receives an
	// Extended CONNECT request with a ":protocol" value that is unknown or is
	// not supported, the server SHOULD respond to the request with a 501 (Not
	// Implemented) status code" (RFC 9220, section 3)
	case !equalFold(protocol, "websocket"):
		return &Error{
			Status:  http.StatusNotImplemented,
			Section: "RFC 9220, section 3", Reason: "the protocol of this CONNECT is not spoken here",
		}
	case !validHost(r.Host):
		return badRequest(sectionExtended, "the authority is missing or malformed")
	case len(versions) == 0:
		return wrongVersion(sectionStreams, "Sec-WebSocket-Version is missing")
	case len(versions) > 1:
		return wrongVersion("RFC 6455, section 11.3.5", "Sec-WebSocket-Version occurs more than once")
	case versions[0] != "13":
		return wrongVersion(sectionVersions, "this version of the protocol is not spoken here")
	}
	return nil
}

// wrongVersion names the version that is spoken. The usual status for it is 426,
// which comes with an Upgrade header, and "An endpoint MUST NOT generate an
// HTTP/2 message containing connection-specific header fields" (RFC 9113, section
// 8.2.2).
func wrongVersion(section, reason string) *Error {
	e := badRequest(section, reason)
	e.Header = http.Header{"Sec-Websocket-Version": {"13"}}
	return e
}

// A connectReply is the answer to an extended CONNECT: no header is needed.
type connectReply struct{}

func (connectReply) appendStatusLine(dst []byte) []byte { return dst }
func (connectReply) appendUpgrade(dst []byte) []byte    { return dst }
func (connectReply) appendBody(dst []byte) []byte       { return dst }

func (connectReply) appendProtocol(dst []byte, name string) []byte {
	return appendField(dst, "Sec-WebSocket-Protocol", name)
}

// ConnectHeader returns the headers of the extended CONNECT that asks for the
// same as [ClientHandshake.AppendRequest] does, in a map of its own. The
// pseudo-headers are not among them: :method is CONNECT, :protocol is websocket,
// :scheme is https for wss and http for ws, :path and :authority are as in the
// URL (RFC 8441, section 5), except that host stands for the authority.
func (h *ClientHandshake) ConnectHeader() (header http.Header, host string) {
	_, fields, _ := strings.Cut(string(h.request), "\r\n")
	header = fieldsOf(fields)
	host = header.Get("Host")
	for _, name := range [...]string{"Host", "Upgrade", "Connection", "Sec-Websocket-Key"} {
		delete(header, name)
	}
	return header, host
}

// ConsumeConnect is [ClientHandshake.Consume] for the response to an extended
// CONNECT, which comes parsed.
func (h *ClientHandshake) ConsumeConnect(status int, header http.Header) error {
	if linesSize(header) > h.heads.most() {
		return faultTooBig.failure()
	}
	if failure := h.checkConnected(status, header); failure != nil {
		failure.Status, failure.Header, failure.BodyLength = status, header, -1
		return failure
	}
	h.header = header
	h.request, h.pending, h.subprotocols = nil, nil, nil
	return nil
}

// linesSize is how many bytes the headers would take in HTTP/1.1.
func linesSize(header http.Header) (size int) {
	for name, values := range header {
		for _, value := range values {
			size += len(name) + len(": ") + len(value) + len("\r\n")
		}
	}
	return size
}

// checkConnected validates the response. "Success is any 2xx" (RFC 9110, section
// 9.3.6) for every CONNECT.
func (h *ClientHandshake) checkConnected(status int, header http.Header) *ResponseError {
	if status < 200 || status > 299 {
		return &ResponseError{Section: sectionStreams, Reason: "the status of the response is not 2xx"}
	}
	subprotocols := header["Sec-Websocket-Protocol"]
	answer := soleField{lines: len(subprotocols)}
	if len(subprotocols) > 0 {
		answer.value = subprotocols[0]
	}
	return h.checkAgreement(answer, header["Sec-Websocket-Extensions"])
}

// An UpgradeError is returned by an [http.RoundTripper] that was given an extended
// CONNECT where the server does not speak it. Then HTTP/1.1 is left: an Upgrade on
// Conn, or, if that is nil, on a connection to be made.
type UpgradeError struct {
	// Conn is a connection on which nothing was sent yet, or nil. Whoever gets
	// the error closes it.
	Conn net.Conn
	// Reason says what the server lacks.
	Reason string
}

// Error gives the reason.
func (e *UpgradeError) Error() string { return "negotiate: no extended CONNECT: " + e.Reason }
