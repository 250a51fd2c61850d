package wire

import (
	"fmt"
	"strconv"

	"tallystick/commands"
	"tallystick/events"
)

const (
	mostRecipients = 10
	mostPeriod     = 366 * 24 * 60 * 60 // seconds
)

// createAlert reads an alert on a wallet.
func (d *Decoder) createAlert(c *call, f *fields) (commands.Command, error) {
	cmd := commands.CreateAlert{Wallet: id[events.WalletNoun](f, "resourceId", required)}
	f.oneOf("type", required, "wallet_low_balance")
	if g, ok := f.within("config", required); ok {
		cmd.Threshold = g.money("threshold", required)
		f.close(g)
	}
	cmd.Disabled = !f.flagOr("enabled", true)
	if by, ok := f.duration("notifyPeriod"); ok {
		seconds := by.days*86_400 + by.seconds
		if by.months != 0 || seconds > mostPeriod {
			f.wrong("notifyPeriod", "must be of days, hours, minutes and seconds, and at most P366D")
		}
		cmd.Period = uint32(seconds)
	}
	recipients := f.addresses("recipients")
	if err := f.finish(); err != nil {
		return nil, err
	}
	consumer, ok, err := d.opts.Directory.WalletConsumer(c.ctx, cmd.Wallet)
	if err != nil {
		return nil, fmt.Errorf("looking up wallet %s: %w", cmd.Wallet, err)
	}
	if ok && len(recipients) > 0 {
		cmd.Recipients, err = d.seal(consumer, PurposeAlert, toJSON(recipients))
	}
	return cmd, err
}

// addresses returns an array of e-mail addresses.
func (f *fields) addresses(name string) (list []string) {
	s := f.take(name, optional)
	if s == nil {
		return nil
	}
	path := f.path + name
	if s.open('[', path, "an array") {
		for first := true; s.more(first, ']'); first = false {
			if len(list) == mostRecipients {
				s.wrong(path, "has more than "+strconv.Itoa(mostRecipients)+" entries")
				break
			}
			at := path + "[" + strconv.Itoa(len(list)) + "]"
			address, ok := NormaliseEmail(string(s.text(at)))
			if !ok {
				s.wrong(at, "must be an e-mail address")
			}
			list = append(list, address)
		}
	}
	if !f.done(s) || len(list) == 0 {
		return nil
	}
	f.note(name, toJSON(list))
	return list
}
