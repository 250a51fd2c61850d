package httpapi_test

import (
	"fmt"
	"net/url"
	"strings"
)

// all tries all operations.
func (c *conformance) all() {
	s := c.catalogue()
	c.customersAndClocks(&s)
	c.subscriptionsAndUsage(&s)
	c.access(s)
	c.money(s)
	c.endings(s)
}

// id tries a POST that makes something, and returns its identity.
func (c *conformance) id(op, path, format string, args ...any) string {
	c.t.Helper()
	return c.try(op, 201, "POST", path, fmt.Sprintf(format, args...))["id"].(string)
}

func (c *conformance) catalogue() (s shop) {
	m := c.merchant
	s.product = c.id("createProduct", "/v0/products", `{"merchantId":%q,"name":"LLM API","description":"by the token","metadata":{"team":"core"}}`, m)
	c.try("listProducts", 200, "GET", "/v0/products?limit=5&merchantId="+m, "")
	c.try("getProduct", 200, "GET", "/v0/products/"+s.product, "")
	c.try("updateProduct", 200, "PATCH", "/v0/products/"+s.product, `{"name":"Language model"}`)

	s.metric = c.id("createBillableMetric", "/v0/billableMetrics", `{"merchantId":%q,"productId":%q,"name":"Tokens","description":"Tokens","unit":"tokens","aggregation":"SUM"}`, m, s.product)
	c.try("listBillableMetrics", 200, "GET", "/v0/billableMetrics?merchantId="+m+"&productId="+s.product, "")
	c.try("getBillableMetric", 200, "GET", "/v0/billableMetrics/"+s.metric, "")
	c.try("updateBillableMetric", 200, "PATCH", "/v0/billableMetrics/"+s.metric, `{"unit":"token"}`)

	fee := c.id("createFee", "/v0/fees", `{"merchantId":%q,"productId":%q,"name":"Setup","description":"Once"}`, m, s.product)
	c.try("listFees", 200, "GET", "/v0/fees?merchantId="+m, "")
	c.try("getFee", 200, "GET", "/v0/fees/"+fee, "")
	c.try("updateFee", 200, "PATCH", "/v0/fees/"+fee, `{"description":"Once only"}`)

	s.price = c.id("createPrice", "/v0/prices", `{"billableMetricId":%q,"model":"standard","paymentTerm":"instant","invoiceDisplayName":"Tokens","properties":{"unitPrice":"0.00002"}}`, s.metric)
	for model, properties := range map[string]string{
		"dynamic": `{"minPrice":"1","maxPrice":"2"}`, "percentage": `{"percentage":"0.029","minCharge":"0.3","maxCharge":"100"}`,
		"volume": `{"default":"0.1","parameters":{"function":"linear","gradient":"-0.00001","min":"0.05","max":"0.1"}}`,
	} {
		other := c.id("createPrice", "/v0/prices", `{"billableMetricId":%q,"model":%q,"paymentTerm":"in_arrears","invoiceDisplayName":"Tokens","properties":%s}`, s.metric, model, properties)
		c.try("getPrice", 200, "GET", "/v0/prices/"+other, "")
	}
	c.try("listPrices", 200, "GET", "/v0/prices?billableMetricId="+s.metric, "")
	c.try("updatePrice", 200, "PATCH", "/v0/prices/"+s.price, `{"invoiceDisplayName":"Tokens used"}`)
	setup := c.id("createPrice", "/v0/prices", `{"feeId":%q,"model":"standard","paymentTerm":"in_arrears","billingCadence":"P1M","invoiceDisplayName":"Base","properties":{"unitPrice":"5"}}`, fee)
	c.refused("deleteFee", 409, "DELETE", "/v0/fees/"+fee, "")

	s.plan = c.id("createPlan", "/v0/plans", `{"merchantId":%q,"productId":%q,"name":"Pay as you go","currency":"USD","billingCadence":"P1M","prices":[%q]}`, m, s.product, s.price)
	c.try("listPlans", 200, "GET", "/v0/plans?merchantId="+m, "")
	c.try("getPlan", 200, "GET", "/v0/plans/"+s.plan, "")
	c.try("updatePlan", 200, "PATCH", "/v0/plans/"+s.plan, `{"description":"By the token"}`)
	c.refused("deletePrice", 400, "DELETE", "/v0/prices/"+s.price, "")
	c.try("deletePrice", 204, "DELETE", "/v0/prices/"+setup, "")
	c.try("deleteFee", 204, "DELETE", "/v0/fees/"+fee, "")
	return s
}

func (c *conformance) customersAndClocks(s *shop) {
	m := c.merchant
	consumer := `{"name":"Jane","email":"jane@example.com","address":{"line1":"1 Main St","city":"Berlin","country":"DE","zipCode":"10115"}}`
	body := fmt.Sprintf(`{"merchantId":%q,"consumer":%s,"externalId":"c-1","taxId":"DE1"}`, m, consumer)
	s.customer = c.try("createCustomer", 201, "POST", "/v0/customers", body)["customerId"].(string)
	c.try("createCustomer", 200, "POST", "/v0/customers", body)
	c.refused("createCustomer", 409, "POST", "/v0/customers", strings.Replace(body, "jane@", "joan@", 1))
	c.refused("createCustomer", 404, "POST", "/v0/customers", fmt.Sprintf(`{"merchantId":%q,"consumerId":"org_01ARZ3NDEKTSV4RRFFQ69G5FAV"}`, m))
	c.try("listCustomers", 200, "GET", "/v0/customers?organizationId="+m+"&name=jan", "")
	got := c.try("getCustomer", 200, "GET", "/v0/customers/"+s.customer, "")
	s.consumer = got["consumerId"].(string)
	c.authorizations(*s)
	c.try("updateCustomer", 200, "PATCH", "/v0/customers/"+s.customer, `{"taxId":"DE2","notificationSettings":{"invoicePaid":false}}`)
	c.try("getConsumer", 200, "GET", "/v0/consumers/"+got["consumerId"].(string), "")
	c.try("updateConsumer", 200, "PATCH", "/v0/consumers/"+got["consumerId"].(string), `{"phone":"+49 30 1"}`)
	alone := fmt.Sprintf(`{"merchantId":%q,"name":"Ann","email":"ann@example.com","address":{"country":"GB"}}`, m)
	ann := c.try("createConsumer", 201, "POST", "/v0/consumers", alone)["id"].(string)
	c.try("createConsumer", 200, "POST", "/v0/consumers", alone)
	c.try("createOffSessionPaymentMethod", 201, "POST", "/v0/consumers/"+ann+"/offSessionPaymentMethods", `{"paymentMethod":"card","returnUrl":"https://example.com/back"}`)
	c.id("createWallet", "/v0/wallets", `{"ownedBy":%q,"currency":"USD","name":"Team","timezone":"Europe/Berlin","tag":"t","initialBalance":"5000000000"}`, s.consumer)
	c.refused("createWallet", 409, "POST", "/v0/wallets", fmt.Sprintf(`{"ownedBy":%q,"currency":"USD","name":"Own"}`, m))
	c.refused("createWallet", 404, "POST", "/v0/wallets", `{"ownedBy":"org_01ARZ3NDEKTSV4RRFFQ69G5FAV","currency":"USD","name":"Team"}`)
	c.refused("listWallets", 400, "GET", "/v0/wallets", "")
	c.try("listAvailablePlans", 200, "GET", "/v0/plans/available?customerId="+s.customer, "")
	spare := c.do(201, "POST", "/v0/customers", fmt.Sprintf(`{"merchantId":%q,"consumer":{"name":"Joe","email":"joe@example.com","address":{}}}`, m))
	other := spare["customerId"].(string)
	c.refused("updateCustomer", 409, "PATCH", "/v0/customers/"+other, `{"externalId":"c-1"}`)
	c.try("deleteCustomer", 204, "DELETE", "/v0/customers/"+other, "")

	s.clock = c.id("createTestClock", "/v0/testClocks", `{"name":"trial","merchantId":%q}`, m)
	c.try("listTestClocks", 200, "GET", "/v0/testClocks?merchantId="+m, "")
	c.try("getTestClock", 200, "GET", "/v0/testClocks/"+s.clock, "")
	c.try("advanceTestClock", 200, "PATCH", "/v0/testClocks/"+s.clock, `{"advanceBy":"PT1H"}`)
	key := c.id("createKey", "/v0/keys", `{"merchantId":%q,"name":"second"}`, m)
	c.try("listKeys", 200, "GET", "/v0/keys?merchantId="+m, "")
	c.try("revokeKey", 204, "DELETE", "/v0/keys/"+key, "")
	c.refused("revokeKey", 409, "DELETE", "/v0/keys/"+key, "")
}

func (c *conformance) subscriptionsAndUsage(s *shop) {
	now := c.do(200, "GET", "/v0/testClocks/"+s.clock, "")["currentTime"]
	create := fmt.Sprintf(`{"name":"Jane","customerId":%q,"planId":%q,"startedAt":%q,"testClockId":%q}`, s.customer, s.plan, now, s.clock)
	sub := c.try("createSubscription", 201, "POST", "/v0/subscriptions", create)
	s.subscription, s.wallet = sub["id"].(string), sub["walletId"].(string)
	c.try("createSubscription", 200, "POST", "/v0/subscriptions", create)
	c.try("listSubscriptions", 200, "GET", "/v0/subscriptions?limit=5&status=active&customerId="+s.customer, "")
	c.try("getSubscription", 200, "GET", "/v0/subscriptions/"+s.subscription, "")
	c.try("listSubscriptions", 200, "GET", "/v0/subscriptions?include=customer&consumerId="+s.consumer, "")
	c.portals(*s)
	c.try("updateSubscription", 200, "PATCH", "/v0/subscriptions/"+s.subscription, `{"renewalReminderDays":7}`)
	c.refused("updateSubscription", 400, "PATCH", "/v0/subscriptions/"+s.subscription, `{"status":"terminated","terminatedAt":"2001-01-01T00:00:00Z"}`)
	c.refused("createUsageEvent", 422, "POST", "/v0/usage", c.usage(*s, "u-0", 100))
	c.try("createTopUp", 201, "POST", "/v0/wallets/"+s.wallet+"/topups", `{"amount":"20","method":"sandbox"}`)

	u := c.try("createUsageEvent", 201, "POST", "/v0/usage", c.usage(*s, "u-1", 100))
	c.refused("createUsageEvent", 409, "POST", "/v0/usage", c.usage(*s, "u-1", 101))
	c.try("batchCreateUsageEvents", 201, "POST", "/v0/usage/batch", `{"events":[`+c.usage(*s, "u-2", 7)+`]}`)
	span := "startTime=2020-01-01T00:00:00Z&endTime=2100-01-01T00:00:00Z"
	c.try("listUsageEvents", 200, "GET", "/v0/usage?"+span+"&customerId="+s.customer, "")
	c.refused("listUsageEvents", 400, "GET", "/v0/usage?customerId="+s.customer, "")
	c.try("getUsageEvent", 200, "GET", "/v0/usage/"+u["id"].(string), "")
	c.meters(*s)
	c.meterEvents(*s)

	c.disputes(*s)
	c.refused("refundUsageEvent", 400, "PATCH", "/v0/usage/"+u["id"].(string), `{"refunded":false}`)
	c.try("refundUsageEvent", 200, "PATCH", "/v0/usage/"+u["id"].(string), `{"refunded":true,"reason":"a mistake"}`)
	c.refused("refundUsageEvent", 422, "PATCH", "/v0/usage/"+u["id"].(string), `{"refunded":true}`)
	c.refused("createDispute", 409, "POST", "/v0/disputes", fmt.Sprintf(`{"usageEventId":%q,"message":"it was given back"}`, u["id"]))

	reservation := fmt.Sprintf(`{"merchantId":%q,"customerId":%q,"entitlementData":[{"billableMetricId":%q,"quantity":10}]}`, c.merchant, s.customer, s.metric)
	c.try("createEntitlement", 201, "POST", "/v0/entitlements", reservation)
	c.refused("createEntitlement", 400, "POST", "/v0/entitlements", strings.Replace(reservation, `"quantity":10`, `"quantity":100000000000`, 1))
	c.try("getActiveEntitlements", 200, "GET", "/v0/entitlements/activeEntitlements?customerId="+s.customer, "")
}

// meters asks for the usage of the shop's metric: 100 and 7 tokens of one customer.
func (c *conformance) meters(s shop) {
	const span = "?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z"
	path := "/v0/billableMetrics/" + s.metric + "/meter" + span
	got := c.try("getBillableMetricMeter", 200, "GET", path+"&windowSize=MONTH&groupBy=customerId&subject="+s.customer, "")
	groups, _ := got["groupedValues"].([]any)
	windows, _ := got["windowedValues"].([]any)
	if fmt.Sprint(got["totalValue"]) != "107" || len(windows) != 1 || len(groups) != 1 {
		c.t.Errorf("the meter shows %v", got)
	}
	for _, filter := range []string{s.subscription, "sub_01ARZ3NDEKTSV4RRFFQ69G5FAV"} {
		got := c.do(200, "GET", path+"&filterGroupBy="+url.QueryEscape(fmt.Sprintf(`{"subscriptionId":%q}`, filter)), "")
		if want := map[bool]string{true: "107", false: "0"}[filter == s.subscription]; fmt.Sprint(got["totalValue"]) != want {
			c.t.Errorf("of %s the meter shows %v, want %s", filter, got, want)
		}
	}
	for _, wrong := range []string{"&groupBy=model", "&filterGroupBy=model", "&filterGroupBy=" + url.QueryEscape(`{"model":"large"}`), "&subject=c-1", "&windowSize=YEAR"} {
		c.refused("getBillableMetricMeter", 400, "GET", path+wrong, "")
	}
	list := c.try("listBillableMetricEvents", 200, "GET", "/v0/billableMetrics/"+s.metric+"/events"+span+"&limit=200&subject="+s.customer, "")
	if events, _ := list["events"].([]any); len(events) != 2 {
		c.t.Errorf("the events are %v", list)
	}
	c.refused("listBillableMetricEvents", 400, "GET", "/v0/billableMetrics/"+s.metric+"/events?from=2020-01-01T00:00:00Z", "")
}

// meterEvents has the shop's metric count events of a type, and reports some.
func (c *conformance) meterEvents(s shop) {
	c.do(200, "PATCH", "/v0/billableMetrics/"+s.metric, `{"eventType":"llm.call","valueProperty":"$.usage.tokens"}`)
	event := fmt.Sprintf(`{"type":"llm.call","source":"gateway","subject":%q,"namespace":"eu","idempotencyKey":"e-1","data":{"usage":{"tokens":12345678901},"model":"large"}}`, s.customer)
	c.refused("ingestEvent", 422, "POST", "/v0/events", event)
	small := strings.Replace(event, "12345678901", "5.0", 1)
	got := c.try("ingestEvent", 202, "POST", "/v0/events", small)
	if again := c.do(202, "POST", "/v0/events", small); again["id"] != got["id"] || again["timestamp"] != got["timestamp"] || got["namespace"] != "eu" {
		c.t.Errorf("the event is %v, and repeated %v", got, again)
	}
	c.refused("ingestEvent", 409, "POST", "/v0/events", strings.Replace(small, "large", "small", 1))
	c.refused("ingestEvent", 404, "POST", "/v0/events", strings.Replace(strings.Replace(small, s.customer, "cus_01ARZ3NDEKTSV4RRFFQ69G5FAV", 1), "e-1", "e-2", 1))
	c.refused("ingestEvent", 400, "POST", "/v0/events", strings.Replace(strings.Replace(small, "5.0", "5.5", 1), "e-1", "e-2", 1))
	if other := c.do(202, "POST", "/v0/events", strings.Replace(strings.Replace(small, "llm.call", "llm.chat", 1), "e-1", "e-3", 1)); other["id"] != nil || other["type"] != "llm.chat" {
		c.t.Errorf("an event that nothing counts is %v", other)
	}
	list := c.try("listBillableMetricEvents", 200, "GET", "/v0/billableMetrics/"+s.metric+"/events?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&limit=1", "")
	if newest := list["events"].([]any)[0].(map[string]any); newest["id"] != got["id"] || newest["source"] != "gateway" || fmt.Sprint(newest["data"]) != "map[model:large usage:map[tokens:5]]" {
		c.t.Errorf("the newest event is %v", newest)
	}
	c.dimensions(s)
}

// dimensions names what the shop's metric can be divided by, reports events of a customer that the merchant calls by an id of its own, one of them a
// CloudEvent, and asks the meter.
func (c *conformance) dimensions(s shop) {
	c.do(200, "PATCH", "/v0/billableMetrics/"+s.metric, `{"groupBy":{"model":"$.model","team":"$.metadata.model"}}`)
	event := `{"type":"llm.call","source":"gateway","externalSubject":"c-1","externalId":"call_7","idempotencyKey":"gateway/9","data":{"usage":{"tokens":7},"model":"small"}}`
	c.clients.answersOnly = true // existing clients name a subject
	defer func() { c.clients.answersOnly = false }()
	got := c.try("ingestEvent", 202, "POST", "/v0/events", event)
	if got["subject"] != s.customer || got["externalSubject"] != "c-1" || got["externalId"] != "call_7" {
		c.t.Errorf("the event is %v", got)
	}
	cloud := `{"specversion":"1.0","id":"9","source":"gateway","type":"llm.call","externalsubject":"c-1","externalid":"call_7","data":{"usage":{"tokens":7},"model":"small"}}`
	if again := c.do(202, "POST", "/v0/events", cloud); again["id"] != got["id"] || again["idempotencyKey"] != "gateway/9" || again["externalSubject"] != "c-1" {
		c.t.Errorf("the event is %v, and as a CloudEvent %v", got, again)
	}
	nobody := c.do(202, "POST", "/v0/events", strings.Replace(strings.Replace(event, "c-1", "c-77", 1), "gateway/9", "gateway/10", 1))
	if nobody["held"] != true || nobody["id"] != nil || nobody["subject"] != nil || nobody["externalSubject"] != "c-77" {
		c.t.Errorf("an event of nobody is %v", nobody)
	}
	if held := c.try("listHeldEvents", 200, "GET", "/v0/events/held", "")["data"].([]any)[0].(map[string]any); held["externalSubject"] != "c-77" || held["count"] != 1.0 {
		c.t.Errorf("held is %v", held)
	}
	c.try("discardHeldEvents", 204, "POST", "/v0/events/held/discard", `{"externalSubject":"c-77"}`)
	c.refused("discardHeldEvents", 404, "POST", "/v0/events/held/discard", `{"externalSubject":"c-77"}`)
	c.refused("ingestEvent", 400, "POST", "/v0/events", strings.Replace(event, `"externalSubject":"c-1",`, "", 1))
	c.refused("ingestEvent", 400, "POST", "/v0/events", strings.Replace(cloud, "1.0", "0.3", 1))
	c.refused("createUsageEvent", 400, "POST", "/v0/usage", cloud)
	c.refused("batchCreateUsageEvents", 400, "POST", "/v0/usage/batch", `{"events":[`+cloud+`]}`)

	path := "/v0/billableMetrics/" + s.metric + "/meter?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z"
	groups := func(query string) string {
		return fmt.Sprint(c.try("getBillableMetricMeter", 200, "GET", path+query, "")["groupedValues"])
	}
	for query, want := range map[string]string{
		"&groupBy=model":      "[map[groupBy:map[] value:107] map[groupBy:map[model:large] value:5] map[groupBy:map[model:small] value:7]]",
		"&groupBy=team":       "[map[groupBy:map[] value:12] map[groupBy:map[team:large] value:107]]",
		"&groupBy=team,model": "[map[groupBy:map[model:large] value:5] map[groupBy:map[model:small] value:7] map[groupBy:map[team:large] value:107]]",
		"&groupBy=model&filterGroupBy=" + url.QueryEscape(`{"model":"small","customerId":"`+s.customer+`"}`): "[map[groupBy:map[model:small] value:7]]",
	} {
		if got := groups(query); got != want {
			c.t.Errorf("by %s the meter shows %s, want %s", query, got, want)
		}
	}
	c.refused("getBillableMetricMeter", 400, "GET", path+"&groupBy=colour", "")
}

func (c *conformance) disputes(s shop) {
	for i, status := range []string{"accepted", "declined"} {
		u := c.do(201, "POST", "/v0/usage", c.usage(s, fmt.Sprintf("disputed-%d", i), 100))["id"]
		body := fmt.Sprintf(`{"usageEventId":%q,"message":"We did not use that."}`, u)
		dispute := "/v0/disputes/" + c.id("createDispute", "/v0/disputes", "%s", body)
		c.refused("createDispute", 409, "POST", "/v0/disputes", body)
		c.try("listDisputes", 200, "GET", "/v0/disputes?status=pending&customerId="+s.customer, "")
		c.refused("listDisputes", 400, "GET", "/v0/disputes?status=pending", "")
		c.try("getDispute", 200, "GET", dispute, "")
		if got := c.try("resolveDispute", 200, "PATCH", dispute, `{"status":"`+status+`","message":"We have looked."}`); got["status"] != status {
			c.t.Errorf("the dispute is %v", got)
		}
		c.refused("resolveDispute", 409, "PATCH", dispute, `{"status":"declined"}`)
	}
	owner := c.do(200, "GET", "/v0/customers/"+s.customer, "")["consumerId"].(string)
	list := c.try("listDisputes", 200, "GET", "/v0/disputes?limit=1&consumerId="+owner, "")
	if fmt.Sprint(list["pagination"]) != "map[hasMore:true limit:1 offset:0 total:2]" {
		c.t.Errorf("the list is %v", list)
	}
}

func (c *conformance) money(s shop) {
	owner := c.do(200, "GET", "/v0/customers/"+s.customer, "")["consumerId"].(string)
	c.try("listWallets", 200, "GET", "/v0/wallets?ownedBy="+owner, "")
	c.try("listWallets", 200, "GET", "/v0/wallets?namespace="+c.merchant, "")
	c.try("listWallets", 200, "GET", "/v0/wallets?ownedBy="+owner+"&planId="+s.plan, "")
	c.try("getWallet", 200, "GET", "/v0/wallets/"+s.wallet, "")
	alert := fmt.Sprintf(`{"resourceId":%q,"type":"wallet_low_balance","config":{"threshold":"2.50"},"notifyPeriod":"PT1M","recipients":["ops@example.com"]}`, s.wallet)
	low := c.id("createAlert", "/v0/alerts", "%s", alert)
	c.refused("createAlert", 400, "POST", "/v0/alerts", strings.Replace(alert, "ops@", "", 1))
	c.refused("createAlert", 404, "POST", "/v0/alerts", strings.Replace(alert, s.wallet, "acc_01ARZ3NDEKTSV4RRFFQ69G5FAV", 1))
	c.try("listAlerts", 200, "GET", "/v0/alerts?resourceId="+s.wallet, "")
	c.do(200, "GET", "/v0/alerts", "")
	if got := c.try("getAlert", 200, "GET", "/v0/alerts/"+low, ""); got["enabled"] != true || got["lastNotifiedAt"] != nil || got["notifyPeriod"] != "PT60S" {
		c.t.Errorf("the alert is %v", got)
	}
	top := c.id("createTopUp", "/v0/wallets/"+s.wallet+"/topups", `{"amount":"5","method":"stripe"}`)
	c.try("listTopUps", 200, "GET", "/v0/wallets/"+s.wallet+"/topups?status=pending", "")
	got := c.try("getTopUp", 200, "GET", "/v0/wallets/"+s.wallet+"/topups/"+top, "")
	session := got["payload"].(map[string]any)["paymentSessionId"].(string)
	c.try("listPaymentSessions", 200, "GET", "/v0/paymentSessions?customerId="+s.customer, "")
	c.try("getPaymentSession", 200, "GET", "/v0/paymentSessions/"+session, "")
	c.try("payPaymentSession", 200, "POST", "/v0/paymentSessions/"+session+"/payment", `{"token":"tok_visa"}`)
	c.until(func() bool {
		return c.do(200, "GET", "/v0/wallets/"+s.wallet+"/topups/"+top, "")["status"] == "success"
	})
	pay := c.id("createPayment", "/v0/payments", `{"amount":"12.50","currency":"USD","merchantId":%q,"customerId":%q,"idempotencyKey":"p-1"}`, c.merchant, s.customer)
	c.refused("createPayment", 409, "POST", "/v0/payments", fmt.Sprintf(`{"amount":"13","currency":"USD","customerId":%q,"idempotencyKey":"p-1"}`, s.customer))
	c.try("listPayments", 200, "GET", "/v0/payments?status=pending&customerId="+s.customer, "")
	open := c.try("getPayment", 200, "GET", "/v0/payments/"+pay, "")["paymentSessionId"].(string)
	c.try("cancelPaymentSession", 200, "POST", "/v0/paymentSessions/"+open+"/cancellation", "")
	methods := "/v0/customers/" + s.customer + "/paymentMethods"
	setup := c.try("createCustomerPaymentMethod", 201, "POST", methods, `{"successRedirectUrl":"https://example.com/ok"}`)
	c.do(200, "POST", "/v0/paymentSessions/"+setup["id"].(string)+"/payment", `{"token":"tok_visa"}`)
	c.until(func() bool { return len(c.do(200, "GET", methods, "")["data"].([]any)) == 1 })
	stored := c.try("listCustomerPaymentMethods", 200, "GET", methods, "")["data"].([]any)[0].(map[string]any)
	c.try("removeCustomerPaymentMethod", 204, "DELETE", methods+"/"+stored["id"].(string), "")
}

func (c *conformance) endings(s shop) {
	c.do(200, "PATCH", "/v0/testClocks/"+s.clock, `{"advanceBy":"P1M2D"}`)
	list := c.try("listInvoices", 200, "GET", "/v2/invoices?subscriptionId="+s.subscription, "")
	invoice := list["data"].([]any)[0].(map[string]any)["id"].(string)
	c.try("getInvoice", 200, "GET", "/v2/invoices/"+invoice+"?expand=lineItems", "")
	c.try("getInvoiceLineItems", 200, "GET", "/v2/invoices/"+invoice+"/lineItems?limit=1", "")

	c.billing(s, invoice)

	c.refused("deleteCustomer", 409, "DELETE", "/v0/customers/"+s.customer, "")
	c.refused("deleteTestClock", 409, "DELETE", "/v0/testClocks/"+s.clock, "")
	end := "/v0/subscriptions/" + s.subscription + "/termination"
	c.try("terminateSubscription", 200, "POST", end, `{"reason":"moved on"}`)
	c.refused("terminateSubscription", 409, "POST", end, `{"reason":"moved on"}`)
	c.refused("createUsageEvent", 422, "POST", "/v0/usage", c.usage(s, "u-9", 1))
	c.try("deleteTestClock", 200, "DELETE", "/v0/testClocks/"+s.clock, "")
}

func (c *conformance) access(s shop) {
	feature := c.id("createFeature", "/v0/features", `{"merchantId":%q,"productId":%q,"key":"tokens","name":"Tokens","type":"metered"}`, c.merchant, s.product)
	spare := c.id("createFeature", "/v0/features", `{"merchantId":%q,"productId":%q,"key":"spare","name":"Spare"}`, c.merchant, s.product)
	c.refused("createFeature", 409, "POST", "/v0/features", fmt.Sprintf(`{"merchantId":%q,"productId":%q,"key":"spare","name":"Again"}`, c.merchant, s.product))
	c.try("listFeatures", 200, "GET", "/v0/features?productId="+s.product, "")
	c.try("getFeature", 200, "GET", "/v0/features/"+feature, "")
	c.try("updateFeature", 200, "PATCH", "/v0/features/"+spare, `{"name":"Left over"}`)
	c.try("deleteFeature", 204, "DELETE", "/v0/features/"+spare, "")

	issue := fmt.Sprintf(`{"customerId":%q,"featureId":%q,"template":{"type":"metered","usagePeriod":{"interval":"P1M"},"isSoftLimit":true,"issueAfterReset":100}}`, s.customer, feature)
	entitlement := "/v1/entitlements/" + c.id("issueEntitlement", "/v1/entitlements", "%s", issue)
	c.refused("issueEntitlement", 404, "POST", "/v1/entitlements", strings.Replace(issue, feature, "feat_01ARZ3NDEKTSV4RRFFQ69G5FAV", 1))
	c.try("listEntitlements", 200, "GET", "/v1/entitlements?customerId="+s.customer, "")
	c.try("getEntitlement", 200, "GET", entitlement, "")
	grant := c.id("createEntitlementGrant", entitlement+"/grants", `{"amount":1000,"idempotencyKey":"g-1"}`)
	c.refused("createEntitlementGrant", 409, "POST", entitlement+"/grants", `{"amount":1,"idempotencyKey":"g-1"}`)
	extra := c.id("createFeature", "/v0/features", `{"merchantId":%q,"productId":%q,"key":"extra","name":"Extra","type":"metered"}`, c.merchant, s.product)
	with := strings.Replace(strings.Replace(issue, feature, extra, 1), `{"customerId"`, fmt.Sprintf(`{"subscriptionId":%q,"customerId"`, s.subscription), 1)
	bought := "/v1/entitlements/" + c.id("issueEntitlement", "/v1/entitlements", "%s", with) + "/grants/purchase"
	c.refused("purchaseEntitlementGrant", 409, "POST", entitlement+"/grants/purchase", `{"amount":500,"price":"0.50","idempotencyKey":"g-0"}`)
	purchase := `{"amount":500,"price":"0.50","idempotencyKey":"g-2","successUrl":"https://acme.example/ok"}`
	c.refused("purchaseEntitlementGrant", 400, "POST", bought, strings.Replace(purchase, "0.50", "0.49", 1))
	c.try("purchaseEntitlementGrant", 201, "POST", bought, purchase)
	c.refused("purchaseEntitlementGrant", 409, "POST", bought, strings.Replace(purchase, "500", "501", 1))
	c.boughtBySession(s, bought)
	c.try("listEntitlementGrants", 200, "GET", entitlement+"/grants?includeVoided=true", "")
	c.try("getEntitlementGrant", 200, "GET", entitlement+"/grants/"+grant, "")
	c.try("voidEntitlementGrant", 200, "DELETE", entitlement+"/grants/"+grant, "")
}

// boughtBySession buys units that the wallet cannot pay, by a payment session.
func (c *conformance) boughtBySession(s shop, path string) {
	purchase := `{"amount":500,"price":"400","idempotencyKey":"g-3","successUrl":"https://acme.example/ok","cancelUrl":"https://acme.example/no"}`
	c.refused("purchaseEntitlementGrant", 422, "POST", path, strings.Replace(purchase, "400", "400000", 1))
	c.refused("purchaseEntitlementGrant", 400, "POST", path, strings.Replace(purchase, `"amount"`, `"paymentExpiresAt":"2001-01-01T00:00:00Z","amount"`, 1))
	made := c.try("purchaseEntitlementGrant", 201, "POST", path, purchase)
	asked := made["paymentSessions"].([]any)[0].(map[string]any)
	if again := c.do(201, "POST", path, purchase); fmt.Sprint(again) != fmt.Sprint(made) {
		c.t.Errorf("the purchase is %v, and repeated %v", made, again)
	}
	grant := strings.Replace(path, "/purchase", "/", 1) + made["grantId"].(string)
	c.do(404, "GET", grant, "")
	pending := c.do(200, "GET", "/v0/paymentSessions?status=pending&customerId="+s.customer, "")["data"].([]any)
	session := pending[len(pending)-1].(map[string]any)
	if session["entityType"] != "grant" || session["entityId"] != made["grantId"] || fmt.Sprint(asked["amount"]) == "0" || !strings.Contains(asked["url"].(string), session["id"].(string)) {
		c.t.Errorf("the purchase is %v, and to be paid by %v", made, session)
	}
	c.do(200, "POST", "/v0/paymentSessions/"+session["id"].(string)+"/payment", `{"token":"tok_visa"}`)
	c.until(func() bool {
		got, _ := c.do(200, "GET", "/v0/paymentSessions/"+session["id"].(string), "")["status"].(string)
		return got == "completed"
	})
	if got := c.do(200, "GET", grant, ""); got["idempotencyKey"] != "g-3" || fmt.Sprint(got["amount"]) != "500" {
		c.t.Errorf("it is paid, and the grant is %v", got)
	}
}
