package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

// checkoutView is what the page of a payment session shows.
type checkoutView struct {
	query.PaymentSession
	Title        string
	Form         string // token
	ParentOrigin string // who is told of the outcome, if the page is framed
	Countdown    bool
	Problems     []problem // with what was sent
	Sandbox      bool
	Return       string // where to go on, once it is over
	Instead      string // of what is to be paid now, where that has changed; "" for nothing
}

// checkout shows a payment session. Once it is over, a page that is not framed sends its visitor on to where the session says.
func (p *Pages) checkout(w http.ResponseWriter, r *http.Request) error {
	s, err := p.session(r)
	if err != nil {
		return err
	}
	if to := returnTo(&s); to != "" && r.Header.Get("Sec-Fetch-Dest") != "iframe" {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	return p.showCheckout(w, r, &s)
}

// session returns the payment session whose address a request has.
func (p *Pages) session(r *http.Request) (s query.PaymentSession, err error) {
	id, err := parse[events.SessionNoun](r, "id")
	if err != nil || !p.opts.Links.OpensCheckout(id, r.PathValue("token")) {
		return s, errNothing
	}
	return p.opts.Queries.PaymentSession(r.Context(), reader, query.PaymentSessionArgs{Session: id})
}

// returnTo returns where a session that is over sends its payer, "" if it is not over or does not say.
func returnTo(s *query.PaymentSession) string {
	to := s.OnFailure
	switch s.Status {
	case events.SessionPending, events.SessionProcessing:
		return ""
	case events.SessionCompleted:
		to = s.OnSuccess
	case events.SessionFailed, events.SessionExpired, events.SessionCancelled:
	}
	if to == nil {
		return ""
	}
	return *to
}

func (p *Pages) showCheckout(w http.ResponseWriter, r *http.Request, s *query.PaymentSession, problems ...problem) error {
	view := checkoutView{
		PaymentSession: *s, Title: "Pay " + s.MerchantName, Form: p.formToken(r.URL.Path), Problems: problems,
		Countdown: s.Clock == (events.TestClockID{}) && !s.ExpiresAt.IsZero(), Return: returnTo(s),
	}
	if err := p.instead(r.Context(), &view); err != nil {
		return err
	}
	if s.Mode == events.SetupMode {
		view.Title = "Add a payment method for " + s.MerchantName
	}
	var frames []string
	for _, to := range []*string{s.OnSuccess, s.OnFailure} {
		if to == nil {
			continue
		}
		if origin := originOf(*to); origin != "" {
			frames, view.ParentOrigin = append(frames, origin), origin
		}
	}
	policy(w, frames, frames)
	status := http.StatusOK
	if len(problems) > 0 {
		status = http.StatusUnprocessableEntity
	}
	if s.Status == events.SessionProcessing {
		w.Header().Set("Refresh", "3") // where there is no script to do it
	}
	return p.show(w, status, "checkout.html", view)
}

// instead finds where to pay what is left of an invoice, of which less is to be paid than when its session was opened.
func (p *Pages) instead(ctx context.Context, v *checkoutView) error {
	if v.Status != events.SessionCancelled || v.Code != commands.AmountChanged {
		return nil
	}
	id, err := events.ParseID[events.InvoiceNoun](v.EntityID)
	if err != nil {
		return err
	}
	inv, err := p.opts.Queries.Invoice(ctx, reader, query.InvoiceArgs{Invoice: id})
	v.Instead = inv.PaymentURL
	return err
}

// payCheckout pays a payment session with the card in the form, confirms a charge, or cancels.
func (p *Pages) payCheckout(w http.ResponseWriter, r *http.Request) error {
	s, err := p.session(r)
	if err != nil {
		return err
	}
	if err := p.form(r); err != nil {
		return err
	}
	name, args := "PaySession", map[string]any{"paymentSessionId": s.ID}
	switch r.PostForm.Get("do") {
	case "cancel":
		name = "CancelSession"
	case "confirm":
		args["confirm"] = true
	default:
		card, problems := cardIn(r)
		if len(problems) > 0 {
			return p.showCheckout(w, r, &s, problems...)
		}
		args["card"] = card
	}
	answer, err := p.command(r.Context(), s.Merchant, name, args)
	if refusal, ok := errors.AsType[*commands.Rejection](err); ok && refusal.Code == commands.Invalid {
		return p.showCheckout(w, r, &s, problem{"number", "This card cannot be used: check its number and when it expires."})
	} else if err != nil && !ok {
		return err
	}
	p.settled(r.Context(), s.ID, answer.Sequence)
	http.Redirect(w, r, r.URL.Path, http.StatusSeeOther) // what was refused shows in the session
	return nil
}

// cardIn reads the card in a form, and says what is wrong with it.
func cardIn(r *http.Request) (card map[string]any, problems []problem) {
	number := strings.Map(func(c rune) rune {
		if c == ' ' || c == '-' {
			return -1
		}
		return c
	}, r.PostForm.Get("number"))
	if len(number) < 12 || len(number) > 19 || strings.Trim(number, "0123456789") != "" {
		problems = append(problems, problem{"number", "The card number has 12 to 19 digits."})
	}
	month, err := strconv.Atoi(strings.TrimSpace(r.PostForm.Get("month")))
	if err != nil || month < 1 || month > 12 {
		problems = append(problems, problem{"month", "The month of expiry is a number from 1 to 12."})
	}
	year, err := strconv.Atoi(strings.TrimSpace(r.PostForm.Get("year")))
	if err == nil && year >= 0 && year < 100 {
		year += 2000
	}
	if err != nil || year < 2000 || year > 2199 {
		problems = append(problems, problem{"year", "The year of expiry is a number such as 2030."})
	}
	card = map[string]any{"number": number, "expMonth": month, "expYear": year}
	if cvc := strings.TrimSpace(r.PostForm.Get("cvc")); cvc != "" {
		card["cvc"] = cvc
		if len(cvc) > 4 || strings.Trim(cvc, "0123456789") != "" {
			problems = append(problems, problem{"cvc", "The security code has 3 or 4 digits."})
		}
	}
	return card, problems
}

// receipt is what a page reads of a command's answer.
type receipt struct {
	Status   commands.ReceiptStatus `json:"status"`
	Sequence events.Seq             `json:"sequence"`
	ID       string                 `json:"id"`
	Code     commands.Code          `json:"code"`
	Message  string                 `json:"message"`
}

// command carries out a command for a visitor, in the name of a merchant. A refusal is a [*commands.Rejection].
func (p *Pages) command(ctx context.Context, merchant events.OrganizationID, name string, args any) (receipt, error) {
	return p.commandAs(ctx, wire.Who{Role: events.OperatorKey}, merchant, name, args)
}

// commandAs is command for a visitor who has signed in: the rules ask whether that user may do it.
func (p *Pages) commandAs(ctx context.Context, who wire.Who, merchant events.OrganizationID, name string, args any) (rec receipt, err error) {
	body, err := json.Marshal(args)
	if err != nil {
		return rec, fmt.Errorf("encoding %s: %w", name, err)
	}
	answer, err := p.opts.Commands.Command(ctx, who, merchant, name, body)
	if err != nil {
		return rec, err
	}
	if err := json.Unmarshal(answer, &rec); err != nil {
		return rec, fmt.Errorf("reading the receipt of %s: %w", name, err)
	}
	if rec.Status == commands.Rejected {
		return rec, &commands.Rejection{Code: rec.Code, Message: rec.Message}
	}
	return rec, nil
}

// settled waits a little for the payment provider's answer, so that most visitors see the outcome at once.
func (p *Pages) settled(ctx context.Context, id events.SessionID, from events.Seq) {
	const most, every = 3 * time.Second, 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	again := time.NewTicker(every)
	defer again.Stop()
	args := query.PaymentSessionArgs{Session: id}
	args.AtLeast = from
	for {
		s, err := p.opts.Queries.PaymentSession(ctx, reader, args)
		if err != nil || s.Status != events.SessionProcessing {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}
