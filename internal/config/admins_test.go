package config

import (
	"strings"
	"testing"
)

// TestLastAdmin: the guard names a connection that can say who is an administrator.
func TestLastAdmin(t *testing.T) {
	read := func(connections, item string) (Config, string) {
		c, err := Read("c", memory(map[string]string{"c/connections.yaml": connections, "/run/okta.pem": "PEM",
			"c/playbooks.yaml": "playbooks: []\nguards: {protected: [" + item + "]}\n"}, testEnv()))
		if err != nil {
			return c, err.Error()
		}
		return c, ""
	}
	mayRead := strings.Replace(goodConnections, "okta.users.manage", "okta.users.manage, okta.roles.read", 1)
	for _, c := range []struct{ connections, item, want string }{
		{mayRead, "last_admin: {at: okta-prod}", ""},
		{goodConnections, "last_admin: {at: okta-two}", ""}, // an API token has the rights of who made it
		{goodConnections, "last_admin: {at: okta-prod}", "add okta.roles.read to its auth.service_app.scopes"},
		{mayRead, "last_admin: {at: okta-prd}", `did you mean "okta-prod"?`},
		{mayRead, "last_admin: {at: asa-prod}", "does not tell who is an administrator"},
		{mayRead, "last_admin: {}", "guards.protected[0].last_admin.at: is missing"},
		{mayRead, "last_admin: {at: okta-prod, when: true}", "unknown key"},
		{mayRead, "{when: 'true', last_admin: {at: okta-prod}}", "unknown key"},
	} {
		got, fault := read(c.connections, c.item)
		if (c.want == "") != (fault == "") || !strings.Contains(fault, c.want) {
			t.Errorf("%s: %q, want %q", c.item, fault, c.want)
		}
		if c.want == "" && len(got.Playbooks.Guards.Admins) != 1 {
			t.Errorf("%s: %+v", c.item, got.Playbooks.Guards)
		}
	}
}
