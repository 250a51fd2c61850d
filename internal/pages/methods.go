package pages

import (
	"context"
	"errors"
	"net/http"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
)

// anyCustomer returns one of the customers that a consumer is.
func (p *Pages) anyCustomer(ctx context.Context, consumer *query.Consumer) (query.Customer, error) {
	for _, id := range consumer.Customers {
		c, err := p.opts.Queries.Customer(ctx, reader, query.CustomerArgs{Customer: id})
		if err == nil || commands.CodeOf(err) != commands.NotFound { // some were deleted
			return c, err
		}
	}
	return query.Customer{}, errNothing
}

// changeMethods has a consumer store another payment method, or removes one. Methods are the consumer's own, and any of its customers
// stands for it.
func (p *Pages) changeMethods(w http.ResponseWriter, r *http.Request, u *query.User, session string) error {
	if u.Role != events.OwnerRole && u.Role != events.BillingRole {
		return p.showHome(w, r, u, session, 0, "You may look at payment methods, and not change them.")
	}
	consumer, err := p.opts.Queries.Consumer(r.Context(), reader, query.ConsumerArgs{Consumer: u.Organization})
	if err != nil {
		return err
	}
	customer, err := p.anyCustomer(r.Context(), &consumer)
	if err != nil {
		return err
	}
	if r.PostForm.Get("do") == "addmethod" {
		checkout, err := p.setupMethod(r.Context(), customer.Merchant, customer.ID, p.opts.Base()+"/home")
		if err != nil {
			return err
		}
		http.Redirect(w, r, checkout, http.StatusSeeOther)
		return nil
	}
	rec, err := p.command(r.Context(), customer.Merchant, "RemovePaymentMethod", map[string]any{
		"customerId": customer.ID, "paymentMethodId": r.PostForm.Get("method"),
	})
	if refusal, ok := errors.AsType[*commands.Rejection](err); ok {
		return p.showHome(w, r, u, session, 0, refusal.Message)
	} else if err != nil {
		return err
	}
	return p.showHome(w, r, u, session, rec.Sequence, "")
}
