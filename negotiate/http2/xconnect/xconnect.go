// Package xconnect lets the HTTP/2 server of net/http speak the extended CONNECT
// with which a WebSocket is opened (RFC 8441). It is for a blank import, in package
// main and nowhere else:
//
//	import _ "github.com/chanws/websocket/negotiate/http2/xconnect"
//
// net/http does that only with GODEBUG=http2xconnect=1 in the environment, which it
// reads when the program starts; a go:debug line or go.mod can not set it. This
// package sets it just before: packages are initialised in the order of their import
// paths, as soon as what they import is, and this one imports os alone and sorts
// before net/http and golang.org/x/net. If GODEBUG has http2xconnect already, with
// whatever value, it is left alone.
//
// What changes is for the whole process. Every HTTP/2 server in it tells its clients
// that it has extended CONNECT, whatever handlers it has; browsers then open their
// WebSockets to it that way, over the connection they have, which handlers that can
// only hijack a connection answer with an error (golang/go#71128): so import it where
// all WebSockets are accepted by this module, in handlers made by websocket.Handler or
// within websocket.Hold: others must not return as early as they may over HTTP/1.1.
// Programs that the process starts
// inherit the variable. Prefer to set the variable yourself where the program's
// environment is yours, such as in a unit file or a container: then nothing rests on
// the order of initialisation.
package xconnect

import "os"

func init() {
	os.Setenv("GODEBUG", enable(os.Getenv("GODEBUG")))
}

const name = "http2xconnect="

// enable adds the setting, unless there is one.
func enable(settings string) string {
	if index(settings, name) >= 0 {
		return settings
	}
	if settings != "" {
		settings += ","
	}
	return settings + name + "1"
}

// index is strings.Index: importing strings would make this package wait for more
// to be initialised.
func index(s, substring string) int {
	for i := 0; i+len(substring) <= len(s); i++ {
		if s[i:i+len(substring)] == substring {
			return i
		}
	}
	return -1
}
