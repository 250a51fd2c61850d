package natsbus

import (
	"fmt"
	"strings"
)

// The accounts.
const (
	booksAccount = "TALLY"
	doorAccount  = "TALLY_DOOR"

	systemAccount = "SYS" // of a server elsewhere
)

// accountsConfig is the accounts in the language of the NATS server's configuration. An embedded server is given
// the same text as one elsewhere.
//
// That all which the door imports comes through one export matters: the server drops an answer that is aimed at an
// import of the export it comes from, as a cycle. Of two exports, the answers of the one could be aimed
// at the other. The door imports what is listed and nothing else. threshold is how long the way back of an
// answer is kept open when nothing comes, with some 300 bytes for each request.
//
// Every account answers $JS.API itself, if only to say that it has no JetStream; so a question for a
// consumer is mapped to a name of its own on its way in. For MSG.NEXT the server makes an exception.
const accountsConfig = `accounts {
  ` + booksAccount + ` {
    jetstream: enabled
    exports: [ { service: ">", response: stream, threshold: "35s", accounts: [ ` + doorAccount + ` ] } ]
    imports: [
      { service: { account: ` + doorAccount + `, subject: "tally.cmd.>" }, share: true }
      { service: { account: ` + doorAccount + `, subject: "tally.query.>" }, share: true }%[3]s
    ]%[1]s
  }
  ` + doorAccount + ` {
    exports: [
      { service: "tally.cmd.>" }
      { service: "tally.query.>" }
    ]
    imports: [
      { service: { account: ` + booksAccount + `, subject: "tally.usage.*" } }
      { service: { account: ` + booksAccount + `, subject: "tally.usage.*.*" } }
      { service: { account: ` + booksAccount + `, subject: "$JS.API.CONSUMER.MSG.NEXT.*.*" } }
      { service: { account: ` + booksAccount + `, subject: "$JS.API.CONSUMER.INFO.*.*" }, to: "tally.info.*.*" }
      { service: { account: ` + booksAccount + `, subject: "$JS.ACK.>" } }
      { service: { account: ` + booksAccount + `, subject: "tally.probe.ask" } }
      { service: { account: ` + booksAccount + `, subject: "tally.probe.heard" } }
    ]
    mappings: { "$JS.API.CONSUMER.INFO.*.*": "tally.info.$1.$2" }%[2]s
  }
}
`

// kickConfig lets us end the connections of a key that is revoked: the server's own account, and what the books import of it.
const (
	kickConfig = `system_account: ` + systemAccount + `
`
	kickExport = `accounts {
  ` + systemAccount + ` {
    exports: [ { service: "$SYS.REQ.SERVER.*.KICK", accounts: [ ` + booksAccount + ` ] } ]
  }`
	kickImport = `
      { service: { account: ` + systemAccount + `, subject: "$SYS.REQ.SERVER.*.KICK" } }`
)

// calloutConfig lets the NATS server ask us about API keys. The timeout, in seconds, is for our answer.
const calloutConfig = `authorization {
  timeout: 5
  auth_callout {
    issuer: %[1]q
    account: ` + booksAccount + `
    auth_users: [ %[2]s, %[3]s ]%[4]s
  }
}
`

// ServerUsers are our own two users, public nkeys or names with passwords, and the public keys of
// the auth callout.
type ServerUsers struct {
	Books  ServerUser // in the account TALLY
	Door   ServerUser // in the account TALLY_DOOR
	Issuer string     // public account nkey that signs user JWTs
	XKey   string     // public curve nkey that callouts are encrypted for; "" means that they are not
}

// ServerUser is a user as a NATS server's configuration describes it.
type ServerUser struct {
	Nkey     string // public; or
	Name     string
	Password string // in clear or as the NATS server's bcrypt
}

func (u ServerUser) describe() (id, entry string) {
	if u.Nkey != "" {
		return u.Nkey, fmt.Sprintf("\n    users: [ { nkey: %q } ]", u.Nkey)
	}
	return u.Name, fmt.Sprintf("\n    users: [ { user: %q, password: %q } ]", u.Name, u.Password)
}

// ServerConfig returns what a NATS server elsewhere must have in its configuration: the two accounts, our
// users in them, that we may end connections, and that API keys are asked for by auth callout. All servers of a cluster need the same.
// Leaf nodes and MQTT must not be open to the holders of API keys; what we answer to callouts
// forbids both.
func ServerConfig(u ServerUsers) string {
	books, booksEntry := u.Books.describe()
	door, doorEntry := u.Door.describe()
	var xkey string
	if u.XKey != "" {
		xkey = fmt.Sprintf("\n    xkey: %q", u.XKey)
	}
	accounts := fmt.Sprintf(accountsConfig, booksEntry, doorEntry, kickImport)
	var b strings.Builder
	b.WriteString(kickConfig)
	b.WriteString(strings.Replace(accounts, "accounts {", kickExport, 1))
	fmt.Fprintf(&b, calloutConfig, u.Issuer, books, door, xkey)
	return b.String()
}
