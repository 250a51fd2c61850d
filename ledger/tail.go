package ledger

import (
	"sort"

	"tallystick/events"
)

// group is records that were appended together. It does not change.
type group struct {
	records []events.Record
	hashes  []uint64      // for each record, the index's hash of its dedupe key, or 0 for none
	full    []*run        // of the dedupe index, to be written with the group
	bytes   int           // of the encoded records
	done    chan struct{} // closed when the group is durable
}

func (g *group) first() events.Seq { return g.records[0].Seq }
func (g *group) last() events.Seq  { return g.records[len(g.records)-1].Seq }

// tail keeps the latest groups in memory: all that are in flight, and of the durable
// ones as many as have room. Its groups follow one another without gaps.
type tail struct {
	groups   []*group
	bytes    int64
	maxBytes int64
}

// decodedFactor is how many times the size of its encoded bytes a record takes, about.
const decodedFactor = 4

func (t *tail) push(g *group, durable events.Seq) {
	t.groups = append(t.groups, g)
	t.bytes += decodedFactor * int64(g.bytes)
	drop := 0
	for t.bytes > t.maxBytes && t.groups[drop].last() <= durable {
		t.bytes -= decodedFactor * int64(t.groups[drop].bytes)
		t.groups[drop] = nil
		drop++
	}
	t.groups = t.groups[drop:]
}

// find returns the records from seq to the end of its group, or nil if they are not here.
func (t *tail) find(seq events.Seq) []events.Record {
	g := t.group(seq)
	if g == nil {
		return nil
	}
	return g.records[seq-g.first():]
}

func (t *tail) group(seq events.Seq) *group {
	i := sort.Search(len(t.groups), func(i int) bool { return t.groups[i].last() >= seq })
	if i == len(t.groups) || t.groups[i].first() > seq {
		return nil
	}
	return t.groups[i]
}
