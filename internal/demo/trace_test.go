package demo

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReadTrace(t *testing.T) {
	want := []Row{
		{time.Date(2023, 11, 16, 18, 15, 46, 680590000, time.UTC), 374, 44},
		{time.Date(2023, 11, 16, 18, 15, 50, 0, time.UTC), 0, 109},
	}
	text := header + "\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50,0,109\n"
	for name, in := range map[string]string{
		"LF":                text,
		"CRLF":              strings.ReplaceAll(text, "\n", "\r\n"),
		"byte order mark":   "\ufeff" + text,
		"no final new line": strings.TrimSuffix(text, "\n"),
	} {
		got, err := ReadTrace(strings.NewReader(in))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, want)
		}
	}
}

func TestReadTraceRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":         "",
		"another header":  "time,in,out\n",
		"a missing field": header + "\n2023-11-16 18:15:46,374\n",
		"no time":         header + "\nyesterday,374,44\n",
		"negative tokens": header + "\n2023-11-16 18:15:46,-1,44\n",
		"half a token":    header + "\n2023-11-16 18:15:46,1,0.5\n",
		"too many tokens": header + "\n2023-11-16 18:15:46,1,99999999999999\n",
	} {
		if rows, err := ReadTrace(strings.NewReader(in)); err == nil {
			t.Errorf("%s: got %v, want an error", name, rows)
		}
	}
}

func TestMakeTraceIsTheSameEachTime(t *testing.T) {
	a, b := MakeTrace(1000, 1), MakeTrace(1000, 1)
	if !slices.Equal(a, b) {
		t.Error("the same seed gave other rows")
	}
	if slices.Equal(a, MakeTrace(1000, 2)) {
		t.Error("another seed gave the same rows")
	}
	if !slices.IsSortedFunc(a, func(x, y Row) int { return x.At.Compare(y.At) }) {
		t.Error("rows are not in the order of time")
	}
	zero := slices.ContainsFunc(a, func(r Row) bool { return r.Output == 0 })
	if !zero {
		t.Error("no row without output tokens, which is a case to show")
	}
}
