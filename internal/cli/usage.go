package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"tallystick/commands"
)

func (a *app) usage() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Report usage",
		RunE:  a.needsSubcommand,
	}
	cmd.AddCommand(a.usagePublish())
	return cmd
}

// publishing is the flags of tally usage publish.
type publishing struct {
	mapping
	format   string
	batch    int
	inFlight int
	tries    int
	show     int
}

func (a *app) usagePublish() *cobra.Command {
	var p publishing
	cmd := &cobra.Command{
		Use:   "publish FILE|-",
		Short: "Report the usage in a file",
		Long: `Report the usage in a file, or from standard input. A file of JSON lines has a usage event or a CloudEvent on each
line; of a CSV file the flags say what its columns mean. A row without a quantity, or with 0, in all its metrics is
left out.

Usage with the same idempotency key is billed once, so a file can be sent again at any time: after an interruption, or
with more rows behind. Rows that name no key get one that depends on the row's number and content.

What is refused is listed on standard error, and gives exit status 1; the rest is billed nonetheless.`,
		Example: `  tally usage publish --merchant org_01J… usage.jsonl
  tally usage publish --merchant org_01J… trace.csv --timestamp TIMESTAMP --customer-id cus_01J… \
      --property bm_01J…=ContextTokens --property bm_01K…=GeneratedTokens
  zcat usage.csv.gz | tally usage publish - --format csv --timestamp at --customer who --property bm_01J…=units`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.publish(cmd.Context(), args[0], &p) },
	}
	f := cmd.Flags()
	f.StringVar(&p.format, "format", "", "csv or jsonl (default by the file's name)")
	f.StringVar(&p.customer, "customer", "", "CSV column with the customer's id")
	f.StringVar(&p.customerID, "customer-id", "", "the customer of all rows")
	f.StringVar(&p.timestamp, "timestamp", "timestamp", "CSV column with the time; a column may also be given as #1, #2…")
	f.StringVar(&p.layout, "time-layout", "", "how times are written: unix, unixms, or as Go writes 2006-01-02 15:04:05")
	f.StringVar(&p.zone, "zone", "UTC", "time zone of times without one")
	f.StringVar(&p.key, "idempotency-key", "", "CSV column with the idempotency key")
	f.StringArrayVar(&p.properties, "property", nil, "METRIC=COLUMN: the quantity of a metric; can be repeated")
	f.StringArrayVar(&p.metadata, "metadata", nil, "NAME=COLUMN: metadata to keep, sealed; can be repeated")
	f.StringVar(&p.comma, "comma", "", "what is between CSV columns (default a comma)")
	f.BoolVar(&p.noHeader, "no-header", false, "the CSV file has no header; columns are #1, #2…")
	f.IntVar(&p.batch, "batch", 250, "usage events in a request, at most 1000")
	f.IntVar(&p.inFlight, "in-flight", 8, "requests under way at once")
	f.IntVar(&p.tries, "tries", 10, "how often a request is sent before it is given up")
	f.IntVar(&p.show, "show", 20, "how many refused rows are listed")
	return cmd
}

// outcome is what became of a file's usage.
type outcome struct {
	Rows       int                   `json:"rows"`
	Accepted   int                   `json:"accepted"`
	Duplicates int                   `json:"duplicates"`
	Rejected   int                   `json:"rejected"`
	Codes      map[commands.Code]int `json:"codes,omitempty"` // of what was rejected
	Refused    []refusal             `json:"refused,omitempty"`
	Last       uint64                `json:"lastSequence,omitempty"` // the highest sequence of a receipt
	Seconds    float64               `json:"seconds"`
}

// refusal is a row that was not taken.
type refusal struct {
	Row     int           `json:"row"`
	Code    commands.Code `json:"code"`
	Message string        `json:"message"`
}

func (o *outcome) refuse(show, row int, code commands.Code, message string) {
	o.Rejected++
	if o.Codes == nil {
		o.Codes = make(map[commands.Code]int)
	}
	o.Codes[code]++
	if len(o.Refused) < show {
		o.Refused = append(o.Refused, refusal{row, code, message})
	}
}

func (a *app) publish(ctx context.Context, file string, p *publishing) error {
	if p.batch < 1 || p.batch > 1000 || p.inFlight < 1 || p.tries < 1 {
		return usagef("--batch must be 1 to 1000, --in-flight and --tries at least 1")
	}
	in, size, err := a.input(file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was read only
	bar := a.bar(size, "publishing", true)
	src, err := p.source(file, io.TeeReader(in, bar))
	if err != nil {
		return err
	}
	began := a.Clock()
	var sum *outcome
	err = a.with(ctx, func(b Backend) error {
		r := a.returning(b)
		sum, err = publishAll(ctx, r, src, p)
		if r != b {
			err = errors.Join(err, r.Close())
		}
		return err
	})
	_ = bar.Finish() // it writes to the terminal only
	if sum == nil {
		return err
	}
	sum.Seconds = a.Clock().Sub(began).Seconds()
	slices.SortFunc(sum.Refused, func(x, y refusal) int { return x.Row - y.Row })
	if a.json {
		err = errors.Join(err, writeJSON(a.Out, sum))
	} else {
		a.showOutcome(sum)
	}
	if err == nil && sum.Rejected > 0 {
		return errSilent
	}
	return err
}

func (a *app) showOutcome(sum *outcome) {
	for _, r := range sum.Refused {
		a.note("row %d: %s: %s\n", r.Row, r.Code, r.Message)
	}
	if more := sum.Rejected - len(sum.Refused); more > 0 {
		a.note("… and %d more\n", more)
	}
	a.say("%d rows: %d accepted, %d duplicates, %d rejected, in %.1f s", sum.Rows, sum.Accepted, sum.Duplicates, sum.Rejected, sum.Seconds)
	if sum.Seconds > 0 {
		a.say(" (%.0f a second)", float64(sum.Rows)/sum.Seconds)
	}
	a.say("\n")
}

// input opens a file, or standard input, and returns its size, -1 where it is not known.
func (a *app) input(name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(a.In), -1, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	if !st.Mode().IsRegular() {
		return f, -1, nil
	}
	return f, st.Size(), nil
}

// bar returns a progress bar of total steps, or bytes, -1 if it is not known how many. It is seen on a terminal only.
func (a *app) bar(total int64, what string, isBytes bool) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(a.Err), progressbar.OptionSetVisibility(a.Terminal && !a.json),
		progressbar.OptionShowBytes(isBytes), progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(),
	)
}

func (p *publishing) source(file string, r io.Reader) (source, error) {
	format := p.format
	if format == "" {
		switch {
		case strings.HasSuffix(file, ".csv"):
			format = "csv"
		case strings.HasSuffix(file, ".jsonl"), strings.HasSuffix(file, ".ndjson"):
			format = "jsonl"
		}
	}
	switch format {
	case "csv":
		return newCSV(r, p.mapping)
	case "jsonl":
		return newJSONL(r), nil
	}
	return nil, usagef("say what %s is: --format csv or --format jsonl", file)
}

// sender sends usage in batches, several at once.
type sender struct {
	b       Backend
	p       *publishing
	batches chan []entry

	mu  sync.Mutex // guards the fields below
	sum outcome
}

// publishAll sends everything that src has. The outcome is what became of it so far, also where an error ends it.
func publishAll(ctx context.Context, b Backend, src source, p *publishing) (*outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pub := &sender{b: b, p: p, batches: make(chan []entry)}
	var workers sync.WaitGroup
	for range p.inFlight {
		workers.Go(func() {
			for batch := range pub.batches {
				if err := pub.send(ctx, batch); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := pub.feed(ctx, src)
	close(pub.batches)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &pub.sum, err
}

// maxBatchBytes keeps a request well within what a NATS message may have.
const maxBatchBytes = 512 << 10

// feed reads src and hands out batches.
func (pub *sender) feed(ctx context.Context, src source) error {
	var batch []entry
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		select {
		case pub.batches <- batch:
			batch, size = nil, 0
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for {
		e, err := src.next()
		if errors.Is(err, io.EOF) {
			return flush()
		}
		var bad *rowError
		if errors.As(err, &bad) {
			pub.mu.Lock()
			pub.sum.Rows++
			pub.sum.refuse(pub.p.show, bad.row, commands.Invalid, bad.err.Error())
			pub.mu.Unlock()
			continue
		}
		if err != nil {
			return errors.Join(flush(), err)
		}
		if len(batch) == pub.p.batch || size+len(e.body) > maxBatchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		batch, size = append(batch, e), size+len(e.body)
	}
}

// send sends a batch until every entry has a receipt that is final.
func (pub *sender) send(ctx context.Context, batch []entry) error {
	rows := len(batch)
	for try := 1; ; try++ {
		left, why := pub.attempt(ctx, batch)
		if len(left) == 0 {
			break
		}
		batch = left
		if wrong, ok := errors.AsType[*usageError](why); ok {
			return wrong // to repeat it changes nothing
		}
		if try == pub.p.tries || ctx.Err() != nil {
			return fmt.Errorf("rows %d to %d were sent %d times; publish the file again when the ledger is back: %w",
				batch[0].row, batch[len(batch)-1].row, try, why)
		}
		select {
		case <-time.After(min(time.Duration(try*try)*50*time.Millisecond, 5*time.Second)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	pub.mu.Lock()
	pub.sum.Rows += rows
	pub.mu.Unlock()
	return nil
}

// attempt sends a batch once. It returns the entries that must be sent again, and why.
func (pub *sender) attempt(ctx context.Context, batch []entry) (again []entry, why error) {
	body := []byte(`{"events":[`)
	for i, e := range batch {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, e.body...)
	}
	answer, err := pub.b.Command(ctx, "ReportUsage", append(body, "]}"...))
	if err != nil {
		return batch, err // outcome unknown: the same keys tell
	}
	var r struct {
		receipt
		Receipts []receipt `json:"receipts"`
	}
	if err := json.Unmarshal(answer, &r); err != nil {
		return batch, fmt.Errorf("reading receipts: %w", err)
	}
	if r.Receipts == nil { // the batch as a whole was refused
		for range batch {
			r.Receipts = append(r.Receipts, r.receipt)
		}
	}
	if len(r.Receipts) != len(batch) {
		return batch, fmt.Errorf("%d receipts for %d usage events", len(r.Receipts), len(batch))
	}
	pub.mu.Lock()
	defer pub.mu.Unlock()
	for i := range batch {
		got := &r.Receipts[i]
		pub.sum.Last = max(pub.sum.Last, uint64(got.Sequence))
		switch {
		case got.Status == commands.Accepted:
			pub.sum.Accepted++
		case got.Status == commands.Duplicate:
			pub.sum.Duplicates++
		case passing(got.Code):
			again, why = append(again, batch[i]), got.err()
		default:
			pub.sum.refuse(pub.p.show, batch[i].row, got.Code, got.Message)
		}
	}
	return again, why
}

// passing reports whether a refusal is for the moment: the same usage may be taken later.
func passing(c commands.Code) bool {
	switch c {
	case commands.Busy, commands.ClockAdvancing, commands.ShuttingDown, commands.LedgerFailed, commands.StreamUnchecked:
		return true
	}
	return false
}
