package server

import (
	"context"
	"fmt"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// current calls look with books that hold everything that is decided now, and with their stored rows.
func (d *directory) current(ctx context.Context, look func(*projections.Books, func(prefix []byte, fn func(key, value []byte) error) error) error) error {
	if err := d.views.Wait(ctx, d.head()); err != nil {
		return err
	}
	rows, err := d.views.Rows()
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // it was only read
	books := projections.NewBooks(projections.ForViews)
	books.Attach(rows, events.LedgerID{}, rows.Sequence())
	return lookAt(func() error { return look(books, rows.Scan) })
}

// lookAt runs fn, and returns as an error what books panic with when a row of theirs cannot be read.
func lookAt(fn func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *projections.SourceError:
			err = p
		default:
			panic(p)
		}
	}()
	return fn()
}

// UsageRecord implements wire.Directory.
func (d *directory) UsageRecord(_ context.Context, id events.UsageID) (events.Record, bool, error) {
	rec, ok, err := d.log.SeqOf(events.CommandID(id))
	if err != nil || !ok {
		return rec, false, err
	}
	_, ok = rec.Event.(*events.UsageReported)
	return rec, ok, nil
}

// Billed implements wire.Directory.
func (d *directory) Billed(ctx context.Context, id events.InvoiceID) (billed wire.Billed, found bool, err error) {
	err = d.current(ctx, func(b *projections.Books, _ func([]byte, func(key, value []byte) error) error) error {
		row := b.Invoices.Get(id)
		if found = row != nil; !found {
			return nil
		}
		billed.Subscription = row.Subscription
		if row.Status == projections.InvoicePaid {
			billed.Paid = commands.PaidInvoice{Merchant: row.Merchant, Subscription: row.Subscription, Period: row.Period, Nanos: row.Subtotal, Tax: row.Tax}
		}
		return nil
	})
	return billed, found, err
}

// SettledPeriod implements wire.Directory.
func (d *directory) SettledPeriod(ctx context.Context, customer events.CustomerID, at events.Time) (p commands.SettledPeriod, err error) {
	err = d.current(ctx, func(b *projections.Books, scan func([]byte, func(key, value []byte) error) error) error {
		prefix := append([]byte{b.Links.ID, byte(projections.LinkInvoicesOfCustomer)}, customer[:]...)
		var invoice events.InvoiceID
		if err := scan(prefix, func(key, value []byte) error {
			id := events.InvoiceID(key[len(prefix):])
			row := b.Invoices.Get(id)
			if row.Start > at || at >= row.End || row.Status == projections.InvoiceActive || row.Status == projections.InvoiceClosing {
				return nil
			}
			_, opened, err := b.Links.Decode(key[1:], value)
			invoice, p = id, commands.SettledPeriod{Subscription: row.Subscription, N: row.Period, Opened: opened}
			return err
		}); err != nil || invoice.IsZero() {
			return err
		}
		return scan(append([]byte{b.Lines.ID}, invoice[:]...), func(key, value []byte) error {
			_, line, err := b.Lines.Decode(key[1:], value)
			if err != nil {
				return err
			}
			rec, err := d.log.Record(line.Seq)
			if err != nil {
				return fmt.Errorf("reading a line of invoice %s: %w", invoice, err)
			}
			if e, ok := rec.Event.(events.InvoiceLineClosed); ok && e.Of == "" {
				p.Units = append(p.Units, commands.SettledUnits{Price: e.Price, Revision: e.Revision, Units: e.Quantity})
			}
			return nil
		})
	})
	return p, err
}
