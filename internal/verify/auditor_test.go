package verify

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"tallystick/events"
	"tallystick/projections/projtest"
)

func shape() projtest.Shape {
	return projtest.Shape{Seed: 5, Merchants: 2, Customers: 8, Usages: 800, Lines: 2, Periods: 3, FeeBasisPoints: 333, Arrears: true}
}

func TestGoodHistoriesPass(t *testing.T) {
	for _, s := range []projtest.Shape{
		shape(),
		{Seed: 1, Usages: 200, Periods: 4},
		{Seed: 2, Usages: 500, Lines: 5, FeeBasisPoints: 10_000},
		{Seed: 3, Plain: true, Usages: 100},
	} {
		a := newAuditor()
		for rec := range projtest.Each(s) {
			if err := a.check(&rec); err != nil {
				t.Fatalf("%+v: record %d (%s): %v", s, rec.Seq, rec.Event.Kind(), err)
			}
		}
		if a.reported < uint64(s.Usages) { // and some late ones
			t.Errorf("%+v: %d usage events checked", s, a.reported)
		}
	}
}

// TestEveryChangeIsFound changes, one after another, each number and each identity in the events that bill, and expects
// the auditor to object: at that record, or at a later one that no longer follows.
func TestEveryChangeIsFound(t *testing.T) {
	records := projtest.Records(shape())
	tried := 0
	for _, kind := range []events.Kind{
		events.KindUsageReported, events.KindInvoiceLineClosed, events.KindInvoiceIssued, events.KindWalletToppedUp,
		events.KindPlanCreated, events.KindPriceCreated, events.KindFeeCharged, events.KindAlertRaised, events.KindAlertRearmed, events.KindWalletEmptied,
		events.KindInvoiceOpened, events.KindInvoiceClosing, events.KindSubscriptionCreated,
	} {
		i := len(records) - 1
		for records[i].Event.Kind() != kind {
			i--
		}
		for n := 0; ; n++ {
			changed, field := change(records[i].Event, n)
			if field == "" {
				break
			}
			if unchecked(kind, field) {
				continue
			}
			tried++
			rec := records[i]
			rec.Event = changed
			a := newAuditor()
			var err error
			for j := range records {
				r := &records[j]
				if j == i {
					r = &rec
				}
				if err = a.check(r); err != nil {
					break
				}
			}
			if err == nil {
				t.Errorf("%s with another %s passes", kind, field)
			}
		}
	}
	if tried < 40 {
		t.Errorf("only %d changes tried", tried)
	}
}

func TestAWalletBelowZeroIsFound(t *testing.T) {
	a := newAuditor()
	a.wallets[events.WalletID{1}] = events.Sum{}
	if err := a.move(events.WalletID{1}, events.SumOf(-1), events.SumOf(-1)); err == nil || !strings.Contains(err.Error(), "less than nothing") {
		t.Errorf("a wallet below zero: %v", err)
	}
}

// unchecked lists the fields that nothing else in the ledger says.
func unchecked(k events.Kind, field string) bool {
	switch k {
	case events.KindUsageReported:
		return field == ".HappenedAt" || field == ".Lines[1].Quantity" // that metric counts events, whatever their quantity
	case events.KindInvoiceLineClosed:
		return field == ".Line"
	case events.KindInvoiceIssued:
		return field == ".DueAt"
	case events.KindInvoiceOpened:
		return field == ".Invoice" // which nothing is said of any more
	case events.KindSubscriptionCreated:
		return !strings.HasPrefix(field, ".Upfront") && field != ".Subscription" && field != ".Customer" && field != ".Plan" &&
			field != ".Wallet" && field != ".Currency" && field != ".StartedAt" && field != ".Anchor" && field != ".Cadence"
	case events.KindPlanCreated:
		return !strings.HasPrefix(field, ".Prices") && field != ".Plan"
	case events.KindPriceCreated:
		return field == ".DisplayName" || field == ".Cadence" || field == ".Description" || field == ".Feature" || strings.HasPrefix(field, ".Template")
	case events.KindWalletToppedUp:
		return field == ".TopUp" || field == ".Method" || strings.HasPrefix(field, ".Currency")
	}
	return false
}

// change returns a copy of e with its nth scalar changed, and which that is; "" if there are no more.
func change(e events.Event, n int) (events.Event, string) {
	v := reflect.ValueOf(e)
	pointer := v.Kind() == reflect.Pointer
	if pointer {
		v = v.Elem()
	}
	c := reflect.New(v.Type())
	deepCopy(c.Elem(), v)
	field := alter(c.Elem(), "", &n)
	if pointer {
		return c.Interface().(events.Event), field
	}
	return c.Elem().Interface().(events.Event), field
}

func deepCopy(dst, src reflect.Value) {
	dst.Set(src)
	for i := range src.NumField() {
		if f := src.Field(i); f.Kind() == reflect.Slice && f.Len() > 0 {
			s := reflect.MakeSlice(f.Type(), f.Len(), f.Len())
			reflect.Copy(s, f)
			dst.Field(i).Set(s)
		}
	}
}

func alter(v reflect.Value, path string, n *int) string {
	switch x := v.Addr().Interface().(type) {
	case *events.Sealed:
		return ""
	case *events.Sum:
		if *n == 0 {
			*x = x.Add(1)
			*n--
			return path
		}
		*n--
		return ""
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if p := alter(v.Field(i), path+"."+v.Type().Field(i).Name, n); p != "" {
				return p
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if p := alter(v.Index(i), fmt.Sprintf("%s[%d]", path, i), n); p != "" {
				return p
			}
		}
	case reflect.Array, reflect.Int64, reflect.Uint64, reflect.Uint32, reflect.Uint8, reflect.String:
		*n--
		if *n != -1 {
			return ""
		}
		switch v.Kind() {
		case reflect.Array:
			v.Index(0).SetUint(v.Index(0).Uint() ^ 1)
		case reflect.Int64:
			v.SetInt(v.Int() + 1)
		case reflect.String:
			v.SetString(v.String() + "x")
		default:
			v.SetUint(v.Uint() + 1)
		}
		return path
	}
	return ""
}
