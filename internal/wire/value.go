package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"
	"unicode/utf8"

	"tallystick/events"
)

// text takes a string for the field at path.
func (s *scanner) text(path string) []byte {
	if s.next() != '"' {
		s.unexpected(path, "a string")
		return nil
	}
	return s.str()
}

// number takes a number and returns its text.
func (s *scanner) number() []byte {
	start := s.i
	if s.at() == '-' {
		s.i++
	}
	if s.at() == '0' {
		s.i++
	} else if !s.digits() {
		return nil
	}
	if s.at() == '.' {
		s.i++
		if !s.digits() {
			return nil
		}
	}
	if s.at()|0x20 == 'e' {
		s.i++
		if c := s.at(); c == '+' || c == '-' {
			s.i++
		}
		if !s.digits() {
			return nil
		}
	}
	return s.b[start:s.i]
}

// at returns the byte where the scanner stands, 0 at the end.
func (s *scanner) at() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// digits takes one digit or more.
func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i]-'0' <= 9 {
		s.i++
	}
	if s.i == start {
		s.malformed("a digit is missing")
	}
	return s.i > start
}

// integer takes an integer of 64 bits for the field at path.
func (s *scanner) integer(path string) int64 {
	c := s.next()
	if c != '-' && c-'0' > 9 {
		s.unexpected(path, "an integer")
		return 0
	}
	i := s.i
	if c == '-' {
		i++
	}
	first, n := i, uint64(0)
	for i < len(s.b) && s.b[i]-'0' <= 9 {
		n = n*10 + uint64(s.b[i]-'0')
		i++
	}
	if i == first || i-first > 1 && s.b[first] == '0' || i < len(s.b) && (s.b[i] == '.' || s.b[i]|0x20 == 'e') {
		if s.number(); s.bad == nil && s.i >= i {
			s.wrong(path, "must be an integer, without a fraction or an exponent")
		} else {
			s.malformed("a number that begins with 0")
		}
		return 0
	}
	s.i = i
	limit := uint64(math.MaxInt64)
	if c == '-' {
		limit++
	}
	if i-first > 19 || n > limit {
		s.wrong(path, "must be an integer of 64 bits, that is at most 9223372036854775807")
		return 0
	}
	if c == '-' {
		return int64(-n)
	}
	return int64(n)
}

// boolean takes true or false for the field at path.
func (s *scanner) boolean(path string) bool {
	switch s.next() {
	case 't':
		s.literal("true")
		return true
	case 'f':
		s.literal("false")
		return false
	}
	s.unexpected(path, "true or false")
	return false
}

// literal takes the word that begins where the scanner stands.
func (s *scanner) literal(word string) {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		s.malformed("no value begins like this")
		return
	}
	s.i += len(word)
}

// skip takes one value, whatever it is, below depth levels of nesting.
func (s *scanner) skip(depth int) {
	switch c := s.next(); {
	case c == '"':
		s.str()
	case c == '{' || c == '[':
		if depth == maxDepth {
			s.malformed("more than 32 levels of nesting")
			return
		}
		s.i++
		for first := true; s.bad == nil; first = false {
			if c == '[' && !s.more(first, ']') {
				return
			}
			if c == '{' {
				if _, ok := s.member(first); !ok {
					return
				}
			}
			s.skip(depth + 1)
		}
	case c == '-' || c-'0' <= 9:
		s.number()
	case c == 't':
		s.literal("true")
	case c == 'f':
		s.literal("false")
	case c == 'n':
		s.literal("null")
	default:
		s.malformed("a value is missing")
	}
}

// crockford maps the characters of Crockford's base 32, of both cases, to their values, and all others to 0xFF.
var crockford = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xFF
	}
	for i, c := range []byte("0123456789ABCDEFGHJKMNPQRSTVWXYZ") {
		t[c] = byte(i)
		if c >= 'A' {
			t[c|0x20] = byte(i)
		}
	}
	return t
}()

// ulidSize is how many characters an identity has behind its prefix.
const ulidSize = 26

// parseULID reads 26 characters into id. It accepts what events.ParseID accepts behind the prefix.
func parseULID(id *[16]byte, b []byte) bool {
	if len(b) != ulidSize {
		return false
	}
	var high, low uint64 // of the first 13 characters, and of the 12 behind the 14th
	var all byte
	for _, c := range b[:13] {
		v := crockford[c]
		all |= v
		high = high<<5 | uint64(v)
	}
	middle := crockford[b[13]]
	for _, c := range b[14:26] {
		v := crockford[c]
		all |= v
		low = low<<5 | uint64(v)
	}
	binary.BigEndian.PutUint64(id[:], high<<1|uint64(middle>>4))
	binary.BigEndian.PutUint64(id[8:], low|uint64(middle)<<60)
	return (all|middle)&^31 == 0 && b[0] <= '7'
}

// id takes an identity with a prefix, such as "cus_", for the field at path.
func (s *scanner) id(path, prefix string, id *[16]byte) {
	// Nearly always it stands there as it is printed.
	quote := s.next()
	if end := s.i + 1 + len(prefix) + ulidSize; quote == '"' && end < len(s.b) && s.b[end] == '"' {
		body := end - ulidSize
		if string(s.b[s.i+1:body]) == prefix && parseULID(id, s.b[body:end]) && *id != [16]byte{} {
			s.i = end + 1
			return
		}
	}
	text := s.text(path)
	if s.bad != nil {
		return
	}
	if body, ok := bytes.CutPrefix(text, []byte(prefix)); !ok || !parseULID(id, body) || *id == [16]byte{} {
		s.wrong(path, "must be an identity such as "+prefix+"01JD3W8X5KQ7M2N4P6R8T0V2W4")
	}
}

const timeWanted = "must be a time in ISO 8601 with a zone and at most 9 decimals, such as 2024-01-15T10:30:00Z"

// time takes a time for the field at path.
func (s *scanner) time(path string) events.Time {
	text := s.text(path)
	if s.bad != nil {
		return 0
	}
	t, ok := parseTime(text)
	if !ok {
		s.wrong(path, wrongTime(text))
	}
	return t
}

// wrongTime says what is wrong with a text that parseTime refuses.
func wrongTime(b []byte) string {
	if p, err := time.Parse(time.RFC3339Nano, string(b)); err == nil {
		if _, fits := events.TimeOf(p); !fits {
			return "must be a time from 1678 to 2262, and not the first instant of 1970"
		}
	}
	return timeWanted
}

// parseTime reads a time as RFC 3339 writes it, with at most 9 decimals, from 1678 to 2262. It refuses the one
// instant that stands for none: 1970-01-01T00:00:00Z.
func parseTime(b []byte) (events.Time, bool) {
	const shape = "0000-00-00T00:00:00"
	if len(b) < len(shape)+1 {
		return 0, false
	}
	for i := range shape {
		if c := b[i]; shape[i] == '0' && c-'0' > 9 || shape[i] != '0' && c != shape[i] {
			return 0, false
		}
	}
	two := func(i int) int { return int(b[i]-'0')*10 + int(b[i+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	nanos, rest, ok := fraction(b[len(shape):])
	offset, ok2 := zone(rest)
	if !ok || !ok2 || year < 1678 || year > 2261 {
		if ok && ok2 {
			return stdTime(b) // on the edge of what fits, or beyond
		}
		return 0, false
	}
	seconds := int64(days(year, month, day))*86400 + int64(hour*3600+minute*60+second-offset)
	t := events.Time(seconds*1e9 + int64(nanos))
	return t, t != 0
}

// stdTime is for the first and last years, where a time may not fit.
func stdTime(b []byte) (events.Time, bool) {
	p, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return 0, false
	}
	return events.TimeOf(p)
}

// fraction reads the decimals of a second, if there are any.
func fraction(b []byte) (nanos int, rest []byte, ok bool) {
	if b[0] != '.' {
		return 0, b, true
	}
	i, unit := 1, 100_000_000
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		nanos += int(b[i]-'0') * unit
		unit /= 10
	}
	return nanos, b[i:], i > 1 && i <= 10
}

// zone reads a zone and returns its seconds east of Greenwich.
func zone(b []byte) (offset int, ok bool) {
	if len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) != 6 || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	for _, i := range [...]int{1, 2, 4, 5} {
		if b[i]-'0' > 9 {
			return 0, false
		}
	}
	hours, minutes := int(b[1]-'0')*10+int(b[2]-'0'), int(b[4]-'0')*10+int(b[5]-'0')
	offset = hours*3600 + minutes*60
	if b[0] == '-' {
		offset = -offset
	}
	return offset, hours < 24 && minutes < 60
}

func daysIn(year, month int) int {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}

// days returns the days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that a
// leap day is the last of its year.
func days(year, month, day int) int {
	if month < 3 {
		year, month = year-1, month+12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*month-457)/5 + day - 719_469
}

// characters returns how many characters a text has.
func characters(s string) int { return utf8.RuneCountInString(s) }
