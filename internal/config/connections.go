package config

import (
	"keyturn/internal/secret"
)

// Connections are the tenants of providers that Keyturn acts upon, in the order of the file.
type Connections []Connection

// Connection is one tenant of one provider with its credential.
type Connection struct {
	Name        string
	Provider    string // "okta", "asa" or "transmit"
	BaseURL     string // without a slash at its end
	TokenURL    string // transmit: where its access tokens come from
	Team        string // asa: the team
	Auth        Auth
	SecretSink  SecretSink // transmit: where a created client's secret goes; without it nothing could be created
	Concurrency int        // calls that may be in flight at once; two more for the urgent alone
	Budget      Budget
}

// Budget is how much of the provider's rate limits a connection may use.
type Budget struct {
	Share   float64 // the part of each window that is used at most; 0 = all of it
	Reserve Reserve
	Buckets []Bucket // what the client of the provider does not know of its rate limits, in the order of the file
}

// Reserve is what the classes leave of that to those above them, in per cent; nil = the default.
type Reserve struct {
	Normal, Bulk *int
}

// The reserves where the file does not say.
const (
	DefaultReserveNormal = 15
	DefaultReserveBulk   = 50
)

// Leaves gives both reserves.
func (r Reserve) Leaves() (normal, bulk int) {
	normal, bulk = DefaultReserveNormal, DefaultReserveBulk
	if r.Normal != nil {
		normal = *r.Normal
	}
	if r.Bulk != nil {
		bulk = *r.Bulk
	}
	return normal, bulk
}

// Auth is the credential of a connection. Exactly one field is set.
type Auth struct {
	SSWS              *SSWS
	ServiceApp        *ServiceApp
	ServiceUser       *ServiceUser
	ClientCredentials *ClientCredentials
}

// SSWS is an Okta API token.
type SSWS struct {
	Token secret.Value
}

// ServiceApp is an Okta service app: private_key_jwt at the org's token endpoint.
type ServiceApp struct {
	ClientID   string
	KeyID      string
	PrivateKey secret.Value // PEM or JWK
	Scopes     []string
}

// ServiceUser is a service user of ASA or Okta Privileged Access with one of its API keys.
type ServiceUser struct {
	KeyID     string
	KeySecret secret.Value
}

// ClientCredentials is an OAuth 2.0 client of Transmit Mosaic.
type ClientCredentials struct {
	ClientID     string
	ClientSecret secret.Value
}

// SecretSink is where the secret of a client that Keyturn creates goes. At most one field is set.
type SecretSink struct {
	Dir     string   // a directory: one file per client, mode 0600
	Command []string // a program and its arguments: the secret comes on its standard input
}

// IsZero reports whether there is no sink.
func (s SecretSink) IsZero() bool { return s.Dir == "" && len(s.Command) == 0 }

// The providers.
const (
	ProviderOkta     = "okta"
	ProviderASA      = "asa"
	ProviderTransmit = "transmit"
)

// Providers lists the providers.
func Providers() []string { return []string{ProviderOkta, ProviderASA, ProviderTransmit} }

// DefaultConcurrency is how many calls of one connection are in flight at once when the file does not say.
const DefaultConcurrency = 4

// Find gives the connection of that name.
func (c Connections) Find(name string) (Connection, bool) {
	for _, connection := range c {
		if connection.Name == name {
			return connection, true
		}
	}
	return Connection{}, false
}

// connectionDoc is a connection as the file spells it.
type connectionDoc struct {
	Provider    string `json:"provider"`
	BaseURL     string `json:"base_url"`
	TokenURL    string `json:"token_url"`
	Team        string `json:"team"`
	Concurrency int    `json:"concurrency"`
	Budget      struct {
		Share   float64 `json:"share"`
		Reserve struct {
			Normal *int `json:"normal"`
			Bulk   *int `json:"bulk"`
		} `json:"reserve"`
	} `json:"budget"`
	SecretSink *struct {
		Dir     string   `json:"dir"`
		Command []string `json:"command"`
	} `json:"secret_sink"`
	Auth authDoc `json:"auth"`
}

type authDoc struct {
	SSWS       *string `json:"ssws"`
	ServiceApp *struct {
		ClientID   string   `json:"client_id"`
		KeyID      string   `json:"key_id"`
		PrivateKey string   `json:"private_key"`
		Scopes     []string `json:"scopes"`
	} `json:"service_app"`
	ServiceUser *struct {
		KeyID     string `json:"key_id"`
		KeySecret string `json:"key_secret"`
	} `json:"service_user"`
	ClientCredentials *struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	} `json:"client_credentials"`
}

func readConnections(d *document) Connections {
	var connections Connections
	for _, name := range d.keys("connections") {
		at := path{"connections", name}
		var raw connectionDoc
		d.decode(at, &raw)
		c := Connection{
			Name: name, Provider: raw.Provider, Team: raw.Team, Concurrency: raw.Concurrency,
			BaseURL: d.url(at.to("base_url"), raw.BaseURL), TokenURL: d.url(at.to("token_url"), raw.TokenURL),
			Auth: readAuth(d, at.to("auth"), raw.Auth),
		}
		c.Budget = Budget{Share: raw.Budget.Share, Reserve: Reserve(raw.Budget.Reserve),
			Buckets: readBuckets(d, at.to("budget", "buckets"), c.Provider)}
		checkReserve(d, at.to("budget", "reserve"), c.Budget.Reserve)
		if c.Concurrency == 0 {
			c.Concurrency = DefaultConcurrency
		}
		if raw.SecretSink != nil {
			c.SecretSink = SecretSink{Dir: d.reader.refs.path(raw.SecretSink.Dir), Command: raw.SecretSink.Command}
		}
		checkProvider(d, at, c)
		connections = append(connections, c)
	}
	return connections
}

// checkReserve reports a class that would go before the one above it.
func checkReserve(d *document, at path, r Reserve) {
	normal, bulk := r.Leaves()
	if bulk < normal {
		d.fault(at, "lets bulk leave %d %% and normal %d %%: bulk must leave at least as much as normal, or it would go before it",
			bulk, normal)
	}
}

func readAuth(d *document, at path, raw authDoc) Auth {
	var a Auth
	if raw.SSWS != nil {
		a.SSWS = &SSWS{Token: d.secret(at.to("ssws"), *raw.SSWS)}
	}
	if r := raw.ServiceApp; r != nil {
		a.ServiceApp = &ServiceApp{ClientID: r.ClientID, KeyID: r.KeyID, Scopes: r.Scopes,
			PrivateKey: d.secret(at.to("service_app", "private_key"), r.PrivateKey)}
	}
	if r := raw.ServiceUser; r != nil {
		a.ServiceUser = &ServiceUser{KeyID: r.KeyID,
			KeySecret: d.secret(at.to("service_user", "key_secret"), r.KeySecret)}
	}
	if r := raw.ClientCredentials; r != nil {
		a.ClientCredentials = &ClientCredentials{ClientID: r.ClientID,
			ClientSecret: d.secret(at.to("client_credentials", "client_secret"), r.ClientSecret)}
	}
	return a
}

// providerKeys says which keys a provider needs beside base_url and auth, and which credentials it takes.
type providerKeys struct {
	auth     []string
	required []string
}

func keysOf(provider string) (providerKeys, bool) {
	switch provider {
	case ProviderOkta:
		return providerKeys{auth: []string{"service_app", "ssws"}}, true
	case ProviderASA:
		return providerKeys{auth: []string{"service_user"}, required: []string{"team"}}, true
	case ProviderTransmit:
		return providerKeys{auth: []string{"client_credentials"}, required: []string{"token_url", "secret_sink"}}, true
	}
	return providerKeys{}, false
}

// checkProvider reports the keys that the provider needs and lacks, and those that would have no effect there.
func checkProvider(d *document, at path, c Connection) {
	keys, ok := keysOf(c.Provider)
	if !ok {
		return // the schema has said so
	}
	for _, key := range keys.required {
		if !d.has(at.to(key)) {
			d.fault(at.to(key), "is missing: provider %s needs it", c.Provider)
		}
	}
	for _, key := range []string{"team", "token_url", "secret_sink"} {
		if d.has(at.to(key)) && count(keys.required, key) == 0 {
			d.faultKey(at.to(key), "has no effect on provider %s: remove it", c.Provider)
		}
	}
	for _, key := range d.keys(at.to("auth")...) {
		if count([]string{"ssws", "service_app", "service_user", "client_credentials"}, key) == 1 && count(keys.auth, key) == 0 {
			d.faultKey(at.to("auth", key), "is no credential of provider %s: use %s", c.Provider, alternatives(keys.auth))
		}
	}
}
