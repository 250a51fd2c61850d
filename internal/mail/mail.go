// Package mail sends messages to people over SMTP.
package mail

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Options say how mail is sent.
type Options struct {
	// URL is the server: smtp://user:password@host:587, where TLS is begun as soon as it is offered and required but for hosts that
	// are this machine, or smtps://… where it is spoken from the start.
	URL  string
	From string // address that messages come from, such as "Acme billing <billing@acme.example>"
	TLS  *tls.Config
}

// Sender sends messages. Any goroutine may use it; each message has a connection of its own.
type Sender struct {
	opts Options
	host string
	with []gomail.Option
}

// sendTimeout is how long a message may take.
const sendTimeout = 30 * time.Second

// New returns a sender. It does not connect yet.
func New(opts Options) (*Sender, error) {
	u, err := url.Parse(opts.URL)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is no address of a mail server, such as smtp://user:password@host:587", opts.URL)
	}
	s := &Sender{opts: opts, host: u.Hostname(), with: []gomail.Option{gomail.WithTimeout(sendTimeout)}}
	switch u.Scheme {
	case "smtps":
		s.with = append(s.with, gomail.WithSSLPort(false))
	case "smtp":
		policy := gomail.TLSMandatory
		if local(u.Hostname()) {
			policy = gomail.TLSOpportunistic
		}
		s.with = append(s.with, gomail.WithTLSPortPolicy(policy))
	default:
		return nil, fmt.Errorf("%q is neither smtp:// nor smtps://", opts.URL)
	}
	if u.Port() != "" {
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			return nil, fmt.Errorf("the port of the mail server: %w", err)
		}
		s.with = append(s.with, gomail.WithPort(port))
	}
	if opts.TLS != nil {
		s.with = append(s.with, gomail.WithTLSConfig(opts.TLS))
	}
	if name := u.User.Username(); name != "" {
		password, _ := u.User.Password()
		s.with = append(s.with, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(name), gomail.WithPassword(password))
	}
	if err := gomail.NewMsg().From(opts.From); err != nil {
		return nil, fmt.Errorf("messages cannot come from %q: %w", opts.From, err)
	}
	return s, nil
}

// local reports whether a host is this machine.
func local(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// Send sends a message in plain text. It returns when the server has taken it.
func (s *Sender) Send(ctx context.Context, to, subject, text string) error {
	m := gomail.NewMsg()
	if err := m.From(s.opts.From); err != nil {
		return fmt.Errorf("mail from %q: %w", s.opts.From, err)
	}
	if err := m.To(to); err != nil {
		return fmt.Errorf("mail to %q: %w", to, err)
	}
	m.Subject(subject)
	m.SetMessageID()
	m.SetDate()
	m.SetBodyString(gomail.TypeTextPlain, text)
	c, err := gomail.NewClient(s.host, s.with...)
	if err != nil {
		return fmt.Errorf("the mail server %s: %w", s.host, err)
	}
	if err := c.DialAndSendWithContext(ctx, m); err != nil {
		return fmt.Errorf("sending mail by %s: %w", s.host, err)
	}
	return nil
}
