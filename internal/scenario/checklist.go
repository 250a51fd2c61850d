package scenario

import (
	_ "embed" // for the checklist
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed checklist.txt
var checklist string

//go:embed tests.txt
var tests string

// An Item is something that a scenario can show: a line of what is asked for, a choice (A) or a decision (D).
type Item struct {
	Name string // line 15, A7, D24
	Text string
}

// Checklist returns all that scenarios are to show.
func Checklist() (items []Item) {
	for l := range strings.Lines(checklist) {
		name, text, _ := strings.Cut(strings.TrimSpace(l), " | ")
		items = append(items, Item{name, text})
	}
	return items
}

// tested adds the tests that show what can be no story of commands, such as a disk that fails. It refuses a test that there is not in
// repo, and one that covers what is not on the checklist.
func tested(repo fs.FS, items []Item, shown map[string][]string) error {
	for l := range strings.Lines(tests) {
		name, list, _ := strings.Cut(strings.TrimSpace(l), " | ")
		if !onList(items, name) {
			return fmt.Errorf("tests.txt covers %q, which is not on the checklist", name)
		}
		for test := range strings.SplitSeq(list, ", ") {
			dir, fn, _ := strings.Cut(test, ".")
			file, err := fileOf(repo, dir, fn)
			if err != nil {
				return fmt.Errorf("tests.txt on %s: %w", name, err)
			}
			shown[name] = append(shown[name], fmt.Sprintf("[`%s`](../%s)", fn, file))
		}
	}
	return nil
}

// fileOf returns the file of a directory that has a test function.
func fileOf(repo fs.FS, dir, fn string) (string, error) {
	files, err := fs.Glob(repo, dir+"/*_test.go")
	if err != nil {
		return "", err
	}
	for _, file := range files {
		text, err := fs.ReadFile(repo, file)
		if err != nil {
			return "", err
		}
		if strings.Contains(string(text), "\nfunc "+fn+"(t *testing.T) {") {
			return file, nil
		}
	}
	return "", fmt.Errorf("there is no test %s in %s", fn, dir)
}

func onList(items []Item, name string) bool {
	return slices.ContainsFunc(items, func(i Item) bool { return i.Name == name })
}

// Table returns the page that says which stories show what, which tests show what can be no story, and what none shows. It refuses
// what covers something that is not on the checklist. repo is the root of the sources.
func Table(repo fs.FS, stories []*Story) (string, error) {
	items := Checklist()
	shown := make(map[string][]string)
	for _, s := range stories {
		link := fmt.Sprintf("[%s](../testdata/scenarios/%s.txt)", s.Path, s.Path)
		for _, c := range s.Covers {
			if !onList(items, c) {
				return "", fmt.Errorf("%s covers %q, which is not on the checklist", s.Path, c)
			}
			if !slices.Contains(shown[c], link) {
				shown[c] = append(shown[c], link)
			}
		}
	}
	if err := tested(repo, items, shown); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# What the scenarios show\n\nEach scenario in [testdata/scenarios](../testdata/scenarios) is a story: steps with their times, and the " +
		"balances, states,\ninvoices and refusals that must come of them. It runs on the real rules, and afterwards the books must " +
		"come to zero and\nall views must be the same when they are made again. `go test ./internal/scenario` runs them; with `-rewrite` it puts in\n" +
		"what comes of the steps, and writes this page. What cannot be told as a story of commands, such as a disk that fails, is shown by\n" +
		"the tests that are named.\n\n| | what | scenarios and tests |\n| --- | --- | --- |\n")
	var missing []string
	for _, i := range items {
		if len(shown[i.Name]) == 0 {
			missing = append(missing, i.Name)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", i.Name, i.Text, strings.Join(shown[i.Name], ", "))
	}
	if len(missing) > 0 {
		fmt.Fprintf(&b, "\nNot shown: %s.\n", strings.Join(missing, ", "))
	}
	b.WriteString("\n## The stories\n\n")
	for _, s := range stories {
		fmt.Fprintf(&b, "- [%s](../testdata/scenarios/%s.txt): %s\n", s.Path, s.Path, s.Purpose)
	}
	return b.String(), nil
}
