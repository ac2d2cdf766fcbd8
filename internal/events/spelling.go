package events

// Spell gives every identifier in a payload its one spelling, in place: what a condition compares is what identity is
// decided by, however a sender writes it. A name that several kinds of systems give is spelled as each kind demands.
func Spell(p Payload) {
	switch d := p.(type) {
	case *UserTerminated:
		d.User.spell()
	case *UserChanged:
		d.User.spell()
	case *DeviceLost:
		d.User.spell()
		d.Device.Hostname = Normalize(DeviceHost, d.Device.Hostname)
	case *DeviceEnrolled:
		d.User.spell()
		d.Device.Hostname = Normalize(DeviceHost, d.Device.Hostname)
		d.ClientID = Normalize(ClientID, d.ClientID)
	case *ClientCompromised:
		d.ClientID = Normalize(ClientID, d.ClientID)
	case *TokenCompromised:
		d.ClientID = Normalize(ClientID, d.ClientID)
	case *AppChanged:
		d.App.Key = Normalize(AppKey, d.App.Key)
	}
}

// spell does so for a person.
func (u *UserRef) spell() {
	u.OktaID = Normalize(OktaID, u.OktaID)
	u.EmployeeNumber = Normalize(EmployeeNumber, u.EmployeeNumber)
	u.Email = Normalize(Email, u.Email)
	u.Login = Normalize(Login, u.Login)
	u.ASAUsername = Normalize(ASAUsername, u.ASAUsername)
}
