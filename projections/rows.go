package projections

import (
	"encoding/binary"
	"errors"
	"math/big"
	"math/bits"
	"slices"

	"tallystick/events"
)

// rowCodec is how the rows of a table are written: equal rows to equal bytes.
type rowCodec[V any] struct {
	append func(b []byte, v *V) []byte
	parse  func(b []byte, v *V) error
}

// libraryRows writes rows in the library's encoding, core deterministic CBOR.
func libraryRows[V any]() rowCodec[V] {
	return rowCodec[V]{
		append: func(b []byte, v *V) []byte { return append(b, encode(v)...) },
		parse:  func(b []byte, v *V) error { return decode(b, v) },
	}
}

// The rows that usage changes are written and read all the time, so they have codecs of
// their own, ten times as fast: their fields one after the other, numbers as varints. A row
// never meets a reader of another version: see [FoldVersion].

func balanceRows() rowCodec[Balance] {
	return rowCodec[Balance]{
		append: func(b []byte, v *Balance) []byte {
			return binary.AppendUvarint(appendSum(b, v.Sum), uint64(v.Last))
		},
		parse: func(b []byte, v *Balance) error {
			r := rowReader{b: b}
			v.Sum, v.Last = r.sum(), r.seq()
			return r.finish()
		},
	}
}

func totalRows() rowCodec[Total] {
	return rowCodec[Total]{
		append: func(b []byte, v *Total) []byte {
			b = binary.AppendUvarint(b, v.Count)
			return appendSum(appendSum(appendSum(b, v.Quantity), v.Nanos), v.Tax)
		},
		parse: func(b []byte, v *Total) error {
			r := rowReader{b: b}
			v.Count, v.Quantity, v.Nanos, v.Tax = r.uint(), r.sum(), r.sum(), r.sum()
			return r.finish()
		},
	}
}

func journalRows() rowCodec[Journal] {
	return rowCodec[Journal]{
		append: func(b []byte, v *Journal) []byte {
			for _, n := range [...]uint64{v.Count, uint64(v.Pages), uint64(v.Start), uint64(v.Last)} {
				b = binary.AppendUvarint(b, n)
			}
			return append(b, v.Tail...)
		},
		parse: func(b []byte, v *Journal) error {
			r := rowReader{b: b}
			v.Count, v.Pages, v.Start, v.Last = r.uint(), r.uint32(), r.seq(), r.seq()
			v.Tail = r.rest()
			return r.finish()
		},
	}
}

func pageRows() rowCodec[Page] {
	return rowCodec[Page]{
		append: func(b []byte, v *Page) []byte {
			b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(v.Start)), uint64(v.Last))
			return append(b, v.Body...)
		},
		parse: func(b []byte, v *Page) error {
			r := rowReader{b: b}
			v.Start, v.Last = r.seq(), r.seq()
			v.Body = r.rest()
			return r.finish()
		},
	}
}

func accrualRows() rowCodec[Accrual] {
	return rowCodec[Accrual]{
		append: func(b []byte, v *Accrual) []byte {
			b = appendSum(append(b, v.Invoice[:]...), v.Instant)
			b = binary.AppendVarint(b, int64(v.Latest))
			b = binary.AppendUvarint(b, uint64(len(v.Lines)))
			for i := range v.Lines {
				b = v.Lines[i].append(b, &v.Lines[0].Events, i > 0)
			}
			return b
		},
		parse: func(b []byte, v *Accrual) error {
			r := rowReader{b: b}
			r.fixed(v.Invoice[:])
			v.Instant, v.Latest = r.sum(), events.Time(r.int())
			n := r.uint()
			if n > uint64(len(r.b)) { // a line has more than a byte
				return errRow
			}
			v.Lines = make([]OpenLine, n)
			v.joint = len(v.Lines) > 0
			for i := range v.Lines {
				if same := v.Lines[i].read(&r, &v.Lines[0].Events, i > 0); i > 0 && !same {
					v.joint = false
				}
			}
			if !v.joint {
				v.joint = true
				v.separate()
			}
			return r.finish()
		},
	}
}

func reservationRows() rowCodec[Reservation] {
	return rowCodec[Reservation]{
		append: func(b []byte, v *Reservation) []byte {
			for _, id := range [...][16]byte{v.Merchant, v.Customer, v.Subscription, v.Wallet} {
				b = append(b, id[:]...)
			}
			b = binary.AppendUvarint(append(b, v.Currency[:]...), uint64(len(v.Metrics)))
			for i := range v.Metrics {
				m := &v.Metrics[i]
				b = append(append(b, m.Metric[:]...), m.Price[:]...)
				b = binary.AppendUvarint(binary.AppendVarint(b, m.Quantity), uint64(m.Revision))
				b = binary.AppendVarint(binary.AppendVarint(b, int64(m.Nanos)), int64(m.Tax))
			}
			b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(v.MaxUses)), uint64(v.Used))
			b = binary.AppendUvarint(appendSum(b, v.Held), uint64(v.Created))
			for _, t := range [...]events.Time{v.ExpiresAt, v.CreatedAt, v.UpdatedAt} {
				b = binary.AppendVarint(b, int64(t))
			}
			return appendText(appendText(b, string(v.Status)), v.Parked)
		},
		parse: func(b []byte, v *Reservation) error {
			r := rowReader{b: b}
			for _, id := range [...]*[16]byte{(*[16]byte)(&v.Merchant), (*[16]byte)(&v.Customer), (*[16]byte)(&v.Subscription), (*[16]byte)(&v.Wallet)} {
				r.fixed(id[:])
			}
			r.fixed(v.Currency[:])
			n := r.uint()
			if n > uint64(len(r.b)) { // a metric has more than a byte
				return errRow
			}
			v.Metrics = make([]events.ReservedMetric, n)
			for i := range v.Metrics {
				m := &v.Metrics[i]
				r.fixed(m.Metric[:])
				r.fixed(m.Price[:])
				m.Quantity, m.Revision = r.int(), r.uint32()
				m.Nanos, m.Tax = events.Nanos(r.int()), events.Nanos(r.int())
			}
			v.MaxUses, v.Used, v.Held, v.Created = r.uint32(), r.uint32(), r.sum(), r.seq()
			v.ExpiresAt, v.CreatedAt, v.UpdatedAt = events.Time(r.int()), events.Time(r.int()), events.Time(r.int())
			v.Status, v.Parked = ReservationStatus(r.take(r.uint())), string(r.take(r.uint()))
			return r.finish()
		},
	}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// append writes l. Its tree is left out where it is that of the first line, as it mostly is.
func (l *OpenLine) append(b []byte, first *Frontier, follows bool) []byte {
	b = append(append(b, l.Metric[:]...), l.Price[:]...)
	b = binary.AppendUvarint(b, uint64(l.Revision))
	b = appendText(b, string(l.Term))
	b = binary.AppendVarint(b, int64(l.UnitPrice))
	b = appendSum(appendSum(appendSum(b, l.Quantity), l.Nanos), l.Tax)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(l.First)), uint64(l.Last))
	b = append(b, boolByte(l.Counts))
	b = binary.AppendUvarint(b, uint64(l.TaxRate))
	b = append(b, boolByte(l.More != nil))
	if l.More != nil {
		more := encode(l.More)
		b = append(binary.AppendUvarint(b, uint64(len(more))), more...)
	}
	if follows {
		same := l.Events.equal(first)
		b = append(b, boolByte(same))
		if same {
			return b
		}
	}
	b = binary.AppendUvarint(b, l.Events.Size)
	for i := range l.Events.Hashes {
		b = append(b, l.Events.Hashes[i][:]...)
	}
	return b
}

// read reads what append writes, and reports whether l has its tree in common with the first line.
func (l *OpenLine) read(r *rowReader, first *Frontier, follows bool) (same bool) {
	r.fixed(l.Metric[:])
	r.fixed(l.Price[:])
	l.Revision = r.uint32()
	switch term := r.take(r.uint()); string(term) {
	case string(events.Instant):
		l.Term = events.Instant
	case string(events.InArrears):
		l.Term = events.InArrears
	default:
		l.Term = events.Term(term)
	}
	l.UnitPrice = events.Nanos(r.int())
	l.Quantity, l.Nanos, l.Tax = r.sum(), r.sum(), r.sum()
	l.First, l.Last = r.seq(), r.seq()
	l.Counts = r.bool()
	l.TaxRate = events.TaxRate(r.uint32())
	if r.bool() {
		l.More = new(LineMore)
		if err := decode(r.take(r.uint()), l.More); err != nil {
			r.fail()
		}
	}
	if follows && r.bool() {
		l.Events = *first
		return true
	}
	l.Events.Size = r.uint()
	l.Events.Hashes = make([]events.Hash, bits.OnesCount64(l.Events.Size))
	for i := range l.Events.Hashes {
		r.fixed(l.Events.Hashes[i][:])
	}
	return false
}

func (f *Frontier) equal(g *Frontier) bool {
	return f.Size == g.Size && (f.Size == 0 || &f.Hashes[0] == &g.Hashes[0] || slices.Equal(f.Hashes, g.Hashes))
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// appendSum writes a byte 0 and a varint where s fits into 64 bits, else a byte 1 and
// 16 bytes: s + 2^127, which is not negative.
func appendSum(b []byte, s events.Sum) []byte {
	if n, ok := s.Nanos(); ok {
		return binary.AppendVarint(append(b, 0), int64(n))
	}
	var mem [16]byte
	return append(append(b, 1), new(big.Int).Add(s.Big(), sumBias()).FillBytes(mem[:])...)
}

func sumBias() *big.Int { return new(big.Int).Lsh(big.NewInt(1), 127) }

// A rowReader takes fields off the front of b. After the first error it reads zeros.
type rowReader struct {
	b   []byte
	bad bool
}

var errRow = errors.New("malformed row")

func (r *rowReader) finish() error {
	if r.bad || len(r.b) > 0 {
		return errRow
	}
	return nil
}

func (r *rowReader) fail() { r.bad, r.b = true, nil }

func (r *rowReader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *rowReader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *rowReader) uint32() uint32 {
	v := r.uint()
	if v > 1<<32-1 {
		r.fail()
	}
	return uint32(v)
}

func (r *rowReader) seq() events.Seq { return events.Seq(r.uint()) }

func (r *rowReader) bool() bool {
	v := r.take(1)
	if v == nil || v[0] > 1 {
		r.fail()
		return false
	}
	return v[0] == 1
}

func (r *rowReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *rowReader) fixed(dst []byte) { copy(dst, r.take(uint64(len(dst)))) }

// rest takes a copy of all that is left.
func (r *rowReader) rest() []byte {
	v := slices.Clone(r.b)
	r.b = nil
	return v
}

func (r *rowReader) sum() events.Sum {
	if !r.bool() {
		return events.SumOf(events.Nanos(r.int()))
	}
	n := new(big.Int).SetBytes(r.take(16))
	s, ok := events.SumOfBig(n.Sub(n, sumBias()))
	if !ok {
		r.fail()
	}
	return s
}
