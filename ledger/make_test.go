package ledger_test

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tallystick/events"
	"tallystick/ledger"
)

// maker makes records that follow one another, the same ones for the same seed.
type maker struct {
	rng       *rand.Rand
	head      events.Envelope
	customers []events.UsageReported
	merchants []events.OrganizationID
	noKeys    bool
}

// newMaker returns a maker for a ledger with the given number of merchants, each with 100 customers.
func newMaker(seed uint64, merchants int) *maker {
	m := &maker{rng: rand.New(rand.NewPCG(seed, 7))}
	m.id(m.head.Ledger[:])
	m.head.RecordedAt = 1_700_000_000_000_000_000
	m.head.Command = events.NextCommandID(m.head.Command, m.head.RecordedAt, m.rng.Uint64())
	m.head.Actor.Kind = events.ActorKey
	m.id(m.head.Actor.ID[:])
	for range merchants {
		var merchant events.OrganizationID
		m.id(merchant[:])
		var line events.UsageLine
		m.id(line.Metric[:])
		m.id(line.Price[:])
		line.Revision = 1
		for range 100 {
			u := events.UsageReported{Lines: []events.UsageLine{line}, Currency: events.Currency{'U', 'S', 'D'}}
			m.id(u.Customer[:])
			m.id(u.Subscription[:])
			m.id(u.Wallet[:])
			m.customers = append(m.customers, u)
			m.merchants = append(m.merchants, merchant)
		}
	}
	return m
}

func (m *maker) id(b []byte) {
	for i := 0; i < len(b); i += 8 {
		var w [8]byte
		binary.BigEndian.PutUint64(w[:], m.rng.Uint64())
		copy(b[i:], w[:])
	}
}

// next returns the envelope of the next record.
func (m *maker) next() events.Envelope {
	m.head.Seq++
	m.head.RecordedAt += 5000
	m.head.At = m.head.RecordedAt
	m.head.Command = events.NextCommandID(m.head.Command, m.head.RecordedAt, m.rng.Uint64())
	return m.head
}

// group returns the next n records; the first of all opens the ledger.
func (m *maker) group(tb testing.TB, n int) []events.Record {
	tb.Helper()
	records := make([]events.Record, 0, n)
	buf := make([]byte, 0, 512*n) // more than usage takes
	for range n {
		env, e := m.next(), events.Event(events.LedgerOpened{Environment: events.Sandbox, Format: 1})
		if env.Seq > 1 {
			e = m.usage(&env)
		}
		rec, err := events.AppendRecord(buf, env, e)
		if err != nil {
			tb.Fatal(err)
		}
		buf = buf[:len(buf)+len(rec.Bytes)]
		records = append(records, rec)
	}
	return records
}

func (m *maker) usage(env *events.Envelope) *events.UsageReported {
	i := m.rng.IntN(len(m.customers))
	env.Merchant = m.merchants[i]
	if !m.noKeys {
		var key [12]byte
		m.id(key[:])
		env.Key = base64.RawURLEncoding.EncodeToString(key[:])
		m.id(env.Content[:])
	}
	u := m.customers[i]
	u.HappenedAt = env.RecordedAt - events.Time(m.rng.Int64N(1e10))
	u.Lines = append([]events.UsageLine(nil), u.Lines...)
	u.Lines[0].Quantity = 1 + m.rng.Int64N(5000)
	u.Lines[0].Nanos = events.Nanos(2500 * u.Lines[0].Quantity)
	u.Postings = []events.Posting{{Role: events.ConsumerMain, Nanos: -u.Lines[0].Nanos}, {Role: events.Merchant, Nanos: u.Lines[0].Nanos}}
	u.Balance = events.Sum{}.Add(events.Nanos(m.rng.Int64N(1e15)))
	return &u
}

// open opens a log in memory, or in dir if fs is nil, that is closed with the test.
func open(tb testing.TB, dir string, fs vfs.FS) *ledger.Log {
	tb.Helper()
	log, err := ledger.Open(dir, ledger.Options{FS: fs, Create: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = log.Close() })
	return log
}
