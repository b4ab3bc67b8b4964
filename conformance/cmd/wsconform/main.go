// Command wsconform runs the conformance suite against any WebSocket server or
// client.
//
//	wsconform server [flags] [name=]ws://127.0.0.1:9001 ...   tests servers that echo
//	wsconform client [flags] -listen 127.0.0.1:9002           tests clients that echo
//	wsconform server -h2 [flags] wss://127.0.0.1:9001         the same over HTTP/2 (RFC 8441)
//	wsconform list   [flags]                                  lists the cases
//	wsconform report [flags] FILE.json ...                    puts JSON reports side by side
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit statuses.
const (
	exitGood  = 0
	exitRed   = 1 // a case failed or could not be decided
	exitUsage = 2
)

const usage = `usage:
  wsconform server [flags] [name=]ws://HOST:PORT/PATH ...   test servers that echo
  wsconform client [flags] -listen HOST:PORT                test clients that echo
  wsconform list   [flags]                                  list the cases
  wsconform report [flags] FILE.json ...                    put JSON reports side by side
Each has -help.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run carries out a command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	commands := map[string]func(context.Context, *settings) (int, error){
		"server": testServers, "client": testClients, "list": listCases, "report": mergeReports,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprintln(stderr, usage)
		return exitUsage
	}
	set := newSettings(args[0], stdout, stderr)
	if err := set.flags.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitGood
		}
		return exitUsage
	}
	code, err := commands[args[0]](ctx, set)
	if err != nil {
		fmt.Fprintln(stderr, "wsconform:", err)
		return max(code, exitRed)
	}
	return code
}
