package server

import (
	"context"
	"net/http"
	"strings"

	"tallystick/events"
	"tallystick/internal/httpapi"
	"tallystick/internal/mail"
	"tallystick/internal/pages"
)

// openAPI opens the door for HTTP: the API, and beside it the pages for people.
func (d *doors) openAPI(ctx context.Context) error {
	s := d.s
	api, err := httpapi.New(httpapi.Options{
		Keys: callers{s.keys}, Sequencer: checkedSequencer{d}, NewDecoder: s.NewDecoder, Queries: s.Queries, Head: s.Sequencer.Applied,
		Environment: s.opened.Environment, Clock: s.cfg.Clock, Logger: s.cfg.Logger, Version: d.opts.Version, Limit: d.opts.APILimit,
		Refused: s.metrics.Rejected,
	})
	if err != nil {
		return err
	}
	send, err := d.mailer()
	if err != nil {
		return err
	}
	people, err := pages.New(pages.Options{
		Commands: s, Queries: s.Queries, Links: s.Links, Clock: s.cfg.Clock, Logger: s.cfg.Logger, Mail: send, Base: s.publicURL,
		Secret: []byte(s.Keyring.LinkToken("pages", [16]byte{})), EmailDigest: s.Keyring.EmailDigest,
		Proxies: d.opts.Proxies,
		Secure:  d.opts.API.Cert != "" || strings.HasPrefix(s.cfg.PublicURL, "https://"),
	})
	if err != nil {
		return err
	}
	d.pages = people
	d.api, err = httpapi.Serve(ctx, d.opts.API, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if people.Handles(r) {
			people.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	}), s.cfg.Logger)
	return err
}

// mailer returns what sends mail. A sandbox without a mail server writes messages to the log instead, so that the links in them can be
// followed; a ledger of real money sends none.
func (d *doors) mailer() (func(ctx context.Context, to, subject, text string) error, error) {
	if d.opts.Mail.URL != "" {
		sender, err := mail.New(d.opts.Mail)
		if err != nil {
			return nil, err
		}
		return sender.Send, nil
	}
	if d.s.opened.Environment != events.Sandbox {
		return nil, nil
	}
	return func(_ context.Context, to, subject, text string) error {
		d.s.cfg.Logger.Info("mail that is not sent, for there is no --smtp-url", "to", to, "subject", subject, "text", text)
		return nil
	}, nil
}
