package wire

import (
	"slices"

	"tallystick/commands"
)

// The attributes of a CloudEvent, as bits.
const (
	hasVersion = 1 << iota
	hasID
	hasSource
	hasType
	hasSubject
	hasMoment
	hasContentType
	hasSchema
	hasData
)

// cloudAttributes are the attributes that have a meaning here, and whether they must be there.
var cloudAttributes = [...]struct {
	name     string
	bit      int
	required bool
}{
	{"specversion", hasVersion, true},
	{"id", hasID, true},
	{"source", hasSource, true},
	{"type", hasType, true},
	{"subject", hasSubject, true},
	{"time", hasMoment, true},
	{"datacontenttype", hasContentType, false},
	{"dataschema", hasSchema, false},
	{"data", hasData, true},
}

// usageType is the type of a CloudEvent that is usage. One of another type is a meter event.
const usageType = "usage.reported"

// reportsUsage reports whether the CloudEvent in front of s is usage, or whether what it is cannot be told. It takes nothing.
func (s *scanner) reportsUsage() bool {
	at := *s
	defer func() { *s = at }()
	s.i++
	for first := true; ; first = false {
		name, ok := s.member(first)
		if !ok {
			return true
		}
		if string(name) == "type" {
			return s.next() != '"' || string(s.str()) == usageType
		}
		s.skip(1)
	}
}

// cloud reads a CloudEvent 1.0 in JSON that is usage (D23): the subject is the customer, the time the timestamp, and source, a slash
// and id the idempotency key. Its data has the properties and the metadata of a usage event. Extension
// attributes, such as traceparent, say how an event travelled: they are checked and left out.
func (d *Decoder) cloud(c *call, s *scanner, u *commands.ReportUsage) error {
	d.pairs = d.pairs[:0]
	s.open('{', "", "an object: a CloudEvent")
	var id, source string
	var extensions []string
	seen := 0
	for first := true; s.bad == nil; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		bit := cloudBit(name)
		if bit != 0 && seen&bit != 0 {
			s.wrong(string(name), "is given twice")
		}
		seen |= bit
		switch bit {
		case hasVersion:
			s.must("specversion", "1.0")
		case hasID:
			id = string(s.text("id"))
		case hasSource:
			source = string(s.text("source"))
		case hasType:
			s.must("type", usageType)
		case hasSubject:
			s.id("subject", "cus_", (*[16]byte)(&u.Customer))
		case hasMoment:
			u.HappenedAt = s.time("time")
		case hasContentType:
			s.must("datacontenttype", "application/json")
		case hasSchema:
			s.text("dataschema")
		case hasData:
			d.cloudData(c, s, u)
		default:
			extensions = s.extension(name, extensions)
		}
	}
	for _, a := range cloudAttributes {
		if a.required && seen&a.bit == 0 {
			s.wrong(a.name, "is required of a CloudEvent")
		}
	}
	if s.bad != nil {
		return nil
	}
	key := source + "/" + id
	if id == "" || source == "" || len(key) > maxKey {
		s.wrong("source and id", "are the idempotency key: neither may be empty, and together they may have 254 bytes")
		return nil
	}
	d.keys = append(d.keys, key...)
	return d.sealMetadata(c, u)
}

func cloudBit(name []byte) int {
	for i := range cloudAttributes {
		if a := &cloudAttributes[i]; a.name == string(name) {
			return a.bit
		}
	}
	return 0
}

// must takes a string that has one value only.
func (s *scanner) must(path, value string) {
	if text := s.text(path); s.bad == nil && string(text) != value {
		s.wrong(path, "must be "+value)
	}
}

// cloudData takes the data of a CloudEvent.
func (d *Decoder) cloudData(c *call, s *scanner, u *commands.ReportUsage) {
	if !s.open('{', "data", "an object with properties") {
		return
	}
	seen := 0
	for first := true; s.bad == nil; first = false {
		name, ok := s.member(first)
		if !ok {
			break
		}
		bit := 0
		switch string(name) {
		case "properties":
			bit = hasProperties
		case "metadata":
			bit = hasMetadata
		case "merchantId":
			bit = hasMerchant
		case "entitlementId":
			bit = hasReservation
		default:
			s.wrong(quoted(name), "is no field of a usage event's data; it has properties, entitlementId, metadata and merchantId")
		}
		if seen&bit != 0 {
			s.wrong(string(name), "is given twice")
		}
		seen |= bit
		switch {
		case s.bad != nil:
		case bit == hasProperties:
			d.properties(c, s)
		case bit == hasMetadata:
			d.metadata(s)
		case bit == hasMerchant:
			d.checkMerchant(s)
		case bit == hasReservation:
			s.reservation("entitlementId", &u.Reservation)
		}
	}
	if seen&hasProperties == 0 {
		s.wrong("properties", "is required")
	}
	s.within("data")
}

// cloud reports whether an object is a CloudEvent.
func (f *fields) cloud() bool {
	return slices.ContainsFunc(f.list, func(g field) bool { return g.name == "specversion" })
}

// meterField returns the field of a meter event that an attribute of a CloudEvent is, "" if it is none. What CloudEvents has no word for are
// extension attributes, whose names have lower case letters only.
func meterField(attribute string) string {
	switch attribute {
	case "type", "source", "subject", "data", "namespace":
		return attribute
	case "time":
		return "timestamp"
	case "externalsubject":
		return "externalSubject"
	case "externalid":
		return "externalId"
	}
	return ""
}

// cloudEvent makes of the attributes of a CloudEvent 1.0 the fields of a meter event, and returns its idempotency key (D23): from then on it
// is read like one that was sent in the API's own form.
func (f *fields) cloudEvent() (key string) {
	var source, id string
	var extensions []string
	s := &f.d.scan
	for i := range f.list {
		g := &f.list[i]
		if f.bad != nil {
			return ""
		}
		if g.used {
			continue
		}
		s.reset(g.raw)
		name := meterField(g.name)
		switch {
		case g.name == "specversion":
			s.must("specversion", "1.0")
		case g.name == "id":
			id = string(s.text("id"))
		case g.name == "datacontenttype":
			s.must("datacontenttype", "application/json")
		case g.name == "dataschema":
			s.text("dataschema")
		case name != "":
			if g.name == "source" {
				source = string(s.text("source"))
			}
			g.name = name
			f.done(s)
			continue
		default:
			extensions = s.extension([]byte(g.name), extensions)
		}
		g.used = true
		f.done(s)
	}
	if !f.cloud() {
		f.wrong("specversion", "is required of a CloudEvent")
	}
	if key = source + "/" + id; id == "" || source == "" || len(key) > maxKey {
		f.wrong("source and id", "are the idempotency key: neither may be empty, and together they may have 254 bytes")
	}
	return key
}

// maxExtensions bounds how many extension attributes a CloudEvent may have.
const maxExtensions = 20

// extension takes an extension attribute, and returns those taken so far with its name. It is a name of lower case
// letters and digits, and a string, a boolean, an integer or null.
func (s *scanner) extension(name []byte, taken []string) []string {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			s.wrong(quoted(name), "is no attribute of a CloudEvent that this ledger takes: those are lower case letters and digits, and data is JSON")
			return taken
		}
	}
	switch {
	case slices.Contains([]string{"events", "timestamp", "properties", "metadata"}, string(name)):
		s.wrong(string(name), "is no attribute of a CloudEvent; what was used is in data")
	case slices.Contains(taken, string(name)):
		s.wrong(string(name), "is given twice")
	case len(name) == 0 || len(name) > maxExtensions:
		s.wrong(quoted(name), "is no attribute of a CloudEvent: those have 1 to 20 characters")
	case len(taken) == maxExtensions:
		s.wrong(string(name), "is one of more than 20 extension attributes")
	}
	taken = append(taken, string(name))
	switch path := taken[len(taken)-1]; s.next() {
	case '"':
		s.str()
	case 't', 'f':
		s.boolean(path)
	case 'n':
		s.literal("null")
	case '{', '[':
		s.unexpected(path, "a string, a boolean or an integer")
	default:
		s.integer(path)
	}
	return taken
}
