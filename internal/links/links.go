// Package links makes the addresses that people are sent to, and tells good ones from others.
//
// An address names a thing, and has a token that only the ledger can make: a keyed hash of the purpose and the thing's
// identity. So an address can be shown again whenever it is asked for, one made by due actions too, and nothing secret is
// stored. How long it is good, and for what, is the state of the thing: a payment session expires, an authorization
// session is used once.
package links

import (
	"crypto/hmac"

	"tallystick/events"
)

// Links makes addresses. The zero Links makes none.
type Links struct {
	// Base returns where people reach the pages: a URL without a slash at its end, or "".
	Base func() string
	// Token returns the keyed hash of a purpose and an identity, as text.
	Token func(purpose string, id [16]byte) string
}

// The purposes of links. A purpose never changes its meaning.
const (
	checkout  = "checkout"
	authorize = "authorize"
	invoice   = "invoice"
	portal    = "portal"
)

// Checkout returns where a payment session is paid.
func (l Links) Checkout(id events.SessionID) string {
	return l.url(checkout, "/checkout/", id, id.String())
}

// Authorize returns where a consumer authorizes a merchant.
func (l Links) Authorize(id events.AuthorizationID) string {
	return l.url(authorize, "/authorize/", id, id.String())
}

// Invoice returns where an invoice is shown.
func (l Links) Invoice(id events.InvoiceID) string {
	return l.url(invoice, "/invoices/", id, id.String())
}

// InvoicePDF returns where an invoice is to be had as a file.
func (l Links) InvoicePDF(id events.InvoiceID) string {
	if url := l.Invoice(id); url != "" {
		return url + "/pdf"
	}
	return ""
}

// InvoicePath returns the path of [Links.Invoice].
func (l Links) InvoicePath(id events.InvoiceID) string {
	if l.Token == nil {
		return "/"
	}
	return "/invoices/" + id.String() + "/" + l.Token(invoice, id)
}

// CreditNote returns where a credit note of an invoice is shown. Whoever may see the invoice may see it.
func (l Links) CreditNote(invoice events.InvoiceID, id events.CreditNoteID) string {
	if url := l.Invoice(invoice); url != "" {
		return url + "/creditnotes/" + id.String()
	}
	return ""
}

// CreditNotePDF returns where a credit note is to be had as a file.
func (l Links) CreditNotePDF(invoice events.InvoiceID, id events.CreditNoteID) string {
	if url := l.CreditNote(invoice, id); url != "" {
		return url + "/pdf"
	}
	return ""
}

// OpensInvoice reports whether token is that of an invoice's link.
func (l Links) OpensInvoice(id events.InvoiceID, token string) bool {
	return l.opens(invoice, id, token)
}

// Portal returns where a subscription is shown by a link to its portal.
func (l Links) Portal(id events.PortalID) string { return l.url(portal, "/portal/", id, id.String()) }

// OpensPortal reports whether token is that of a link to a portal. Until when it is good is the state of the link.
func (l Links) OpensPortal(id events.PortalID, token string) bool { return l.opens(portal, id, token) }

func (l Links) url(purpose, path string, id [16]byte, text string) string {
	if l.Base == nil || l.Token == nil {
		return ""
	}
	return l.Base() + path + text + "/" + l.Token(purpose, id)
}

// OpensCheckout reports whether token is that of a payment session's link.
func (l Links) OpensCheckout(id events.SessionID, token string) bool {
	return l.opens(checkout, id, token)
}

// OpensAuthorize reports whether token is that of an authorization session's link.
func (l Links) OpensAuthorize(id events.AuthorizationID, token string) bool {
	return l.opens(authorize, id, token)
}

func (l Links) opens(purpose string, id [16]byte, token string) bool {
	return l.Token != nil && hmac.Equal([]byte(l.Token(purpose, id)), []byte(token))
}
