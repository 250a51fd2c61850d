package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"tallystick/events"
)

// table is text in columns. A column whose head begins with > is set to the right.
type table struct {
	head []string
	rows [][]string
}

func newTable(head ...string) *table { return &table{head: head} }

func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = plain(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// plain returns a text on one line, without what a terminal takes for orders: names are whatever somebody has sent.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// write writes t with its columns aligned.
func (t *table) write(w io.Writer) {
	widths := make([]int, len(t.head))
	right := make([]bool, len(t.head))
	head := make([]string, len(t.head))
	for i, h := range t.head {
		head[i], right[i] = strings.CutPrefix(h, ">")
		widths[i] = utf8.RuneCountInString(head[i])
	}
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	line := func(cells []string) {
		var b strings.Builder
		for i, c := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i > 0 {
				b.WriteString("  ")
			}
			if right[i] {
				b.WriteString(pad + c)
			} else {
				b.WriteString(c + pad)
			}
		}
		_, _ = io.WriteString(w, strings.TrimRight(b.String(), " ")+"\n") // w is an output, which remembers
	}
	if strings.Join(head, "") != "" {
		line(head)
	}
	for _, row := range t.rows {
		line(row)
	}
}

// facts is a list of names with their values, for one thing. Those without a value are left out.
type facts struct{ rows [][2]string }

func (f *facts) add(name, value string) {
	if value != "" {
		f.rows = append(f.rows, [2]string{name, value})
	}
}

func (f *facts) write(w io.Writer) {
	t := newTable("", "")
	for _, r := range f.rows {
		t.add(r[0], r[1])
	}
	t.write(w)
}

// money returns an amount exactly, with at least two decimals, and its currency.
func money(s events.Sum, c events.Currency) string {
	text := decimals(s)
	if c.IsZero() {
		return text
	}
	return text + " " + c.String()
}

// decimals returns an amount exactly, with at least two decimals.
func decimals(s events.Sum) string {
	text := s.String()
	whole, frac, _ := strings.Cut(text, ".")
	for len(frac) < 2 {
		frac += "0"
	}
	return whole + "." + frac
}

// when returns a time in UTC, to the second unless it is between seconds.
func when(t events.Time) string {
	if t.IsZero() {
		return ""
	}
	return strings.Replace(t.String(), "T", " ", 1)
}

// writeJSON writes v, indented.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// writeRaw writes JSON, indented.
func writeRaw(w io.Writer, b []byte) error {
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	out.WriteByte('\n')
	_, err := out.WriteTo(w)
	return err
}
