package projtest

import (
	"iter"

	"tallystick/events"
)

// Shape says how big a history is and what is in it. A field that is zero has the default written beside it.
type Shape struct {
	Seed      uint64
	Merchants int // 2
	Customers int // of all merchants together; 10
	Usages    int // usage events; 100
	Lines     int // metrics of each merchant, all in each usage event; 2
	Periods   int // billing periods that the usage spreads over, all but the last invoiced; 1

	FeeBasisPoints uint32 // the platform's part of each charge
	Arrears        bool   // the last metric of each merchant counts events and is paid in arrears
	Sparse         bool   // usage events leave out some of the metrics
	Plain          bool   // nothing happens between usage events but period closes
}

func (s Shape) withDefaults() Shape {
	for _, d := range []struct {
		field *int
		value int
	}{{&s.Merchants, 2}, {&s.Customers, 10}, {&s.Usages, 100}, {&s.Lines, 2}, {&s.Periods, 1}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return s
}

// Records returns the history of a shape.
func Records(s Shape) []events.Record {
	var recs []events.Record
	for rec := range Each(s) {
		recs = append(recs, rec)
	}
	return recs
}

// Each makes the history of a shape, one record after another.
func Each(s Shape) iter.Seq[events.Record] {
	return func(yield func(events.Record) bool) {
		g := newGenerator(s.withDefaults(), yield)
		g.ledger()
		for i := range g.shape.Merchants {
			g.merchant(i)
		}
		for i := range g.shape.Customers {
			g.customer(i)
		}
		for _, m := range g.merchants {
			if !g.shape.Plain {
				g.entitle(m)
			}
		}
		for p := range g.shape.Periods {
			first, last := g.shape.Usages*p/g.shape.Periods, g.shape.Usages*(p+1)/g.shape.Periods
			for range last - first {
				g.usage(uint32(p))
				if !g.shape.Plain {
					g.other(uint32(p))
				}
			}
			if p < g.shape.Periods-1 {
				g.close(uint32(p))
			}
		}
	}
}
