package xconnect

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A test binary would prove nothing: what it links is initialised in an order of its
// own. So this builds a program and runs it.
func TestProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "server.exe")
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/server").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range []struct{ env, want string }{
		{"", "1 http2xconnect=1"},
		{"netdns=go", "1 netdns=go,http2xconnect=1"},
		{"http2xconnect=0", "0 http2xconnect=0"},
		{"http2xconnect=1,netdns=go", "1 http2xconnect=1,netdns=go"},
	} {
		command := exec.Command(program)
		command.Env = append(withoutGodebug(), "GODEBUG="+test.env)
		out, err := command.CombinedOutput()
		if err != nil || string(out) != test.want {
			t.Errorf("GODEBUG=%q: %q, %v, want %q", test.env, out, err, test.want)
		}
	}
}

func withoutGodebug() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GODEBUG=") {
			env = append(env, v)
		}
	}
	return env
}

// The order of initialisation is that of the import paths, once what a package
// imports is initialised. So os has to be all, here and for whoever adds to it.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.Imports}}", ".").Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != "[os]" {
		t.Errorf("imports %s, %v, want [os]", got, err)
	}
}
