package query

import (
	"context"
	"fmt"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/projections"
)

// APIAlert is somebody's wish to be told when a wallet holds less than a threshold.
type APIAlert struct {
	ID           events.AlertID        `json:"id"`
	Object       string                `json:"object"` // "alert"
	Merchant     events.OrganizationID `json:"merchantId,omitzero"`
	Resource     events.WalletID       `json:"resourceId"`
	Type         string                `json:"type"` // "wallet_low_balance"
	Config       APIAlertConfig        `json:"config"`
	Enabled      bool                  `json:"enabled"`
	NotifyPeriod *string               `json:"notifyPeriod"` // what lies between two notices, at least: a duration of ISO 8601
	Recipients   []string              `json:"recipients"`   // none once the consumer is erased
	LastNotified *events.Time          `json:"lastNotifiedAt"`
	CreatedAt    events.Time           `json:"createdAt"`
	UpdatedAt    events.Time           `json:"updatedAt"`
}

// APIAlertConfig says when an alert is raised.
type APIAlertConfig struct {
	Threshold string          `json:"threshold"` // in units of the currency
	Currency  events.Currency `json:"currency"`  // the wallet's
}

// GetAlertArgs are the arguments of [Service.GetAlert].
type GetAlertArgs struct {
	AtLeast events.Seq     `json:"atLeast,omitzero"`
	Alert   events.AlertID `json:"alertId"`
}

// GetAlert answers how an alert stands.
func (s *Service) GetAlert(ctx context.Context, who wire.Who, args GetAlertArgs) (APIAlert, error) {
	return apiOne(ctx, s, who, args.AtLeast, "alert", args.Alert,
		func(b *projections.Books) *projections.Table[events.AlertID, projections.Alert] { return b.Alerts },
		func(a *projections.Alert) events.OrganizationID { return a.Merchant }, (*reading).renderAlert)
}

// ListAlertsArgs are the arguments of [Service.ListAlerts]. A merchant need not name itself.
type ListAlertsArgs struct {
	APIPage
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
	Resource events.WalletID       `json:"resourceId,omitzero"`
}

// ListAlerts lists a merchant's alerts, or those of a wallet, in the order in which they were made.
func (s *Service) ListAlerts(ctx context.Context, who wire.Who, args ListAlertsArgs) (list APIList[APIAlert], err error) {
	merchant, err := asker(who).merchant(args.Merchant)
	if err != nil {
		return list, err
	}
	err = s.read(ctx, who, At{AtLeast: args.AtLeast}, func(r *reading) (err error) {
		l := listing[events.AlertID, projections.Alert, APIAlert]{
			table: r.books.Alerts, from: source{projections.LinkAlerts, merchant}, render: r.renderAlert,
			match: func(a *projections.Alert) bool { return merchant.IsZero() || a.Merchant == merchant },
		}
		switch {
		case !args.Resource.IsZero():
			l.from = source{projections.LinkAlertsOfWallet, args.Resource}
		case merchant.IsZero():
			l.from = source{}
		}
		list, err = l.apiPage(r, args.APIPage)
		return err
	})
	return list, err
}

func (r *reading) renderAlert(id events.AlertID, row *projections.Alert) (v APIAlert, err error) {
	v = APIAlert{
		ID: id, Object: "alert", Merchant: row.Merchant, Resource: row.Wallet, Type: "wallet_low_balance", Enabled: !row.Disabled,
		Config:     APIAlertConfig{decimalAmount(row.Threshold), row.Currency},
		Recipients: []string{}, CreatedAt: row.At, UpdatedAt: row.UpdatedAt,
	}
	if row.Period != 0 {
		period := fmt.Sprintf("PT%dS", row.Period)
		v.NotifyPeriod = &period
	}
	if row.Notified != 0 {
		v.LastNotified = &row.Notified
	}
	created, err := r.opts.Log.Record(row.Created)
	if err != nil {
		return v, err
	}
	if e, ok := created.Event.(events.AlertCreated); ok && !e.Recipients.IsZero() {
		_, err = r.unsealInto(e.Recipients, wire.PurposeAlert, &v.Recipients)
	}
	return v, err
}

// alertQueries are the names of the queries about alerts.
func alertQueries() []string { return []string{"GetAlert", "ListAlerts"} }

// alertQuery returns the query of a name, nil for the name of another.
func (s *Service) alertQuery(name string) asked {
	switch name {
	case "GetAlert":
		return answering(s.GetAlert)
	case "ListAlerts":
		return answering(s.ListAlerts)
	}
	return nil
}
