package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tallystick/events"
	"tallystick/internal/natsbus"
	"tallystick/internal/query"
	"tallystick/internal/server"
)

func (a *app) keys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, list and revoke API keys; change the master key and that of checkpoints",
		RunE:  a.needsSubcommand,
	}
	cmd.AddCommand(a.keysCreate(), a.keysList(), a.keysRevoke(), a.keysRotateMaster(), a.keysRotateSigning())
	return cmd
}

func (a *app) keysCreate() *cobra.Command {
	var role, name string
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make an API key, and show it this once",
		Long: `Make an API key and show it. It is kept nowhere: what is lost cannot be found again, only replaced.

Roles: merchant (the business of --merchant), operator (everything), auditor (read everything, write nothing).`,
		Example: `  tally keys create --merchant org_01JD3W0000000000000000000A --name "production"
  tally keys create --role auditor --name "yearly audit"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.settle()
			if err != nil {
				return err
			}
			body := object{"role": role, "name": name}
			switch {
			case role == "merchant" && c.merchant == "":
				return usagef("a merchant's key needs --merchant")
			case role == "merchant":
				body["merchantId"] = c.merchant
			default:
				a.at.merchant = "" // the key belongs to nobody
			}
			return a.with(cmd.Context(), func(b Backend) error {
				r, err := tell(cmd.Context(), b, "CreateKey", body)
				if err != nil {
					return err
				}
				inbox, err := inboxOf(role, r.ID, c.merchant)
				if err != nil {
					return err
				}
				if a.json {
					return writeJSON(a.Out, struct {
						receipt
						Inbox string `json:"inbox"`
					}{r, inbox})
				}
				a.say("key     %s\nsecret  %s\ninbox   %s\n", r.ID, r.Secret, inbox)
				a.note("The secret is shown this once. Clients give it as their NATS token, and set the inbox as their inbox prefix.\n")
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "merchant", "merchant, operator or auditor")
	cmd.Flags().StringVar(&name, "name", "", "what it is for")
	return cmd
}

func (a *app) keysList() *cobra.Command {
	var page query.Page
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List API keys, without their secrets",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l := object{"limit": page.Limit, "offset": page.Offset, "revoked": all}
			if err := a.narrow(l, query.At{}, nil); err != nil {
				return err
			}
			return printAnswer(cmd.Context(), a, "Keys", l, a.showKeys)
		},
	}
	listFlags(cmd, &page)
	cmd.Flags().BoolVar(&all, "revoked", false, "those that are revoked too")
	return cmd
}

func (a *app) showKeys(list *query.List[query.Key]) {
	t := newTable("key", "role", "merchant", "made at", "state", "name")
	for i := range list.Items {
		k := &list.Items[i]
		state := "valid"
		if k.Revoked {
			state = "revoked"
		}
		t.add(k.ID.String(), string(k.Role), k.Merchant.String(), fmt.Sprint(k.Created), state, k.Name)
	}
	t.write(a.Out)
	a.showMore(list.More)
}

func (a *app) keysRevoke() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke KEY",
		Short:   "End the validity of an API key, and its connections",
		Example: `  tally keys revoke key_01JD3W0000000000000000000A`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(b Backend) error {
				r, err := tell(cmd.Context(), b, "RevokeKey", object{"keyId": args[0]})
				if err != nil {
					return err
				}
				if a.json {
					return writeJSON(a.Out, r)
				}
				a.say("revoked %s at sequence %d\n", r.ID, r.Sequence)
				return nil
			})
		},
	}
}

// inboxOf returns the inbox prefix of a key.
func inboxOf(role, key, merchant string) (string, error) {
	id := natsbus.Identity{Role: events.KeyRole(role)}
	err := id.Key.UnmarshalText([]byte(key))
	if role == "merchant" {
		err = errors.Join(err, id.Merchant.UnmarshalText([]byte(merchant)))
	}
	return id.InboxPrefix(), err
}

func (a *app) keysRotateMaster() *cobra.Command {
	var given bool
	cmd := &cobra.Command{
		Use:   "rotate-master",
		Short: "Wrap the keys of personal data by a new master key",
		Long: `Make a new master key, wrap the keys of personal data by it, and forget the old one. It needs a directory that nobody
has open: stop the server, and start it again afterwards. If it is interrupted, run it again; the directory can be opened
at any moment.

The old master key is still needed for backups that were made before, and until a server has run on the directory for the
mirror of the keys that restore --from-nats takes them from. So keep a copy of the new file, and of the old one as long as
such backups.

Where the file is not tally's to write, put the new key as a line above the old one, run this with --given, which wraps
all keys by the first one of the file, and then take the old one out.`,
		Example: `  tally keys rotate-master --data DIR
  tally keys rotate-master --data DIR --master-key-file /etc/tally/master.key --given`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.settle()
			if err != nil {
				return err
			}
			if c.server != "" {
				return usagef("the master key is changed in a directory that no server has open: give --data")
			}
			done, err := server.Rotation{Dir: c.dir, MasterKeyFile: c.masterKey, Given: given}.Run(cmd.Context())
			if locked, ok := errors.AsType[*server.LockedError](err); ok {
				return errors.New(locked.Holder() + ": stop it first, and start it again when the master key is changed")
			}
			if err != nil {
				return err
			}
			if a.json {
				return writeJSON(a.Out, done)
			}
			a.say("%d keys, and %d that are destroyed, are wrapped by the first master key in %s\n", done.Keys, done.Tombstones, done.File)
			a.note("Keep a copy of that file. The one before is needed for backups that were made before, and for the published keys until a server has run.\n")
			return nil
		},
	}
	cmd.Flags().BoolVar(&given, "given", false, "make no key: the first one in the file is the new one")
	return cmd
}

func (a *app) keysRotateSigning() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-signing",
		Short: "Sign checkpoints with a new key",
		Long: `Make a new key by which checkpoints are signed, and print its public half, which is to be given to auditors. The key before
signs too until the next rotation, so that who knows only that one can check meanwhile. DIR/keys/checkpoint.pub keeps the public
halves of all keys there were. It needs a directory that nobody has open: stop the server, and start it again afterwards.`,
		Example: `  tally keys rotate-signing --data DIR`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(b Backend) error {
				l, ok := b.(*local)
				if !ok {
					return usagef("the key of checkpoints is changed in a directory that no server has open: stop it first, and give --data")
				}
				public, err := l.RotateSigning()
				if err != nil {
					return err
				}
				if a.json {
					return writeJSON(a.Out, struct {
						Public string `json:"publicKey"`
					}{public})
				}
				a.say("%s\n", public)
				a.note("Give this key to auditors. The one before signs too, until the next rotation.\n")
				return nil
			})
		},
	}
}
