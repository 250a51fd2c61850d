package httpapi

import (
	"net/http"

	"tallystick/events"
	"tallystick/internal/query"
)

// AlertCreate is what an alert on a wallet is made of.
type AlertCreate struct {
	ResourceID   string            `json:"resourceId" pattern:"^acc_[a-zA-Z0-9]+$" doc:"The wallet"`
	Type         string            `json:"type" enum:"wallet_low_balance"`
	Config       AlertCreateConfig `json:"config"`
	Enabled      *bool             `json:"enabled,omitempty" default:"true"`
	NotifyPeriod string            `json:"notifyPeriod,omitempty" doc:"What lies between two notices, at least: a duration of ISO 8601, such as PT1H"`
	Recipients   []string          `json:"recipients,omitempty" maxItems:"10" nullable:"false" doc:"E-mail addresses"`
}

// AlertCreateConfig says when an alert is raised.
type AlertCreateConfig struct {
	Threshold string `json:"threshold" doc:"In units of the wallet's currency, such as 20.00; raised when the wallet holds less"`
}

func (a *API) alerts() []operation {
	const tag, path = "Alerts", "/v0/alerts"
	return []operation{{
		id: "createAlert", method: http.MethodPost, path: path, tag: tag, summary: "Be told when a wallet holds less than a threshold",
		body: bodyOf[AlertCreate](), answers: answers[query.APIAlert](http.StatusCreated),
		handle: func(c *call) (answer, error) { return made(c, "CreateAlert", http.StatusCreated, c.alert) },
	}, {
		id: "listAlerts", method: http.MethodGet, path: path, tag: tag, summary: "List alerts",
		params:  paged(identity("merchantId", "org"), identity("resourceId", "acc")),
		answers: answers[query.APIList[query.APIAlert]](http.StatusOK), handle: a.listAlerts,
	}, {
		id: "getAlert", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Show an alert",
		answers: answers[query.APIAlert](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "alert", c.alert) },
	}}
}

func (a *API) listAlerts(c *call) (answer, error) {
	args := query.ListAlertsArgs{APIPage: c.apiPage()}
	var found bool
	if args.Merchant, found = queryID[events.OrganizationNoun](c, "merchantId"); !found {
		return answer{}, missing("merchantId", c.text("merchantId"))
	}
	if args.Resource, found = queryID[events.WalletNoun](c, "resourceId"); !found {
		return answer{}, missing("resourceId", c.text("resourceId"))
	}
	return ok(a.opts.Queries.ListAlerts(c.ctx, c.who, args))
}

func (c *call) alert(id events.AlertID) (query.APIAlert, error) {
	return c.api.opts.Queries.GetAlert(c.ctx, c.who, query.GetAlertArgs{AtLeast: c.atLeast(), Alert: id})
}
