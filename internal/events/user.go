package events

import "time"

// UserRef is a person, by one or more identifiers.
type UserRef struct {
	OktaID         string `json:"okta_id,omitempty"`
	EmployeeNumber string `json:"employee_number,omitempty"`
	Email          string `json:"email,omitempty"`
	Login          string `json:"login,omitempty"`
	ASAUsername    string `json:"asa_username,omitempty"`
	Extra          Extra  `json:"-"`
}

// Identifiers lists the person's identifiers, normalised, the one that names the principal first.
func (u UserRef) Identifiers() []Identifier {
	var ids []Identifier
	for _, f := range []Identifier{
		{OktaID, u.OktaID}, {EmployeeNumber, u.EmployeeNumber}, {Email, u.Email}, {Login, u.Login}, {ASAUsername, u.ASAUsername},
	} {
		if id, ok := NewIdentifier(f.Kind, f.Value); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// UnmarshalJSON keeps the members that UserRef does not name.
func (u *UserRef) UnmarshalJSON(b []byte) error {
	return decodeFields(b, &u.Extra, []field{
		{"okta_id", &u.OktaID}, {"employee_number", &u.EmployeeNumber}, {"email", &u.Email}, {"login", &u.Login}, {"asa_username", &u.ASAUsername},
	})
}

// MarshalJSON writes the kept members back.
func (u UserRef) MarshalJSON() ([]byte, error) {
	type plain UserRef
	return encodeKeeping(plain(u), u.Extra)
}

// UserTerminated is the payload of user.terminated.
type UserTerminated struct {
	User        UserRef   `json:"user"`
	EffectiveAt time.Time `json:"effective_at,omitzero"` // zero = at once
	Reason      string    `json:"reason,omitempty"`
	Extra       Extra     `json:"-"`
}

func (d *UserTerminated) names() []Identifier  { return d.User.Identifiers() }
func (d *UserTerminated) person() []Identifier { return d.User.Identifiers() }
func (d *UserTerminated) effective() time.Time { return d.EffectiveAt }

// UnmarshalJSON keeps the members that UserTerminated does not name.
func (d *UserTerminated) UnmarshalJSON(b []byte) error {
	return decodeFields(b, &d.Extra, []field{{"user", &d.User}, {"effective_at", &d.EffectiveAt}, {"reason", &d.Reason}})
}

// MarshalJSON writes the kept members back.
func (d UserTerminated) MarshalJSON() ([]byte, error) {
	type plain UserTerminated
	return encodeKeeping(plain(d), d.Extra)
}

// UserChanged is the payload of user.termination_rescinded, user.rehired and user.compromised.
type UserChanged struct {
	User   UserRef `json:"user"`
	Reason string  `json:"reason,omitempty"`
	Extra  Extra   `json:"-"`
}

func (d *UserChanged) names() []Identifier  { return d.User.Identifiers() }
func (d *UserChanged) person() []Identifier { return d.User.Identifiers() }
func (d *UserChanged) effective() time.Time { return time.Time{} }

// UnmarshalJSON keeps the members that UserChanged does not name.
func (d *UserChanged) UnmarshalJSON(b []byte) error {
	return decodeFields(b, &d.Extra, []field{{"user", &d.User}, {"reason", &d.Reason}})
}

// MarshalJSON writes the kept members back.
func (d UserChanged) MarshalJSON() ([]byte, error) {
	type plain UserChanged
	return encodeKeeping(plain(d), d.Extra)
}
