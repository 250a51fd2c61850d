package events

// ClockCreated records a test clock. It shows Now until it is advanced.
type ClockCreated struct {
	Clock       TestClockID `cbor:"1,keyasint" json:"testClockId"`
	Now         Time        `cbor:"2,keyasint" json:"currentTime"`
	Name        string      `cbor:"3,keyasint,omitempty" json:"name,omitempty"`
	Description string      `cbor:"4,keyasint,omitempty" json:"description,omitempty"`
}

// ClockAdvancing records that a test clock is on its way to To. Until ClockAdvanced, due actions of its
// subscriptions are carried out, and their usage is refused.
type ClockAdvancing struct {
	Clock TestClockID `cbor:"1,keyasint" json:"testClockId"`
	To    Time        `cbor:"2,keyasint" json:"to"` // later than it shows
}

// ClockAdvanced records that a test clock shows To, and that nothing is left that was due by then.
type ClockAdvanced struct {
	Clock TestClockID `cbor:"1,keyasint" json:"testClockId"`
	To    Time        `cbor:"2,keyasint" json:"to"`
}

// ClockDeleted records that a test clock is not used any more. No active subscription was on it.
type ClockDeleted struct {
	Clock TestClockID `cbor:"1,keyasint" json:"testClockId"`
}

func (ClockDeleted) Kind() Kind                        { return KindClockDeleted }
func (ClockDeleted) Subject() (aggregate, name string) { return "clock", "ClockDeleted" }
func (ClockDeleted) Money() Movement                   { return Movement{} }
func (ClockDeleted) sealed()                           {}

func (ClockCreated) Kind() Kind   { return KindClockCreated }
func (ClockAdvancing) Kind() Kind { return KindClockAdvancing }
func (ClockAdvanced) Kind() Kind  { return KindClockAdvanced }

func (ClockCreated) Subject() (aggregate, name string)   { return "clock", "ClockCreated" }
func (ClockAdvancing) Subject() (aggregate, name string) { return "clock", "ClockAdvancing" }
func (ClockAdvanced) Subject() (aggregate, name string)  { return "clock", "ClockAdvanced" }

func (ClockCreated) Money() Movement   { return Movement{} }
func (ClockAdvancing) Money() Movement { return Movement{} }
func (ClockAdvanced) Money() Movement  { return Movement{} }

func (ClockCreated) sealed()   {}
func (ClockAdvancing) sealed() {}
func (ClockAdvanced) sealed()  {}
