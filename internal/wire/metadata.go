package wire

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"tallystick/commands"
)

// The bounds of a metadata map.
const (
	maxMetadata      = 50
	maxMetadataKey   = 255
	maxMetadataValue = 4096
	maxMetadataBytes = 64 << 10 // of all of it, as JSON
)

// pair is one entry of a metadata map.
type pair struct{ key, value string }

// metadata takes a map of strings into d.pairs, in the order of its keys.
func (d *Decoder) metadata(s *scanner) {
	if !s.open('{', "metadata", "an object of strings") {
		return
	}
	for first := true; s.bad == nil; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		key := string(name)
		value := string(s.text(""))
		switch {
		case s.bad != nil:
			s.within("metadata.%s", quoted([]byte(key)))
		case len(key) > maxMetadataKey || len(value) > maxMetadataValue:
			s.wrong("metadata", fmt.Sprintf("has a key above %d or a value above %d bytes", maxMetadataKey, maxMetadataValue))
		case len(d.pairs) == maxMetadata:
			s.wrong("metadata", fmt.Sprintf("has more than %d entries", maxMetadata))
		}
		d.pairs = append(d.pairs, pair{key, value})
	}
	slices.SortFunc(d.pairs, func(a, b pair) int { return cmp.Compare(a.key, b.key) })
	for i := 1; i < len(d.pairs); i++ {
		if d.pairs[i].key == d.pairs[i-1].key {
			s.wrong("metadata."+quoted([]byte(d.pairs[i].key)), "is given twice")
		}
	}
}

// sealMetadata seals what metadata has read under the key of the consumer behind the customer.
func (d *Decoder) sealMetadata(c *call, u *commands.ReportUsage) (err error) {
	if len(d.pairs) == 0 {
		return nil
	}
	plain := toJSON(mapOf(d.pairs))
	if len(plain) > maxMetadataBytes {
		return commands.Reject(commands.Invalid, "metadata has %d bytes; at most %d are allowed", len(plain), maxMetadataBytes)
	}
	u.Metadata, err = d.sealFor(c.ctx, u.Customer, PurposeMetadata, plain)
	return err
}

func mapOf(pairs []pair) map[string]string {
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		m[p.key] = p.value
	}
	return m
}

// appendPairs appends pairs so that different ones look different.
func appendPairs(b []byte, pairs []pair) []byte {
	b = binary.AppendUvarint(b, uint64(len(pairs)))
	for _, p := range pairs {
		b = appendText(appendText(b, p.key), p.value)
	}
	return b
}

// appendText appends the length of s and s.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// quoted returns a name that a client has made up as it may stand in a message.
func quoted(name []byte) string { return fmt.Sprintf("%.60q", name) }
