package natsbus

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"tallystick/events"
)

// Identity is whose an API key is and what it is for.
type Identity struct {
	Key      events.KeyID
	Role     events.KeyRole
	Merchant events.OrganizationID // of a merchant's key
}

// Keys says whose an API key is. It is asked by many goroutines at once, must not wait, and must
// say no from the moment on at which a key is revoked.
type Keys interface {
	Authenticate(secret string) (Identity, bool)
}

const (
	inboxRoot    = "_INBOX_" // begins all private inboxes
	reservedRoot = "_R_."    // begins reply subjects of the server's own, which no client can name
)

// InboxPrefix returns what a client with this key must set as its inbox prefix: a
// merchant's is "_INBOX_" and the merchant's id, another key's "_INBOX_" and the key's.
func (id Identity) InboxPrefix() string {
	if id.Role == events.MerchantKey {
		return inboxRoot + id.Merchant.String()
	}
	return inboxRoot + id.Key.String()
}

// ReplyAllowed reports whether a request about merchant may be answered to reply. In the door
// that is below the merchant's private inbox, or that of an auditor; or what the server
// itself put in the place of the reply subject of an operator, who asks from the
// books. Anything else was aimed at somebody by somebody else.
func ReplyAllowed(merchant events.OrganizationID, reply string) bool {
	if strings.HasPrefix(reply, reservedRoot) {
		return true
	}
	inbox, ok := strings.CutPrefix(reply, inboxRoot)
	if !ok {
		return false
	}
	owner, rest, ok := strings.Cut(inbox, ".")
	if !ok || rest == "" {
		return false
	}
	if owner == merchant.String() && !merchant.IsZero() {
		return true
	}
	_, err := events.ParseID[events.KeyNoun](owner)
	return err == nil
}

// Asker returns the key of an operator who asked from the books. What the NATS server says
// of an asker is believed only where it put its own reply subject: in the door anybody can
// send such a header.
func Asker(msg *nats.Msg) (events.KeyID, bool) {
	if !strings.HasPrefix(msg.Reply, reservedRoot) {
		return events.KeyID{}, false
	}
	var info struct {
		User string `json:"user"`
	}
	if err := json.Unmarshal([]byte(msg.Header.Get("Nats-Request-Info")), &info); err != nil {
		return events.KeyID{}, false
	}
	key, err := events.ParseID[events.KeyNoun](info.User)
	return key, err == nil
}

// consumersPerKey is how many consumers a key can have on each stream.
const consumersPerKey = 4

// ConsumerNames returns the names that the consumers of key have, on any stream.
func ConsumerNames(key events.KeyID) []string {
	names := make([]string, consumersPerKey)
	for i := range names {
		names[i] = key.String() + "-" + strconv.Itoa(i+1)
	}
	return names
}

// permissions are the subjects that a key may use, in one of the accounts.
type permissions struct {
	account   string
	all       bool // everything; the lists are empty
	publish   []string
	subscribe []string
}

// grant returns what the key may do (D22), and false for a role that there is not.
func grant(id Identity) (permissions, bool) {
	p := permissions{account: doorAccount, subscribe: []string{id.InboxPrefix() + ".>"}}
	switch id.Role {
	case events.OperatorKey:
		return permissions{account: booksAccount, all: true}, true
	case events.AuditorKey:
		p.publish = []string{"tally.query.>"}
	case events.MerchantKey:
		if id.Merchant.IsZero() {
			return permissions{}, false
		}
		m := id.Merchant.String()
		p.publish = []string{"tally.cmd." + m + ".>", "tally.query." + m + ".>", "tally.usage." + m}
	default:
		return permissions{}, false
	}
	for _, stream := range readable() {
		for _, name := range ConsumerNames(id.Key) {
			p.publish = append(p.publish,
				"$JS.API.CONSUMER.MSG.NEXT."+string(stream)+"."+name,
				"tally.info."+string(stream)+"."+name, // $JS.API.CONSUMER.INFO, as the door maps it
				"$JS.ACK."+string(stream)+"."+name+".>",
			)
		}
	}
	return p, true
}
