package query

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// journal calls fn with the records that a journal lists, newest first, from before the record before (0 means all),
// until fn returns an error, which it returns.
func (r *reading) journal(key projections.JournalKey, before events.Seq, fn func(events.Seq) error) error {
	j := r.books.Journals.Get(key)
	if j == nil {
		return nil
	}
	err := r.walk(key, j, before, fn)
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

func (r *reading) walk(key projections.JournalKey, j *projections.Journal, before events.Seq, fn func(events.Seq) error) error {
	if before == 0 {
		before = j.Last + 1
	}
	pages := int(j.Pages)
	if j.Start+1 < before {
		if err := backwards(j.Start, j.Tail, before, fn); err != nil {
			return err
		}
	} else { // the first page that reaches so far is the last to look at
		pages = sort.Search(pages, func(i int) bool { return r.mustPage(key, i).Last+1 >= before })
		pages = min(pages+1, int(j.Pages))
	}
	for i := pages - 1; i >= 0; i-- {
		p := r.mustPage(key, i)
		if err := backwards(p.Start, p.Body, before, fn); err != nil {
			return err
		}
	}
	return nil
}

// mustPage returns a page that its journal counts.
func (r *reading) mustPage(key projections.JournalKey, i int) *projections.Page {
	p := r.books.Pages.Get(projections.PageKey{Journal: key, Page: uint32(i)})
	if p == nil {
		panic(&projections.SourceError{Err: fmt.Errorf("page %d of journal %x is missing", i, key.ID)})
	}
	return p
}

// backwards calls fn with the records of a page's body that come before a record, newest first.
func backwards(start events.Seq, body []byte, before events.Seq, fn func(events.Seq) error) error {
	seqs, err := projections.Sequences(start, body)
	if err != nil {
		return err
	}
	for _, seq := range slices.Backward(seqs) {
		if seq >= before {
			continue
		}
		if err := fn(seq); err != nil {
			return err
		}
	}
	return nil
}

// part is a part of a journal.
type part struct {
	total uint64 // records in the journal; 0 where the question is about the past, of which no count is kept
	more  bool   // whether the journal has more behind the part
}

// records calls fn with the records of a part of a journal, newest first. Journals only grow: that of an earlier moment is
// the beginning of the newest one.
func (r *reading) records(key projections.JournalKey, before events.Seq, p Page, fn func(*events.Record) error) (part, error) {
	if !r.past {
		return r.recordsOf(key, before, p, fn)
	}
	rows, err := r.opts.Views.Rows()
	if err != nil {
		return part{}, err
	}
	if before == 0 || before > r.seq {
		before = r.seq + 1
	}
	var found part
	err = guard(func() (err error) {
		found, err = r.Service.reading(rows, wire.Who(r.who)).recordsOf(key, before, p, fn)
		return err
	})
	found.total = 0
	return found, errors.Join(err, rows.Close())
}

func (r *reading) recordsOf(key projections.JournalKey, before events.Seq, p Page, fn func(*events.Record) error) (found part, err error) {
	if err := p.check(); err != nil {
		return found, err
	}
	if j := r.books.Journals.Get(key); j != nil {
		found.total = j.Count
	}
	err = r.journal(key, before, func(seq events.Seq) error {
		if p.Offset > 0 {
			p.Offset--
			return nil
		}
		if p.Limit == 0 {
			found.more = true
			return errStop
		}
		p.Limit--
		rec, err := r.opts.Log.Record(seq)
		if err != nil {
			return err
		}
		return fn(&rec)
	})
	return found, err
}
