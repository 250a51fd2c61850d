// Package server puts one process together: a ledger's directory with its log, keys, views and
// sequencer, and the doors through which it is talked to.
//
// # Order
//
// Open takes the directory's lock, opens the keys and the log, the views at the sequence they are
// stored at, and the rules' books at the same, and replays into those books what the log has beyond.
// Serve then opens the doors. Close goes the other way: the doors answer what they have
// taken, the publisher and the views catch up, a last checkpoint is signed, and the stores are closed.
//
// # Goroutines
//
// Open starts the sequencer and its answerer, the committer and syncer of the log, the projector, the filler (which
// ends when all rows are in memory), the follower that carries out effects, the one that has charges made, and the one that bills what was held. Serve adds those
// of NATS, the publisher, the checkpointer, HTTP, and the one that writes mail where there is a mail server. Close ends and awaits them all.
package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/links"
	"tallystick/internal/natsbus"
	"tallystick/internal/operate"
	"tallystick/internal/query"
	"tallystick/internal/wire"
	"tallystick/ledger"
	"tallystick/ledger/keyring"
	"tallystick/ledger/publisher"
	"tallystick/projections"
	"tallystick/projections/views"
)

// Format is the version of the data directory's form that this program writes and reads.
const Format = 1

// Config says how a ledger's directory is opened.
type Config struct {
	Dir           string
	Create        bool               // make a ledger where there is none
	Environment   events.Environment // of a new ledger; default sandbox
	MasterKeyFile string             // default: in the directory
	CacheBytes    int64              // for blocks of the log; default 256 MiB
	Quiet         bool               // carry out nothing that is due until Serve or Command: for whoever only asks

	PublicURL string // where people reach the pages; default: where HTTP listens

	Clock  func() time.Time // real time
	Rand   io.Reader        // default crypto/rand
	Logger *slog.Logger     // default: nothing is logged
}

func (c Config) withDefaults() Config {
	if c.Environment == "" {
		c.Environment = events.Sandbox
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Server is an open ledger. Any goroutine may use it.
type Server struct {
	Keyring   *keyring.Keyring
	Log       *ledger.Log
	Views     *views.Views
	Sequencer *commands.Sequencer
	Queries   *query.Service
	Links     links.Links

	cfg       Config
	locked    *os.File
	directory *directory
	decoders  sync.Pool // of *wire.Decoder
	metrics   *metrics
	doors     atomic.Pointer[doors] // nil until Serve
	opened    projections.Opened
	fill      func()             // takes all stored rows into the rules' books, once; then what is due is carried out
	filled    chan struct{}      // closed when it has ended
	released  chan struct{}      // closed when the ledger may record of its own accord: what is due, how charges came out
	release   func()             // closes it
	stop      context.CancelFunc // ends the goroutines below
	running   sync.WaitGroup     // sequencer, filler, effects, charges
	effects   *effects
	attaching *attaching
	keys      *registry

	signing sync.Mutex // guards the field below
	signs   *ledger.Signer

	ballast []byte // see below
}

// ballastBytes of memory are reserved and never touched, so they take address space only. The garbage collector runs when
// the heap has doubled: on a ledger whose live heap is a few dozen megabytes that would be many times a second under load. With the
// ballast in the count it lets as much garbage gather as a small ledger can well afford, and on a large one it changes little. (A higher
// GOGC would multiply the memory of the large one.)
const ballastBytes = 192 << 20

// Open opens the ledger in a directory, without doors. Its errors say what to do: see
// [LockedError] and [MissingError].
func Open(ctx context.Context, cfg Config) (s *Server, err error) {
	cfg = cfg.withDefaults()
	if cfg.Create, err = prepare(cfg.Dir, cfg.Create); err != nil {
		return nil, err
	}
	s = &Server{cfg: cfg, ballast: make([]byte, ballastBytes), released: make(chan struct{})}
	s.release = sync.OnceFunc(func() { close(s.released) })
	if s.locked, err = lock(cfg.Dir); err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(cfg.Dir, endpointFile)); err != nil && !os.IsNotExist(err) { // of a server that was killed
		return nil, errors.Join(err, s.locked.Close())
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if err := s.open(ctx, run); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

func (s *Server) open(ctx, run context.Context) (err error) {
	cfg := s.cfg
	s.Keyring, err = keyring.Open(filepath.Join(cfg.Dir, "keys"), keyring.Options{Create: cfg.Create, MasterKeyFile: cfg.MasterKeyFile, Rand: cfg.Rand})
	if err != nil {
		return fmt.Errorf("opening the keys: %w", err)
	}
	s.metrics = newMetrics(s, cfg.Clock)
	s.Log, err = ledger.Open(filepath.Join(cfg.Dir, "log"), ledger.Options{
		Create: cfg.Create, Keys: ledger.KeysIn(filepath.Join(cfg.Dir, "keys")), CacheBytes: cfg.CacheBytes, Clock: cfg.Clock, Logger: cfg.Logger,
		Synced: func(took time.Duration) { s.metrics.synced.Observe(took.Seconds()) },
	})
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	s.Views, err = views.Open(cfg.Dir, s.Log, sized(views.Options{Clock: cfg.Clock, Logger: cfg.Logger}))
	if err != nil {
		return err
	}
	if err := s.openRules(ctx, run); err != nil {
		return err
	}
	if err := s.Views.Start(func(from events.Seq) views.Follower { return s.Log.Follow(from) }); err != nil {
		return err
	}
	adapted := viewsForQueries{s.Views}
	s.directory = newDirectory(adapted, s.Log, s.Sequencer.Applied)
	s.Links = links.Links{Base: s.publicURL, Token: s.Keyring.LinkToken}
	s.Queries = query.New(query.Options{
		Views: adapted, Log: s.Log, Opener: s.Keyring, Prover: prover{s.Log, s}, Operations: s.operations(),
		Clock: s.cfg.Clock, Head: s.Sequencer.Applied, Published: s.published, Failed: s.Err, Links: s.Links,
	})
	s.decoders.New = func() any { return s.NewDecoder() }
	s.attaching = newAttaching(s)
	s.effects = newEffects(s)
	s.running.Go(func() { s.effects.run(run) })
	s.running.Go(func() { s.attaching.run(run) })
	s.running.Go(func() { s.charges(run) })
	return nil
}

// openRules opens the rules' books where the views stand, replays what the log has beyond, and starts the sequencer.
func (s *Server) openRules(ctx, run context.Context) error {
	stored, err := s.Views.State()
	if err != nil {
		return err
	}
	books := projections.NewBooks(projections.ForRules)
	if at := stored.At(); at.Seq > 0 {
		books.Attach(stored, at.Ledger, at.Seq)
	}
	if err := replay(ctx, s.Log, books); err != nil {
		return errors.Join(err, stored.Close())
	}
	if err := s.openKeys(stored, books); err != nil {
		return errors.Join(err, stored.Close())
	}
	head := s.Log.Head()
	id := head.Ledger
	if head.Seq == 0 {
		if _, err := io.ReadFull(s.cfg.Rand, id[:]); err != nil {
			return errors.Join(err, stored.Close())
		}
	}
	seed, err := seeds(s.cfg.Rand)
	if err != nil {
		return errors.Join(err, stored.Close())
	}
	s.Sequencer = commands.NewSequencer(commands.Options{
		Books: books, Log: s.Log, Ledger: id, Clock: s.cfg.Clock, Seed: seed, Logger: s.cfg.Logger, Observer: s.metrics,
		Head: commands.Head{Seq: head.Seq, RecordedAt: head.RecordedAt, Command: head.Command}, Gather: 2 * time.Millisecond,
	})
	if head.Seq == 0 {
		err = s.Sequencer.Genesis(events.LedgerOpened{Environment: s.cfg.Environment, Format: Format})
	}
	if row := books.Opened.Get(struct{}{}); row != nil {
		s.opened = *row
	}
	if err == nil && s.opened.Format != Format {
		err = fmt.Errorf("%s is of format %d, and this program reads format %d: use a newer one", s.cfg.Dir, s.opened.Format, Format)
	}
	if err != nil {
		return errors.Join(err, stored.Close())
	}
	s.running.Go(func() { s.Sequencer.Run(run) })
	s.filled = make(chan struct{})
	s.fill = sync.OnceFunc(func() {
		s.running.Go(func() {
			defer close(s.filled)
			s.takeIn(run, stored)
		})
	})
	if !s.cfg.Quiet {
		s.release()
		s.fill()
		return nil
	}
	s.running.Go(func() {
		<-run.Done()
		s.fill() // which ends at once, and lets go of the stored rows
	})
	return nil
}

// openKeys fills the registry of API keys: from the views, and with what the log has beyond, which replaying has brought
// into the books.
func (s *Server) openKeys(stored *views.Reader, books *projections.Books) error {
	s.keys = newRegistry(s.Log.Durable)
	if err := s.keys.load(rows{stored}); err != nil {
		return err
	}
	books.Keys.Each(func(id events.KeyID, row *projections.Key) bool {
		s.keys.remove(id)
		if !row.Revoked {
			s.keys.add(natsbus.Identity{Key: id, Role: row.Role, Merchant: row.Merchant}, row.Secret)
		}
		return true
	})
	s.keys.advance(books.Applied())
	return nil
}

// Target returns the ledger as the tasks of operators and auditors need it, as things stand.
func (s *Server) Target() *operate.Target {
	t := &operate.Target{
		Dir: s.cfg.Dir, Log: s.Log, Views: s.Views, Keyring: s.Keyring, Clock: s.cfg.Clock,
		NoStream: "the ledger is not connected to NATS",
	}
	if d := s.doors.Load(); d != nil && d.publisher.Load() != nil {
		t.Stream = operate.StreamOf(d.bus.JetStream())
	}
	return t
}

// operations returns what can be asked for beside the queries, each carried out on the ledger as it stands then.
func (s *Server) operations() map[string]query.Operation {
	all := s.Target().Operations()
	for name, op := range all {
		op.Run = func(ctx context.Context, args []byte) (any, error) {
			return s.Target().Operations()[name].Run(ctx, args)
		}
		all[name] = op
	}
	return all
}

// prover makes proofs with the checkpoints of a server.
type prover struct {
	*ledger.Log
	s *Server
}

func (p prover) Checkpoint(records events.Seq) (ledger.Checkpoint, error) {
	c, found, err := p.LatestCheckpoint()
	if err == nil && (!found || c.Size < records) {
		c, _, err = p.s.SignCheckpoint()
	}
	return c, err
}

// replay brings books up to the end of the log.
func replay(ctx context.Context, log *ledger.Log, books *projections.Books) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("replaying the log into the rules' books: %v", p)
		}
	}()
	return log.Scan(ctx, books.Applied()+1, log.Durable(), func(rec events.Record) error { return books.Apply(&rec) })
}

// takeIn takes all stored rows into the rules' books, a few at a time, so that commands go on between.
func (s *Server) takeIn(ctx context.Context, stored *views.Reader) {
	defer stored.Close()
	const slice = 512
	rows := make([]commands.Row, 0, slice)
	err := stored.Warm(ctx, func(key, value []byte) error {
		rows = append(rows, commands.Row{Key: append([]byte(nil), key...), Value: append([]byte(nil), value...)})
		if len(rows) < slice {
			return nil
		}
		err := s.Sequencer.Fill(ctx, rows)
		rows = rows[:0]
		return err
	})
	if err == nil {
		err = s.Sequencer.Fill(ctx, rows)
	}
	if err == nil {
		err = s.unheld(ctx)
	}
	if err == nil {
		err = s.Sequencer.Filled(ctx)
	}
	if err != nil && ctx.Err() == nil && commands.CodeOf(err) != commands.ShuttingDown {
		s.cfg.Logger.Error("stored books cannot be read; due actions do not run", "error", err)
	}
}

// Filled returns a channel that is closed once the rules have all their rows in memory, or cannot get them.
func (s *Server) Filled() <-chan struct{} { return s.filled }

// unheld waits until the ledger may record of its own accord. A server that is opened quietly may only once it is given a command, or
// Serve has found that the stream holds nothing which the log does not (D18).
func (s *Server) unheld(ctx context.Context) error {
	select {
	case <-s.released:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// seeds returns a source of random bits. Only the one sequencer uses it.
func seeds(r io.Reader) (func() uint64, error) {
	var b [512]byte
	left := 0
	if _, err := io.ReadFull(r, b[:8]); err != nil {
		return nil, fmt.Errorf("drawing random bits: %w", err)
	}
	return func() uint64 {
		if left == 0 {
			if _, err := io.ReadFull(r, b[:]); err != nil {
				panic(fmt.Errorf("drawing random bits: %w", err))
			}
			left = len(b)
		}
		left -= 8
		return binary.LittleEndian.Uint64(b[left:])
	}, nil
}

// Close ends the doors, answers what was taken, and closes the directory. What was
// acknowledged is on disk, whether or not Close succeeds.
func (s *Server) Close(ctx context.Context) error {
	var errs []error
	if d := s.doors.Swap(nil); d != nil {
		errs = append(errs, d.close(ctx))
	}
	if s.Sequencer != nil {
		s.Sequencer.Stop()
	}
	if s.Log != nil && s.Sequencer != nil && s.Err() == nil {
		errs = append(errs, s.catchUp(ctx))
	}
	s.stop()
	s.running.Wait()
	if s.Views != nil {
		errs = append(errs, s.Views.Close())
	}
	if s.Log != nil {
		errs = append(errs, s.Log.Close())
	}
	if s.Keyring != nil {
		errs = append(errs, s.Keyring.Close())
	}
	return errors.Join(append(errs, s.locked.Close())...)
}

// catchUp waits a little for the views to hold everything, so that the next start has nothing to replay.
func (s *Server) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.Views.WaitFor(ctx, s.Sequencer.Applied()); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// Err returns why the ledger has failed and takes no more commands, or nil.
func (s *Server) Err() error {
	if err := s.Log.Err(); err != nil {
		return err
	}
	return s.Sequencer.Err()
}

// Environment returns whether the ledger moves real money.
func (s *Server) Environment() events.Environment { return s.opened.Environment }

// Ledger returns the ledger's identity.
func (s *Server) Ledger() events.LedgerID { return s.Log.Head().Ledger }

// viewed returns the last sequence that the views hold.
func (s *Server) viewed() events.Seq { return s.Views.Status().Flushed }

// published returns the last sequence that the stream is known to hold.
func (s *Server) published() events.Seq {
	if d := s.doors.Load(); d != nil {
		return d.published()
	}
	return s.Log.Cursor(publisher.CursorName)
}

// NewDecoder returns a decoder of commands for one goroutine.
func (s *Server) NewDecoder() *wire.Decoder {
	return wire.NewDecoder(wire.Options{
		Keyring: s.Keyring, Directory: s.directory, Environment: s.opened.Environment, Rand: s.cfg.Rand, NewConsumer: s.newConsumer,
		Cards: s.cards(), Refused: s.metrics.Rejected,
	})
}

// newConsumer draws an identity for a consumer that may be new.
func (s *Server) newConsumer() (id events.OrganizationID) {
	ms := uint64(s.cfg.Clock().UnixMilli())
	binary.BigEndian.PutUint64(id[:8], ms<<16)
	if _, err := io.ReadFull(s.cfg.Rand, id[6:]); err != nil {
		panic(fmt.Errorf("drawing an identity: %w", err)) // the system has no randomness
	}
	return id
}

// Command carries out a command given as JSON and returns its answer, as a door would. A refusal is an answer.
func (s *Server) Command(ctx context.Context, who wire.Who, merchant events.OrganizationID, name string, body []byte) ([]byte, error) {
	if s.cfg.Quiet {
		s.release()
		s.fill()
		<-s.filled // some commands would be refused before
	}
	d := s.decoders.Get().(*wire.Decoder)
	defer s.decoders.Put(d)
	work, err := d.Command(ctx, name, merchant, who, body)
	if err != nil {
		refusal := commands.Refusal(wire.RejectionOf(err))
		return refusal.AppendJSON(nil), nil
	}
	defer work.Release()
	if len(work.Requests) == 0 {
		return work.AppendAnswer(nil, nil), nil
	}
	done := make(chan []byte, 1)
	call := &commands.Call{Requests: work.Requests, Done: func(rs []commands.Receipt) { done <- work.AppendAnswer(nil, rs) }}
	if err := s.Sequencer.Submit(call); err != nil {
		refusal := commands.Refusal(wire.RejectionOf(err))
		return refusal.AppendJSON(nil), nil
	}
	return <-done, nil // the sequencer answers whatever happens; ctx ending would leave work in use
}

// Query answers a question given as JSON.
func (s *Server) Query(ctx context.Context, who wire.Who, name string, args []byte) ([]byte, error) {
	return s.Queries.Query(ctx, who, name, args)
}

// Now returns real time, as the ledger tells it.
func (s *Server) Now() time.Time { return s.cfg.Clock() }
