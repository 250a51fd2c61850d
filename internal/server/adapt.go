package server

import (
	"context"

	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/projections"
	"tallystick/projections/views"
)

// viewsForQueries gives the views to package query in its own terms.
type viewsForQueries struct{ views *views.Views }

// Rows implements query.Views.
func (v viewsForQueries) Rows() (query.Rows, error) {
	r, err := v.views.Reader(context.Background(), 0)
	if err != nil {
		return nil, err
	}
	return rows{r}, nil
}

// AsOf implements query.Views.
func (v viewsForQueries) AsOf(ctx context.Context, seq events.Seq, x *projections.Extract) (query.Rows, error) {
	r, err := v.views.AsOf(ctx, seq, x)
	if err != nil {
		return nil, err
	}
	return rows{r}, nil
}

// Wait implements query.Views.
func (v viewsForQueries) Wait(ctx context.Context, seq events.Seq) error {
	return v.views.WaitFor(ctx, seq)
}

// Digests implements query.Views.
func (v viewsForQueries) Digests(ctx context.Context) (events.Seq, map[string]events.Hash, error) {
	digests, seq, err := v.views.Digests(ctx)
	byName := make(map[string]events.Hash, len(digests))
	for _, d := range digests {
		byName[d.Projection] = d.Hash
	}
	return seq, byName, err
}

// rows gives a reader of views to package query in its own terms.
type rows struct{ *views.Reader }

// Sequence implements query.Rows.
func (r rows) Sequence() events.Seq { return r.Seq() }

// Scan implements query.Rows.
func (r rows) Scan(prefix []byte, fn func(key, value []byte) error) error {
	return r.Rows(context.Background(), prefix, nil, fn)
}
