package query

import (
	"encoding/json"
	"errors"
	"fmt"

	"tallystick/events"
	"tallystick/internal/wire"
	"tallystick/ledger/keyring"
)

// Opener opens what was sealed for a purpose. [tallystick/ledger/keyring.Keyring] is one.
type Opener interface {
	// Open returns the plaintext. Its error matches keyring.ErrErased where the key was destroyed.
	Open(sealed events.Sealed, purpose string) ([]byte, error)
}

// unseal returns what was sealed, nil where there is nothing, and whether there was something that is erased.
func (s *Service) unseal(sealed events.Sealed, purpose string) (plain []byte, erased bool, err error) {
	plain, err = s.opts.Opener.Open(sealed, purpose)
	if errors.Is(err, keyring.ErrErased) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("opening what is personal: %w", err)
	}
	return plain, false, nil
}

// unsealInto is unseal for what is JSON.
func (s *Service) unsealInto(sealed events.Sealed, purpose string, v any) (erased bool, err error) {
	plain, erased, err := s.unseal(sealed, purpose)
	if err != nil || len(plain) == 0 {
		return erased, err
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return false, fmt.Errorf("reading %s of consumer %s: %w", purpose, sealed.Key, err)
	}
	return false, nil
}

// text returns a sealed text.
func (s *Service) text(sealed events.Sealed, purpose string) (text string, erased bool, err error) {
	plain, erased, err := s.unseal(sealed, purpose)
	return string(plain), erased, err
}

// consumerProfile returns a sealed profile, nil if the consumer is erased.
func (s *Service) consumerProfile(sealed events.Sealed) (*events.Profile, error) {
	p := new(events.Profile)
	erased, err := s.unsealInto(sealed, wire.PurposeProfile, p)
	if err != nil || erased {
		return nil, err
	}
	return p, nil
}

func (s *Service) details(sealed events.Sealed) (d wire.Details, err error) {
	_, err = s.unsealInto(sealed, wire.PurposeDetails, &d)
	return d, err
}

func (s *Service) metadata(sealed events.Sealed) (m map[string]string, erased bool, err error) {
	erased, err = s.unsealInto(sealed, wire.PurposeMetadata, &m)
	return m, erased, err
}

// sellerProfile returns the merchant's profile that a record holds.
func (s *Service) sellerProfile(seq events.Seq) (events.Profile, error) {
	rec, err := s.opts.Log.Record(seq)
	if err != nil {
		return events.Profile{}, err
	}
	switch e := rec.Event.(type) {
	case events.MerchantCreated:
		return e.Profile, nil
	case events.MerchantUpdated:
		return e.Profile, nil
	default: // the others are of no interest here
	}
	return events.Profile{}, fmt.Errorf("record %d holds no merchant's profile, but %s", seq, rec.Event.Kind())
}
