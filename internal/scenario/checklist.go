package scenario

import (
	_ "embed" // for the checklist
	"fmt"
	"slices"
	"strings"
)

//go:embed checklist.txt
var checklist string

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

// Table returns the page that says which stories show what, and what none shows. It refuses a story that covers what is not on
// the checklist.
func Table(stories []*Story) (string, error) {
	items := Checklist()
	shown := make(map[string][]string)
	for _, s := range stories {
		for _, c := range s.Covers {
			if !slices.ContainsFunc(items, func(i Item) bool { return i.Name == c }) {
				return "", fmt.Errorf("%s covers %q, which is not on the checklist", s.Path, c)
			}
			if !slices.Contains(shown[c], s.Path) {
				shown[c] = append(shown[c], s.Path)
			}
		}
	}
	var b strings.Builder
	b.WriteString("# What the scenarios show\n\nEach scenario in [testdata/scenarios](../testdata/scenarios) is a story: steps with their times, and the " +
		"balances, states,\ninvoices and refusals that must come of them. It runs on the real rules, and afterwards the books must " +
		"come to zero and\nall views must be the same when they are made again. `go test ./internal/scenario` runs them; with `-rewrite` it puts in\n" +
		"what comes of the steps, and writes this page.\n\n| | what | scenarios |\n| --- | --- | --- |\n")
	var missing []string
	for _, i := range items {
		links := make([]string, len(shown[i.Name]))
		for j, path := range shown[i.Name] {
			links[j] = fmt.Sprintf("[%s](../testdata/scenarios/%s.txt)", path, path)
		}
		if len(links) == 0 {
			missing = append(missing, i.Name)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", i.Name, i.Text, strings.Join(links, ", "))
	}
	fmt.Fprintf(&b, "\nShown by no scenario (some are shown by tests of their package): %s.\n", strings.Join(missing, ", "))
	b.WriteString("\n## The stories\n\n")
	for _, s := range stories {
		fmt.Fprintf(&b, "- [%s](../testdata/scenarios/%s.txt): %s\n", s.Path, s.Path, s.Purpose)
	}
	return b.String(), nil
}
