package events

import (
	"encoding/binary"
	"unicode/utf8"
)

// The functions of this file read a record of usage in the very form that we write it in,
// at less than half the cost of the reader. Each takes the front off b and returns the rest, or
// nil for anything else, be it wrong or a form that is allowed as well: then the
// reader looks at the whole from its start, and its word is the last. Nil passes
// through, so that one check at the end will do.

// cutID takes a key and 16 bytes.
func cutID(b []byte, key byte, dst *[16]byte) []byte {
	if len(b) < 18 || b[0] != key || b[1] != majorBytes|16 {
		return nil
	}
	*dst = [16]byte(b[2:])
	return b[18:]
}

// cutUint takes a key and a number.
func cutUint(b []byte, key byte) (n uint64, rest []byte) {
	if len(b) < 2 || b[0] != key || b[1]&0xE0 != majorUint {
		return 0, nil
	}
	return cutNumber(b[1:])
}

// cutInt takes a key and an integer.
func cutInt(b []byte, key byte) (v int64, rest []byte) {
	if len(b) < 2 || b[0] != key || b[1]&0xE0 > majorNeg {
		return 0, nil
	}
	n, rest := cutNumber(b[1:])
	if n > 1<<63-1 {
		return 0, nil
	}
	if b[1]&0xE0 == majorNeg {
		return ^int64(n), rest
	}
	return int64(n), rest
}

// cutNumber takes the number in a head, of which there is a byte at least.
func cutNumber(b []byte) (n uint64, rest []byte) {
	var least uint64
	var size int
	switch n = uint64(b[0] & 0x1F); {
	case n < 24:
		return n, b[1:]
	case n == 27 && len(b) >= 9:
		n, least, size = binary.BigEndian.Uint64(b[1:]), 1<<32, 9
	case n == 26 && len(b) >= 5:
		n, least, size = uint64(binary.BigEndian.Uint32(b[1:])), 1<<16, 5
	case n == 25 && len(b) >= 3:
		n, least, size = uint64(binary.BigEndian.Uint16(b[1:])), 1<<8, 3
	case n == 24 && len(b) >= 2:
		n, least, size = uint64(b[1]), 24, 2
	default:
		return 0, nil
	}
	if n < least {
		return 0, nil
	}
	return n, b[size:]
}

// cutSize takes a key and the head of an array or a map of less than 24 elements.
func cutSize(b []byte, key, major byte) (n int, rest []byte) {
	if len(b) < 2 || b[0] != key || b[1]&0xE0 != major || b[1]&0x1F > 23 {
		return 0, nil
	}
	return int(b[1] & 0x1F), b[2:]
}

// cutRecord reads a whole record. It reports false where the reader must look.
func cutRecord(b []byte, rec *Record) bool {
	kind, b := cutEnvelope(b, rec)
	if string(kind) != string(KindUsageReported) {
		return false
	}
	e, b := cutUsage(b)
	if b == nil || len(b) != 0 {
		return false
	}
	rec.Event = e
	return true
}

// cutEnvelope reads all but the event of a record, whose kind and bytes it returns, or nothing where the reader must look.
func cutEnvelope(b []byte, rec *Record) (kind, event []byte) {
	if len(b) == 0 || b[0]&0xE0 != majorMap || b[0]&0x1F > envEvent {
		return nil, nil
	}
	left := b[0]&0x1F - 8
	optional := func(rest []byte, key byte) bool {
		if len(rest) == 0 || rest[0] != key {
			return false
		}
		left--
		return true
	}
	var seq, cause uint64
	var recordedAt, at int64
	seq, b = cutUint(b[1:], envSeq)
	b = cutID(b, envLedger, (*[16]byte)(&rec.Ledger))
	recordedAt, b = cutInt(b, envRecordedAt)
	at, b = cutInt(b, envAt)
	if optional(b, envMerchant) {
		b = cutID(b, envMerchant, (*[16]byte)(&rec.Merchant))
	}
	b = cutActor(b, &rec.Actor)
	b = cutID(b, envCommand, (*[16]byte)(&rec.Command))
	if optional(b, envCause) {
		cause, b = cutUint(b, envCause)
	}
	var key []byte
	if optional(b, envKey) {
		key, b = cutKey(b)
	}
	if optional(b, envContent) {
		b = cutID(b, envContent, (*[16]byte)(&rec.Content))
	}
	kind, b = cutKind(b)
	if seq == 0 || left != 0 || len(b) == 0 || b[0] != envEvent {
		return nil, nil
	}
	rec.Seq, rec.Cause, rec.Key = Seq(seq), Seq(cause), string(key)
	rec.RecordedAt, rec.At = Time(recordedAt), Time(at)
	return kind, b[1:]
}

func cutKind(b []byte) (kind, rest []byte) {
	if len(b) < 2 || b[0] != envKind || b[1]&0xE0 != majorText {
		return nil, nil
	}
	n, b := cutNumber(b[1:])
	if n == 0 || n > uint64(len(b)) {
		return nil, nil
	}
	return b[:n], b[n:]
}

// Glance is what a look at the bytes of a record tells of it, at a fraction of the cost of reading it.
type Glance struct {
	Kind         Kind
	Merchant     OrganizationID
	Subscription SubscriptionID // of reported usage
}

// GlanceAt looks at the bytes of a record, which must be one of the log. It reports false where they have to be read to tell.
func GlanceAt(b []byte) (g Glance, ok bool) {
	var rec Record
	kind, event := cutEnvelope(b, &rec)
	g.Kind, g.Merchant = kindOf(kind), rec.Merchant
	if g.Kind == KindUsageReported && len(event) > 0 {
		event = cutID(event[1:], 1, new([16]byte))
		event = cutID(event, 2, (*[16]byte)(&g.Subscription))
	}
	return g, len(event) > 0
}

func cutActor(b []byte, a *Actor) []byte {
	if len(b) < 3 || b[0] != envActor || b[2] > 23 {
		return nil
	}
	a.Kind = ActorKind(b[2])
	switch b[1] {
	case majorArray | 1:
		return b[3:]
	case majorArray | 2:
		return cutID(b[2:], b[2], &a.ID) // the kind stands where a key does
	}
	return nil
}

func cutKey(b []byte) (key, rest []byte) {
	if len(b) < 3 || b[1]&0xE0 != majorText {
		return nil, nil
	}
	n, b := cutNumber(b[1:])
	if n == 0 || n > maxKey || n > uint64(len(b)) || !utf8.Valid(b[:n]) {
		return nil, nil
	}
	return b[:n], b[n:]
}

func cutUsage(b []byte) (*UsageReported, []byte) {
	if len(b) == 0 || b[0] < majorMap|9 || b[0] > majorMap|11 { // the last two fields are there where they apply
		return nil, nil
	}
	left := b[0]&0x1F - 9
	box := new(usageBox)
	e := &box.event
	b = cutID(b[1:], 1, (*[16]byte)(&e.Customer))
	b = cutID(b, 2, (*[16]byte)(&e.Subscription))
	b = cutID(b, 3, (*[16]byte)(&e.Wallet))
	happened, b := cutInt(b, 4)
	period, b := cutUint(b, 5)
	n, b := cutSize(b, 6, majorArray)
	e.Lines = room(box.lines[:], uint64(n))
	for i := range e.Lines {
		b = e.Lines[i].cut(b)
	}
	if n == 0 || period > 1<<32-1 || len(b) < 5 || b[0] != 7 || b[1] != majorText|3 {
		return nil, nil
	}
	e.HappenedAt, e.Period, e.Currency = Time(happened), uint32(period), Currency(b[2:5])
	n, b = cutSize(b[5:], 8, majorArray)
	e.Postings = room(box.postings[:], uint64(n))
	for i := range e.Postings {
		b = e.Postings[i].cut(b)
	}
	balance, b := cutInt(b, 9)
	e.Balance = Sum{balance >> 63, uint64(balance)}
	if left > 0 && len(b) > 0 && b[0] == 10 {
		b = e.Metadata.cut(b)
		left--
	}
	if left > 0 {
		b = cutID(b, 20, (*[16]byte)(&e.Reservation))
		left--
	}
	if left != 0 || !e.Currency.valid() {
		return nil, nil
	}
	return e, b
}

func (l *UsageLine) cut(b []byte) []byte {
	if len(b) == 0 || b[0] < majorMap|5 || b[0] > majorMap|9 { // the last four fields are there where they apply
		return nil
	}
	left := int(b[0]&0x1F) - 5
	b = cutID(b[1:], 1, (*[16]byte)(&l.Metric))
	quantity, b := cutInt(b, 2)
	b = cutID(b, 3, (*[16]byte)(&l.Price))
	revision, b := cutUint(b, 4)
	nanos, b := cutInt(b, 5)
	var tax, at int64
	var rate uint64
	if left > 0 && len(b) > 0 && b[0] == 6 {
		tax, b = cutInt(b, 6)
		left--
	}
	if left > 0 && len(b) > 0 && b[0] == 7 {
		rate, b = cutUint(b, 7)
		left--
	}
	if left > 0 && len(b) > 0 && b[0] == 8 {
		at, b = cutInt(b, 8)
		left--
	}
	if l.Granted = 0; left > 0 && len(b) > 0 && b[0] == 9 {
		l.Granted, b = cutInt(b, 9)
		left--
	}
	l.Quantity, l.Revision, l.Nanos, l.Tax, l.TaxRate, l.At = quantity, uint32(revision), Nanos(nanos), Nanos(tax), TaxRate(rate), Nanos(at)
	if left != 0 || quantity < 1 || revision > 1<<32-1 || rate > 1<<32-1 || !l.Nanos.valid() || !l.Tax.valid() || !l.At.valid() ||
		l.Granted < 0 {
		return nil
	}
	return b
}

func (p *Posting) cut(b []byte) []byte {
	if len(b) < 3 || b[0]|1 != majorMap|3 || b[1] != 1 || b[2] > 23 {
		return nil
	}
	nanos, rest := cutInt(b[3:], 2)
	if b[0] == majorMap|3 {
		rest = cutID(rest, 3, (*[16]byte)(&p.Wallet))
	}
	if p.Role, p.Nanos = Role(b[2]), Nanos(nanos); !p.Nanos.valid() {
		return nil
	}
	return rest
}

func (s *Sealed) cut(b []byte) []byte {
	if len(b) < 2 || b[1] != majorMap|2 {
		return nil
	}
	b = cutID(b[2:], 1, (*[16]byte)(&s.Key))
	if len(b) < 2 || b[0] != 2 || b[1]&0xE0 != majorBytes {
		return nil
	}
	n, b := cutNumber(b[1:])
	if n > maxMetadataBox || n > uint64(len(b)) {
		return nil
	}
	s.Box = b[:n:n]
	return b[n:]
}
