package natsbus

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"tallystick/events"
)

// Options say which NATS is used and how. The zero value is an embedded server that listens nowhere;
// Dir and Keys are needed.
type Options struct {
	Dir  string // of the embedded server's streams
	Keys Keys   // says whose an API key is

	Listen      string        // host:port for clients; port 0 means any; "" means none
	ListenCert  string        // PEM file of the listener's certificate; "" means no TLS
	ListenKey   string        // PEM file of its private key
	MaxPayload  int           // most bytes of a message; 0 means 1 MiB
	SyncAlways  bool          // streams are synced with each message
	SyncEvery   time.Duration // otherwise so often; 0 means 2 minutes
	MaxStore    int64         // most bytes of all streams; 0 means three quarters of the free disk
	StartWithin time.Duration // how long the server may take to start; 0 means 10 s

	External *External // a server elsewhere instead

	Keep        uint64 // records that LEDGER keeps; 0 means all
	UsageBytes  int64  // most bytes that wait in USAGE; 0 means 1 GiB
	UsageCount  int64  // most messages of one merchant that wait in USAGE; 0 means 100,000
	RejectBytes int64  // most bytes in REJECTED; 0 means 1 GiB
	NotifyBytes int64  // most bytes in NOTIFY; 0 means 1 GiB

	Clock  func() time.Time // needed with External.IssuerSeed
	Logger *slog.Logger     // nil means that nothing is logged
}

// External says how a NATS server elsewhere is reached. [ServerConfig] prints what it must be told.
type External struct {
	URL   string      // one, or several with commas between them
	Creds Credentials // of our user in the account TALLY
	Door  Credentials // of our user in the account TALLY_DOOR

	CA   string // PEM file of the authorities that are trusted; "" means the system's
	Cert string // PEM file of our certificate; "" means none
	Key  string // PEM file of its private key

	Replicas int // of each stream; 0 means 1

	IssuerSeed string        // nkey seed that user JWTs are signed with; "" means that somebody else answers the auth callout
	XKeySeed   string        // curve nkey seed that callouts are encrypted for; "" means that they are not
	UserTTL    time.Duration // how long a user JWT is valid, and so a revoked key at most; 0 means 5 minutes
}

// Credentials are what a server elsewhere knows one of our users by: a file, or a name with a password, or a seed.
type Credentials struct {
	File     string // with an nkey seed, as tally nats-config writes it; or a JWT and a seed, as nsc does
	Seed     string // an nkey seed
	User     string
	Password string
}

var (
	errNoKeys  = errors.New("natsbus: no keys given")
	errNoClock = errors.New("natsbus: answering auth callouts needs a clock")
)

func (o Options) withDefaults() (Options, error) {
	if o.Keys == nil {
		return o, errNoKeys
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = 1 << 20
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = 2 * time.Minute
	}
	if o.StartWithin == 0 {
		o.StartWithin = 10 * time.Second
	}
	for _, n := range []*int64{&o.UsageBytes, &o.RejectBytes, &o.NotifyBytes} {
		if *n == 0 {
			*n = 1 << 30
		}
	}
	if o.UsageCount == 0 {
		o.UsageCount = 100_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.External != nil {
		e := *o.External
		if e.UserTTL == 0 {
			e.UserTTL = 5 * time.Minute
		}
		e.Replicas = max(e.Replicas, 1)
		o.External = &e
	}
	return o, nil
}

func (o *Options) replicas() int {
	if o.External != nil {
		return o.External.Replicas
	}
	return 1
}

// needPayload is the least that a server must let a message have: the largest record and
// what goes with it (D5).
const needPayload = events.MaxRecordBytes + 8<<10

// splitListen reads host:port. Port 0 is -1, as the NATS server wants it for any.
func splitListen(s string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("listening on %q: %w", s, err)
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("listening on %q: the port is not a number", s)
	}
	if n == 0 {
		return host, -1, nil
	}
	return host, int(n), nil
}
