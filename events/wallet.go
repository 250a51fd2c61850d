package events

// WalletOpened records that an organization has a wallet in one currency. One with a parent is virtual: it pays for the one subscription
// that is made to use it, and for nothing else; when that ends what is left in it goes to the parent, which is the same owner's.
type WalletOpened struct {
	Wallet   WalletID       `cbor:"1,keyasint" json:"walletId"`
	Owner    OrganizationID `cbor:"2,keyasint" json:"ownedBy"`
	Currency Currency       `cbor:"3,keyasint" json:"currency"`
	Bound    OrganizationID `cbor:"4,keyasint,omitzero" json:"boundTo,omitzero"` // the only merchant it may be spent with, if not all
	Earning  bool           `cbor:"5,keyasint,omitempty" json:"earning"`         // a merchant's: its balance is the merchant's earnings
	Parent   WalletID       `cbor:"6,keyasint,omitzero" json:"parentWalletId,omitzero"`
	Label    Sealed         `cbor:"7,keyasint,omitzero" json:"label,omitzero"` // what its maker calls it
	Timezone string         `cbor:"8,keyasint,omitempty" json:"timezone,omitempty"`
}

// WalletEmptied records that what was in a virtual wallet, whose subscription has ended, is in its parent from now on. Nothing is
// left in the wallet.
type WalletEmptied struct {
	Wallet       WalletID       `cbor:"1,keyasint" json:"walletId"`
	Parent       WalletID       `cbor:"2,keyasint" json:"parentWalletId"`
	Subscription SubscriptionID `cbor:"3,keyasint" json:"subscriptionId"`
	Currency     Currency       `cbor:"4,keyasint" json:"currency"`
	Postings     []Posting      `cbor:"5,keyasint" json:"postings"`
	Balance      Sum            `cbor:"6,keyasint" json:"parentBalanceNanos"` // of the parent's main account, after
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
func (WalletEmptied) Kind() Kind  { return KindWalletEmptied }

func (WalletOpened) Subject() (aggregate, name string)   { return "wallet", "WalletOpened" }
func (WalletToppedUp) Subject() (aggregate, name string) { return "wallet", "WalletToppedUp" }
func (WalletEmptied) Subject() (aggregate, name string)  { return "wallet", "WalletEmptied" }

func (WalletOpened) Money() Movement     { return Movement{} }
func (e WalletToppedUp) Money() Movement { return Movement{e.Currency, e.Wallet, e.Postings} }
func (e WalletEmptied) Money() Movement  { return Movement{e.Currency, e.Wallet, e.Postings} }

func (WalletOpened) sealed()   {}
func (WalletToppedUp) sealed() {}
func (WalletEmptied) sealed()  {}
