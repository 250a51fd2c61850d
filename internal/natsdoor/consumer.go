package natsdoor

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/natsbus"
	"tallystick/internal/wire"
)

// ConsumerOpener makes consumers for the holders of keys. [*natsbus.Bus] is one.
type ConsumerOpener interface {
	OpenConsumer(ctx context.Context, id natsbus.Identity, req natsbus.ConsumerRequest) (natsbus.Consumer, error)
}

// ConsumerArgs is the body of OpenConsumer: see [natsbus.ConsumerRequest].
type ConsumerArgs struct {
	Merchant events.OrganizationID `json:"merchantId,omitzero"`
	Stream   natsbus.StreamName    `json:"stream"`
	Slot     int                   `json:"slot"` // 1 to 4; default 1
	Filter   string                `json:"filter,omitempty"`
	From     events.Seq            `json:"from,omitzero"`
	Since    time.Time             `json:"since,omitzero"`
	New      bool                  `json:"new,omitempty"`
	Ack      bool                  `json:"ack,omitempty"`
}

// OpenConsumer returns the handler of the command OpenConsumer, which is asked for as a query too, since auditors send no
// commands. It answers with a [natsbus.Consumer].
func OpenConsumer(bus ConsumerOpener) Handler {
	return func(ctx context.Context, who wire.Who, merchant events.OrganizationID, body []byte) ([]byte, error) {
		args := ConsumerArgs{Slot: 1}
		if err := strictly(body, &args); err != nil {
			return nil, err
		}
		if !args.Merchant.IsZero() && args.Merchant != merchant {
			return nil, commands.Reject(commands.Invalid, "merchantId is not the merchant that this is sent for")
		}
		if who.Key.IsZero() {
			return nil, commands.Reject(commands.Invalid, "consumers belong to a key: put the id of your key behind the subject, as in tally.cmd.<merchantId>.OpenConsumer.<keyId>")
		}
		id := natsbus.Identity{Key: who.Key, Role: who.Role, Merchant: who.Merchant}
		consumer, err := bus.OpenConsumer(ctx, id, natsbus.ConsumerRequest{
			Stream: args.Stream, Slot: args.Slot, Filter: args.Filter, From: args.From, Since: args.Since, New: args.New, Ack: args.Ack,
		})
		if errors.Is(err, natsbus.ErrConsumerRequest) {
			return nil, commands.Reject(commands.Invalid, "%v", err)
		}
		if err != nil {
			return nil, unavailable(string(args.Stream), err)
		}
		return json.Marshal(consumer)
	}
}
