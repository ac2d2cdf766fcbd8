package asa_test

import (
	"net/http"
	"testing"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

func sandboxTeam(t *testing.T, opt sandbox.Options, key func(sandbox.Credentials) sandbox.ASAKey) (*sandbox.Sandbox, sandbox.Acme, *asa.Client) {
	t.Helper()
	sb := sandbox.New(opt)
	acme := sb.SeedAcme(30)
	k := key(sb.Credentials())
	c, err := asa.New(asa.Options{
		BaseURL: sandbox.ASAURL(sandbox.InProcessURL), Team: "acme",
		ServiceUser: asa.ServiceUser{KeyID: k.KeyID, KeySecret: secret.New(k.KeySecret)},
		Wiring:      apiclient.Wiring{Transport: sb.Transport()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return sb, acme, c
}

func admin(c sandbox.Credentials) sandbox.ASAKey { return c.ASAAdmin }

// TestDevicesInTheSandbox revokes one person's devices, whichever of the open answers the API gives.
func TestDevicesInTheSandbox(t *testing.T) {
	for name, o := range map[string]sandbox.ASAOptions{"one way": {}, "the other": {ListDeleted: true, RepeatedDeleteOK: true}} {
		t.Run(name, func(t *testing.T) {
			sb, acme, c := sandboxTeam(t, sandbox.Options{ASA: o}, admin)
			ctx, leaver := t.Context(), acme.Leaver
			if err := c.Probe(ctx); err != nil {
				t.Fatal(err)
			}
			users, err := c.FindUsers(ctx, leaver.Login)
			if err != nil || len(users) != 1 || users[0].Name != leaver.ASAName {
				t.Fatalf("%+v, %v", users, err)
			}
			if u, err := c.GetUser(ctx, leaver.ASAName); err != nil || u.Details.Email != leaver.Login {
				t.Fatalf("%+v, %v", u, err)
			}
			liveOnes := func() (ids []string) {
				for d, err := range c.ListClients(ctx, asa.ListClientsOptions{Username: leaver.ASAName, Count: 2}) {
					if err != nil {
						t.Fatal(err)
					}
					if d.Live() {
						ids = append(ids, d.ID)
					}
				}
				return ids
			}
			ids := liveOnes()
			if len(ids) != len(leaver.Devices) {
				t.Fatalf("live are %v, want %v", ids, leaver.Devices)
			}
			for _, id := range ids {
				if _, err := c.RevokeClient(ctx, id); err != nil {
					t.Fatal(err)
				}
				if _, err := c.RevokeClient(ctx, id); err != nil && apiclient.CauseOf(err) != apiclient.AlreadyDone {
					t.Errorf("revoked twice: %v", err)
				}
				if d, err := c.GetClient(ctx, id); err == nil && d.Live() || err != nil && !apiclient.IsStatus(err, http.StatusNotFound) {
					t.Errorf("%+v, %v", d, err)
				}
			}
			if left := liveOnes(); len(left) != 0 {
				t.Errorf("left %v", left)
			}
			all, err := apiclient.Collect(c.ListClients(ctx, asa.ListClientsOptions{All: true, State: asa.Active}))
			if err != nil || len(all) == 0 {
				t.Fatal(len(all), err)
			}
			if _, err := c.AssignClient(ctx, acme.Unassigned, asa.Active, acme.Traveller.ASAName); err != nil {
				t.Fatal(err)
			}
			if d, err := c.GetClient(ctx, acme.Unassigned); err != nil || d.UserName != acme.Traveller.ASAName || d.State != asa.Active {
				t.Errorf("%+v, %v", d, err)
			}
			sb.ExpireTokens()
			if err := c.Probe(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWeakServiceUser has a role that may not touch other people's devices: the credential works, the target is
// forbidden.
func TestWeakServiceUser(t *testing.T) {
	_, acme, c := sandboxTeam(t, sandbox.Options{}, func(c sandbox.Credentials) sandbox.ASAKey { return c.ASAUser })
	_, err := c.RevokeClient(t.Context(), acme.Leaver.Devices[0])
	if cause := apiclient.CauseOf(err); err == nil || cause != apiclient.Permanent && cause != apiclient.Denied {
		t.Errorf("error %v", err)
	}
}
