// Package client talks to a running ledger over NATS: commands, queries, usage. It is what the command line, the
// demonstration and the measurements use, and shows how little another language needs.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"tallystick/commands"
	"tallystick/events"
)

// Client is a connection with one API key. It may be used from any goroutine.
type Client struct {
	nc    *nats.Conn
	scope string
	key   string        // what is put behind subjects: the key, where it is known, with a dot before it
	seen  atomic.Uint64 // highest sequence of a receipt
}

// Options say how to connect.
type Options struct {
	Key   string // the API key; it is the NATS token
	Inbox string // the prefix of the key's private inboxes, as the ledger gave it with the key; "_INBOX_" and a merchant's id works too, and names no key
	Scope string // a merchant's id, or "_operator": the token of the subjects of commands and queries
	NATS  []nats.Option
}

// connectTimeout is how long a NATS server may take to let us in: one elsewhere asks the ledger whom the key lets in, and waits as long for
// the answer.
const connectTimeout = 5 * time.Second

// Connect connects to a ledger.
func Connect(url string, o Options) (*Client, error) {
	opts := append([]nats.Option{
		nats.Name("tally"), nats.Token(o.Key), nats.CustomInboxPrefix(o.Inbox), nats.MaxReconnects(-1), nats.Timeout(connectTimeout),
	}, o.NATS...)
	nc, err := nats.Connect(url, opts...)
	if errors.Is(err, nats.ErrAuthorization) {
		return nil, fmt.Errorf("connecting to %s: the API key is not valid there: %w", url, err)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", url, err)
	}
	c := &Client{nc: nc, scope: o.Scope}
	if key, ok := strings.CutPrefix(o.Inbox, "_INBOX_key_"); ok {
		c.key = ".key_" + key
	}
	return c, nil
}

// Conn returns the connection itself.
func (c *Client) Conn() *nats.Conn { return c.nc }

// Subject returns where a command ("cmd") or a query ("query") is sent.
func (c *Client) Subject(kind, name string) string {
	return "tally." + kind + "." + c.scope + "." + name + c.key
}

// Close ends the connection. What is under way has an unknown outcome.
func (c *Client) Close() { c.nc.Close() }

// Send sends a command and returns the body of the answer.
func (c *Client) Send(ctx context.Context, name string, body []byte) ([]byte, error) {
	return c.request(ctx, c.Subject("cmd", name), body)
}

// Command carries out a command and returns its receipt. A refusal is a receipt too, with a [*commands.Rejection]
// as the error.
func (c *Client) Command(ctx context.Context, name string, body any) (commands.Receipt, error) {
	var receipt commands.Receipt
	data, err := json.Marshal(body)
	if err != nil {
		return receipt, fmt.Errorf("encoding %s: %w", name, err)
	}
	answer, err := c.Send(ctx, name, data)
	if err != nil {
		return receipt, err
	}
	if err := json.Unmarshal(answer, &receipt); err != nil {
		return receipt, fmt.Errorf("reading the receipt of %s: %w", name, err)
	}
	c.saw(receipt)
	if receipt.Status == commands.Rejected {
		return receipt, &commands.Rejection{Code: receipt.Code, Message: receipt.Message}
	}
	return receipt, nil
}

// ReportUsage reports a batch of 1 to 1000 usage events and returns their receipts, in order.
func (c *Client) ReportUsage(ctx context.Context, body []byte) ([]commands.Receipt, error) {
	answer, err := c.Send(ctx, "ReportUsage", body)
	if err != nil {
		return nil, err
	}
	var batch struct {
		Receipts []commands.Receipt `json:"receipts"`
		commands.Receipt
	}
	if err := json.Unmarshal(answer, &batch); err != nil {
		return nil, fmt.Errorf("reading receipts: %w", err)
	}
	if batch.Receipts == nil {
		batch.Receipts = []commands.Receipt{batch.Receipt}
	}
	c.saw(batch.Receipts...)
	return batch.Receipts, nil
}

// saw notes what was recorded, so that queries wait for it.
func (c *Client) saw(receipts ...commands.Receipt) {
	for i := range receipts {
		c.Saw(receipts[i].Seq)
	}
}

// Saw notes that somebody else was told of a record: queries from now on include it.
func (c *Client) Saw(seq events.Seq) {
	for {
		seen := c.seen.Load()
		if uint64(seq) <= seen || c.seen.CompareAndSwap(seen, uint64(seq)) {
			return
		}
	}
}

// Query asks a question, with arguments that are members of a JSON object, and reads the answer into out. The answer
// includes all that this client was given receipts for.
func (c *Client) Query(ctx context.Context, name string, args map[string]any, out any) error {
	asked := map[string]any{"atLeast": c.seen.Load()}
	maps.Copy(asked, args)
	data, err := json.Marshal(asked)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	answer, err := c.request(ctx, c.Subject("query", name), data)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("reading the answer to %s: %w", name, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, subject string, body []byte) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Minute)
		defer cancel()
	}
	m, err := c.nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", subject, err)
	}
	return m.Data, nil
}
