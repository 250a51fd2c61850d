package natsdoor

import (
	"context"
	"sync"
)

// window bounds what is under way.
type window struct {
	limit int

	mu    sync.Mutex // guards the fields below
	under int
	room  chan struct{} // closed when something ends; nil while nobody waits
}

// enter waits until n more fit, or nothing else is under way, and counts them in. It reports false if ctx ends first.
func (w *window) enter(ctx context.Context, n int) bool {
	for {
		w.mu.Lock()
		if w.under == 0 || w.under+n <= w.limit {
			w.under += n
			w.mu.Unlock()
			return true
		}
		if w.room == nil {
			w.room = make(chan struct{})
		}
		room := w.room
		w.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return false
		}
	}
}

// leave counts n out.
func (w *window) leave(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.under -= n
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}
