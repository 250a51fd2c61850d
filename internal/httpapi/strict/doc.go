// Package strict is a client of the API, generated from what existing clients know (../testdata/clients.json). Only tests use it: those of
// package httpapi send their requests through it, and hold every answer against its types, strictly.
package strict

//go:generate go tool -modfile=../../../tools/go.mod oapi-codegen -config oapi-codegen.yaml ../testdata/clients.json
