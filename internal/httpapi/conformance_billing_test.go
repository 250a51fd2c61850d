package httpapi_test

import (
	"fmt"
	"strings"
)

func (c *conformance) authorizations(s shop) {
	made := c.id("createAuthorizationSession", "/v0/customers/authorization", `{"email":"joan@example.com","redirectUrl":"https://example.com/welcome","planId":%q,"minimumAccountBalance":"20.00"}`, s.plan)
	c.try("getAuthorizationSession", 200, "GET", "/v0/customers/authorization/"+made, "")
	c.refused("createAuthorizationSession", 400, "POST", "/v0/customers/authorization", `{"email":"joan@example.com","minimumAccountBalance":"20.00"}`)
	c.refused("createAuthorizationSession", 404, "POST", "/v0/customers/authorization", `{"email":"joan@example.com","planId":"plan_01ARZ3NDEKTSV4RRFFQ69G5FAV"}`)
}

// portals tries the links to a subscription.
func (c *conformance) portals(s shop) {
	path := "/v0/subscriptions/" + s.subscription + "/portal"
	c.refused("generatePortalLink", 400, "POST", path, `{"expiresIn":"P8D"}`)
	made := c.try("generatePortalLink", 200, "POST", path, `{"expiresIn":"PT1H"}`)["id"].(string)
	c.try("revokePortalLink", 204, "DELETE", path+"/"+made, "")
	c.refused("revokePortalLink", 409, "DELETE", path+"/"+made, "")
}

// billing tries what can be done to invoices, of which one is paid and the next is open.
func (c *conformance) billing(s shop, paid string) {
	const lines = "/v2/invoices/lineItems"
	line := fmt.Sprintf(`{"subscriptionId":%q,"displayName":"Support","currency":"USD","quantity":2.5,"unitPrice":40,"idempotencyKey":"l-1"}`, s.subscription)
	c.try("createLineItem", 201, "POST", lines, line)
	c.try("createLineItem", 200, "POST", lines, line)
	c.refused("createLineItem", 409, "POST", lines, strings.Replace(line, `:40`, `:41`, 1))
	c.refused("createLineItem", 404, "POST", lines, strings.Replace(strings.Replace(line, s.subscription, "sub_01ARZ3NDEKTSV4RRFFQ69G5FAV", 1), "l-1", "l-2", 1))
	c.refused("createLineItem", 409, "POST", lines, fmt.Sprintf(`{"invoiceId":%q,"displayName":"Late","currency":"USD","quantity":1,"unitPrice":1}`, paid))
	c.try("listLineItems", 200, "GET", lines+"?status=pending&subscriptionId="+s.subscription, "")
	c.try("listLineItems", 200, "GET", lines+"?invoiceId="+paid, "")
	c.refused("listLineItems", 404, "GET", lines+"?invoiceId=inv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "")

	refunds := "/v2/invoices/" + paid + "/refunds"
	c.refused("voidInvoiceRefund", 404, "POST", refunds+"/crn_01ARZ3NDEKTSV4RRFFQ69G5FAV/void", "")
	note := c.id("createInvoiceRefund", refunds, `{"reason":"our fault"}`)
	c.refused("createInvoiceRefund", 400, "POST", refunds, `{"reason":"our fault"}`)
	c.try("listInvoiceRefunds", 200, "GET", refunds, "")
	c.try("voidInvoiceRefund", 200, "POST", refunds+"/"+note+"/void", `{"reason":"it was not"}`)
	c.refused("voidInvoiceRefund", 404, "POST", refunds+"/"+note+"/void", `{"reason":"it was not"}`)
	c.drafts(s)
	c.owedLess(s)
}

// owedLess takes usage of an invoice back that is issued and to be paid: it leaves less to pay, by a credit note that is not voided.
func (c *conformance) owedLess(s shop) {
	m := c.merchant
	c.command("UpdateMerchant", fmt.Sprintf(`{"merchantId":%q,"profile":{"name":"Acme AI","email":"billing@example.com"},"settings":{"managedPrepaid":true}}`, m))
	product := c.make("/v0/products", `{"merchantId":%q,"name":"Calls","description":"owed"}`, m)
	metric := c.make("/v0/billableMetrics", `{"merchantId":%q,"productId":%q,"name":"Calls","description":"Calls","unit":"call","aggregation":"SUM"}`, m, product)
	price := c.make("/v0/prices", `{"billableMetricId":%q,"model":"standard","paymentTerm":"in_arrears","invoiceDisplayName":"Calls","properties":{"unitPrice":"0.5"}}`, metric)
	plan := c.make("/v0/plans", `{"merchantId":%q,"productId":%q,"name":"Calls","currency":"USD","billingCadence":"P1M","prices":[%q]}`, m, product, price)
	now := c.do(200, "GET", "/v0/testClocks/"+s.clock, "")["currentTime"]
	sub := c.make("/v0/subscriptions", `{"name":"Calls","customerId":%q,"planId":%q,"startedAt":%q,"testClockId":%q}`, s.customer, plan, now, s.clock)
	var used [2]string
	for i := range used {
		used[i] = c.make("/v0/usage", `{"customerId":%q,"merchantId":%q,"idempotencyKey":"owed-%d","timestamp":%q,"properties":[{"billableMetricId":%q,"quantity":%d}]}`, s.customer, m, i, now, metric, 10+20*i)
	}
	dispute := c.make("/v0/disputes", `{"usageEventId":%q,"message":"We did not use that."}`, used[0])
	c.do(200, "POST", "/v0/subscriptions/"+sub+"/termination", `{"reason":"moved on"}`)
	invoice := c.do(200, "GET", "/v2/invoices?subscriptionId="+sub, "")["data"].([]any)[0].(map[string]any)
	c.try("resolveDispute", 200, "PATCH", "/v0/disputes/"+dispute, `{"status":"accepted"}`)
	path := "/v2/invoices/" + invoice["id"].(string)
	got := c.try("getInvoice", 200, "GET", path, "")
	if got["status"] != "ISSUED" || got["unpaidAmount"] != "15" || got["creditedAmount"] != "5" || got["grandTotal"] != invoice["grandTotal"] || got["paymentUrl"] == invoice["paymentUrl"] {
		c.t.Errorf("the invoice is %v, and was %v", got, invoice)
	}
	note := c.try("listInvoiceRefunds", 200, "GET", path+"/refunds", "")["data"].([]any)[0].(map[string]any)
	if note["total"] != "5.00" || note["usageEventId"] != used[0] {
		c.t.Errorf("the credit note is %v", note)
	}
	c.refused("createInvoiceRefund", 400, "POST", path+"/refunds", "")
	c.try("refundUsageEvent", 200, "PATCH", "/v0/usage/"+used[1], `{"refunded":true}`)
	if got := c.do(200, "GET", path, ""); got["status"] != "PAID" || got["unpaidAmount"] != "0" || got["paymentUrl"] != nil {
		c.t.Errorf("all was taken back, and the invoice is %v", got)
	}
	c.refused("voidInvoiceRefund", 400, "POST", path+"/refunds/"+note["id"].(string)+"/void", "")
}

// drafts tries what is done to the invoices of a subscription that owes a fee each month, and that wait for approval.
func (c *conformance) drafts(s shop) {
	m := c.merchant
	c.command("UpdateMerchant", fmt.Sprintf(`{"merchantId":%q,"profile":{"name":"Acme AI","email":"billing@example.com"},"settings":{"managedPrepaid":true,"autoApprove":false}}`, m))
	product := c.make("/v0/products", `{"merchantId":%q,"name":"Support","description":"by the month"}`, m)
	fee := c.make("/v0/fees", `{"merchantId":%q,"productId":%q,"name":"Base","description":"Each month"}`, m, product)
	price := c.make("/v0/prices", `{"feeId":%q,"model":"standard","paymentTerm":"in_arrears","billingCadence":"P1M","invoiceDisplayName":"Base","properties":{"unitPrice":"5"}}`, fee)
	plan := c.make("/v0/plans", `{"merchantId":%q,"productId":%q,"name":"Support","currency":"USD","billingCadence":"P1M","prices":[%q]}`, m, product, price)
	now := c.do(200, "GET", "/v0/testClocks/"+s.clock, "")["currentTime"]
	sub := c.make("/v0/subscriptions", `{"name":"Support","customerId":%q,"planId":%q,"startedAt":%q,"testClockId":%q}`, s.customer, plan, now, s.clock)
	c.try("getFeePrice", 200, "GET", "/v0/fees/"+fee+"/price/"+sub, "")

	first, second := c.draft(s, sub), c.draft(s, sub)
	c.refused("createInvoiceRefund", 400, "POST", "/v2/invoices/"+first+"/refunds", "")
	c.refused("writeOffInvoice", 409, "POST", "/v2/invoices/"+first+"/writeOff", "")
	c.try("approveInvoice", 200, "POST", "/v2/invoices/"+first+"/approval", "")
	c.refused("approveInvoice", 409, "POST", "/v2/invoices/"+first+"/approval", "")
	c.refused("cancelInvoice", 409, "POST", "/v2/invoices/"+first+"/cancellation", "")
	c.try("writeOffInvoice", 200, "POST", "/v2/invoices/"+first+"/writeOff", `{"reason":"not worth it"}`)
	c.try("cancelInvoice", 200, "POST", "/v2/invoices/"+second+"/cancellation", "")
	c.do(200, "POST", "/v0/subscriptions/"+sub+"/termination", `{"reason":"moved on"}`)
}

// draft lets a month go by, and returns the draft of a subscription that comes of it.
func (c *conformance) draft(s shop, sub string) string {
	c.t.Helper()
	before := c.do(200, "GET", "/v2/invoices?status=DRAFT&subscriptionId="+sub, "")["data"].([]any)
	c.do(200, "PATCH", "/v0/testClocks/"+s.clock, `{"advanceBy":"P1M2D"}`)
	after := c.do(200, "GET", "/v2/invoices?status=DRAFT&subscriptionId="+sub, "")["data"].([]any)
	for _, v := range after {
		id := v.(map[string]any)["id"].(string)
		if !strings.Contains(fmt.Sprint(before), id) {
			return id
		}
	}
	c.t.Fatalf("after a month the drafts are %v", after)
	return ""
}
