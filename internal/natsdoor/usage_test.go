package natsdoor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/natsdoor"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
)

// refused returns what the stream of refused usage holds: code, entry and original of each.
func (w *world) refused() (all []string) {
	w.t.Helper()
	s, err := w.js.Stream(context.Background(), "REJECTED")
	if err != nil {
		w.t.Fatal(err)
	}
	for seq := uint64(1); ; {
		m, err := s.GetMsg(context.Background(), seq, jetstream.WithGetMsgSubject("tally.rejected.>"))
		if err != nil {
			return all
		}
		if m.Header.Get(natsdoor.HeaderMessage) == "" {
			w.t.Errorf("a refusal without a message: %v", m.Header)
		}
		all = append(all, fmt.Sprintf("%s %s %s %s", m.Subject, m.Header.Get(natsdoor.HeaderCode), m.Header.Get(natsdoor.HeaderEntry), m.Data))
		seq = m.Sequence + 1
	}
}

// done waits until the stream of usage is empty: everything in it is on disk or stored as refused.
func (w *world) done() {
	w.t.Helper()
	w.eventually("an empty stream of usage", func() bool { return w.stored("USAGE") == 0 })
}

// TestStream sends usage in every form, good and bad, by way of the stream.
func TestStream(t *testing.T) {
	w := open(t)
	w.found()
	w.openStreams()
	bad := strings.Replace(w.usage("bad", 1), `"quantity":1`, `"quantity":0`, 1)
	w.send(w.usage("a", 1))
	w.send(`not JSON`)
	w.send(`{"events":[` + w.usage("b", 1) + `,` + bad + `,` + w.usage("poor", 5000) + `]}`)
	w.send(`[` + w.usage("c", 1) + `]`)
	w.send(w.cloud("1", 1))
	w.send(`[` + w.cloud("2", 1) + `,` + w.cloud("3", 1) + `]`)
	w.send(w.usage("a", 1)) // again
	w.send(w.usage("a", 2)) // the key for something else
	w.send(`[` + bad + `]`)
	w.done()
	if got, want := w.billed(), []string{"a", "b", "c", "src/1", "src/2", "src/3"}; !slices.Equal(got, want) {
		t.Errorf("billed %v, want %v", got, want)
	}
	subject := "tally.rejected." + w.merchantID + " "
	want := []string{
		subject + "INVALID  not JSON",
		subject + "INVALID 1 " + bad,
		subject + "INSUFFICIENT_FUNDS 2 " + w.usage("poor", 5000),
		subject + "IDEMPOTENCY_CONFLICT  " + w.usage("a", 2),
		subject + "INVALID 0 " + bad,
	}
	got := w.refused()
	// A message that is refused alone has no entry, unless the refusal came from the rules.
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "CONFLICT  ", "CONFLICT 0 ")
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("refused\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s := w.door.Stats(); s.Usage != 9 || s.UsageRefused != 5 {
		t.Errorf("counted %+v", s)
	}
}

// TestSameOverAllDoors holds that usage is the same whichever way it comes: a repeat is a duplicate.
func TestSameOverAllDoors(t *testing.T) {
	w := open(t)
	w.found()
	w.openStreams()
	w.send(w.cloud("1", 2))
	w.done()
	for _, body := range []string{w.usage("src/1", 2), w.cloud("1", 2)} {
		m := w.merchant.request("ReportUsage", body)
		if !strings.HasPrefix(string(m.Data), `{"status":"duplicate"`) {
			t.Errorf("%s is answered with %s", body, m.Data)
		}
	}
	m := w.merchant.request("ReportUsage", w.cloud("1", 3))
	if m.Header.Get(micro.ErrorCodeHeader) != "IDEMPOTENCY_CONFLICT" {
		t.Errorf("answered with %s", m.Data)
	}
	if len(w.refused()) != 0 {
		t.Errorf("refused %v", w.refused())
	}
}

// TestMeterEvents holds that a CloudEvent that is no usage is a meter event, alone and among usage, and the same one whichever way it comes. Of a
// customer that nobody knows yet it is held.
func TestMeterEvents(t *testing.T) {
	w := open(t)
	w.found()
	w.openStreams()
	w.merchant.do("UpdateMetric", `{"billableMetricId":"%s","eventType":"llm.call","valueProperty":"$.tokens"}`, w.input)
	event := func(id, subject string, tokens int) string {
		return fmt.Sprintf(`{"specversion":"1.0","type":"llm.call","source":"gw","id":"%s",%s,"time":"2024-01-15T09:00:00Z","data":{"tokens":%d}}`, id, subject, tokens)
	}
	ada := fmt.Sprintf(`"subject":"%s"`, w.customer)
	w.send(`[` + w.usage("a", 1) + `,` + event("1", ada, 2) + `,` + w.usage("b", 1) + `]`)
	w.send(event("2", ada, 5000))
	w.send(event("3", `"externalsubject":"ada"`, 3))
	w.send(event("1", ada, 2))
	w.done()
	if got, want := w.billed(), []string{"a", "gw/1", "b"}; !slices.Equal(got, want) {
		t.Errorf("billed %v, want %v", got, want)
	}
	subject := "tally.rejected." + w.merchantID + " "
	if got, want := w.refused(), []string{subject + "INSUFFICIENT_FUNDS 0 " + event("2", ada, 5000)}; !slices.Equal(got, want) {
		t.Errorf("refused %v, want %v", got, want)
	}
	plain := fmt.Sprintf(`{"type":"llm.call","source":"gw","idempotencyKey":"gw/1",%s,"timestamp":"2024-01-15T10:00:00+01:00","data":{"tokens":2}}`, ada)
	for _, body := range []string{plain, event("1", ada, 2), event("3", `"externalsubject":"ada"`, 3)} {
		m := w.merchant.request("IngestEvent", body)
		if held := strings.Contains(string(m.Data), "held until"); !strings.HasPrefix(string(m.Data), `{"status":"duplicate"`) || held != strings.Contains(body, "externalsubject") {
			t.Errorf("%s is answered with %s", body, m.Data)
		}
	}
}

func TestRedrive(t *testing.T) {
	w := open(t)
	w.found()
	w.openStreams()
	for i := range 3 {
		w.send(w.usage(fmt.Sprint("k", i), 60)) // 60 dollars each, of 100
	}
	w.send(`not JSON`)
	w.done()
	if n := w.stored("REJECTED"); n != 3 {
		t.Fatalf("%d are refused, want 3: %v", n, w.refused())
	}
	w.topUp("25")
	drive := func(body string) (r natsdoor.Redriven) {
		t.Helper()
		m := w.merchant.request("RedriveRejected", body)
		if err := json.Unmarshal(m.Data, &r); err != nil || len(m.Header) > 0 {
			t.Fatalf("%s %v: %v", m.Data, m.Header, err)
		}
		return r
	}
	if got, want := drive(``), (natsdoor.Redriven{Driven: 3, Accepted: 1, Rejected: 2, Last: 3}); got != want {
		t.Errorf("driven: %+v, want %+v", got, want)
	}
	w.topUp("1000")
	w.merchant.request("ReportUsage", w.usage("k2", 60)) // meanwhile the merchant has repeated it
	if got, want := drive(`{"limit":1}`), (natsdoor.Redriven{Driven: 1, Duplicates: 1, Last: 2, More: true}); got != want && got.Rejected != 1 {
		t.Errorf("driven: %+v, want %+v", got, want)
	}
	if got := drive(`{}`); got.Accepted != 0 || got.More {
		t.Errorf("driven: %+v", got)
	}
	if got, want := w.refused(), []string{"tally.rejected." + w.merchantID + " INVALID  not JSON"}; !slices.Equal(got, want) {
		t.Errorf("left: %v, want %v", got, want)
	}
	for _, bad := range []string{`{"limit":0}`, `{"limit":1001}`, `{"bogus":1}`, `{} x`, `{"merchantId":"` + (events.OrganizationID{7}).String() + `"}`} {
		if m := w.merchant.request("RedriveRejected", bad); m.Header.Get(micro.ErrorCodeHeader) != "INVALID" {
			t.Errorf("%s is answered with %s", bad, m.Data)
		}
	}
	if m := w.operator.request("RedriveRejected", `{}`); m.Header.Get(micro.ErrorCodeHeader) != "INVALID" {
		t.Errorf("an operator without a merchant is answered with %s", m.Data)
	}
	if m := w.operator.request("RedriveRejected", `{"merchantId":"`+w.merchantID+`"}`); !strings.Contains(string(m.Data), `"rejected":1`) {
		t.Errorf("an operator is answered with %s", m.Data)
	}
}

func TestRedriveBeforeStreams(t *testing.T) {
	w := open(t)
	w.found()
	if m := w.merchant.request("RedriveRejected", ``); m.Header.Get(micro.ErrorCodeHeader) != "BUSY" {
		t.Errorf("answered with %s", m.Data)
	}
}

// TestStreamBusy holds that usage of the stream is never refused for load.
func TestStreamBusy(t *testing.T) {
	w := open(t)
	w.found()
	w.gate.refuse(5)
	w.openStreams(func(o *natsdoor.StreamOptions) { o.Window, o.Messages = 2, 2 })
	var keys []string
	for i := range 20 {
		keys = append(keys, fmt.Sprint("k", i))
		w.send(w.usage(keys[i], 1))
	}
	w.send(`[` + w.usage("x", 1) + `,` + w.usage("y", 1) + `,` + w.usage("z", 1) + `]`) // more than the window
	w.done()
	if got, want := w.billed(), append(keys, "x", "y", "z"); !slices.Equal(got, want) {
		t.Errorf("billed %v, want %v", got, want)
	}
	if w.stored("REJECTED") != 0 {
		t.Errorf("refused %v", w.refused())
	}
}

// TestReopened holds that a door takes up at once what the one before has left.
func TestReopened(t *testing.T) {
	w := open(t)
	w.found()
	w.gate.refuse(-1)
	w.openStreams()
	for i := range 10 {
		w.send(w.usage(fmt.Sprint("k", i), 1))
	}
	if err := w.door.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.gate.refuse(0)
	conn := w.connect("_INBOX_door2")
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	door, err := natsdoor.Open(natsdoor.Options{
		Conn: conn, Sequencer: w.gate, Callers: w, Queries: w, Clock: w.clock, NewDecoder: w.decoder,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := door.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err := door.OpenStreams(context.Background(), natsdoor.StreamOptions{JetStream: js}); err != nil {
		t.Fatal(err)
	}
	w.done()
	if n := len(w.billed()); n != 10 {
		t.Errorf("%d are billed, want 10", n)
	}
	if err := door.OpenStreams(context.Background(), natsdoor.StreamOptions{JetStream: js}); err == nil {
		t.Error("the streams can be opened twice")
	}
}

// TestRejectedAway holds that usage waits in its stream while refusals cannot be stored, and is settled when they can be again.
func TestRejectedAway(t *testing.T) {
	w := open(t)
	w.found()
	w.openStreams()
	ctx := context.Background()
	if err := w.js.DeleteStream(ctx, "REJECTED"); err != nil {
		t.Fatal(err)
	}
	w.send(`not JSON`)
	w.send(w.usage("a", 1))
	w.eventually("the good one being billed", func() bool { return len(w.billed()) == 1 })
	w.eventually("the good one leaving", func() bool { return w.stored("USAGE") == 1 })
	if _, err := w.js.CreateStream(ctx, jetstream.StreamConfig{Name: "REJECTED", Subjects: []string{"tally.rejected.*"}}); err != nil {
		t.Fatal(err)
	}
	w.done()
	if n := w.stored("REJECTED"); n != 1 {
		t.Errorf("%d are stored, want 1", n)
	}
}

// TestClockUnderWay holds that usage which a test clock holds up comes again by itself.
func TestClockUnderWay(t *testing.T) {
	w := open(t)
	w.found()
	clock := w.merchant.do("CreateTestClock", `{"currentTime":"2024-01-15T10:00:00Z"}`)
	passing := &passing{gate: w.gate, left: 3}
	_ = clock
	w.replaceDoor(passing)
	w.openStreams()
	w.send(w.usage("a", 1))
	w.done()
	if got := w.billed(); !slices.Equal(got, []string{"a"}) || w.stored("REJECTED") != 0 {
		t.Errorf("billed %v, refused %v", got, w.refused())
	}
}

// passing answers CLOCK_ADVANCING a few times.
type passing struct {
	*gate
	left int
}

func (p *passing) Submit(call *commands.Call) error {
	if p.left == 0 {
		return p.gate.Submit(call)
	}
	p.left--
	call.Done([]commands.Receipt{commands.Refusal(commands.Reject(commands.ClockAdvancing, "told so"))})
	return nil
}

// failing answers that the ledger has failed.
type failing struct{ told chan struct{} }

func (f failing) Submit(call *commands.Call) error {
	call.Done([]commands.Receipt{commands.Refusal(commands.Reject(commands.LedgerFailed, "told so"))})
	close(f.told)
	return nil
}

// TestFailedLedger holds that usage whose outcome is unknown stays in its stream.
func TestFailedLedger(t *testing.T) {
	w := open(t)
	w.found()
	f := failing{make(chan struct{})}
	w.replaceDoor(f)
	w.openStreams()
	w.send(w.usage("a", 1))
	<-f.told
	if err := w.door.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if w.stored("USAGE") != 1 || w.stored("REJECTED") != 0 {
		t.Errorf("%d are left in the stream, and %d refused", w.stored("USAGE"), w.stored("REJECTED"))
	}
}

// replaceDoor closes the door and opens another one before a different sequencer.
func (w *world) replaceDoor(seq natsdoor.Sequencer) {
	w.t.Helper()
	if err := w.door.Close(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	conn := w.connect("_INBOX_door2")
	door, err := natsdoor.Open(natsdoor.Options{Conn: conn, Sequencer: seq, Callers: w, Queries: w, Clock: w.ticking, NewDecoder: w.decoder})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := door.Close(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	if w.js, err = jetstream.New(conn); err != nil {
		w.t.Fatal(err)
	}
	w.door, w.conn = door, conn
}

// TestLongOriginal holds that a refusal which does not fit into a message is stored cut, and holds nothing up.
func TestLongOriginal(t *testing.T) {
	w := open(t)
	w.found()
	w.openStreams()
	w.send(strings.Repeat("x", 1<<20-200))
	w.done()
	s, err := w.js.Stream(context.Background(), "REJECTED")
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(context.Background(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get(natsdoor.HeaderCut) != fmt.Sprint(1<<20-200) || len(m.Data) != 1<<20-4096 {
		t.Errorf("stored %d bytes, %v", len(m.Data), m.Header)
	}
}
