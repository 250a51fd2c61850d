package events

import (
	"fmt"
	"reflect"
	"strings"
)

// structOf returns the type of the struct that e is or points to.
func structOf(e Event) reflect.Type {
	t := reflect.TypeOf(e)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// example returns an event of the type of zero: with every field set, or with those
// alone that must be.
func example(zero Event, full bool) Event {
	f := filler{full: full}
	v := reflect.New(structOf(zero))
	f.fill(v.Elem(), "")
	if reflect.TypeOf(zero).Kind() == reflect.Pointer {
		return v.Interface().(Event)
	}
	return v.Elem().Interface().(Event)
}

// exampleEnvelope returns an envelope likewise.
func exampleEnvelope(full bool) Envelope {
	env := Envelope{
		Seq: 1, Ledger: LedgerID{1, 2}, RecordedAt: 1705314600_000000001, At: 1705314600_000000000,
		Actor: Actor{Kind: ActorOperator}, Command: CommandID{3, 4},
	}
	if full {
		env.Seq, env.Cause = 1<<40+5, 1<<32+7
		env.Merchant = OrganizationID{5, 6}
		env.Actor = Actor{ActorKey, [16]byte{7, 8}}
		env.Content = Digest{9, 10}
	}
	return env
}

// exampleRecord returns the record of an example.
func exampleRecord(zero Event, full bool) (Record, error) {
	env := exampleEnvelope(full)
	if full && scope(zero.Kind()) != noScope {
		env.Key = "order-42/é"
	}
	return NewRecord(env, example(zero, full))
}

// filler sets the fields of a struct, each to another value.
type filler struct {
	full bool
	n    int
}

var exampleTexts = map[reflect.Type]string{
	reflect.TypeFor[Environment]():   string(Sandbox),
	reflect.TypeFor[KeyRole]():       string(MerchantKey),
	reflect.TypeFor[Aggregation]():   string(AggregateSum),
	reflect.TypeFor[Model]():         string(Standard),
	reflect.TypeFor[Term]():          string(Instant),
	reflect.TypeFor[Cadence]():       string(Monthly),
	reflect.TypeFor[TaxBehavior]():   string(Inclusive),
	reflect.TypeFor[Proration]():     string(ProrateDaily),
	reflect.TypeFor[ConsumerKind]():  string(Managed),
	reflect.TypeFor[Reminders]():     string(RemindersOn),
	reflect.TypeFor[SessionMode]():   string(PayMode),
	reflect.TypeFor[SessionStatus](): string(SessionCompleted),
	reflect.TypeFor[TopUpStatus]():   string(TopUpFailed),
	reflect.TypeFor[LineKind]():      string(LineOfFee),
}

func (f *filler) fill(v reflect.Value, name string) {
	f.n++
	switch p := v.Addr().Interface().(type) {
	case *Currency:
		*p = Currency([]byte("USD"))
		return
	case *Sum: // in the full example wider than 64 bits, and of either sign
		*p = SumOf(Nanos(f.n) * NanosPerUnit)
		if f.full {
			*p = Sum{[]int64{2, -3, -1}[f.n%3], uint64(f.n)}
		}
		return
	case *Nanos:
		*p = Nanos(f.n) * 1_000_003
		return
	case *Time:
		*p = Time(1705314600_000000000 + f.n)
		return
	case *[]Posting:
		*p = []Posting{{ConsumerMain, -4250000, WalletID{}}, {Merchant, 4250000, WalletID{}}}
		if f.full {
			(*p)[0].Wallet = WalletID{byte(f.n), 1}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			sf := v.Type().Field(i)
			if _, optional := fieldTag(sf); f.full || !optional {
				f.fill(v.Field(i), strings.ToLower(sf.Name))
			}
		}
	case reflect.Array:
		v.Index(0).SetUint(uint64(f.n)) //nolint:gosec // small
		v.Index(v.Len() - 1).SetUint(0xFF)
	case reflect.Slice:
		n := 1
		if f.full {
			n = 3
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			f.fill(v.Index(i), name)
		}
	case reflect.String:
		text, ok := exampleTexts[v.Type()]
		if !ok {
			text = "a " + name
		}
		v.SetString(text)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"tier": "gold", "a": "", "région": "é"}))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(int64(f.n) * 1000)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(f.n) % 200) //nolint:gosec // small
	default:
		panic(fmt.Sprintf("no example of %v", v.Type()))
	}
}
