package pages

import (
	"context"
	"crypto/hmac"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

const (
	signInTerm  = 15 * time.Minute    // how long the link in a mail is good
	sessionTerm = 14 * 24 * time.Hour // how long somebody stays signed in
)

// signInView is what the pages of signing in show.
type signInView struct {
	Title  string
	Form   string
	Email  string
	Mailed bool

	Passkey     *ceremony // nil where there can be none
	PasskeyForm string    // its token
	Problem     string
}

// signInView returns the page on which somebody signs in.
func (p *Pages) signInView() signInView {
	return signInView{Title: "Sign in", Form: p.formToken("/signin"), Passkey: p.ceremonyOf(usingPasskey, nil), PasskeyForm: p.formToken("/signin/passkey")}
}

func (p *Pages) showSignIn(w http.ResponseWriter, _ *http.Request) error {
	return p.show(w, http.StatusOK, "signin.html", p.signInView())
}

// mailSignIn sends a link to whoever has signed up. The page says the same whether or not somebody has.
func (p *Pages) mailSignIn(w http.ResponseWriter, r *http.Request) error {
	if err := p.form(r); err != nil {
		return err
	}
	if !p.attempts.allow(p.place(r), attemptsPerMinute, p.opts.Clock()) {
		return errTooMany
	}
	v := signInView{Title: "Look into your mail", Mailed: true, Email: r.PostForm.Get("email")}
	ctx := context.WithoutCancel(r.Context())
	p.sending.Go(func() {
		if err := p.sendSignIn(ctx, v.Email); err != nil {
			p.opts.Logger.Error("a sign-in link cannot be sent", "error", err)
		}
	})
	return p.show(w, http.StatusOK, "signin.html", v)
}

// attemptsPerMinute is how many sign-ins may be asked for from one place.
const attemptsPerMinute = 30

// errTooMany reports that somebody asks too often.
var errTooMany = errors.New("too many attempts")

// sendSignIn sends a link to whoever has signed up with an address. The visitor does not wait for it: how long it takes would tell
// whether anybody has.
func (p *Pages) sendSignIn(ctx context.Context, email string) error {
	users, err := p.opts.Queries.Users(ctx, reader, query.UsersArgs{Email: p.digestOf(email)})
	if err != nil {
		return err
	}
	var links []string
	to := ""
	for i := range users.Items {
		u := &users.Items[i]
		if u.State != events.UserActive {
			continue
		}
		link := p.linkOf("signin", u.ID, signInTerm)
		if len(users.Items) > 1 {
			name, err := p.organization(ctx, u.Organization)
			if err != nil {
				return err
			}
			link = name + ": " + link
		}
		to, links = u.Email, append(links, link)
	}
	if len(links) == 0 {
		return nil
	}
	return p.mail(ctx, to, "Sign in", "Open this link within a quarter of an hour to sign in:\n\n"+strings.Join(links, "\n\n")+
		"\n\nIf you did not ask for it, do nothing.\n")
}

// showSignInLink shows a button, and not at once what is behind it: programs that look into mails open links too.
func (p *Pages) showSignInLink(w http.ResponseWriter, r *http.Request) error {
	if !p.proven(r, "signin", r.PathValue("user")) {
		return errNothing
	}
	return p.show(w, http.StatusOK, "signinlink.html", signInView{Title: "Sign in", Form: p.formToken(r.URL.Path)})
}

// signIn signs in whoever has a link that was mailed. A link is good once, and the ledger knows which were used.
func (p *Pages) signIn(w http.ResponseWriter, r *http.Request) error {
	if !p.proven(r, "signin", r.PathValue("user")) {
		return errNothing
	}
	if err := p.form(r); err != nil {
		return err
	}
	id, err := parse[events.UserNoun](r, "user")
	if err != nil {
		return err
	}
	seconds, _ := strconv.ParseInt(r.PathValue("expires"), 10, 64) // as proven has seen
	until, _ := events.TimeOf(time.Unix(seconds, 0))
	return p.enter(w, r, id, until)
}

// enter signs a user in by a link that is good until a time.
func (p *Pages) enter(w http.ResponseWriter, r *http.Request, id events.UserID, until events.Time) error {
	rec, err := p.command(r.Context(), events.OrganizationID{}, "SignIn", map[string]any{"userId": id, "linkExpiresAt": until})
	if code := commands.CodeOf(err); code == commands.Conflict || code == commands.NotFound {
		return errNothing
	}
	if err != nil {
		return err
	}
	after := query.UserArgs{User: id}
	after.AtLeast = rec.Sequence
	user, err := p.opts.Queries.User(r.Context(), reader, after)
	if err != nil {
		return err
	}
	p.setSession(w, &user)
	http.Redirect(w, r, "/home", http.StatusSeeOther)
	return nil
}

// cookieName is the name of the cookie that says who has signed in.
func (p *Pages) cookieName() string {
	if p.opts.Secure {
		return "__Host-tally"
	}
	return "tally"
}

// setSession lets a user be signed in for some time, unless what the user may do changes.
func (p *Pages) setSession(w http.ResponseWriter, u *query.User) {
	until := p.opts.Clock().Add(sessionTerm)
	of := u.ID.String() + "." + strconv.FormatUint(uint64(u.Changed), 10)
	http.SetCookie(w, &http.Cookie{
		Name: p.cookieName(), Value: of + "." + strconv.FormatInt(until.Unix(), 10) + "." + p.proof("session", of, until.Unix()),
		Path: "/", Expires: until, HttpOnly: true, Secure: p.opts.Secure, SameSite: http.SameSiteLaxMode,
	})
}

// signedIn returns who has signed in, and the session.
func (p *Pages) signedIn(r *http.Request) (u query.User, session string, err error) {
	cookie, err := r.Cookie(p.cookieName())
	if err != nil {
		return u, "", errSignedOut
	}
	parts := strings.Split(cookie.Value, ".")
	if len(parts) != 4 {
		return u, "", errSignedOut
	}
	until, err := strconv.ParseInt(parts[2], 10, 64)
	of := parts[0] + "." + parts[1]
	if err != nil || p.opts.Clock().Unix() >= until || !hmac.Equal([]byte(parts[3]), []byte(p.proof("session", of, until))) {
		return u, "", errSignedOut
	}
	id, err := events.ParseID[events.UserNoun](parts[0])
	if err != nil {
		return u, "", errSignedOut
	}
	u, err = p.opts.Queries.User(r.Context(), reader, query.UserArgs{User: id})
	if err == nil && (u.State != events.UserActive || strconv.FormatUint(uint64(u.Changed), 10) != parts[1]) ||
		commands.CodeOf(err) == commands.NotFound {
		err = errSignedOut
	}
	return u, cookie.Value, err
}

// homeView is what a consumer sees of everything that it has.
type homeView struct {
	Title    string
	Form     string
	User     query.User
	Consumer query.Consumer
	Wallets  []homeWallet
	Subs     []homeSub
	Sellers  []query.Merchant // authorized ones
	Methods  []query.PaymentMethod
	Problem  string
	Passkey  *ceremony    // to add one; nil where there can be none
	People   []query.User // who may do something for the consumer; none for who may not change that
}

// Roles returns the roles that a user can have.
func (homeView) Roles() []string {
	return []string{string(events.ViewerRole), string(events.BillingRole), string(events.OwnerRole)}
}

type homeWallet struct {
	query.Wallet
	Entries []query.Entry
	Pays    string // the subscription that it is for, if it is for one alone
}

type homeSub struct {
	query.Subscription
	Seller   query.Merchant
	Invoices []query.Invoice
	Links    []string // of the invoices
}

// home shows a consumer all its subscriptions, wallets and authorizations, across merchants.
func (p *Pages) home(w http.ResponseWriter, r *http.Request) error {
	u, session, err := p.signedIn(r)
	if err != nil {
		return err
	}
	return p.showHome(w, r, &u, session, 0, "")
}

func (p *Pages) showHome(w http.ResponseWriter, r *http.Request, u *query.User, session string, after events.Seq, problem string) error {
	ctx, q := r.Context(), p.opts.Queries
	v := homeView{Title: "Your subscriptions", Form: p.formToken(r.URL.Path + session), User: *u, Problem: problem, Passkey: p.ceremonyOf(addingPasskey+session, u)}
	args := query.ConsumerArgs{Consumer: u.Organization}
	args.AtLeast = after
	var err error
	if v.Consumer, err = q.Consumer(ctx, reader, args); err != nil {
		return err
	}
	for _, ref := range v.Consumer.Wallets {
		st, err := q.Statement(ctx, reader, query.StatementArgs{WalletArgs: query.WalletArgs{Wallet: ref.Wallet}, Page: query.Page{Limit: 10}})
		if err != nil {
			return err
		}
		v.Wallets = append(v.Wallets, homeWallet{Wallet: st.Wallet, Entries: st.Entries})
	}
	for _, id := range v.Consumer.Customers {
		if err := p.addSubscriptions(ctx, &v, id); err != nil {
			return err
		}
	}
	if one, err := p.anyCustomer(ctx, &v.Consumer); err == nil {
		methods, err := q.PaymentMethods(ctx, reader, query.CustomerArgs{Customer: one.ID})
		if err != nil {
			return err
		}
		v.Methods = methods.Items
	} else if !errors.Is(err, errNothing) {
		return err
	}
	for _, id := range v.Consumer.Authorized {
		m, err := p.merchant(ctx, id)
		if err != nil {
			return err
		}
		v.Sellers = append(v.Sellers, m)
	}
	if u.Role == events.OwnerRole {
		people, err := q.Users(ctx, reader, query.UsersArgs{Organization: u.Organization, Page: query.Page{Limit: mostPeople}})
		if err != nil {
			return err
		}
		v.People = people.Items
	}
	status := http.StatusOK
	if problem != "" {
		status = http.StatusUnprocessableEntity
	}
	return p.show(w, status, "home.html", v)
}

func (p *Pages) addSubscriptions(ctx context.Context, v *homeView, customer events.CustomerID) error {
	subs, err := p.opts.Queries.Subscriptions(ctx, reader, query.SubscriptionsArgs{Customer: customer, Page: query.Page{Limit: 100}})
	if err != nil {
		return err
	}
	for i := range subs.Items {
		s := homeSub{Subscription: subs.Items[i]}
		if s.Seller, err = p.merchant(ctx, s.Merchant); err != nil {
			return err
		}
		invoices, err := p.opts.Queries.Invoices(ctx, reader, query.InvoicesArgs{Subscription: s.ID, Page: query.Page{Limit: 12}})
		if err != nil {
			return err
		}
		s.Invoices = invoices.Items
		for j := range s.Invoices {
			s.Links = append(s.Links, p.opts.Links.InvoicePath(s.Invoices[j].ID))
		}
		v.Subs = append(v.Subs, s)
		for j := range v.Wallets {
			if w := &v.Wallets[j]; w.For == s.ID {
				w.Pays = s.Name
			}
		}
	}
	return nil
}

// change does what a consumer asks for on its home.
func (p *Pages) change(w http.ResponseWriter, r *http.Request) error {
	u, session, err := p.signedIn(r)
	if err != nil {
		return err
	}
	if err := p.formFor(r, session); err != nil {
		return err
	}
	who := wire.Who{Role: events.OperatorKey, User: u.ID}
	form := r.PostForm
	var rec receipt
	switch form.Get("do") {
	case "signout":
		return p.signOut(w, r, &u)
	case "topup":
		rec, err = p.commandAs(r.Context(), who, events.OrganizationID{}, "TopUp", map[string]any{
			"walletId": form.Get("wallet"), "amount": strings.TrimSpace(form.Get("amount")), "method": "stripe",
			"successRedirectUrl": p.opts.Base() + "/home", "failureRedirectUrl": p.opts.Base() + "/home",
		})
		if err == nil {
			return p.toCheckout(w, r, rec)
		}
	case "cancel", "withdraw":
		merchant, perr := events.ParseID[events.OrganizationNoun](form.Get("merchant"))
		if perr != nil {
			return errNothing
		}
		if form.Get("do") == "cancel" {
			rec, err = p.commandAs(r.Context(), who, merchant, "TerminateSubscription", map[string]any{
				"subscriptionId": form.Get("subscription"), "reason": "cancelled by the customer",
			})
		} else {
			rec, err = p.commandAs(r.Context(), who, merchant, "WithdrawAuthorization", map[string]any{"consumerId": u.Organization})
		}
	case "invite", "person":
		rec, err = p.changePeople(r.Context(), who, &u, form)
	case "addmethod", "removemethod":
		return p.changeMethods(w, r, &u, session)
	case "addpasskey":
		return p.addPasskey(w, r, &u, session)
	case "removepasskey":
		return p.removePasskey(w, r, &u, session)
	default:
		return errForm
	}
	if refusal, ok := errors.AsType[*commands.Rejection](err); ok {
		return p.showHome(w, r, &u, session, 0, refusal.Message)
	} else if err != nil {
		return err
	}
	return p.showHome(w, r, &u, session, rec.Sequence, "")
}

// signOut ends what a visitor is signed in with, here and everywhere: a cookie that somebody has copied opens nothing afterwards.
func (p *Pages) signOut(w http.ResponseWriter, r *http.Request, u *query.User) error {
	rec, err := p.commandAs(r.Context(), wire.Who{Role: events.OperatorKey, User: u.ID}, events.OrganizationID{}, "SignOut", map[string]any{"userId": u.ID})
	if err != nil {
		return err
	}
	after := query.UserArgs{User: u.ID}
	after.AtLeast = rec.Sequence // the next page is to know it
	if _, err := p.opts.Queries.User(r.Context(), reader, after); err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{Name: p.cookieName(), Path: "/", MaxAge: -1, HttpOnly: true, Secure: p.opts.Secure, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
	return nil
}

// toCheckout sends a visitor to pay for a top-up.
func (p *Pages) toCheckout(w http.ResponseWriter, r *http.Request, rec receipt) error {
	id, err := events.ParseID[events.TopUpNoun](rec.ID)
	if err != nil {
		return err
	}
	args := query.OneArgs[events.TopUpID]{ID: id}
	args.AtLeast = rec.Sequence
	topUp, err := p.opts.Queries.TopUp(r.Context(), reader, args)
	if err != nil {
		return err
	}
	session, err := events.ParseID[events.SessionNoun](topUp.Payload["paymentSessionId"])
	if err != nil {
		return err
	}
	http.Redirect(w, r, p.opts.Links.Checkout(session), http.StatusSeeOther)
	return nil
}
