// Package interop compares permessage-deflate with other libraries. It is run by
// .ci/deflate.
package interop

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A job is what a peer is told to do.
type job struct {
	Role    string         `json:"role"`
	Library string         `json:"library"`
	URL     string         `json:"url"`
	Options map[string]any `json:"options"`
}

// A peer is a process that echoes.
type peer struct {
	in  io.Writer
	out *bufio.Scanner
}

// start runs a peer to the end of the test.
func start(t *testing.T, command ...string) *peer {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &peer{in, bufio.NewScanner(out)}
}

// do gives the peer a job and returns its answer.
func (p *peer) do(t *testing.T, j job) string {
	t.Helper()
	line, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	if !p.out.Scan() {
		t.Fatal("the peer has ended", p.out.Err())
	}
	return strings.TrimSpace(p.out.Text())
}

// A library is one to compare with, and how to run it.
type library struct {
	name      string
	command   []string
	leastBits int // the least window bits it can be told to use
}

func libraries() []library {
	node := []string{"node", "peer.mjs"}
	python := os.Getenv("INTEROP_PYTHON")
	if python == "" {
		python = "python3"
	}
	return []library{
		{"ws", node, 8},
		{"faye", node, 8},
		// It hands zlib 8, which zlib refuses at the first message.
		{"python", []string{python, "peer.py"}, 9},
	}
}
