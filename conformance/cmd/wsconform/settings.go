package main

import (
	"flag"
	"io"
	"strings"

	"github.com/chanws/websocket/conformance"
)

// settings are what the flags say.
type settings struct {
	flags          *flag.FlagSet
	stdout, stderr io.Writer
	selection      conformance.Selection
	options        conformance.Options
	short          bool
	insecure       bool
	http2          bool
	listen         string
	certificate    string
	privateKey     string
	agents         int
	jsonFile       string
	htmlFile       string
	junitFile      string
}

// list collects a flag that may be repeated or hold a comma-separated list.
type list struct{ values *[]string }

func (l list) String() string { return "" }

func (l list) Set(s string) error {
	for _, v := range strings.Split(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			*l.values = append(*l.values, v)
		}
	}
	return nil
}

func newSettings(command string, stdout, stderr io.Writer) *settings {
	s := &settings{flags: flag.NewFlagSet("wsconform "+command, flag.ContinueOnError), stdout: stdout, stderr: stderr}
	f := s.flags
	f.SetOutput(stderr)
	f.StringVar(&s.jsonFile, "json", "", "write the report as JSON to this `file`")
	f.StringVar(&s.htmlFile, "html", "", "write the report as one HTML page to this `file`")
	f.StringVar(&s.junitFile, "junit", "", "write the report as JUnit XML to this `file`")
	if command == "report" {
		return s
	}
	f.Var(list{&s.selection.Include}, "run", "only these `cases`: groups, IDs, beginnings of IDs or patterns, separated by commas")
	f.Var(list{&s.selection.Exclude}, "exclude", "not these `cases`")
	f.BoolVar(&s.short, "short", false, "leave the heavy cases out")
	if command == "list" {
		return s
	}
	f.DurationVar(&s.options.Timeouts.Light, "timeout", 0, "time limit of a light case (default 10s)")
	f.DurationVar(&s.options.Timeouts.Heavy, "timeout-heavy", 0, "time limit of a heavy case (default 2m0s)")
	f.DurationVar(&s.options.Timeouts.Reply, "timeout-reply", 0, "time limit of one answer (default 4s)")
	f.DurationVar(&s.options.Timeouts.Quiet, "quiet", 0, "how long silence is watched before it is questioned (default 250ms)")
	f.BoolVar(&s.http2, "h2", false, "carry the connections on streams of HTTP/2 (RFC 8441): wss URLs, or -cert and -key")
	f.Uint64Var(&s.options.Seed, "seed", 0, "seed of keys (default: a new one each run, named in the report)")
	switch command {
	case "server":
		f.IntVar(&s.options.Parallel, "parallel", 0, "light cases run at a time (default 8)")
		f.IntVar(&s.options.Repeat, "repeat", 1, "how often each case is run; its worst verdict counts")
		f.BoolVar(&s.insecure, "insecure", false, "do not verify the certificate of a wss server")
	case "client":
		f.StringVar(&s.listen, "listen", "127.0.0.1:9002", "`address` to listen on")
		f.StringVar(&s.certificate, "cert", "", "`file` with the certificate, to listen with TLS")
		f.StringVar(&s.privateKey, "key", "", "`file` with the certificate's private key")
		f.IntVar(&s.agents, "agents", 0, "stop after this many agents have asked for their report (default: run until interrupted)")
	}
	return s
}

// cases returns what the flags select for a role.
func (s *settings) cases(role conformance.Role) ([]conformance.Case, error) {
	s.selection.Role = role
	if s.http2 {
		s.options.Carrier = conformance.HTTP2
	}
	if s.short {
		s.selection.Short = conformance.BriefRun
		s.options.Short = conformance.BriefRun
	}
	return s.selection.Select(conformance.Cases())
}
