// Package mail sends messages to people over SMTP.
package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
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
	opts   Options
	host   string
	domain string // of the address that messages come from
	with   []gomail.Option
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
	from, err := mail.ParseAddress(opts.From)
	if err != nil {
		return nil, fmt.Errorf("messages cannot come from %q: %w", opts.From, err)
	}
	s.domain = from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	return s, nil
}

// local reports whether a host is this machine.
func local(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// Message is a message in plain text.
type Message struct {
	ID      string // before the @ of its Message-ID; the same however often it is sent. Empty: a new one each time
	To      string
	Subject string
	Text    string
}

// RefusedError says that a message will not be taken however often it is sent: its address is none, or the server has refused
// it for good.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return "the message is refused: " + e.Err.Error() }

func (e *RefusedError) Unwrap() error { return e.Err }

// DeferredError says that the server has put off a message, which says nothing of others: a mailbox is full, or the server does not
// know who sends yet. It is to be tried again later.
type DeferredError struct{ Err error }

func (e *DeferredError) Error() string { return "the message is put off: " + e.Err.Error() }

func (e *DeferredError) Unwrap() error { return e.Err }

// Send sends a message of no identity: see [Sender.SendMessage].
func (s *Sender) Send(ctx context.Context, to, subject, text string) error {
	return s.SendMessage(ctx, Message{To: to, Subject: subject, Text: text})
}

// SendMessage sends a message. It returns when the server has taken it. After a [*RefusedError] it is of no use to try again;
// after any other error it is, and the message may have been taken all the same. A [*DeferredError] is about this message, the rest about the
// server.
func (s *Sender) SendMessage(ctx context.Context, msg Message) error {
	m := gomail.NewMsg()
	if err := m.From(s.opts.From); err != nil {
		return fmt.Errorf("mail from %q: %w", s.opts.From, err)
	}
	if err := m.To(msg.To); err != nil {
		return &RefusedError{fmt.Errorf("mail to %q: %w", msg.To, err)}
	}
	m.Subject(msg.Subject)
	if msg.ID == "" {
		m.SetMessageID()
	} else {
		m.SetMessageIDWithValue(msg.ID + "@" + s.domain)
	}
	m.SetDate()
	m.SetBodyString(gomail.TypeTextPlain, msg.Text)
	c, err := gomail.NewClient(s.host, s.with...)
	if err != nil {
		return fmt.Errorf("the mail server %s: %w", s.host, err)
	}
	if err := c.DialAndSendWithContext(ctx, m); err != nil {
		err = fmt.Errorf("sending mail by %s: %w", s.host, err)
		refused, ok := errors.AsType[*gomail.SendError](err)
		switch {
		case ok && refused.ErrorCode() >= 500:
			return &RefusedError{err}
		case ok && refused.ErrorCode() >= 400 && refused.ErrorCode() != 421: // which is the server's own farewell
			return &DeferredError{err}
		}
		return err
	}
	return nil
}
