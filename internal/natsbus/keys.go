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

// InboxPrefix returns the prefix of the inboxes that belong to this key alone: "_INBOX_" and the key's id. A merchant's key may
// also use the merchant's, "_INBOX_" and the merchant's id, on which all of its keys receive.
func (id Identity) InboxPrefix() string { return inboxRoot + id.Key.String() }

// Inbox is whose private inbox a subject lies in.
type Inbox struct {
	Key      events.KeyID          // of a key; or
	Merchant events.OrganizationID // of all keys of a merchant
}

// InboxOf returns whose private inbox a reply subject lies in, and false if it is nobody's. A request from the door may be answered there only
// if the inbox is its merchant's, or that of one of the merchant's keys or of an auditor: anything else was aimed at somebody by somebody else.
func InboxOf(reply string) (in Inbox, ok bool) {
	inbox, ok := strings.CutPrefix(reply, inboxRoot)
	if !ok {
		return in, false
	}
	owner, rest, ok := strings.Cut(inbox, ".")
	if !ok || rest == "" {
		return in, false
	}
	var err error
	if strings.HasPrefix(owner, "key_") {
		in.Key, err = events.ParseID[events.KeyNoun](owner)
	} else {
		in.Merchant, err = events.ParseID[events.OrganizationNoun](owner)
	}
	return in, err == nil
}

// SubjectKey returns the key that the subject of a request names, as its fifth token: tally.cmd.<scope>.<Command>.<key>. Nobody
// but that key, and operators, may publish there, which a reply subject does not prove.
func SubjectKey(subject string) (key events.KeyID, named bool) {
	return keyAt(subject, 4)
}

// UsageKey returns the key that a subject of usage names, as its fourth token: tally.usage.<merchant>.<key>.
func UsageKey(subject string) (key events.KeyID, named bool) {
	return keyAt(subject, 3)
}

// keyAt returns the key that is the last token of a subject, if that is the nth token, from 0. A token that is no key gives the zero
// key, which is nobody's.
func keyAt(subject string, n int) (key events.KeyID, named bool) {
	if strings.Count(subject, ".") != n {
		return key, false
	}
	key, err := events.ParseID[events.KeyNoun](subject[strings.LastIndexByte(subject, '.')+1:])
	if err != nil {
		return events.KeyID{}, true
	}
	return key, true
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
		p.publish = []string{"tally.query.*.*", "tally.query.*.*." + id.Key.String()}
	case events.MerchantKey:
		if id.Merchant.IsZero() {
			return permissions{}, false
		}
		m, key := id.Merchant.String(), id.Key.String()
		p.publish = []string{
			"tally.cmd." + m + ".*", "tally.query." + m + ".*", "tally.usage." + m,
			"tally.cmd." + m + ".*." + key, "tally.query." + m + ".*." + key, "tally.usage." + m + "." + key,
		}
		p.subscribe = append(p.subscribe, inboxRoot+m+".>")
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
