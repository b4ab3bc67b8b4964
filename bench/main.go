// Command bench measures this library beside its peers.
//
//	go run . -rounds 5
//
// The server under test runs in a process of its own: this binary again, with
// -serve. The load is one raw client in this process, the same for all. For
// the scenarios of clients it is the other way round. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if runChild() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := benchmark(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// runChild does the work of a child process if this is one.
func runChild() bool {
	if len(os.Args) != 3 || os.Args[1] != serveFlag {
		return false
	}
	if err := child(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "bench %s: %v\n", os.Args[2], err)
		os.Exit(1)
	}
	return true
}

// benchmark reads the flags, runs what they say and reports it.
func benchmark(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	var plan plan
	peerNames := flags.String("peers", "", "comma-separated `names` of peers, all if empty: "+strings.Join(allPeerNames(), ", "))
	scenarioNames := flags.String("scenario", "", "comma-separated `patterns` of scenarios, all but those of -growth if empty; * matches any text")
	grow := flags.Bool("growth", false, "run the scenarios of the plots instead: "+growthPatterns)
	flags.IntVar(&plan.rounds, "rounds", 3, "how `many` times each peer is measured; they take turns")
	flags.DurationVar(&plan.dur, "dur", time.Second, "how `long` each measurement lasts")
	flags.StringVar(&plan.profile, "cpuprofile", "", "write CPU profiles of our own process to `PREFIX`.peer.scenario.pprof")
	jsonFile := flags.String("json", "", "write the results to `FILE`")
	htmlFile := flags.String("html", "", "write a page with plots to `FILE`")
	markdownFile := flags.String("markdown", "", "write tables and targets to `FILE`, between the marks if it has them")
	svgPrefix := flags.String("svg", "", "write the plots of -growth to `PREFIX`-conns.svg and PREFIX-size.svg")
	from := flags.String("from", "", "measure nothing, but write what the comma-separated `files` of -json have")
	list := flags.Bool("list", false, "list the scenarios and do nothing else")
	if err := flags.Parse(args); err != nil {
		return err
	}
	write := func(r *report) error {
		return firstError(r.writeJSON(*jsonFile), r.writeHTML(*htmlFile), r.writeSVG(*svgPrefix), r.writeMarkdown(*markdownFile, *svgPrefix))
	}
	if *from != "" {
		rep, err := readReports(strings.Split(*from, ","))
		if err != nil {
			return err
		}
		return write(rep)
	}
	if *grow && *scenarioNames == "" {
		*scenarioNames = growthPatterns
	}
	plan.everyone = *peerNames != ""
	var err error
	if plan.scenarios, err = selectScenarios(*scenarioNames); err != nil {
		return err
	}
	if plan.peers, err = selectPeers(*peerNames); err != nil {
		return err
	}
	if *list {
		for _, s := range plan.scenarios {
			fmt.Printf("%-24s %s\n", s.Name, s.About)
		}
		return nil
	}
	rep := newReport(&plan, args)
	err = run(ctx, &plan, rep, os.Stdout)
	// What was measured before an error or an interrupt is worth keeping.
	return errors.Join(err, write(rep))
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
