package asa_test

import (
	"testing"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

// TestWeakServiceUser has a role that may not touch other people's devices: the credential works, the target is
// forbidden.
func TestWeakServiceUser(t *testing.T) {
	sb := sandbox.New(sandbox.Options{})
	acme, key := sb.SeedAcme(30), sb.Credentials().ASAUser
	c, err := asa.New(asa.Options{
		BaseURL: sandbox.ASAURL(sandbox.InProcessURL), Team: "acme",
		ServiceUser: asa.ServiceUser{KeyID: key.KeyID, KeySecret: secret.New(key.KeySecret)},
		Wiring:      apiclient.Wiring{Transport: sb.Transport()},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.RevokeClient(t.Context(), acme.Leaver.Devices[0])
	if cause := apiclient.CauseOf(err); err == nil || cause != apiclient.Permanent && cause != apiclient.Denied {
		t.Errorf("error %v", err)
	}
}
