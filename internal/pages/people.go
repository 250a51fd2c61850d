package pages

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/query"
	"tallystick/internal/wire"
)

// mostPeople is how many users of a consumer are shown.
const mostPeople = 1000

// invitationTerm is how long the link of an invitation is good.
const invitationTerm = 7 * 24 * time.Hour

// linkOf returns an address that is mailed to a user, for a purpose.
func (p *Pages) linkOf(purpose string, user events.UserID, term time.Duration) string {
	until, id := p.opts.Clock().Add(term).Unix(), user.String()
	return p.opts.Base() + "/" + purpose + "/" + id + "/" + strconv.FormatInt(until, 10) + "/" + p.proof(purpose, id, until)
}

// organization returns the name of a consumer.
func (p *Pages) organization(ctx context.Context, id events.OrganizationID) (string, error) {
	c, err := p.opts.Queries.Consumer(ctx, reader, query.ConsumerArgs{Consumer: id})
	if err != nil || c.Profile == nil {
		return "a former customer", err
	}
	return c.Profile.Name, nil
}

// changePeople invites somebody, or changes what a user may do. Whoever is invited, again too, gets a mail.
func (p *Pages) changePeople(ctx context.Context, who wire.Who, owner *query.User, form url.Values) (rec receipt, err error) {
	name, args := "UpdateUser", map[string]any{"userId": form.Get("user"), "state": form.Get("state"), "role": form.Get("role")}
	if form.Get("do") == "invite" {
		name, args = "InviteUser", map[string]any{"consumerId": owner.Organization, "email": strings.TrimSpace(form.Get("email")), "role": form.Get("role")}
	}
	if rec, err = p.commandAs(ctx, who, events.OrganizationID{}, name, args); err != nil {
		return rec, err
	}
	id, err := events.ParseID[events.UserNoun](rec.ID)
	if err != nil {
		return rec, err
	}
	after := query.UserArgs{User: id}
	after.AtLeast = rec.Sequence
	user, err := p.opts.Queries.User(ctx, reader, after)
	if err != nil || user.State != events.UserInvited {
		return rec, err
	}
	ctx = context.WithoutCancel(ctx)
	p.sending.Go(func() {
		if err := p.sendInvitation(ctx, &user); err != nil {
			p.opts.Logger.Error("an invitation cannot be sent", "error", err)
		}
	})
	return rec, nil
}

func (p *Pages) sendInvitation(ctx context.Context, u *query.User) error {
	name, err := p.organization(ctx, u.Organization)
	if err != nil {
		return err
	}
	return p.mail(ctx, u.Email, "Invitation to "+name, name+" invites you to look after its subscriptions, as "+string(u.Role)+
		". Open this link within a week to accept or decline:\n\n"+p.linkOf("invitation", u.ID, invitationTerm)+"\n")
}

// invitationView is what somebody sees who is invited.
type invitationView struct {
	Title string
	Form  string
	Role  events.UserRole
	Over  bool // it was declined
}

// invited returns the user that a link invites. Of an invitation that was answered, or taken back, the link opens nothing.
func (p *Pages) invited(r *http.Request) (u query.User, err error) {
	if !p.proven(r, "invitation", r.PathValue("user")) {
		return u, errNothing
	}
	id, err := parse[events.UserNoun](r, "user")
	if err != nil {
		return u, err
	}
	if u, err = p.opts.Queries.User(r.Context(), reader, query.UserArgs{User: id}); err == nil && u.State != events.UserInvited {
		err = errNothing
	}
	return u, err
}

func (p *Pages) showInvitation(w http.ResponseWriter, r *http.Request) error {
	u, err := p.invited(r)
	if err != nil {
		return err
	}
	name, err := p.organization(r.Context(), u.Organization)
	if err != nil {
		return err
	}
	return p.show(w, http.StatusOK, "invitation.html", invitationView{Title: name + " invites you", Form: p.formToken(r.URL.Path), Role: u.Role})
}

// answerInvitation signs in whoever accepts: to have the link is to hold the address.
func (p *Pages) answerInvitation(w http.ResponseWriter, r *http.Request) error {
	u, err := p.invited(r)
	if err != nil {
		return err
	}
	if err := p.form(r); err != nil {
		return err
	}
	switch r.PostForm.Get("do") {
	case "accept":
		until, _ := events.TimeOf(p.opts.Clock().Add(time.Minute)) // sooner than any link of a sign-in to come ends: of those the latest counts
		return p.enter(w, r, u.ID, until)
	case "decline":
		_, err := p.command(r.Context(), events.OrganizationID{}, "DeclineInvitation", map[string]any{"userId": u.ID})
		if commands.CodeOf(err) == commands.NotFound { // answered meanwhile
			return errNothing
		}
		if err != nil {
			return err
		}
		return p.show(w, http.StatusOK, "invitation.html", invitationView{Title: "You have declined", Over: true})
	}
	return errForm
}
