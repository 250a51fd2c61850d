package httpapi

import (
	"net/http"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/projections"
)

// DisputeCreate is what a dispute is made of.
type DisputeCreate struct {
	UsageEventID string `json:"usageEventId" pattern:"^usg_[a-zA-Z0-9]+$"`
	Message      string `json:"message" minLength:"10" maxLength:"1000" doc:"What the customer says"`
}

// DisputeResolve is the merchant's answer to a dispute.
type DisputeResolve struct {
	Status  string  `json:"status" enum:"accepted,declined" doc:"Accepted: the usage event is refunded in the same step"`
	Message *string `json:"message,omitempty" maxLength:"1000" nullable:"true"`
}

func (a *API) disputes() []operation {
	const tag, path = "Disputes", "/v0/disputes"
	return []operation{{
		id: "createDispute", method: http.MethodPost, path: path, tag: tag, summary: "Dispute a usage event, once",
		body: bodyOf[DisputeCreate](), answers: answers[query.APIDispute](http.StatusCreated),
		known:  map[commands.Code]int{commands.AlreadyRefunded: http.StatusConflict},
		handle: func(c *call) (answer, error) { return made(c, "CreateDispute", http.StatusCreated, c.dispute) },
	}, {
		id: "listDisputes", method: http.MethodGet, path: path, tag: tag,
		summary: "List disputes of a merchant, a customer or a consumer, one of which must be named",
		params: paged(
			identity("merchantId", "org"), identity("customerId", "cus"), identity("consumerId", "org"), words("status", "pending", "accepted", "declined"),
		),
		answers: answers[query.APIDisputes](http.StatusOK), handle: a.listDisputes,
	}, {
		id: "getDispute", method: http.MethodGet, path: path + "/{id}", tag: tag, summary: "Show a dispute",
		answers: answers[query.APIDispute](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "dispute", c.dispute) },
	}, {
		id: "resolveDispute", method: http.MethodPatch, path: path + "/{id}", tag: tag, summary: "Accept or decline a dispute",
		body: bodyOf[DisputeResolve](), answers: answers[query.APIDispute](http.StatusOK), handle: func(c *call) (answer, error) {
			return changed(c, "dispute", "ResolveDispute", "disputeId", http.StatusOK, c.dispute)
		},
	}}
}

func (a *API) listDisputes(c *call) (answer, error) {
	args := query.ListDisputesArgs{APIPage: c.apiPage(), Status: projections.DisputeStatus(c.text("status"))}
	var found [3]bool
	args.Merchant, found[0] = queryID[events.OrganizationNoun](c, "merchantId")
	args.Customer, found[1] = queryID[events.CustomerNoun](c, "customerId")
	args.Consumer, found[2] = queryID[events.OrganizationNoun](c, "consumerId")
	for i, name := range []string{"merchantId", "customerId", "consumerId"} {
		if !found[i] {
			return answer{}, missing(name, c.text(name))
		}
	}
	return ok(a.opts.Queries.ListDisputes(c.ctx, c.who, args))
}

func (c *call) dispute(id events.DisputeID) (query.APIDispute, error) {
	return c.api.opts.Queries.GetDispute(c.ctx, c.who, query.GetDisputeArgs{AtLeast: c.atLeast(), Dispute: id})
}
