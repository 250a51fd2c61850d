package events

// WalletOpened records that an organization has a wallet in one currency.
type WalletOpened struct {
	Wallet   WalletID       `cbor:"1,keyasint" json:"walletId"`
	Owner    OrganizationID `cbor:"2,keyasint" json:"ownedBy"`
	Currency Currency       `cbor:"3,keyasint" json:"currency"`
	Bound    OrganizationID `cbor:"4,keyasint,omitzero" json:"boundTo,omitzero"` // the only merchant it may be spent with, if not all
	Earning  bool           `cbor:"5,keyasint,omitempty" json:"earning"`         // a merchant's: its balance is the merchant's earnings
}

// WalletToppedUp records that money came in from the payment processor.
type WalletToppedUp struct {
	TopUp    TopUpID   `cbor:"1,keyasint" json:"topUpId"`
	Wallet   WalletID  `cbor:"2,keyasint" json:"walletId"`
	Currency Currency  `cbor:"3,keyasint" json:"currency"`
	Postings []Posting `cbor:"4,keyasint" json:"postings"`
	Balance  Sum       `cbor:"5,keyasint" json:"balanceNanos"`               // of the wallet's main account, after
	Method   string    `cbor:"6,keyasint" json:"method"`                     // "sandbox", "session" or "stored"
	Charge   ChargeID  `cbor:"7,keyasint,omitzero" json:"chargeId,omitzero"` // that brought it, where one did
}

func (WalletOpened) Kind() Kind   { return KindWalletOpened }
func (WalletToppedUp) Kind() Kind { return KindWalletToppedUp }

func (WalletOpened) Subject() (aggregate, name string)   { return "wallet", "WalletOpened" }
func (WalletToppedUp) Subject() (aggregate, name string) { return "wallet", "WalletToppedUp" }

func (WalletOpened) Money() Movement     { return Movement{} }
func (e WalletToppedUp) Money() Movement { return Movement{e.Currency, e.Wallet, e.Postings} }

func (WalletOpened) sealed()   {}
func (WalletToppedUp) sealed() {}
