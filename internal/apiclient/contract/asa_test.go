package contract_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

// asaTeam is a team to run the suite against.
type asaTeam struct {
	client *asa.Client
	user   string // name of the test user
	device string // one of the test user's that may be revoked; empty = none may
	spare  string // one that waits for its user, to be assigned; empty = none
	calls  *spend
	ops    *seen
	local  bool // the sandbox: everything may be done
}

// TestASAContractInTheSandbox runs the suite with both answers where the vendor leaves the answer open.
func TestASAContractInTheSandbox(t *testing.T) {
	for name, opt := range map[string]sandbox.ASAOptions{
		"one way": {}, "other answers": {ListDeleted: true, RepeatedDeleteOK: true},
	} {
		t.Run(name, func(t *testing.T) {
			sb := sandbox.New(sandbox.Options{ASA: opt})
			acme := sb.SeedAcme(30)
			key := sb.Credentials().ASAAdmin
			calls := &spend{}
			c, err := asa.New(asa.Options{
				BaseURL: sandbox.ASAURL(sandbox.InProcessURL), Team: "acme",
				ServiceUser: asa.ServiceUser{KeyID: key.KeyID, KeySecret: secret.New(key.KeySecret)},
				Wiring:      apiclient.Wiring{Transport: sb.Transport(), Gate: calls},
			})
			if err != nil {
				t.Fatal(err)
			}
			team := asaTeam{
				client: c, user: acme.Leaver.ASAName, device: acme.Leaver.Devices[0], spare: acme.Unassigned, calls: calls, ops: &seen{}, local: true,
			}
			asaSuite(t, team)
			sb.ExpireTokens() // at any time: the next call fetches another one
			if err := c.Probe(t.Context()); err != nil {
				t.Errorf("after all tokens ended: %v", err)
			}
			for _, p := range append(acme.Staff, acme.Traveller) {
				if n := len(sb.Snapshot().ASA.ClientsOf(p.ASAName)); n != len(p.Devices) {
					t.Errorf("%s has %d devices, had %d", p.ASAName, n, len(p.Devices))
				}
			}
			team.ops.all(t, "asa.probe", "asa.serviceToken", "asa.listUsers", "asa.getUser", "asa.listClients", "asa.getClient",
				"asa.revokeClient", "asa.assignClient")
		})
	}
}

// TestASAContract runs the suite against a real team.
func TestASAContract(t *testing.T) {
	e := environment(t)
	need(t, "a real ASA team", map[string]bool{
		"ASA_BASE_URL": e.ASABaseURL != "", "ASA_TEAM": e.ASATeam != "", "ASA_KEY_ID": e.ASAKeyID != "",
		"ASA_KEY_SECRET": !e.ASAKeySecret.IsZero(), "ASA_USER": e.ASAUser != "",
	})
	calls := &spend{}
	c, err := asa.New(asa.Options{
		BaseURL: e.ASABaseURL, Team: e.ASATeam, ServiceUser: asa.ServiceUser{KeyID: e.ASAKeyID, KeySecret: e.ASAKeySecret},
		Wiring: apiclient.Wiring{Gate: calls},
	})
	if err != nil {
		t.Fatal(err)
	}
	asaSuite(t, asaTeam{client: c, user: e.ASAUser, device: e.ASAClient, calls: calls, ops: &seen{}})
}

func deviceID(d asa.Device) string { return d.ID }
func userName(u asa.User) string   { return u.Name }

// asaSuite is what a team must do.
func asaSuite(t *testing.T, team asaTeam) {
	ctx := team.ops.watch(t.Context())
	if err := team.client.Probe(ctx); err != nil {
		t.Fatalf("probe: %v", err)
	}
	t.Run("users", func(t *testing.T) { asaUsers(t, ctx, team) })
	t.Run("devices", func(t *testing.T) { asaDevices(t, ctx, team) })
	t.Run("budget", func(t *testing.T) {
		if b, ok := team.calls.told["/v1"]; !ok || b.Limit <= 0 || b.Remaining < 0 {
			t.Errorf("told %+v", team.calls.told)
		}
	})
	t.Run("changes", func(t *testing.T) {
		if !team.local {
			need(t, "a device of the test user, which is revoked", map[string]bool{
				"ALLOW_CHANGES=true": environment(t).AllowChanges, "ASA_CLIENT": team.device != "",
			})
		}
		asaChanges(t, ctx, team)
	})
}

// asaUsers reads one person in every way, and somebody who is not there.
func asaUsers(t *testing.T, ctx context.Context, team asaTeam) {
	c := team.client
	u, err := c.GetUser(ctx, team.user)
	if err != nil || u.Name != team.user || u.Status != asa.UserActive || u.Details.Email == "" {
		t.Fatalf("user %+v, %v", u, err)
	}
	found, err := c.FindUsers(ctx, u.Details.Email)
	if err != nil || !slices.ContainsFunc(found, func(f asa.User) bool { return f.Name == u.Name }) {
		t.Errorf("by e-mail: %+v, %v", found, err)
	}
	if found, err := c.FindUsers(ctx, "nobody.of.keyturn@acme.example"); err != nil || len(found) != 0 {
		t.Errorf("nobody: %+v, %v", found, err)
	}
	_, err = c.GetUser(ctx, "nobody/of%2fkeyturn ü")
	missing(t, "user", err)
	list := func(o asa.ListUsersOptions) []asa.User { return take(t, "users", 0, c.ListUsers(ctx, o), userName) }
	all := list(asa.ListUsersOptions{})
	if len(all) < 100 {
		same(t, "users", list(asa.ListUsersOptions{Count: 7}), all, userName)
	}
	for _, o := range []asa.ListUsersOptions{{StartsWith: u.Name[:1]}, {Contains: u.Name[1:]}, {Status: asa.UserActive}, {IncludeServiceUsers: true}} {
		if !slices.ContainsFunc(list(o), func(f asa.User) bool { return f.Name == u.Name }) {
			t.Errorf("%+v does not find %s", o, u.Name)
		}
	}
}

// asaDevices reads devices: of one person and of all, page by page what is there at once, in both orders.
func asaDevices(t *testing.T, ctx context.Context, team asaTeam) {
	c := team.client
	list := func(o asa.ListClientsOptions) []asa.Device {
		return take(t, "devices", 0, c.ListClients(ctx, o), deviceID)
	}
	mine := list(asa.ListClientsOptions{Username: team.user})
	if len(mine) == 0 {
		t.Fatal("the test user has no device")
	}
	same(t, "devices of a user", list(asa.ListClientsOptions{Username: team.user, Count: 1}), mine, deviceID)
	back := list(asa.ListClientsOptions{Username: team.user, Count: 2, Descending: true})
	same(t, "devices, descending", back, mine, deviceID)
	if back[0].ID != mine[len(mine)-1].ID {
		t.Errorf("descending begins with %s, ascending ends with %s", back[0].ID, mine[len(mine)-1].ID)
	}
	for _, d := range mine {
		got, err := c.GetClient(ctx, d.ID)
		if err != nil || got.ID != d.ID || got.UserName != d.UserName || got.Hostname != d.Hostname || got.State != d.State {
			t.Errorf("device %+v, %v, listed as %+v", got, err, d)
		}
	}
	for _, state := range []string{asa.Active, asa.Pending, asa.Deleted} {
		for d, err := range c.ListClients(ctx, asa.ListClientsOptions{All: true, State: state}) {
			if err != nil || d.State != state || (state == asa.Deleted) == d.Live() {
				t.Fatalf("%s: %+v, %v", state, d, err)
			}
			break
		}
	}
	all := take(t, "devices of all", 500, c.ListClients(ctx, asa.ListClientsOptions{All: true}), deviceID)
	if len(all) < 500 {
		same(t, "devices of all", list(asa.ListClientsOptions{All: true, Count: 9}), all, deviceID)
	}
	_, err := c.GetClient(ctx, "00000000-0000-4000-8000-000000000000")
	missing(t, "device", err)
}

// asaChanges approves a device, revokes it, and reads that it is gone, in whichever of the ways the API says so.
func asaChanges(t *testing.T, ctx context.Context, team asaTeam) {
	c := team.client
	before, err := c.GetClient(ctx, team.device)
	if err != nil || before.UserName != team.user || !before.Live() {
		t.Fatalf("the device is not the test user's, or gone: %+v, %v", before, err)
	}
	assigned := []string{team.device}
	if team.spare != "" {
		assigned = append(assigned, team.spare)
	}
	for _, id := range assigned {
		for range 2 {
			if _, err := c.AssignClient(ctx, id, asa.Active, team.user); err != nil {
				t.Fatalf("assign: %v", err)
			}
		}
		if d, err := c.GetClient(ctx, id); err != nil || d.State != asa.Active || d.UserName != team.user {
			t.Errorf("assigned: %+v, %v", d, err)
		}
	}
	for _, id := range assigned {
		if _, err := c.RevokeClient(ctx, id); err != nil {
			t.Fatalf("revoke: %v", err)
		}
		_, err := c.RevokeClient(ctx, id)
		again(t, "revoke", err)
		if d, err := c.GetClient(ctx, id); err == nil && d.Live() || err != nil && !apiclient.IsStatus(err, http.StatusNotFound) {
			t.Errorf("revoked: %+v, %v", d, err)
		}
	}
	for d, err := range c.ListClients(ctx, asa.ListClientsOptions{Username: team.user, Count: 1}) {
		if err != nil || d.Live() && slices.Contains(assigned, d.ID) {
			t.Errorf("still listed: %+v, %v", d, err)
		}
	}
}
