package httpapi

import (
	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"tallystick/events"
)

// Whole is an amount in billionths of the currency's unit, written as a number.
type Whole events.Sum

// MarshalJSON returns the digits.
func (w Whole) MarshalJSON() ([]byte, error) { return events.Sum(w).AppendDigits(nil), nil }

// Schema implements huma.SchemaProvider.
func (Whole) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeInteger} }

// Decimal is a number with all its digits, written as a number.
type Decimal struct{ decimal.Decimal }

// MarshalJSON returns the digits.
func (d Decimal) MarshalJSON() ([]byte, error) { return []byte(d.String()), nil }

// Schema implements huma.SchemaProvider.
func (Decimal) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeNumber} }

// RawObject is an object as it was sent.
type RawObject jsontext.Value

// MarshalJSON returns the object.
func (o RawObject) MarshalJSON() ([]byte, error) { return o, nil }

// Schema implements huma.SchemaProvider.
func (RawObject) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}
