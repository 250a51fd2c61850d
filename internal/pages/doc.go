// Package pages is what people see in a browser: checkout, portal, invoice. They are rendered here, work without JavaScript, and
// need nothing from elsewhere. Only passkeys need a script; who has none signs in by a link in a mail.
//
// # Who may see a page
//
// Whoever has its address. Each address holds a token that only the ledger can make, for one thing and one purpose (package
// links): the checkout of a payment session, the portal of a subscription until a time, an invoice. A page is given
// no more than its thing; what does not exist and what the token does not open are answered alike.
//
// # Security
//
// No script is inline, nothing is loaded from elsewhere, and a page may be framed only where its purpose asks for it: a
// checkout, by the sites that its session returns to. Each form has a token that holds for the page's address and for a
// few hours, so that another site cannot have a visitor's browser send it; and what a browser says comes from another site is refused,
// token or not. Sign-ins are counted by where they come from, which only proxies that are trusted may say for others, and are answered
// alike whether or not anybody has signed up.
// A link that signs somebody in is good once, and the ledger records that it was used. So is the answer of a passkey: to a challenge that was made here, a few
// minutes ago, for signing in, or for adding one to what the user is signed in with. Who signs out is signed out everywhere, whatever was copied out of a browser. Card numbers are passed on to the payment provider and kept nowhere.
//
// # Concurrency
//
// Pages are served by any number of goroutines at once. A mail with a sign-in link is sent by a goroutine of its own, which Close awaits.
package pages
