package natsbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"tallystick/events"
)

// kickSubject is where the system account of a server elsewhere lets us end a connection; see [ServerConfig].
const kickSubject = "$SYS.REQ.SERVER.%s.KICK"

// connzSubject is where all servers tell of the connections of the asker's account.
const connzSubject = "$SYS.REQ.ACCOUNT.PING.CONNZ"

// Disconnect closes the connections of a key that is valid no longer. With a server elsewhere it takes until all servers of the
// cluster have answered, a second at most; what it does not reach ends with its user JWT.
func (b *Bus) Disconnect(key events.KeyID) error {
	if b.server == nil {
		return errors.Join(b.kick(b.door, key), b.kick(b.books, key)) // operators are in the books
	}
	conns, err := b.server.Connz(&server.ConnzOptions{Username: true, User: key.String(), Limit: 1 << 20})
	if err != nil {
		return fmt.Errorf("looking for the connections of %s: %w", key, err)
	}
	for _, c := range conns.Conns {
		// An error says that it has gone meanwhile.
		_ = b.server.DisconnectClientByID(c.Cid)
	}
	return nil
}

// kickWait is how long the servers of a cluster may take to tell of connections, each after the one before it.
const kickWait = time.Second

// kick asks all servers for the connections of a key in the account of nc, and has them closed.
func (b *Bus) kick(nc *nats.Conn, key events.KeyID) error {
	question, err := json.Marshal(server.ConnzOptions{Username: true, User: key.String(), Limit: 1024})
	if err != nil {
		return err
	}
	answers, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return fmt.Errorf("looking for the connections of %s: %w", key, err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := nc.PublishRequest(connzSubject, answers.Subject, question); err != nil {
		return fmt.Errorf("looking for the connections of %s: %w", key, err)
	}
	for {
		m, err := answers.NextMsg(kickWait)
		if errors.Is(err, nats.ErrTimeout) {
			return nil // every server that is there has answered
		}
		if err != nil {
			return fmt.Errorf("looking for the connections of %s: %w", key, err)
		}
		var answer server.ServerAPIConnzResponse
		if err := json.Unmarshal(m.Data, &answer); err != nil || answer.Server == nil || answer.Data == nil {
			return fmt.Errorf("looking for the connections of %s: a server has answered %.200q", key, m.Data)
		}
		for _, c := range answer.Data.Conns {
			if err := b.end(answer.Server.ID, c.Cid); err != nil {
				return err
			}
		}
	}
}

// end has a server end a connection.
func (b *Bus) end(id string, cid uint64) error {
	body, err := json.Marshal(server.KickClientReq{CID: cid})
	if err == nil {
		_, err = b.books.Request(fmt.Sprintf(kickSubject, id), body, kickWait)
	}
	if err != nil {
		return fmt.Errorf("ending connection %d of server %s, which ends with its user JWT otherwise: %w", cid, id, err)
	}
	return nil
}
