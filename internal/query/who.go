package query

import (
	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
)

// asker is who asks, and what it may see. One without a role sees nothing.
type asker wire.Who

// everything reports whether a may see what is anybody's.
func (a asker) everything() bool { return a.Role == events.OperatorKey || a.Role == events.AuditorKey }

// sees reports whether a may know of what is merchant's.
func (a asker) sees(merchant events.OrganizationID) bool {
	return a.everything() || a.Role == events.MerchantKey && !a.Merchant.IsZero() && a.Merchant == merchant
}

// known refuses whoever has no role, and merchants' keys without a merchant.
func (a asker) known() error {
	if a.everything() || a.Role == events.MerchantKey && !a.Merchant.IsZero() {
		return nil
	}
	return commands.Reject(commands.Unauthorized, "no valid API key")
}

// whole refuses merchants: the question is about the whole ledger.
func (a asker) whole() error {
	if err := a.known(); err != nil {
		return err
	}
	if !a.everything() {
		return commands.Reject(commands.Forbidden, "only operators and auditors may ask this")
	}
	return nil
}

// merchant returns whose things a list is of: the asker's own, or those of the merchant that an operator or
// auditor names, zero for all.
func (a asker) merchant(asked events.OrganizationID) (events.OrganizationID, error) {
	if err := a.known(); err != nil {
		return asked, err
	}
	if a.everything() {
		return asked, nil
	}
	if !asked.IsZero() && asked != a.Merchant {
		return asked, missing("merchant", asked.String())
	}
	return a.Merchant, nil
}

func missing(what, id string) error {
	return commands.Reject(commands.NotFound, "no %s %s", what, id)
}
