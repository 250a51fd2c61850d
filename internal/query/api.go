package query

import (
	"context"
	"encoding/json"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// The types of this file, and those whose names begin with API, are objects of the HTTP API: their fields, and the types
// of these, are what existing clients know.

// APIList is a page of a list.
type APIList[T any] struct {
	Object     string     `json:"object"` // "list"
	Data       []T        `json:"data"`
	Pagination Pagination `json:"pagination"`
}

// Pagination says which part of a list a page is.
type Pagination struct {
	Limit  int `json:"limit"`
	Offset int `json:"offset"`
	Total  int `json:"total"`
}

// APIPage says which part of a list is wanted.
type APIPage struct {
	AtLeast events.Seq `json:"atLeast,omitzero"`
	Limit   int        `json:"limit,omitzero"` // 1 to 100; default 10
	Offset  int        `json:"offset,omitzero"`
}

const (
	apiDefaultLimit = 10
	apiMaxLimit     = 100
)

func (p *APIPage) check() error {
	return checkPage(&p.Limit, p.Offset, apiDefaultLimit, apiMaxLimit)
}

// Percent is a rate of tax as the API writes it where it means percent: a number, such as 8.875.
type Percent events.TaxRate

// MarshalJSON writes a number without an exponent.
func (p Percent) MarshalJSON() ([]byte, error) {
	return []byte(events.Nanos(int64(p) * 10_000).String()), nil // percent has 5 decimals, nanos 9
}

// apiPage renders a part of what l lists, and counts all of it.
func (l listing[K, V, T]) apiPage(r *reading, p APIPage) (list APIList[T], err error) {
	if err := p.check(); err != nil {
		return list, err
	}
	list = APIList[T]{Object: "list", Data: []T{}, Pagination: Pagination{Limit: p.Limit, Offset: p.Offset}}
	take := func(k K, row func() *V) error {
		if l.match != nil && !l.match(row()) {
			return nil
		}
		n := list.Pagination.Total
		list.Pagination.Total++
		if n < p.Offset || len(list.Data) == p.Limit {
			return nil
		}
		item, err := l.render(k, row())
		list.Data = append(list.Data, item)
		return err
	}
	if l.from.link == 0 {
		err = each(r, l.table, nil, func(k K, v *V) error { return take(k, func() *V { return v }) })
	} else {
		err = r.links(l.from.link, l.from.parent, func(child [16]byte) error {
			return take(K(child), func() *V { return l.table.Get(K(child)) })
		})
	}
	return list, err
}

// apiCatalog lists one sort of things of a merchant's catalog.
func apiCatalog[K ~[16]byte, V, T any](ctx context.Context, s *Service, who wire.Who, merchant events.OrganizationID, page APIPage,
	of func(*reading) listing[K, V, T],
) (list APIList[T], err error) {
	merchant, err = asker(who).merchant(merchant)
	if err != nil {
		return list, err
	}
	err = s.read(ctx, who, At{AtLeast: page.AtLeast}, func(r *reading) (err error) {
		l := of(r)
		l.from.parent = merchant
		if merchant.IsZero() {
			l.from = source{}
		}
		list, err = l.apiPage(r, page)
		return err
	})
	return list, err
}

// apiOne answers with one thing of a table, if who may see it.
func apiOne[K interface {
	~[16]byte
	String() string
}, V, T any](ctx context.Context, s *Service, who wire.Who, atLeast events.Seq, what string, id K,
	table func(*projections.Books) *projections.Table[K, V], owner func(*V) events.OrganizationID, render func(*reading, K, *V) (T, error),
) (one T, err error) {
	err = s.read(ctx, who, At{AtLeast: atLeast}, func(r *reading) (err error) {
		row := table(r.books).Get(id)
		if row == nil || !asker(who).sees(owner(row)) {
			return missing(what, id.String())
		}
		one, err = render(r, id, row)
		return err
	})
	return one, err
}

// decimalAmount is an amount as the API writes it: a string of units of its currency, exact.
func decimalAmount(n events.Nanos) string { return n.String() }

// rawJSON returns v in JSON. v is of texts, numbers and flags, so it cannot fail.
func rawJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("query: impossible: " + err.Error())
	}
	return b
}
