package commands

import (
	"math/big"
	"math/bits"

	"tallystick/events"
	"tallystick/projections"
)

// rate returns what q more units cost at a rate when v units came before them in the period, before tax. at is the
// price that the usage names, for the models that need one. rate reports false where the charge does not fit.
//
// Where the price of a unit depends on nothing but the units before it, a charge is a difference:
//
//	charge = F(v + q) − F(v)
//
// so that any split of a quantity comes to the same total (D24).
func rate(r *projections.Rate, v events.Sum, q int64, at events.Nanos) (events.Nanos, bool) {
	switch r.Model {
	case events.Standard:
		return standard(r.UnitPrice, q)
	case events.Dynamic:
		return standard(at, q)
	case events.Volume:
		return volume(r, v, q)
	case events.Percentage:
		return percentage(r, q, at)
	}
	panic("commands: impossible: a price of model " + string(r.Model))
}

// standard is
//
//	F(n) = n × unit price
//
// A unit price has at most nine decimals, so F is a whole number of nanos, and the difference is q × unit price
// whatever came before. A dynamic price is the same with the price that each report names (A5).
func standard(unit events.Nanos, q int64) (events.Nanos, bool) { return unit.Times(q) }

// volume is
//
//	F(n) = p(0) + p(1) + … + p(n−1),  p(i) = clamp(first + gradient × i, min, max)
//
// where i counts the units of the billing period (A7). p is linear up to the unit where it meets a bound, and stays there,
// so F is a closed form of whole nanos: nothing is rounded.
func volume(r *projections.Rate, v events.Sum, q int64) (events.Nanos, bool) {
	before := v.Big()
	after := new(big.Int).Add(before, big.NewInt(q))
	sum, ok := events.SumOfBig(after.Sub(volumeTotal(r, after), volumeTotal(r, before)))
	if !ok {
		return 0, false
	}
	return sum.Nanos()
}

// volumeTotal returns F(n) of volume.
func volumeTotal(r *projections.Rate, n *big.Int) *big.Int {
	if r.Gradient == 0 {
		return new(big.Int).Mul(n, big.NewInt(int64(r.UnitPrice)))
	}
	bound, room := r.Max, int64(r.Max-r.UnitPrice)
	step := int64(r.Gradient)
	if r.Gradient < 0 {
		bound, room, step = r.Min, int64(r.UnitPrice-r.Min), -step
	}
	sloping := big.NewInt(room / step) // the last unit that the line prices; those behind it are at the bound
	sloping.Add(sloping, big.NewInt(1))
	if sloping.Cmp(n) > 0 {
		sloping.Set(n)
	}
	total := new(big.Int).Mul(sloping, new(big.Int).Sub(sloping, big.NewInt(1)))
	total.Rsh(total, 1).Mul(total, big.NewInt(int64(r.Gradient)))
	total.Add(total, new(big.Int).Mul(sloping, big.NewInt(int64(r.UnitPrice))))
	rest := new(big.Int).Sub(n, sloping)
	return total.Add(total, rest.Mul(rest, big.NewInt(int64(bound))))
}

// percentage is, for each property of a usage event by itself (A8, A9),
//
//	charge = clamp(round(part × price × q), min, max)
//
// rounded half up to a nano. A split is other transactions, with minimum and maximum charges of their own.
func percentage(r *projections.Rate, q int64, at events.Nanos) (events.Nanos, bool) {
	n := new(big.Int).Mul(big.NewInt(int64(at)), big.NewInt(q))
	n.Mul(n, big.NewInt(int64(r.Part)))
	n.Add(n, big.NewInt(5_000)).Div(n, big.NewInt(10_000))
	if n.Cmp(big.NewInt(int64(r.Max))) >= 0 {
		return r.Max, true
	}
	return max(r.Min, events.Nanos(n.Int64())), true
}

// mean is what a period of an AVG costs,
//
//	charge = round(unit price × sum / count)
//
// rounded half up to a nano.
func mean(unit events.Nanos, sum events.Sum, count uint64) (events.Nanos, bool) {
	n := new(big.Int).Mul(sum.Big(), big.NewInt(int64(unit)))
	c := new(big.Int).SetUint64(count)
	n.Add(n.Lsh(n, 1), c).Div(n, c.Lsh(c, 1))
	charge, ok := events.SumOfBig(n)
	if !ok {
		return 0, false
	}
	return charge.Nanos()
}

// needsPrice reports whether usage must name a price of its own.
func needsPrice(m events.Model) bool { return m == events.Dynamic || m == events.Percentage }

// feeOf returns the platform's part of the next amount that a period debits at once,
// when base was debited before it:
//
//	fee = round(p × (base + amount)) − round(p × base),  p = basis points / 10000
//
// rounded half up to a nano, so that any split of an amount pays the same fee (D24).
func feeOf(basisPoints uint32, base events.Sum, amount events.Nanos) events.Nanos {
	if basisPoints == 0 {
		return 0
	}
	return share(uint64(basisPoints), 10_000, base, amount)
}

// share returns round(p × (base + amount)) − round(p × base), where p = part / whole is at most 1, rounded half away
// from zero. It fits, for it is between 0 and amount.
func share(part, whole uint64, base events.Sum, amount events.Nanos) events.Nanos {
	before, small := base.Nanos()
	after, fits := before.Plus(amount)
	if small && fits && before >= 0 && after >= 0 {
		return events.Nanos(roundShare(part, whole, uint64(after)) - roundShare(part, whole, uint64(before)))
	}
	of := func(s events.Sum) *big.Int { // round(p × s)
		n := new(big.Int).Mul(s.Big(), new(big.Int).SetUint64(part))
		w := new(big.Int).SetUint64(whole)
		neg := n.Sign() < 0
		n.Abs(n).Lsh(n, 1)
		n.Add(n, w).Div(n, w.Lsh(w, 1))
		if neg {
			n.Neg(n)
		}
		return n
	}
	sum, _ := events.SumOfBig(new(big.Int).Sub(of(base.Add(amount)), of(base)))
	nanos, _ := sum.Nanos()
	return nanos
}

// roundShare returns part × n / whole, rounded half up. part is at most whole, and whole less than 2^62.
func roundShare(part, whole, n uint64) uint64 {
	hi, lo := bits.Mul64(part, n)
	lo, carry := bits.Add64(lo, whole/2, 0)
	q, _ := bits.Div64(hi+carry, lo, whole)
	return q
}
