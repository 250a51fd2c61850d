package httpapi

import (
	"net/http"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
)

// Wallet is an organization's money in one currency.
type Wallet struct {
	ID          string `json:"id"`
	Object      string `json:"object" enum:"wallet"`
	OwnedBy     string `json:"ownedBy"`
	Namespace   string `json:"namespace,omitempty" doc:"The only merchant that it pays, if not all"`
	Balance     Whole  `json:"balance" doc:"In billionths of the currency's unit"`
	Currency    string `json:"currency"`
	Timezone    string `json:"timezone"`
	Tag         string `json:"tag"`
	Name        string `json:"name"`
	Description string `json:"description"`
	CreatedAt   int64  `json:"createdAt" doc:"In nanoseconds since 1970"`
	UpdatedAt   int64  `json:"updatedAt"`

	Parent         string `json:"parentWalletId,omitempty" doc:"Of a virtual wallet, which is for one subscription alone: where its money goes when that has ended"`
	SubscriptionID string `json:"subscriptionId,omitempty" doc:"The one that a virtual wallet is for"`
	Ended          bool   `json:"ended,omitempty" doc:"That subscription has ended"`
}

// WalletCreate is what a wallet is made of.
type WalletCreate struct {
	OwnedBy        string `json:"ownedBy" pattern:"^org_[a-zA-Z0-9]+$" doc:"The consumer whose it is. The first wallet in a currency pays for everything, each later one for the subscription that is made with its walletId"`
	Currency       string `json:"currency" minLength:"3" maxLength:"3"`
	Name           string `json:"name" minLength:"1" maxLength:"255"`
	Timezone       string `json:"timezone,omitempty" maxLength:"64" doc:"Of the tz database; default UTC"`
	Tag            string `json:"tag,omitempty" maxLength:"255"`
	InitialBalance string `json:"initialBalance,omitempty" pattern:"^[0-9]+$" doc:"In billionths of the currency's unit; in a sandbox only"`
	Description    string `json:"description,omitempty" maxLength:"1024"`
}

// WalletList is a part of a list of wallets.
type WalletList struct {
	Object        string   `json:"object" enum:"list"`
	Data          []Wallet `json:"data" nullable:"false"`
	HasMore       bool     `json:"hasMore"`
	NextPageToken string   `json:"nextPageToken,omitempty"`
}

// TopUp is money that comes into a wallet.
type TopUp struct {
	ID        string       `json:"id"`
	Object    string       `json:"object" enum:"topup"`
	WalletID  string       `json:"walletId"`
	Status    string       `json:"status" enum:"pending,failed,success,cancelled"`
	Amount    string       `json:"amount" doc:"In billionths of the currency's unit"`
	Currency  string       `json:"currency"`
	Method    string       `json:"method"`
	Payload   TopUpPayload `json:"payload"`
	CreatedAt events.Time  `json:"createdAt" format:"date-time"`
	UpdatedAt events.Time  `json:"updatedAt" format:"date-time"`
}

// TopUpPayload says where a payer pays, where one is needed.
type TopUpPayload struct {
	SessionID   string `json:"paymentSessionId,omitempty"`
	CheckoutURL string `json:"checkoutUrl,omitempty"`
}

// TopUpCreate says how much comes into a wallet.
type TopUpCreate struct {
	Amount string `json:"amount" doc:"In units of the currency, such as 20.00"`
	Method string `json:"method"`
}

func renderWallet(w *query.Wallet) (Wallet, error) {
	return Wallet{
		ID: w.ID.String(), Object: "wallet", OwnedBy: w.Owner.String(), Namespace: w.Bound.String(), Balance: Whole(w.Balance),
		Currency: w.Currency.String(), Timezone: w.Timezone, Tag: w.Tag, Name: w.Name, Description: w.Description,
		CreatedAt: int64(w.CreatedAt), UpdatedAt: int64(w.CreatedAt), Parent: w.Parent.String(), SubscriptionID: w.For.String(), Ended: w.Ended,
	}, nil
}

func renderTopUp(t *query.TopUp) (TopUp, error) {
	return TopUp{
		ID: t.ID.String(), Object: "topup", WalletID: t.Wallet.String(), Status: string(t.Status), Amount: t.Amount.Digits(),
		Currency: t.Currency.String(), Method: t.Method, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
		Payload: TopUpPayload{t.Payload["paymentSessionId"], t.Payload["checkoutUrl"]},
	}, nil
}

func (a *API) wallets() []operation {
	return []operation{{
		id: "createWallet", method: http.MethodPost, path: "/v0/wallets", tag: "Wallets", summary: "Open a wallet for a consumer",
		body: bodyOf[WalletCreate](), answers: answers[Wallet](http.StatusCreated), handle: func(c *call) (answer, error) {
			return made(c, "CreateWallet", http.StatusCreated, c.wallet)
		},
	}, {
		id: "listWallets", method: http.MethodGet, path: "/v0/wallets", tag: "Wallets", summary: "List the wallets of an organization, or in a namespace",
		params: []param{
			identity("ownedBy", "org"), identity("namespace", "org"), identity("planId", "plan"), whole("pageSize", 1, mostLimit, usualLimit), text("pageToken", 0, 255),
		},
		answers: answers[WalletList](http.StatusOK), handle: a.listWallets,
	}, {
		id: "getWallet", method: http.MethodGet, path: "/v0/wallets/{id}", tag: "Wallets", summary: "Show a wallet",
		answers: answers[Wallet](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "wallet", c.wallet) },
	}, {
		id: "createTopUp", method: http.MethodPost, path: "/v0/wallets/{walletId}/topups", tag: "Wallets", summary: "Top up a wallet",
		body: bodyOf[TopUpCreate](), answers: answers[TopUp](http.StatusCreated), handle: a.createTopUp,
	}, {
		id: "listTopUps", method: http.MethodGet, path: "/v0/wallets/{walletId}/topups", tag: "Wallets", summary: "List top-ups",
		params:  paged(words("status", "pending", "failed", "success", "cancelled"), instant("start_time"), instant("end_time")),
		answers: answers[query.APIList[TopUp]](http.StatusOK), handle: a.listTopUps,
	}, {
		id: "getTopUp", method: http.MethodGet, path: "/v0/wallets/{walletId}/topups/{topupId}", tag: "Wallets", summary: "Show a top-up",
		answers: answers[TopUp](http.StatusOK), handle: a.getTopUp,
	}}
}

func (a *API) listWallets(c *call) (answer, error) {
	owner, ok := queryID[events.OrganizationNoun](c, "ownedBy")
	namespace, ok2 := queryID[events.OrganizationNoun](c, "namespace")
	plan, ok3 := queryID[events.PlanNoun](c, "planId")
	offset, known := place(c.text("pageToken"))
	switch {
	case !known:
		return answer{}, invalid("pageToken", "is none that was given out")
	case c.text("ownedBy") == "" && c.text("namespace") == "":
		return answer{}, invalid("ownedBy", "or namespace is required")
	case c.text("ownedBy") == "" && c.text("planId") != "":
		return answer{}, invalid("planId", "needs ownedBy")
	}
	result := WalletList{Object: "list", Data: []Wallet{}}
	if !ok || !ok2 || !ok3 {
		return answer{http.StatusOK, result}, nil
	}
	page := query.Page{Limit: c.number("pageSize"), Offset: offset}
	list, err := a.opts.Queries.Wallets(c.ctx, c.who, query.WalletsArgs{At: c.at(), Page: page, Owner: owner, Namespace: namespace, Plan: plan})
	if err != nil {
		return answer{}, err
	}
	for i := range list.Items {
		w, err := renderWallet(&list.Items[i])
		if err != nil {
			return answer{}, err
		}
		result.Data = append(result.Data, w)
	}
	if result.HasMore = list.More; list.More {
		result.NextPageToken = pageToken(offset + len(list.Items))
	}
	return answer{http.StatusOK, result}, nil
}

func (c *call) wallet(id events.WalletID) (Wallet, error) {
	w, err := c.api.opts.Queries.Wallet(c.ctx, c.who, query.WalletArgs{At: c.at(), Wallet: id})
	if err != nil {
		return Wallet{}, err
	}
	return renderWallet(&w)
}

func (a *API) createTopUp(c *call) (answer, error) {
	wallet, err := pathID[events.WalletNoun](c, "walletId", "wallet")
	if err != nil {
		return answer{}, err
	}
	d, err := c.carryOut("TopUp", named("walletId", wallet.String()))
	if err != nil {
		return answer{}, err
	}
	id, err := idOf[events.TopUpNoun](&d)
	if err != nil {
		return answer{}, err
	}
	body, err := c.topUp(wallet, id)
	return answer{http.StatusCreated, body}, err
}

func (c *call) topUp(wallet events.WalletID, id events.TopUpID) (TopUp, error) {
	t, err := c.api.opts.Queries.TopUp(c.ctx, c.who, query.OneArgs[events.TopUpID]{At: c.at(), ID: id})
	if err == nil && t.Wallet != wallet {
		err = commands.Reject(commands.NotFound, "no top-up %s", id)
	}
	if err != nil {
		return TopUp{}, err
	}
	return renderTopUp(&t)
}

func (a *API) getTopUp(c *call) (answer, error) {
	wallet, err := pathID[events.WalletNoun](c, "walletId", "wallet")
	if err != nil {
		return answer{}, err
	}
	id, err := pathID[events.TopUpNoun](c, "topupId", "top-up")
	if err != nil {
		return answer{}, err
	}
	body, err := c.topUp(wallet, id)
	return answer{http.StatusOK, body}, err
}

func (a *API) listTopUps(c *call) (answer, error) {
	wallet, err := pathID[events.WalletNoun](c, "walletId", "wallet")
	if err != nil {
		return answer{}, err
	}
	args := query.TopUpsArgs{At: c.at(), Page: c.page(), Wallet: wallet}
	if args.From, err = c.moment("start_time"); err != nil {
		return answer{}, err
	}
	if args.To, err = c.moment("end_time"); err != nil {
		return answer{}, err
	}
	args.Status = events.TopUpStatus(c.text("status"))
	list, err := a.opts.Queries.TopUps(c.ctx, c.who, args)
	return listing(c, list, err, renderTopUp)
}
