package query

import (
	"context"
	"slices"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// TrialBalance is the sum of all accounts, by role and currency. The sums of each currency are zero together,
// or the ledger is wrong.
type TrialBalance struct {
	Sequence events.Seq    `json:"sequence"`
	Rows     []BalanceRow  `json:"rows"`
	Sums     []CurrencySum `json:"sums"`
	Balanced bool          `json:"balanced"`
}

// BalanceRow is the sum of all accounts of one role in one currency.
type BalanceRow struct {
	Currency events.Currency `json:"currency"`
	Role     events.Role     `json:"role"`
	Accounts uint64          `json:"accounts"`
	Balance  events.Sum      `json:"balanceNanos"`
}

// CurrencySum is the sum of all accounts in one currency.
type CurrencySum struct {
	Currency events.Currency `json:"currency"`
	Balance  events.Sum      `json:"balanceNanos"`
}

// TrialBalanceArgs are the arguments of [Service.TrialBalance].
type TrialBalanceArgs struct{ At }

// TrialBalance adds up all accounts. For operators and auditors.
func (s *Service) TrialBalance(ctx context.Context, who wire.Who, args TrialBalanceArgs) (tb TrialBalance, err error) {
	if err := asker(who).whole(); err != nil {
		return tb, err
	}
	err = s.read(ctx, who, args.At, func(r *reading) error {
		tb = TrialBalance{Sequence: r.seq, Rows: []BalanceRow{}, Sums: []CurrencySum{}, Balanced: true}
		rows := make(map[events.Account]*BalanceRow) // without owners
		sums := make(map[events.Currency]events.Sum)
		err := each(r, r.books.Accounts, nil, func(a events.Account, b *projections.Balance) error {
			a.Owner = [16]byte{}
			row := rows[a]
			if row == nil {
				row = &BalanceRow{Currency: a.Currency, Role: a.Role}
				rows[a] = row
			}
			row.Accounts++
			row.Balance = row.Balance.Plus(b.Sum)
			sums[a.Currency] = sums[a.Currency].Plus(b.Sum)
			return nil
		})
		for _, row := range rows {
			tb.Rows = append(tb.Rows, *row)
		}
		for c, sum := range sums {
			tb.Sums = append(tb.Sums, CurrencySum{c, sum})
			tb.Balanced = tb.Balanced && sum.IsZero()
		}
		return err
	})
	slices.SortFunc(tb.Rows, func(a, b BalanceRow) int {
		if c := slices.Compare(a.Currency[:], b.Currency[:]); c != 0 {
			return c
		}
		return int(a.Role) - int(b.Role)
	})
	slices.SortFunc(tb.Sums, func(a, b CurrencySum) int { return slices.Compare(a.Currency[:], b.Currency[:]) })
	return tb, err
}
