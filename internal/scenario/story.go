package scenario

import (
	"fmt"
	"strings"
)

// Story is a scenario file, read.
type Story struct {
	Path    string
	Purpose string   // why it exists
	Covers  []string // of the checklist
	lines   []line
}

// line is a step with what belongs to it, or text between steps.
type line struct {
	number int
	text   []string // as it stands in the file, with its continuations
	answer []string // what stands behind ">" below it
}

// step returns the whole step in one line; "" where there is none.
func (l *line) step() string {
	if first := l.text[0]; first == "" || first[0] == '#' {
		return ""
	}
	parts := make([]string, len(l.text))
	for i, t := range l.text {
		parts[i] = strings.TrimSpace(t)
	}
	return strings.Join(parts, " ")
}

// Parse reads a story.
func Parse(path, text string) (*Story, error) {
	s := &Story{Path: path}
	for i, t := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		t = strings.TrimRight(t, " \t")
		last := len(s.lines) - 1
		switch {
		case strings.HasPrefix(t, ">"):
			if last < 0 || s.lines[last].step() == "" {
				return nil, fmt.Errorf("%s:%d: an answer to nothing", path, i+1)
			}
			s.lines[last].answer = append(s.lines[last].answer, strings.TrimPrefix(t[1:], " "))
		case strings.HasPrefix(t, " ") || strings.HasPrefix(t, "\t"):
			if last < 0 || s.lines[last].step() == "" {
				return nil, fmt.Errorf("%s:%d: it goes on with nothing", path, i+1)
			}
			s.lines[last].text = append(s.lines[last].text, t)
		default:
			s.lines = append(s.lines, line{number: i + 1, text: []string{t}})
		}
	}
	return s, s.header()
}

// header reads the comments at the beginning.
func (s *Story) header() error {
	var purpose []string
	for i := range s.lines {
		t, ok := strings.CutPrefix(s.lines[i].text[0], "#")
		if !ok {
			break
		}
		t = strings.TrimSpace(t)
		list, ok := strings.CutPrefix(t, "covers:")
		if !ok {
			purpose = append(purpose, t)
			continue
		}
		for item := range strings.SplitSeq(list, ",") {
			if item = strings.TrimSpace(item); item != "" {
				s.Covers = append(s.Covers, item)
			}
		}
	}
	s.Purpose = strings.Join(purpose, " ")
	if s.Purpose == "" {
		return fmt.Errorf("%s: it must begin with a sentence that says why it exists", s.Path)
	}
	return nil
}

// String returns the story as its file has it.
func (s *Story) String() string {
	var b strings.Builder
	for i := range s.lines {
		for _, t := range s.lines[i].text {
			b.WriteString(t + "\n")
		}
		for _, a := range s.lines[i].answer {
			b.WriteString(strings.TrimRight("> "+a, " ") + "\n")
		}
	}
	return b.String()
}
