package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tallystick/events"
	"tallystick/internal/natsbus"
	"tallystick/internal/query"
)

func (a *app) keys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, list and revoke API keys",
		RunE:  a.needsSubcommand,
	}
	cmd.AddCommand(a.keysCreate(), a.keysList(), a.keysRevoke())
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
				if a.json {
					return writeJSON(a.Out, r)
				}
				inbox, err := inboxOf(role, r.ID, c.merchant)
				if err != nil {
					return err
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
