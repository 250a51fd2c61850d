package natsdoor

import (
	"crypto/rand"
	"encoding/json"
	"sync/atomic"
	"time"

	"tallystick/commands"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// serviceName is the name under which the door is discovered.
const serviceName = "tally"

// endpoint is a subject that the door answers, with what it counts.
type endpoint struct {
	name, subject string
	requests      atomic.Int64
	errors        atomic.Int64
	nanos         atomic.Int64 // from arrival to answer, of all requests
	last          atomic.Pointer[commands.Rejection]
}

// count counts one answered request.
func (e *endpoint) count(took time.Duration, refused *commands.Rejection) {
	e.requests.Add(1)
	e.nanos.Add(int64(took))
	if refused != nil {
		e.errors.Add(1)
		e.last.Store(refused)
	}
}

func (e *endpoint) stats() *micro.EndpointStats {
	s := &micro.EndpointStats{
		Name: e.name, Subject: e.subject, QueueGroup: queueGroup,
		NumRequests: int(e.requests.Load()), NumErrors: int(e.errors.Load()), ProcessingTime: time.Duration(e.nanos.Load()),
	}
	if s.NumRequests > 0 {
		s.AverageProcessingTime = s.ProcessingTime / time.Duration(s.NumRequests)
	}
	if last := e.last.Load(); last != nil {
		s.LastError = last.Error()
	}
	return s
}

// service is what discovery says of this instance.
type service struct {
	identity micro.ServiceIdentity
	started  time.Time
}

func newService(opts *Options) service {
	id := opts.ID
	if id == "" {
		id = rand.Text()
	}
	return service{
		identity: micro.ServiceIdentity{Name: serviceName, ID: id, Version: opts.Version, Metadata: map[string]string{}},
		started:  opts.Clock().UTC(),
	}
}

// discoverable answers the discovery of NATS services.
func (d *Door) discoverable(ears *ears) error {
	for verb, answer := range map[micro.Verb]func() any{micro.PingVerb: d.ping, micro.InfoVerb: d.info, micro.StatsVerb: d.stats} {
		for _, of := range [][2]string{{}, {serviceName}, {serviceName, d.service.identity.ID}} {
			subject, err := micro.ControlSubject(verb, of[0], of[1])
			if err != nil {
				return err
			}
			sub, err := d.opts.Operators.Subscribe(subject, func(m *nats.Msg) { d.tell(m, answer) })
			if err != nil {
				return err
			}
			ears.add(sub)
		}
	}
	return nil
}

// tell answers one question of discovery.
func (d *Door) tell(m *nats.Msg, answer func() any) {
	b, err := json.Marshal(answer())
	if err == nil && m.Reply != "" {
		err = m.Respond(b)
	}
	if err != nil {
		d.opts.Logger.Warn("discovery could not be answered", "error", err)
	}
}

func (d *Door) ping() any {
	return micro.Ping{ServiceIdentity: d.service.identity, Type: micro.PingResponseType}
}

func (d *Door) info() any {
	about := func(e *endpoint) micro.EndpointInfo {
		return micro.EndpointInfo{Name: e.name, Subject: e.subject, QueueGroup: queueGroup, Metadata: map[string]string{}}
	}
	return micro.Info{
		ServiceIdentity: d.service.identity, Type: micro.InfoResponseType, Description: "usage-based billing ledger",
		Endpoints: []micro.EndpointInfo{about(&d.commands), about(&d.queries)},
	}
}

func (d *Door) stats() any {
	return micro.Stats{
		ServiceIdentity: d.service.identity, Type: micro.StatsResponseType, Started: d.service.started,
		Endpoints: []*micro.EndpointStats{d.commands.stats(), d.queries.stats()},
	}
}

// Stats is what a door has counted since it was opened.
type Stats struct {
	Commands, Queries int64 // answered
	Refused           int64 // of the commands; the entries of batches are not counted
	Dropped           int64 // requests without an inbox of ours: nobody was answered
	BytesUnderWay     int64
	Usage             int64 // messages of the usage stream that were acknowledged
	UsageRefused      int64 // entries of such messages that were stored as refused
}

// Stats returns what the door has counted.
func (d *Door) Stats() Stats {
	s := Stats{
		Commands: d.commands.requests.Load(), Queries: d.queries.requests.Load(), Refused: d.commands.errors.Load(),
		Dropped: d.dropped.Load(), BytesUnderWay: d.bytes.Load(),
	}
	if st := d.streams.Load(); st != nil {
		s.Usage, s.UsageRefused = st.acked.Load(), st.refusedEntries.Load()
	}
	return s
}
