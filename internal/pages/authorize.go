package pages

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// authorizeView is what the pages of an authorization session show.
type authorizeView struct {
	query.Authorization
	Title    string
	Form     string // token
	Seller   query.Merchant
	Offer    *query.APIPlan // nil for no plan
	Holds    *events.Sum    // what the wallet holds that will pay; nil where nobody has shown whose it is, or there is none yet
	Mailed   bool
	Problems []problem         // with what was sent
	Sent     map[string]string // what was sent, to be sent again
}

var (
	// errNoMail reports that there is nothing to send mail with.
	errNoMail = errors.New("no mail can be sent")
	// errSignedOut reports that a visitor must sign in first.
	errSignedOut = errors.New("nobody has signed in")
)

// holderTerm is how long the link in a mail is good.
const holderTerm = 30 * time.Minute

// authorize shows who asks, and for what. Whoever wants it is sent a mail first, which shows that the address is theirs.
func (p *Pages) authorize(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openAuthorization(r)
	if err != nil {
		return err
	}
	return p.show(w, http.StatusOK, "authorize.html", v)
}

// openAuthorization returns the session whose address a request has.
func (p *Pages) openAuthorization(r *http.Request) (v authorizeView, err error) {
	id, err := parse[events.AuthorizationNoun](r, "id")
	if err != nil || !p.opts.Links.OpensAuthorize(id, r.PathValue("token")) {
		return v, errNothing
	}
	ctx := r.Context()
	if v.Authorization, err = p.opts.Queries.Authorization(ctx, reader, query.AuthorizationArgs{Authorization: id}); err != nil {
		return v, err
	}
	if v.Seller, err = p.merchant(ctx, v.Merchant); err != nil {
		return v, err
	}
	if !v.Plan.IsZero() {
		plan, err := p.opts.Queries.GetPlan(ctx, reader, query.GetPlanArgs{Plan: v.Plan})
		if err != nil {
			return v, err
		}
		v.Offer = &plan
	}
	v.Title, v.Form = "Subscribe to "+v.Seller.Profile.Name, p.formToken(r.URL.Path)
	return v, nil
}

// mailHolder sends the holder of the session's address the link that goes on.
func (p *Pages) mailHolder(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openAuthorization(r)
	if err != nil {
		return err
	}
	if err := p.form(r); err != nil {
		return err
	}
	if v.Status != events.AuthorizationPending {
		http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
		return nil
	}
	until := p.opts.Clock().Add(holderTerm).Unix()
	link := p.opts.Base() + r.URL.Path + "/" + strconv.FormatInt(until, 10) + "/" + p.proof("holder", v.ID.String(), until)
	err = p.mail(r.Context(), v.Email, "Confirm your subscription to "+v.Seller.Profile.Name,
		v.Seller.Profile.Name+" asks you to subscribe. If you want to go on, open this link within half an hour:\n\n"+link+
			"\n\nIf you do not know what this is about, do nothing.\n")
	if err != nil {
		return err
	}
	v.Mailed = true
	return p.show(w, http.StatusOK, "authorize.html", v)
}

// mail sends a message, at most one a minute to an address.
func (p *Pages) mail(ctx context.Context, to, subject, text string) error {
	if p.opts.Mail == nil {
		return errNoMail
	}
	now := p.opts.Clock()
	if !p.mailed.first(to+" "+subject, now, now.Add(time.Minute)) {
		return nil // one is on its way
	}
	return p.opts.Mail(ctx, to, subject, text)
}

// showConfirm shows whoever holds the address what they agree to, and asks newcomers who they are.
func (p *Pages) showConfirm(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openConfirm(r)
	if err != nil {
		return err
	}
	if v.Status == events.AuthorizationCompleted { // whoever opens the link again is only sent on: it signs nobody in
		http.Redirect(w, r, v.back(), http.StatusSeeOther)
		return nil
	}
	if v.Status == events.AuthorizationRefused || v.Status == events.AuthorizationCancelled {
		return p.show(w, http.StatusOK, "authorize.html", v)
	}
	return p.askConfirm(w, r, &v)
}

// askConfirm asks for what a session is about. Its form leads to the merchant's site in the end.
func (p *Pages) askConfirm(w http.ResponseWriter, r *http.Request, v *authorizeView) error {
	policy(w, originsOf(v.RedirectURL), nil)
	if err := p.addHolding(r.Context(), v); err != nil {
		return err
	}
	status := http.StatusOK
	if len(v.Problems) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return p.show(w, status, "confirm.html", v)
}

// addHolding adds what the wallet of a known consumer holds, where a minimum is asked of it.
func (p *Pages) addHolding(ctx context.Context, v *authorizeView) error {
	if v.Minimum == 0 || !v.Known || v.Offer == nil {
		return nil
	}
	user, err := p.opts.Queries.User(ctx, reader, query.UserArgs{Email: p.digestOf(v.Email)})
	if err != nil {
		return err
	}
	consumer, err := p.opts.Queries.Consumer(ctx, reader, query.ConsumerArgs{Consumer: user.Organization})
	if err != nil {
		return err
	}
	for _, ref := range consumer.Wallets {
		w, err := p.opts.Queries.Wallet(ctx, reader, query.WalletArgs{Wallet: ref.Wallet})
		if err != nil {
			return err
		}
		if w.Currency == v.Offer.Currency && w.Parent.IsZero() && (w.Bound.IsZero() || w.Bound == v.Merchant) {
			v.Holds = &w.Balance
			return nil
		}
	}
	return nil
}

func (p *Pages) openConfirm(r *http.Request) (authorizeView, error) {
	v, err := p.openAuthorization(r)
	if err == nil && !p.proven(r, "holder", v.ID.String()) {
		err = errNothing
	}
	return v, err
}

// originsOf returns the origin of a URL, if it has one.
func originsOf(url string) []string {
	if origin := originOf(url); origin != "" {
		return []string{origin}
	}
	return nil
}

// confirm signs up whoever is new, authorizes the merchant, and subscribes.
func (p *Pages) confirm(w http.ResponseWriter, r *http.Request) error {
	v, err := p.openConfirm(r)
	if err != nil {
		return err
	}
	if err := p.form(r); err != nil {
		return err
	}
	if v.Status == events.AuthorizationPending && r.PostForm.Get("do") == "refuse" {
		if _, err := p.command(r.Context(), v.Merchant, "RefuseAuthorization", map[string]any{"authorizationId": v.ID}); err != nil {
			return err
		}
		v.Status = events.AuthorizationRefused
	}
	switch v.Status {
	case events.AuthorizationPending, events.AuthorizationCompleted:
	case events.AuthorizationExpired, events.AuthorizationRefused, events.AuthorizationCancelled:
		return p.show(w, http.StatusOK, "authorize.html", v)
	}
	if v.Status == events.AuthorizationPending {
		args := map[string]any{"authorizationId": v.ID}
		if !v.Known {
			if v.Sent, v.Problems = sentIn(r); len(v.Problems) > 0 {
				return p.askConfirm(w, r, &v)
			}
			args["consumer"] = signUp(v.Sent, v.Email)
		}
		rec, err := p.command(r.Context(), v.Merchant, "CompleteAuthorization", args)
		refusal, _ := errors.AsType[*commands.Rejection](err)
		switch {
		case err == nil:
		case refusal != nil && refusal.Code == commands.Invalid:
			v.Problems = []problem{{"", refusal.Message}}
			return p.askConfirm(w, r, &v)
		case refusal != nil && refusal.Code == commands.Conflict && p.done(r, &v): // by another press of the button
			return p.goOn(w, r, &v)
		default:
			return err
		}
		after := query.AuthorizationArgs{Authorization: v.ID}
		after.AtLeast = rec.Sequence
		if v.Authorization, err = p.opts.Queries.Authorization(r.Context(), reader, after); err != nil {
			return err
		}
		if err := p.welcome(w, r, &v); err != nil {
			return err
		}
	}
	return p.goOn(w, r, &v)
}

// done looks at a session again that was pending a moment ago, and reports whether it is completed. The views may be a little behind.
func (p *Pages) done(r *http.Request, v *authorizeView) bool {
	const tries = 40 // each waits for the views a while
	for range tries {
		again, err := p.openConfirm(r)
		if err != nil {
			return false
		}
		if *v = again; v.Status != events.AuthorizationPending {
			break
		}
	}
	return v.Status == events.AuthorizationCompleted
}

// signUpFields are the fields of the form of whoever signs up.
var signUpFields = []string{"organization", "person", "line1", "line2", "city", "state", "zip", "country"}

// sentIn reads what somebody who signs up has said, and says what is wrong with it.
func sentIn(r *http.Request) (sent map[string]string, problems []problem) {
	sent = make(map[string]string, len(signUpFields))
	for _, name := range signUpFields {
		sent[name] = strings.TrimSpace(r.PostForm.Get(name))
	}
	sent["country"] = strings.ToUpper(sent["country"])
	for _, must := range []problem{
		{"organization", "Say which organization it is that subscribes."}, {"zip", "The ZIP or postal code is missing."},
	} {
		if sent[must.Field] == "" {
			problems = append(problems, must)
		}
	}
	country := sent["country"]
	if len(country) != 2 || strings.Trim(country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		problems = append(problems, problem{"country", "The country is two letters, such as US or DE."})
	}
	if (country == "US" || country == "CA") && sent["state"] == "" {
		problems = append(problems, problem{"state", "In the United States and Canada, tax depends on the state."})
	}
	return sent, problems
}

// signUp returns who signs up, as the command takes it.
func signUp(sent map[string]string, email string) map[string]any {
	address := make(map[string]string)
	for field, name := range map[string]string{"line1": "line1", "line2": "line2", "city": "city", "state": "state", "zipCode": "zip", "country": "country"} {
		if sent[name] != "" {
			address[field] = sent[name]
		}
	}
	return map[string]any{"name": sent["organization"], "email": email, "person": sent["person"], "address": address}
}

// back returns where whoever has authorized a merchant is sent in the end.
func (v *authorizeView) back() string { return cmp.Or(v.RedirectURL, "/home") }

// welcome signs in whoever has just completed a session, which happens once: the link in the mail signs nobody in afterwards.
func (p *Pages) welcome(w http.ResponseWriter, r *http.Request, v *authorizeView) error {
	args := query.UserArgs{Email: p.digestOf(v.Email)}
	args.AtLeast = v.Sequence
	user, err := p.opts.Queries.User(r.Context(), reader, args)
	if commands.CodeOf(err) == commands.NotFound {
		return nil
	}
	if err == nil && user.State == events.UserActive {
		p.setSession(w, &user)
	}
	return err
}

// goOn sends the visitor of a completed session to pay for the subscription, to store a payment method, or back to the merchant.
func (p *Pages) goOn(w http.ResponseWriter, r *http.Request, v *authorizeView) error {
	to := v.back()
	if v.Offer != nil {
		checkout, err := p.unpaid(r.Context(), v)
		if err == nil && checkout == "" {
			checkout, err = p.askMethod(r.Context(), v)
		}
		if err != nil {
			return err
		}
		if checkout != "" {
			to = checkout
		}
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// askMethod returns where whoever has just subscribed stores a first payment method, "" if there is one already.
func (p *Pages) askMethod(ctx context.Context, v *authorizeView) (checkout string, err error) {
	args := query.CustomerArgs{Customer: v.Customer}
	args.AtLeast = v.Sequence
	methods, err := p.opts.Queries.PaymentMethods(ctx, reader, args)
	if err != nil || len(methods.Items) > 0 {
		return "", err
	}
	back := v.back()
	if originOf(back) == "" {
		back = p.opts.Base() + back
	}
	return p.setupMethod(ctx, v.Merchant, v.Customer, back)
}

// setupMethod opens a session in which a payment method is stored, and returns where.
func (p *Pages) setupMethod(ctx context.Context, merchant events.OrganizationID, customer events.CustomerID, back string) (checkout string, err error) {
	rec, err := p.command(ctx, merchant, "SetupPaymentMethod", map[string]any{
		"customerId": customer, "successRedirectUrl": back, "failureRedirectUrl": back,
	})
	if err != nil {
		return "", err
	}
	session, err := events.ParseID[events.SessionNoun](rec.ID)
	if err != nil {
		return "", err
	}
	after := query.PaymentSessionArgs{Session: session}
	after.AtLeast = rec.Sequence // the page is to find it
	_, err = p.opts.Queries.PaymentSession(ctx, reader, after)
	return p.opts.Links.Checkout(session), err
}

// unpaid returns where the subscription to a session's plan is paid for, "" if there is nothing to pay.
func (p *Pages) unpaid(ctx context.Context, v *authorizeView) (checkout string, err error) {
	args := query.SubscriptionsArgs{Customer: v.Customer, Status: projections.SubscriptionPending, Page: query.Page{Limit: 100}}
	args.AtLeast = v.Sequence
	there, err := p.opts.Queries.Subscriptions(ctx, reader, args)
	if err != nil {
		return "", err
	}
	for i := range there.Items {
		if s := &there.Items[i]; s.Plan == v.Plan && s.Payment != nil {
			return s.Payment.URL, nil
		}
	}
	return "", nil
}

// digestOf returns what the ledger knows an address by.
func (p *Pages) digestOf(email string) events.Digest {
	address, ok := wire.NormaliseEmail(email)
	if !ok || p.opts.EmailDigest == nil {
		return events.Digest{}
	}
	return p.opts.EmailDigest(address)
}
