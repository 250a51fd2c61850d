package scenario

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "put what the steps answer into the stories, and write docs/scenarios.md")

var root = filepath.Join("..", "..", "testdata", "scenarios")

// stories returns all stories, their paths relative to root and without an extension.
func stories(t *testing.T) (all []*Story) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "given" {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".txt") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s, err := Parse(path, string(text))
		if err != nil {
			return err
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func short(path string) string {
	rel, _ := filepath.Rel(root, path)
	return strings.TrimSuffix(filepath.ToSlash(rel), ".txt")
}

// TestScenarios lets every story happen. What its steps answer must be what the file says, and then the ledger must verify.
func TestScenarios(t *testing.T) {
	for _, s := range stories(t) {
		t.Run(short(s.Path), func(t *testing.T) {
			t.Parallel()
			w, err := NewWorld(t.Context(), filepath.Join(t.TempDir(), "ledger"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := w.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}()
			want := s.String()
			if err := w.Run(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			got := s.String()
			if *rewrite {
				if err := os.WriteFile(s.Path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the story goes on differently (-want +got); if intended, run with -rewrite:\n%s\nrefusals: %q", diff, w.Refusals())
			}
			if testing.Verbose() {
				t.Logf("refusals: %q", w.Refusals())
			}
			if err := w.Finish(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTable keeps docs/scenarios.md up to date.
func TestTable(t *testing.T) {
	all := stories(t)
	for _, s := range all {
		s.Path = short(s.Path)
		if len(s.Covers) == 0 {
			t.Errorf("%s does not say what it covers", s.Path)
		}
	}
	got, err := Table(os.DirFS(filepath.Join("..", "..")), all)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "docs", "scenarios.md")
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run with -rewrite to create it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/scenarios.md is out of date (-want +got); run with -rewrite:\n%s", diff)
	}
}

// TestNamedTests checks that a test which is named and does not exist is noticed, and one whose line is on no list.
func TestNamedTests(t *testing.T) {
	repo := fstest.MapFS{"ledger/disk_test.go": {Data: []byte("package ledger\n\nfunc TestDisk(t *testing.T) {\n}\n")}}
	if file, err := fileOf(repo, "ledger", "TestDisk"); err != nil || file != "ledger/disk_test.go" {
		t.Errorf("the test is in %q, %v", file, err)
	}
	for _, fn := range []string{"TestDis", "TestDisks", "Disk"} {
		if file, err := fileOf(repo, "ledger", fn); err == nil {
			t.Errorf("%s is found in %s", fn, file)
		}
	}
	if err := tested(repo, nil, nil); err == nil {
		t.Error("what is not on the checklist is covered")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ what, text string }{
		{"no purpose", "at 2025-01-01\n"},
		{"an answer to nothing", "# A story.\n> accepted\n"},
		{"a continuation of nothing", "# A story.\n  amount=1\n"},
	} {
		if _, err := Parse("story", tt.text); err == nil {
			t.Errorf("%s: accepted", tt.what)
		}
	}
}

// TestStepsRefused checks that a step that is not understood ends the story, instead of passing as one without effect.
func TestStepsRefused(t *testing.T) {
	w, err := NewWorld(t.Context(), filepath.Join(t.TempDir(), "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close(t.Context())
	for _, step := range []string{
		"dance", "as nobody", "at noon", "at 2020-01-01", "use", "use nobody 1 tokens", "advance nothing to 2025-01-01", "given nothing",
		"show Merchants", `CreateProduct name="open`, "CreateProduct name", "CreateProduct name=@nothing",
	} {
		s, err := Parse("story", "# A story.\n"+step+"\n")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Run(t.Context(), s); err == nil {
			t.Errorf("%q is accepted, and answers %q", step, s.lines[1].answer)
		}
	}
}
