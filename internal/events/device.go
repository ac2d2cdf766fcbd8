package events

import "time"

// Device is a device, by the host name under which it enrolled.
type Device struct {
	Hostname string `json:"hostname"`
	Serial   string `json:"serial,omitempty"`
	ID       string `json:"id,omitempty"` // in the system that reports it
	Extra    Extra  `json:"-"`
}

// Identifiers gives the device's normalised host name.
func (d Device) Identifiers() []Identifier { return one(DeviceHost, d.Hostname) }

// UnmarshalJSON keeps the members that Device does not name.
func (d *Device) UnmarshalJSON(b []byte) error {
	type plain Device
	return decodeKeeping(b, (*plain)(d), &d.Extra)
}

// MarshalJSON writes the kept members back.
func (d Device) MarshalJSON() ([]byte, error) {
	type plain Device
	return encodeKeeping(plain(d), d.Extra)
}

// DeviceLost is the payload of device.lost. Its principal is the device, its person the user.
type DeviceLost struct {
	Device Device  `json:"device"`
	User   UserRef `json:"user"`
	Reason string  `json:"reason,omitempty"`
	Extra  Extra   `json:"-"`
}

func (d *DeviceLost) names() []Identifier  { return d.Device.Identifiers() }
func (d *DeviceLost) person() []Identifier { return d.User.Identifiers() }
func (d *DeviceLost) effective() time.Time { return time.Time{} }

// UnmarshalJSON keeps the members that DeviceLost does not name.
func (d *DeviceLost) UnmarshalJSON(b []byte) error {
	type plain DeviceLost
	return decodeKeeping(b, (*plain)(d), &d.Extra)
}

// MarshalJSON writes the kept members back.
func (d DeviceLost) MarshalJSON() ([]byte, error) {
	type plain DeviceLost
	return encodeKeeping(plain(d), d.Extra)
}

// DeviceEnrolled is the payload of device.enrolled.
type DeviceEnrolled struct {
	Device   Device  `json:"device"`
	ClientID string  `json:"client_id"` // of the device's ASA client
	User     UserRef `json:"user"`
	State    string  `json:"state,omitempty"` // that the client shall have; empty = ACTIVE
	Reason   string  `json:"reason,omitempty"`
	Extra    Extra   `json:"-"`
}

func (d *DeviceEnrolled) names() []Identifier  { return d.Device.Identifiers() }
func (d *DeviceEnrolled) person() []Identifier { return d.User.Identifiers() }
func (d *DeviceEnrolled) effective() time.Time { return time.Time{} }

// UnmarshalJSON keeps the members that DeviceEnrolled does not name.
func (d *DeviceEnrolled) UnmarshalJSON(b []byte) error {
	type plain DeviceEnrolled
	return decodeKeeping(b, (*plain)(d), &d.Extra)
}

// MarshalJSON writes the kept members back.
func (d DeviceEnrolled) MarshalJSON() ([]byte, error) {
	type plain DeviceEnrolled
	return encodeKeeping(plain(d), d.Extra)
}
