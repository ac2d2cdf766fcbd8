package playbook

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/events"
)

const guarded = `playbooks:
  - name: p
    on: [user.terminated, device.lost]
    actions:
      - {step: a, do: okta.suspend_user, at: okta, with: {user: "${{ event.data.user }}"}}
      - {step: b, do: okta.deactivate_user, at: okta, with: {user: "${{ event.data.user }}"}}
  - name: q
    on: [client.compromised]
    actions: [{step: a, do: okta.revoke_client_tokens, at: okta, with: {client_id: "${{ event.data.client_id }}"}}]
  - name: r
    on: [user.compromised]
    actions: [{step: a, do: okta.revoke_client_tokens, at: okta, with: {client_id: 0oaPinned}}]
  - name: s
    on: [app.retired]
    actions: [{step: a, do: transmit.delete_all_clients, at: mosaic}]
guards:
  protected: ["user:Breakglass@acme.example ", "user:00uAdmin", "client:0oaPinned", "device:ceo-mbp"]
  brake:
    - {on: [user.terminated], max: 25, per: 1h, then: hold}
    - {on: [user.terminated, device.lost], max: 90, per: 1d, then: hold}
  approve:
    - {do: [okta.deactivate_user], approvers: 2}
    - {do: [okta.deactivate_user, okta.suspend_user]}
`

// verdict is what the guards say about a plan, which they must be able to.
func verdict(t interface {
	Helper()
	Fatal(...any)
}, set *Set, p events.Plan) Verdict {
	t.Helper()
	v, err := set.Guard(p)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestProtected(t *testing.T) {
	set := rules(t, guarded)
	const breakglass = "user:Breakglass@acme.example "
	for _, c := range []struct{ name, data, want string }{
		{"user.terminated", `{"user":{"email":"maria@acme.example"}}`, ""},
		{"user.terminated", `{"user":{"email":"BREAKGLASS@acme.example"}}`, breakglass},
		{"user.terminated", `{"user":{"email":" ｂreakglass@acme.example"}}`, breakglass},
		{"user.terminated", `{"user":{"okta_id":"00u1","login":"breakglass@acme.example"}}`, breakglass},
		{"user.terminated", `{"user":{"email":"x@acme.example","okta_id":"00uAdmin"}}`, "user:00uAdmin"},
		{"user.terminated", `{"user":{"okta_id":"00uadmin"}}`, ""}, // the provider tells its ids by case
		{"device.lost", `{"device":{"hostname":"h"},"user":{"asa_username":"breakglass@acme.example"}}`, breakglass},
		{"device.lost", `{"device":{"hostname":"CEO-MBP"},"user":{"email":"maria@acme.example"}}`, "device:ceo-mbp"},
		{"client.compromised", `{"client_id":"0oaPinned"}`, "client:0oaPinned"},
		{"client.compromised", `{"client_id":"0oaOther"}`, ""},
		{"user.compromised", `{"user":{"email":"maria@acme.example"}}`, "client:0oaPinned"}, // named by the playbook alone
		{"user.rehired", `{"user":{"email":"breakglass@acme.example"}}`, breakglass},
	} {
		p := plan(t, set, event(t, c.name, c.data))
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var stored events.Plan // as the ledger gives it back
		if err := json.Unmarshal(b, &stored); err != nil {
			t.Fatal(err)
		}
		if got := verdict(t, set, stored).Protected; got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.name, c.data, got, c.want)
		}
	}
}

// TestProtects: an account is protected by any of its names, each by the rules of its kind.
func TestProtects(t *testing.T) {
	set := rules(t, guarded)
	for _, c := range []struct {
		ids  []events.Identifier
		want string
	}{
		{nil, ""},
		{events.UserRef{OktaID: "00u1", Login: "maria@acme.example"}.Identifiers(), ""},
		{events.UserRef{OktaID: "00uAdmin", Login: "maria@acme.example"}.Identifiers(), "user:00uAdmin"},
		{events.UserRef{OktaID: "00uadmin"}.Identifiers(), ""},
		{events.UserRef{OktaID: "00u1", Email: "BREAKGLASS@acme.example"}.Identifiers(), "user:Breakglass@acme.example "},
		{[]events.Identifier{{Kind: events.ClientID, Value: "0oaPinned"}}, "client:0oaPinned"},
	} {
		if got := set.Protects(c.ids); got != c.want {
			t.Errorf("%v: got %q, want %q", c.ids, got, c.want)
		}
	}
}

func TestApprovalsAndBrakes(t *testing.T) {
	set := rules(t, guarded)
	hourly := Brake{Name: "user.terminated per 1h0m0s", Max: 25, Per: time.Hour}
	daily := Brake{Name: "device.lost,user.terminated per 24h0m0s", Max: 90, Per: 24 * time.Hour}
	for _, c := range []struct {
		name, data string
		want       Verdict
	}{
		{"user.terminated", `{"user":{"email":"m@acme.example"}}`, Verdict{
			Approval: Approval{Approvers: 2, Why: "okta.suspend_user, okta.deactivate_user: needs the approval of 2"}, Brakes: []Brake{hourly, daily}}},
		{"device.lost", `{"device":{"hostname":"h"},"user":{"email":"m@acme.example"}}`, Verdict{
			Approval: Approval{Approvers: 2, Why: "okta.suspend_user, okta.deactivate_user: needs the approval of 2"}, Brakes: []Brake{daily}}},
		{"client.compromised", `{"client_id":"0oaOther"}`, Verdict{}},
		{"app.retired", `{"app":{"key":"k"}}`, Verdict{Approval: Approval{Approvers: 1, Why: "transmit.delete_all_clients: needs the approval of 1"}}},
		{"user.rehired", `{"user":{"email":"m@acme.example"}}`, Verdict{}},
	} {
		if diff := cmp.Diff(c.want, verdict(t, set, plan(t, set, event(t, c.name, c.data)))); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}

// TestNothingToGuard: a plan without actions is braked and held by nobody, or an event that no playbook wants would
// eat up the brake of those that matter.
func TestNothingToGuard(t *testing.T) {
	set := rules(t, "playbooks: []\nguards: {brake: [{on: [user.terminated], max: 1, per: 1h, then: hold}]}\n")
	v := verdict(t, set, plan(t, set, event(t, "user.terminated", `{"user":{"email":"m@acme.example"}}`)))
	if diff := cmp.Diff(Verdict{}, v); diff != "" {
		t.Error(diff)
	}
}

const groups = `playbooks:
  - {name: p, on: [user.terminated], actions: [{step: a, do: okta.suspend_user, at: okta, with: {user: "${{ event.data.user }}"}}]}
  - {name: q, on: [device.lost], actions: [{step: a, do: okta.suspend_user, at: okta, with: {user: "${{ event.data.user }}"}}]}
  - {name: r, on: [client.compromised], actions: [{step: a, do: okta.revoke_client_tokens, at: okta, with: {client_id: "${{ event.data.client_id }}"}}]}
guards:
  protected:
    - {when: "event.data.user.email.endsWith('@board.acme.example')", why: members of the board}
    - {when: "event.raw.rank > 8", on: [device.lost]}
    - {when: "event.data.client_id.startsWith('0oaInfra')", why: infrastructure}
    - {when: "event.data.user.email == 'Legal@acme.example'", why: as sent}
`

// TestGroups: a condition is about the events that it fits, and says nothing about the others; with `on` about those
// alone. What it cannot be evaluated for is a fault, never a no.
func TestGroups(t *testing.T) {
	set := rules(t, groups)
	for _, c := range []struct{ name, data, want, fault string }{
		{"user.terminated", `{"user":{"email":"maria@acme.example"}}`, "", ""},
		{"user.terminated", `{"user":{"email":"maria@board.acme.example"}}`, "user:maria@board.acme.example (members of the board)", ""},
		{"user.terminated", `{"user":{"email":" Maria@BOARD.acme.example"}}`, "user:maria@board.acme.example (members of the board)", ""},
		{"user.terminated", `{"user":{"okta_id":"00u1"},"rank":9}`, "", ""},
		{"user.terminated", `{"user":{"email":"Legal@acme.example"}}`, "user:legal@acme.example (as sent)", ""},
		{"user.terminated", `{"user":{"email":"legal@acme.example"}}`, "", ""},
		{"user.rehired", `{"user":{"email":"maria@board.acme.example"}}`, "user:maria@board.acme.example (members of the board)", ""},
		{"device.lost", `{"device":{"hostname":"h"},"user":{"email":"m@acme.example"},"rank":9}`, "device:h (event.raw.rank > 8)", ""},
		{"device.lost", `{"device":{"hostname":"h"},"user":{"email":"m@acme.example"},"rank":8}`, "", ""},
		{"device.lost", `{"device":{"hostname":"h"},"user":{"email":"m@acme.example"}}`, "", "no such key: rank"},
		{"client.compromised", `{"client_id":"0oaInfra1"}`, "client:0oaInfra1 (infrastructure)", ""},
		{"client.compromised", `{"client_id":"0oaOther"}`, "", ""},
	} {
		v, err := set.Guard(plan(t, set, event(t, c.name, c.data)))
		if v.Protected != c.want {
			t.Errorf("%s %s: got %q, want %q", c.name, c.data, v.Protected, c.want)
		}
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s %s: error %v, want %q", c.name, c.data, err, c.fault)
		}
	}
}

// TestSparing: what is protected beside the file is so in the copy alone.
func TestSparing(t *testing.T) {
	set := rules(t, groups)
	own := set.Sparing("Keyturn signs in with it", "client:0oaOwn")
	p := plan(t, set, event(t, "client.compromised", `{"client_id":"0oaOwn"}`))
	if got := verdict(t, own, p).Protected; got != "client:0oaOwn (Keyturn signs in with it)" {
		t.Errorf("got %q", got)
	}
	if got := verdict(t, set, p).Protected; got != "" {
		t.Errorf("the file's own set: got %q", got)
	}
}

const braked = `playbooks:
  - {name: p, on: [user.terminated], actions: [{step: a, do: okta.suspend_user, at: okta, with: {user: "${{ event.data.user }}"}}]}
guards:
  brake:
    - {on: [user.terminated], max: 2.5%, percent_of: 990, per: 1h, then: hold}
    - {on: [user.terminated], max: 100%, percent_of: 90000, per: 2h, then: hold}
    - {on: [user.terminated], max: 5%, percent_of: {count: active_users, at: okta}, per: 1d, then: hold}
    - {on: [user.terminated], max: 7, by: event.data.reason, per: 1h, then: hold}
    - {on: [user.terminated], max: 8, by: event.raw.site, sources: [hr, hr-two], per: 1h, then: hold}
    - {on: [user.terminated], max: 9, sources: [elsewhere], per: 1h, then: hold}
`

// TestBrakes: shares are rounded down and bounded; each source and each key counts for itself.
func TestBrakes(t *testing.T) {
	set := rules(t, braked)
	e := event(t, "user.terminated", `{"user":{"email":"m@acme.example"},"reason":"left","site":"Kiel"}`)
	e.Scope = "hr"
	of := Count{Connection: "okta", What: "active_users"}
	want := []Brake{
		{Name: "user.terminated per 1h0m0s", Max: 24, Per: time.Hour},
		{Name: "user.terminated per 2h0m0s", Max: 2000, Per: 2 * time.Hour},
		{Name: "user.terminated per 24h0m0s", Share: &Share{Percent: 5, Of: of}, Per: 24 * time.Hour},
		{Name: "user.terminated by event.data.reason per 1h0m0s", Key: "left", Max: 7, Per: time.Hour},
		{Name: "user.terminated of hr,hr-two by event.raw.site per 1h0m0s", Key: "Kiel", Max: 8, Per: time.Hour},
	}
	if diff := cmp.Diff(want, verdict(t, set, plan(t, set, e)).Brakes); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]Count{of}, set.Counts()); diff != "" {
		t.Error(diff)
	}
	for n, want := range map[int]int{0: 0, 19: 0, 20: 1, 39: 1, 1 << 30: 2000} {
		if got := (Share{Percent: 5}).Max(n); got != want {
			t.Errorf("5%% of %d: got %d, want %d", n, got, want)
		}
	}
	e = event(t, "user.terminated", `{"user":{"email":"m@acme.example"},"site":7}`)
	e.Scope = "hr"
	if _, err := set.Guard(plan(t, set, e)); err == nil || !strings.Contains(err.Error(), "no text") {
		t.Errorf("a key that is a number: %v", err)
	}
}

const approving = `playbooks:
  - name: p
    on: [user.terminated, user.compromised]
    actions:
      - {step: a, do: okta.suspend_user, at: okta, with: {user: "${{ event.data.user }}"}}
      - {step: b, do: okta.deactivate_user, at: okta, with: {user: "${{ event.data.user }}"}}
  - {name: q, on: [client.compromised], actions: [{step: a, do: okta.revoke_client_tokens, at: okta, with: {client_id: "${{ event.data.client_id }}"}}]}
  - {name: r, on: [app.retired], actions: [{step: a, do: transmit.delete_all_clients, at: mosaic}]}
  - {name: s, on: [token.compromised], class: bulk, actions: [{step: a, do: okta.revoke_client_tokens, at: okta, with: {client_id: x}}]}
guards:
  approve:
    - {on: [token.compromised], exempt: [bulk], approvers: 4}
    - {do: [okta.deactivate_user], exempt: [urgent], approvers: 2, expires: 8h}
    - {playbook: [p, r], class: [normal], expires: 4h, then: proceed}
    - {when: "event.data.client_id.startsWith('0oaCore')", expires: 1h, then: proceed}
    - {on: [client.compromised], when: "event.raw.n > 1", approvers: 3, expires: 2h, then: proceed}
`

// TestApprovals: a rule is about an action that all of its keys are about. The most people and the first denial count;
// a plan goes on by itself only when every rule says so, and never against what a kind asks for by itself.
func TestApprovals(t *testing.T) {
	set := rules(t, approving)
	for _, c := range []struct {
		name, data string
		want       Approval
	}{
		{"user.terminated", `{"user":{"email":"m@acme.example"}}`,
			Approval{2, "playbook p, okta.deactivate_user: needs the approval of 2", 8 * time.Hour, false}},
		{"user.compromised", `{"user":{"email":"m@acme.example"}}`, Approval{}},
		{"client.compromised", `{"client_id":"0oaOther","n":1}`, Approval{}},
		{"client.compromised", `{"client_id":"0oaCore1","n":1}`, Approval{1, "client.compromised: needs the approval of 1", time.Hour, true}},
		{"client.compromised", `{"client_id":"0oaCore1","n":2}`, Approval{3, "client.compromised: needs the approval of 3", 2 * time.Hour, true}},
		{"token.compromised", `{"token_id":"t","client_id":"c"}`, Approval{}}, // its action is exempt, and the event itself does nothing
		{"app.retired", `{"app":{"key":"k"}}`,
			Approval{1, "transmit.delete_all_clients, playbook r: needs the approval of 1", 0, false}},
	} {
		if diff := cmp.Diff(c.want, verdict(t, set, plan(t, set, event(t, c.name, c.data))).Approval); diff != "" {
			t.Errorf("%s %s: -want +got\n%s", c.name, c.data, diff)
		}
	}
}

const confirming = `playbooks:
  - {name: p, on: [user.terminated, user.compromised], actions: [{step: a, do: okta.suspend_user, at: okta, with: {user: "${{ event.data.user }}"}}]}
  - {name: q, on: [user.terminated], when: has(event.raw.gone), actions: [{step: a, do: okta.deactivate_user, at: okta, with: {user: "${{ event.data.user }}"}}]}
guards:
  confirm_by:
    - {on: [user.terminated], do: [okta.deactivate_user], sources: [hr, idp], within: 24h}
    - {on: [user.terminated, user.rehired], when: "event.data.user.email.endsWith('@vip.example')", within: 1h}
`

// TestConfirmations: a rule is about its events, kinds and condition; any event of its type may be the second word.
func TestConfirmations(t *testing.T) {
	set := rules(t, confirming)
	destroys := Confirmation{Within: 24 * time.Hour, Sources: []string{"hr", "idp"}}
	vip := Confirmation{Within: time.Hour, Sources: []string{}}
	for _, c := range []struct {
		name, data string
		want       []Confirmation
	}{
		{"user.terminated", `{"user":{"email":"m@acme.example"}}`, nil},
		{"user.terminated", `{"user":{"email":"m@acme.example"},"gone":1}`, []Confirmation{destroys}},
		{"user.terminated", `{"user":{"email":"m@vip.example"},"gone":1}`, []Confirmation{destroys, vip}},
		{"user.compromised", `{"user":{"email":"m@vip.example"}}`, nil},
	} {
		e := event(t, c.name, c.data)
		if diff := cmp.Diff(c.want, verdict(t, set, plan(t, set, e)).Confirm); diff != "" {
			t.Errorf("%s %s: -want +got\n%s", c.name, c.data, diff)
		}
		if got := set.Confirms(e); got != (c.name == "user.terminated") {
			t.Errorf("%s confirms: %v", c.name, got)
		}
	}
	for _, c := range []struct {
		own, other string
		want       bool
	}{{"hr", "idp", true}, {"hr", "hr", false}, {"siem", "hr", true}, {"hr", "siem", false}} {
		if destroys.Counts(c.own, c.other) != c.want {
			t.Errorf("the word of %s for %s", c.other, c.own)
		}
	}
}

const classed = `playbooks:
  - name: p
    on: [user.terminated, user.compromised]
    actions: [{step: a, do: okta.deactivate_user, at: okta, with: {user: "${{ event.data.user }}"}}]
  - name: fast
    on: [user.terminated]
    when: has(event.raw.fast)
    class: urgent
    actions: [{step: a, do: okta.suspend_user, at: okta, with: {user: "${{ event.data.user }}"}}]
guards:
  protected: [{on: [user.terminated], when: "event.class == 'urgent' && event.data.user.email == 'ceo@acme.example'", why: the class}]
  approve:
    - {do: [okta.deactivate_user], exempt: [urgent]}
    - {class: [normal], approvers: 2}
    - {do: [okta.suspend_user], exempt: [urgent], approvers: 3}
    - {when: "event.class == 'normal'", approvers: 4}
`

// TestSenderRaisesClass: guards judge by the class of the playbook or the catalogue. One that the sender raised lets
// nothing go that would be held without it.
func TestSenderRaisesClass(t *testing.T) {
	set := rules(t, classed)
	const all = "okta.deactivate_user, class normal, user.terminated: needs the approval of 4"
	for _, c := range []struct{ name, data, why string }{
		{"user.terminated", `{"user":{"email":"m@acme.example"}}`, all},
		{"user.terminated", `{"user":{"email":"m@acme.example"},"fast":1}`, all},
		{"user.compromised", `{"user":{"email":"m@acme.example"}}`, ""},
	} {
		for _, class := range []events.Class{events.Urgent, events.Normal, events.Bulk} {
			e := event(t, c.name, c.data)
			e.Class = class
			if got := verdict(t, set, plan(t, set, e)).Why; got != c.why {
				t.Errorf("%s %s sent as %s: %q, want %q", c.name, c.data, class, got, c.why)
			}
		}
	}
	e := event(t, "user.terminated", `{"user":{"email":"ceo@acme.example"}}`)
	e.Class = events.Urgent
	if got := verdict(t, set, plan(t, set, e)).Protected; got != "" {
		t.Errorf("the sender's class made its event %q", got)
	}
}
