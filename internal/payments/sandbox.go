package payments

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Sandbox is a provider without money. What becomes of a charge depends on the card alone:
//
//	number               token             outcome
//	4242 4242 4242 4242  tok_visa          paid
//	5555 5555 5555 4444  tok_mastercard    paid
//	4000 0000 0000 0002  tok_declined      declined: card_declined
//	4000 0000 0000 9995  tok_insufficient  declined: insufficient_funds
//	4000 0000 0000 0069  tok_expired       declined: expired_card
//	4000 0025 0000 3155  tok_action        the payer has to act first; paid after that
//	4000 0000 0000 0341  tok_fails_later   paid while the payer is there, declined later: card_declined
//	4000 0000 0000 0077  tok_slow          processing, then paid
//	4000 0000 0000 0259  tok_slow_declined processing, then declined: card_declined
//	4000 0000 0000 0119  tok_lost          paid, but the answer gets lost
//
// It keeps nothing on disk: the same charge has the same outcome in every process. Its zero value is ready.
type Sandbox struct {
	mu    sync.Mutex         // guards the field below
	later map[string]Outcome // by key: outcomes that are to be asked for
}

// sandboxCard is a card of the sandbox.
type sandboxCard struct {
	number, token, brand string
	code                 string // why it is declined
	act, later           bool   // the payer has to act; it is declined once the payer is not there
	slow, lost           bool   // the outcome is to be asked for
}

func sandboxCards() []sandboxCard {
	return []sandboxCard{
		{number: "4242424242424242", token: "tok_visa", brand: "visa"},
		{number: "5555555555554444", token: "tok_mastercard", brand: "mastercard"},
		{number: "4000000000000002", token: "tok_declined", brand: "visa", code: "card_declined"},
		{number: "4000000000009995", token: "tok_insufficient", brand: "visa", code: "insufficient_funds"},
		{number: "4000000000000069", token: "tok_expired", brand: "visa", code: "expired_card"},
		{number: "4000002500003155", token: "tok_action", brand: "visa", act: true},
		{number: "4000000000000341", token: "tok_fails_later", brand: "visa", later: true},
		{number: "4000000000000077", token: "tok_slow", brand: "visa", slow: true},
		{number: "4000000000000259", token: "tok_slow_declined", brand: "visa", slow: true, code: "card_declined"},
		{number: "4000000000000119", token: "tok_lost", brand: "visa", lost: true},
	}
}

// SandboxName is the name of the sandbox's provider.
const SandboxName = "sandbox"

// Name implements [Provider].
func (*Sandbox) Name() string { return SandboxName }

// Card implements [Provider].
func (*Sandbox) Card(_ context.Context, c CardNumber) (Card, error) {
	number := strings.NewReplacer(" ", "", "-", "").Replace(c.Number)
	for _, known := range sandboxCards() {
		if number == known.number && c.Token == "" || c.Number == "" && c.Token == known.token {
			card := Card{Token: known.token, Brand: known.brand, Last4: known.number[12:], ExpMonth: c.ExpMonth, ExpYear: c.ExpYear}
			if c.Token == "" && (c.ExpMonth < 1 || c.ExpMonth > 12 || c.ExpYear < 2000 || c.ExpYear > 2199) {
				return Card{}, fmt.Errorf("%w: it expires in no month that there is", ErrCard)
			}
			return card, nil
		}
	}
	return Card{}, fmt.Errorf("%w: the sandbox has cards of its own only, such as 4242 4242 4242 4242", ErrCard)
}

// errLost is the answer that gets lost.
var errLost = errors.New("sandbox: the answer was lost")

// Charge implements [Provider].
func (s *Sandbox) Charge(_ context.Context, c Charge) (Outcome, error) {
	for _, card := range sandboxCards() {
		if card.token != c.Card {
			continue
		}
		out := card.outcome(c)
		if !card.slow && !card.lost {
			return out, nil
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.later == nil {
			s.later = make(map[string]Outcome)
		}
		s.later[c.Key] = out
		if card.lost {
			return Outcome{}, errLost
		}
		return Outcome{Status: Processing, Reference: out.Reference}, nil
	}
	return Outcome{Status: Declined, Reference: reference(c.Key), Code: "unknown_card"}, nil
}

func (card sandboxCard) outcome(c Charge) Outcome {
	out := Outcome{Status: Succeeded, Reference: reference(c.Key)}
	switch {
	case card.code != "":
		out.Status, out.Code = Declined, card.code
	case card.later && c.OffSession:
		out.Status, out.Code = Declined, "card_declined"
	case card.act && c.Confirms == "":
		out.Status = ActionRequired
	}
	return out
}

func reference(key string) string { return "sandbox_" + key }

// Outcome implements [Provider]. What needs no asking for is not remembered: it is charged again, with the same outcome.
func (s *Sandbox) Outcome(_ context.Context, key string) (Outcome, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, ok := s.later[key]
	delete(s.later, key)
	return out, ok, nil
}
