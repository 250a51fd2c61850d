package commands

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// statuses is what clients rely on: the status of every code (D10).
var statuses = map[Code]int{
	Invalid: 400, BilledSince: 400, SandboxOnly: 400, ManagedPostpaidOnly: 400, TooLarge: 400,
	Unauthorized:        401,
	Forbidden:           403,
	NotFound:            404,
	MethodNotAllowed:    405,
	IdempotencyConflict: 409, Conflict: 409, AlreadyTerminated: 409, InvoiceState: 409, AlreadyRefunded: 422, NotRefundable: 422, ClockAdvancing: 409, PaymentSessionExpired: 409, AuthorizationExpired: 409,
	SubscriptionNotActive: 422, NoPaymentMethod: 422, MetricNotPriced: 422, InsufficientFunds: 422, PeriodClosed: 422, TimestampInFuture: 422,
	AmountOutOfRange: 422, ReservationNotActive: 422, ReservationExceeded: 422,
	Busy: 429, RateLimited: 429,
	Internal:     500,
	LedgerFailed: 503, StreamUnchecked: 503, ShuttingDown: 503,
}

func TestCodes(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING || strings.ToUpper(lit.Value) != lit.Value || len(lit.Value) < 4 || strings.ContainsAny(lit.Value, ": ") {
			return true
		}
		codes++
		code := Code(strings.Trim(lit.Value, `"`))
		if want, ok := statuses[code]; !ok || code.HTTPStatus() != want {
			t.Errorf("%s has status %d, want %d", code, code.HTTPStatus(), want)
		}
		return true
	})
	if codes != len(statuses) {
		t.Errorf("there are %d codes, want %d", codes, len(statuses))
	}
	if got := Code("ELSE").HTTPStatus(); got != 500 {
		t.Errorf("an unknown code has status %d, want 500", got)
	}
}

func TestCodeOf(t *testing.T) {
	r := Reject(NotFound, "no %s", "plan")
	if got := CodeOf(fmt.Errorf("asking: %w", r)); got != NotFound {
		t.Errorf("CodeOf a wrapped rejection is %q", got)
	}
	if got := CodeOf(errors.New("else")); got != "" {
		t.Errorf("CodeOf another error is %q", got)
	}
	if got, want := r.Error(), "NOT_FOUND: no plan"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
