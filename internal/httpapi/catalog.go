package httpapi

import (
	"net/http"

	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

// Product is something that a merchant offers.
type Product struct {
	ID          string            `json:"id"`
	Object      string            `json:"object" enum:"product"`
	MerchantID  string            `json:"merchantId"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Metadata    map[string]string `json:"metadata"`
	CreatedAt   events.Time       `json:"createdAt" format:"date-time"`
	UpdatedAt   events.Time       `json:"updatedAt" format:"date-time"`
}

// ProductCreate is what a product is made of.
type ProductCreate struct {
	MerchantID  string            `json:"merchantId" pattern:"^org_[a-zA-Z0-9]+$"`
	Name        string            `json:"name" minLength:"1" maxLength:"255"`
	Description string            `json:"description" minLength:"1" maxLength:"4096"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

func renderProduct(p *query.Product) (Product, error) {
	v := Product{
		ID: p.ID.String(), Object: "product", MerchantID: p.Merchant.String(), Name: p.Name, Description: p.Description,
		Metadata: p.Metadata, CreatedAt: p.CreatedAt, UpdatedAt: p.CreatedAt,
	}
	if v.Metadata == nil {
		v.Metadata = map[string]string{}
	}
	return v, nil
}

func (a *API) products() []operation {
	return []operation{{
		id: "createProduct", method: http.MethodPost, path: "/v0/products", tag: "Products", summary: "Make a product",
		body: bodyOf[ProductCreate](), answers: answers[Product](http.StatusCreated), handle: func(c *call) (answer, error) {
			return made(c, "CreateProduct", http.StatusCreated, c.product)
		},
	}, {
		id: "listProducts", method: http.MethodGet, path: "/v0/products", tag: "Products", summary: "List products",
		params:  paged(identity("merchantId", "org")),
		answers: answers[List[Product]](http.StatusOK), handle: func(c *call) (answer, error) {
			args, ok := c.ofMerchant()
			if !ok {
				return nothing[Product](c)
			}
			list, err := a.opts.Queries.Products(c.ctx, c.who, args)
			return listing(c, list, err, renderProduct)
		},
	}, {
		id: "getProduct", method: http.MethodGet, path: "/v0/products/{id}", tag: "Products", summary: "Show a product",
		answers: answers[Product](http.StatusOK), handle: func(c *call) (answer, error) { return shown(c, "product", c.product) },
	}}
}

func (c *call) product(id events.ProductID) (Product, error) {
	p, err := c.api.opts.Queries.Product(c.ctx, c.who, query.OneArgs[events.ProductID]{At: c.at(), ID: id})
	if err != nil {
		return Product{}, err
	}
	return renderProduct(&p)
}

// made carries out a command that makes a K, and answers with what it is.
func made[K events.Noun, T any](c *call, command string, status int, show func(events.ID[K]) (T, error)) (answer, error) {
	d, err := c.carryOut(command)
	if err != nil {
		return answer{}, err
	}
	id, err := idOf[K](&d)
	if err != nil {
		return answer{}, err
	}
	body, err := show(id)
	return answer{status, body}, err
}

// shown answers with what the K in the path is.
func shown[K events.Noun, T any](c *call, what string, show func(events.ID[K]) (T, error)) (answer, error) {
	id, err := pathID[K](c, "id", what)
	if err != nil {
		return answer{}, err
	}
	body, err := show(id)
	return answer{http.StatusOK, body}, err
}

// ofMerchant returns the arguments of a list of a merchant's things: the one that the request names, or the key's. It reports
// false where it names one that cannot exist.
func (c *call) ofMerchant() (args query.CatalogArgs, ok bool) {
	id, ok := queryID[events.OrganizationNoun](c, "merchantId")
	return query.CatalogArgs{At: c.at(), Page: c.page(), Merchant: id}, ok
}

// listing returns the list that a query has found, or its error.
func listing[Q, T any](c *call, list query.List[Q], err error, render func(*Q) (T, error)) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return listed(c, list.Items, list.Total, render)
}

// nothing returns a list with nothing in it.
func nothing[T any](c *call) (answer, error) {
	return listed(c, nil, 0, func(*struct{}) (v T, err error) { return v, nil })
}

// changed carries out a command about the K in the path, which the command calls field, and answers with what it is then.
func changed[K events.Noun, T any](c *call, what, command, field string, status int, show func(events.ID[K]) (T, error)) (answer, error) {
	id, err := pathID[K](c, "id", what)
	if err != nil {
		return answer{}, err
	}
	if _, err := c.carryOut(command, wire.Given{Name: field, Value: quote(id.String())}); err != nil {
		return answer{}, err
	}
	body, err := show(id)
	return answer{status, body}, err
}
