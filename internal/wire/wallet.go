package wire

import (
	"strconv"
	"time"
	_ "time/tzdata" // so that the names of time zones mean the same on every machine

	"tallystick/commands"
	"tallystick/events"
)

// WalletLabel is what a wallet is called by whoever has made it.
type WalletLabel struct {
	Name        string `json:"name,omitempty"`
	Tag         string `json:"tag,omitempty"`
	Description string `json:"description,omitempty"`
}

// createWallet reads a wallet for a consumer. What it is called is sealed under the consumer's key.
func (d *Decoder) createWallet(c *call, f *fields) (commands.Command, error) {
	cmd := commands.CreateWallet{
		Owner: id[events.OrganizationNoun](f, "ownedBy", required), Currency: f.currency("currency"),
		Timezone: f.timezone("timezone"), Initial: f.digits("initialBalance"),
	}
	label := WalletLabel{Name: f.text("name", required, 255), Tag: f.text("tag", optional, 255), Description: f.text("description", optional, 1024)}
	if err := f.finish(); err != nil || cmd.Owner == c.request.Merchant { // a merchant's is refused by the rules
		return cmd, err
	}
	var err error
	cmd.Label, err = d.sealForNamed(cmd.Owner, PurposeWallet, toJSON(label))
	return cmd, err
}

// digits returns an amount in billionths of a currency's unit, written as a string of digits; 0 where there is none.
func (f *fields) digits(name string) events.Nanos {
	v := f.text(name, optional, 32)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil {
		f.wrong(name, "must be a string of digits, in billionths of the currency's unit")
		return 0
	}
	return events.Nanos(n)
}

// timezone returns the name of a time zone of the tz database, "" where there is none.
func (f *fields) timezone(name string) string {
	v := f.text(name, optional, 64)
	if _, err := time.LoadLocation(v); err != nil || v == "Local" {
		f.wrong(name, "must be the name of a time zone, such as Europe/Berlin")
		return ""
	}
	return v
}
