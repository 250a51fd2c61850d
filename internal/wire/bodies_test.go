package wire

import (
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/commands"
	"tallystick/events"
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
	{
		"InviteUser", `{"consumerId":"$consumer","email":"Ben@Acorn.example","role":"billing"}`,
		commands.InviteUser{
			Consumer: consumer, Email: new(fakeKeyring).EmailDigest("ben@acorn.example"), Role: events.BillingRole,
			Profile: events.Sealed{Key: consumer, Box: []byte(`user.profile {"name":"","email":"ben@acorn.example"}`)},
		},
	},
	{"DeclineInvitation", `{"userId":"$user"}`, commands.DeclineInvitation{User: user}},
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
