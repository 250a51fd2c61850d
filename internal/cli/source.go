package cli

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"tallystick/events"
)

// entry is one usage event on its way to the ledger.
type entry struct {
	row  int    // of its file, from 1, without the header
	body []byte // in JSON
}

// source gives the usage events of a file, one after another, and io.EOF at the end. A row that makes no usage event is
// a [*rowError], after which the next one can be read.
type source interface {
	next() (entry, error)
}

// rowError is what is wrong with one row.
type rowError struct {
	row int
	err error
}

func (e *rowError) Error() string { return fmt.Sprintf("row %d: %v", e.row, e.err) }
func (e *rowError) Unwrap() error { return e.err }

// rowKey returns the idempotency key of a row that has none of its own: it depends on the number of the row and on
// what is in it, so that a file that is sent again, or sent again with more rows behind, is
// known by its rows. Two equal rows of a file are two events.
func rowKey(row int, content string) string {
	sum := sha256.Sum256([]byte(content))
	return fmt.Sprintf("row-%d-%s", row, hex.EncodeToString(sum[:12]))
}

// mapping says which columns of a CSV file mean what. A column is named by its header, or by
// its number: #1, #2, and so on.
type mapping struct {
	customer, customerID    string // a column, or one customer for all rows
	timestamp, layout, zone string
	key                     string
	properties, metadata    []string // METRIC=COLUMN, NAME=COLUMN
	noHeader                bool
	comma                   string
}

// csvSource reads usage from CSV.
type csvSource struct {
	in       *csv.Reader
	m        mapping
	zone     *time.Location
	columns  map[string]int
	customer int // column, or -1
	time     int
	key      int // column, or -1
	metrics  []named
	metadata []named
	row      int
	first    []string // a first row that is no header
}

// named is a column with what it stands for.
type named struct {
	name   string
	column int
}

func newCSV(r io.Reader, m mapping) (*csvSource, error) {
	s := &csvSource{in: csv.NewReader(withoutMark(r)), m: m, columns: make(map[string]int)}
	s.in.ReuseRecord = true
	if m.comma != "" {
		comma := []rune(strings.ReplaceAll(m.comma, `\t`, "\t"))
		if len(comma) != 1 {
			return nil, usagef("--comma must be one character")
		}
		s.in.Comma = comma[0]
	}
	var err error
	if s.zone, err = time.LoadLocation(m.zone); err != nil {
		return nil, usagef("--zone: %v", err)
	}
	head, err := s.in.Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	if m.noHeader {
		s.first = append([]string(nil), head...)
	} else {
		for i, name := range head {
			name = strings.TrimSpace(name)
			if _, ok := s.columns[name]; ok {
				i = twice
			}
			s.columns[name] = i
		}
	}
	return s, s.locate(len(head))
}

// twice stands for a column whose name another has too.
const twice = -1

// withoutMark returns what r has, without the mark of its byte order that some programs begin a file with.
func withoutMark(r io.Reader) io.Reader {
	in := bufio.NewReaderSize(r, 1<<20)
	if b, _ := in.Peek(3); string(b) == "\ufeff" {
		_, _ = in.Discard(3) // it is there
	}
	return in
}

// locate finds the columns that the mapping names.
func (s *csvSource) locate(width int) (err error) {
	find := func(flag, name string) int {
		if n, e := strconv.Atoi(strings.TrimPrefix(name, "#")); e == nil && strings.HasPrefix(name, "#") && n >= 1 && n <= width {
			return n - 1
		}
		i, ok := s.columns[name]
		switch {
		case err != nil:
		case width == 0:
			err = errors.New("the file is empty")
		case !ok:
			err = usagef("%s: the file has no column %q", flag, name)
		case i == twice:
			err = usagef("%s: the file has more than one column %q; name it by its number, such as #1", flag, name)
		}
		return i
	}
	optional := func(flag, name string) int {
		if name == "" {
			return -1
		}
		return find(flag, name)
	}
	pairs := func(flag string, list []string) (found []named) {
		for _, p := range list {
			name, column, ok := strings.Cut(p, "=")
			if !ok && err == nil {
				err = usagef("%s: %q is not NAME=COLUMN", flag, p)
			}
			found = append(found, named{name, find(flag, column)})
		}
		return found
	}
	if (s.m.customer == "") == (s.m.customerID == "") {
		return usagef("give one of --customer COLUMN and --customer-id ID")
	}
	if len(s.m.properties) == 0 {
		return usagef("name at least one --property METRIC=COLUMN")
	}
	s.customer, s.key = optional("--customer", s.m.customer), optional("--idempotency-key", s.m.key)
	s.time = find("--timestamp", s.m.timestamp)
	s.metrics, s.metadata = pairs("--property", s.m.properties), pairs("--metadata", s.m.metadata)
	for _, p := range s.metrics {
		if _, e := events.ParseID[events.MetricNoun](p.name); e != nil && err == nil {
			err = usagef("--property: %v", e)
		}
	}
	return err
}

// usageJSON is a usage event in JSON.
type usageJSON struct {
	Customer   string            `json:"customerId"`
	Key        string            `json:"idempotencyKey"`
	Timestamp  string            `json:"timestamp"`
	Properties []propertyJSON    `json:"properties"`
	Metadata   map[string]string `json:"metadata,omitempty"`
}

type propertyJSON struct {
	Metric   string      `json:"billableMetricId"`
	Quantity json.Number `json:"quantity"`
}

func (s *csvSource) next() (entry, error) {
	for {
		fields, err := s.first, error(nil)
		if s.first = nil; fields == nil {
			fields, err = s.in.Read()
		}
		if errors.Is(err, io.EOF) {
			return entry{}, io.EOF
		}
		s.row++
		var malformed *csv.ParseError
		if errors.As(err, &malformed) {
			if malformed.StartLine < malformed.Line {
				err = fmt.Errorf("a quote that is not closed makes lines %d to %d one row, and none of them is reported: %w", malformed.StartLine, malformed.Line, err)
			}
			return entry{}, &rowError{s.row, err}
		}
		if err != nil {
			return entry{}, fmt.Errorf("reading row %d: %w", s.row, err)
		}
		e, used, err := s.usage(fields)
		if err != nil {
			return entry{}, &rowError{s.row, err}
		}
		if used {
			return e, nil
		}
	}
}

// usage returns a row as a usage event, and whether it has any usage: a metric without a quantity, or with 0, is left out.
func (s *csvSource) usage(fields []string) (e entry, used bool, err error) {
	u := usageJSON{Customer: s.m.customerID}
	if s.customer >= 0 {
		u.Customer = fields[s.customer]
	}
	for _, m := range s.metrics {
		n := strings.TrimSpace(fields[m.column])
		if n == "" || n == "0" {
			continue
		}
		if _, err := strconv.ParseUint(n, 10, 63); err != nil {
			return e, false, fmt.Errorf("%q is no quantity: a whole number is needed", n)
		}
		u.Properties = append(u.Properties, propertyJSON{m.name, json.Number(n)})
	}
	if len(u.Properties) == 0 {
		return e, false, nil
	}
	at, err := s.parseTime(fields[s.time])
	if err != nil {
		return e, false, err
	}
	u.Timestamp = at.UTC().Format(time.RFC3339Nano)
	if s.key >= 0 {
		u.Key = fields[s.key]
	} else {
		u.Key = rowKey(s.row, strings.Join(fields, "\x1f"))
	}
	for _, m := range s.metadata {
		if u.Metadata == nil {
			u.Metadata = make(map[string]string, len(s.metadata))
		}
		u.Metadata[m.name] = fields[m.column]
	}
	body, err := json.Marshal(u)
	return entry{s.row, body}, true, err
}

// parseTime reads a time in the layout that was given, or in any of the usual ones.
func (s *csvSource) parseTime(text string) (time.Time, error) {
	switch s.m.layout {
	case "unix", "unixms":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q is no time in %s", text, s.m.layout)
		}
		if s.m.layout == "unix" {
			return time.Unix(n, 0), nil
		}
		return time.UnixMilli(n), nil
	case "":
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
			if t, err := time.ParseInLocation(layout, text, s.zone); err == nil {
				return t, nil
			}
		}
		return time.Time{}, fmt.Errorf("%q is no time such as 2026-01-31T12:00:00Z; see --time-layout", text)
	}
	return time.ParseInLocation(s.m.layout, text, s.zone)
}

// jsonSource reads usage from lines of JSON, each a usage event or a CloudEvent.
type jsonSource struct {
	in  *bufio.Scanner
	row int
}

func newJSONL(r io.Reader) *jsonSource {
	in := bufio.NewScanner(withoutMark(r))
	in.Buffer(make([]byte, 64<<10), 1<<20)
	return &jsonSource{in: in}
}

func (s *jsonSource) next() (entry, error) {
	for s.in.Scan() {
		line := bytes.TrimSpace(s.in.Bytes())
		if len(line) == 0 {
			continue
		}
		s.row++
		body, err := withKey(s.row, line)
		if err != nil {
			return entry{}, &rowError{s.row, err}
		}
		return entry{s.row, body}, nil
	}
	if err := s.in.Err(); err != nil {
		return entry{}, fmt.Errorf("reading the line after row %d: %w", s.row, err)
	}
	return entry{}, io.EOF
}

// withKey returns a usage event with an idempotency key: its own, or one of its row. A CloudEvent has its own.
func withKey(row int, line []byte) ([]byte, error) {
	var u struct {
		Key  *string `json:"idempotencyKey"`
		Spec string  `json:"specversion"`
	}
	if line[0] != '{' {
		return nil, errors.New("it is no JSON object")
	}
	if err := json.Unmarshal(line, &u); err != nil {
		return nil, fmt.Errorf("it is no JSON object: %w", err)
	}
	if u.Key != nil || u.Spec != "" {
		return bytes.Clone(line), nil
	}
	key, err := json.Marshal(rowKey(row, string(line)))
	if err != nil {
		return nil, err
	}
	body := append([]byte(`{"idempotencyKey":`), key...)
	if rest := bytes.TrimSpace(line[1:]); rest[0] != '}' {
		body = append(body, ',')
	}
	return append(body, line[1:]...), nil
}
