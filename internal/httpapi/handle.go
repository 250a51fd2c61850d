package httpapi

import (
	"cmp"
	"context"
	"net/http"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

// lister is a query that answers with a part of a list.
type lister[A, T any] func(context.Context, wire.Who, A) (query.APIList[T], error)

// ok answers with what a query has found.
func ok[T any](body T, err error) (answer, error) { return answer{http.StatusOK, body}, err }

// made carries out a command that makes a K, and answers with what it is.
func made[K events.Noun, T any](c *call, command string, status int,
	show func(events.ID[K]) (T, error), beside ...wire.Given,
) (answer, error) {
	d, err := c.carryOut(command, beside...)
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
	return ok(show(id))
}

// changed carries out a command about the K in the path, which the command calls field, and answers with what it is then.
func changed[K events.Noun, T any](c *call, what, command, field string, status int, show func(events.ID[K]) (T, error)) (answer, error) {
	id, err := pathID[K](c, "id", what)
	if err != nil {
		return answer{}, err
	}
	if _, err := c.carryOut(command, named(field, id.String())); err != nil {
		return answer{}, err
	}
	body, err := show(id)
	return answer{status, body}, err
}

// removed carries out a command that removes the K in the path, which the command calls field.
func removed[K events.Noun](c *call, what, command, field string) (answer, error) {
	id, err := pathID[K](c, "id", what)
	if err == nil {
		_, err = c.carryOut(command, named(field, id.String()))
	}
	return answer{status: http.StatusNoContent}, err
}

// named returns a field of a command that is a text.
func named(field, value string) wire.Given { return wire.Given{Name: field, Value: quote(value)} }

// missing refuses what names something that does not exist.
func missing(what, text string) error {
	return commands.Reject(commands.NotFound, "no %s %.60q", what, text)
}

// pathID returns the identity of a K in the path. What is none is something that does not exist.
func pathID[K events.Noun](c *call, name, what string) (events.ID[K], error) {
	text := c.request.PathValue(name)
	id, err := events.ParseID[K](text)
	if err != nil {
		return id, missing(what, text)
	}
	return id, nil
}

// idOf reads the identity of a K that a receipt names.
func idOf[K events.Noun](d *done) (events.ID[K], error) {
	return events.ParseID[K](d.one().ID.String())
}

// atLeast returns the last record that this caller has been told of.
func (c *call) atLeast() events.Seq { return c.api.writes.of(c.who.Key) }

// at returns the state that a question of this caller is about: the newest, with everything that it has been told of.
func (c *call) at() query.At { return query.At{AtLeast: c.atLeast()} }

// apiPage returns which part of a list is wanted.
func (c *call) apiPage() query.APIPage {
	return query.APIPage{AtLeast: c.atLeast(), Limit: c.number("limit"), Offset: c.number("offset")}
}

// page is apiPage for the queries that are not the API's own. The whole of the list is counted.
func (c *call) page() query.Page {
	return query.Page{Limit: c.number("limit"), Offset: c.number("offset"), Count: true}
}

// ofMerchant returns the arguments of a list of a merchant's things: the one that the request names, or the key's. It reports
// false where it names one that cannot exist.
func (c *call) ofMerchant() (args query.CatalogArgs, found bool) {
	id, found := queryID[events.OrganizationNoun](c, "merchantId")
	return query.CatalogArgs{At: c.at(), Page: c.page(), Merchant: id}, found
}

// listing returns the list that a query has found, or its error.
func listing[Q, T any](c *call, list query.List[Q], err error, render func(*Q) (T, error)) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	limit := cmp.Or(c.number("limit"), len(list.Items)) // of what is listed whole, all
	page := query.APIList[T]{
		Object: "list", Data: []T{}, Pagination: query.Pagination{Limit: limit, Offset: c.number("offset"), Total: list.Total},
	}
	for i := range list.Items {
		item, err := render(&list.Items[i])
		if err != nil {
			return answer{}, err
		}
		page.Data = append(page.Data, item)
	}
	return answer{http.StatusOK, page}, nil
}

// nothing returns a list with nothing in it.
func nothing[T any](c *call) (answer, error) {
	return listing(c, query.List[struct{}]{}, nil, func(*struct{}) (v T, err error) { return v, nil })
}
