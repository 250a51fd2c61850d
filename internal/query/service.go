package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/links"
	"tallystick/internal/wire"
	"tallystick/ledger"
	"tallystick/projections"
	"tallystick/projections/views"
)

// Rows is stored books at one sequence. They do not change while it is open. One goroutine at a time
// may use it.
type Rows interface {
	projections.Source
	// Sequence returns the last record that the books hold, 0 for none.
	Sequence() events.Seq
	// Scan calls fn with every row whose key begins with prefix, in the order of the keys,
	// until fn returns an error, which it returns. fn may not keep key or value.
	Scan(prefix []byte, fn func(key, value []byte) error) error
	io.Closer
}

// Views is where books are stored.
type Views interface {
	// Rows opens the newest books.
	Rows() (Rows, error)
	// AsOf opens the books as they were at seq, which is not beyond the newest ones; if there is an extract, as far as it needs.
	AsOf(ctx context.Context, seq events.Seq, x *projections.Extract) (Rows, error)
	// Wait returns nil once the newest books hold seq.
	Wait(ctx context.Context, seq events.Seq) error
	// Digests returns the digest of every projection, all of the same sequence.
	Digests(ctx context.Context) (events.Seq, map[string]events.Hash, error)
}

// Log is what queries read of the log: durable records only.
type Log interface {
	Durable() events.Seq
	Record(seq events.Seq) (events.Record, error)
	ScanBytes(ctx context.Context, from, to events.Seq, fn func(events.Seq, []byte) error) error
	SeqAt(t events.Time) (events.Seq, error)
	SeqOf(c events.CommandID) (events.Record, bool, error)
}

// Prover makes proofs, which lead to signed checkpoints.
type Prover interface {
	// Checkpoint returns the newest checkpoint, or makes one if that has fewer than so many records.
	Checkpoint(records events.Seq) (ledger.Checkpoint, error)
	Prove(ctx context.Context, seq events.Seq, c ledger.Checkpoint) (*ledger.Proof, error)
	ProveConsistency(first, second ledger.Checkpoint) (*ledger.Consistency, error)
}

// Options are what a [Service] works with. Views, Log and Opener must be given.
type Options struct {
	Views  Views
	Log    Log
	Opener Opener

	Head      func() events.Seq // last record decided; nil means the last durable one
	Published func() events.Seq // last record that the stream is known to hold; nil means that nothing is published
	Failed    func() error      // why the ledger has failed, or nil; nil means that it has not

	Prover Prover // nil means that no proofs are made
	// Links makes the addresses that people are sent to; the zero Links makes none.
	Links links.Links
	// Operations are what else can be asked for by name, such as a backup; nil means nothing.
	Operations map[string]Operation

	Clock   func() time.Time // real time; nil means that of the newest record
	MaxWait time.Duration    // for a sequence that a caller asks for; default 10 s
}

// Operation is a task for the process that has the ledger open, asked for like a query.
type Operation struct {
	Auditors bool // auditors may ask for it, not operators alone
	// Run carries it out. args is JSON or nothing; the answer is made JSON of.
	Run func(ctx context.Context, args []byte) (any, error)
}

// Service answers queries. See the package comment.
type Service struct {
	opts Options

	left  context.Context // ends with Leave
	leave context.CancelFunc
}

// New returns a service.
func New(opts Options) *Service {
	if opts.Head == nil {
		opts.Head = opts.Log.Durable
	}
	if opts.Published == nil {
		opts.Published = func() events.Seq { return 0 }
	}
	if opts.Failed == nil {
		opts.Failed = func() error { return nil }
	}
	if opts.Clock == nil {
		opts.Clock = func() time.Time { return newest(opts.Log) }
	}
	if opts.MaxWait == 0 {
		opts.MaxWait = 10 * time.Second
	}
	s := &Service{opts: opts}
	s.left, s.leave = context.WithCancel(context.Background())
	return s
}

// Leave answers whoever waits for records that may never be made, and whoever asks for them from now on, with
// [commands.ShuttingDown]. What is decided is waited for as before.
func (s *Service) Leave() { s.leave() }

// newest returns when the newest durable record was made.
func newest(log Log) time.Time {
	rec, err := log.Record(log.Durable())
	if err != nil {
		return time.Time{}
	}
	return rec.RecordedAt.Std()
}

// At says which state of the ledger a question is about. The zero At means the newest.
type At struct {
	AtLeast  events.Seq         `json:"atLeast,omitzero"`     // wait until the answer includes this record
	AsOf     events.Seq         `json:"asOf,omitzero"`        // the state after this record
	AsOfTime events.Time        `json:"asOfTime,omitzero"`    // the state at this time: real time, or that of Clock
	Clock    events.TestClockID `json:"testClockId,omitzero"` // with AsOfTime
}

// Page says which part of a list is wanted.
type Page struct {
	Limit  int  `json:"limit,omitzero"` // 1 to 1000; default 100
	Offset int  `json:"offset,omitzero"`
	Count  bool `json:"count,omitempty"` // say how many there are in all, for which all are gone through
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

func (p *Page) check() error { return checkPage(&p.Limit, p.Offset, defaultLimit, maxLimit) }

// checkPage puts the usual limit in where none is given, and refuses what is out of range.
func checkPage(limit *int, offset, usual, most int) error {
	if *limit == 0 {
		*limit = usual
	}
	if *limit < 1 || *limit > most || offset < 0 {
		return commands.Reject(commands.Invalid, "limit is %d and offset %d; 1 to %d, and 0 or more, are allowed", *limit, offset, most)
	}
	return nil
}

// List is a part of a list.
type List[T any] struct {
	Sequence events.Seq `json:"sequence"`
	Items    []T        `json:"items"`
	More     bool       `json:"more"`           // whether there is something behind these
	Total    int        `json:"total,omitzero"` // how many there are in all, if that was asked for
}

// reading is one question being answered: books at one sequence, and who asks.
type reading struct {
	*Service
	rows  Rows
	books *projections.Books
	seq   events.Seq
	who   asker
	past  bool // the books are of an earlier moment
}

// read calls fn with books at the state that at names.
func (s *Service) read(ctx context.Context, who wire.Who, at At, fn func(*reading) error) error {
	return s.readOf(ctx, who, at, nil, fn)
}

// readOf is read for a question about one subject: of the past, only what concerns that is restored. of names it, by the newest
// books, where that is not nil.
func (s *Service) readOf(ctx context.Context, who wire.Who, at At, of subject, fn func(*reading) error) error {
	rows, err := s.open(ctx, who, at, of)
	if err != nil {
		return err
	}
	r := s.reading(rows, who)
	r.past = at.AsOf != 0 || at.AsOfTime != 0
	err = guard(func() error { return fn(r) })
	if errors.Is(err, views.ErrNotKept) {
		err = commands.Reject(commands.Invalid, "usage totals are not kept of the past; ask for those of now")
	}
	return errors.Join(err, rows.Close())
}

// guard runs fn, and returns as an error what books panic with when a row of theirs cannot be read.
func guard(fn func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *projections.SourceError:
			err = p
		default:
			panic(p)
		}
	}()
	return fn()
}

func (s *Service) reading(rows Rows, who wire.Who) *reading {
	books := projections.NewBooks(projections.ForViews)
	books.Attach(rows, events.LedgerID{}, rows.Sequence())
	return &reading{Service: s, rows: rows, books: books, seq: rows.Sequence(), who: asker(who)}
}

func (s *Service) open(ctx context.Context, who wire.Who, at At, of subject) (Rows, error) {
	if err := asker(who).known(); err != nil {
		return nil, err
	}
	if err := s.await(ctx, at.AtLeast); err != nil {
		return nil, err
	}
	if at.AtLeast == 0 && at.AsOf == 0 {
		s.catchUp(ctx)
	}
	if at.Clock != (events.TestClockID{}) && at.AsOfTime == 0 {
		return nil, commands.Reject(commands.Invalid, "testClockId says whose time asOfTime is; give both")
	}
	if at.AsOf != 0 && at.AsOfTime != 0 {
		return nil, commands.Reject(commands.Invalid, "give one of asOf and asOfTime")
	}
	rows, err := s.opts.Views.Rows()
	if err != nil || at.AsOf == 0 && at.AsOfTime == 0 {
		return rows, err
	}
	seq, err := s.resolve(ctx, who, at, rows)
	if err == nil && seq > rows.Sequence() {
		err = commands.Reject(commands.Invalid, "the views stand at sequence %d; there is no %d yet", rows.Sequence(), seq)
	}
	var x *projections.Extract
	if err == nil && of != nil {
		err = guard(func() (err error) {
			x, err = of(s.reading(rows, who))
			return err
		})
	}
	if err = errors.Join(err, rows.Close()); err != nil {
		return nil, err
	}
	return s.opts.Views.AsOf(ctx, seq, x)
}

// catchUp gives the views a moment to hold what is decided already, so that whoever asks after having been answered sees what was
// answered. Who must be sure asks with AtLeast: behind a great load the views are later than that.
func (s *Service) catchUp(ctx context.Context) {
	const moment = 250 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	_ = s.opts.Views.Wait(ctx, s.opts.Head()) // views that stand still answer too
}

// await waits until the views hold seq.
func (s *Service) await(ctx context.Context, seq events.Seq) error {
	if seq == 0 {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, s.opts.MaxWait)
	defer cancel()
	future := seq > s.opts.Head()
	if future {
		defer context.AfterFunc(s.left, cancel)()
	}
	err := s.opts.Views.Wait(wait, seq)
	if future && errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return commands.Reject(commands.ShuttingDown, "sequence %d is not made before the ledger is back; ask again then", seq)
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return commands.Reject(commands.Busy, "sequence %d is not in the views yet; ask again", seq)
	}
	if err != nil {
		return fmt.Errorf("waiting for sequence %d: %w", seq, err)
	}
	return nil
}

// errStop ends a scan early.
var errStop = errors.New("enough")

// each calls fn with every row of t whose key begins with prefix, in order.
func each[K comparable, V any](r *reading, t *projections.Table[K, V], prefix []byte, fn func(K, *V) error) error {
	err := r.rows.Scan(append([]byte{t.ID}, prefix...), func(key, value []byte) error {
		k, v, err := t.Decode(key[1:], value)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		return fn(k, &v)
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// links calls fn with every child of parent, in the order of their identities.
func (r *reading) links(what projections.LinkOf, parent [16]byte, fn func(child [16]byte) error) error {
	prefix := append([]byte{r.books.Links.ID, byte(what)}, parent[:]...)
	err := r.rows.Scan(prefix, func(key, _ []byte) error { return fn([16]byte(key[len(prefix):])) })
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// source says where the things of a list are found: the children of a parent, or, without a
// link, all rows of their table.
type source struct {
	link   projections.LinkOf
	parent [16]byte
}

// listing says what is listed and how.
type listing[K ~[16]byte, V, T any] struct {
	table  *projections.Table[K, V]
	from   source
	match  func(*V) bool // nil means all
	render func(K, *V) (T, error)
}

// page renders a part of what l lists.
func (l listing[K, V, T]) page(r *reading, p Page) (list List[T], err error) {
	if err := p.check(); err != nil {
		return list, err
	}
	list.Sequence, list.Items = r.seq, []T{}
	take := func(k K, row func() *V) error {
		if l.match != nil && !l.match(row()) {
			return nil
		}
		if p.Count {
			list.Total++
		}
		switch {
		case p.Offset > 0:
			p.Offset--
			return nil
		case len(list.Items) == p.Limit:
			list.More = true
			if p.Count {
				return nil
			}
			return errStop
		}
		item, err := l.render(k, row())
		list.Items = append(list.Items, item)
		return err
	}
	if l.from.link == 0 {
		err = each(r, l.table, nil, func(k K, v *V) error { return take(k, func() *V { return v }) })
	} else {
		err = r.links(l.from.link, l.from.parent, func(child [16]byte) error {
			return take(K(child), func() *V { return l.table.Get(K(child)) })
		})
	}
	return list, err
}
