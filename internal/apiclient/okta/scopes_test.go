package okta_test

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

// TestAScopeThatIsNotGranted takes the others not along: calls that need them work, those that need it name it, and work soon
// after it was granted. One that is taken away is found missing with the next token.
func TestAScopeThatIsNotGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := sandbox.New(sandbox.Options{})
		acme := sb.SeedAcme(0)
		all := []string{"okta.users.manage", "okta.authorizationServers.manage", "okta.roles.read"}
		c, grant := serviceApp(t, sb, all)
		servers := func() error { _, err := apiclient.Collect(c.ListAuthServers(t.Context())); return err }
		user := func() error { _, err := c.GetUser(t.Context(), acme.Leaver.OktaID); return err }
		lacks := func(err error, right string) { t.Helper(); mustLack(t, err, right) }
		grant(all[0], all[2])
		if err := user(); err != nil {
			t.Error(err)
		}
		lacks(servers(), "okta.authorizationServers.read")
		if err := c.Probe(t.Context()); err != nil {
			t.Error(err)
		}
		grant(all...)
		time.Sleep(6 * time.Minute)
		if err := errors.Join(servers(), user()); err != nil {
			t.Error(err)
		}
		grant(all[1], all[2])
		time.Sleep(time.Hour)
		lacks(user(), "okta.users.read")
		if err := errors.Join(servers(), c.Probe(t.Context())); err != nil {
			t.Error(err)
		}
		if n := len(slices.DeleteFunc(sb.Journal(), func(e sandbox.Entry) bool { return e.Bucket != sandbox.BucketOktaToken })); n > 12 {
			t.Errorf("%d tokens were asked for", n)
		}
		grant()
		time.Sleep(time.Hour)
		lacks(user(), "") // the credential as a whole
	})
}

// TestAScopeThatIsAskedForInVain stays known as missing while no other token can be had: else what needs it would die of the
// reads that are answered. It works as soon as a token is wanted that has it.
func TestAScopeThatIsAskedForInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sb := sandbox.New(sandbox.Options{})
		acme := sb.SeedAcme(0)
		all := []string{"okta.users.read", "okta.users.manage"}
		c, grant := serviceApp(t, sb, all)
		suspend := func() error { _, err := c.SuspendUser(t.Context(), acme.Leaver.OktaID); return err }
		grant(all[0])
		mustLack(t, suspend(), all[1])
		time.Sleep(time.Minute)
		grant(all...)
		if _, err := sb.Fault(sandbox.Fault{Path: "/okta/oauth2/v1/token", Kind: sandbox.KindStatus, Status: 500, Times: -1}); err != nil {
			t.Fatal(err)
		}
		c.Renew(t.Context(), 0)
		mustLack(t, suspend(), all[1])
		sb.ClearFaults()
		c.Renew(t.Context(), 0)
		if err := suspend(); err != nil {
			t.Error(err)
		}
	})
}

// mustLack checks that a call was refused for want of a right; an empty one = for want of any.
func mustLack(t *testing.T, err error, right string) {
	t.Helper()
	if e, ok := errors.AsType[*apiclient.Error](err); !ok || e.Cause != apiclient.Denied || e.Needs != right {
		t.Errorf("%v, want that it lacks %s", err, right)
	}
}

// serviceApp makes a client that asks for some scopes, and what grants some in place of those that were granted.
func serviceApp(t *testing.T, sb *sandbox.Sandbox, scopes []string) (c *okta.Client, grant func(...string)) {
	t.Helper()
	app := sb.Credentials().OktaApp
	block, _ := pem.Decode([]byte(app.PrivateKey))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	c, err = okta.New(okta.Options{BaseURL: sandbox.OktaURL(sandbox.InProcessURL), Wiring: apiclient.Wiring{Transport: sb.Transport()},
		ServiceApp: &okta.ServiceApp{ClientID: app.ClientID, KeyID: app.KeyID, PrivateKey: secret.New(app.PrivateKey), Scopes: scopes}})
	if err != nil {
		t.Fatal(err)
	}
	return c, func(granted ...string) {
		sb.AddServiceApp(sandbox.ServiceAppSpec{ClientID: app.ClientID, KeyID: app.KeyID, Scopes: granted,
			PublicKey: key.(interface{ Public() crypto.PublicKey }).Public()})
	}
}
