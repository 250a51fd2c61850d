package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"tallystick/commands"
	"tallystick/events"
)

// fields is an object whose fields are asked for by name, each once. The first fault, or refusal, is kept; from then on
// every field is zero. What the fields are, in the order in which they are asked for, is written down in canonical form.
type fields struct {
	d     *Decoder
	path  string // of the object itself, with a dot; "" for the body
	list  []field
	asked []string
	bad   *fault
}

type field struct {
	name string
	raw  []byte
	used bool
}

// need says whether a field must be there.
type need bool

const (
	required need = true
	optional need = false
)

// object reads the names of an object's fields and where their values are.
func (d *Decoder) object(path string, b []byte) *fields {
	s := &d.scan
	s.reset(b)
	f := &fields{d: d, path: path}
	if !s.open('{', strings.TrimSuffix(path, "."), "an object") {
		f.bad = s.bad
		return f
	}
	for first := true; s.bad == nil; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		n := string(name)
		if slices.ContainsFunc(f.list, func(g field) bool { return g.name == n }) {
			s.wrong(path+n, "is given twice")
			break
		}
		if len(f.list) == maxFields {
			s.wrong(path+n, "is one of more fields than any object has")
			break
		}
		s.next()
		start := s.i
		s.skip(strings.Count(path, ".") + 1)
		f.list = append(f.list, field{name: n, raw: b[start:s.i]})
	}
	if s.bad == nil {
		s.end()
	}
	f.bad = s.bad
	return f
}

// add adds a field that stands beside the body. One of the same name in the body must be equal to it, or be null.
func (f *fields) add(g Given) {
	for i := range f.list {
		if f.list[i].name != g.Name {
			continue
		}
		if string(f.list[i].raw) == "null" {
			f.list[i].raw = g.Value
			return
		}
		if f.bad == nil && !bytes.Equal(f.list[i].raw, g.Value) {
			f.wrong(g.Name, "is given beside the body too, and differs")
		}
		return
	}
	f.list = append(f.list, field{name: g.Name, raw: g.Value})
}

// maxFields is more than any object has.
const maxFields = 64

// take returns a scanner in front of the value of a field, or nil if it is not there.
func (f *fields) take(name string, n need) *scanner {
	f.asked = append(f.asked, name)
	if f.bad != nil {
		return nil
	}
	for i := range f.list {
		if g := &f.list[i]; g.name == name {
			g.used = true
			s := &f.d.scan
			s.reset(g.raw)
			return s
		}
	}
	if n == required {
		f.wrong(name, "is required")
	}
	return nil
}

// wrong notes a fault of a field.
func (f *fields) wrong(name, want string) {
	if f.bad == nil {
		f.bad = &fault{path: f.path + name, want: want}
	}
}

// done keeps the fault of a value, and reports whether there is none.
func (f *fields) done(s *scanner) bool {
	if f.bad == nil {
		f.bad = s.bad
	}
	return f.bad == nil
}

// end refuses fields that nobody has asked for.
func (f *fields) end() bool {
	for i := range f.list {
		if g := &f.list[i]; !g.used && f.bad == nil {
			f.wrong(quoted([]byte(g.name)), "is no field here; there are "+strings.Join(f.asked, ", "))
		}
	}
	return f.bad == nil
}

// note writes a value into the canonical form. Values that are absent or the default are not noted.
func (f *fields) note(name string, value []byte) {
	b := appendText(f.d.canon, f.path+name)
	b = binary.AppendUvarint(b, uint64(len(value)))
	f.d.canon = append(b, value...)
}

// text returns a string of at most limit characters. A required one may not be empty.
func (f *fields) text(name string, n need, limit int) string {
	s := f.take(name, n)
	if s == nil {
		return ""
	}
	v := string(s.text(f.path + name))
	if !f.done(s) {
		return ""
	}
	if v == "" {
		if n == required {
			f.wrong(name, "may not be empty")
		}
		return ""
	}
	if !f.fits(name, v, limit) {
		return ""
	}
	f.note(name, []byte(v))
	return v
}

// oneLine is how many characters a text may have at most that stands on one line wherever it is shown, such as a name.
const oneLine = 255

// fits reports whether a text has at most limit characters, and none that does something else than be seen: names come into mail, onto terminals and
// into other people's tables. Only what is longer than a line may have breaks in it.
func (f *fields) fits(name, v string, limit int) bool {
	if characters(v) > limit {
		f.wrong(name, "has too many characters; at most "+strconv.Itoa(limit)+" are allowed")
		return false
	}
	for _, c := range v {
		space := c == '\n' || c == '\r' || c == '\t'
		if unicode.IsControl(c) && !space || limit <= oneLine && (space || c >= '\u2028' && unicode.In(c, unicode.Zl, unicode.Zp, unicode.Bidi_Control)) {
			f.wrong(name, fmt.Sprintf("may not have the control character %U", c))
			return false
		}
	}
	return true
}

// oneOf returns one of some words; the first of them where there is none.
func (f *fields) oneOf(name string, n need, words ...string) string {
	s := f.take(name, n)
	if s == nil {
		return words[0]
	}
	v := string(s.text(f.path + name))
	if !f.done(s) {
		return ""
	}
	if !slices.Contains(words, v) {
		f.wrong(name, "must be "+strings.Join(words, " or "))
		return ""
	}
	if n == required || v != words[0] {
		f.note(name, []byte(v))
	}
	return v
}

// number returns an integer from 0 to limit, 0 where there is none.
func (f *fields) number(name string, limit int64) int64 {
	s := f.take(name, optional)
	if s == nil {
		return 0
	}
	v := s.integer(f.path + name)
	if !f.done(s) {
		return 0
	}
	if v < 0 || v > limit {
		f.wrong(name, "must be an integer from 0 to "+strconv.FormatInt(limit, 10))
		return 0
	}
	if v != 0 {
		f.note(name, binary.AppendVarint(nil, v))
	}
	return v
}

// flag returns a boolean, false where there is none.
func (f *fields) flag(name string) bool {
	s := f.take(name, optional)
	if s == nil {
		return false
	}
	v := s.boolean(f.path + name)
	if f.done(s) && v {
		f.note(name, []byte{1})
	}
	return v
}

// time returns a time, zero where there is none.
func (f *fields) time(name string, n need) events.Time {
	s := f.take(name, n)
	if s == nil {
		return 0
	}
	t := s.time(f.path + name)
	if f.done(s) {
		f.note(name, binary.BigEndian.AppendUint64(nil, uint64(t)))
	}
	return t
}

// money returns an amount in units of a currency, written as a string of decimal digits.
func (f *fields) money(name string, n need) events.Nanos {
	const want = "must be a string of digits with at most 9 decimals, such as \"12.50\""
	s := f.take(name, n)
	if s == nil {
		return 0
	}
	v := s.text(f.path + name)
	if !f.done(s) {
		return 0
	}
	amount, err := events.ParseNanos(string(v))
	if err != nil {
		f.wrong(name, want)
		return 0
	}
	f.note(name, binary.AppendVarint(nil, int64(amount)))
	return amount
}

// currency returns a currency.
func (f *fields) currency(name string) (c events.Currency) {
	s := f.take(name, required)
	if s == nil {
		return c
	}
	v := s.text(f.path + name)
	if !f.done(s) {
		return c
	}
	if err := c.UnmarshalText(v); err != nil {
		f.wrong(name, "must be three capital letters, such as USD")
		return c
	}
	f.note(name, c[:])
	return c
}

// id returns the identity of a K, zero where there is none.
func id[K events.Noun](f *fields, name string, n need) (v events.ID[K]) {
	s := f.take(name, n)
	if s == nil {
		return v
	}
	s.id(f.path+name, prefixOf[K](), (*[16]byte)(&v))
	if f.done(s) {
		f.note(name, v[:])
	}
	return v
}

func prefixOf[K events.Noun]() string {
	zero := string(events.ID[K]{}.AppendText(nil))
	return zero[:len(zero)-ulidSize]
}

// ids returns an array of identities.
func ids[K events.Noun](f *fields, name string, limit int) (list []events.ID[K]) {
	s := f.take(name, optional)
	if s == nil {
		return nil
	}
	path := f.path + name
	if s.open('[', path, "an array") {
		for first := true; s.more(first, ']'); first = false {
			if len(list) == limit {
				s.wrong(path, "has more than "+strconv.Itoa(limit)+" entries")
				break
			}
			var v events.ID[K]
			s.id(path+"["+strconv.Itoa(len(list))+"]", prefixOf[K](), (*[16]byte)(&v))
			list = append(list, v)
		}
	}
	if f.done(s) && len(list) > 0 {
		var b []byte
		for i := range list {
			b = append(b, list[i][:]...)
		}
		f.note(name, b)
	}
	return list
}

// clock returns the identity of a test clock, zero where there is none.
func (f *fields) clock(name string, n need) (v events.TestClockID) {
	s := f.take(name, n)
	if s == nil {
		return v
	}
	text := s.text(f.path + name)
	if !f.done(s) {
		return v
	}
	v, err := events.ParseTestClockID(string(text))
	if err != nil || v.IsZero() {
		f.wrong(name, "must be an identity such as tc_01JD3W8X5KQ7M2N4")
		return v
	}
	f.note(name, v[:])
	return v
}

// metadata returns a map of strings.
func (f *fields) metadata(name string) map[string]string {
	s := f.take(name, optional)
	if s == nil {
		return nil
	}
	f.d.pairs = f.d.pairs[:0]
	f.d.metadata(s)
	if !f.done(s) || len(f.d.pairs) == 0 {
		return nil
	}
	f.note(name, appendPairs(nil, f.d.pairs))
	return mapOf(f.d.pairs)
}

// within returns the fields of an object inside, and whether it is there.
func (f *fields) within(name string, n need) (*fields, bool) {
	s := f.take(name, n)
	if s == nil {
		return nil, false
	}
	g := f.d.object(f.path+name+".", s.b)
	f.bad = g.bad
	return g, f.bad == nil
}

// close takes back the fault of an object inside.
func (f *fields) close(g *fields) {
	g.end()
	if f.bad == nil {
		f.bad = g.bad
	}
}

// only refuses a field that this ledger does not act upon yet, unless it has one of the values that change nothing, in JSON.
func (f *fields) only(name, why string, values ...string) {
	s := f.take(name, optional)
	if s != nil && !slices.Contains(values, string(s.b)) {
		f.wrong(name, "is not supported: "+why)
	}
}

// refusal returns the rejection of a body that has a fault, or nil.
func (f *fields) refusal() error {
	if f.bad == nil {
		return nil
	}
	return f.bad.refusal()
}

func invalid(format string, args ...any) *commands.Rejection {
	return commands.Reject(commands.Invalid, format, args...)
}
