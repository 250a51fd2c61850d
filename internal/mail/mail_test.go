package mail_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"tallystick/internal/mail"
)

// inbox is a mail server that keeps what it is given.
type inbox struct{ got chan message }

type message struct{ from, to, body string }

type session struct {
	box *inbox
	m   message
}

func (b *inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{box: b}, nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.m.from = from; return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error   { s.m.to = to; return nil }
func (s *session) Reset()                                      { s.m = message{} }
func (s *session) Logout() error                               { return nil }

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.m.body = string(b)
	s.box.got <- s.m
	return err
}

// TestSend sends a message to a real server in this process.
func TestSend(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := &inbox{got: make(chan message, 1)}
	server := smtp.NewServer(box)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	}()
	s, err := mail.New(mail.Options{URL: "smtp://" + listener.Addr().String(), From: "Tally <billing@tally.example>"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), "acorn@example.com", "Your subscription renews — soon", "In 3 days.\n"); err != nil {
		t.Fatal(err)
	}
	m := <-box.got
	if m.from != "billing@tally.example" || m.to != "acorn@example.com" || !strings.Contains(m.body, "In 3 days.") ||
		!strings.Contains(m.body, "Subject: =?UTF-8?q?Your_subscription_renews") {
		t.Errorf("%+v", m)
	}
	if err := s.Send(t.Context(), "nobody", "x", "y"); err == nil {
		t.Error("a message to what is no address")
	}
}

// TestNewRefuses tries servers and senders that cannot be.
func TestNewRefuses(t *testing.T) {
	for _, o := range []mail.Options{
		{URL: "host", From: "a@example.com"},
		{URL: "http://host", From: "a@example.com"},
		{URL: "smtp://host:x", From: "a@example.com"},
		{URL: "smtp://host", From: "nobody"},
	} {
		if _, err := mail.New(o); err == nil {
			t.Errorf("%+v", o)
		}
	}
}
