package events

// AlertCreated records that somebody is to be told when the prepaid money of a consumer's wallet falls below a threshold.
type AlertCreated struct {
	Alert      AlertID  `cbor:"1,keyasint" json:"alertId"`
	Wallet     WalletID `cbor:"2,keyasint" json:"walletId"`
	Currency   Currency `cbor:"3,keyasint" json:"currency"`
	Threshold  Nanos    `cbor:"4,keyasint" json:"thresholdNanos"` // above 0
	Period     uint32   `cbor:"5,keyasint" json:"notifyPeriod"`   // seconds that lie between two notices, at least
	Disabled   bool     `cbor:"6,keyasint,omitempty" json:"disabled,omitempty"`
	Low        bool     `cbor:"7,keyasint,omitempty" json:"low,omitempty"`      // the wallet held less already: there is nothing to cross
	Recipients Sealed   `cbor:"8,keyasint,omitzero" json:"recipients,omitzero"` // e-mail addresses, under the key of the wallet's owner
}

// AlertRaised records that a wallet holds less than an alert's threshold. It follows what took the money, of the same command, and is
// not recorded again before an [AlertRearmed].
type AlertRaised struct {
	Alert     AlertID  `cbor:"1,keyasint" json:"alertId"`
	Wallet    WalletID `cbor:"2,keyasint" json:"walletId"`
	Currency  Currency `cbor:"3,keyasint" json:"currency"`
	Threshold Nanos    `cbor:"4,keyasint" json:"thresholdNanos"`
	Balance   Sum      `cbor:"5,keyasint" json:"balanceNanos"` // what the wallet holds now
}

// AlertRearmed records that a wallet holds an alert's threshold again, so that the alert can be raised once more. It follows what
// brought the money, of the same command.
type AlertRearmed struct {
	Alert    AlertID  `cbor:"1,keyasint" json:"alertId"`
	Wallet   WalletID `cbor:"2,keyasint" json:"walletId"`
	Currency Currency `cbor:"3,keyasint" json:"currency"`
	Balance  Sum      `cbor:"4,keyasint" json:"balanceNanos"` // what the wallet holds now
}

func (AlertCreated) Kind() Kind { return KindAlertCreated }
func (AlertRaised) Kind() Kind  { return KindAlertRaised }
func (AlertRearmed) Kind() Kind { return KindAlertRearmed }

func (AlertCreated) Subject() (aggregate, name string) { return "alert", "AlertCreated" }
func (AlertRaised) Subject() (aggregate, name string)  { return "alert", "AlertRaised" }
func (AlertRearmed) Subject() (aggregate, name string) { return "alert", "AlertRearmed" }

func (AlertCreated) Money() Movement { return Movement{} }
func (AlertRaised) Money() Movement  { return Movement{} }
func (AlertRearmed) Money() Movement { return Movement{} }

func (AlertCreated) sealed() {}
func (AlertRaised) sealed()  {}
func (AlertRearmed) sealed() {}
