package httpapi

import (
	"net/http"

	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

// APIKey is a key to this API.
type APIKey struct {
	ID         string `json:"id"`
	Object     string `json:"object" enum:"apiKey"`
	Role       string `json:"role" enum:"merchant,operator,auditor"`
	MerchantID string `json:"merchantId,omitempty"`
	Name       string `json:"name,omitempty"`
	Secret     string `json:"secret,omitempty" doc:"What is sent as the key; shown this once, when it is made"`
}

// APIKeyCreate is what a key is made of.
type APIKeyCreate struct {
	MerchantID string `json:"merchantId,omitempty" pattern:"^org_[a-zA-Z0-9]+$"`
	Role       string `json:"role,omitempty" enum:"merchant,operator,auditor" default:"merchant"`
	Name       string `json:"name,omitempty" maxLength:"255"`
}

func renderKey(k *query.Key) (APIKey, error) {
	return APIKey{ID: k.ID.String(), Object: "apiKey", Role: string(k.Role), MerchantID: k.Merchant.String(), Name: k.Name}, nil
}

func (a *API) keys() []operation {
	return []operation{{
		id: "createKey", method: http.MethodPost, path: "/v0/keys", tag: "Keys", summary: "Make an API key", body: bodyOf[APIKeyCreate](),
		answers: answers[APIKey](http.StatusCreated), handle: a.createKey,
	}, {
		id: "listKeys", method: http.MethodGet, path: "/v0/keys", tag: "Keys", summary: "List API keys",
		params:  paged(identity("merchantId", "org")),
		answers: answers[query.APIList[APIKey]](http.StatusOK), handle: func(c *call) (answer, error) {
			args, ok := c.ofMerchant()
			if !ok {
				return nothing[APIKey](c)
			}
			list, err := a.opts.Queries.Keys(c.ctx, c.who, query.KeysArgs{At: args.At, Page: args.Page, Merchant: args.Merchant})
			return listing(c, list, err, renderKey)
		},
	}, {
		id: "revokeKey", method: http.MethodDelete, path: "/v0/keys/{id}", tag: "Keys", summary: "Revoke an API key",
		answers: map[int]bodyType{204: nil}, handle: func(c *call) (answer, error) {
			return removed[events.KeyNoun](c, "key", "RevokeKey", "keyId")
		},
	}}
}

// createKey makes a key. A repeat shows the key without its secret, which is kept nowhere.
func (a *API) createKey(c *call) (answer, error) {
	var beside []wire.Given
	if c.fields["role"] == nil {
		beside = append(beside, named("role", string(events.MerchantKey)))
	}
	d, err := c.carryOut("CreateKey", beside...)
	if err != nil {
		return answer{}, err
	}
	id, err := idOf[events.KeyNoun](&d)
	if err != nil {
		return answer{}, err
	}
	k, err := a.opts.Queries.Key(c.ctx, c.who, query.OneArgs[events.KeyID]{At: c.at(), ID: id})
	if err != nil {
		return answer{}, err
	}
	body, err := renderKey(&k)
	body.Secret = d.secret
	return answer{http.StatusCreated, body}, err
}
