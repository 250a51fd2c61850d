package events

import (
	"crypto/sha256"
	"testing"
)

// slowLeafHash is LeafHash as RFC 6962 says it.
func slowLeafHash(b []byte) Hash { return sha256.Sum256(append([]byte{0}, b...)) }

// benchUsage returns a usage event of two lines, as the demo's customers report them.
func benchUsage() (Envelope, *UsageReported) {
	env := exampleEnvelope(true)
	env.Cause, env.Key = 0, "row-1234567890ab"
	c := NextCommandID(CommandID{}, env.RecordedAt, 0x9E3779B97F4A7C15)
	return env, &UsageReported{
		Customer: Derive[CustomerNoun](c, 1), Subscription: Derive[SubscriptionNoun](c, 2), Wallet: Derive[WalletNoun](c, 3),
		HappenedAt: env.At, Period: 3, Currency: Currency([]byte("USD")),
		Lines: []UsageLine{
			{Metric: Derive[MetricNoun](c, 4), Quantity: 1234, Price: Derive[PriceNoun](c, 5), Revision: 1, Nanos: 3_085_000},
			{Metric: Derive[MetricNoun](c, 6), Quantity: 321, Price: Derive[PriceNoun](c, 7), Revision: 1, Nanos: 3_210_000},
		},
		Postings: []Posting{{Role: ConsumerMain, Nanos: -6_295_000}, {Role: Merchant, Nanos: 6_295_000}},
		Balance:  SumOf(99_000_000_000),
	}
}

// BenchmarkAppendRecord encodes and hashes one usage event of two lines.
func BenchmarkAppendRecord(b *testing.B) {
	env, e := benchUsage()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		rec, err := AppendRecord(buf, env, e)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(rec.Bytes)))
	}
}

// BenchmarkDecode decodes it, without and with hashing.
func BenchmarkDecode(b *testing.B) {
	rec, err := NewRecord(benchUsage())
	if err != nil {
		b.Fatal(err)
	}
	for name, decode := range map[string]func([]byte) (Record, error){"unhashed": DecodeUnhashed, "hashed": DecodeRecord} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(rec.Bytes)))
			for b.Loop() {
				if _, err := decode(rec.Bytes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLeafHash hashes its bytes: what no codec can be faster than.
func BenchmarkLeafHash(b *testing.B) {
	rec, err := NewRecord(benchUsage())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(rec.Bytes)))
	for b.Loop() {
		LeafHash(rec.Bytes)
	}
}

// BenchmarkOthers encodes and decodes one record of a kind that the library encodes.
func BenchmarkOthers(b *testing.B) {
	zero := SubscriptionCreated{}
	env, e := exampleEnvelope(true), example(zero, true)
	rec, err := NewRecord(env, e)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		buf := make([]byte, 0, 4096)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := AppendRecord(buf, env, e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeUnhashed(rec.Bytes); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkDedupeKey makes the key under which a usage event is looked up.
func BenchmarkDedupeKey(b *testing.B) {
	env, e := benchUsage()
	rec := Record{Envelope: env, Event: e}
	b.ReportAllocs()
	for b.Loop() {
		rec.DedupeKey()
	}
}
