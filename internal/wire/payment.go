package wire

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/payments"
)

// Cards is the payment provider that new cards are for. A [payments.Provider] is one.
type Cards interface {
	Name() string
	Card(ctx context.Context, c payments.CardNumber) (payments.Card, error)
}

// PaymentDetails is what a merchant says of a one-off payment.
type PaymentDetails struct {
	Reference string            `json:"reference,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	Lines     []PaymentLine     `json:"lineItems,omitempty"`
}

// PaymentLine is a part of a one-off payment, as the payer is to see it.
type PaymentLine struct {
	Description string       `json:"description"`
	Amount      events.Nanos `json:"amountNanos"`
	Quantity    int64        `json:"quantity"`
}

// pay reads a command about payments. It reports false for another command.
func (d *Decoder) pay(c *call, name string, f *fields) (_ commands.Command, known bool, _ error) {
	var cmd commands.Command
	var err error
	switch name {
	case "CreatePayment":
		cmd, err = d.createPayment(c, f)
	case "SetupPaymentMethod":
		cmd, err = d.setupPaymentMethod(c, f)
	case "SetupOffSessionMethod":
		cmd, err = setupOffSessionMethod(f)
	case "RemovePaymentMethod":
		cmd = commands.RemovePaymentMethod{
			Customer: id[events.CustomerNoun](f, "customerId", required), Method: id[events.MethodNoun](f, "paymentMethodId", required),
		}
		err = f.finish()
	case "PaySession":
		cmd, err = d.paySession(c, f)
	case "CancelSession":
		cmd = commands.CancelSession{Session: id[events.SessionNoun](f, "paymentSessionId", required)}
		err = f.finish()
	case "TopUp":
		cmd, err = topUp(f)
	default:
		return nil, false, nil
	}
	return cmd, true, err
}

// topUp reads a top-up. The method "stripe" is the one that clients of the API know for a payment session.
func topUp(f *fields) (commands.Command, error) {
	cmd := commands.TopUp{
		Wallet: id[events.WalletNoun](f, "walletId", required), Amount: f.money("amount", required),
		Method: f.text("method", required, 255), Stored: id[events.MethodNoun](f, "paymentMethodId", optional),
		OnSuccess: f.url("successRedirectUrl"), OnFailure: f.url("failureRedirectUrl"),
	}
	if cmd.Method == "stripe" {
		cmd.Method = "session"
	}
	return cmd, f.finish()
}

func (d *Decoder) createPayment(c *call, f *fields) (commands.Command, error) {
	cmd := commands.CreatePayment{
		Amount: f.money("amount", required), Currency: f.currency("currency"), Customer: id[events.CustomerNoun](f, "customerId", optional),
		OnSuccess: f.url("successRedirectUrl"), OnFailure: f.url("failureRedirectUrl"), Save: f.flag("savePaymentMethod"),
	}
	details := PaymentDetails{Reference: f.text("reference", optional, 255), Metadata: f.metadata("metadata")}
	f.objects("lineItems", 100, func(g *fields) {
		line := PaymentLine{Description: g.text("description", required, 1024), Amount: g.money("amount", required), Quantity: g.number("quantity", 1_000_000)}
		line.Quantity = max(line.Quantity, 1)
		details.Lines = append(details.Lines, line)
	})
	if by, ok := f.duration("expiresIn"); ok {
		cmd.Term = by.length()
	}
	if err := f.finish(); err != nil {
		return nil, err
	}
	if details.Reference == "" && len(details.Metadata) == 0 && len(details.Lines) == 0 {
		return cmd, nil
	}
	if cmd.Customer.IsZero() {
		cmd.Anonymous = string(toJSON(details))
		return cmd, nil
	}
	var err error
	cmd.Details, err = d.sealFor(c.ctx, cmd.Customer, PurposePayment, toJSON(details))
	return cmd, err
}

func (d *Decoder) setupPaymentMethod(c *call, f *fields) (commands.Command, error) {
	cmd := commands.SetupPaymentMethod{
		Customer: id[events.CustomerNoun](f, "customerId", required), ExpiresAt: f.time("expiresAt", optional),
		OnSuccess: f.url("successRedirectUrl"), OnFailure: f.url("failureRedirectUrl"),
	}
	metadata := f.metadata("metadata")
	if err := f.finish(); err != nil || len(metadata) == 0 {
		return cmd, err
	}
	var err error
	cmd.Details, err = d.sealFor(c.ctx, cmd.Customer, PurposePayment, toJSON(PaymentDetails{Metadata: metadata}))
	return cmd, err
}

// setupOffSessionMethod reads which consumer is asked for a payment method, and where it goes from the page. Cards are all that is stored.
func setupOffSessionMethod(f *fields) (commands.Command, error) {
	cmd := commands.SetupPaymentMethod{Consumer: id[events.OrganizationNoun](f, "consumerId", required)}
	f.oneOf("paymentMethod", required, "card")
	if cmd.OnSuccess = f.url("returnUrl"); cmd.OnSuccess == "" && f.bad == nil {
		f.wrong("returnUrl", "is required")
	}
	cmd.OnFailure = cmd.OnSuccess
	return cmd, f.finish()
}

// paySession reads a card, of which nothing but the provider's name for it goes on from here, or what stands for one.
func (d *Decoder) paySession(c *call, f *fields) (commands.Command, error) {
	cmd := commands.PaySession{Session: id[events.SessionNoun](f, "paymentSessionId", required), Confirm: f.flag("confirm")}
	number := payments.CardNumber{Token: f.text("token", optional, 64)}
	if g, ok := f.within("card", optional); ok {
		number.Number = g.text("number", required, 32)
		number.ExpMonth, number.ExpYear = int(g.number("expMonth", 12)), int(g.number("expYear", 9999))
		g.text("cvc", optional, 4) // to be given to a provider that asks for it; kept nowhere
		f.close(g)
	}
	given := 0
	for _, there := range []bool{cmd.Confirm, number.Token != "", number.Number != ""} {
		if there {
			given++
		}
	}
	if f.bad == nil && given != 1 {
		f.wrong("card", "or token or confirm is required, one of them")
	}
	if err := f.finish(); err != nil || cmd.Confirm {
		return cmd, err
	}
	if d.opts.Cards == nil {
		return nil, commands.Reject(commands.SandboxOnly, "this ledger has no payment provider")
	}
	card, err := d.opts.Cards.Card(c.ctx, number)
	if errors.Is(err, payments.ErrCard) {
		return nil, invalid("%v", err)
	}
	if err != nil {
		return nil, fmt.Errorf("asking the payment provider for a card: %w", err)
	}
	cmd.Provider, cmd.Card = d.opts.Cards.Name(), card.Token
	consumer, ok, err := d.opts.Directory.SessionConsumer(c.ctx, cmd.Session)
	if err != nil {
		return nil, fmt.Errorf("looking up payment session %s: %w", cmd.Session, err)
	}
	if ok && !consumer.IsZero() {
		cmd.Details, err = d.seal(consumer, PurposeCard, toJSON(card))
	}
	return cmd, err
}

// url returns an absolute URL of http or https, "" where there is none. It names no user, which hides a host from those who read it,
// and its host has no characters that mean something elsewhere.
func (f *fields) url(name string) string {
	v := f.text(name, optional, 2048)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.ContainsAny(u.Host, `!"$&'()*+,;<=>`) {
		f.wrong(name, "must be an absolute URL of http or https, without a user")
		return ""
	}
	return v
}

// objects calls fn with the fields of every object of an array.
func (f *fields) objects(name string, limit int, fn func(*fields)) {
	s := f.take(name, optional)
	if s == nil {
		return
	}
	var raws [][]byte
	if s.open('[', f.path+name, "an array") {
		for first := true; s.more(first, ']'); first = false {
			if len(raws) == limit {
				s.wrong(f.path+name, "has more than "+strconv.Itoa(limit)+" entries")
				break
			}
			s.next()
			start := s.i
			s.skip(2)
			raws = append(raws, s.b[start:s.i])
		}
	}
	if !f.done(s) {
		return
	}
	for i, raw := range raws {
		g := f.d.object(f.path+name+"["+strconv.Itoa(i)+"].", raw)
		if fn(g); f.bad == nil {
			f.close(g)
		}
	}
}

// length returns how long v is, where a month counts 30 days.
func (v duration) length() time.Duration {
	const most = 1 << 20 // days: nothing that is allowed comes near
	days := min(v.months*30+v.days, most)
	return time.Duration(days)*24*time.Hour + time.Duration(min(v.seconds, most*86_400))*time.Second
}
