package cli

import (
	"github.com/spf13/cobra"

	"tallystick/internal/natsbus"
)

func (a *app) natsConfig() *cobra.Command {
	return &cobra.Command{
		Use:   "nats-config DIR",
		Short: "Make the keys and the configuration for a NATS server elsewhere",
		Long: `Make in DIR the keys by which tally and a NATS server elsewhere know each other, and DIR/tally.conf, which every server of the
cluster includes in its configuration. Keys that are there are kept. The seeds in DIR/*.nk are for "tally serve --nats-keys DIR" alone;
tally.conf has no secrets.`,
		Example: `  tally nats-config keys
  tally serve --data DIR --nats-url tls://nats:4222 --nats-keys keys --nats-ca ca.pem`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			config, err := natsbus.MakeKeys(args[0])
			if err != nil {
				return err
			}
			if a.json {
				return writeJSON(a.Out, object{"config": config})
			}
			a.say("%s\n", config)
			return nil
		},
	}
}
