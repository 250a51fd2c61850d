package pages

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/links"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

// Commands carries out commands.
type Commands interface {
	// Command carries out a command given as JSON, as an operator or in the name of a merchant, and returns its receipt. A
	// refusal is an answer.
	Command(ctx context.Context, who wire.Who, merchant events.OrganizationID, name string, body []byte) ([]byte, error)
}

// Options are what pages work with. Those without a default must be given.
type Options struct {
	Commands Commands
	Queries  *query.Service
	Links    links.Links
	Clock    func() time.Time // real time
	Logger   *slog.Logger
	Secret   []byte // for the tokens of forms and of sign-ins; known to this ledger only
	Secure   bool   // people come over HTTPS
	// Mail sends a message to an e-mail address; nil means that there is nothing to send it with.
	Mail func(ctx context.Context, to, subject, text string) error
	// EmailDigest returns what the ledger knows a normalised e-mail address by.
	EmailDigest func(normalised string) events.Digest
	// Proxies are those before the pages that say truly where a request comes from, in X-Forwarded-For.
	Proxies []netip.Prefix
	// Base returns where people reach the pages: a URL without a slash at its end.
	Base func() string
}

// Pages serves the pages. See the package comment.
type Pages struct {
	opts      Options
	mux       *http.ServeMux
	templates *template.Template
	mailed    used // addresses that were written to just now
	attempts  window
	foreign   *http.CrossOriginProtection
	sending   sync.WaitGroup // mails that nobody waits for
}

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// New returns the pages.
func New(opts Options) (*Pages, error) {
	p := &Pages{opts: opts, mux: http.NewServeMux(), foreign: http.NewCrossOriginProtection()}
	if at := originOf(opts.Base()); at != "" { // a proxy may call us by another name
		if err := p.foreign.AddTrustedOrigin(at); err != nil {
			return nil, fmt.Errorf("where people reach the pages: %w", err)
		}
	}
	var err error
	p.templates, err = template.New("pages").Funcs(formatting).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("the templates of pages: %w", err)
	}
	assets, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		return nil, fmt.Errorf("the assets of pages: %w", err)
	}
	p.mux.Handle("GET /assets/", http.StripPrefix("/assets/", cached(http.FileServerFS(assets))))
	p.handle("GET /checkout/{id}/{token}", p.checkout)
	p.handle("POST /checkout/{id}/{token}", p.payCheckout)
	p.handle("GET /authorize/{id}/{token}", p.authorize)
	p.handle("POST /authorize/{id}/{token}", p.mailHolder)
	p.handle("GET /authorize/{id}/{token}/{expires}/{proof}", p.showConfirm)
	p.handle("POST /authorize/{id}/{token}/{expires}/{proof}", p.confirm)
	p.handle("GET /signin", p.showSignIn)
	p.handle("POST /signin", p.mailSignIn)
	p.handle("POST /signin/passkey", p.signInByPasskey)
	p.handle("GET /signin/{user}/{expires}/{proof}", p.showSignInLink)
	p.handle("POST /signin/{user}/{expires}/{proof}", p.signIn)
	p.handle("GET /invitation/{user}/{expires}/{proof}", p.showInvitation)
	p.handle("POST /invitation/{user}/{expires}/{proof}", p.answerInvitation)
	p.handle("GET /home", p.home)
	p.handle("POST /home", p.change)
	p.handle("GET /portal/{id}/{token}", p.portal)
	p.handle("GET /portal/{id}/{token}/invoices/{invoice}", p.portalInvoice)
	p.handle("GET /portal/{id}/{token}/invoices/{invoice}/creditnotes/{note}", p.portalInvoice)
	p.handle("GET /invoices/{id}/{token}", p.invoice)
	p.handle("GET /invoices/{id}/{token}/pdf", p.invoicePDF)
	p.handle("GET /invoices/{id}/{token}/creditnotes/{note}", p.creditNote)
	p.handle("GET /invoices/{id}/{token}/creditnotes/{note}/pdf", p.creditNotePDF)
	p.handle("GET /invoices/{id}/{token}/lines/{line}", p.line)
	p.handle("GET /invoices/{id}/{token}/lines/{line}/proof", p.lineProof)
	return p, nil
}

// Close waits for mails that are being sent. No page may be asked for any more.
func (p *Pages) Close() { p.sending.Wait() }

// cached lets assets be kept for a while. What they are is nobody's business: there is no list of them.
func cached(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "" || strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=3600")
		h.ServeHTTP(w, r)
	})
}

// Handles reports whether a path is that of a page, for whoever serves other things beside. One that only leads to a page once it is
// cleaned, such as //signin, is none: no link of ours has it.
func (p *Pages) Handles(r *http.Request) bool {
	if at := r.URL.Path; strings.TrimSuffix(at, "/") != strings.TrimSuffix(path.Clean(at), "/") {
		return false
	}
	_, pattern := p.mux.Handler(r)
	return pattern != ""
}

// ServeHTTP implements [http.Handler]. What another site has a visitor's browser send is refused, whatever token it has: whoever has
// signed up can make one for its own link.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // not less, or browsers do not say that a form is ours
	h.Set("Permissions-Policy", "geolocation=(), camera=(), microphone=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if p.opts.Secure {
		h.Set("Strict-Transport-Security", "max-age=63072000")
	}
	policy(w, nil, nil)
	if err := p.foreign.Check(r); err != nil {
		p.fail(w, r, errForm)
		return
	}
	p.mux.ServeHTTP(w, r)
}

// maxForm is how many bytes a form may have.
const maxForm = 64 << 10

// handle adds a page. Its errors are pages too, and one that breaks is told to the operator.
func (p *Pages) handle(pattern string, serve func(http.ResponseWriter, *http.Request) error) {
	p.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if broken := recover(); broken != nil {
				p.fail(w, r, fmt.Errorf("panic: %v\n%s", broken, debug.Stack()))
			}
		}()
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := serve(w, r); err != nil {
			p.fail(w, r, err)
		}
	})
}

// policy sets what a page may load, to which other origins its forms may lead, and which may frame it.
func policy(w http.ResponseWriter, forms, frames []string) {
	ancestors := "'none'"
	if w.Header().Set("X-Frame-Options", "DENY"); len(frames) > 0 {
		ancestors = strings.Join(frames, " ")
		w.Header().Del("X-Frame-Options") // it cannot name sites
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "+
		"base-uri 'none'; form-action "+strings.Join(append([]string{"'self'"}, forms...), " ")+"; frame-ancestors "+ancestors)
}

// inHosts are the characters of a host and its port. Others that URLs may have there mean something in a policy.
const inHosts = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]"

// originOf returns the origin of a URL, "" if it has none.
func originOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Host, inHosts) != "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// errNothing is answered to addresses that open nothing, whatever the reason.
var errNothing = errors.New("this address does not open anything, or no longer")

// fail shows why a page cannot be shown.
func (p *Pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	view := struct{ Title, Message string }{"Something went wrong", "This is a fault of ours. Please try again in a moment."}
	status := http.StatusInternalServerError
	var tooLarge *http.MaxBytesError
	switch code := commands.CodeOf(err); {
	case errors.Is(err, errNothing), code == commands.NotFound:
		view.Title, view.Message = "Not found", "This link does not open anything, or is no longer good. Ask whoever sent it to you for a new one."
		status = http.StatusNotFound
	case errors.Is(err, errNoMail):
		view.Title, view.Message = "No mail", "This ledger cannot send mail, so it cannot find out whose address this is."
		status = http.StatusServiceUnavailable
	case errors.Is(err, errSignedOut):
		http.Redirect(w, r, "/signin", http.StatusSeeOther)
		return
	case errors.Is(err, errTooMany):
		view.Title, view.Message = "Too many attempts", "Please wait a minute, and try again."
		w.Header().Set("Retry-After", "60")
		status = http.StatusTooManyRequests
	case errors.Is(err, errForm):
		view.Title, view.Message = "Please try again", "This form was open for too long. Go back, reload the page, and send it again."
		status = http.StatusForbidden
	case errors.As(err, &tooLarge):
		view.Title, view.Message = "Too large", "What was sent is too large."
		status = http.StatusRequestEntityTooLarge
	case code == commands.Busy, code == commands.ShuttingDown:
		view.Message = "There is much to do just now. Please try again in a moment."
		status = http.StatusServiceUnavailable
	case r.Context().Err() != nil:
		return // the visitor has gone
	case code != "" && code != commands.Internal && code != commands.LedgerFailed:
		refusal, _ := errors.AsType[*commands.Rejection](err)
		view.Title, view.Message, status = "That is not possible", refusal.Message, code.HTTPStatus()
	default:
		p.opts.Logger.Error("a page cannot be shown", "path", r.Pattern, "error", err)
	}
	if err := p.show(w, status, "failure.html", view); err != nil {
		p.opts.Logger.Error("a page cannot be shown", "path", r.Pattern, "error", err)
	}
}

// show writes a page, or nothing of it.
func (p *Pages) show(w http.ResponseWriter, status int, name string, view any) error {
	var buf bytes.Buffer
	if err := p.templates.ExecuteTemplate(&buf, name, view); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // the visitor may have gone
	return nil
}

// reader is who reads what a page shows, once its address has shown that it may.
var reader = wire.Who{Role: events.AuditorKey}

// parse returns the identity in a path.
func parse[K events.Noun](r *http.Request, name string) (events.ID[K], error) {
	id, err := events.ParseID[K](r.PathValue(name))
	if err != nil {
		return id, errNothing
	}
	return id, nil
}
