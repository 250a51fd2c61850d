package query

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// holds reports whether text has part in it. Upper and lower case are the same, and so is a letter with a mark whether it is written as one
// character or as two.
func holds(text, part string) bool { return strings.Contains(folded(text), folded(part)) }

func folded(s string) string { return norm.NFC.String(cases.Fold().String(norm.NFC.String(s))) }
