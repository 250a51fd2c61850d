package commands

import (
	"math/big"

	"tallystick/events"
	"tallystick/projections"
)

// rate returns what q more units cost at a rate when v units came before them in
// the period, before tax:
//
//	charge = round(F(v + q)) − round(F(v))
//
// so that any split of a quantity comes to the same total (D24). F depends on the model.
//
//	standard: F(n) = n × unit price
//
// A unit price has at most nine decimals, so F is a whole number of nanos, and the difference is q × unit price.
// rate reports false where the charge does not fit.
func rate(r *projections.Rate, v events.Sum, q int64) (events.Nanos, bool) {
	switch r.Model {
	case events.Standard:
		_ = v // the price of a unit does not depend on those before it
		return r.UnitPrice.Times(q)
	}
	panic("commands: impossible: a price of model " + string(r.Model))
}

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
	part := func(s events.Sum) *big.Int { // round(p × s); s is not negative
		n := new(big.Int).Mul(s.Big(), big.NewInt(int64(basisPoints)))
		return n.Div(n.Add(n, big.NewInt(5_000)), big.NewInt(10_000))
	}
	fee, _ := events.SumOfBig(new(big.Int).Sub(part(base.Add(amount)), part(base)))
	nanos, _ := fee.Nanos() // at most amount
	return nanos
}
