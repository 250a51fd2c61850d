package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/client"
	"tallystick/internal/natsdoor"
	"tallystick/internal/server"
	"tallystick/internal/wire"
)

// Backend is a ledger that can be told and asked something: a running server, or a directory that is open here.
type Backend interface {
	// Command carries out a command given as JSON and returns the answer. A refusal is an answer.
	Command(ctx context.Context, name string, body []byte) ([]byte, error)
	// Query answers a question given as JSON. A refusal is a [*commands.Rejection].
	Query(ctx context.Context, name string, args []byte) ([]byte, error)
	// Close must be called when the ledger is no longer needed.
	Close() error
}

// connection says which ledger is meant, and who asks.
type connection struct {
	dir, server, key, merchant, inbox, ca string
	cert, certKey                         string // our certificate and its key
	masterKey                             string // file with the key of the directory's keys; "" for the one in it
}

// settle puts in what the environment says where flags say nothing. Only the first call does.
func (a *app) settle() (connection, error) {
	c := a.at
	if a.settled {
		return c, nil
	}
	for _, v := range []struct {
		field *string
		name  string
	}{{&c.server, "TALLY_SERVER"}, {&c.key, "TALLY_KEY"}, {&c.merchant, "TALLY_MERCHANT"}, {&c.inbox, "TALLY_INBOX"}, {&c.ca, "TALLY_CA"}, {&c.cert, "TALLY_CLIENT_CERT"}, {&c.certKey, "TALLY_CLIENT_KEY"}, {&c.masterKey, "TALLY_MASTER_KEY_FILE"}, {&c.dir, "TALLY_DATA"}} {
		if *v.field == "" && (v.name != "TALLY_SERVER" || c.dir == "") { // --data is not overruled by the environment
			*v.field = a.Getenv(v.name)
		}
	}
	if c.dir == "" {
		c.dir = "tally-data"
	}
	a.at, a.settled = c, true
	if c.merchant != "" {
		if _, err := events.ParseID[events.OrganizationNoun](c.merchant); err != nil {
			return c, usagef("--merchant: %v", err)
		}
	}
	return c, nil
}

// open opens the ledger that the flags name.
func (a *app) open(ctx context.Context) (Backend, error) {
	c, err := a.settle()
	if err != nil {
		return nil, err
	}
	if c.server != "" {
		if c.key == "" {
			return nil, usagef("--server needs an API key: --key, or TALLY_KEY in the environment")
		}
		return connect(c)
	}
	local, err := a.openDirectory(ctx, c)
	var locked *server.LockedError
	if !errors.As(err, &locked) {
		return local, err
	}
	if !c.endpoint() {
		return nil, err
	}
	return connect(c)
}

// endpoint puts in where the server of the directory is, and reports whether that is known.
func (c *connection) endpoint() bool {
	at, found := readEndpoint(c.dir)
	if !found {
		return false
	}
	c.server, c.ca, c.cert, c.certKey = at.NATS, at.CA, at.Cert, at.CertKey
	if c.key == "" {
		c.key = at.Key
	}
	return true
}

// endpoint is what a running server leaves in its directory for whoever may read it.
type endpoint struct {
	NATS string `json:"nats"`
	HTTP string `json:"http"`
	CA   string `json:"ca"`  // PEM file of the authorities to trust; "" for the system's
	Key  string `json:"key"` // an operator's key that lasts as long as the server

	Cert    string `json:"clientCert"` // PEM file of the certificate that the NATS server wants to see; "" for none
	CertKey string `json:"clientKey"`  // PEM file of its private key
}

// endpointFile is the name of the file with an endpoint.
const endpointFile = "endpoint.json"

func readEndpoint(dir string) (e endpoint, found bool) {
	b, err := os.ReadFile(filepath.Join(dir, endpointFile))
	if err != nil {
		return e, false
	}
	return e, json.Unmarshal(b, &e) == nil && e.NATS != "" && e.Key != ""
}

// remote is a running server.
type remote struct {
	*client.Client
	scope  string
	denied context.Context //nolint:containedctx // it ends when the server says that the key may not ask like this
	link   *link
}

// connect connects to a running server. A merchant's key has the inbox of its merchant; an auditor's has one of its
// own, which was shown with the key; an operator's may have any.
func connect(c connection) (Backend, error) {
	scope := c.merchant
	if scope == "" {
		scope = natsdoor.OperatorScope
	}
	if c.inbox == "" {
		c.inbox = "_INBOX_" + scope
	}
	opts := client.Options{Key: c.key, Inbox: c.inbox, Scope: scope}
	if c.ca != "" {
		opts.NATS = append(opts.NATS, nats.RootCAs(c.ca))
	}
	if c.cert != "" {
		opts.NATS = append(opts.NATS, nats.ClientCert(c.cert, c.certKey))
	}
	if strings.HasPrefix(c.server, "http://") || strings.HasPrefix(c.server, "https://") {
		return nil, usagef("--server is where the ledger's NATS is, such as nats://127.0.0.1:4222; %s is where HTTP is", c.server)
	}
	denied, deny := context.WithCancelCause(context.Background())
	opts.NATS = append(opts.NATS, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) { // requests would wait for an answer that never comes
			deny(usagef("this key may not ask like this: name its merchant by --merchant, or its inbox by --inbox (%v)", err))
		}
	}))
	link := newLink()
	opts.NATS = append(opts.NATS, nats.DisconnectErrHandler(func(*nats.Conn, error) { link.down() }), nats.ReconnectHandler(func(*nats.Conn) { link.up() }))
	cl, err := client.Connect(c.server, opts)
	if err != nil {
		return nil, err
	}
	return remote{cl, scope, denied, link}, nil
}

// allowed returns a context that ends with ctx, when the server says that the key may not ask, and when the connection is lost.
func (r remote) allowed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	var stops []func() bool
	for _, other := range []context.Context{r.denied, r.link.while()} {
		stops = append(stops, context.AfterFunc(other, func() { cancel(context.Cause(other)) }))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel(nil)
	}
}

// why returns the error of a request that was made while ctx lasted: why that ended, if so.
func why(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Command implements [Backend].
func (r remote) Command(ctx context.Context, name string, body []byte) ([]byte, error) {
	ctx, done := r.allowed(ctx)
	defer done()
	answer, err := r.Send(ctx, name, body)
	return answer, why(ctx, err)
}

// Query implements [Backend].
func (r remote) Query(ctx context.Context, name string, args []byte) ([]byte, error) {
	var members map[string]any
	dec := json.NewDecoder(bytes.NewReader(args))
	dec.UseNumber()
	if err := dec.Decode(&members); err != nil {
		return nil, usagef("the arguments are no JSON object: %v", err)
	}
	ctx, done := r.allowed(ctx)
	defer done()
	ctx, cancel := context.WithTimeout(ctx, patience(name))
	defer cancel()
	var answer json.RawMessage
	if err := r.Client.Query(ctx, name, members, &answer); err != nil {
		return nil, why(ctx, err)
	}
	var refused receipt // a refusal is answered with a receipt
	if err := json.Unmarshal(answer, &refused); err == nil && refused.err() != nil {
		return nil, refused.err()
	}
	return answer, nil
}

// patience returns how long the answer to a query may take. Operators' tasks read the whole ledger.
func patience(name string) time.Duration {
	switch name {
	case "Verify", "Rebuild", "Backup":
		return 24 * time.Hour
	}
	return 2 * time.Minute
}

// Close implements [Backend].
func (r remote) Close() error {
	r.Client.Close()
	return nil
}

// local is a directory that is open here. Whoever may open it is an operator.
type local struct {
	*server.Server
	who      wire.Who
	merchant events.OrganizationID
}

func (a *app) openDirectory(ctx context.Context, c connection) (*local, error) {
	s, err := server.Open(ctx, server.Config{Dir: c.dir, MasterKeyFile: c.masterKey, Quiet: true, Clock: a.Clock, Logger: a.logger()})
	if err != nil {
		return nil, err
	}
	l := &local{Server: s, who: wire.Who{Role: events.OperatorKey}}
	if c.merchant != "" {
		if l.merchant, err = events.ParseID[events.OrganizationNoun](c.merchant); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// Command implements [Backend].
func (l *local) Command(ctx context.Context, name string, body []byte) ([]byte, error) {
	return l.Server.Command(ctx, l.who, l.merchant, name, body)
}

// Query implements [Backend]. The answer includes everything that is recorded.
func (l *local) Query(ctx context.Context, name string, args []byte) ([]byte, error) {
	if err := l.Views.WaitFor(ctx, l.Sequencer.Applied()); err != nil {
		return nil, fmt.Errorf("bringing the views up to date: %w", err)
	}
	return l.Server.Query(ctx, l.who, name, args)
}

// Close implements [Backend].
func (l *local) Close() error { return l.Server.Close(context.Background()) }

// with calls fn with the ledger that the flags name.
func (a *app) with(ctx context.Context, fn func(Backend) error) error {
	b, err := a.open(ctx)
	if err != nil {
		return err
	}
	err = fn(b)
	return errors.Join(err, b.Close())
}

// ask asks a question and returns the answer.
func ask[R any](ctx context.Context, b Backend, name string, args any) (answer R, err error) {
	body, err := json.Marshal(args)
	if err != nil {
		return answer, fmt.Errorf("encoding the arguments of %s: %w", name, err)
	}
	data, err := b.Query(ctx, name, body)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return answer, fmt.Errorf("reading the answer to %s: %w", name, err)
	}
	return answer, nil
}

// tell carries out a command and returns its receipt. A refusal is an error.
func tell(ctx context.Context, b Backend, name string, args any) (receipt, error) {
	var r receipt
	body, err := json.Marshal(args)
	if err != nil {
		return r, fmt.Errorf("encoding %s: %w", name, err)
	}
	data, err := b.Command(ctx, name, body)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("reading the receipt of %s: %w", name, err)
	}
	return r, r.err()
}

// receipt is a receipt as clients read it.
type receipt struct {
	Status   commands.ReceiptStatus `json:"status"`
	Sequence events.Seq             `json:"sequence"`
	ID       string                 `json:"id"`
	Secret   string                 `json:"secret"`
	Code     commands.Code          `json:"code"`
	Message  string                 `json:"message"`
}

// err returns the refusal that r is, or nil.
func (r *receipt) err() error {
	if r.Status == commands.Rejected {
		return &commands.Rejection{Code: r.Code, Message: r.Message}
	}
	return nil
}
