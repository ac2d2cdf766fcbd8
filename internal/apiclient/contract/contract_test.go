package contract_test

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kelseyhightower/envconfig"

	"keyturn/internal/apiclient"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

// prefix begins the name of every variable.
const prefix = "KEYTURN_CONTRACT"

// environ names the real tenants, and what of them may be changed.
type environ struct {
	AllowChanges bool `split_words:"true"`

	OktaBaseURL    string       `split_words:"true"`
	OktaSSWS       secret.Value `envconfig:"OKTA_SSWS"` // an API token, or the four of a service app
	OktaClientID   string       `split_words:"true"`
	OktaKeyID      string       `split_words:"true"`
	OktaPrivateKey secret.Value `split_words:"true"`
	OktaScopes     []string     `split_words:"true"`
	OktaUser       string       `split_words:"true"` // login of a test user, who is signed out everywhere when changes are allowed
	OktaClient     string       `split_words:"true"` // a client whose users may all be signed out

	ASABaseURL   string       `envconfig:"ASA_BASE_URL"`
	ASATeam      string       `envconfig:"ASA_TEAM"`
	ASAKeyID     string       `envconfig:"ASA_KEY_ID"`
	ASAKeySecret secret.Value `envconfig:"ASA_KEY_SECRET"`
	ASAUser      string       `envconfig:"ASA_USER"`   // name of a test user with at least one client
	ASAClient    string       `envconfig:"ASA_CLIENT"` // id of a client of that user that may be revoked

	MosaicBaseURL      string       `split_words:"true"`
	MosaicTokenURL     string       `split_words:"true"`
	MosaicClientID     string       `split_words:"true"`
	MosaicClientSecret secret.Value `split_words:"true"`
	MosaicRoleIDs      []string     `envconfig:"MOSAIC_ROLE_IDS"` // roles for the clients that are created and deleted
}

// environment reads the variables. Their values are in no error.
func environment(t *testing.T) environ {
	t.Helper()
	var e environ
	if err := envconfig.Process(prefix, &e); err != nil {
		t.Fatalf("%s_ALLOW_CHANGES must be true or false", prefix) // the one that is no text
	}
	return e
}

// need skips the test when a variable is not set, and says which are missing.
func need(t *testing.T, why string, vars map[string]bool) {
	t.Helper()
	if missing := unset(vars); missing != "" {
		t.Skipf("to run it against %s set %s", why, missing)
	}
}

// unset lists the variables that are not set.
func unset(vars map[string]bool) string {
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !vars[name] {
			missing = append(missing, prefix+"_"+name)
		}
	}
	return strings.Join(missing, ", ")
}

// spend is a gate that admits everything, and notes which budgets replies told of.
type spend struct {
	mu    sync.Mutex
	calls int
	told  map[string]apiclient.Budget
}

// Admit implements apiclient.Gate.
func (s *spend) Admit(context.Context, string) error { return nil }

// Learn implements apiclient.Gate.
func (s *spend) Learn(bucket string, b apiclient.Budget) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.told == nil {
		s.told = map[string]apiclient.Budget{}
	}
	if b.Limit >= 0 {
		s.told[bucket] = b
	}
}

// seen notes which operations were called.
type seen struct {
	mu  sync.Mutex
	ops map[string]bool
}

// watch gives a context whose calls s notes.
func (s *seen) watch(ctx context.Context) context.Context {
	return apiclient.Watch(ctx, func(e apiclient.Exchange) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ops == nil {
			s.ops = map[string]bool{}
		}
		s.ops[e.Op] = true
	})
}

// all fails unless exactly the given operations were called.
func (s *seen) all(t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(s.ops))); diff != "" {
		t.Errorf("operations that the suite called (-want +got):\n%s", diff)
	}
}

// take collects the first n items of a listing, or all of them for n = 0, and wants every id once.
func take[T any](t *testing.T, what string, n int, seq iter.Seq2[T, error], id func(T) string) []T {
	t.Helper()
	var items []T
	given := map[string]bool{}
	for item, err := range seq {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		switch key := id(item); {
		case key == "":
			t.Fatalf("%s: an item without id", what)
		case given[key]:
			t.Fatalf("%s: %s given twice", what, key)
		default:
			given[key] = true
		}
		if items = append(items, item); len(items) == n {
			break
		}
	}
	return items
}

// same wants two listings to hold the same items, whatever their order: one read page by page, one at once.
func same[T any](t *testing.T, what string, a, b []T, id func(T) string) {
	t.Helper()
	ids := func(items []T) []string {
		all := []string{}
		for _, item := range items {
			all = append(all, id(item))
		}
		slices.Sort(all)
		return all
	}
	if diff := cmp.Diff(ids(a), ids(b)); diff != "" {
		t.Errorf("%s, page by page and at once:\n%s", what, diff)
	}
}

// done wants a change to have been made, and to be known by the provider's id of the call.
func done(t *testing.T, what, requestID string, err error) {
	t.Helper()
	if err != nil || requestID == "" {
		t.Fatalf("%s: request id %q, %v", what, requestID, err)
	}
}

// again wants the repeat of a change to be harmless: done once more, or told that there is nothing to do. Which of
// them a provider answers is mostly not documented.
func again(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil && apiclient.CauseOf(err) != apiclient.AlreadyDone {
		t.Errorf("%s, repeated: %v", what, err)
	}
}

// missing wants a read of something that is not there to be refused for good.
func missing(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || apiclient.CauseOf(err) != apiclient.Permanent {
		t.Errorf("%s, which is not there: %v", what, err)
	}
}

// TestEnvironmentNamesTheTenants runs what runs against real tenants, with the sandbox behind the variables: it changes
// nothing unless it is allowed to, and then all that it is allowed to.
func TestEnvironmentNamesTheTenants(t *testing.T) {
	sb, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	acme, c := sb.SeedAcme(3), sb.Credentials()
	for name, value := range map[string]string{
		"ALLOW_CHANGES": "false", "OKTA_SSWS": "",
		"OKTA_BASE_URL": sandbox.OktaURL(sb.URL), "OKTA_USER": acme.Leaver.Login, "OKTA_CLIENT": acme.SharedClient,
		"OKTA_CLIENT_ID": c.OktaApp.ClientID, "OKTA_KEY_ID": c.OktaApp.KeyID, "OKTA_PRIVATE_KEY": c.OktaApp.PrivateKey,
		"OKTA_SCOPES":  strings.Join(c.OktaApp.Scopes, ","),
		"ASA_BASE_URL": sandbox.ASAURL(sb.URL), "ASA_TEAM": "acme", "ASA_KEY_ID": c.ASAAdmin.KeyID, "ASA_KEY_SECRET": c.ASAAdmin.KeySecret,
		"ASA_USER": acme.Leaver.ASAName, "ASA_CLIENT": acme.Leaver.Devices[0],
		"MOSAIC_BASE_URL": sandbox.MosaicURL(sb.URL), "MOSAIC_TOKEN_URL": sandbox.MosaicTokenURL(sb.URL),
		"MOSAIC_CLIENT_ID": c.Mosaic.ClientID, "MOSAIC_CLIENT_SECRET": c.Mosaic.ClientSecret, "MOSAIC_ROLE_IDS": "role1",
	} {
		t.Setenv(prefix+"_"+name, value)
	}
	suites := map[string]func(*testing.T){"okta": TestOktaContract, "asa": TestASAContract, "mosaic": TestMosaicContract}
	for name, suite := range suites {
		t.Run(name+" reads", suite)
	}
	if effects := sb.Journal().Effects(); len(effects) > 0 {
		t.Errorf("changed without being allowed to: %v", effects)
	}
	t.Setenv(prefix+"_ALLOW_CHANGES", "true")
	for name, suite := range suites {
		t.Run(name+" changes", suite)
		if len(sb.Journal().Of(name).Effects()) == 0 {
			t.Errorf("%s: nothing was changed", name)
		}
	}
	if u, _ := sb.Snapshot().Okta.User(acme.Leaver.OktaID); u.Status != sandbox.StatusActive {
		t.Errorf("the test user is left %s", u.Status)
	}
	if got := len(sb.Snapshot().Mosaic.Clients); got != 1 {
		t.Errorf("%d clients are left, one was there", got)
	}
}

// TestSkipsSayWhatToSet is what a person sees who has set half of it.
func TestSkipsSayWhatToSet(t *testing.T) {
	if got, want := unset(map[string]bool{"B": false, "A": true, "C": false}), "KEYTURN_CONTRACT_B, KEYTURN_CONTRACT_C"; got != want {
		t.Errorf("missing are %q, want %q", got, want)
	}
	if got := unset(map[string]bool{"A": true}); got != "" {
		t.Errorf("missing are %q, want none", got)
	}
}
