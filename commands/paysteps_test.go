package commands

import (
	"tallystick/events"
	"tallystick/projections"
)

// named remembers what the next command makes for a payment: its session and its charge.
func (w *world) namedPayment(name string) {
	w.named(name, 0)
	w.named(name+"-session", 3)
	w.named(name+"-charge", 4)
}

// ask asks for a one-off payment of a customer, or of anybody where it is "".
func ask(name, customer, amount string) step {
	return func(w *world) *Request {
		w.namedPayment(name)
		cmd := CreatePayment{Amount: nanosOf(amount), Currency: usd, OnSuccess: "https://shop.example/done"}
		if customer == "" {
			cmd.Anonymous = `{"reference":"order 7"}`
		} else {
			cmd.Customer, cmd.Details = id[events.CustomerNoun](w, customer), sealedFor(orgOf(customer), "details")
		}
		return just(cmd)(w)
	}
}

// topUpBy asks for money for a customer's wallet by a method.
func topUpBy(name, customer, amount, method string) step {
	return func(w *world) *Request {
		w.namedPayment(name)
		return just(TopUp{Wallet: id[events.WalletNoun](w, customer+"-wallet"), Amount: nanosOf(amount), Method: method})(w)
	}
}

// setup asks a customer for a payment method.
func setup(name, customer string) step {
	return func(w *world) *Request {
		w.namedPayment(name)
		return just(SetupPaymentMethod{Customer: id[events.CustomerNoun](w, customer)})(w)
	}
}

// pay pays the session of something with a card.
func pay(name string) step {
	return func(w *world) *Request {
		w.named(name+"-charge", 4)
		return just(PaySession{
			Session: id[events.SessionNoun](w, name+"-session"), Provider: "sandbox", Card: "tok_visa", Details: sealedFor(orgOf("alice"), "card"),
		})(w)
	}
}

// confirm pays the session of something whose payer has done what was asked.
func confirm(name string) step {
	return func(w *world) *Request {
		w.named(name+"-charge", 4)
		return just(PaySession{Session: id[events.SessionNoun](w, name+"-session"), Confirm: true})(w)
	}
}

// charged is what the payment provider says of the latest charge of something.
func charged(name string, status projections.ChargeStatus) step {
	return func(w *world) *Request {
		w.named(name+"-method", 5)
		r := w.request(SettleCharge{Charge: id[events.ChargeNoun](w, name+"-charge"), Status: status, Reference: "ref_1"})
		if status == projections.ChargeFailed {
			cmd := r.Command.(SettleCharge)
			cmd.Code = "card_declined"
			r.Command = cmd
		}
		r.Operator, r.Actor = true, events.Actor{Kind: events.ActorProvider}
		return &r
	}
}

func cancelIt(name string) step {
	return func(w *world) *Request {
		return just(CancelSession{Session: id[events.SessionNoun](w, name+"-session")})(w)
	}
}

// declinedTimes lets charges of something be declined.
func declinedTimes(n int, name string) step {
	return func(w *world) *Request {
		for range n {
			w.do(pay(name), charged(name, projections.ChargeFailed))
		}
		return nil
	}
}
