package actions_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"keyturn/internal/actions"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// admins makes the sample company with so many active super administrators, the first of whom is the leaver, and one of
// a lesser role.
func admins(t *testing.T, n int) (o *org, ids []string) {
	t.Helper()
	o = newOrg(t, 0, sandbox.Options{})
	o.clients.LastAdmin, o.clients.Admins = func() bool { return true }, actions.NewAdmins()
	lesser := o.sb.AddUser(sandbox.UserSpec{Login: "helpdesk@acme.example"})
	o.sb.AssignRole(lesser, "HELP_DESK_ADMIN")
	for i := range n {
		id := o.acme.Leaver.OktaID
		if i > 0 {
			id = o.sb.AddUser(sandbox.UserSpec{Login: fmt.Sprintf("admin%d@acme.example", i)})
		}
		o.sb.AssignRole(id, sandbox.RoleSuperAdmin)
		ids = append(ids, id)
	}
	return o, ids
}

// userActions are those about a person at Okta.
func userActions() []string {
	var names []string
	for _, k := range actions.Kinds() {
		if k.Provider == "okta" && k.Parameters[0].Name == "user" {
			names = append(names, k.Name)
		}
	}
	return names
}

// TestTheLastAdminIsSpared: by every kind, under any name; who is not the last one is not.
func TestTheLastAdminIsSpared(t *testing.T) {
	for _, do := range userActions() {
		for _, c := range []struct {
			name   string
			change func(o *org, ids []string)
			spared bool
		}{
			{"another one stays", func(*org, []string) {}, false},
			{"the other one is suspended", func(o *org, ids []string) { o.sb.SetUserStatus(ids[1], sandbox.StatusSuspended) }, true},
			{"the other one is locked out", func(o *org, ids []string) { o.sb.SetUserStatus(ids[1], sandbox.StatusLockedOut) }, true},
			{"the other one is gone", func(o *org, ids []string) { o.sb.RemoveUser(ids[1]) }, true},
			{"nobody asked for it", func(o *org, ids []string) {
				o.sb.RemoveUser(ids[1])
				o.clients.LastAdmin = func() bool { return false }
			}, false},
		} {
			t.Run(do+" "+c.name, func(t *testing.T) {
				o, ids := admins(t, 2)
				c.change(o, ids)
				o.run(act("s", do, map[string]any{"user": events.UserRef{Login: o.acme.Leaver.Login}}))
				rec := o.last("s")
				spared := rec.State == ledger.Cancelled && strings.Contains(rec.Reason, "the last super administrator")
				if spared != c.spared || !spared && !rec.State.Achieved() {
					t.Errorf("%s: %s", rec.State, rec.Reason)
				}
				if effects := o.sb.Journal().Effects(); spared && len(effects) > 0 {
					t.Errorf("changed all the same: %v", effects)
				}
			})
		}
	}
}

// TestTwoLastAdmins: of two who are each other's only other one, one goes.
func TestTwoLastAdmins(t *testing.T) {
	o, ids := admins(t, 2)
	var list []events.Action
	for i, id := range ids {
		a := act(fmt.Sprint("s", i), "okta.suspend_user", map[string]any{"user": events.UserRef{OktaID: id}})
		a.Target = "user:" + id
		list = append(list, a)
	}
	o.run(list...)
	o.ends("s0", ledger.Verified)
	o.ends("s1", ledger.Cancelled)
}

// TestTwoCompromisedAdmins: whose sessions and tokens are ended stays an administrator, and is there for the other.
func TestTwoCompromisedAdmins(t *testing.T) {
	o, ids := admins(t, 2)
	var list []events.Action
	for i, id := range ids {
		for _, do := range []string{"okta.clear_sessions", "okta.revoke_user_tokens"} {
			a := act(fmt.Sprint(do, i), do, map[string]any{"user": events.UserRef{OktaID: id}})
			a.Target = "user:" + id
			list = append(list, a)
		}
	}
	o.run(list...)
	for _, a := range list {
		if rec := o.last(a.Step); !rec.State.Achieved() {
			t.Errorf("%s: %s: %s", a.Step, rec.State, rec.Reason)
		}
	}
}

// TestManyAdmins: the search for another one is bounded, and what was not looked at is not taken for an answer: a person
// decides.
func TestManyAdmins(t *testing.T) {
	o, ids := admins(t, 40)
	for _, id := range ids[1:] {
		o.sb.SetUserStatus(id, sandbox.StatusSuspended)
	}
	before := o.calls
	o.run(act("s", "okta.suspend_user", map[string]any{"user": events.UserRef{OktaID: ids[0]}}))
	f := o.ends("s", ledger.Dead).Evidence.Failure
	if !strings.Contains(f.Error, "none of 25 others") || o.calls-before > 80 {
		t.Errorf("after %d calls: %s", o.calls-before, f.Error)
	}
}

// TestOrdinaryPeopleCostOneCall: that they are no administrators is all that is asked, while they can sign in.
func TestOrdinaryPeopleCostOneCall(t *testing.T) {
	calls := func(guarded bool) int {
		o := newOrg(t, 0, sandbox.Options{})
		o.clients.LastAdmin = func() bool { return guarded }
		o.run(act("s", "okta.suspend_user", map[string]any{"user": events.UserRef{OktaID: o.acme.Leaver.OktaID}}))
		o.ends("s", ledger.Verified)
		return o.calls
	}
	if more := calls(true) - calls(false); more != 1 {
		t.Errorf("%d calls more, want 1", more)
	}
}

// TestUnreadRolesAreNoAnswer: without the right to read roles nothing is changed, and a person hears of it.
func TestUnreadRolesAreNoAnswer(t *testing.T) {
	o, _ := admins(t, 2)
	if _, err := o.sb.Fault(sandbox.Fault{Path: "/okta/api/v1/users/*/roles", Kind: sandbox.KindStatus, Status: http.StatusForbidden, Times: -1}); err != nil {
		t.Fatal(err)
	}
	o.run(act("s", "okta.suspend_user", map[string]any{"user": events.UserRef{OktaID: o.acme.Leaver.OktaID}}))
	f := o.ends("s", ledger.Dead).Evidence.Failure
	if !strings.Contains(f.Suggestion, "okta.roles.read") || len(o.sb.Journal().Effects()) > 0 {
		t.Errorf("%+v", f)
	}
}

// cancelled is a kind whose action is cancelled between the first look at the target and the first record.
type cancelled struct {
	actions.Kind
	cancel func()
}

func (c cancelled) Observe(ctx context.Context) (actions.Observation, error) {
	obs, err := c.Kind.Observe(ctx)
	c.cancel()
	return obs, err
}

// TestOnlyWhoIsSentAwayLeaves: an action that looked and changed nothing, as it was cancelled meanwhile, lets the other
// of two administrators go.
func TestOnlyWhoIsSentAwayLeaves(t *testing.T) {
	o, ids := admins(t, 2)
	var list []events.Action
	for i, id := range ids {
		a := act(fmt.Sprint("s", i), "okta.suspend_user", map[string]any{"user": events.UserRef{OktaID: id}})
		a.Target = "user:" + id
		list = append(list, a)
	}
	subject := ledger.ActionSubject(list[0].Case, list[0].ID)
	o.builder = func(a events.Action, pins map[string]string) (actions.Kind, error) {
		k, err := o.clients.Build(a, pins)
		if a.ID != list[0].ID || err != nil {
			return k, err
		}
		return cancelled{k, func() {
			if _, err := o.ledger().Append(t.Context(), ledger.Record{}, ledger.Record{Subject: subject, State: ledger.Cancelled}); err != nil {
				t.Error(err)
			}
		}}, nil
	}
	o.run(list...)
	o.ends("s0", ledger.Cancelled)
	o.ends("s1", ledger.Verified)
	if e := o.sb.Journal().Effects(); len(e) != 1 {
		t.Errorf("effects %v", e)
	}
}
