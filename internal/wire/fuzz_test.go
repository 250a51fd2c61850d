package wire

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tallystick/commands"
	"tallystick/events"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// everybody is a directory in which every customer is the same consumer's.
type everybody struct{ *fakeDirectory }

func (everybody) ConsumerOf(context.Context, events.CustomerID) (events.OrganizationID, bool, error) {
	return consumer, true, nil
}

// FuzzUsage holds the scanner to a general decoder of JSON: it accepts and refuses the same bodies, and the same entries of
// batches, and finds the same values in them.
func FuzzUsage(f *testing.F) {
	f.Add(fill(usage))
	f.Add(fill(`[` + usage + `,7,{},` + usage + `]`))
	f.Add(fill(`{"events":[` + usage + `],"merchantId":"$merchant"}`))
	f.Add(fill(`{"specversion":"1.0","id":"1","source":"k","type":"usage.reported","subject":"$customer","time":"2024-01-15T10:30:00.5+01:00","x":1,
		"data":{"properties":[{"billableMetricId":"$A","quantity":374}],"metadata":{"b\ud83d\ude00":"\u00e9é"}}}`))
	f.Add(fill(`{"customer\u0049d":"$customer","idempotencyKey":"\"\\\/\b\f\n\r\tä","timestamp":"2024-02-29T23:59:59.123456789-23:59","properties":[{"billableMetricId":"$A","quantity":9223372036854775807}]}`))
	f.Add(fill(`[{"specversion":"1.0","id":"1","source":"k","type":"llm.call","subject":"$customer","time":"2024-01-15T10:30:00.5+01:00","x":1,"namespace":"eu",
		"data":{"a":{"b":[1,{"c":null}],"n":-1.5e3},"t":"\u00e9","f":false,"z":null}}]`))
	f.Add(`{"specversion":"1.0","id":"1","source":"k","type":"call","externalsubject":"c-1","externalid":"a_-7","data":{"a":{"b":1},"a.b":2}}`)
	f.Add(`[[[[[]]]],{"a":{"b":[true,false,null,1e5,-0.5]}}]`)
	for _, s := range []string{
		`{"customerId":"\ud800","idempotencyKey":01}`, `{"customerId" : "x" , "\u006" : 1}`, `{"a":"\x"}`, `{"a":"\ud83d\ude0"}`, `{"a":"\ud83dx"}`, `{"a":"b\`,
		`{"a":"b\n`, `{"a`, "{\"a\":\"\\n\t\"}", "{\"a\":\"\\n\xff\"}", `{"a":tru}`, `{"a":-}`, `{"a":1.}`, `{"a":1e}`, `{"a":1e+5,}`, `[1,]`, `[1 2]`, `{1:2}`, `{"a" 1}`, "\x00", "[\x01]",
		`{"events":[],"events":[]}`, `{"events":[{}],"merchantId":7}`, `{"specversion":"1.0","X":1}`, `{"id":"1","x":{}}`, `{"id":"1","x":[]}`, `{"id":"1","":1}`, `{"id":"1","events":"x"}`,
	} {
		f.Add(s)
	}
	d, _, dir := newTestDecoder()
	d.opts.Directory = everybody{dir}
	f.Fuzz(func(t *testing.T, body string) {
		w, err := d.Command(context.Background(), "ReportUsage", merchant, owner, []byte(body))
		want, ok := oracle(body)
		if depth(body) > maxDepth/2 {
			return // refused by us alone
		}
		if (err == nil) != ok {
			t.Fatalf("accepted: %v (%v), want %v", err == nil, err, ok)
		}
		if err != nil {
			return
		}
		defer w.Release()
		got := make([]string, w.Len())
		at := 0
		for i := range got {
			if slices.ContainsFunc(w.Refused, func(r Refused) bool { return r.At == i }) {
				continue
			}
			r := w.Requests[at]
			at++
			if m, ok := r.Command.(*commands.IngestEvent); ok {
				got[i] = fmt.Sprintf("%s %q %q %d %q %s", m.Customer, r.Key, m.Type, m.HappenedAt, m.Data, m.External)
				continue
			}
			u := r.Command.(*commands.ReportUsage)
			got[i] = fmt.Sprintf("%s %q %d %v %s", u.Customer, r.Key, u.HappenedAt, u.Properties, u.Metadata.Box)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got\n%q, want\n%q", got, want)
		}
	})
}

func depth(body string) (most int) {
	n := 0
	for _, c := range body {
		switch c {
		case '{', '[':
			n++
		case '}', ']':
			n--
		}
		most = max(most, n)
	}
	return most
}

// oracle reads a body with a general decoder. An entry that is refused is "".
func oracle(body string) (entries []string, ok bool) {
	var v jsontext.Value
	if json.Unmarshal([]byte(body), &v, jsontext.AllowDuplicateNames(true)) != nil {
		return nil, false
	}
	var list []jsontext.Value
	switch v.Kind() {
	case '[':
		if json.Unmarshal(v, &list, jsontext.AllowDuplicateNames(true)) != nil {
			return nil, false
		}
	case '{':
		if !strings.Contains(body, "events") { // no name of it, unless with escapes: those are not tried
			one := oracleEntry(v)
			return []string{one}, one != ""
		}
		var m map[string]jsontext.Value
		if json.Unmarshal(v, &m, jsontext.AllowDuplicateNames(true)) != nil || m["events"] == nil {
			one := oracleEntry(v)
			return []string{one}, one != ""
		}
		var wrapper struct {
			Events   jsontext.Value `json:"events"`
			Merchant *string        `json:"merchantId"`
		}
		if json.Unmarshal(v, &wrapper, json.RejectUnknownMembers(true), jsontext.AllowDuplicateNames(true)) != nil || !namedOnce(v) ||
			wrapper.Events.Kind() != '[' || m["merchantId"] != nil && (wrapper.Merchant == nil || !isMerchant(*wrapper.Merchant)) {
			return nil, false
		}
		if json.Unmarshal(wrapper.Events, &list, jsontext.AllowDuplicateNames(true)) != nil {
			return nil, false
		}
	default:
		return nil, false
	}
	for _, e := range list {
		entries = append(entries, oracleEntry(e))
	}
	return entries, len(list) >= 1 && len(list) <= maxEntries
}

// namedOnce reports whether an object has no field twice, whatever is inside of them.
func namedOnce(v jsontext.Value) bool {
	dec := jsontext.NewDecoder(strings.NewReader(string(v)), jsontext.AllowDuplicateNames(true))
	seen := map[string]bool{}
	if _, err := dec.ReadToken(); err != nil {
		return false
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil || seen[name.String()] {
			return false
		}
		seen[name.String()] = true
		if dec.SkipValue() != nil {
			return false
		}
	}
	return true
}

func oracleEntry(v jsontext.Value) string {
	var m map[string]jsontext.Value
	if v.Kind() != '{' || json.Unmarshal(v, &m) != nil { // refuses duplicates at every level
		return ""
	}
	for _, name := range []string{"specversion", "id", "source", "type", "subject", "time", "data", "datacontenttype", "dataschema", "data_base64"} {
		if m[name] != nil {
			return oracleCloud(m)
		}
	}
	ok := true
	customer := oracleID(m, "customerId", &ok)
	key := oracleText(m, "idempotencyKey", &ok)
	at := oracleTime(m, "timestamp", &ok)
	props, meta := oracleData(m, &ok)
	for name := range m {
		ok = ok && slices.Contains([]string{"customerId", "merchantId", "idempotencyKey", "timestamp", "properties", "metadata"}, name)
	}
	if !ok || key == "" || len(key) > maxKey {
		return ""
	}
	return fmt.Sprintf("%s %q %d %v %s", customer, key, at, props, meta)
}

func oracleCloud(m map[string]jsontext.Value) string {
	ok := true
	if kind := oracleText(m, "type", &ok); ok && kind != "usage.reported" {
		return oracleMeter(m, kind)
	}
	ok = true
	must := func(name, want string) { ok = ok && oracleText(m, name, &ok) == want }
	must("specversion", "1.0")
	must("type", "usage.reported")
	if m["datacontenttype"] != nil {
		must("datacontenttype", "application/json")
	}
	if m["dataschema"] != nil {
		oracleText(m, "dataschema", &ok)
	}
	id, source := oracleText(m, "id", &ok), oracleText(m, "source", &ok)
	customer, at := oracleID(m, "subject", &ok), oracleTime(m, "time", &ok)
	var data map[string]jsontext.Value
	if m["data"].Kind() != '{' || json.Unmarshal(m["data"], &data) != nil {
		return ""
	}
	props, meta := oracleData(data, &ok)
	for name := range data {
		ok = ok && slices.Contains([]string{"merchantId", "properties", "metadata"}, name)
	}
	for _, known := range []string{"type", "subject", "time", "data"} {
		delete(m, known)
	}
	key := source + "/" + id
	if ok = ok && oracleExtensions(m); !ok || id == "" || source == "" || len(key) > maxKey {
		return ""
	}
	return fmt.Sprintf("%s %q %d %v %s", customer, key, at, props, meta)
}

// oracleExtensions reports whether what is left of a CloudEvent's attributes may be there.
func oracleExtensions(m map[string]jsontext.Value) bool {
	ok, extensions := true, 0
	for name, v := range m {
		if slices.Contains([]string{"specversion", "id", "source", "datacontenttype", "dataschema"}, name) {
			continue
		}
		extensions++
		ok = ok && !slices.Contains([]string{"events", "timestamp", "properties", "metadata"}, name)
		ok = ok && name != "" && len(name) <= 20 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
		switch v.Kind() {
		case '{', '[':
			ok = false
		case '0':
			ok = ok && json.Unmarshal(v, new(int64)) == nil
		}
	}
	return ok && extensions <= maxExtensions
}

func oracleMeter(m map[string]jsontext.Value, kind string) string {
	ok, external, at := oracleText(m, "specversion", new(true)) == "1.0", "", events.Time(0)
	customer := events.CustomerID{}.String()
	text := func(name string, need bool) (s string) {
		if m[name] != nil || need {
			s = oracleText(m, name, &ok)
		}
		ok = ok && utf8.RuneCountInString(s) <= 255
		return s
	}
	id, source := oracleText(m, "id", &ok), text("source", true)
	for name, want := range map[string]string{"datacontenttype": "application/json"} {
		ok = ok && (m[name] == nil || oracleText(m, name, &ok) == want)
	}
	if m["dataschema"] != nil {
		oracleText(m, "dataschema", &ok)
	}
	text("namespace", false)
	if external = text("externalsubject", false); m["subject"] != nil {
		customer = oracleID(m, "subject", &ok)
	}
	ok = ok && (m["subject"] == nil) != (external == "") && regexp.MustCompile(`^[a-zA-Z0-9_-]*$`).MatchString(text("externalid", false))
	if m["time"] != nil {
		at = oracleTime(m, "time", &ok)
	}
	values := oracleValues(nil, "$", m["data"])
	ok = ok && m["data"].Kind() == '{' && len(m["data"]) <= mostEventBytes && len(values) <= mostEventValues
	slices.SortFunc(values, func(a, b commands.EventValue) int { return cmp.Compare(a.Path, b.Path) })
	for i := 1; i < len(values); i++ {
		ok = ok && values[i].Path != values[i-1].Path
	}
	for _, known := range []string{"type", "subject", "time", "data", "namespace", "externalsubject", "externalid"} {
		delete(m, known)
	}
	key := source + "/" + id
	if ok = ok && oracleExtensions(m); !ok || kind == "" || utf8.RuneCountInString(kind) > 255 || id == "" || source == "" || len(key) > maxKey {
		return ""
	}
	if external == "c-1" {
		customer = fill("$customer")
	}
	return fmt.Sprintf("%s %q %q %d %q %s", customer, key, kind, at, values, external)
}

func oracleValues(all []commands.EventValue, path string, v jsontext.Value) []commands.EventValue {
	switch v.Kind() {
	case '{':
		var members map[string]jsontext.Value
		if json.Unmarshal(v, &members) == nil {
			for name, member := range members {
				all = oracleValues(all, path+"."+name, member)
			}
		}
		return all
	case '"':
		var s string
		if json.Unmarshal(v, &s) == nil {
			return append(all, commands.EventValue{Path: path, Text: s})
		}
	case 'n':
		return all
	}
	return append(all, commands.EventValue{Path: path, Text: string(v)})
}

func isMerchant(s string) bool {
	id, err := events.ParseID[events.OrganizationNoun](s)
	return err == nil && id == merchant
}

func oracleText(m map[string]jsontext.Value, name string, ok *bool) (s string) {
	if m[name].Kind() != '"' || json.Unmarshal(m[name], &s) != nil {
		*ok = false
	}
	return s
}

func oracleID(m map[string]jsontext.Value, name string, ok *bool) string {
	id, err := events.ParseID[events.CustomerNoun](oracleText(m, name, ok))
	if err != nil || id.IsZero() {
		*ok = false
	}
	return id.String()
}

func oracleTime(m map[string]jsontext.Value, name string, ok *bool) events.Time {
	t, fits := stdlibTime(oracleText(m, name, ok))
	*ok = *ok && fits
	return t
}

// rfc3339 is the form of a time; the standard library takes more.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// stdlibTime is parseTime by the standard library.
func stdlibTime(s string) (events.Time, bool) {
	var p time.Time
	if !rfc3339.MatchString(s) || p.UnmarshalText([]byte(s)) != nil {
		return 0, false
	}
	t, ok := events.TimeOf(p)
	return t, ok && t != 0
}

func oracleData(m map[string]jsontext.Value, ok *bool) (props []commands.UsageProperty, meta string) {
	if m["merchantId"] != nil && !isMerchant(oracleText(m, "merchantId", ok)) {
		*ok = false
	}
	var list []map[string]jsontext.Value
	if m["properties"].Kind() != '[' || json.Unmarshal(m["properties"], &list) != nil || len(list) == 0 || len(list) > events.MaxUsageLines {
		*ok = false
	}
	for _, p := range list {
		var q int64
		metric, err := events.ParseID[events.MetricNoun](oracleText(p, "billableMetricId", ok))
		if err != nil || metric.IsZero() || len(p) != 2 || p["quantity"].Kind() != '0' || json.Unmarshal(p["quantity"], &q) != nil || q < 1 {
			*ok = false
		}
		props = append(props, commands.UsageProperty{Metric: metric, Quantity: q})
	}
	if m["metadata"] == nil {
		return props, ""
	}
	var md map[string]jsontext.Value
	if m["metadata"].Kind() != '{' || json.Unmarshal(m["metadata"], &md) != nil || len(md) > maxMetadata {
		*ok = false
		return props, ""
	}
	var pairs []pair
	for k := range md {
		v := oracleText(md, k, ok)
		*ok = *ok && len(k) <= maxMetadataKey && len(v) <= maxMetadataValue
		pairs = append(pairs, pair{k, v})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.key, b.key) })
	if len(pairs) == 0 {
		return props, ""
	}
	plain := toJSON(mapOf(pairs))
	*ok = *ok && len(plain) <= maxMetadataBytes
	return props, PurposeMetadata + " " + string(plain)
}

// FuzzCommand holds what is read of a command other than usage to a general decoder.
func FuzzCommand(f *testing.F) {
	f.Add(`{"name":"n","description":"d","metadata":{"a":"1"},"idempotencyKey":"k"}`)
	f.Add(fill(`{"merchantId":"$merchant","description":"\u0064","name":"n"}`))
	f.Add(`{"name":"n","description":"d","name":"n"}`)
	f.Add(`{"name":"n","description":"d","metadata":{"a":{}}} `)
	f.Add(` {"name" : null}`)
	d, _, _ := newTestDecoder()
	f.Fuzz(func(t *testing.T, body string) {
		w, err := d.Command(context.Background(), "CreateProduct", merchant, owner, []byte(body))
		if depth(body) > maxDepth/2 {
			return
		}
		want, key, ok := oracleProduct(body)
		if (err == nil) != ok {
			t.Fatalf("accepted: %v (%v), want %v", err == nil, err, ok)
		}
		if err != nil {
			return
		}
		got := w.Requests[0]
		if c := got.Command.(commands.CreateProduct); got.Key != key || c.Name != want.Name || c.Description != want.Description || !maps.Equal(c.Metadata, want.Metadata) {
			t.Fatalf("got %+v, want %+v with key %q", got, want, key)
		}
		w.Release()
	})
}

func oracleProduct(body string) (c commands.CreateProduct, key string, ok bool) {
	var m map[string]jsontext.Value
	if json.Unmarshal([]byte(body), &m) != nil || m == nil {
		return c, "", false
	}
	ok = true
	c.Name, c.Description = oracleText(m, "name", &ok), oracleText(m, "description", &ok)
	ok = ok && c.Name != "" && c.Description != "" && utf8.RuneCountInString(c.Name) <= 255 && utf8.RuneCountInString(c.Description) <= 4096
	if m["idempotencyKey"] != nil {
		key = oracleText(m, "idempotencyKey", &ok)
		ok = ok && key != "" && len(key) <= maxKey
	}
	if m["merchantId"] != nil {
		ok = ok && isMerchant(oracleText(m, "merchantId", &ok))
	}
	if m["metadata"] != nil {
		var md map[string]jsontext.Value
		ok = ok && m["metadata"].Kind() == '{' && json.Unmarshal(m["metadata"], &md) == nil && len(md) <= maxMetadata
		c.Metadata = map[string]string{}
		for k := range md {
			c.Metadata[k] = oracleText(md, k, &ok)
			ok = ok && len(k) <= maxMetadataKey && len(c.Metadata[k]) <= maxMetadataValue
		}
	}
	for name := range m {
		ok = ok && slices.Contains([]string{"name", "description", "metadata", "merchantId", "idempotencyKey"}, name)
	}
	return c, key, ok
}

// FuzzScalars holds the readers of identities and times to the slow ones.
func FuzzScalars(f *testing.F) {
	for _, s := range []string{
		"01JD3W8X5KQ7M2N4P6R8T0V2W4", "81JD3W8X5KQ7M2N4P6R8T0V2W4", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01jd3w8x5kq7m2n4p6r8t0v2wi",
		"2024-01-15T10:30:00Z", "2024-02-30T10:30:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00.000000001+14:00", "1677-09-21T00:12:43.145224192Z",
		"1677-09-21T00:12:43.145224191Z", "2262-04-11T23:47:16.854775807Z", "2262-04-11T23:47:16.854775808Z", "1970-01-01T00:00:00Z",
		"2024-01-15T10:30:60Z", "2024-01-15T24:00:00Z", "2024-01-15t10:30:00z", "2024-01-15T10:30:00.1234567891Z", "2024-01-15T10:30:00,5Z",
		"1969-12-31T23:59:59.999999999Z", "2024-01-15T10:30:00+24:00", "2024-01-15T10:30:00-00:00", "2024-01-15T10:30:00.Z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var id [16]byte
		ok := parseULID(&id, []byte(s))
		want, err := events.ParseID[events.CustomerNoun]("cus_" + s)
		if ok != (err == nil) || ok && id != want {
			t.Errorf("identity %q: %x, %v; want %x, %v", s, id, ok, want, err)
		}
		at, ok := parseTime([]byte(s))
		wantAt, wantOK := stdlibTime(s)
		if ok != wantOK || ok && at != wantAt {
			t.Errorf("time %q: %d, %v; want %d, %v", s, at, ok, wantAt, wantOK)
		}
	})
}

// TestTimes tries every day of the calendar.
func TestTimes(t *testing.T) {
	for day := time.Date(1678, 1, 1, 1, 2, 3, 4, time.UTC); day.Year() < 2262; day = day.AddDate(0, 0, 1) {
		text := day.Format(time.RFC3339Nano)
		if got, ok := parseTime([]byte(text)); !ok || got.Std() != day {
			t.Fatalf("%s is read as %s, %v", text, got, ok)
		}
	}
	for year := 1600; year < 2400; year++ {
		for month := 1; month <= 12; month++ {
			if want := time.Date(year, time.Month(month+1), 0, 0, 0, 0, 0, time.UTC).Day(); daysIn(year, month) != want {
				t.Fatalf("%d-%d has %d days, not %d", year, month, want, daysIn(year, month))
			}
		}
	}
}
