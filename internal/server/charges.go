package server

import (
	"context"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/payments"
	"tallystick/internal/wire"
)

// providers returns the payment providers by name: in sandbox ledgers one without money.
func (s *Server) providers() map[string]payments.Provider {
	if s.opened.Environment != events.Sandbox {
		return nil
	}
	return map[string]payments.Provider{payments.SandboxName: new(payments.Sandbox)}
}

// cards returns the provider that new cards are for, nil where there is none.
func (s *Server) cards() wire.Cards {
	if s.opened.Environment != events.Sandbox {
		return nil
	}
	return new(payments.Sandbox)
}

// charges has the payment provider asked for what the log says is to be charged, until ctx ends.
func (s *Server) charges(ctx context.Context) {
	if s.unheld(ctx) != nil {
		return
	}
	payments.New(payments.Options{
		Providers: s.providers(), Logger: s.cfg.Logger,
		Follow: func(from events.Seq) payments.Follower { return s.Log.Follow(from) },
		From:   s.Log.Cursor(payments.Cursor),
		Save:   func(seq events.Seq) error { return s.Log.SetCursor(payments.Cursor, seq) },
		Settle: func(ctx context.Context, cmd commands.SettleCharge) (commands.Receipt, error) {
			return s.Sequencer.Do(ctx, commands.Request{Command: cmd, Actor: events.Actor{Kind: events.ActorProvider}, Operator: true})
		},
	}).Run(ctx)
}

// publicURL returns where people reach the pages.
func (s *Server) publicURL() string {
	if s.cfg.PublicURL != "" {
		return s.cfg.PublicURL
	}
	return s.APIURL()
}
