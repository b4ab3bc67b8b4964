// Package driver is what the peers share: a command line, a server, and the
// loop of a client of the conformance suite.
package driver

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Compression says whether the peer negotiates permessage-deflate.
type Compression int

// The two ways to run a peer.
const (
	Plain Compression = iota
	Compressed
)

// Each takes the one message of a connection that is no echo.
type Each func([]byte)

// Serve returns an echo server.
type Serve func(Compression) http.Handler

// Dial connects and, with each nil, echoes until the connection ends; else it
// gives each the first message.
type Dial func(url string, mode Compression, each Each) error

// Main runs a peer as its command line says.
func Main(serve Serve, dial Dial) {
	listen := flag.String("listen", "", "run as a server on this `address`")
	connect := flag.String("connect", "", "run as a client of the suite at this `URL`")
	agent := flag.String("agent", "client", "`name` under which the client reports")
	deflate := flag.Bool("deflate", false, "negotiate permessage-deflate")
	flag.Parse()
	mode := Plain
	if *deflate {
		mode = Compressed
	}
	switch {
	case *listen != "":
		server := &http.Server{Addr: *listen, Handler: serve(mode), ReadHeaderTimeout: 10 * time.Second}
		log.Fatal(server.ListenAndServe())
	case *connect != "":
		if err := runCases(*connect, *agent, mode, dial); err != nil {
			log.Fatal(err)
		}
	default:
		flag.Usage()
	}
}

// runCases is the loop that every client of the public suite has.
func runCases(base, agent string, mode Compression, dial Dial) error {
	count := 0
	err := dial(base+"/getCaseCount", mode, func(p []byte) { count, _ = strconv.Atoi(string(p)) })
	if count == 0 {
		return fmt.Errorf("no case count: %w", err)
	}
	name := url.QueryEscape(agent)
	for n := 1; n <= count; n++ {
		// A case that refuses the connection on purpose ends with an error.
		runCase(func() error { return dial(fmt.Sprintf("%s/runCase?case=%d&agent=%s", base, n, name), mode, nil) })
	}
	return dial(base+"/updateReports?agent="+name, mode, nil)
}

// runCase ends with the case, as a handler of net/http ends with its request,
// so that the cases that follow are run too.
func runCase(run func() error) {
	defer func() {
		if v := recover(); v != nil {
			log.Print(v)
		}
	}()
	_ = run()
}
