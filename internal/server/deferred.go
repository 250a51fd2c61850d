package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/mail"
)

const (
	// mostDeferred is how many letters may be put off at a time. While there are more, those behind them wait.
	mostDeferred = 64
	// mostLetters is how many letters a record gives rise to: an alert has so many recipients at most.
	mostLetters = 10
	// atOnce is how many letters that were put off are tried again at a time.
	atOnce = 4

	firstRetry = 200 * time.Millisecond // doubles each time
	lastRetry  = 15 * time.Minute
)

// deferred is the letters that the mail server has put off, such as those for a mailbox that is full: each is tried again
// by itself, so that none holds up the others.
//
// Each has a cursor in the log while it is put off, which stands at its record, and whose name says which of the record's letters it is. It is set before
// the cursor of all letters moves on, and set back when the letter is sent or given up. So a restart knows all of them, and a crash in between sends one
// twice rather than never.
type deferred struct {
	l       *letters
	places  chan struct{} // a token for each letter that is put off
	gate    chan struct{} // one for each that is being sent
	waiting sync.WaitGroup

	mu   sync.Mutex // guards the field below
	used [mostDeferred]bool
}

// slot is the place of a letter that is put off.
type slot struct {
	place  int
	letter int // of its record, from 0
}

func (s slot) cursor() string { return fmt.Sprintf("mails.deferred.%d.%d", s.place, s.letter) }

func newDeferred(l *letters) *deferred {
	return &deferred{l: l, places: make(chan struct{}, mostDeferred), gate: make(chan struct{}, atOnce)}
}

// resume goes on with what was put off before a restart.
func (d *deferred) resume(ctx context.Context) {
	for place := range mostDeferred {
		for letter := range mostLetters {
			at := slot{place, letter}
			if seq := d.l.s.Log.Cursor(at.cursor()); seq != 0 {
				d.used[place] = true
				d.places <- struct{}{}
				d.waiting.Go(func() { d.retry(ctx, at, seq) })
			}
		}
	}
}

// put puts off a letter of a record. It waits while too many are, and returns an error if ctx ends or the log fails first.
func (d *deferred) put(ctx context.Context, seq events.Seq, letter int) error {
	select {
	case d.places <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	at := slot{d.take(), letter}
	if err := d.l.s.Log.SetCursor(at.cursor(), seq); err != nil {
		return err
	}
	d.waiting.Go(func() { d.retry(ctx, at, seq) })
	return nil
}

// take returns a place that is free, which there is for each token.
func (d *deferred) take() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	for place, used := range d.used {
		if !used {
			d.used[place] = true
			return place
		}
	}
	panic("server: impossible: more letters are put off than there are places")
}

// retry tries a letter again until it is sent or given up, or ctx ends.
func (d *deferred) retry(ctx context.Context, at slot, seq events.Seq) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		if d.try(ctx, at, seq) {
			break
		}
		if ctx.Err() != nil {
			return
		}
	}
	if err := d.l.s.Log.SetCursor(at.cursor(), 0); err != nil {
		return // the log reports its failure itself
	}
	d.mu.Lock()
	d.used[at.place] = false
	d.mu.Unlock()
	<-d.places
}

// try tries a letter once, and reports whether that was the last time.
func (d *deferred) try(ctx context.Context, at slot, seq events.Seq) bool {
	select {
	case d.gate <- struct{}{}:
		defer func() { <-d.gate }()
	case <-ctx.Done():
		return false
	}
	log := d.l.s.cfg.Logger
	rec, err := d.l.s.Log.Record(seq)
	if err != nil {
		log.Warn("mail that was put off cannot be read", "sequence", seq, "error", err)
		return false
	}
	if d.l.late(&rec) {
		log.Warn("mail is left out, for it is too late", "sequence", seq)
		return true
	}
	_, err = d.l.send(ctx, &rec, at.letter)
	if err != nil && !leftOut(err) {
		log.Info("mail is put off", "sequence", seq, "error", err)
		return false
	}
	if err != nil {
		log.Warn("mail is left out", "sequence", seq, "error", err)
	}
	return true
}

// leftOut reports whether a letter will never be sent: it is refused, or what it is about is gone.
func leftOut(err error) bool {
	_, refused := errors.AsType[*mail.RefusedError](err)
	code := commands.CodeOf(err)
	return refused || code != "" && code != commands.Busy
}
