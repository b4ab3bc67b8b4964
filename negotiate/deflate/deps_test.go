package deflate

import (
	"os/exec"
	"strings"
	"testing"
)

// Only those who import this package link a deflate library.
func TestRootDoesNotLinkDeflate(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command")
	}
	list := func(pkg string) string {
		out, err := exec.Command(tool, "list", "-deps", pkg).Output()
		if err != nil {
			t.Fatal(pkg, err)
		}
		return string(out)
	}
	const library = "github.com/klauspost/compress/flate"
	for _, pkg := range []string{"", "/codec", "/negotiate"} {
		if strings.Contains(list("github.com/chanws/websocket"+pkg), "klauspost") {
			t.Errorf("%q links a deflate library", pkg)
		}
	}
	if !strings.Contains(list("github.com/chanws/websocket/negotiate/deflate"), library) {
		t.Error("this test looks for the wrong library")
	}
}
