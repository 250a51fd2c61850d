// Package demo runs the whole system once on a trace of LLM traffic: a merchant
// with an LLM API, its customers with their wallets, every request of the trace published as
// usage over NATS, some of it twice, a month's end on a test clock, invoices,
// verification, and a rebuild of everything that is derived.
package demo
