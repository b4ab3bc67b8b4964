package negotiate

import "net/http"

// The protocol versions a [ServerHandshake] may have.
const (
	Hybi13  = "hybi-13"  // RFC 6455
	Hybi8   = "hybi-8"   // draft-ietf-hybi-thewebsocketprotocol-08 to -12
	Hybi7   = "hybi-7"   // draft-ietf-hybi-thewebsocketprotocol-07
	Hixie76 = "hixie-76" // draft-hixie-thewebsocketprotocol-76, also called hybi-00
	Hixie75 = "hixie-75" // draft-hixie-thewebsocketprotocol-75
)

const (
	sectionRequest  = "RFC 6455, section 4.2.1"
	sectionResponse = "RFC 6455, section 4.2.2"
	sectionVersions = "RFC 6455, section 4.4"
)

// IsWebSocket reports whether r asks to open a WebSocket: a GET in HTTP/1.1
// whose Connection lists upgrade and whose Upgrade lists websocket, in any
// case, among other tokens ("keep-alive, Upgrade") and over several lines; or an
// extended CONNECT in HTTP/2 or HTTP/3 for websocket (RFC 8441, section 4; RFC
// 9220, section 3). It asks no more, so that a faulty handshake gets its answer
// from [Server].
func IsWebSocket(r *http.Request) bool {
	if streams(r) {
		return r.Method == http.MethodConnect && equalFold(extendedProtocol(r), "websocket")
	}
	return r.Method == http.MethodGet &&
		r.ProtoAtLeast(1, 1) &&
		listContains(r.Header["Connection"], "upgrade") &&
		listContains(r.Header["Upgrade"], "websocket")
}

// checkUpgrade checks what every protocol version asks of a request.
func checkUpgrade(r *http.Request, opts *ServerOptions) *Error {
	switch {
	// Only HTTP/2 has a pseudo-header, and none of its requests comes here. A
	// name with a colon is none in HTTP/1.1 (RFC 9110, section 5.1).
	case has(r, protocolField):
		return badRequest(sectionRequest, "a pseudo-header of HTTP/2 in HTTP/1.1")
	// "An HTTP/1.1 or higher GET request" (RFC 6455, section 4.2.1, item 1)
	case r.Method != http.MethodGet:
		return &Error{
			Status: http.StatusMethodNotAllowed, Header: http.Header{"Allow": {"GET"}},
			Section: sectionRequest, Reason: "the method of a WebSocket request is GET",
		}
	// "A server MUST ignore an Upgrade header field that is received in an
	// HTTP/1.0 request" (RFC 9110, section 7.8)
	case !r.ProtoAtLeast(1, 1):
		return badRequest(sectionRequest, "a WebSocket request is HTTP/1.1 or later")
	// "The "Request-URI" part of the request MUST match the /resource name/ [...] (a
	// relative URI) or be an absolute http/https URI" (section 4.1)
	case r.URL != nil && r.URL.Opaque != "":
		return badRequest("RFC 6455, section 4.1", "the target is neither a path nor the URL of one")
	// "A |Host| header field containing the server's authority" (item 2)
	case !validHost(r.Host):
		return badRequest(sectionRequest, "the Host header is missing or malformed")
	// "An |Upgrade| header field containing the value "websocket"" (item 3)
	case !listContains(r.Header["Upgrade"], "websocket"):
		return upgradeRequired(opts, sectionRequest, "the Upgrade header does not list websocket")
	// "A |Connection| header field that includes the token "Upgrade"" (item 4)
	case !listContains(r.Header["Connection"], "upgrade"):
		return badRequest(sectionRequest, "the Connection header does not list upgrade")
	}
	return nil
}

// checkBody refuses a request that has a body: what comes behind the head is frames, and
// "the client can't change the protocol it is sending in the middle of a message" (RFC
// 9110, section 7.8). A proxy that passes one on would not agree on where it ends. Some
// say of the eight bytes of hixie-76 that they are one.
func checkBody(r *http.Request, version string) *Error {
	if len(r.TransferEncoding) == 0 && (r.ContentLength <= 0 || version == Hixie76 && r.ContentLength == 8) {
		return nil
	}
	return badRequest("RFC 9110, section 7.8", "a WebSocket request has no body")
}

// requestVersion tells which protocol version r speaks: a header of RFC 6455
// means that line, the keys of draft 76 that one, neither the oldest.
func requestVersion(r *http.Request, opts *ServerOptions) (string, *Error) {
	versions := r.Header["Sec-Websocket-Version"]
	switch {
	// "The |Sec-WebSocket-Version| header field MUST NOT appear more than once
	// in an HTTP request" (RFC 6455, section 11.3.5)
	case len(versions) > 1:
		return "", upgradeRequired(opts, "RFC 6455, section 11.3.5", "Sec-WebSocket-Version occurs more than once")
	case len(versions) == 1:
		return hybiVersion(versions[0], opts)
	case !opts.AllowDrafts || has(r, "Sec-Websocket-Key"):
		return "", upgradeRequired(opts, sectionRequest, "Sec-WebSocket-Version is missing")
	case has(r, "Sec-Websocket-Key1") || has(r, "Sec-Websocket-Key2"):
		return Hixie76, nil
	}
	return Hixie75, nil
}

// hybiVersion names the version that a Sec-WebSocket-Version stands for.
//
// "If this version does not match a version understood by the server, the
// server MUST abort the WebSocket handshake [...] and instead send an
// appropriate HTTP error code (such as 426 Upgrade Required) and a
// |Sec-WebSocket-Version| header field indicating the version(s) the server is
// capable of understanding" (RFC 6455, section 4.2.2, item 4)
func hybiVersion(version string, opts *ServerOptions) (string, *Error) {
	switch {
	case version == "13":
		return Hybi13, nil
	case version == "8" && opts.AllowDrafts:
		return Hybi8, nil
	case version == "7" && opts.AllowDrafts:
		return Hybi7, nil
	}
	return "", upgradeRequired(opts, sectionVersions, "this version of the protocol is not spoken here")
}

// requestKey returns the key of a request of RFC 6455.
func requestKey(r *http.Request) (string, *Error) {
	keys := r.Header["Sec-Websocket-Key"]
	switch {
	case len(keys) == 0:
		return "", badRequest(sectionRequest, "Sec-WebSocket-Key is missing")
	// "The |Sec-WebSocket-Key| header field MUST NOT appear more than once in an
	// HTTP request" (RFC 6455, section 11.3.1)
	case len(keys) > 1:
		return "", badRequest("RFC 6455, section 11.3.1", "Sec-WebSocket-Key occurs more than once")
	case !validKey(keys[0]):
		return "", badRequest(sectionRequest, "Sec-WebSocket-Key is not 16 bytes in base64")
	}
	return keys[0], nil
}

func has(r *http.Request, canonical string) bool { return len(r.Header[canonical]) > 0 }

func badRequest(section, reason string) *Error {
	return &Error{Status: http.StatusBadRequest, Section: section, Reason: reason}
}

// serverFault is the answer where the server's own options are wrong: the
// client is told no more than that, the cause is for the log.
func serverFault(cause error) *Error {
	return &Error{Status: http.StatusInternalServerError, Reason: "the server's WebSocket options are wrong", Err: cause}
}

// upgradeRequired is a 426 with what the client should have asked for.
//
// "The server MUST send an Upgrade header field in a 426 response to indicate
// the required protocol(s)" (RFC 9110, section 15.5.22)
func upgradeRequired(opts *ServerOptions, section, reason string) *Error {
	versions := "13"
	if opts.AllowDrafts {
		versions = "13, 8, 7"
	}
	return &Error{
		Status: http.StatusUpgradeRequired,
		Header: http.Header{
			"Upgrade":               {"websocket"},
			"Connection":            {"Upgrade"},
			"Sec-Websocket-Version": {versions},
		},
		Section: section, Reason: reason,
	}
}
