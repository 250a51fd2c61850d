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
	var err error
	if cmd.Original, cmd.Merchant, err = d.usage(c.ctx, cmd.Usage); err != nil || cmd.Original == nil {
		return cmd, err
	}
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
	var err error
	if cmd.Original, cmd.Merchant, err = d.usage(c.ctx, events.UsageID(cmd.Dispute)); err != nil || cmd.Original == nil {
		return cmd, err
	}
	if cmd.Message, err = d.sealFor(c.ctx, cmd.Original.Customer, PurposeDispute, []byte(message)); err != nil {
		return nil, err
	}
	if cmd.Accept {
		cmd.Reason, err = d.sealFor(c.ctx, cmd.Original.Customer, PurposeRefund, []byte(message))
	}
	return cmd, err
}
