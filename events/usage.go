package events

// UsageReported records that a customer used something, what it cost at the
// prices of its subscription's plan, and the movement of that money. Its
// identity is that of its command: [Derive] of the envelope's, at 0.
//
// It is by far the most frequent event, so its codec is written by hand, and
// tested against the library's.
type UsageReported struct {
	Customer     CustomerID     `cbor:"1,keyasint" json:"customerId"`
	Subscription SubscriptionID `cbor:"2,keyasint" json:"subscriptionId"`
	Wallet       WalletID       `cbor:"3,keyasint" json:"walletId"`   // of the consumer
	HappenedAt   Time           `cbor:"4,keyasint" json:"timestamp"`  // as the merchant says
	Period       uint32         `cbor:"5,keyasint" json:"period"`     // of the subscription, in which it is invoiced
	Lines        []UsageLine    `cbor:"6,keyasint" json:"properties"` // 1 to 100, each metric at most once
	Currency     Currency       `cbor:"7,keyasint" json:"currency"`
	Postings     []Posting      `cbor:"8,keyasint" json:"postings"`
	Balance      Sum            `cbor:"9,keyasint" json:"balanceNanos"` // of the wallet's main account, after
	Metadata     Sealed         `cbor:"10,keyasint,omitzero" json:"metadata,omitzero"`
	Reservation  ReservationID  `cbor:"20,keyasint,omitzero" json:"entitlementId,omitzero"` // that pays what is debited at once
}

// UsageLine is one metric's part of a usage event.
type UsageLine struct {
	Metric   MetricID `cbor:"1,keyasint" json:"billableMetricId"`
	Quantity int64    `cbor:"2,keyasint" json:"quantity"` // at least 1
	Price    PriceID  `cbor:"3,keyasint" json:"priceId"`
	Revision uint32   `cbor:"4,keyasint" json:"revision"`    // of the price
	Nanos    Nanos    `cbor:"5,keyasint" json:"amountNanos"` // before tax
	Tax      Nanos    `cbor:"6,keyasint,omitzero" json:"taxNanos,omitzero"`
	TaxRate  TaxRate  `cbor:"7,keyasint,omitzero" json:"taxRate,omitzero"`
	At       Nanos    `cbor:"8,keyasint,omitzero" json:"priceNanos,omitzero"`      // as reported; of models that need it
	Granted  int64    `cbor:"9,keyasint,omitzero" json:"grantedQuantity,omitzero"` // units that are not charged: grants have them, or they are beyond a hard limit
}

// Limits of a usage event.
const (
	MaxUsageLines  = 100
	maxPostings    = 100
	maxMetadataBox = 128 << 10
)

// Kind implements [Event].
func (*UsageReported) Kind() Kind { return KindUsageReported }

// Subject implements [Event].
func (*UsageReported) Subject() (aggregate, name string) { return "usage", "UsageReported" }

// Money implements [Event].
func (e *UsageReported) Money() Movement { return Movement{e.Currency, e.Wallet, e.Postings} }

func (*UsageReported) sealed() {}

// Total returns what the usage cost, before tax and with it.
func (e *UsageReported) Total() (net, tax Nanos) {
	n, t := TotalOf(e.Lines)
	net, _ = n.Nanos()
	tax, _ = t.Nanos()
	return net, tax
}

// TotalOf returns what lines come to: before tax, and their tax.
func TotalOf(lines []UsageLine) (net, tax Sum) {
	for i := range lines {
		net, tax = net.Add(lines[i].Nanos), tax.Add(lines[i].Tax)
	}
	return net, tax
}

func (e *UsageReported) append(b []byte) []byte {
	n := uint64(9)
	if !e.Metadata.IsZero() {
		n++
	}
	if !e.Reservation.IsZero() {
		n++
	}
	b = appendHead(b, majorMap, n)
	b = appendBytes(append(b, 1), e.Customer[:])
	b = appendBytes(append(b, 2), e.Subscription[:])
	b = appendBytes(append(b, 3), e.Wallet[:])
	b = appendInt(append(b, 4), int64(e.HappenedAt))
	b = appendHead(append(b, 5), majorUint, uint64(e.Period))
	b = appendHead(append(b, 6), majorArray, uint64(len(e.Lines)))
	for i := range e.Lines {
		b = e.Lines[i].append(b)
	}
	b = appendText(append(b, 7), string(e.Currency[:]))
	b = appendPostings(append(b, 8), e.Postings)
	b = appendSum(append(b, 9), e.Balance)
	if !e.Metadata.IsZero() {
		b = appendBytes(append(b, 10, majorMap|2, 1), e.Metadata.Key[:])
		b = appendBytes(append(b, 2), e.Metadata.Box)
	}
	if !e.Reservation.IsZero() {
		b = appendBytes(append(b, 20), e.Reservation[:])
	}
	return b
}

func (l *UsageLine) append(b []byte) []byte {
	n := uint64(5)
	if l.Tax != 0 {
		n++
	}
	if l.TaxRate != 0 {
		n++
	}
	if l.At != 0 {
		n++
	}
	if l.Granted != 0 {
		n++
	}
	b = appendHead(b, majorMap, n)
	b = appendBytes(append(b, 1), l.Metric[:])
	b = appendInt(append(b, 2), l.Quantity)
	b = appendBytes(append(b, 3), l.Price[:])
	b = appendHead(append(b, 4), majorUint, uint64(l.Revision))
	b = appendInt(append(b, 5), int64(l.Nanos))
	if l.Tax != 0 {
		b = appendInt(append(b, 6), int64(l.Tax))
	}
	if l.TaxRate != 0 {
		b = appendHead(append(b, 7), majorUint, uint64(l.TaxRate))
	}
	if l.At != 0 {
		b = appendInt(append(b, 8), int64(l.At))
	}
	if l.Granted != 0 {
		b = appendInt(append(b, 9), l.Granted)
	}
	return b
}

func appendPostings(b []byte, ps []Posting) []byte {
	b = appendHead(b, majorArray, uint64(len(ps)))
	for i := range ps {
		n := byte(2)
		if !ps[i].Wallet.IsZero() {
			n = 3
		}
		b = appendHead(append(b, majorMap|n, 1), majorUint, uint64(ps[i].Role))
		b = appendInt(append(b, 2), int64(ps[i].Nanos))
		if n == 3 {
			b = appendBytes(append(b, 3), ps[i].Wallet[:])
		}
	}
	return b
}

// valid reports whether e can be read again once it is written.
func (e *UsageReported) valid() bool {
	ok := e.Currency.valid() && len(e.Lines) >= 1 && len(e.Lines) <= MaxUsageLines &&
		len(e.Postings) <= maxPostings && len(e.Metadata.Box) <= maxMetadataBox
	for i := range e.Lines {
		l := &e.Lines[i]
		ok = ok && l.Quantity >= 1 && l.Granted >= 0 && l.Nanos.valid() && l.Tax.valid() && l.At.valid()
	}
	for i := range e.Postings {
		ok = ok && e.Postings[i].Nanos.valid()
	}
	return ok
}

// usageBox holds a usage event with the lines and postings that most have, so that
// reading one allocates once.
type usageBox struct {
	event    UsageReported
	lines    [2]UsageLine
	postings [4]Posting
}

// The keys that must be there: bit n stands for key n.
const (
	usageNeeds   = 0b11_1111_1110
	lineNeeds    = 0b11_1110
	postingNeeds = 0b110
	sealedNeeds  = 0b110
)

// usage takes a usage event.
func (r *reader) usage() *UsageReported {
	box := new(usageBox)
	e := &box.event
	m := r.fields()
	for m.next(r) {
		switch m.key {
		case 1:
			r.id((*[16]byte)(&e.Customer))
		case 2:
			r.id((*[16]byte)(&e.Subscription))
		case 3:
			r.id((*[16]byte)(&e.Wallet))
		case 4:
			e.HappenedAt = Time(r.int())
		case 5:
			e.Period = uint32(r.uintMax(1<<32 - 1))
		case 6:
			e.Lines = room(box.lines[:], r.uintHeadMax(majorArray, MaxUsageLines))
			for i := range e.Lines {
				e.Lines[i].read(r)
			}
		case 7:
			e.Currency = r.currency()
		case 8:
			e.Postings = room(box.postings[:], r.uintHeadMax(majorArray, maxPostings))
			for i := range e.Postings {
				e.Postings[i].read(r)
			}
		case 9:
			e.Balance = r.sum()
		case 10:
			e.Metadata.read(r)
		case 20:
			r.id((*[16]byte)(&e.Reservation))
		default:
			r.skip()
		}
	}
	m.need(r, "a usage event", usageNeeds)
	if r.err == nil && len(e.Lines) == 0 {
		r.fail("a usage event without lines")
	}
	return e
}

// room returns a slice of n elements: of those there are, if they are enough.
func room[T any](there []T, n uint64) []T {
	if n <= uint64(len(there)) {
		return there[:n:n]
	}
	return make([]T, n)
}

func (l *UsageLine) read(r *reader) {
	m := r.fields()
	for m.next(r) {
		switch m.key {
		case 1:
			r.id((*[16]byte)(&l.Metric))
		case 2:
			if l.Quantity = r.int(); l.Quantity < 1 {
				r.fail("quantity %d", l.Quantity)
			}
		case 3:
			r.id((*[16]byte)(&l.Price))
		case 4:
			l.Revision = uint32(r.uintMax(1<<32 - 1))
		case 5:
			l.Nanos = r.nanos()
		case 6:
			l.Tax = r.nanos()
		case 7:
			l.TaxRate = TaxRate(r.uintMax(1<<32 - 1))
		case 8:
			l.At = r.nanos()
		case 9:
			if l.Granted = r.int(); l.Granted < 0 {
				r.fail("%d units granted", l.Granted)
			}
		default:
			r.skip()
		}
	}
	m.need(r, "a usage line", lineNeeds)
}

func (p *Posting) read(r *reader) {
	m := r.fields()
	for m.next(r) {
		switch m.key {
		case 1:
			p.Role = Role(r.uintMax(255))
		case 2:
			p.Nanos = r.nanos()
		case 3:
			r.id((*[16]byte)(&p.Wallet))
		default:
			r.skip()
		}
	}
	m.need(r, "a posting", postingNeeds)
}

func (s *Sealed) read(r *reader) {
	m := r.fields()
	for m.next(r) {
		switch m.key {
		case 1:
			r.id((*[16]byte)(&s.Key))
		case 2:
			s.Box = r.bytes()
			if len(s.Box) > maxMetadataBox {
				r.fail("%d bytes of metadata", len(s.Box))
			}
		default:
			r.skip()
		}
	}
	m.need(r, "sealed data", sealedNeeds)
}
