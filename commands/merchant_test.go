package commands

import (
	"strings"
	"testing"

	"tallystick/events"
)

// TestMerchant holds the rules of merchants and keys: most of them say who may do what.
func TestMerchant(t *testing.T) {
	profile := events.Profile{Name: "Acme"}
	long := strings.Repeat("n", 256)
	key := func(role events.KeyRole) step {
		return just(CreateKey{Role: role, Name: "key", Secret: SecretHash("sk_test_1")})
	}
	named := func(name string, s step) step {
		return func(w *world) *Request {
			w.named(name, 0)
			return s(w)
		}
	}
	revoke := func(name string) step {
		return func(w *world) *Request { return just(RevokeKey{Key: id[events.KeyNoun](w, name)})(w) }
	}
	rival := merchant("rival", seller)
	nobody := func(w *world) *Request { w.merchant = events.OrganizationID{}; return nil }
	checkRules(t, shop()[:1], []rule{
		{name: "a merchant comes with a wallet", when: byOperator(just(CreateMerchant{Profile: profile, Settings: seller, Currency: eur}))},
		{name: "a merchant made under a key is named after it", when: under("k", byOperator(just(CreateMerchant{Profile: profile, Currency: eur})))},
		{name: "a merchant changes its profile", when: just(UpdateMerchant{Profile: profile, Settings: seller})},
		{name: "an operator changes its settings", when: byOperator(just(UpdateMerchant{Profile: profile, Settings: events.Settings{FeeBasisPoints: 10_000}}))},
		{name: "a merchant makes a key of its own", when: key(events.MerchantKey)},
		{name: "an operator makes a merchant's key", when: byOperator(key(events.MerchantKey))},
		{name: "an operator makes an auditor's key, which is no merchant's", when: byOperator(key(events.AuditorKey))},
		{name: "a merchant revokes its key", given: []step{named("key", key(events.MerchantKey))}, when: revoke("key")},
		{name: "an operator revokes any key", given: []step{named("key", key(events.MerchantKey)), rival}, when: byOperator(revoke("key"))},

		{name: "a merchant makes no merchants", when: just(CreateMerchant{Profile: profile, Currency: eur}), refused: Forbidden},
		{name: "a merchant without a name", when: byOperator(just(CreateMerchant{Currency: eur})), refused: Invalid},
		{name: "a merchant with too long a name", when: byOperator(just(CreateMerchant{Profile: events.Profile{Name: long}, Currency: eur})), refused: Invalid},
		{name: "a merchant whose name is no text", when: byOperator(just(CreateMerchant{Profile: events.Profile{Name: "\xff"}, Currency: eur})), refused: Invalid},
		{name: "a merchant in a land without a code", when: byOperator(just(CreateMerchant{
			Profile: events.Profile{Name: "Acme", Address: events.Address{Country: "NLD"}}, Currency: eur,
		})), refused: Invalid},
		{name: "a merchant without a currency", when: byOperator(just(CreateMerchant{Profile: profile})), refused: Invalid},
		{name: "a merchant with a currency that is none", when: byOperator(just(CreateMerchant{Profile: profile, Currency: events.Currency{'u', 's', 'd'}})), refused: Invalid},
		{name: "a fee above all", when: byOperator(just(CreateMerchant{Profile: profile, Settings: events.Settings{FeeBasisPoints: 10_001}, Currency: eur})), refused: Invalid},
		{name: "a merchant changes no settings", when: just(UpdateMerchant{Profile: profile}), refused: Forbidden},
		{name: "updating no merchant", given: []step{nobody}, when: just(UpdateMerchant{Profile: profile}), refused: Invalid},
		{name: "updating to a fee above all", when: byOperator(just(UpdateMerchant{Profile: profile, Settings: events.Settings{FeeBasisPoints: 10_001}})), refused: Invalid},
		{name: "a key of no merchant", given: []step{nobody}, when: key(events.MerchantKey), refused: Invalid},
		{name: "a merchant makes no operator's key", when: key(events.OperatorKey), refused: Forbidden},
		{name: "a merchant makes no auditor's key", when: key(events.AuditorKey), refused: Forbidden},
		{name: "a key of an unknown role", when: byOperator(key("root")), refused: Invalid},
		{name: "a key with too long a name", when: just(CreateKey{Role: events.MerchantKey, Name: long}), refused: Invalid},
		{name: "revoking a key that is not there", when: just(RevokeKey{Key: events.KeyID{1}}), refused: NotFound},
		{name: "revoking another merchant's key", given: []step{named("key", key(events.MerchantKey)), rival}, when: revoke("key"), refused: NotFound},
		{name: "revoking an operator's key, as a merchant", given: []step{named("key", byOperator(key(events.OperatorKey)))}, when: revoke("key"), refused: NotFound},
		{name: "revoking a key twice", given: []step{named("key", key(events.MerchantKey)), revoke("key")}, when: revoke("key"), refused: Conflict},
	})
}
