package websocket_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/chanws/websocket"

// What the rooms of the house may import. Rooms that are not listed are free.
var rooms = []struct {
	path   string
	module []string                   // of this module
	others []string                   // of other modules, by prefix
	std    func(imported string) bool // of the standard library; nil for all
}{
	{"", []string{"codec", "negotiate"}, []string{"golang.org/x/sync/", "golang.org/x/net/proxy/"}, nil},
	{"codec", nil, nil, sansIO},
	{"negotiate", nil, nil, nil},
	{"negotiate/deflate", []string{"negotiate"}, []string{"github.com/klauspost/compress/"}, nil},
}

// sansIO reports whether a package is for neither network nor files. Clocks and
// locks are what TestCodecHasNoLock looks for.
func sansIO(imported string) bool {
	switch first, _, _ := strings.Cut(imported, "/"); first {
	case "net", "os", "context", "syscall", "log", "testing":
		return false
	}
	return true
}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Standard", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, room := range rooms {
			if p.ImportPath != strings.TrimSuffix(module+"/"+room.path, "/") {
				continue
			}
			seen++
			for _, imported := range p.Imports {
				if own, ok := strings.CutPrefix(imported, module+"/"); ok {
					if !slices.Contains(room.module, own) {
						t.Errorf("%s imports %s", p.ImportPath, imported)
					}
				} else if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
					if !slices.ContainsFunc(room.others, func(o string) bool { return strings.HasPrefix(imported+"/", o) }) {
						t.Errorf("%s imports %s", p.ImportPath, imported)
					}
				} else if room.std != nil && !room.std(imported) {
					t.Errorf("%s imports %s", p.ImportPath, imported)
				}
			}
		}
	}
	if seen < 3 {
		t.Errorf("only %d of the rooms were found", seen)
	}
}

// The codec has no lock, clock or goroutine: of sync it uses the pool alone, of
// time the durations.
func TestCodecHasNoLock(t *testing.T) {
	files, err := filepath.Glob("codec/*.go")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, found := range regexp.MustCompile(`\b(sync|time)\.[A-Z]\w+|(?m)^\s*go \w.*`).FindAllString(string(source), -1) {
			if !slices.Contains([]string{"sync.Pool", "time.Duration", "time.Millisecond"}, found) {
				t.Errorf("%s: %s", name, found)
			}
		}
	}
}
