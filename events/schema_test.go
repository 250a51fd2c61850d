package events

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// schema is what we read of schema.cddl: the definitions that are maps with integer
// keys, and the text of the others.
type schema struct {
	maps  map[string]map[int]member
	plain map[string]string
}

// member is one line of a map.
type member struct {
	Type     string
	Optional bool
	Name     string // in JSON; from the comment
}

var (
	cddlMap    = regexp.MustCompile(`^([a-z0-9-]+)(<[a-z, ]+>)? = \{$`)
	cddlMember = regexp.MustCompile(`^  (\? )?(\d+) => (.+?) +; ([A-Za-z0-9]+)(?:[,:;.].*)?$`)
	cddlPlain  = regexp.MustCompile(`^([a-z0-9-]+) = (.+?)(?: +;.*)?$`)
	cddlTimes  = regexp.MustCompile(`^\[[0-9]*\*[0-9]* `) // how many: the codec knows
	cddlMore   = regexp.MustCompile(`^  (/ .+?)(?: +;.*)?$`)
)

// readSchema reads the subset of CDDL that schema.cddl keeps to: a definition is a line, with choices
// on the lines after it, or a map with a member a line, that ends with the
// line by which readers ignore unknown members.
func readSchema(t *testing.T) schema {
	t.Helper()
	b, err := os.ReadFile("schema.cddl")
	if err != nil {
		t.Fatal(err)
	}
	s := schema{make(map[string]map[int]member), make(map[string]string)}
	last, open := "", false
	for i, line := range strings.Split(string(b), "\n") {
		switch {
		case open && line == "}":
			open = false
			if _, ok := s.maps[last][0]; !ok {
				t.Errorf("line %d: %s does not let readers ignore unknown members", i+1, last)
			}
			delete(s.maps[last], 0)
		case open && line == "  * uint => any":
			s.maps[last][0] = member{}
		case open:
			m := cddlMember.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("line %d is no member: %q", i+1, line)
			}
			key, err := strconv.Atoi(m[2])
			if _, twice := s.maps[last][key]; twice || err != nil || key == 0 {
				t.Errorf("line %d: key %s", i+1, m[2])
			}
			s.maps[last][key] = member{cddlTimes.ReplaceAllString(m[3], "[* "), m[1] != "", m[4]}
		case line == "" || line[0] == ';':
			last = ""
		case cddlMap.MatchString(line):
			last, open = cddlMap.FindStringSubmatch(line)[1], true
			s.maps[last] = make(map[int]member)
		case cddlPlain.MatchString(line):
			m := cddlPlain.FindStringSubmatch(line)
			last = m[1]
			s.plain[last] = m[2]
		case cddlMore.MatchString(line) && last != "":
			s.plain[last] += " " + cddlMore.FindStringSubmatch(line)[1]
		default:
			t.Fatalf("line %d is not understood: %q", i+1, line)
		}
	}
	return s
}

// kebab returns the name of a Go type as the schema has it: TopUpID is top-up-id.
func kebab(name string) string {
	name = strings.TrimSuffix(strings.ReplaceAll(name, "ID", "Id"), "Noun")
	var b strings.Builder
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// cddlType returns how the schema names the type of a field.
func cddlType(t reflect.Type) string {
	noun := regexp.MustCompile(`^ID\[.*\.(\w+)Noun\]$`)
	if m := noun.FindStringSubmatch(t.Name()); m != nil {
		return kebab(strings.ToUpper(m[1][:1]) + m[1][1:] + "ID")
	}
	if t == reflect.TypeFor[Time]() {
		return "instant" // CDDL has another time
	}
	if t.PkgPath() != "" {
		return kebab(t.Name())
	}
	switch t.Kind() {
	case reflect.String:
		return "tstr"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bstr"
		}
		return "[* " + cddlType(t.Elem()) + "]"
	case reflect.Map:
		return "{* " + cddlType(t.Key()) + " => " + cddlType(t.Elem()) + "}"
	}
	return t.Name() // bool, int64, uint32, uint64
}

// primitives are the definitions of what is no map; choices of text are not among them.
func primitives() map[string]string {
	all := map[string]string{
		"int64":         "-9223372036854775808..9223372036854775807",
		"uint32":        "uint .size 4",
		"uint64":        "uint .size 8",
		"seq":           "uint .size 8",
		"instant":       "int64",
		"nanos":         "-9223372036854775807..9223372036854775807",
		"sum":           "int / biguint / bignint",
		"currency":      `tstr .regexp "[A-Z]{3}"`,
		"hash":          "bstr .size 32",
		"digest":        "bstr .size 16",
		"test-clock-id": "bstr .size 10",
		"role":          "uint .size 1",
		"interval":      "tstr",
		"fraction":      "uint .size 4",
		"tax-rate":      "uint .size 4",
		"actor":         "[kind: uint .size 1, ? id: bstr .size 16, * any]",
		"key":           "tstr .size (1..255)",
	}
	return all
}

// nounDefinition is the definition of every identity but a test clock's.
const nounDefinition = "bstr .size 16"

// TestSchema holds schema.cddl and the Go types together, in both directions.
func TestSchema(t *testing.T) {
	s := readSchema(t)
	used := make(map[string]bool)
	var use func(reflect.Type)
	use = func(ft reflect.Type) {
		name := cddlType(ft)
		switch {
		case ft.Kind() == reflect.Slice || ft.Kind() == reflect.Map:
			if ft.Elem().Kind() != reflect.Uint8 {
				use(ft.Elem())
			}
			return
		case used[name] || name == "tstr" || name == "bool":
			return
		}
		used[name] = true
		if want, ok := primitives()[name]; ok {
			if s.plain[name] != want {
				t.Errorf("%s = %s, want %s", name, s.plain[name], want)
			}
			return
		}
		switch ft.Kind() {
		case reflect.Array:
			if s.plain[name] != nounDefinition {
				t.Errorf("%s = %s, want %s", name, s.plain[name], nounDefinition)
			}
		case reflect.String:
			if want := choices(t)[ft.Name()]; s.plain[name] != want {
				t.Errorf("%s = %s, want %s", name, s.plain[name], want)
			}
		default:
			want := make(map[int]member)
			for f := range ft.Fields() {
				key, optional := fieldTag(f)
				want[key] = member{cddlType(f.Type), optional, strings.Split(f.Tag.Get("json"), ",")[0]}
				use(f.Type)
			}
			if diff := cmp.Diff(want, s.maps[name]); diff != "" {
				t.Errorf("%s (-Go +schema):\n%s", name, diff)
			}
		}
	}
	records := ""
	for _, zero := range zeros() {
		use(structOf(zero))
		records += fmt.Sprintf(" / record<%q, %s>", zero.Kind(), cddlType(structOf(zero)))
	}
	if want := strings.TrimPrefix(records, " / "); s.plain["any-record"] != want {
		t.Errorf("any-record = %s\nwant %s", s.plain["any-record"], want)
	}
	testSchemaOfEnvelope(t, s, use)

	used["any-record"], used["record"], used["key"] = true, true, true
	for _, name := range slices.Concat(slices.Collect(maps.Keys(s.maps)), slices.Collect(maps.Keys(s.plain))) {
		if !used[name] {
			t.Errorf("the schema defines %s, which nothing uses", name)
		}
	}
}

// testSchemaOfEnvelope holds the envelope, whose codec is written by hand, to its
// struct: key n is field n.
func testSchemaOfEnvelope(t *testing.T, s schema, use func(reflect.Type)) {
	t.Helper()
	want := make(map[int]member)
	for f := range reflect.TypeFor[Envelope]().Fields() {
		name, opt, _ := strings.Cut(f.Tag.Get("json"), ",")
		m := member{cddlType(f.Type), opt == "omitzero", name}
		if f.Name == "Key" {
			m.Type = "key"
		} else {
			use(f.Type)
		}
		want[f.Index[0]+1] = m
	}
	want[envKind] = member{"name", false, "type"}
	want[envEvent] = member{"body", false, "event"}
	if diff := cmp.Diff(want, s.maps["record"]); diff != "" {
		t.Errorf("record (-Go +schema):\n%s", diff)
	}
}

// choices returns the constants of each type in the source of this package, as a
// choice in CDDL. Values may be added, so the last choice is any text.
func choices(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			typ, isIdent := spec.Type.(*ast.Ident)
			lit, isLit := spec.Values[0].(*ast.BasicLit)
			if isIdent && isLit && lit.Kind == token.STRING {
				all[typ.Name] += lit.Value + " / "
			}
			return true
		})
	}
	for name := range all {
		all[name] += "tstr"
	}
	return all
}
