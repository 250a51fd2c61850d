package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how many levels of arrays and objects a body may have.
const maxDepth = 32

// fault is what is wrong with a body. A syntax fault is one of the JSON itself: then nothing
// can be said of what follows it.
type fault struct {
	syntax bool
	path   string // the field, such as "properties[1].quantity"; "" for the whole
	want   string // what is wrong and what to do
}

// A scanner takes JSON (RFC 8259) off the front of b, strictly. After the first fault it takes nothing more.
// Its methods skip white space in front of what they take.
//
// It exists because usage must be read in a fraction of the time that a general decoder
// takes; the tests hold it to what go-json-experiment accepts, refuses and returns.
type scanner struct {
	b   []byte
	i   int
	bad *fault
	esc []byte // the last string that had escapes, without them
}

func (s *scanner) reset(b []byte) { s.b, s.i, s.bad = b, 0, nil }

// next returns the first byte of the next token, which stays where it is; 0 at the end and after a fault.
func (s *scanner) next() byte {
	if s.i < len(s.b) {
		if c := s.b[s.i]; c > ' ' {
			return c
		}
	}
	return s.afterSpace()
}

func (s *scanner) afterSpace() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c > ' ':
			return c
		case c != ' ' && c != '\n' && c != '\r' && c != '\t':
			s.malformed("a control character")
			return 0
		}
		s.i++
	}
	return 0
}

// malformed notes a syntax fault where the scanner stands.
func (s *scanner) malformed(what string) {
	if s.bad == nil {
		if s.i >= len(s.b) {
			what = "it is cut short"
		}
		s.bad = &fault{syntax: true, want: fmt.Sprintf("the body is not valid JSON: %s, at byte %d", what, s.i)}
	}
	s.i = len(s.b)
}

// wrong notes that a field has not the value that it must have.
func (s *scanner) wrong(path, want string) {
	if s.bad == nil {
		s.bad = &fault{path: path, want: want}
	}
	s.i = len(s.b)
}

// within says that the fault, if there is one, is inside of the thing at path.
func (s *scanner) within(format string, args ...any) {
	if s.bad == nil || s.bad.syntax {
		return
	}
	path := fmt.Sprintf(format, args...)
	if s.bad.path != "" {
		path += "." + s.bad.path
	}
	s.bad.path = path
}

// end takes the end of the body.
func (s *scanner) end() {
	if s.next() != 0 || s.i < len(s.b) { // a byte 0 is a fault already
		s.malformed("something follows its end")
	}
}

// open takes the opening bracket c, and reports false, with a fault for path, if something else is there.
func (s *scanner) open(c byte, path, want string) bool {
	if s.next() != c {
		s.unexpected(path, want)
		return false
	}
	s.i++
	return true
}

// unexpected notes that a value is of another type than it must be, or no value at all.
func (s *scanner) unexpected(path, want string) {
	if s.bad != nil {
		return
	}
	var got string
	switch c := s.next(); {
	case c == '{':
		got = "an object"
	case c == '[':
		got = "an array"
	case c == '"':
		got = "a string"
	case c == '-' || c >= '0' && c <= '9':
		got = "a number"
	case s.stands("true") || s.stands("false"):
		got = "a boolean"
	case s.stands("null"):
		got = "null"
	default:
		s.malformed("a value is missing")
		return
	}
	s.wrong(path, "must be "+want+", not "+got)
}

// stands reports whether the scanner stands at a word. It takes nothing.
func (s *scanner) stands(word string) bool { return bytes.HasPrefix(s.b[s.i:], []byte(word)) }

// more reports whether another member or element is due, and takes the comma before it; it takes the
// closing bracket instead if that is there.
func (s *scanner) more(first bool, closing byte) bool {
	c := s.next()
	if c == closing {
		s.i++
		return false
	}
	switch {
	case c == 0:
		s.malformed("a bracket is not closed")
		return false
	case first:
		return true
	case c != ',':
		s.malformed("a comma or a closing bracket is missing")
		return false
	}
	s.i++
	return true
}

// member takes the name of an object's next member and the colon behind it, or the end of the
// object. The name is valid until the next string is taken.
func (s *scanner) member(first bool) (name []byte, ok bool) {
	// Nearly always there is no more space than one behind the comma, and a plain name.
	b, i, due := s.b, s.i, first
	if !due && i < len(b) && b[i] == ',' {
		if i++; i < len(b) && b[i] == ' ' {
			i++
		}
		due = true
	}
	if due && i < len(b) && b[i] == '"' {
		i++
		for j := i; j+8 <= len(b); j += 8 {
			m := special(binary.LittleEndian.Uint64(b[j:]))
			if m == 0 {
				continue
			}
			if j += bits.TrailingZeros64(m) >> 3; b[j] == '"' && j+1 < len(b) && b[j+1] == ':' {
				s.i = j + 2
				return b[i:j], true
			}
			break
		}
	}
	return s.anyMember(first)
}

// anyMember is member for whatever stands there.
func (s *scanner) anyMember(first bool) (name []byte, ok bool) {
	if !s.more(first, '}') {
		return nil, false
	}
	if s.next() != '"' {
		s.malformed("the name of a field is missing")
		return nil, false
	}
	name = s.str()
	if s.bad != nil {
		return nil, false
	}
	if s.next() != ':' {
		s.malformed("a colon is missing")
		return nil, false
	}
	s.i++
	return name, true
}

const (
	each01 = 0x0101010101010101
	each80 = 0x8080808080808080
)

// special marks, among eight bytes, the first that is no plain character of a string: a quote, a
// backslash, a control character, or a part of a character beyond ASCII. Marks behind the first may be false.
func special(w uint64) uint64 {
	quote, slash := w^'"'*each01, w^'\\'*each01
	return ((quote-each01)&^quote | (slash-each01)&^slash | (w - ' '*each01) | w) & each80
}

// str takes the string that begins where the scanner stands. It shares memory with the body, or, where it has
// escapes, with the scanner, which uses that memory again for the next one.
func (s *scanner) str() []byte {
	start := s.i + 1
	i := start
	for i+8 <= len(s.b) {
		if m := special(binary.LittleEndian.Uint64(s.b[i:])); m != 0 {
			i += bits.TrailingZeros64(m) >> 3
			break
		}
		i += 8
	}
	ascii := true
	for i < len(s.b) {
		switch c := s.b[i]; {
		case c == '"':
			if !ascii && !utf8.Valid(s.b[start:i]) {
				s.malformed("a string is not UTF-8")
				return nil
			}
			s.i = i + 1
			return s.b[start:i]
		case c == '\\':
			return s.escaped(start, i)
		case c < ' ':
			s.i = i
			s.malformed("a control character in a string")
			return nil
		case c >= utf8.RuneSelf:
			ascii = false
		}
		i++
	}
	s.i = len(s.b)
	s.malformed("a string is not closed")
	return nil
}

// escaped takes the rest of a string that begins at start and has its first backslash at i.
func (s *scanner) escaped(start, i int) []byte {
	out := append(s.esc[:0], s.b[start:i]...)
	for i < len(s.b) {
		switch c := s.b[i]; {
		case c == '"':
			if !utf8.Valid(out) {
				s.malformed("a string is not UTF-8")
				return nil
			}
			s.i, s.esc = i+1, out
			return out
		case c < ' ':
			s.i = i
			s.malformed("a control character in a string")
			return nil
		case c != '\\':
			out = append(out, c)
			i++
		default:
			r, n := escape(s.b[i:])
			if n == 0 {
				s.i = i
				s.malformed("an escape that means no character")
				return nil
			}
			out = utf8.AppendRune(out, r)
			i += n
		}
	}
	s.i = len(s.b)
	s.malformed("a string is not closed")
	return nil
}

// escape reads the escape at the front of b, two of them where they are the halves of one character. It
// returns how many bytes it has, 0 if it means nothing.
func escape(b []byte) (r rune, n int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case '"', '\\', '/':
		return rune(b[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, ok := hex4(b)
		if !ok {
			return 0, 0
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if low, ok := hex4(b[6:]); ok {
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				return r, 12
			}
		}
	}
	return 0, 0
}

// hex4 reads a backslash, a u and four hexadecimal digits.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
