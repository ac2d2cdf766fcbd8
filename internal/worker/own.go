package worker

import (
	"keyturn/internal/config"
	"keyturn/internal/playbook"
)

// Sparing gives the playbooks with the clients protected that Keyturn itself signs in with at these connections: an
// event that names one would end what carries it out.
func Sparing(set *playbook.Set, list config.Connections) *playbook.Set {
	for _, c := range list {
		if id := ownClient(c); id != "" {
			set = set.Sparing("Keyturn signs in with it at connection "+c.Name, "client:"+id)
		}
	}
	return set
}

// ownClient is the id of the client that a connection's credential belongs to; empty where it belongs to none that an
// event could name: an API token of Okta, the key of an ASA service user.
func ownClient(c config.Connection) string {
	switch {
	case c.Auth.ServiceApp != nil:
		return c.Auth.ServiceApp.ClientID
	case c.Auth.ClientCredentials != nil:
		return c.Auth.ClientCredentials.ClientID
	}
	return ""
}
