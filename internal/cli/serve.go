package cli

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"tallystick/events"
	"tallystick/internal/copies"
	"tallystick/internal/natsbus"
	"tallystick/internal/server"
)

// serving is the flags of tally serve.
type serving struct {
	cfg      server.Config
	doors    server.Doors
	external natsbus.External
	env      string
	sync     string
	grace    time.Duration
	jsonLog  bool
	cacheMB  int64
	proxies  []string
}

func (a *app) serve() *cobra.Command {
	var s serving
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server on a directory",
		Long: `Run a server on the directory --data, which is made if it is not there: the ledger, an embedded NATS server with its
streams, the HTTP API (its description is at /docs), and health and metrics. SIGTERM ends it in order: what was accepted is answered, published, and
signed in a checkpoint.

Where it listens is written to DIR/endpoint.json, with an operator's key that lasts as long as the server; other tally
commands of whoever may read the directory find it there by --data.

With --nats-url it uses a NATS server elsewhere, which must have in its configuration what "tally nats-config" makes: see docs/nats.md.`,
		Example: `  tally serve --data /var/lib/tally
  tally serve --data DIR --nats-listen 0.0.0.0:4222 --nats-cert cert.pem --nats-cert-key key.pem
  tally serve --data DIR --http-listen 0.0.0.0:443 --http-cert cert.pem --http-cert-key key.pem
  tally keys create --data DIR --merchant org_01J…     (while it runs, or while it does not)`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serveNow(cmd.Context(), &s) },
	}
	f := cmd.Flags()
	f.StringVar(&s.env, "environment", string(events.Sandbox), "of a new ledger: sandbox (test clocks, sandbox money) or live; fixed for ever")
	f.Int64Var(&s.cacheMB, "cache-mb", 256, "most memory for blocks of the log, in MiB")
	f.StringVar(&s.doors.HTTP, "metrics-listen", "127.0.0.1:9464", "where health (/healthz) and metrics (/metrics) are; \"\" for nowhere")
	f.StringVar(&s.cfg.PublicURL, "public-url", "", "where people reach the pages, for the links that they are sent (default where HTTP listens)")
	f.StringVar(&s.doors.Mail.URL, "smtp-url", "", "mail server, such as smtp://user:password@host:587; without one a sandbox logs its mail, and a live ledger sends none")
	f.StringVar(&s.doors.Mail.From, "mail-from", "Tallystick <billing@localhost>", "where mail comes from")
	f.DurationVar(&s.doors.CheckpointEvery, "checkpoint-every", 10*time.Second, "how often the tree is signed, if it has grown")
	f.BoolVar(&s.doors.TakeOver, "take-over", false, "take the streams from another instance that will not come back")
	f.DurationVar(&s.grace, "grace", 20*time.Second, "how long an end in order may take")
	f.BoolVar(&s.jsonLog, "log-json", false, "log in JSON")
	s.apiFlags(cmd)
	s.natsFlags(cmd)
	return cmd
}

// apiFlags adds the flags about the HTTP API.
func (s *serving) apiFlags(cmd *cobra.Command) {
	f, l := cmd.Flags(), &s.doors.API
	f.StringVar(&l.Addr, "http-listen", "127.0.0.1:8420", "where the HTTP API is; port 0 takes a free one; \"\" for nowhere")
	f.StringVar(&l.Cert, "http-cert", "", "PEM file with the certificate of --http-listen; without it there is no TLS")
	f.StringVar(&l.Key, "http-cert-key", "", "PEM file with its private key")
	f.StringSliceVar(&s.proxies, "trusted-proxies", nil, "addresses or networks of proxies before --http-listen that say in X-Forwarded-For who came to them; nobody else is believed")
	f.IntVar(&s.doors.APILimit.PerSecond, "http-rate", 1000, "requests a second that each key may send over HTTP; 0 for as many as it likes")
	f.IntVar(&s.doors.APILimit.Burst, "http-burst", 0, "requests that a key may send at once after a rest (default twice --http-rate)")
	cmd.MarkFlagsRequiredTogether("http-cert", "http-cert-key")
}

// natsFlags adds the flags about NATS.
func (s *serving) natsFlags(cmd *cobra.Command) {
	f, n := cmd.Flags(), &s.doors.NATS
	f.StringVar(&n.Listen, "nats-listen", "127.0.0.1:4222", "where clients of the embedded NATS server connect; port 0 takes a free one")
	f.StringVar(&n.ListenCert, "nats-cert", "", "PEM file with the certificate of --nats-listen")
	f.StringVar(&n.ListenKey, "nats-cert-key", "", "PEM file with its private key")
	f.StringVar(&s.sync, "nats-sync", "", "when streams are synced to disk: always, or a duration (default 2m; only a receipt means durable)")
	f.Uint64Var(&n.Keep, "nats-keep", 0, "records that the stream LEDGER keeps, the latest (default all)")
	f.IntVar(&s.external.Replicas, "nats-replicas", 1, "of each stream in a cluster")
	f.DurationVar(&s.external.UserTTL, "nats-user-ttl", 5*time.Minute, "with --nats-url: how long a client is let in before it must show its key again")
	f.BoolVar(&s.doors.StartUnchecked, "start-unchecked", false, "with --nats-url: take commands before the stream was compared with the log")
	cmd.MarkFlagsRequiredTogether("nats-cert", "nats-cert-key")
	externalFlags(cmd, &s.external)
}

// externalFlags adds the flags that say how a NATS server elsewhere is reached.
func externalFlags(cmd *cobra.Command, e *natsbus.External) {
	f := cmd.Flags()
	f.StringVar(&e.URL, "nats-url", "", "NATS server elsewhere, instead of the embedded one")
	f.Var(keysDir{e}, "nats-keys", "directory with the keys that tally nats-config has made, for --nats-url")
	f.StringVar(&e.Creds.File, "nats-creds", "", "instead: file with the seed, or the credentials, of the user in the account TALLY")
	f.StringVar(&e.Door.File, "nats-door-creds", "", "and of the user in the account TALLY_DOOR")
	f.StringVar(&e.CA, "nats-ca", "", "PEM file of the authorities that are trusted")
	f.StringVar(&e.Cert, "nats-client-cert", "", "PEM file with our certificate")
	f.StringVar(&e.Key, "nats-client-key", "", "PEM file with its private key")
	cmd.MarkFlagsRequiredTogether("nats-client-cert", "nats-client-key")
}

// keysDir is the flag that takes a directory of keys.
type keysDir struct{ *natsbus.External }

// Set implements pflag.Value.
func (k keysDir) Set(dir string) error { return k.UseKeys(dir) }

// String implements pflag.Value.
func (keysDir) String() string { return "" }

// Type implements pflag.Value.
func (keysDir) Type() string { return "string" }

// settle checks what flags cannot say, and fills in the configuration.
func (s *serving) settle(a *app, dir string) error {
	switch events.Environment(s.env) {
	case events.Sandbox, events.Live:
	default:
		return usagef("--environment %q is neither sandbox nor live", s.env)
	}
	s.cfg.Dir, s.cfg.Create, s.cfg.Quiet, s.cfg.Environment = dir, true, true, events.Environment(s.env)
	s.cfg.MasterKeyFile = a.at.masterKey
	s.cfg.CacheBytes, s.cfg.Clock, s.cfg.Logger = s.cacheMB<<20, a.Clock, a.serverLogger(s.jsonLog)
	if s.sync == "always" {
		s.doors.NATS.SyncAlways = true
	} else if s.sync != "" {
		every, err := time.ParseDuration(s.sync)
		if err != nil || every <= 0 {
			return usagef("--nats-sync %q is neither always nor a duration such as 10s", s.sync)
		}
		s.doors.NATS.SyncEvery = every
	}
	for _, text := range s.proxies {
		of, err := network(text)
		if err != nil {
			return usagef("--trusted-proxies %q is neither an address nor a network such as 10.0.0.0/8", text)
		}
		s.doors.Proxies = append(s.doors.Proxies, of)
	}
	if s.external.URL == "" {
		return nil
	}
	for name, seed := range map[string]*string{"TALLY_NATS_ISSUER_SEED": &s.external.IssuerSeed, "TALLY_NATS_XKEY_SEED": &s.external.XKeySeed} {
		if *seed == "" {
			*seed = a.Getenv(name)
		}
	}
	s.doors.NATS.External = &s.external
	return nil
}

// network reads a network, or the network of one address.
func network(text string) (netip.Prefix, error) {
	if at, err := netip.ParseAddr(text); err == nil {
		return at.Prefix(at.BitLen())
	}
	return netip.ParsePrefix(text)
}

func (a *app) serveNow(ctx context.Context, s *serving) (err error) {
	if a.at.server != "" {
		return usagef("serve runs a server on a directory: give --data, not --server")
	}
	c, err := a.settle()
	if err == nil {
		err = s.settle(a, c.dir)
	}
	if err != nil {
		return err
	}
	if err := a.takeRest(ctx, s); err != nil {
		return err
	}
	srv, err := server.Open(ctx, s.cfg)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.grace)
		defer cancel()
		err = errors.Join(err, srv.Close(end))
	}()
	if err := srv.Serve(ctx, s.doors); err != nil {
		return err
	}
	a.say("ledger %s in %s\n", srv.Ledger(), c.dir)
	for name, url := range map[string]string{"NATS": srv.NATSURL(), "HTTP API": srv.APIURL(), "health and metrics": srv.HTTPURL()} {
		if url != "" {
			a.say("%s at %s\n", name, url)
		}
	}
	<-ctx.Done() // a ledger that has failed goes on to say so, over NATS and in its health
	s.cfg.Logger.Info("ending")
	return srv.Err()
}

// takeRest takes from the streams what a directory lacks that was made from a copy, before anything is appended to it (D18).
// Streams that cannot be reached are compared later: until then the server answers STREAM_UNCHECKED to commands.
func (a *app) takeRest(ctx context.Context, s *serving) error {
	if _, err := os.Stat(filepath.Join(s.cfg.Dir, copies.RestoredFile)); err != nil {
		return nil
	}
	if _, err := os.Stat(filepath.Join(s.cfg.Dir, "nats")); err != nil && s.external.URL == "" {
		return nil // there is nothing published that could be ahead
	}
	r := restoring{external: s.external}
	err := a.restoreStream(ctx, &r)
	if errors.Is(err, errUnreached) {
		s.cfg.Logger.Warn("the streams cannot be compared with the restored log yet", "error", err)
		return nil
	}
	return err
}

// serverLogger returns where a server logs to: what an operator should see, and with --verbose everything.
func (a *app) serverLogger(asJSON bool) *slog.Logger {
	opts := &slog.HandlerOptions{Level: slog.LevelInfo}
	if a.verbose {
		opts.Level = slog.LevelDebug
	}
	if asJSON {
		return slog.New(slog.NewJSONHandler(a.Err, opts))
	}
	return slog.New(slog.NewTextHandler(a.Err, opts))
}
