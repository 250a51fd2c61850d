package events

// PasskeyAdded records that a user can sign in by a passkey: a pair of keys of which the private one never leaves the user's device,
// or those of its account. Nothing of it is secret, and nothing says who the user is.
type PasskeyAdded struct {
	User       UserID `cbor:"1,keyasint" json:"userId"`
	Credential []byte `cbor:"2,keyasint" json:"credential"` // what browsers call it: 1 to 1,023 bytes
	Key        []byte `cbor:"3,keyasint" json:"publicKey"`  // in COSE
	Counter    uint32 `cbor:"4,keyasint,omitempty" json:"counter,omitempty"`
	Synced     bool   `cbor:"5,keyasint,omitempty" json:"synced,omitempty"`           // it may be on several devices
	Challenge  Time   `cbor:"6,keyasint,omitzero" json:"challengeExpiresAt,omitzero"` // which it was made for; good once, as with PasskeyUsed
}

// PasskeyRemoved records that a passkey signs its user in no more. Whoever was signed in as the user, by whatever means, no longer is.
type PasskeyRemoved struct {
	User       UserID `cbor:"1,keyasint" json:"userId"`
	Credential []byte `cbor:"2,keyasint" json:"credential"`
}

// PasskeyUsed records that a user has signed in by a passkey. The challenge that it has answered, and all of this passkey that would
// have been good no longer than that, are good no more: an answer is good once, in whatever process.
type PasskeyUsed struct {
	User       UserID `cbor:"1,keyasint" json:"userId"`
	Credential []byte `cbor:"2,keyasint" json:"credential"`
	Counter    uint32 `cbor:"3,keyasint,omitempty" json:"counter,omitempty"` // grows with each use, unless the device does not count
	Challenge  Time   `cbor:"4,keyasint" json:"challengeExpiresAt"`          // real time
}

func (PasskeyAdded) Kind() Kind   { return KindPasskeyAdded }
func (PasskeyRemoved) Kind() Kind { return KindPasskeyRemoved }
func (PasskeyUsed) Kind() Kind    { return KindPasskeyUsed }

func (PasskeyAdded) Subject() (aggregate, name string)   { return "user", "PasskeyAdded" }
func (PasskeyRemoved) Subject() (aggregate, name string) { return "user", "PasskeyRemoved" }
func (PasskeyUsed) Subject() (aggregate, name string)    { return "user", "PasskeyUsed" }

func (PasskeyAdded) Money() Movement   { return Movement{} }
func (PasskeyRemoved) Money() Movement { return Movement{} }
func (PasskeyUsed) Money() Movement    { return Movement{} }

func (PasskeyAdded) sealed()   {}
func (PasskeyRemoved) sealed() {}
func (PasskeyUsed) sealed()    {}
