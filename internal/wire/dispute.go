package wire

import (
	"fmt"
	"unicode/utf8"

	"tallystick/commands"
	"tallystick/events"
)

// PurposeDispute is what the messages of a dispute are sealed for: the text itself.
const PurposeDispute = "dispute.message"

// disputes reads the commands of disputes. It reports false for the name of another.
func (d *Decoder) disputes(c *call, name string, f *fields) (cmd commands.Command, ok bool, err error) {
	switch name {
	case "CreateDispute":
		cmd, err = d.createDispute(c, f)
	case "ResolveDispute":
		cmd, err = d.resolveDispute(c, f)
	default:
		return nil, false, nil
	}
	return cmd, true, err
}

// The bounds of what a customer says, in characters.
const (
	leastMessage = 10
	mostMessage  = 1000
)

func (d *Decoder) createDispute(c *call, f *fields) (commands.Command, error) {
	cmd := commands.CreateDispute{Usage: id[events.UsageNoun](f, "usageEventId", required)}
	message := f.text("message", required, 4*mostMessage)
	if n := utf8.RuneCountInString(message); f.bad == nil && (n < leastMessage || n > mostMessage) {
		f.wrong("message", fmt.Sprintf("must have %d to %d characters", leastMessage, mostMessage))
	}
	if err := f.finish(); err != nil {
		return nil, err
	}
	rec, ok, err := d.opts.Directory.UsageRecord(c.ctx, cmd.Usage)
	if err != nil {
		return nil, fmt.Errorf("looking up usage event %s: %w", cmd.Usage, err)
	}
	if !ok {
		return cmd, nil
	}
	cmd.Original, cmd.Merchant = rec.Event.(*events.UsageReported), rec.Merchant // as UsageRecord promises
	cmd.Message, err = d.sealFor(c.ctx, cmd.Original.Customer, PurposeDispute, []byte(message))
	return cmd, err
}

// resolveDispute reads the answer to a dispute, whose usage event has its bytes.
func (d *Decoder) resolveDispute(c *call, f *fields) (commands.Command, error) {
	cmd := commands.ResolveDispute{Dispute: id[events.DisputeNoun](f, "disputeId", required)}
	cmd.Accept = f.oneOf("status", required, "accepted", "declined") == "accepted"
	message := f.nullable("message", mostMessage)
	if err := f.finish(); err != nil {
		return nil, err
	}
	rec, ok, err := d.opts.Directory.UsageRecord(c.ctx, events.UsageID(cmd.Dispute))
	if err != nil {
		return nil, fmt.Errorf("looking up the usage event of %s: %w", cmd.Dispute, err)
	}
	if !ok {
		return cmd, nil
	}
	cmd.Original, cmd.Merchant = rec.Event.(*events.UsageReported), rec.Merchant
	if cmd.Message, err = d.sealFor(c.ctx, cmd.Original.Customer, PurposeDispute, []byte(message)); err != nil {
		return nil, err
	}
	if cmd.Accept {
		cmd.Reason, err = d.sealFor(c.ctx, cmd.Original.Customer, PurposeRefund, []byte(message))
	}
	return cmd, err
}
