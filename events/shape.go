package events

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// shape says which items stand for the values of a Go type. The library accepts
// more than one form for a value, and leaves at zero what is not there; the log has one
// form only, and an event lacks nothing. So what the library reads is held to
// its shape first, and what it has written too.
type shape struct {
	majors   byte     // bit n: items of major type n
	fields   []*shape // of a map that stands for a struct: the values, by key; nil for a key that is none
	required uint64   // likewise: bit n says that key n must be there
	elem     *shape   // of the elements of an array, or of the values of a map with keys of text
	letters  bool     // three capital letters
	amount   bool     // not the integer that is no amount
}

// maxDepth bounds how deep items may be nested.
const maxDepth = 16

// shapes holds the shape of each type of event that the library encodes. It never changes.
var shapes = shapesOf(zeros())

func shapesOf(events []Event) map[reflect.Type]*shape {
	all := make(map[reflect.Type]*shape)
	for _, e := range events {
		if t := reflect.TypeOf(e); t.Kind() == reflect.Struct { // the others have a codec of their own
			all[t] = shapeOf(t)
		}
	}
	return all
}

func majors(of ...byte) (set byte) {
	for _, m := range of {
		set |= 1 << (m >> 5)
	}
	return set
}

func shapeOf(t reflect.Type) *shape {
	switch t {
	case reflect.TypeFor[Sum]():
		return &shape{majors: majors(majorUint, majorNeg, majorTag)}
	case reflect.TypeFor[Nanos]():
		return &shape{majors: majors(majorUint, majorNeg), amount: true}
	case reflect.TypeFor[Currency]():
		return &shape{majors: majors(majorText), letters: true}
	}
	switch t.Kind() {
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		return &shape{majors: majors(majorUint)}
	case reflect.Int64:
		return &shape{majors: majors(majorUint, majorNeg)}
	case reflect.String:
		return &shape{majors: majors(majorText)}
	case reflect.Bool:
		return &shape{majors: majors(majorOther)}
	case reflect.Map:
		return &shape{majors: majors(majorMap), elem: shapeOf(t.Elem())}
	case reflect.Array:
		return &shape{majors: majors(majorBytes)}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return &shape{majors: majors(majorBytes)}
		}
		return &shape{majors: majors(majorArray), elem: shapeOf(t.Elem())}
	case reflect.Struct:
		return shapeOfStruct(t)
	}
	panic(fmt.Sprintf("events: impossible: no form for %v", t))
}

func shapeOfStruct(t reflect.Type) *shape {
	s := &shape{majors: majors(majorMap)}
	for f := range t.Fields() {
		key, optional := fieldTag(f)
		for len(s.fields) <= key {
			s.fields = append(s.fields, nil)
		}
		if s.fields[key] != nil {
			panic(fmt.Sprintf("events: impossible: %v has two fields with key %d", t, key))
		}
		s.fields[key] = shapeOf(f.Type)
		if !optional {
			s.required |= 1 << key
		}
	}
	return s
}

// fieldTag returns a field's key on the wire, and whether it may be left out.
func fieldTag(f reflect.StructField) (key int, optional bool) {
	tag := strings.Split(f.Tag.Get("cbor"), ",")
	key, err := strconv.Atoi(tag[0])
	if err != nil || len(tag) < 2 || tag[1] != "keyasint" || key < 1 || key > 63 {
		panic(fmt.Sprintf("events: impossible: field %s has no key on the wire", f.Name))
	}
	return key, len(tag) > 2
}

// wellShaped reports whether b, which the library has written for e, can be read again.
func wellShaped(e Event, b []byte) bool {
	s, ok := shapes[reflect.TypeOf(e)]
	if !ok {
		panic(fmt.Sprintf("events: impossible: an event of type %T", e)) // a pointer, most likely
	}
	r := reader{b: b}
	r.item(s, 0)
	return r.finish() == nil
}

// skip takes one item, whatever it is.
func (r *reader) skip() { r.item(nil, 0) }

// raw takes one item, whatever it is, and returns its bytes.
func (r *reader) raw() []byte {
	before := r.b
	r.skip()
	n := len(before) - len(r.b)
	return before[:n:n]
}

// item takes one item in the deterministic encoding, and of shape s if that is not nil.
func (r *reader) item(s *shape, depth int) {
	before := r.b
	major, n := r.head()
	switch {
	case r.err != nil:
		return
	case depth > maxDepth:
		r.fail("nested too deep")
		return
	case s != nil && s.majors>>(major>>5)&1 == 0:
		r.fail("major type %d where it is not due", major>>5)
		return
	}
	switch major {
	case majorBytes:
		r.take(n)
	case majorText:
		r.itemText(s, n)
	case majorArray:
		var elem *shape
		if s != nil {
			elem = s.elem
		}
		for ; n > 0 && r.err == nil; n-- {
			r.item(elem, depth+1)
		}
	case majorMap:
		if s != nil && s.fields != nil {
			r.itemFields(s, n, depth)
		} else {
			r.itemMap(s, n, depth)
		}
	case majorTag:
		r.item(nil, depth+1)
	case majorNeg:
		if s != nil && s.amount && n >= 1<<63-1 {
			r.fail("an amount out of range")
		}
	case majorOther:
		long := before[0]&0x1F == 24
		if long && n < 32 || s != nil && (long || n != 20 && n != 21) {
			r.fail("a simple value that is none here")
		}
	}
}

func (r *reader) itemText(s *shape, n uint64) {
	t := r.take(n)
	if !utf8.Valid(t) {
		r.fail("text that is not UTF-8")
	}
	if s != nil && s.letters && r.err == nil && (len(t) != 3 || !Currency(t).valid()) {
		r.fail("%.40q is no currency", t)
	}
}

// itemFields takes the n pairs of a map that stands for a struct.
func (r *reader) itemFields(s *shape, n uint64, depth int) {
	m := fields{left: n}
	for m.next(r) {
		var value *shape
		if m.key < uint64(len(s.fields)) {
			value = s.fields[m.key]
		}
		r.item(value, depth+1)
	}
	m.need(r, "an event", s.required)
}

// itemMap takes the n pairs of any other map. Its keys must ascend in their encoded form.
func (r *reader) itemMap(s *shape, n uint64, depth int) {
	var key, value *shape
	if s != nil {
		key, value = &shape{majors: majors(majorText)}, s.elem
	}
	var last []byte
	for ; n > 0 && r.err == nil; n-- {
		before := r.b
		r.item(key, depth+1)
		k := before[:len(before)-len(r.b)]
		if r.err == nil && last != nil && bytes.Compare(k, last) <= 0 {
			r.fail("a map key that does not ascend")
		}
		last = k
		r.item(value, depth+1)
	}
}
