// Command server tells whether the HTTP/2 server of its own process offers extended
// CONNECT, and what GODEBUG is.
package main

import (
	"crypto/tls"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	_ "github.com/chanws/websocket/negotiate/http2/xconnect"
	"golang.org/x/net/http2"
)

func main() {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	conn, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	frame, err := http2.NewFramer(conn, conn).ReadFrame()
	if err != nil {
		log.Fatal(err)
	}
	value, _ := frame.(*http2.SettingsFrame).Value(http2.SettingEnableConnectProtocol)
	fmt.Printf("%d %s", value, os.Getenv("GODEBUG"))
}
