package demo

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"
)

// Row is one request to an LLM.
type Row struct {
	At     time.Time // UTC
	Input  int64     // tokens; at least 0
	Output int64     // tokens; at least 0
}

// header is the first line of a trace.
const header = "TIMESTAMP,ContextTokens,GeneratedTokens"

// ReadTrace reads a trace: CSV with the header TIMESTAMP,ContextTokens,GeneratedTokens, lines that end in LF or
// CRLF, times without a zone, meant as UTC, with at most nine decimals. Errors name the line.
func ReadTrace(r io.Reader) ([]Row, error) {
	in := csv.NewReader(bufio.NewReaderSize(r, 1<<20))
	in.FieldsPerRecord = 3
	in.ReuseRecord = true
	first, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	if got := strings.TrimPrefix(strings.Join(first, ","), "\ufeff"); got != header {
		return nil, fmt.Errorf("the header is %.80q; it must be %q", got, header)
	}
	var rows []Row
	for {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the trace: %w", err)
		}
		row, err := parseRow(fields)
		if err != nil {
			line, _ := in.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		rows = append(rows, row)
	}
}

func parseRow(fields []string) (row Row, err error) {
	if row.At, err = time.Parse("2006-01-02 15:04:05", fields[0]); err != nil { // takes decimals too
		return row, fmt.Errorf("TIMESTAMP: %w", err)
	}
	if row.Input, err = parseTokens("ContextTokens", fields[1]); err != nil {
		return row, err
	}
	row.Output, err = parseTokens("GeneratedTokens", fields[2])
	return row, err
}

func parseTokens(field, s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 40)
	if err != nil {
		return 0, fmt.Errorf("%s: %.40q is not a number of tokens", field, s)
	}
	return int64(n), nil
}

// ReadTraceFile is [ReadTrace] on a file.
func ReadTraceFile(path string) ([]Row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := ReadTrace(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rows, nil
}

// MakeTrace returns n rows of invented traffic: requests a fraction of a second apart, long prompts with short answers, and
// now and then one without an answer. The same seed gives the same rows.
func MakeTrace(n int, seed uint64) []Row {
	rnd := rand.New(rand.NewPCG(seed, 0x7461_6c6c_7973_7469))
	at := time.Date(2026, 3, 2, 9, 17, 0, 0, time.UTC)
	rows := make([]Row, n)
	for i := range rows {
		at = at.Add(time.Duration(rnd.ExpFloat64()*180_000) * time.Microsecond)
		rows[i] = Row{
			At:     at,
			Input:  1 + int64(rnd.ExpFloat64()*1100),
			Output: int64(rnd.ExpFloat64() * 210),
		}
	}
	return rows
}
