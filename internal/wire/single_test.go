package wire

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tallystick/commands"
	"tallystick/events"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shopspring/decimal"
)

// bodies is one full body of each command that is no usage, and what it says.
var bodies = []struct {
	name, body string
	want       commands.Command
}{
	{
		"CreateMerchant", `{"profile":{"name":"LLM","email":"a@example.com","phone":"1","taxId":"DE1","address":{"line1":"1","line2":"2",
			"city":"c","state":"s","country":"DE","zipCode":"z"}},"settings":{"feeBasisPoints":250,"managedPrepaid":true,"automaticTax":true,"autoApprove":false,"paymentTermDays":14,"paymentRetries":"2,4","amountLimit":"9000"},"currency":"USD"}`,
		commands.CreateMerchant{
			Profile: events.Profile{
				Name: "LLM", Email: "a@example.com", Phone: "1", TaxID: "DE1",
				Address: events.Address{Line1: "1", Line2: "2", City: "c", State: "s", Country: "DE", ZipCode: "z"},
			},
			Settings: events.Settings{FeeBasisPoints: 250, ManagedPrepaid: true, AutomaticTax: true, ManualApproval: true, PaymentDays: 14, PaymentRetries: "2,4", AmountLimit: 9e12}, Currency: events.Currency{'U', 'S', 'D'},
		},
	},
	{
		"UpdateMerchant", `{"profile":{"name":"LLM"},"settings":{}}`,
		commands.UpdateMerchant{Profile: events.Profile{Name: "LLM"}},
	},
	{
		"CreateKey", `{"role":"merchant","name":"ci"}`,
		commands.CreateKey{Role: events.MerchantKey, Name: "ci", Secret: commands.SecretHash("sk_test_" + strings.Repeat("a", 40))},
	},
	{"RevokeKey", `{"keyId":"$key"}`, commands.RevokeKey{Key: key}},
	{
		"CreateProduct", `{"name":"n","description":"d","metadata":{"b":"2","a":"1"}}`,
		commands.CreateProduct{Name: "n", Description: "d", Metadata: map[string]string{"a": "1", "b": "2"}},
	},
	{
		"CreateMetric", `{"name":"n","description":"d","unit":"tokens","aggregation":"COUNT","productId":"$product"}`,
		commands.CreateMetric{Product: product, Name: "n", Description: "d", Unit: "tokens", Aggregation: events.AggregateCount},
	},
	{
		"CreatePrice", `{"billableMetricId":"$A","model":"standard","paymentTerm":"in_arrears","invoiceDisplayName":"n",
			"billingCadence":null,"grantDiscountEnabled":false,"properties":{"unitPrice":"0.0000025"}}`,
		commands.CreatePrice{Metric: metricA, Model: events.Standard, Term: events.InArrears, DisplayName: "n", UnitPrice: 2500},
	},
	{
		"CreatePlan", `{"name":"n","description":"d","invoiceDisplayName":"i","currency":"EUR","productId":"$product","prices":["$price"],
			"billingCadence":"P3M","billingInterval":"monthly","taxBehavior":"inclusive","defaultTaxRate":8.875,"defaultTaxCode":"saas",
			"renewalReminderEnabled":false,"renewalReminderDays":7,"billingVersion":1,"billingAnchor":"2024-01-15T10:30:00Z","prorationPolicy":"daily"}`,
		commands.CreatePlan{
			Product: product, Name: "n", Description: "d", DisplayName: "i", Currency: events.Currency{'E', 'U', 'R'}, Cadence: events.Quarterly,
			Prices: []events.PriceID{price}, Anchor: at("2024-01-15T10:30:00Z"), TaxBehavior: events.Inclusive, TaxRate: 887_500, TaxCode: "saas",
			NoReminder: true, ReminderDays: 7, BillingVersion: 1, Proration: events.ProrateDaily,
		},
	},
	{
		"UpdatePlan", `{"planId":"$plan","name":"n","description":null,"invoiceDisplayName":"i","billingInterval":"annual","prices":[],
			"taxBehavior":"exclusive","defaultTaxRate":10,"defaultTaxCode":"saas","renewalReminderEnabled":true,"renewalReminderDays":30,"prorationPolicy":"none"}`,
		commands.UpdatePlan{
			Plan: plan, Name: given("n"), Description: given(""), DisplayName: given("i"), Cadence: given(events.Yearly),
			Prices: given([]events.PriceID(nil)), TaxBehavior: given(events.Exclusive), TaxRate: given(10 * events.OnePercent),
			TaxCode: given("saas"), NoReminder: given(false), ReminderDays: given(uint32(30)), Proration: given(events.ProrateNone),
		},
	},
	{"UpdateProduct", `{"productId":"$product","name":"n"}`, commands.UpdateProduct{Product: product, Name: given("n")}},
	{
		"UpdateMetric", `{"billableMetricId":"$A","name":"n","description":"d","unit":"u","eventType":null,"valueProperty":"$.v",
			"groupBy":{"model":"$.model"},"eventFrom":null}`,
		commands.UpdateMetric{
			Metric: metricA, Name: given("n"), Description: given("d"), Unit: given("u"), EventType: given(""), ValueProperty: given("$.v"),
			GroupBy: given(map[string]string{"model": "$.model"}), EventFrom: given(events.Time(0)),
		},
	},
	{"CreateFee", `{"productId":"$product","name":"n","description":"d"}`, commands.CreateFee{Product: product, Name: "n", Description: "d"}},
	{"UpdateFee", `{"feeId":"$fee","description":"d"}`, commands.UpdateFee{Fee: fee, Description: given("d")}},
	{"DeleteFee", `{"feeId":"$fee"}`, commands.DeleteFee{Fee: fee}},
	{
		"UpdatePrice", `{"priceId":"$price","invoiceDisplayName":"n","description":"d","paymentTerm":"in_arrears","billingCadence":null,
			"quantity":2,"grantDiscountEnabled":true,"properties":{"default":"0.1","parameters":{"function":"linear","gradient":"-0.00001","min":"0.05","max":"0.1"}}}`,
		commands.UpdatePrice{
			Price: price, DisplayName: given("n"), Description: given("d"), Term: given(events.InArrears), Cadence: given(events.Cadence("")),
			Quantity: given(uint32(2)), GrantDiscount: given(true), Formula: given(commands.Formula{
				Model: events.Volume, UnitPrice: 100_000_000, Min: 50_000_000, Max: 100_000_000, Gradient: -10_000,
			}),
		},
	},
	{"DeletePrice", `{"priceId":"$price"}`, commands.DeletePrice{Price: price}},
	{
		"RefundUsage", `{"usageEventId":"$usage","refunded":true,"reason":"late"}`,
		commands.RefundUsage{
			Usage: usageID, Original: &events.UsageReported{Customer: customer}, Merchant: merchant,
			Reason: events.Sealed{Key: consumer, Box: []byte("refund.reason late")},
		},
	},
	{
		"CorrectUsage", `{"customerId":"$customer","timestamp":"2024-01-15T10:30:00Z","properties":[{"billableMetricId":"$A","quantity":3}],"reason":"lost"}`,
		commands.CorrectUsage{
			Customer: customer, HappenedAt: at("2024-01-15T10:30:00Z"), Properties: []commands.UsageProperty{{Metric: metricA, Quantity: 3}},
			Reason: events.Sealed{Key: consumer, Box: []byte("refund.reason lost")}, Settled: commands.SettledPeriod{Subscription: sub, N: 3},
		},
	},
	{"ApproveInvoice", `{"invoiceId":"$invoice"}`, commands.ApproveInvoice{Invoice: invoice}},
	{"CancelInvoice", `{"invoiceId":"$invoice"}`, commands.CancelInvoice{Invoice: invoice}},
	{
		"PayInvoice", `{"invoiceId":"$invoice","method":"stored"}`,
		commands.PayInvoice{Invoice: invoice, Method: "stored"},
	},
	{
		"WriteOffInvoice", `{"invoiceId":"$invoice","reason":"bankrupt"}`,
		commands.WriteOffInvoice{Invoice: invoice, Reason: events.Sealed{Key: consumer, Box: []byte("refund.reason bankrupt")}},
	},
	{
		"RefundInvoice", `{"invoiceId":"$invoice","reason":null}`,
		commands.RefundInvoice{Invoice: invoice, Paid: commands.PaidInvoice{Merchant: merchant, Subscription: sub}},
	},
	{
		"VoidInvoiceRefund", `{"invoiceId":"$invoice","refundId":"$note"}`,
		commands.VoidInvoiceRefund{Invoice: invoice, CreditNote: note, Paid: commands.PaidInvoice{Merchant: merchant, Subscription: sub}},
	},
	{
		"CreateLineItem", `{"invoiceId":"$invoice","displayName":"Support","description":"An hour","currency":"USD","quantity":1.5,"unitPrice":-20,
			"invoiceAt":null,"periodStart":"2024-01-15T10:30:00Z","periodEnd":null}`,
		commands.CreateLineItem{
			Subscription: sub, Invoice: invoice, Currency: events.Currency{'U', 'S', 'D'}, Quantity: decimal.RequireFromString("1.5"),
			UnitPrice: decimal.NewFromInt(-20), Start: at("2024-01-15T10:30:00Z"),
			Text: events.Sealed{Key: consumer, Box: []byte(`invoice.line {"displayName":"Support","description":"An hour"}`)},
		},
	},
	{
		"CreateCustomer", `{"consumer":{"name":"Ada","email":" Ada@Example.COM ","phone":"1","address":{"country":"GB"}},"externalId":"x","taxId":"GB1","taxRates":{"default":20,"$A":5.5}}`,
		commands.CreateCustomer{
			Candidate: newcomer, Email: digest("email", "ada@example.com"), External: digest("external", merchant.String(), "x"),
			Profile:  events.Sealed{Key: newcomer, Box: []byte(`consumer.profile {"name":"Ada","email":" Ada@Example.COM ","phone":"1","address":{"country":"GB"}}`)},
			Details:  events.Sealed{Key: newcomer, Box: []byte(`customer.details {"externalId":"x","taxId":"GB1"}`)},
			TaxRates: []events.TaxRateOf{{Rate: 20 * events.OnePercent}, {Metric: metricA, Rate: 550_000}},
		},
	},
	{
		"CreateConsumer", `{"name":"Ada","email":" Ada@Example.COM ","address":{"country":"GB"}}`,
		commands.CreateConsumer{
			Candidate: newcomer, Email: digest("email", "ada@example.com"), Region: "", Profile: events.Sealed{
				Key: newcomer, Box: []byte(`consumer.profile {"name":"Ada","email":" Ada@Example.COM ","address":{"country":"GB"}}`),
			},
		},
	},
	{
		"CreateConsumer", `{"name":"n","email":"Known@example.com","address":{}}`,
		commands.CreateConsumer{Email: digest("email", "known@example.com")},
	},
	{"EraseConsumer", `{"consumerId":"$consumer"}`, commands.EraseConsumer{Consumer: consumer}},
	{
		"CreateWallet", `{"ownedBy":"$consumer","currency":"USD","name":"n","tag":"t","description":"d","timezone":"Europe/Berlin","initialBalance":"250"}`,
		commands.CreateWallet{
			Owner: consumer, Currency: events.Currency{'U', 'S', 'D'}, Timezone: "Europe/Berlin", Initial: 250,
			Label: events.Sealed{Key: consumer, Box: []byte(`wallet.label {"name":"n","tag":"t","description":"d"}`)},
		},
	},
	{"TopUp", `{"walletId":"$wallet","amount":"12.50","method":"sandbox"}`, commands.TopUp{Wallet: wallet, Amount: 12_500_000_000, Method: "sandbox"}},
	{"TopUp", `{"walletId":"$wallet","amount":"20","method":"stripe","successRedirectUrl":"https://a.example/ok"}`, commands.TopUp{Wallet: wallet, Amount: 20_000_000_000, Method: "session", OnSuccess: "https://a.example/ok"}},
	{
		"CreatePayment", `{"amount":"12.50","currency":"USD","customerId":"$customer","reference":"r","metadata":{"a":"1"},"lineItems":[{"description":"x","amount":"12.5"}],
			"successRedirectUrl":"https://a.example/ok","failureRedirectUrl":"http://a.example/no","savePaymentMethod":true,"expiresIn":"P1M"}`,
		commands.CreatePayment{
			Amount: 12_500_000_000, Currency: events.Currency{'U', 'S', 'D'}, Customer: customer, Save: true, Term: 30 * 24 * time.Hour,
			OnSuccess: "https://a.example/ok", OnFailure: "http://a.example/no", Details: events.Sealed{Key: consumer, Box: []byte(
				`payment.details {"reference":"r","metadata":{"a":"1"},"lineItems":[{"description":"x","amountNanos":"12500000000","quantity":1}]}`,
			)},
		},
	},
	{
		"CreatePayment", `{"amount":"1","currency":"EUR","reference":"r"}`,
		commands.CreatePayment{Amount: 1_000_000_000, Currency: events.Currency{'E', 'U', 'R'}, Anonymous: `{"reference":"r"}`},
	},
	{
		"SetupPaymentMethod", `{"customerId":"$customer","expiresAt":"2024-01-15T10:30:00Z","metadata":{"a":"1"}}`,
		commands.SetupPaymentMethod{
			Customer: customer, ExpiresAt: at("2024-01-15T10:30:00Z"), Details: events.Sealed{Key: consumer, Box: []byte(`payment.details {"metadata":{"a":"1"}}`)},
		},
	},
	{
		"SetupOffSessionMethod", `{"consumerId":"$consumer","paymentMethod":"card","returnUrl":"https://shop.example/back"}`,
		commands.SetupPaymentMethod{Consumer: consumer, OnSuccess: "https://shop.example/back", OnFailure: "https://shop.example/back"},
	},
	{"RemovePaymentMethod", `{"customerId":"$customer","paymentMethodId":"$method"}`, commands.RemovePaymentMethod{Customer: customer, Method: method}},
	{
		"PaySession", `{"paymentSessionId":"$session","card":{"number":"4242 4242 4242 4242","expMonth":12,"expYear":2030,"cvc":"123"}}`,
		commands.PaySession{Session: session, Provider: "sandbox", Card: "tok_visa", Details: events.Sealed{
			Key: consumer, Box: []byte(`payment.card {"brand":"visa","last4":"4242","expMonth":12,"expYear":2030}`),
		}},
	},
	{"PaySession", `{"paymentSessionId":"$session","confirm":true}`, commands.PaySession{Session: session, Confirm: true}},
	{"CancelSession", `{"paymentSessionId":"$session"}`, commands.CancelSession{Session: session}},
	{
		"CreateAuthorization", `{"email":" Full@Example.com","planId":"$plan","redirectUrl":"https://a.example/back"}`,
		commands.CreateAuthorization{
			Candidate: consumer, Email: new(fakeKeyring).EmailDigest("full@example.com"), Plan: plan, RedirectURL: "https://a.example/back",
			Address: events.Sealed{Key: consumer, Box: []byte("authorization.email full@example.com")},
		},
	},
	{
		"CreateAuthorization", `{"email":"new@example.com"}`,
		commands.CreateAuthorization{
			Candidate: newcomer, Email: new(fakeKeyring).EmailDigest("new@example.com"),
			Address: events.Sealed{Key: newcomer, Box: []byte("authorization.email new@example.com")},
		},
	},
	{"CompleteAuthorization", `{"authorizationId":"$asked"}`, commands.CompleteAuthorization{Authorization: asked}},
	{
		"CompleteAuthorization", `{"authorizationId":"$asked","consumer":{"name":"Acorn","email":"a@example.com","person":"Ada","address":{"country":"DE","zipCode":"10115"}}}`,
		commands.CompleteAuthorization{
			Authorization: asked, Region: "DE",
			Profile: events.Sealed{Key: consumer, Box: []byte(`consumer.profile {"name":"Acorn","email":"a@example.com","address":{"country":"DE","zipCode":"10115"}}`)},
			Person:  events.Sealed{Key: consumer, Box: []byte(`user.profile {"name":"Ada","email":"a@example.com"}`)},
		},
	},
	{"RefuseAuthorization", `{"authorizationId":"$asked"}`, commands.RefuseAuthorization{Authorization: asked}},
	{"WithdrawAuthorization", `{"consumerId":"$consumer"}`, commands.WithdrawAuthorization{Consumer: consumer}},
	{"UpdateUser", `{"userId":"$user","state":"suspended","role":"viewer"}`, commands.UpdateUser{User: user, State: events.UserSuspended, Role: events.ViewerRole}},
	{"SignOut", `{"userId":"$user"}`, commands.SignOut{User: user}},
	{"AddPasskey", `{"userId":"$user","credential":"AQI","publicKey":"Aw","counter":4,"synced":true,"challengeExpiresAt":"2024-01-15T10:30:00Z"}`, commands.AddPasskey{User: user, Credential: []byte{1, 2}, Key: []byte{3}, Counter: 4, Synced: true, Challenge: at("2024-01-15T10:30:00Z")}},
	{"RemovePasskey", `{"userId":"$user","credential":"AQI"}`, commands.RemovePasskey{User: user, Credential: []byte{1, 2}}},
	{"UsePasskey", `{"userId":"$user","credential":"AQI","counter":5,"challengeExpiresAt":"2024-01-15T10:30:00Z"}`, commands.UsePasskey{User: user, Credential: []byte{1, 2}, Counter: 5, Challenge: at("2024-01-15T10:30:00Z")}},
	{"SignIn", `{"userId":"$user","linkExpiresAt":"2024-01-15T10:30:00Z"}`, commands.SignIn{User: user, Link: at("2024-01-15T10:30:00Z")}},
	{"CreatePortal", `{"subscriptionId":"$sub","expiresIn":"PT1H"}`, commands.CreatePortal{Subscription: sub, Term: time.Hour}},
	{"RevokePortal", `{"portalId":"$portal"}`, commands.RevokePortal{Portal: portal}},
	{
		"CreateSubscription", `{"name":"Ada's","customerId":"$customer","planId":"$plan","startedAt":"2024-01-15T10:30:00Z",
			"endingAt":"2025-01-15T10:30:00Z","testClockId":"$clock","autoCharge":true,"taxExempt":true,"renewalReminderDays":null,
			"renewalReminderEnabled":false,"minimumAccountBalance":"200.00","prefundAmount":"200","redirectUrls":{"onSuccess":"https://a.example"},"sessionExpiryMinutes":1.5}`,
		commands.CreateSubscription{
			Customer: customer, Plan: plan, Name: events.Sealed{Key: consumer, Box: []byte("subscription.name Ada's")},
			StartedAt: at("2024-01-15T10:30:00Z"), EndingAt: at("2025-01-15T10:30:00Z"), Clock: clock, TaxExempt: true, AutoCharge: true,
			Reminders: events.RemindersOff, Minimum: 200_000_000_000, OnSuccess: "https://a.example", Term: 90 * time.Second,
		},
	},
	{
		"CreateSubscription", `{"name":"Ada's","planId":"$plan","startedAt":"2024-01-15T10:30:00Z","customer":{"name":"Ada","email":"ada@example.com","address":{"country":"GB","zipCode":"1"}}}`,
		commands.CreateSubscription{
			Plan: plan, Name: events.Sealed{Key: newcomer, Box: []byte("subscription.name Ada's")}, StartedAt: at("2024-01-15T10:30:00Z"),
			New: &commands.CreateCustomer{Candidate: newcomer, Email: digest("email", "ada@example.com"), Region: "GB", Profile: events.Sealed{
				Key: newcomer, Box: []byte(`consumer.profile {"name":"Ada","email":"ada@example.com","address":{"country":"GB","zipCode":"1"}}`),
			}},
		},
	},
	{
		"UpdateSubscription", `{"subscriptionId":"$sub","endingAt":null,"autoCharge":true,"minimumAccountBalance":"0","renewalReminderEnabled":null,"renewalReminderDays":7,"status":"active","taxExempt":true}`,
		commands.UpdateSubscription{
			Subscription: sub, EndingAt: given(events.Time(0)), AutoCharge: given(true), Minimum: given(events.Nanos(0)), Reminders: given(events.Reminders("")), ReminderDays: given(uint32(7)),
			TaxExempt: given(true),
		},
	},
	{
		"UpdateSubscription", `{"subscriptionId":"$sub","status":"terminated","terminatedAt":"2024-01-15T10:30:00Z","terminationReason":"moved away"}`,
		commands.TerminateSubscription{Subscription: sub, EndedAt: at("2024-01-15T10:30:00Z"), Reason: events.Sealed{Key: consumer, Box: []byte("subscription.reason moved away")}},
	},
	{
		"TerminateSubscription", `{"subscriptionId":"$sub","reason":"moved away"}`,
		commands.TerminateSubscription{Subscription: sub, Reason: events.Sealed{Key: consumer, Box: []byte("subscription.reason moved away")}},
	},
	{
		"CreateEntitlement", `{"customerId":"$customer","maxUses":3,"expiresAt":"2024-01-15T10:30:00Z","entitlementData":[
			{"billableMetricId":"$A","quantity":1200},{"billableMetricId":"$B","quantity":3,"price":"0.000025"}]}`,
		commands.CreateEntitlement{
			Customer: customer, MaxUses: 3, ExpiresAt: at("2024-01-15T10:30:00Z"), Data: []commands.UsageProperty{
				{Metric: metricA, Quantity: 1200}, {Metric: metricB, Quantity: 3, Price: 25_000, Priced: true},
			},
		},
	},
	{
		"CreateFeature", `{"productId":"$product","key":"sso","name":"SSO","type":"metered","metadata":{"a":"1"}}`,
		commands.CreateFeature{Product: product, Key: "sso", Name: "SSO", Type: events.FeatureMetered, Metadata: map[string]string{"a": "1"}},
	},
	{
		"UpdateFeature", `{"featureId":"$feature","name":"S","metadata":{}}`,
		commands.UpdateFeature{
			Feature: feature, Name: commands.Change[string]{Given: true, To: "S"}, Metadata: commands.Change[map[string]string]{Given: true},
		},
	},
	{
		"CreateDispute", `{"usageEventId":"$usage","message":"Nobody was here."}`,
		commands.CreateDispute{
			Usage: usageID, Original: &events.UsageReported{Customer: customer}, Merchant: merchant,
			Message: events.Sealed{Key: consumer, Box: []byte("dispute.message Nobody was here.")},
		},
	},
	{
		"ResolveDispute", `{"disputeId":"$dispute","status":"accepted","message":"Yes"}`,
		commands.ResolveDispute{
			Dispute: events.DisputeID(usageID), Original: &events.UsageReported{Customer: customer}, Merchant: merchant, Accept: true,
			Message: events.Sealed{Key: consumer, Box: []byte("dispute.message Yes")}, Reason: events.Sealed{Key: consumer, Box: []byte("refund.reason Yes")},
		},
	},
	{
		"CreateAlert", `{"resourceId":"$wallet","type":"wallet_low_balance","config":{"threshold":"2.5"},"enabled":false,"notifyPeriod":"PT1M","recipients":["A@example.com"]}`,
		commands.CreateAlert{
			Wallet: wallet, Threshold: 2_500_000_000, Period: 60, Disabled: true,
			Recipients: events.Sealed{Key: consumer, Box: []byte(`alert.recipients ["a@example.com"]`)},
		},
	},
	{"DiscardEvents", `{"externalSubject":"c-9"}`, commands.DiscardEvents{External: digest("external", merchant.String(), "c-9"), Named: "c-9"}},
	{"DeleteFeature", `{"featureId":"$feature"}`, commands.DeleteFeature{Feature: feature}},
	{
		"IssueEntitlement", `{"customerId":"$customer","featureId":"$feature","activeFrom":"2024-01-15T10:30:00Z","activeTo":null,"subscriptionId":"$sub",
			"metadata":{"a":"1"},"template":{"type":"metered","usagePeriod":{"interval":"P1M","anchor":"2024-01-01T00:00:00Z"},"issueAfterReset":10.5,
			"issueAfterResetPriority":-3,"isSoftLimit":true,"preserveOverageAtReset":true,"resetMaxRollover":7,"resetMinRollover":2}}`,
		commands.IssueEntitlement{
			Customer: customer, Feature: feature, ActiveFrom: at("2024-01-15T10:30:00Z"), Subscription: sub,
			Metadata: events.Sealed{Key: consumer, Box: []byte(`entitlement.metadata {"a":"1"}`)},
			Terms: events.FeatureTerms{
				Type: events.FeatureMetered, Interval: "P1M", Anchor: at("2024-01-01T00:00:00Z"), Issue: events.SumOf(10_500_000_000), IssuePriority: -3,
				Soft: true, Preserve: true, MaxRollover: events.SumOfWhole(7), MinRollover: events.SumOfWhole(2),
			},
		},
	},
	{
		"VoidGrant", `{"entitlementId":"$entitlement","grantId":"$grant"}`,
		commands.VoidGrant{Entitlement: entitlement, Grant: grant},
	},
	{
		"CreateTestClock", `{"currentTime":"2024-01-15T10:30:00Z","name":"n","description":"d"}`,
		commands.CreateTestClock{Now: at("2024-01-15T10:30:00Z"), Name: "n", Description: "d"},
	},
	{"DeleteTestClock", `{"testClockId":"$clock"}`, commands.DeleteTestClock{Clock: clock}},
	{
		"UpdateCustomer",
		`{"customerId":"$customer","externalId":"c-2","taxId":null,"taxRates":8.875,"notificationSettings":{"invoicePaid":false}}`,
		commands.UpdateCustomer{
			Customer: customer, External: commands.Change[events.Digest]{Given: true, To: digest("external", merchant.String(), "c-2")},
			ExternalID: events.Sealed{Key: consumer, Box: []byte("customer.external_id c-2")}, TaxID: commands.Change[events.Sealed]{Given: true},
			TaxRates:    commands.Change[[]events.TaxRateOf]{Given: true, To: []events.TaxRateOf{{Rate: 887_500}}},
			InvoicePaid: commands.Change[bool]{Given: true},
		},
	},
	{"DeleteCustomer", `{"customerId":"$customer"}`, commands.DeleteCustomer{Customer: customer}},
	{
		"UpdateConsumer", `{"consumerId":"$consumer","phone":"+49"}`, commands.UpdateConsumer{
			Consumer: consumer, Base: 7, Email: digest("email", "jane@example.com"),
			Profile: events.Sealed{Key: consumer, Box: []byte(`consumer.profile {"name":"Jane","email":"jane@example.com","phone":"+49"}`)},
		},
	},
	{"AdvanceTestClock", `{"testClockId":"$clock","currentTime":"2024-02-15T10:30:00Z"}`, commands.AdvanceTestClock{Clock: clock, To: at("2024-02-15T10:30:00Z")}},
}

func given[T any](v T) commands.Change[T] { return commands.Change[T]{Given: true, To: v} }

func TestCommands(t *testing.T) {
	tested := map[string]bool{"ReportUsage": true, "CreateGrant": true, "PurchaseGrant": true, "IngestEvent": true} // see TestCreateGrant and TestIngestEvent
	for _, tt := range bodies {
		tested[tt.name] = true
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newTestDecoder()
			w, err := decode(d, tt.name, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			want := commands.Request{Command: tt.want, Merchant: merchant, Actor: owner.Actor()}
			if diff := cmp.Diff(want, w.Requests[0], cmpopts.EquateEmpty(), cmp.Comparer(decimal.Decimal.Equal), cmp.AllowUnexported(events.Sum{})); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			open := strings.Replace(tt.body, "{", `{"idempotencyKey":"k","merchantId":"$merchant",`, 1)
			w, err = decode(d, tt.name, open)
			if err != nil {
				t.Fatal(err)
			}
			if r := w.Requests[0]; r.Key != "k" || r.Content.IsZero() {
				t.Errorf("with a key: %+v", r)
			}
			for _, bad := range []struct{ with, want string }{
				{`{"bogus":1,`, `"bogus" is no field here; there are `},
				{`{"merchantId":"$stranger",`, "merchantId is not the merchant that this is sent for"},
				{`{"idempotencyKey":"k","idempotencyKey":"k",`, "idempotencyKey is given twice"},
				{`{"idempotencyKey":"",`, "idempotencyKey must have 1 to 255 bytes"},
				{`{,`, "not valid JSON"},
			} {
				_, err := decode(d, tt.name, strings.Replace(tt.body, "{", bad.with, 1))
				if commands.CodeOf(err) != commands.Invalid || !strings.Contains(err.Error(), bad.want) {
					t.Errorf("with %s: %v, want %s", bad.with, err, bad.want)
				}
			}
			if _, err := decode(d, tt.name, tt.body+"x"); err == nil {
				t.Error("trailing bytes are accepted")
			}
		})
	}
	for _, name := range Names() {
		if !tested[name] {
			t.Errorf("%s is not tested", name)
		}
	}
	d, _, _ := newTestDecoder()
	if _, err := decode(d, "Fly", `{}`); commands.CodeOf(err) != commands.NotFound {
		t.Errorf("an unknown command: %v", err)
	}
}

// TestContent holds which changes of a body change the hash of its content.
func TestContent(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		same       bool
	}{
		{"CreateProduct", `{"name":"n","description":"d","metadata":{"a":"1","b":"2"}}`, `{"metadata":{"b":"2","a":"1"},"description":"d","name":"\u006e"}`, true},
		{"CreateProduct", `{"name":"n","description":"d","metadata":{}}`, `{"name":"n","description":"d"}`, true},
		{"CreateProduct", `{"name":"n","description":"d"}`, `{"name":"nd","description":""}`, false},
		{"CreateProduct", `{"name":"n","description":"d"}`, `{"name":"d","description":"n"}`, false},
		{"TopUp", `{"walletId":"$wallet","amount":"12.5","method":"sandbox"}`, `{"walletId":"$wallet","amount":"12.50","method":"sandbox"}`, true},
		{"TopUp", `{"walletId":"$wallet","amount":"12.5","method":"sandbox"}`, `{"walletId":"$wallet","amount":"12.51","method":"sandbox"}`, false},
		{"CreatePlan", `{"name":"n","currency":"EUR","productId":"$product"}`, `{"name":"n","currency":"EUR","productId":"$product","billingCadence":"P1M","prices":[]}`, true},
		{"CreatePlan", `{"name":"n","currency":"EUR","productId":"$product"}`, `{"name":"n","currency":"EUR","productId":"$product","prices":["$price"]}`, false},
		{"AdvanceTestClock", `{"testClockId":"$clock","advanceBy":"P1Y"}`, `{"testClockId":"$clock","advanceBy":"P12M"}`, true},
		{"AdvanceTestClock", `{"testClockId":"$clock","advanceBy":"P1M"}`, `{"testClockId":"$clock","advanceBy":"P30D"}`, false},
		{"AdvanceTestClock", `{"testClockId":"$clock","currentTime":"2024-02-15T10:30:00Z"}`, `{"testClockId":"$clock","currentTime":"2024-02-15T12:30:00.000+02:00"}`, true},
	} {
		d, _, dir := newTestDecoder()
		hash := func(body string) events.Digest {
			w, err := decode(d, tt.name, strings.Replace(body, "{", `{"idempotencyKey":"k",`, 1))
			if err != nil {
				if tt.same {
					t.Fatalf("%s %s: %v", tt.name, body, err)
				}
				return events.Digest{}
			}
			return w.Requests[0].Content
		}
		a := hash(tt.a)
		dir.clocks[clock] = at("2024-03-01T00:00:00Z") // a repeat is the same wherever the clock stands
		if b := hash(tt.b); (a == b) != tt.same {
			t.Errorf("%s: the same hash of\n%s and\n%s: %v, want %v", tt.name, tt.a, tt.b, a == b, tt.same)
		}
	}
}

func TestCommandsRefused(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"CreateProduct", `[]`, "the body must be an object, not an array"},
		{"CreateProduct", `{"description":"d"}`, "name is required"},
		{"CreateProduct", `{"name":"","description":"d"}`, "name may not be empty"},
		{"CreateProduct", `{"name":7,"description":"d"}`, "name must be a string, not a number"},
		{"CreateProduct", `{"name":"` + strings.Repeat("n", 256) + `","description":"d"}`, "name has too many characters; at most 255 are allowed"},
		{"CreateProduct", `{"name":"n","description":"d","metadata":[]}`, "metadata must be an object of strings, not an array"},
		{"CreateMetric", `{"name":"n","description":"d","unit":"u","aggregation":"MEDIAN","productId":"$product"}`, "aggregation must be SUM or COUNT or AVG or MIN or MAX or UNIQUE_COUNT or LATEST"},
		{"CreateMetric", `{"name":"n","description":"d","unit":"u","aggregation":"AVG","productId":"$product","eventType":7}`, "eventType must be a string, not a number"},
		{"CreatePrice", `{"properties":{"unitPrice":"0.0000000001"},"billableMetricId":"$A","model":"standard","paymentTerm":"instant","invoiceDisplayName":"n"}`, "properties.unitPrice must be a string of digits with at most 9 decimals"},
		{"CreatePrice", `{"properties":{"unitPrice":1},"billableMetricId":"$A","model":"standard","paymentTerm":"instant","invoiceDisplayName":"n"}`, "properties.unitPrice must be a string, not a number"},
		{"CreatePrice", `{"properties":{"unitPrice":"1","max":"2"},"billableMetricId":"$A","model":"standard","paymentTerm":"instant","invoiceDisplayName":"n"}`, `properties."max" is no field here; there are unitPrice`},
		{"CreatePrice", `{"feeId":"fee_1"}`, "feeId must be an identity such as fee_"},
		{"CreatePrice", `{"properties":{"unitPrice":"1"},"billableMetricId":"$A","paymentTerm":"instant","invoiceDisplayName":"n"}`, "model is required"},
		{"CreatePrice", `{"properties":{"percentage":"10.1","minCharge":"0","maxCharge":"1"},"billableMetricId":"$A","model":"percentage","paymentTerm":"instant","invoiceDisplayName":"n"}`, "properties.percentage must be a string from"},
		{"UpdatePrice", `{"priceId":"$price","model":"standard"}`, "properties is required with model"},
		{"CreatePlan", `{"name":"n","currency":"EUR","productId":"$product","defaultTaxRate":100.1}`, "defaultTaxRate must be a number from 0 to 100"},
		{"CreatePlan", `{"name":"n","currency":"EUR","productId":"$product","defaultTaxRate":"19"}`, "defaultTaxRate must be a number of percent, not a string"},
		{"UpdatePlan", `{"planId":"$plan","billingInterval":"weekly"}`, "billingInterval must be monthly, quarterly, yearly or annual"},
		{"CreatePlan", `{"name":"n","currency":"eur","productId":"$product"}`, "currency must be three capital letters"},
		{"CreatePlan", `{"prices":["$price","$plan"],"name":"n","currency":"EUR","productId":"$product"}`, "prices[1] must be an identity such as price_"},
		{"CreateCustomer", `{}`, "consumer or consumerId is required, one of them"},
		{"CreateCustomer", `{"consumerId":"$consumer","consumer":{"name":"n","email":"e@x","address":{}}}`, "consumer or consumerId is required, one of them"},
		{"CreateCustomer", `{"consumer":{"name":"n","email":"e@x"}}`, "consumer.address is required"},
		{"CreateCustomer", `{"consumer":{"name":"n","email":"nobody","address":{}}}`, "is no e-mail address"},
		{"CreateCustomer", `{"consumer":{"name":"n","email":"e@x","address":{"country":"Deutschland"}}}`, "consumer.address.country has too many characters"},
		{"CreateCustomer", `{"consumer":{"name":"n","email":"e@x","address":{"country":"d1"}}}`, "consumer.address.country must be two capital letters"},
		{"CreateConsumer", `{"email":"e@x","address":{}}`, "name is required"},
		{"CreateConsumer", `{"name":"n","email":"e@x"}`, "address is required"},
		{"CreateConsumer", `{"name":"n","email":"nobody","address":{}}`, `email "nobody" is no e-mail address`},
		{"SetupOffSessionMethod", `{"consumerId":"$consumer","paymentMethod":"cheque","returnUrl":"https://shop.example/"}`, "paymentMethod must be card"},
		{"SetupOffSessionMethod", `{"consumerId":"$consumer","paymentMethod":"card"}`, "returnUrl is required"},
		{"CreateSubscription", `{"name":"n","planId":"$plan","startedAt":"2024-01-15T10:30:00Z"}`, "customer or customerId is required, one of them"},
		{"CreateSubscription", `{"name":"n","planId":"$plan","startedAt":"2024-01-15T10:30:00Z","customer":{"name":"n","email":"a@b","address":{"country":"US","zipCode":"1"}}}`, "address.state is required"},
		{"CreateSubscription", `{"name":"n","planId":"$plan","startedAt":"2024-01-15T10:30:00Z","customerId":"$customer","minimumAccountBalance":"200.00","prefundAmount":"100"}`, "prefundAmount is the old name of minimumAccountBalance"},
		{"CreateSubscription", `{"name":"n","planId":"$plan","startedAt":"2024-01-15T10:30:00Z","customerId":"$customer","sessionExpiryMinutes":0.5}`, "sessionExpiryMinutes must be a number of minutes"},
		{"TerminateSubscription", `{"subscriptionId":"$sub","reason":""}`, "reason may not be empty"},
		{"AdvanceTestClock", `{"testClockId":"$clock"}`, "currentTime or advanceBy is required, one of them"},
		{"AdvanceTestClock", `{"testClockId":"$clock","advanceBy":"1 month"}`, "advanceBy must be a duration of ISO 8601"},
		{"CreateMerchant", `{"profile":{"name":"n"},"currency":"USD","settings":{"feeBasisPoints":10001}}`, "settings.feeBasisPoints must be an integer from 0 to 10000"},
		{"UpdateMerchant", `{"profile":{"name":"n"}}`, "settings is required"},
	} {
		d, _, _ := newTestDecoder()
		w, err := decode(d, tt.name, tt.body)
		if err == nil {
			t.Errorf("%s %s is accepted: %+v", tt.name, tt.body, w.Requests)
			continue
		}
		if !strings.Contains(err.Error(), fill(tt.want)) {
			t.Errorf("%s %s is refused with %q, want it to say %q", tt.name, tt.body, err, fill(tt.want))
		}
	}
}

// TestErasedConsumer holds that what comes for an erased consumer goes on, and keeps nothing personal.
func TestErasedConsumer(t *testing.T) {
	d, _, dir := newTestDecoder()
	w, err := decode(d, "ReportUsage", strings.Replace(usage, "$customer", "$forgotten", 1))
	if err != nil {
		t.Fatal(err)
	}
	if u := w.Requests[0].Command.(*commands.ReportUsage); !u.Metadata.IsZero() {
		t.Errorf("metadata of an erased consumer is kept: %+v", u)
	}
	dir.subscriptions[sub] = erased
	w, err = decode(d, "TerminateSubscription", `{"subscriptionId":"$sub","reason":"r"}`)
	if err != nil {
		t.Fatal(err)
	}
	if c := w.Requests[0].Command.(commands.TerminateSubscription); !c.Reason.IsZero() {
		t.Errorf("the reason of an erased consumer is kept: %+v", c)
	}
}

// TestKnownConsumer holds that a customer of a consumer that the merchant manages already is sealed under that consumer's key.
func TestKnownConsumer(t *testing.T) {
	d, k, _ := newTestDecoder()
	w, err := decode(d, "CreateCustomer", `{"consumer":{"name":"n","email":"Known@example.com","address":{}},"taxId":"t"}`)
	if err != nil {
		t.Fatal(err)
	}
	want := commands.CreateCustomer{
		Consumer: consumer, Email: digest("email", "known@example.com"), Details: events.Sealed{Key: consumer, Box: []byte(`customer.details {"taxId":"t"}`)},
	}
	if diff := cmp.Diff(commands.Command(want), w.Requests[0].Command); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
	if _, made := k.keys[newcomer]; made {
		t.Error("a key was made for nobody")
	}
}

// TestSecret holds that the text of an API key is answered once: with the receipt of the command that has made it.
func TestSecret(t *testing.T) {
	d, _, _ := newTestDecoder()
	w, err := decode(d, "CreateKey", `{"role":"operator"}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		status commands.ReceiptStatus
		want   string
	}{
		{commands.Accepted, `{"status":"accepted","sequence":7,"secret":"sk_test_` + strings.Repeat("a", 40) + `"}`},
		{commands.Duplicate, `{"status":"duplicate","sequence":7}`},
	} {
		if got := string(w.AppendAnswer(nil, []commands.Receipt{{Status: tt.status, Seq: 7}})); got != tt.want {
			t.Errorf("answered with %s, want %s", got, tt.want)
		}
	}
	live, err := NewSecret(strings.NewReader(strings.Repeat("x", 25)), events.Live)
	if err != nil || !strings.HasPrefix(live, "sk_live_") || len(live) != 48 {
		t.Errorf("got %q, %v", live, err)
	}
	if _, err := NewSecret(strings.NewReader(""), events.Live); err == nil {
		t.Error("a secret was drawn from nothing")
	}
}

func TestAdvanceBy(t *testing.T) {
	for _, tt := range []struct{ by, from, want string }{
		{"P1M", "2024-01-31T10:00:00.5Z", "2024-02-29T10:00:00.5Z"},
		{"P1Y1M", "2024-01-31T10:00:00Z", "2025-02-28T10:00:00Z"},
		{"P13M", "2023-12-31T00:00:00Z", "2025-01-31T00:00:00Z"},
		{"P1W1DT1H1M1S", "2024-01-31T10:00:00Z", "2024-02-08T11:01:01Z"},
		{"PT36H", "2024-01-31T10:00:00Z", "2024-02-01T22:00:00Z"},
		{"P1M1D", "2024-01-31T10:00:00Z", "2024-03-01T10:00:00Z"},
		{"P0Y1D", "2024-01-31T10:00:00Z", "2024-02-01T10:00:00Z"},
		{"", "", ""},
		{"P", "", ""},
		{"PT", "", ""},
		{"P0D", "", ""},
		{"P1", "", ""},
		{"P1H", "", ""},
		{"PT1D", "", ""},
		{"P1D1M", "", ""},
		{"P1DT", "", ""},
		{"P-1D", "", ""},
		{"P1.5D", "", ""},
		{"P1M1M", "", ""},
		{"p1m", "", ""},
		{"PT1S1H", "", ""},
		{"P99999999D", "", ""},
		{"PY", "", ""},
		{"PTT1S", "", ""},
	} {
		v, ok := parseDuration(tt.by)
		if ok != (tt.want != "") {
			t.Errorf("%q is a duration: %v", tt.by, ok)
		}
		if !ok || tt.want == "" {
			continue
		}
		if got, ok := v.after(at(tt.from)); !ok || got != at(tt.want) {
			t.Errorf("%s after %s is %s, want %s", tt.by, tt.from, got, tt.want)
		}
	}
	d, _, _ := newTestDecoder()
	w, err := decode(d, "AdvanceTestClock", `{"testClockId":"$clock","advanceBy":"P1M"}`)
	if err != nil {
		t.Fatal(err)
	}
	if c := w.Requests[0].Command.(commands.AdvanceTestClock); c.To != at("2024-02-29T10:00:00Z") {
		t.Errorf("advanced to %s", c.To)
	}
}

func TestNormaliseEmail(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"ada@example.com", "ada@example.com"},
		{" Ada.L+x@Example.COM.\n", "ada.l+x@example.com"},
		{"ÄDA@example.com", "äda@example.com"},
		{"ada", ""},
		{"@example.com", ""},
		{"ada@", ""},
		{"a da@example.com", ""},
		{"a@b@c", ""},
		{"a\x00@b", ""},
		{"", ""},
		{strings.Repeat("a", 250) + "@b.de", ""},
	} {
		got, ok := NormaliseEmail(tt.in)
		if ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("NormaliseEmail(%q) = %q, %v, want %q", tt.in, got, ok, tt.want)
		}
	}
}

func TestWaits(t *testing.T) {
	waiting := 0
	for _, name := range Names() {
		if Waits(name) {
			waiting++
		}
	}
	if waiting != 24 || Waits("ReportUsage") {
		t.Errorf("%d commands wait", waiting)
	}
	if r := (Who{Role: events.AuditorKey}).MayWrite(merchant); r == nil {
		t.Error("an auditor may write")
	}
}

// TestNobody holds that what names nobody becomes a command all the same, with nothing sealed in it: whether it is a repeat is asked first, and then the
// rules refuse it as they refuse what is another merchant's.
func TestNobody(t *testing.T) {
	d, _, _ := newTestDecoder()
	for name, body := range map[string]string{
		"CreateCustomer":        `{"consumerId":"$merchant","taxId":"x"}`,
		"CreateWallet":          `{"ownedBy":"$stranger","currency":"USD","name":"n"}`,
		"UpdateConsumer":        `{"consumerId":"$stranger","name":"n"}`,
		"UpdateCustomer":        `{"customerId":"cus_01JD3W8X5KQ7M2N4P6R8T0V2W4","taxId":"x"}`,
		"CreateSubscription":    `{"name":"n","customerId":"cus_01JD3W8X5KQ7M2N4P6R8T0V2W4","planId":"$plan","startedAt":"2024-01-15T10:30:00Z"}`,
		"TerminateSubscription": `{"subscriptionId":"sub_01JD3W8X5KQ7M2N4P6R8T0V2W4","reason":"r"}`,
		"CreateLineItem":        `{"invoiceId":"inv_01JD3W8X5KQ7M2N4P6R8T0V2W4","displayName":"n","currency":"USD","quantity":1,"unitPrice":1}`,
		"RefundInvoice":         `{"invoiceId":"inv_01JD3W8X5KQ7M2N4P6R8T0V2W4","reason":"r"}`,
		"RefundUsage":           `{"usageEventId":"usg_01JD3W8X5KQ7M2N4P6R8T0V2W4","reason":"r"}`,
		"CreateDispute":         `{"usageEventId":"usg_01JD3W8X5KQ7M2N4P6R8T0V2W4","message":"that was not us"}`,
		"ResolveDispute":        `{"disputeId":"disp_01JD3W8X5KQ7M2N4P6R8T0V2W4","status":"accepted","message":"m"}`,
		"CreateAlert":           `{"resourceId":"acc_01JD3W8X5KQ7M2N4P6R8T0V2W4","type":"wallet_low_balance","config":{"threshold":"1"},"recipients":["a@b"]}`,
		"AdvanceTestClock":      `{"testClockId":"tc_0123456789abcdeg","advanceBy":"P1M"}`,
		"ReportUsage":           strings.Replace(usage, "$customer", "cus_01JD3W8X5KQ7M2N4P6R8T0V2W4", 1),
	} {
		w, err := decode(d, name, body)
		if err != nil || len(w.Requests) != 1 {
			t.Errorf("%s %s: %v", name, body, err)
		} else if said := fmt.Sprintf("%+v", w.Requests[0].Command); strings.Contains(said, "Key:org_") {
			t.Errorf("%s: something is sealed in %s", name, said)
		}
	}
}

// TestIngestEvent holds what a meter event is read as, and what is refused of its data. It is apart, for one without an idempotency
// key gets one.
func TestIngestEvent(t *testing.T) {
	d, _, _ := newTestDecoder()
	w, err := decode(d, "IngestEvent", `{"type":"llm.call","source":"gw","subject":"$customer","namespace":"eu","timestamp":"2024-01-15T10:30:00Z","data":{"b":{"c":1.50,"a":"x"},"l":[1],"n":null,"t":true}}`)
	if err != nil {
		t.Fatal(err)
	}
	want := &commands.IngestEvent{
		Customer: customer, Type: "llm.call", HappenedAt: at("2024-01-15T10:30:00Z"),
		Data: []commands.EventValue{{Path: "$.b.a", Text: "x"}, {Path: "$.b.c", Text: "1.50"}, {Path: "$.l", Text: "[1]"}, {Path: "$.t", Text: "true"}},
		Metadata: events.Sealed{
			Key: consumer, Box: []byte(`usage.metadata {"meterEvent":"{\"type\":\"llm.call\",\"source\":\"gw\",\"namespace\":\"eu\",\"data\":{\"b\":{\"c\":1.50,\"a\":\"x\"},\"l\":[1],\"n\":null,\"t\":true}}"}`),
		},
	}
	if diff := cmp.Diff(want, w.Requests[0].Command); diff != "" || len(w.Requests[0].Key) != 32 || w.Requests[0].Content.IsZero() {
		t.Errorf("key %q, command (-want +got):\n%s", w.Requests[0].Key, diff)
	}
	event := func(data string) string { return `{"type":"t","source":"s","subject":"$customer","data":` + data + `}` }
	for data, want := range map[string]string{
		`[]`:                      "data must be an object",
		`{"a":1,"a":2}`:           `has two values at "$.a"`,
		`{"a":{"b":1},"a.b":"1"}`: `has two values at "$.a.b"`,
		`{"a":` + strings.Repeat(`{"b":`, 40) + `1` + strings.Repeat(`}`, 40) + `}`: "levels of nesting",
		`{"a":"` + strings.Repeat("x", mostEventBytes) + `"}`:                       "more than 32768 bytes",
		`{"a":[1],` + manyMembers(mostEventValues) + `}`:                            "more than 1000 values",
		`{"a":null,"a":{}}`:          `has two values at "$.a"`,
		`{"a":[{"b":1,"b":1}]}`:      `has two values at "$.a.b"`,
		`{},"specversion":"1.0"`:     "are the idempotency key",
		`{},"bogus":"1.0"`:           "is no field here",
		`{},"externalSubject":"c-1"`: "subject or externalSubject is required, one of them",
		`{},"externalId":"a b"`:      "externalId may have letters, digits, _ and - only",
		`{},"specversion":"1.0","id":"` + strings.Repeat("x", 254) + `"`: "are the idempotency key",
	} {
		if _, err := decode(d, "IngestEvent", event(data)); commands.CodeOf(err) != commands.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", data, err, want)
		}
	}
}

// manyMembers returns n members of an object.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"n%d":1,`, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}

// TestMeterEventForms holds that every way to write a meter event is the same command with the same key and hash, alone and among usage.
func TestMeterEventForms(t *testing.T) {
	d, _, _ := newTestDecoder()
	const event = `{"type":"llm.call","source":"gw","idempotencyKey":"gw/1","externalSubject":"c-1","externalId":"call_7","namespace":"eu","timestamp":"2024-01-15T10:30:00Z","data":{"n":1}}`
	cloud := `{"specversion":"1.0","id":"1","source":"gw","type":"llm.call","time":"2024-01-15T11:30:00+01:00","datacontenttype":"application/json","dataschema":"urn:x",
		"traceparent":"00-1","namespace":"eu","externalsubject":"c-1","externalid":"call_7","data":{"n":1}}`
	want, err := decode(d, "IngestEvent", event)
	if err != nil {
		t.Fatal(err)
	}
	if c := want.Requests[0].Command.(*commands.IngestEvent); c.Customer != customer || c.External != "c-1" || len(c.Metadata.Box) == 0 {
		t.Errorf("the event is %+v", c)
	}
	for name, bodies := range map[string][]string{
		"IngestEvent": {cloud}, "ReportUsage": {cloud, `[` + cloud + `]`, `[` + usage + `,` + cloud + `,` + usage + `]`},
	} {
		for _, body := range bodies {
			w, err := decode(d, name, body)
			if err != nil {
				t.Fatal(err)
			}
			at := len(w.Requests) / 2
			if diff := cmp.Diff(want.Requests[0], w.Requests[at]); diff != "" || w.Meters != (name == "ReportUsage") {
				t.Errorf("%s of %s, %v (-want +got):\n%s", name, body, w.Meters, diff)
			}
			if r := w.Requests[len(w.Requests)-1]; at > 0 && (r.Key != "k1" || len(r.Command.(*commands.ReportUsage).Properties) != 2) {
				t.Errorf("the usage behind it is %+v", r)
			}
		}
	}
	unknown, err := decode(d, "IngestEvent", strings.Replace(event, "c-1", "c-2", 1))
	if err != nil {
		t.Fatal(err)
	}
	if c := unknown.Requests[0].Command.(*commands.IngestEvent); !c.Customer.IsZero() || !c.Metadata.IsZero() || unknown.Requests[0].Content == want.Requests[0].Content {
		t.Errorf("of nobody the event is %+v", c)
	}
	for change, want := range map[[2]string]string{
		{`"specversion":"1.0"`, `"specversion":"0.3"`}: "specversion must be 1.0",
		{`"id":"1"`, `"id":""`}:                        "are the idempotency key",
		{`application/json`, `text/plain`}:             "datacontenttype must be application/json",
		{`llm.call`, `usage.reported`}:                 "type is that of usage",
		{`"data"`, `"idempotencyKey":"x","data"`}:      "idempotencyKey of a CloudEvent is its source, a slash and its id",
		{`"externalsubject"`, `"externalSubject"`}:     "is no attribute of a CloudEvent",
		{`"time"`, `"timestamp"`}:                      "timestamp is no attribute of a CloudEvent",
	} {
		if _, err := decode(d, "IngestEvent", strings.Replace(cloud, change[0], change[1], 1)); commands.CodeOf(err) != commands.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("with %s: %v, want %s", change[1], err, want)
		}
	}
	refused, err := decode(d, "ReportUsage", `[`+usage+`,`+strings.Replace(cloud, `{"n":1}`, `7`, 1)+`,`+cloud+`]`)
	if err != nil {
		t.Fatal(err)
	}
	if len(refused.Requests) != 2 || len(refused.Refused) != 1 || refused.Refused[0].Rejection.Field != "events[1].data" || refused.Requests[1].Key != "gw/1" {
		t.Errorf("of three, one of which is refused: %+v %+v", refused.Requests, refused.Refused)
	}
}

// TestCreateGrant holds what a grant is read as. It is apart, for its idempotency key is required.
func TestCreateGrant(t *testing.T) {
	d, _, _ := newTestDecoder()
	w, err := decode(d, "CreateGrant", `{"entitlementId":"$entitlement","amount":1000,"effectiveAt":"2024-01-15T10:30:00Z","expiresAt":null,
		"idempotencyKey":"k","priority":4,"recurrencePeriod":"P1W","resetMaxRollover":0.5}`)
	if err != nil {
		t.Fatal(err)
	}
	want := commands.CreateGrant{
		Entitlement: entitlement, Amount: events.SumOfWhole(1000), EffectiveAt: at("2024-01-15T10:30:00Z"), Recurrence: "P1W", Priority: 4,
		MaxRollover: events.SumOf(500_000_000),
	}
	if diff := cmp.Diff(want, w.Requests[0].Command, cmp.AllowUnexported(events.Sum{})); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
	w, err = decode(d, "PurchaseGrant", `{"entitlementId":"$entitlement","amount":1000,"price":"5.00","idempotencyKey":"k","successUrl":"https://a.example","cancelUrl":"https://b.example","paymentExpiresAt":"1970-01-01T00:00:01Z"}`)
	if err != nil {
		t.Fatal(err)
	}
	bought := commands.PurchaseGrant{
		CreateGrant: commands.CreateGrant{Entitlement: entitlement, Amount: events.SumOfWhole(1000), MaxRollover: commands.Unlimited()}, Price: 5_000_000_000,
		OnSuccess: "https://a.example", OnFailure: "https://b.example", PayBy: 1_000_000_000,
	}
	if diff := cmp.Diff(bought, w.Requests[0].Command, cmp.AllowUnexported(events.Sum{})); diff != "" {
		t.Errorf("purchase (-want +got):\n%s", diff)
	}
	for body, want := range map[string]string{
		`{"entitlementId":"$entitlement","amount":1}`:                                                    "idempotencyKey is required",
		`{"entitlementId":"$entitlement","amount":"1","idempotencyKey":"k"}`:                             "amount must be a number",
		`{"entitlementId":"$entitlement","amount":-1,"idempotencyKey":"k"}`:                              "amount must be a number",
		`{"entitlementId":"$entitlement","amount":1e3,"idempotencyKey":"k"}`:                             "amount must be a number",
		`{"entitlementId":"$entitlement","amount":0.0000000001,"idempotencyKey":"k"}`:                    "amount must be a number",
		`{"entitlementId":"$entitlement","amount":9999999999999999999999999999999,"idempotencyKey":"k"}`: "amount must be a number",
	} {
		if _, err := decode(d, "CreateGrant", body); commands.CodeOf(err) != commands.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}
