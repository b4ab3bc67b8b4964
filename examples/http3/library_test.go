package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// tests are those that run on a link each; some have a level of names between.
const tests = `^Test(Exit|CancelledSend|CloseSends|ConcurrentSenders|EchoAndRelease|Misuse|NetConnEchoes|PongHas|Received|SendFragment|Stream(Abort|Frames)|WriteTimeoutOfAnIdle)/on_h3` +
	`|^Test(ExitWithinAFrame|ReceiveFragments)$/./on_h3`

// The ways in which a connection ends, as the library's own tests try them over all
// other transports, not a copy of them. The library does not require quic-go, so
// they are run with another go.mod, and a file more that makes the streams.
func TestExitsOfTheLibrary(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(root, "harness_http3_test.go"): filepath.Join(root, "examples", "http3", "testdata", "harness_http3_test.go"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "overlay.json"), overlay)
	write(t, filepath.Join(dir, "go.mod"), modFile(t, root))
	write(t, filepath.Join(dir, "go.sum"), append(read(t, filepath.Join(root, "go.sum")), read(t, "go.sum")...))
	args := []string{
		"test", "-mod=mod", "-modfile=" + filepath.Join(dir, "go.mod"), "-overlay=" + filepath.Join(dir, "overlay.json"),
		"-timeout=5m", "-v", "-run=" + tests, ".",
	}
	command := exec.Command("go", args...)
	command.Dir = root
	out, err := command.CombinedOutput()
	ran := regexp.MustCompile(`--- (PASS|FAIL): Test\w+(/.*)?/\w+_on_h3`).FindAll(out, -1)
	if err != nil || len(ran) < 50 {
		t.Errorf("%v, %d tests over HTTP/3\n%s", err, len(ran), out)
	}
	t.Logf("%d tests over HTTP/3", len(ran))
}

// modFile is the library's go.mod with what this module requires besides.
func modFile(t *testing.T, root string) []byte {
	t.Helper()
	m := read(t, filepath.Join(root, "go.mod"))
	m = regexp.MustCompile(`(?m)^go .*$`).ReplaceAll(m, regexp.MustCompile(`(?m)^go .*$`).Find(read(t, "go.mod")))
	quic := regexp.MustCompile(`github.com/quic-go/quic-go v\S+`).Find(read(t, "go.mod"))
	return append(append(m, "\nrequire "...), append(quic, '\n')...)
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o666); err != nil {
		t.Fatal(err)
	}
}
