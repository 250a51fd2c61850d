package events

// Sealed is personal data as the log keeps it: encrypted under a key that belongs to
// one consumer (D4). Whoever does not hold that key sees its length and nothing
// else; when the key is destroyed nobody does. The zero Sealed is nothing.
type Sealed struct {
	Key OrganizationID `cbor:"1,keyasint" json:"consumerId"` // the consumer whose key it is
	Box []byte         `cbor:"2,keyasint" json:"box"`        // a nonce and the ciphertext with its tag
}

// IsZero reports whether s is nothing.
func (s Sealed) IsZero() bool { return s.Key.IsZero() && len(s.Box) == 0 }
