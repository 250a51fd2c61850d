package keyring

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"tallystick/events"
)

// verb is what a wish does.
type verb int

const (
	create  verb = iota // make a key where there is neither key nor tombstone
	destroy             // put a tombstone, whatever there is
	restore             // put the given key where there is nothing
	rewrap              // wrap what there is by the first master key
)

// wish is one change that was asked for.
type wish struct {
	verb     verb
	consumer events.OrganizationID
	key      []byte // to restore
	err      error  // why it was not granted
}

// group is changes that go to disk with one sync.
type group struct {
	wishes []*wish
	done   bool // guarded by Keyring.writer
	err    error
}

// carryOut makes the changes that are asked for and returns when they are on disk,
// together with those of other callers. Whoever gets to write takes all that have
// gathered until then.
func (k *Keyring) carryOut(wishes ...*wish) error {
	if k.opts.ReadOnly {
		return ErrReadOnly
	}
	k.mu.Lock()
	if k.next == nil {
		k.next = new(group)
	}
	g := k.next
	g.wishes = append(g.wishes, wishes...)
	k.mu.Unlock()

	k.writer.Lock()
	defer k.writer.Unlock()
	if !g.done {
		k.mu.Lock()
		k.next = nil
		g.err = k.failed
		k.mu.Unlock()
		if g.err == nil {
			g.err = k.write(g)
		}
		g.done = true
	}
	if g.err != nil {
		return g.err
	}
	var errs []error
	for _, w := range wishes {
		if w.err != nil {
			errs = append(errs, w.err)
		}
	}
	return errors.Join(errs...)
}

// plan is what a group comes to.
type plan struct {
	k        *Keyring
	masters  []master
	revision uint64
	changes  []change
	staged   map[events.OrganizationID]int // index into changes
	tail     uint64                        // the next slot to append
}

func (k *Keyring) write(g *group) error {
	k.mu.Lock()
	p := plan{k, k.masters, k.revision, nil, make(map[events.OrganizationID]int, len(g.wishes)), k.slots.count}
	k.mu.Unlock()
	for _, w := range g.wishes {
		if err := p.add(w); err != nil {
			return err
		}
	}
	if len(p.changes) == 0 {
		return nil
	}
	if err := k.slots.write(p.changes); err != nil {
		err = fmt.Errorf("%w: %w", ErrFailed, err)
		k.mu.Lock()
		k.failed = err
		k.mu.Unlock()
		return err
	}
	k.publish(&p)
	return nil
}

// publish lets everybody see what is on disk now.
func (k *Keyring) publish(p *plan) {
	slices.SortFunc(p.changes, func(a, b change) int { return cmp.Compare(a.revision, b.revision) })
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range p.changes {
		c := &p.changes[i]
		k.index[c.consumer] = newPlace(c.at, c.state)
		if c.state == ended {
			k.keys.forget(c.consumer)
		}
		k.recent.add(c.revision, c.at)
	}
	k.revision = p.revision
	close(k.changed)
	k.changed = make(chan struct{})
}

// state returns what a consumer will have after the changes so far.
func (p *plan) state(consumer events.OrganizationID) state {
	if i, ok := p.staged[consumer]; ok {
		return p.changes[i].state
	}
	return p.k.stateOf(consumer)
}

// key returns the key that a consumer will have after the changes so far, nil where it
// will have a tombstone, and the master key that wraps it.
func (p *plan) key(consumer events.OrganizationID) (key []byte, by masterID, err error) {
	i, ok := p.staged[consumer]
	var s slot
	if ok {
		s = p.changes[i].slot
	} else if s, err = p.k.slots.read(p.k.placeOf(consumer)); err != nil {
		return nil, masterID{}, err
	}
	if key, err = unwrap(p.masters, consumer, s.blob); err != nil {
		return nil, masterID{}, err
	}
	return key, masterID(s.blob[1:9]), nil
}

// add plans what a wish asks for, or sets its err. It returns an error where the
// whole group must fail; nothing has been written then.
func (p *plan) add(w *wish) error {
	there := p.state(w.consumer)
	switch w.verb {
	case create:
		if there == none {
			key := make([]byte, keySize)
			if _, err := io.ReadFull(p.k.opts.Rand, key); err != nil {
				return fmt.Errorf("keyring: drawing a key: %w", err)
			}
			return p.put(w.consumer, key)
		}
	case destroy:
		if there != ended {
			return p.put(w.consumer, nil)
		}
		return nil
	case restore:
		if there == none {
			return p.put(w.consumer, w.key)
		}
	case rewrap:
		key, by, err := p.key(w.consumer)
		if err == nil && by != p.masters[0].id {
			return p.put(w.consumer, key)
		}
		w.err = err
		return nil
	}
	if there == ended {
		w.err = fmt.Errorf("%w: %s", ErrErased, w.consumer)
	} else if w.verb == restore {
		w.err = p.compare(w)
	}
	return nil
}

// compare refuses to restore another key than the one there is.
func (p *plan) compare(w *wish) error {
	key, _, err := p.key(w.consumer)
	if err == nil && !bytes.Equal(key, w.key) {
		err = fmt.Errorf("%w: %s", ErrConflict, w.consumer)
	}
	return err
}

// put plans that the consumer has key, or a tombstone where key is nil.
func (p *plan) put(consumer events.OrganizationID, key []byte) error {
	s, blob, err := p.masters[0].wrap(p.k.opts.Rand, consumer, key)
	if err != nil {
		return err
	}
	p.revision++
	sl := slot{revision: p.revision, consumer: consumer, state: s, blob: blob}
	if i, ok := p.staged[consumer]; ok {
		p.changes[i].slot = sl
		return nil
	}
	at := p.tail
	if p.k.stateOf(consumer) == none {
		p.tail++
	} else {
		at = p.k.placeOf(consumer)
	}
	p.staged[consumer] = len(p.changes)
	p.changes = append(p.changes, change{at, sl})
	return nil
}
