package server_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"tallystick/internal/mail"
	"tallystick/internal/natsbus"
	"tallystick/internal/server"
)

// inbox is a mail server that keeps what it is given. It refuses what is for nobody@, is busy when it is first given something, and puts
// off what is for full@ until there is room.
type inbox struct {
	mu   sync.Mutex // guards the fields below
	got  []string
	busy int // how often it has put something off
	full int // how often it has put off what is for full@
	room bool
}

func (b *inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &delivery{b}, nil }

type delivery struct{ box *inbox }

func (*delivery) Mail(string, *smtp.MailOptions) error { return nil }
func (*delivery) Reset()                               {}
func (*delivery) Logout() error                        { return nil }

func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	if strings.HasPrefix(to, "full@") && !d.box.room {
		d.box.full++
		return &smtp.SMTPError{Code: 452, Message: "the mailbox is full"}
	}
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, Message: "there is nobody of this name"}
	}
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	if d.box.busy < 2 {
		d.box.busy++
		return &smtp.SMTPError{Code: 451, Message: "come back later"}
	}
	d.box.got = append(d.box.got, string(b))
	return err
}

// await returns the messages, once there are so many.
func (b *inbox) await(t *testing.T, n int) []string {
	t.Helper()
	late := time.After(limit)
	for {
		b.mu.Lock()
		got := append([]string(nil), b.got...)
		b.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-late:
			t.Fatalf("%d messages, want %d: %q", len(got), n, got)
		}
	}
}

// listen has the mail server at an address until the test ends.
func (b *inbox) listen(t *testing.T, addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(b)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(listener) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// messageID returns the identity of a message.
func messageID(m string) string {
	_, rest, _ := strings.Cut(m, "Message-ID: ")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}

// freeAddr returns an address on which nobody listens: its port is given to nobody else until the test ends, not even for the near end of
// a connection.
func freeAddr(t *testing.T) string {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	check(err)
	t.Cleanup(func() { check(syscall.Close(fd)) })
	syscall.CloseOnExec(fd)
	check(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)) // as the listener has it
	check(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	bound, err := syscall.Getsockname(fd)
	check(err)
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

// serveMail opens the doors with a mail server at addr.
func (p *shop) serveMail(addr string) {
	p.t.Helper()
	err := p.s.Serve(p.t.Context(), server.Doors{
		NATS: natsbus.Options{Listen: "127.0.0.1:0"}, Mail: mail.Options{URL: "smtp://" + addr, From: "Tally <billing@tally.example>"},
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// TestMails writes to consumers of renewals and invoices: what waits for a mail server that is down is not lost, a refused address
// holds nobody up, a restart tells nothing twice, and who wants no mail gets none.
func TestMails(t *testing.T) {
	addr := freeAddr(t)
	p, box := openShop(t), new(inbox)
	p.serveMail(addr)
	product := p.do("CreateProduct", `{"name":"LLM","description":"d"}`)["id"].(string)
	metric := p.do("CreateMetric", `{"productId":"`+product+`","name":"Calls","description":"d","unit":"call","aggregation":"COUNT"}`)["id"].(string)
	price := p.do("CreatePrice", `{"billableMetricId":"`+metric+`","model":"standard","paymentTerm":"instant","invoiceDisplayName":"Calls","properties":{"unitPrice":"2"}}`)["id"].(string)
	plan := p.do("CreatePlan", `{"productId":"`+product+`","name":"Plan","currency":"USD","prices":["`+price+`"],"renewalReminderEnabled":true,"renewalReminderDays":3}`)["id"].(string)
	clock := p.do("CreateTestClock", `{"currentTime":"2031-01-15T12:00:00Z"}`)["id"].(string)
	var customers, wallets []string
	for _, email := range []string{"nobody@example.com", "jane@example.com", "quiet@example.com"} {
		customer := p.do("CreateCustomer", `{"consumer":{"name":"Jane","email":"`+email+`","address":{"country":"GB"}}}`)["id"].(string)
		sub := p.do("CreateSubscription", `{"name":"API","planId":"`+plan+`","customerId":"`+customer+`","startedAt":"2031-01-15T12:00:00Z","testClockId":"`+clock+`"}`)["id"].(string)
		wallet := p.ask("Subscription", map[string]any{"subscriptionId": sub})["walletId"].(string)
		p.do("TopUp", `{"walletId":"`+wallet+`","amount":"10","method":"sandbox"}`)
		p.do("ReportUsage", `{"customerId":"`+customer+`","merchantId":"`+p.merchant.String()+`","idempotencyKey":"`+email+`","timestamp":"2031-01-15T12:00:00Z","properties":[{"billableMetricId":"`+metric+`","quantity":1}]}`)
		customers, wallets = append(customers, customer), append(wallets, wallet)
	}
	p.do("UpdateCustomer", `{"customerId":"`+customers[2]+`","notificationSettings":{"invoiceIssued":false,"invoicePaid":false,"renewalReminder":false}}`)
	p.do("AdvanceTestClock", `{"testClockId":"`+clock+`","currentTime":"2031-02-13T12:00:00Z"}`)
	box.listen(t, addr)
	reminder := box.await(t, 1)[0]
	if !strings.Contains(reminder, "To: <jane@example.com>") || !strings.Contains(reminder, "API renews on 15 February 2031") {
		t.Errorf("the reminder is %q", reminder)
	}
	p.do("AdvanceTestClock", `{"testClockId":"`+clock+`","currentTime":"2031-02-17T12:00:00Z"}`)
	got := box.await(t, 3)
	p.close()
	p.open()
	p.serveMail(addr)
	p.do("UpdateCustomer", `{"customerId":"`+customers[2]+`","notificationSettings":{"renewalReminder":true}}`)
	p.do("AdvanceTestClock", `{"testClockId":"`+clock+`","currentTime":"2031-03-13T12:00:00Z"}`)
	got = box.await(t, len(got)+2)
	ids := make(map[string]bool)
	for i, want := range []string{"API renews on 15 February", "invoice 2 of Acme comes to 2.00 USD. Nothing", "comes to 2.00 USD, and is paid", "API renews on 15 March", "API renews on 15 March"} {
		text := strings.ReplaceAll(got[i], "=\r\n", "")
		if !strings.Contains(text, want) {
			t.Errorf("message %d is %q, want %q", i, text, want)
		}
		if id := messageID(got[i]); ids[id] || !strings.HasSuffix(id, "@tally.example>") {
			t.Errorf("message %d has the identity %q", i, id)
		} else {
			ids[id] = true
		}
	}
	if len(got) != 5 || !strings.Contains(got[4], "quiet@example.com") {
		t.Errorf("%d messages: %q", len(got), got)
	}
	p.do("CreateAlert", `{"resourceId":"`+wallets[1]+`","type":"wallet_low_balance","config":{"threshold":"8"},"recipients":["nobody@example.com","ops@example.com"]}`)
	for i := range 2 {
		p.do("ReportUsage", fmt.Sprintf(`{"customerId":%q,"merchantId":%q,"idempotencyKey":"low-%d","timestamp":"2031-03-13T12:00:00Z","properties":[{"billableMetricId":%q,"quantity":1}]}`, customers[1], p.merchant, i, metric))
	}
	p.do("UpdateCustomer", `{"customerId":"`+customers[2]+`","notificationSettings":{"renewalReminder":false,"invoiceIssued":true}}`)
	p.do("AdvanceTestClock", `{"testClockId":"`+clock+`","currentTime":"2031-03-17T12:00:00Z"}`)
	got = box.await(t, 7)
	if text := strings.ReplaceAll(got[5], "=\r\n", ""); !strings.Contains(text, "To: <ops@example.com>") || !strings.Contains(text, "holds 6.00 USD, which is less than 8.00 USD") || strings.Contains(got[6], "is low") {
		t.Errorf("the alert is %q, and then %q", text, got[6])
	}
}

// TestDeferredMail lets a mailbox be full: letters to others are not held up, a restart forgets nothing and sends nothing twice, and once there is room
// the letter comes, with the identity that it has.
func TestDeferredMail(t *testing.T) {
	p, box := openShop(t), &inbox{busy: 2}
	addr := freeAddr(t)
	box.listen(t, addr)
	p.serveMail(addr)
	product := p.do("CreateProduct", `{"name":"LLM","description":"d"}`)["id"].(string)
	metric := p.do("CreateMetric", `{"productId":"`+product+`","name":"Calls","description":"d","unit":"call","aggregation":"COUNT"}`)["id"].(string)
	price := p.do("CreatePrice", `{"billableMetricId":"`+metric+`","model":"standard","paymentTerm":"instant","invoiceDisplayName":"Calls","properties":{"unitPrice":"2"}}`)["id"].(string)
	plan := p.do("CreatePlan", `{"productId":"`+product+`","name":"Plan","currency":"USD","prices":["`+price+`"]}`)["id"].(string)
	clock := p.do("CreateTestClock", `{"currentTime":"2031-01-15T12:00:00Z"}`)["id"].(string)
	low := func(name string, recipients string) {
		t.Helper()
		customer := p.do("CreateCustomer", `{"consumer":{"name":"Jane","email":"`+name+`@example.com","address":{"country":"GB"}}}`)["id"].(string)
		sub := p.do("CreateSubscription", `{"name":"API","planId":"`+plan+`","customerId":"`+customer+`","startedAt":"2031-01-15T12:00:00Z","testClockId":"`+clock+`"}`)["id"].(string)
		wallet := p.ask("Subscription", map[string]any{"subscriptionId": sub})["walletId"].(string)
		p.do("TopUp", `{"walletId":"`+wallet+`","amount":"10","method":"sandbox"}`)
		p.do("CreateAlert", `{"resourceId":"`+wallet+`","type":"wallet_low_balance","config":{"threshold":"9"},"recipients":`+recipients+`}`)
		p.do("ReportUsage", `{"customerId":"`+customer+`","merchantId":"`+p.merchant.String()+`","idempotencyKey":"`+name+`","timestamp":"2031-01-15T12:00:00Z","properties":[{"billableMetricId":"`+metric+`","quantity":1}]}`)
	}
	low("one", `["full@example.com","a@example.com"]`)
	low("two", `["b@example.com"]`)
	got := box.await(t, 2)
	p.close()
	p.open()
	p.serveMail(addr)
	low("three", `["c@example.com"]`)
	got = box.await(t, len(got)+1)
	box.mu.Lock()
	box.room = true
	tried := box.full
	box.mu.Unlock()
	if tried < 1 {
		t.Error("nothing was put off")
	}
	got = box.await(t, len(got)+1)
	ids := make(map[string]bool)
	for i, to := range []string{"a@", "b@", "c@", "full@"} {
		if id := messageID(got[i]); !strings.Contains(got[i], "To: <"+to) || ids[id] {
			t.Errorf("message %d is %q, want one to %s", i, got[i], to)
		} else {
			ids[id] = true
		}
	}
	if first, last := messageID(got[0]), messageID(got[3]); strings.Replace(first, ".2@", ".1@", 1) != last {
		t.Errorf("the letter that was put off is %s, beside %s", last, first)
	}
	p.close()
	p.open()
	p.serveMail(addr)
	low("four", `["d@example.com"]`)
	if got = box.await(t, 5); len(got) != 5 || !strings.Contains(got[4], "To: <d@") {
		t.Errorf("after another restart: %q", got)
	}
}
