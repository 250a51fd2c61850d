package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"tallystick/commands"
)

const metric = "bm_01JD3W0000000000000000000A"

// rows reads a source to its end. Bad rows are errors in the list.
func rows(t *testing.T, s source) (list []string) {
	t.Helper()
	for {
		e, err := s.next()
		var bad *rowError
		switch {
		case errors.Is(err, io.EOF):
			return list
		case errors.As(err, &bad):
			list = append(list, err.Error())
		case err != nil:
			t.Fatal(err)
		default:
			list = append(list, fmt.Sprintf("row %d: %s", e.row, e.body))
		}
	}
}

func TestCSV(t *testing.T) {
	const at, key = `"timestamp":"2026-01-05T18:15:46.68059Z"`, `"idempotencyKey":"k"`
	one := func(quantity string) string {
		return `"properties":[{"billableMetricId":"` + metric + `","quantity":` + quantity + `}]`
	}
	for _, tt := range []struct {
		name, file string
		m          mapping
		want       []string
	}{
		{
			name: "columns by name",
			file: "id,when,n,who\nk,2026-01-05 18:15:46.6805900,12,cus_1\n",
			m:    mapping{customer: "who", timestamp: "when", key: "id", properties: []string{metric + "=n"}},
			want: []string{`row 1: {"customerId":"cus_1",` + key + `,` + at + `,` + one("12") + `}`},
		},
		{
			name: "a byte order mark, CRLF and another separator",
			file: "\ufeffid;when;n\r\nk;2026-01-05T18:15:46.68059Z;12\r\n",
			m:    mapping{customerID: "cus_1", timestamp: "when", key: "id", comma: ";", properties: []string{metric + "=n"}},
			want: []string{`row 1: {"customerId":"cus_1",` + key + `,` + at + `,` + one("12") + `}`},
		},
		{
			name: "a byte order mark before quotes, and a break in quotes",
			file: "\ufeff\"id\",\"when\",\"n\",\"note\"\r\n\"k\",\"2026-01-05T18:15:46.68059Z\",\"12\",\"a\r\nb\"\r\n",
			m:    mapping{customerID: "cus_1", timestamp: "when", key: "id", properties: []string{metric + "=n"}},
			want: []string{`row 1: {"customerId":"cus_1",` + key + `,` + at + `,` + one("12") + `}`},
		},
		{
			name: "a quote that is not closed takes the rest",
			file: "when,n,id\n2026-01-05 18:15:46.68059,1,\"k\n2026-01-05 18:15:46.68059,1,k\n2026-01-05 18:15:46.68059,1,k\n",
			m:    mapping{customerID: "cus_1", timestamp: "when", key: "id", properties: []string{metric + "=n"}},
			want: []string{`row 1: a quote that is not closed makes lines 2 to 4 one row, and none of them is reported: record on line 2; parse error on line 4, column 31: extraneous or missing " in quoted-field`},
		},
		{
			name: "no header, and another zone",
			file: "2026-01-05 19:15:46.68059,12,k\n",
			m: mapping{
				customerID: "cus_1", timestamp: "#1", key: "#3", noHeader: true, zone: "Europe/Berlin", properties: []string{metric + "=#2"},
			},
			want: []string{`row 1: {"customerId":"cus_1",` + key + `,` + at + `,` + one("12") + `}`},
		},
		{
			name: "metadata, and times in milliseconds",
			file: "when,n,model,id\n1767636946680,1,large,k\n",
			m: mapping{
				customerID: "cus_1", timestamp: "when", layout: "unixms", key: "id",
				properties: []string{metric + "=n"}, metadata: []string{"model=model"},
			},
			want: []string{
				`row 1: {"customerId":"cus_1",` + key + `,"timestamp":"2026-01-05T18:15:46.68Z",` + one("1") + `,"metadata":{"model":"large"}}`,
			},
		},
		{
			name: "rows without usage are left out, bad ones named",
			file: "when,n,id\nsoon,1,k\n2026-01-05 18:15:46.68059,0,k\n2026-01-05 18:15:46.68059,,k\n2026-01-05 18:15:46.68059,1.5,k\nx\n2026-01-05 18:15:46.68059,1,k\n",
			m:    mapping{customerID: "cus_1", timestamp: "when", key: "id", properties: []string{metric + "=n"}},
			want: []string{
				`row 1: "soon" is no time such as 2026-01-31T12:00:00Z; see --time-layout`,
				`row 4: "1.5" is no quantity: a whole number is needed`,
				`row 5: record on line 6: wrong number of fields`,
				`row 6: {"customerId":"cus_1",` + key + `,` + at + `,` + one("1") + `}`,
			},
		},
	} {
		s, err := newCSV(strings.NewReader(tt.file), tt.m)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, rows(t, s)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestCSVNamesWhatIsMissing(t *testing.T) {
	good := mapping{customerID: "cus_1", timestamp: "when", properties: []string{metric + "=n"}}
	for want, change := range map[string]func(*mapping){
		"no column \"at\"":            func(m *mapping) { m.timestamp = "at" },
		"no column \"#3\"":            func(m *mapping) { m.timestamp = "#3" },
		"give one of --customer":      func(m *mapping) { m.customerID = "" },
		"at least one --property":     func(m *mapping) { m.properties = nil },
		"is not NAME=COLUMN":          func(m *mapping) { m.properties = []string{metric} },
		"not an identifier":           func(m *mapping) { m.properties = []string{"tokens=n"} },
		"--zone":                      func(m *mapping) { m.zone = "Nowhere/Land" },
		"--comma must be one":         func(m *mapping) { m.comma = "ab" },
		"--metadata: the file has no": func(m *mapping) { m.metadata = []string{"a=b"} },
	} {
		m := good
		change(&m)
		_, err := newCSV(strings.NewReader("when,n\n"), m)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
	for file, want := range map[string]string{"": "the file is empty", "n,when,n\n": "more than one column \"n\""} {
		if _, err := newCSV(strings.NewReader(file), good); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}

// TestKeysOfRows says what a row without a key is known by: its number and content, whatever stands behind it.
func TestKeysOfRows(t *testing.T) {
	read := func(file string) []string { return rows(t, newJSONL(strings.NewReader(file))) }
	short, long := read(`{"a":1}`+"\n"+`{"a":1}`+"\n"), read(`{"a":1}`+"\n\n"+`{"a":1}`+"\n"+`{"a":2}`)
	if diff := cmp.Diff(short, long[:2]); diff != "" {
		t.Errorf("a longer file changes the rows before (-short +long):\n%s", diff)
	}
	if short[0][len("row 1: "):] == short[1][len("row 2: "):] {
		t.Errorf("two rows with the same content have the same key: %s", short[0])
	}
	for _, row := range long {
		if !strings.Contains(row, `{"idempotencyKey":"row-`) {
			t.Errorf("a row without a key: %s", row)
		}
	}
	for _, own := range []string{`{"idempotencyKey":"mine"}`, `{"specversion":"1.0","id":"1"}`} {
		if got := read(own); got[0] != "row 1: "+own {
			t.Errorf("a row with a key of its own is changed: %s", got[0])
		}
	}
	if got := read(`{}`); !strings.HasSuffix(got[0], `"}`) || !json.Valid([]byte(got[0][len("row 1: "):])) {
		t.Errorf("an empty object becomes %s", got[0])
	}
	if got := read("[1]\nx\n"); !strings.Contains(got[0], "no JSON object") || !strings.Contains(got[1], "no JSON object") {
		t.Errorf("what is no object becomes %v", got)
	}
}

// flaky is a ledger that takes usage by its key, and fails in a given way now and then.
type flaky struct {
	Backend
	mu    sync.Mutex // guards the fields below
	seen  map[string]int
	calls int
	fail  func(call int) ([]byte, error) // of the answer after the usage is taken; nil means it does not
}

func (f *flaky) Command(_ context.Context, _ string, body []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	var batch struct {
		Events []struct {
			Key string `json:"idempotencyKey"`
		} `json:"events"`
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		return nil, err
	}
	var answer struct {
		Receipts []receipt `json:"receipts"`
	}
	for i, e := range batch.Events {
		r := receipt{Status: commands.Accepted, Sequence: 1}
		switch {
		case f.seen[e.Key] > 0:
			r.Status = commands.Duplicate
		case f.calls%3 == 0 && i%2 == 0:
			r = receipt{Status: commands.Rejected, Code: commands.Busy, Message: "later"}
		case e.Key == "bad":
			r = receipt{Status: commands.Rejected, Code: commands.NotFound, Message: "no"}
		}
		if r.Status != commands.Rejected {
			f.seen[e.Key]++
		}
		answer.Receipts = append(answer.Receipts, r)
	}
	if f.fail != nil {
		if b, err := f.fail(f.calls); b != nil || err != nil {
			return b, err
		}
	}
	return json.Marshal(answer)
}

// TestPublishingGoesThrough sends a file to a ledger that is busy, loses answers, and refuses one row for good: every other
// row is taken, and counted once.
func TestPublishingGoesThrough(t *testing.T) {
	var file strings.Builder
	for i := range 500 {
		fmt.Fprintf(&file, `{"idempotencyKey":"k%d"}`+"\n", i)
	}
	file.WriteString(`{"idempotencyKey":"bad"}` + "\nnot JSON\n")
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{seen: make(map[string]int), fail: func(call int) ([]byte, error) {
			if call%5 == 1 {
				return nil, errors.New("the answer is lost")
			}
			return nil, nil
		}}
		p := &publishing{batch: 20, inFlight: 4, tries: 20, show: 1}
		sum, err := publishAll(t.Context(), f, newJSONL(strings.NewReader(file.String())), p)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.seen) != 500 || sum.Accepted+sum.Duplicates != 500 || sum.Rejected != 2 || sum.Rows != 502 {
			t.Errorf("%d taken; %+v", len(f.seen), sum)
		}
		if sum.Codes[commands.NotFound] != 1 || sum.Codes[commands.Invalid] != 1 || len(sum.Refused) != 1 {
			t.Errorf("refused: %+v", sum)
		}
	})
}

func TestPublishingGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{seen: make(map[string]int), fail: func(int) ([]byte, error) { return nil, errors.New("nobody answers") }}
		p := &publishing{batch: 1, inFlight: 2, tries: 3, show: 1}
		_, err := publishAll(t.Context(), f, newJSONL(strings.NewReader(`{"idempotencyKey":"k"}`)), p)
		if err == nil || !strings.Contains(err.Error(), "nobody answers") || f.calls != 3 {
			t.Errorf("after %d calls: %v", f.calls, err)
		}
	})
}

func TestAWholeBatchRefused(t *testing.T) {
	f := &flaky{seen: make(map[string]int), fail: func(int) ([]byte, error) {
		return []byte(`{"status":"rejected","code":"FORBIDDEN","message":"no"}`), nil
	}}
	p := &publishing{batch: 10, inFlight: 1, tries: 3, show: 9}
	sum, err := publishAll(t.Context(), f, newJSONL(strings.NewReader("{}\n{}\n")), p)
	if err != nil || sum.Rejected != 2 || sum.Codes[commands.Forbidden] != 2 {
		t.Errorf("%+v, %v", sum, err)
	}
}
