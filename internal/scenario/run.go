package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tallystick/commands"
	"tallystick/events"
	"tallystick/internal/wire"
)

// Run lets a story happen in w, and puts what each step answers in its place. The error is not about an answer that
// differs: the story itself cannot be understood, or the ledger has failed.
func (w *World) Run(ctx context.Context, s *Story) error {
	for i := range s.lines {
		l := &s.lines[i]
		step := l.step()
		if step == "" {
			continue
		}
		answer, err := w.step(ctx, s, step)
		if err != nil {
			return fmt.Errorf("%s:%d: %w (refused so far: %q)", s.Path, l.number, err, w.refusals)
		}
		l.answer = answer
	}
	return nil
}

// step carries out one step, and returns what it answers.
func (w *World) step(ctx context.Context, s *Story, step string) ([]string, error) {
	list, err := words(step)
	if err != nil {
		return nil, err
	}
	name := ""
	if first, ok := strings.CutSuffix(list[0], ":"); ok && len(list) > 1 {
		name, list = first, list[1:]
	}
	verb, rest := list[0], list[1:]
	switch {
	case verb == "at":
		return nil, w.at(strings.Join(rest, " "))
	case verb == "as" && len(rest) == 1:
		return nil, w.as(rest[0])
	case verb == "use":
		return w.use(ctx, name, rest)
	case verb == "advance" && len(rest) > 2 && rest[1] == "to":
		return w.advance(ctx, rest[0], strings.Join(rest[2:], " "))
	case verb == "show" && len(rest) > 0:
		return w.show(ctx, name, rest[0], rest[1:])
	case verb == "balances" && len(rest) == 0:
		return w.balances(ctx)
	case verb == "restart" && len(rest) == 0:
		return nil, w.restart(ctx)
	case verb == "given" && len(rest) == 1:
		return nil, w.given(ctx, filepath.Join(filepath.Dir(s.Path), rest[0]+".txt"))
	case verb[0] >= 'A' && verb[0] <= 'Z':
		return w.carryOut(ctx, name, verb, rest)
	}
	return nil, fmt.Errorf("%q is none of the steps that the package comment lists", step)
}

func (w *World) at(text string) error {
	t, err := w.timeOf(text)
	if err != nil {
		return err
	}
	if t.UnixNano() < w.real.Load() {
		return errors.New("real time goes forward only")
	}
	w.real.Store(t.UnixNano())
	w.named = t
	return w.settle()
}

func (w *World) as(who string) error {
	switch who {
	case "operator":
		w.who = wire.Who{Role: events.OperatorKey}
		return nil
	case "auditor":
		w.who = wire.Who{Role: events.AuditorKey}
		return nil
	}
	merchant, err := events.ParseID[events.OrganizationNoun](w.names[who])
	if err != nil {
		return fmt.Errorf("no merchant is called %s", who)
	}
	w.who = wire.Who{Role: events.MerchantKey, Merchant: merchant}
	return nil
}

// carryOut carries out a command, whose fields are given.
func (w *World) carryOut(ctx context.Context, name, command string, fields []string) ([]string, error) {
	body, err := w.body(fields)
	if err != nil {
		return nil, err
	}
	return w.tellCommand(ctx, name, command, body)
}

func (w *World) tellCommand(ctx context.Context, name, command string, body map[string]any) ([]string, error) {
	receipts, answer, err := w.command(ctx, command, body)
	if err != nil {
		return nil, err
	}
	told := make([]string, len(receipts))
	for i := range receipts {
		told[i] = tellReceipt(&receipts[i])
		if receipts[i].Status == commands.Rejected {
			w.refusals = append(w.refusals, receipts[i].Message)
		}
	}
	if name == "" {
		return told, nil
	}
	v, err := decode(answer)
	if err != nil {
		return nil, err
	}
	if id, ok := at(v, "id").(string); ok {
		w.name(name, id)
	}
	return told, nil
}

// use reports usage: a customer, quantities with the names of metrics, and other fields of ReportUsage.
func (w *World) use(ctx context.Context, name string, list []string) ([]string, error) {
	var fields []string
	var properties []map[string]any
	for i := 1; i < len(list); i++ {
		if strings.Contains(list[i], "=") {
			fields = append(fields, strings.Replace(list[i], "key=", "idempotencyKey=", 1))
			continue
		}
		quantity, err := strconv.ParseInt(list[i], 10, 64)
		if err != nil || i+1 == len(list) {
			return nil, fmt.Errorf("%q is no quantity of a metric", list[i])
		}
		i++
		metric, err := w.value("@" + strings.TrimSuffix(list[i], ","))
		if err != nil {
			return nil, err
		}
		properties = append(properties, map[string]any{"billableMetricId": metric, "quantity": quantity})
	}
	if len(list) == 0 {
		return nil, errors.New("whose usage?")
	}
	customer, err := w.value("@" + list[0])
	if err != nil {
		return nil, err
	}
	given, err := w.body(fields)
	if err != nil {
		return nil, err
	}
	w.reported++
	body := map[string]any{
		"customerId": customer, "idempotencyKey": fmt.Sprintf("use-%d", w.reported), "timestamp": w.named, "properties": properties,
	}
	for k, v := range given {
		body[k] = v
	}
	return w.tellCommand(ctx, name, "ReportUsage", body)
}

// advance moves a test clock.
func (w *World) advance(ctx context.Context, clock, to string) ([]string, error) {
	id, err := w.value("@" + clock)
	if err != nil {
		return nil, err
	}
	t, err := w.timeOf(to)
	if err != nil {
		return nil, err
	}
	w.named = t
	return w.tellCommand(ctx, "", "AdvanceTestClock", map[string]any{"testClockId": id, "currentTime": t})
}

// show tells fields of an answer.
func (w *World) show(ctx context.Context, name, query string, list []string) ([]string, error) {
	var told []string
	for i, word := range list {
		if word == "|" {
			list, told = list[:i], list[i+1:]
			break
		}
	}
	args, err := w.body(list)
	if err != nil {
		return nil, err
	}
	answer, err := w.query(ctx, query, args)
	if code := commands.CodeOf(err); code != "" {
		w.refusals = append(w.refusals, err.Error())
		return []string{"refused " + string(code)}, nil
	}
	if err != nil {
		return nil, err
	}
	if name != "" && len(told) > 0 {
		id, ok := at(answer, told[0]).(string)
		if !ok {
			return nil, fmt.Errorf("the answer has no %s", told[0])
		}
		w.name(name, id)
		if told = told[1:]; len(told) == 0 {
			return nil, nil
		}
	}
	return w.tell(answer, told)
}

// balances tells the sums of all accounts by role.
func (w *World) balances(ctx context.Context) ([]string, error) {
	before := w.who
	w.who = wire.Who{Role: events.OperatorKey}
	defer func() { w.who = before }()
	answer, err := w.query(ctx, "TrialBalance", nil)
	if err != nil {
		return nil, err
	}
	var told []string
	rows, _ := at(answer, "rows").([]any)
	for _, r := range rows {
		told = append(told, fmt.Sprintf("%-18s %s %s", at(r, "role"), w.text("balanceNanos", at(r, "balanceNanos")), at(r, "currency")))
	}
	return told, nil
}

// given lets the steps of another file happen first. All must be accepted.
func (w *World) given(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s, err := Parse(path, string(text))
	if err != nil {
		return err
	}
	w.refusals = nil
	if err := w.Run(ctx, s); err != nil {
		return err
	}
	if len(w.refusals) > 0 {
		return fmt.Errorf("%s: %s", path, strings.Join(w.refusals, "; "))
	}
	return nil
}

// Refusals returns what the messages of refusals said, which no story tells.
func (w *World) Refusals() []string { return w.refusals }
