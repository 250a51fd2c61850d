package query

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/ledger/keyring"
	"tallystick/projections"
)

// APIHeldEvents is what is held for somebody whom a merchant calls by an id of its own, and who is no customer yet, or one that cannot be
// billed.
type APIHeldEvents struct {
	Object          string      `json:"object"` // "held_events"
	ExternalSubject string      `json:"externalSubject"`
	Count           uint64      `json:"count"`
	FirstSequence   events.Seq  `json:"firstSequence"` // the record of the first, since none was held
	CreatedAt       events.Time `json:"createdAt"`     // of that record
}

// ListHeldEventsArgs are the arguments of [Service.ListHeldEvents]. A merchant need not name itself.
type ListHeldEventsArgs struct {
	APIPage
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
}

// ListHeldEvents lists for whom events of a merchant are held, in the order in which the first event of each came.
func (s *Service) ListHeldEvents(ctx context.Context, who wire.Who, args ListHeldEventsArgs) (list APIList[APIHeldEvents], err error) {
	merchant, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return list, err
	}
	if err := args.check(); err != nil {
		return list, err
	}
	list = APIList[APIHeldEvents]{Object: "list", Data: []APIHeldEvents{}, Pagination: Pagination{Limit: args.Limit, Offset: args.Offset}}
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) error {
		var all []projections.Waiting
		err := each(r, r.books.Waiting, merchant[:], func(_ projections.Subject, w *projections.Waiting) error {
			all = append(all, *w)
			return nil
		})
		slices.SortFunc(all, func(a, b projections.Waiting) int { return cmp.Compare(a.Opened, b.Opened) })
		list.Pagination.Total = len(all)
		for i := args.Offset; err == nil && i < len(all) && len(list.Data) < args.Limit; i++ {
			var v APIHeldEvents
			v, err = r.renderHeld(&all[i])
			list.Data = append(list.Data, v)
		}
		return err
	})
	return list, err
}

// renderHeld reads the external id out of the first event.
func (r *reading) renderHeld(w *projections.Waiting) (v APIHeldEvents, err error) {
	v = APIHeldEvents{Object: "held_events", Count: w.Count, FirstSequence: w.Opened}
	rec, err := r.opts.Log.Record(w.Opened)
	if err != nil {
		return v, err
	}
	v.CreatedAt = rec.RecordedAt
	e, ok := rec.Event.(events.EventHeld)
	if !ok {
		return v, fmt.Errorf("record %d is %s, and not an event that is held", rec.Seq, rec.Event.Kind())
	}
	body, err := r.opts.Opener.Open(e.Body, wire.PurposeEvent)
	if errors.Is(err, keyring.ErrErased) { // meanwhile
		return v, nil
	}
	var held wire.HeldEvent
	if err == nil {
		err = json.Unmarshal(body, &held)
	}
	v.ExternalSubject = held.ExternalSubject
	return v, err
}

// EachWaiting calls fn with everybody for whom events are held.
func (s *Service) EachWaiting(ctx context.Context, fn func(projections.Subject)) error {
	return s.read(ctx, wire.Who{Role: events.OperatorKey}, At{}, func(r *reading) error {
		return each(r, r.books.Waiting, nil, func(of projections.Subject, _ *projections.Waiting) error {
			fn(of)
			return nil
		})
	})
}

// HeldFor returns the records of the events that are held for somebody, in their order.
func (s *Service) HeldFor(ctx context.Context, of projections.Subject) (held []events.Seq, err error) {
	err = s.read(ctx, wire.Who{Role: events.OperatorKey}, At{}, func(r *reading) error {
		w := r.books.Waiting.Get(of)
		if w == nil {
			return nil
		}
		return r.journal(projections.JournalKey{What: projections.JournalOfHeld, ID: of.B}, 0, func(seq events.Seq) error {
			if seq <= w.Ended || seq < w.Opened {
				return errStop
			}
			held = append(held, seq)
			return nil
		})
	})
	slices.Reverse(held)
	return held, err
}
