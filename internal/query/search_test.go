package query

import "testing"

func TestHolds(t *testing.T) {
	for _, tt := range []struct {
		text, part string
		want       bool
	}{
		{"Dune BV", "une b", true},
		{"Dune BV", "", true},
		{"Dune BV", "dunes", false},
		{"Caf\u00e9 M\u00fcller", "cafe\u0301 mu\u0308", true}, // written as one character, asked for as two
		{"Cafe\u0301 Mu\u0308ller", "CAF\u00c9 M\u00dc", true}, // and the other way round
		{"Café", "cafe", false},                                // another letter
		{"STRASSE", "straße", true},
		{"ΣΊΣΥΦΟΣ", "σίσυφος", true},
	} {
		if got := holds(tt.text, tt.part); got != tt.want {
			t.Errorf("%q in %q: %v", tt.part, tt.text, got)
		}
	}
}
