package commands

import (
	"testing"

	"tallystick/events"
)

// openWallet opens a wallet for a consumer.
func openWallet(name, consumer string, currency events.Currency, initial string) step {
	return func(w *world) *Request {
		w.named(name, virtualWallet)
		return just(CreateWallet{
			Owner: orgOf(consumer), Currency: currency, Label: sealedFor(orgOf(consumer), "label"), Timezone: "Europe/Berlin", Initial: nanosOf(initial),
		})(w)
	}
}

// joinWith makes a subscription that is paid from a wallet of its own: from one that there is, or, without a name, from one that is opened
// with it.
func joinWith(name, customer, plan, wallet string, t terms) step {
	return func(w *world) *Request {
		if wallet == "" {
			w.named(name+"-wallet", virtualWallet)
		}
		return change(join(name, customer, plan, t), func(c *CreateSubscription) {
			c.Virtual = wallet == ""
			if wallet != "" {
				c.Wallet = id[events.WalletNoun](w, wallet)
			}
		})(w)
	}
}

// TestVirtualWallets holds the rules of wallets that are for one subscription alone: who opens them, what they pay, and where what is
// left in them goes.
func TestVirtualWallets(t *testing.T) {
	now := "2025-01-15 10:00"
	bob := []step{customer("bob")}
	with := func(steps ...step) []step { return append([]step{customer("bob")}, steps...) }
	rival := merchant("rival", seller)
	own := with(fund("bob", "50"), joinWith("own", "bob", "pro", "", terms{}), fund("own", "20"))
	named := with(openWallet("extra", "bob", usd, "9"), joinWith("own", "bob", "pro", "extra", terms{}))
	zoe := []step{invite("link", "zoe", ""), accept("link", "zoe")}
	zoes := func(s step) step {
		return change(s, func(c *CreateSubscription) { c.Name = sealedFor(orgOf("zoe-full"), "name") })
	}
	checkRules(t, shop(), []rule{
		{name: "the second wallet in a currency is virtual", given: bob, when: openWallet("extra", "bob", usd, "0")},
		{name: "the first wallet in a currency pays for everything", given: bob, when: openWallet("extra", "bob", eur, "0")},
		{name: "money is in it from the start", given: bob, when: openWallet("extra", "bob", usd, "25")},
		{name: "a full consumer's, that has authorized the merchant", given: zoe, when: openWallet("extra", "zoe-full", usd, "0")},
		{name: "a full consumer's in another currency", given: zoe, when: openWallet("extra", "zoe-full", eur, "0")},
		{name: "it pays for the subscription that is made with it", given: with(openWallet("extra", "bob", usd, "9")), when: joinWith("own", "bob", "pro", "extra", terms{})},
		{name: "it is opened with its subscription", given: bob, when: joinWith("own", "bob", "pro", "", terms{})},
		{
			name: "it and the one beside it are opened with its subscription", given: with(planIn(eur, "euro", "llm", instantSum("tokens", "1"))),
			when: joinWith("own", "bob", "euro", "", terms{}),
		},
		{name: "the wallet that pays for everything may be named", given: bob, when: joinWith("own", "bob", "pro", "bob-wallet", terms{})},
		{name: "usage is paid from it", given: own, when: use("k", "bob", now, q{"tokens", 3})},
		{name: "what is left goes to the one beside it", given: append(own, use("k", "bob", now, q{"tokens", 3})), when: terminateIt("own")},
		{name: "its alert is not raised for that", given: append(own, alertFor("own", "5")), when: terminateIt("own")},
		{name: "nothing is left", given: with(joinWith("own", "bob", "pro", "", terms{})), when: terminateIt("own")},
		{name: "what was paid for one that has ended meanwhile goes to the one beside it", given: with(
			joinWithMinimum("own", "bob", "pro", "200"), pay("own"), terminateIt("own"),
		), when: charged("own", good)},
		{name: "a full consumer's money goes to its own wallet", given: append(zoe,
			openWallet("extra", "zoe-full", usd, "9"), zoes(joinWith("own", "zoe", "pro", "extra", terms{}))), when: terminateIt("own")},

		{name: "usage that it lacks the money for, whatever the other holds", given: own, when: use("k", "bob", now, q{"tokens", 81}), refused: InsufficientFunds},
		{name: "for another subscription", given: append(named, product("db"), plan("basic", "db", instantSum("rows", "1"))), when: joinWith("new", "bob", "basic", "extra", terms{}), refused: Conflict},
		{name: "for another subscription, once the first has ended", given: append(named, terminateIt("own")), when: joinWith("new", "bob", "pro", "extra", terms{}), refused: Conflict},
		{name: "of another customer's", given: append(named, customer("eve")), when: joinWith("new", "eve", "pro", "extra", terms{}), refused: NotFound},
		{name: "in another currency", given: with(openWallet("extra", "bob", eur, "0")), when: joinWith("new", "bob", "pro", "extra", terms{}), refused: Invalid},
		{name: "both named and opened", given: with(openWallet("extra", "bob", usd, "0")), when: change(joinWith("new", "bob", "pro", "extra", terms{}), func(c *CreateSubscription) { c.Virtual = true }), refused: Invalid},
		{name: "of another merchant's consumer", given: with(rival), when: openWallet("extra", "bob", usd, "0"), refused: NotFound},
		{name: "of a full consumer that has not authorized the merchant", given: append(zoe, rival), when: openWallet("extra", "zoe-full", usd, "0"), refused: Forbidden},
		{
			name:  "with a subscription that waits for a full consumer to agree",
			given: append(zoe, byOperator(just(WithdrawAuthorization{Consumer: orgOf("zoe-full")}))), when: zoes(joinWith("new", "zoe", "pro", "", terms{})), refused: Forbidden,
		},
		{name: "of nobody", when: openWallet("extra", "nobody", usd, "0"), refused: NotFound},
		{name: "of the merchant itself", when: func(w *world) *Request { return just(CreateWallet{Owner: w.merchant, Currency: usd})(w) }, refused: Conflict},
		{name: "of an erased consumer", given: with(just(EraseConsumer{Consumer: orgOf("bob")})), when: openWallet("extra", "bob", usd, "0"), refused: NotFound},
		{name: "with less than nothing", given: bob, when: openWallet("extra", "bob", usd, "-1"), refused: Invalid},
		{name: "with more than the limit", given: bob, when: openWallet("extra", "bob", usd, "5000.000000001"), refused: Invalid},
		{name: "topping up one whose subscription has ended", given: append(own, terminateIt("own")), when: fund("own", "1"), refused: Conflict},
		{name: "charging a full consumer's card at will", given: append(zoe, openWallet("extra", "zoe-full", usd, "0")), when: func(w *world) *Request {
			return just(TopUp{Wallet: id[events.WalletNoun](w, "extra"), Amount: nanosOf("5"), Method: "stored"})(w)
		}, refused: Forbidden},
	})
}

// joinWithMinimum makes a subscription with a wallet of its own that is to hold a minimum.
func joinWithMinimum(name, customer, plan, minimum string) step {
	return change(joinPrepaid(name, customer, plan, minimum, terms{}), func(c *CreateSubscription) { c.Virtual = true })
}
