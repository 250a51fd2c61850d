package events

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Seq is a position in the log: 1, 2, 3… without gaps.
type Seq uint64

// MaxRecordBytes is the most bytes that an encoded record may have (D5).
const MaxRecordBytes = 256 << 10

// ErrTooLarge reports a record above [MaxRecordBytes].
var ErrTooLarge = errors.New("record above 256 KiB")

// Hash is a SHA-256 sum: a leaf or a node of the ledger's Merkle tree.
type Hash [sha256.Size]byte

// String returns h in base64.
func (h Hash) String() string { return base64.StdEncoding.EncodeToString(h[:]) }

// MarshalText returns h in base64.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads base64.
func (h *Hash) UnmarshalText(b []byte) error {
	v, err := base64.StdEncoding.DecodeString(string(b))
	if err != nil || len(v) != len(h) {
		return fmt.Errorf("%.60q is not a hash: want 32 bytes in base64", b)
	}
	copy(h[:], v)
	return nil
}

// MarshalCBOR writes the 32 raw bytes.
func (h Hash) MarshalCBOR() ([]byte, error) { return appendBytes(nil, h[:]), nil }

// UnmarshalCBOR reads exactly 32 raw bytes.
func (h *Hash) UnmarshalCBOR(b []byte) error {
	r := reader{b: b}
	r.fixed(h[:])
	return r.finish()
}

// LeafHash returns the hash of a record's bytes as a leaf of the tree: SHA-256
// of a zero byte and the bytes (RFC 6962).
func LeafHash(b []byte) Hash {
	var buf [1024]byte // on the stack, where most records fit
	if len(b) < len(buf) {
		return sha256.Sum256(buf[:1+copy(buf[1:], b)])
	}
	d := sha256.New()
	d.Write([]byte{0})
	d.Write(b)
	var h Hash
	d.Sum(h[:0])
	return h
}

// Digest is a 16-byte keyed hash of the content of a command (D8), or of an
// e-mail address (D4). The zero Digest is none.
type Digest [16]byte

// IsZero reports whether d is none.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText returns d in hexadecimal.
func (d Digest) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, nil
	}
	return hex.AppendEncode(nil, d[:]), nil
}

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(b []byte) error {
	v, err := hex.DecodeString(string(b))
	if err != nil || len(v) != len(d) && len(v) != 0 {
		return fmt.Errorf("%.40q is not a digest: want 16 bytes in hexadecimal", b)
	}
	*d = Digest{}
	copy(d[:], v)
	return nil
}

// MarshalCBOR writes the 16 raw bytes.
func (d Digest) MarshalCBOR() ([]byte, error) { return appendBytes(nil, d[:]), nil }

// UnmarshalCBOR reads exactly 16 raw bytes.
func (d *Digest) UnmarshalCBOR(b []byte) error {
	r := reader{b: b}
	r.fixed(d[:])
	return r.finish()
}

// ActorKind says what sort of party caused an event.
type ActorKind uint8

// The parties that cause events.
const (
	ActorOperator ActorKind = 1 // the operator, at the command line
	ActorKey      ActorKind = 2 // an API key
	ActorUser     ActorKind = 3 // a person, on a page
	ActorDue      ActorKind = 4 // nobody: the time had come
	ActorProvider ActorKind = 5 // the payment provider
)

// Actor is who caused an event: a key or a user by identity, or one of the others.
type Actor struct {
	Kind ActorKind
	ID   [16]byte // of the key or user; zero for the others
}

// String returns the identity of the key or the user, or "operator", "due" or "provider".
func (a Actor) String() string {
	switch a.Kind {
	case ActorOperator:
		return "operator"
	case ActorKey:
		return KeyID(a.ID).String()
	case ActorUser:
		return UserID(a.ID).String()
	case ActorDue:
		return "due"
	case ActorProvider:
		return "provider"
	}
	return fmt.Sprintf("actor(%d)", a.Kind)
}

// MarshalText returns what String returns.
func (a Actor) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Envelope says where and how an event came to be. All of it is hashed (D2).
type Envelope struct {
	Seq        Seq            `json:"sequence"`
	Ledger     LedgerID       `json:"ledgerId"`
	RecordedAt Time           `json:"recordedAt"`              // real time; never decreases along the log
	At         Time           `json:"effectiveAt"`             // on the subject's clock
	Merchant   OrganizationID `json:"merchantId,omitzero"`     // whose business it is; none for a consumer's or the platform's own
	Actor      Actor          `json:"actor"`                   // who caused it
	Command    CommandID      `json:"commandId"`               // the command that it carries out; never decreases along the log
	Cause      Seq            `json:"cause,omitzero"`          // of a due action: the record that scheduled it
	Key        string         `json:"idempotencyKey,omitzero"` // 1 to 255 bytes where given
	Content    Digest         `json:"contentHash,omitzero"`    // of the command, where Key is given
}

// Record is an event where it stands in the log, with the bytes that are kept.
type Record struct {
	Envelope
	Event Event
	Bytes []byte // encoded; what is hashed, stored and published
	Hash  Hash   // LeafHash(Bytes)
}

// NewRecord encodes e under env and returns the record. It fails with [ErrTooLarge], or
// with an error that matches [ErrEncoding] for what DecodeRecord would refuse: so
// nothing comes into the log that cannot be read again.
func NewRecord(env Envelope, e Event) (Record, error) {
	return AppendRecord(nil, env, e)
}

// AppendRecord is NewRecord with the encoded bytes appended to buf, whose memory
// the record shares: so the records of one group need one allocation.
func AppendRecord(buf []byte, env Envelope, e Event) (Record, error) {
	start := len(buf)
	buf = appendEnvelope(buf, &env, e.Kind())
	event := len(buf)
	var ok bool
	if u, hot := e.(*UsageReported); hot {
		buf, ok = u.append(buf), u.valid()
	} else {
		buf = append(buf, marshal(e)...)
		ok = wellShaped(e, buf[event:]) && (env.Key == "" || scope(e.Kind()) != noScope)
	}
	b := buf[start:len(buf):len(buf)]
	if !ok || env.Seq == 0 || len(env.Key) > maxKey || !utf8.ValidString(env.Key) {
		return Record{}, fmt.Errorf("%w: %s with values out of range", ErrEncoding, e.Kind())
	}
	if len(b) > MaxRecordBytes {
		return Record{}, fmt.Errorf("%s of %d bytes: %w", e.Kind(), len(b), ErrTooLarge)
	}
	return Record{Envelope: env, Event: e, Bytes: b, Hash: LeafHash(b)}, nil
}

// maxKey is how many bytes an idempotency key may have.
const maxKey = 255

// The map keys of an envelope.
const (
	envSeq = iota + 1
	envLedger
	envRecordedAt
	envAt
	envMerchant
	envActor
	envCommand
	envCause
	envKey
	envContent
	envKind
	envEvent
)

func appendEnvelope(b []byte, env *Envelope, kind Kind) []byte {
	n := uint64(8)
	if !env.Merchant.IsZero() {
		n++
	}
	if env.Cause != 0 {
		n++
	}
	if env.Key != "" {
		n++
	}
	if !env.Content.IsZero() {
		n++
	}
	b = appendHead(b, majorMap, n)
	b = appendHead(append(b, envSeq), majorUint, uint64(env.Seq))
	b = appendBytes(append(b, envLedger), env.Ledger[:])
	b = appendInt(append(b, envRecordedAt), int64(env.RecordedAt))
	b = appendInt(append(b, envAt), int64(env.At))
	if !env.Merchant.IsZero() {
		b = appendBytes(append(b, envMerchant), env.Merchant[:])
	}
	if env.Actor.ID == [16]byte{} {
		b = appendHead(append(b, envActor, majorArray|1), majorUint, uint64(env.Actor.Kind))
	} else {
		b = appendHead(append(b, envActor, majorArray|2), majorUint, uint64(env.Actor.Kind))
		b = appendBytes(b, env.Actor.ID[:])
	}
	b = appendBytes(append(b, envCommand), env.Command[:])
	if env.Cause != 0 {
		b = appendHead(append(b, envCause), majorUint, uint64(env.Cause))
	}
	if env.Key != "" {
		b = appendText(append(b, envKey), env.Key)
	}
	if !env.Content.IsZero() {
		b = appendBytes(append(b, envContent), env.Content[:])
	}
	b = appendText(append(b, envKind), string(kind))
	return append(b, envEvent)
}

// DecodeRecord reads an encoded record. It shares memory with b, which must not
// change afterwards. Every error matches [ErrEncoding].
//
// For every record r that NewRecord returns, DecodeRecord(r.Bytes) is r.
func DecodeRecord(b []byte) (Record, error) {
	rec, err := DecodeUnhashed(b)
	if err == nil {
		rec.Hash = LeafHash(b)
	}
	return rec, err
}

// DecodeUnhashed is DecodeRecord without the work of hashing, for readers that do not
// look at Hash.
func DecodeUnhashed(b []byte) (Record, error) {
	if len(b) > MaxRecordBytes {
		return Record{}, fmt.Errorf("%w: %w", ErrEncoding, ErrTooLarge)
	}
	if rec := (Record{Bytes: b}); cutRecord(b, &rec) {
		return rec, nil
	}
	return readRecord(b)
}

// readRecord reads a record of any kind and form.
func readRecord(b []byte) (Record, error) {
	rec := Record{Bytes: b}
	var kind Kind
	r := reader{b: b}
	m := r.fields()
	for m.next(&r) {
		r.envelopeField(m.key, &rec, &kind)
	}
	const required = 1<<envSeq | 1<<envLedger | 1<<envRecordedAt | 1<<envAt | 1<<envActor | 1<<envCommand | 1<<envKind | 1<<envEvent
	m.need(&r, "an envelope", required)
	if err := r.finish(); err != nil {
		return Record{}, err
	}
	return rec, nil
}

func (r *reader) envelopeField(key uint64, rec *Record, kind *Kind) {
	switch key {
	case envSeq:
		if rec.Seq = Seq(r.uint()); rec.Seq == 0 {
			r.fail("sequence 0")
		}
	case envLedger:
		r.id((*[16]byte)(&rec.Ledger))
	case envRecordedAt:
		rec.RecordedAt = Time(r.int())
	case envAt:
		rec.At = Time(r.int())
	case envMerchant:
		r.id((*[16]byte)(&rec.Merchant))
	case envActor:
		r.actor(&rec.Actor)
	case envCommand:
		r.id((*[16]byte)(&rec.Command))
	case envCause:
		rec.Cause = Seq(r.uint())
	case envKey:
		t := r.text()
		if len(t) == 0 || len(t) > maxKey {
			r.fail("an idempotency key of %d bytes", len(t))
		}
		rec.Key = string(t)
	case envContent:
		r.id((*[16]byte)(&rec.Content))
	case envKind:
		*kind = kindOf(r.text())
	case envEvent:
		rec.Event = r.event(*kind)
	default:
		r.skip()
	}
}

// actor takes an array of the kind, the identity where there is one, and what later
// versions may add.
func (r *reader) actor(a *Actor) {
	n := r.uintHeadMax(majorArray, 16)
	a.Kind = ActorKind(r.uintMax(255))
	if n == 0 {
		r.fail("an actor of no kind")
	}
	if n >= 2 {
		r.id(&a.ID)
	}
	for ; n > 2 && r.err == nil; n-- {
		r.skip()
	}
}

// event takes the event of a record. The hot kind has a codec of its own.
func (r *reader) event(kind Kind) Event {
	if kind == KindUsageReported {
		return r.usage()
	}
	raw := r.raw()
	if r.err != nil {
		return nil
	}
	e, err := Decode(kind, raw)
	if err != nil {
		r.err = err
	}
	return e
}
