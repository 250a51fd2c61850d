package server_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"tallystick/internal/httpapi"
	"tallystick/internal/natsbus"
	"tallystick/internal/server"
)

// rejections returns what the metrics say of refused commands, by code.
func (p *shop) rejections() map[string]float64 {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.s.HTTPURL()+"/metrics", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	all := make(map[string]float64)
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		var n float64
		name, rest, _ := strings.Cut(lines.Text(), `{code="`)
		code, value, _ := strings.Cut(rest, `"} `)
		if name != "tally_rejections_total" {
			continue
		}
		if _, err := fmt.Sscan(value, &n); err != nil {
			p.t.Fatalf("%s: %v", lines.Text(), err)
		}
		all[code] = n
	}
	return all
}

// TestRejectionsAreCounted has commands refused in each place that refuses some: each is counted once, under its code.
func TestRejectionsAreCounted(t *testing.T) {
	p := openShop(t)
	err := p.s.Serve(t.Context(), server.Doors{
		NATS: natsbus.Options{Listen: "127.0.0.1:0"}, HTTP: "127.0.0.1:0", API: httpapi.Listen{Addr: "127.0.0.1:0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	key := p.do("CreateKey", `{"role":"merchant","name":"shop"}`)["secret"].(string)
	nc, err := p.s.OperatorConn()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ask := func(kind, name, body string) {
		t.Helper()
		m, err := nc.RequestWithContext(ctx, "tally."+kind+"."+p.merchant.String()+"."+name, []byte(body))
		if err != nil || !strings.Contains(string(m.Data), `"rejected"`) {
			t.Fatalf("%s: %v %v", name, m, err)
		}
	}
	post := func(key, body string) {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.s.APIURL()+"/v0/usage", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+key)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil || answer.StatusCode < 400 {
			t.Fatalf("status %d, %v", answer.StatusCode, err)
		}
	}
	usage := `{"merchantId":"` + p.merchant.String() + `","customerId":"cus_01JD3W0000000000000000000A","idempotencyKey":"k","timestamp":"2024-01-01T00:00:00Z",
		"properties":[{"billableMetricId":"bm_01JD3W0000000000000000000A","quantity":1}]}`

	for _, tt := range []struct {
		name, code string
		refuse     func()
	}{
		{"over NATS, that cannot be read", "INVALID", func() { ask("cmd", "ReportUsage", `{"nonsense":1}`) }},
		{"over NATS, of the bus", "INVALID", func() { ask("cmd", "OpenConsumer", `{}`) }},
		{"over NATS, by the rules", "NOT_FOUND", func() { ask("cmd", "ReportUsage", usage) }},
		{"over NATS, an entry of a batch", "INVALID", func() { ask("cmd", "ReportUsage", `{"events":[{"nonsense":1}]}`) }},
		{"over HTTP, that is not what is described", "INVALID", func() { post(key, `{"nonsense":1}`) }},
		{"over HTTP, by the rules", "NOT_FOUND", func() { post(key, usage) }},
		{"over HTTP, from nobody", "UNAUTHORIZED", func() { post("sk_test_nobody", usage) }},
	} {
		want := p.rejections()
		want[tt.code]++
		tt.refuse()
		if got := p.rejections(); !maps.Equal(got, want) {
			t.Errorf("%s: counted %v, want %v", tt.name, got, want)
		}
	}
	before := p.rejections()
	ask("query", "Wallet", `{"walletId":"acc_01JD3W0000000000000000000A"}`)
	if got := p.rejections(); !maps.Equal(got, before) {
		t.Errorf("a question is counted: %v, before %v", got, before)
	}
}
