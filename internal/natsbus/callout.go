package natsbus

import (
	"errors"
	"fmt"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

const (
	calloutSubject    = "$SYS.REQ.USER.AUTH"
	calloutXKeyHeader = "Nats-Server-Xkey"
)

// callout answers a NATS server elsewhere that asks whom an API key lets in (D22).
type callout struct {
	bus    *Bus
	issuer nkeys.KeyPair
	xkey   nkeys.KeyPair // nil if callouts are not encrypted
}

// AnswerCallouts starts to answer a server elsewhere that asks whom an API key lets in, if we have what user JWTs are signed
// with. Only the instance that holds the streams may answer (see [Bus.Claim]): another knows other keys.
// When it returns, the server knows that we do. It does nothing else where the server is embedded, and where it was called before.
func (b *Bus) AnswerCallouts() error {
	e := b.opts.External
	b.mu.Lock()
	before := b.callouts
	b.mu.Unlock()
	if e == nil || e.IssuerSeed == "" || before != nil {
		return nil
	}
	c, err := newCallout(b, e)
	if err != nil {
		return err
	}
	sub, err := b.books.QueueSubscribe(calloutSubject, "tally", c.answer)
	if err != nil {
		return fmt.Errorf("answering auth callouts: %w", err)
	}
	b.mu.Lock()
	if before = b.callouts; before == nil { // else another goroutine has begun meanwhile
		b.callouts = sub
	}
	b.mu.Unlock()
	if before != nil {
		Leave(b.books, sub) // what it was given meanwhile is answered
		return nil
	}
	if err := b.books.Flush(); err != nil {
		b.StopCallouts()
		return fmt.Errorf("answering auth callouts: %w", err)
	}
	return nil
}

func newCallout(b *Bus, e *External) (c *callout, err error) {
	c = &callout{bus: b}
	if c.issuer, err = nkeys.FromSeed([]byte(e.IssuerSeed)); err != nil {
		return nil, fmt.Errorf("the issuer of user JWTs: %w", err)
	}
	if e.XKeySeed == "" {
		return c, nil
	}
	if c.xkey, err = nkeys.FromCurveSeed([]byte(e.XKeySeed)); err != nil {
		return nil, fmt.Errorf("the key of the auth callout: %w", err)
	}
	return c, nil
}

// StopCallouts ends what [Bus.AnswerCallouts] began, see [Leave]. Callouts that were given to us before are still answered, by
// the keys that we know: nobody else has been asked, and the client would wait in vain.
func (b *Bus) StopCallouts() {
	b.mu.Lock()
	sub := b.callouts
	b.callouts = nil
	b.mu.Unlock()
	if sub != nil {
		Leave(b.books, sub)
	}
}

// Leave ends subscriptions on nc to what others take, too. When it returns, the server gives us nothing more of it, and what it has
// given us is still handled. While there is no connection, nothing can be given to us, and the subscriptions do not come back with it.
func Leave(nc *nats.Conn, subs ...*nats.Subscription) {
	drained := nc.IsConnected()
	for _, sub := range subs {
		drained = drained && sub.Drain() == nil
	}
	if drained && nc.Flush() == nil {
		return
	}
	for _, sub := range subs {
		_ = sub.Unsubscribe() // it has ended with the connection otherwise
	}
}

func (c *callout) answer(msg *nats.Msg) {
	response, err := c.decide(msg)
	if err == nil {
		err = msg.Respond(response)
	}
	if err != nil {
		c.bus.opts.Logger.Warn("auth callout", "error", err)
	}
}

// decide returns the signed answer to a callout, which may be that nobody is let in.
func (c *callout) decide(msg *nats.Msg) ([]byte, error) {
	data, server := msg.Data, msg.Header.Get(calloutXKeyHeader)
	if c.xkey != nil && server != "" {
		var err error
		if data, err = c.xkey.Open(data, server); err != nil {
			return nil, fmt.Errorf("opening the request: %w", err)
		}
	}
	request, err := jwt.DecodeAuthorizationRequestClaims(string(data))
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	response := jwt.NewAuthorizationResponseClaims(request.UserNkey)
	response.Audience = request.Server.ID
	response.Jwt, err = c.user(request)
	if err != nil {
		response.Error = err.Error()
	}
	token, err := response.Encode(c.issuer)
	if err != nil {
		return nil, fmt.Errorf("signing the answer: %w", err)
	}
	if c.xkey == nil || server == "" {
		return []byte(token), nil
	}
	sealed, err := c.xkey.Seal([]byte(token), server)
	if err != nil {
		return nil, fmt.Errorf("sealing the answer: %w", err)
	}
	return sealed, nil
}

var errUnknownKey = errors.New("unknown or revoked API key")

// user returns the JWT of the user that the API key in request stands for. It is good for plain client
// connections only: a leaf node could name reply subjects that the server keeps for itself.
func (c *callout) user(request *jwt.AuthorizationRequestClaims) (string, error) {
	asked := request.ConnectOptions
	id, ok := c.bus.opts.Keys.Authenticate(asked.Token)
	if !ok || claims(asked.Nkey, asked.JWT) {
		return "", errUnknownKey
	}
	p, ok := grant(id)
	if !ok {
		return "", errUnknownKey
	}
	user := jwt.NewUserClaims(request.UserNkey)
	user.Name = id.Key.String()
	user.Audience = p.account
	user.Expires = c.bus.opts.Clock().Add(c.bus.opts.External.UserTTL).Unix()
	user.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard, jwt.ConnectionTypeWebsocket, jwt.ConnectionTypeInProcess)
	if !p.all {
		user.Pub.Allow.Add(p.publish...)
		user.Sub.Allow.Add(p.subscribe...)
	}
	token, err := user.Encode(c.issuer)
	if err != nil {
		return "", fmt.Errorf("signing the user: %w", err)
	}
	return token, nil
}
