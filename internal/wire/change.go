package wire

import (
	"encoding/binary"
	"strconv"

	"tallystick/commands"
	"tallystick/events"
)

// The functions of this file read fields that may be left out, where that means something else than to give
// them: of what is there and is to be changed. null is the value that stands for none.

// null takes the value null, and reports whether it is there.
func (s *scanner) null() bool { return string(s.b) == "null" }

// change returns a text of at most limit characters; null is "".
func (f *fields) change(name string, limit int) (v commands.Change[string]) {
	s := f.take(name, optional)
	if s == nil {
		return v
	}
	v.Given = true
	if s.null() {
		f.note(name, nil)
		return v
	}
	v.To = string(s.text(f.path + name))
	if !f.done(s) {
		return v
	}
	if !f.fits(name, v.To, limit) {
		return v
	}
	f.note(name, []byte(v.To))
	return v
}

// wordChange returns a text that the rules know the meaning of.
func wordChange[T ~string](f *fields, name string) commands.Change[T] {
	c := f.change(name, 32)
	return commands.Change[T]{Given: c.Given, To: T(c.To)}
}

// timeChange returns a time; null is none.
func (f *fields) timeChange(name string) (v commands.Change[events.Time]) {
	s := f.take(name, optional)
	if s == nil {
		return v
	}
	v.Given = true
	if s.null() {
		f.note(name, nil)
		return v
	}
	v.To = s.time(f.path + name)
	if f.done(s) {
		f.note(name, binary.BigEndian.AppendUint64(nil, uint64(v.To)))
	}
	return v
}

// numberChange returns an integer from 1 to limit.
func (f *fields) numberChange(name string, limit int64) (v commands.Change[uint32]) {
	s := f.take(name, optional)
	if s == nil {
		return v
	}
	n := s.integer(f.path + name)
	if !f.done(s) {
		return v
	}
	if n < 1 || n > limit {
		f.wrong(name, "must be an integer from 1 to "+strconv.FormatInt(limit, 10))
		return v
	}
	f.note(name, binary.AppendVarint(nil, n))
	return commands.Change[uint32]{Given: true, To: uint32(n)}
}

// flagChange returns a boolean.
func (f *fields) flagChange(name string) (v commands.Change[bool]) {
	s := f.take(name, optional)
	if s == nil {
		return v
	}
	v = commands.Change[bool]{Given: true, To: s.boolean(f.path + name)}
	if f.done(s) {
		f.note(name, strconv.AppendBool(nil, v.To))
	}
	return v
}

// nullable returns a text of at most limit characters; "" where there is none, or null.
func (f *fields) nullable(name string, limit int) string {
	s := f.take(name, optional)
	if s == nil || s.null() {
		return ""
	}
	v := string(s.text(f.path + name))
	if !f.done(s) || v == "" {
		return ""
	}
	if !f.fits(name, v, limit) {
		return ""
	}
	f.note(name, []byte(v))
	return v
}

// nullableTime returns a time; zero where there is none, or null.
func (f *fields) nullableTime(name string) events.Time {
	s := f.take(name, optional)
	if s == nil || s.null() {
		return 0
	}
	t := s.time(f.path + name)
	if f.done(s) {
		f.note(name, binary.BigEndian.AppendUint64(nil, uint64(t)))
	}
	return t
}

// numberOr returns an integer from 1 to limit; 0 where there is none, and for the usual one.
func (f *fields) numberOr(name string, usual, limit int64) uint32 {
	s := f.take(name, optional)
	if s == nil {
		return 0
	}
	n := s.integer(f.path + name)
	if !f.done(s) {
		return 0
	}
	if n < 1 || n > limit {
		f.wrong(name, "must be an integer from 1 to "+strconv.FormatInt(limit, 10))
		return 0
	}
	if n == usual {
		return 0
	}
	f.note(name, binary.AppendVarint(nil, n))
	return uint32(n)
}

// flagOr returns a boolean, usual where there is none.
func (f *fields) flagOr(name string, usual bool) bool {
	s := f.take(name, optional)
	if s == nil {
		return usual
	}
	v := s.boolean(f.path + name)
	if f.done(s) && v != usual {
		f.note(name, strconv.AppendBool(nil, v))
	}
	return v
}
