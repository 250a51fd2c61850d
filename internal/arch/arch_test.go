package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// floors lists the packages of the core with the packages of this module that
// each may import. Reading it is the quickest way to know the architecture. What
// stands in internal and cmd is above all of these, and may import any of them.
var floors = map[string][]string{
	"events":               {},
	"ledger":               {"events"},
	"ledger/keyring":       {"events"},
	"ledger/publisher":     {"events"},
	"projections":          {"events"},
	"projections/projtest": {"events", "projections"},
	"projections/views":    {"events", "projections"},
	"commands":             {"events", "projections"},
}

// doors lists the libraries that only some packages may import: who else needs one of
// them asks the package that has it.
var doors = map[string][]string{
	"github.com/cockroachdb/pebble/v2":    {"ledger", "ledger/keyring", "projections/views", "internal/bench"},
	"github.com/nats-io/nats-server/v2":   {"internal/natsbus", "internal/bench"},
	"github.com/nats-io/nats.go":          {"ledger/publisher", "internal/"},
	"net/http":                            {"internal/"},
	"github.com/prometheus/client_golang": {"internal/server"},
	"github.com/spf13/cobra":              {"internal/cli", "internal/bench", "cmd/tally"},
	"tallystick/internal/httpapi/strict":  {}, // tests alone use it
}

func TestImportsPointOneWay(t *testing.T) {
	const module = "tallystick/"
	seen := map[string]bool{}
	for path, imports := range sources(t) {
		pkg := filepath.ToSlash(filepath.Dir(path))
		below, core := floors[pkg]
		seen[pkg] = true
		for _, imported := range imports {
			name, ours := strings.CutPrefix(imported, module)
			switch {
			case ours && core && !slices.Contains(below, name):
				t.Errorf("%s imports %s: %s may import %v only", path, name, pkg, below)
			case ours && strings.HasPrefix(pkg, "internal/") && strings.HasPrefix(name, "cmd/"):
				t.Errorf("%s imports %s, which is above it", path, name)
			}
			for library, allowed := range doors {
				if (imported == library || strings.HasPrefix(imported, library+"/")) && !covers(allowed, pkg) {
					t.Errorf("%s imports %s: only %v may", path, imported, allowed)
				}
			}
		}
	}
	for pkg := range floors {
		if !seen[pkg] {
			t.Errorf("floors names %s, which does not exist", pkg)
		}
	}
}

func covers(allowed []string, pkg string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		return a == pkg || strings.HasSuffix(a, "/") && strings.HasPrefix(pkg, a)
	})
}

// sources returns the imports of every file of the module that is no test.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	root := filepath.Join("..", "..")
	files := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "tools" || d.Name() == "testdata" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files[rel] = nil
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			files[rel] = append(files[rel], name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no sources found")
	}
	return files
}
