package planner_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
)

// TestTerminationOfAnother: an event of somebody else that shares a name with a leaver either leaves the termination as it is,
// or somebody is told whose it was. Who is called by the same names, or by one Okta id, raises no alert.
func TestTerminationOfAnother(t *testing.T) {
	const otherwise, shared, mail = "calls the person otherwise", "it alone says who is meant", " email:maria@acme.example"
	for what, c := range map[string]struct {
		leaver, between, name, names string
		ends                         ledger.State
		told                         string // empty: nothing is
	}{
		"one number at two companies, hired": {"employee_number:7" + mail, "", "user.rehired", "employee_number:7 email:bob@other.example",
			cancelled, otherwise + " (email): case "},
		"one number at two companies, leaving": {"employee_number:7" + mail, "", "user.terminated", "employee_number:7 email:bob@other.example",
			superseded, otherwise + " (email): case "},
		"the login is another's number": {"employee_number:7" + mail, "", "user.rehired", "login:7 email:bob@other.example",
			ledger.Scheduled, "two people have one name (login)"},
		"the login is another's account name": {"asa_username:maria" + mail, "", "user.rehired", "login:maria email:maria.k@acme.example",
			ledger.Scheduled, "two people have one name (login)"},
		"the address of two": {"employee_number:7" + mail, "employee_number:8" + mail, "user.termination_rescinded", mail, ledger.Scheduled, shared},
		"the address of the one who had it last": {"employee_number:7" + mail, "employee_number:8 email:desk@acme.example", "user.termination_rescinded",
			"employee_number:7", cancelled, ""},
		"an account less, leaving": {"login:adm.maria employee_number:7" + mail, "", "user.terminated", "employee_number:7" + mail,
			superseded, "leaves out a name of the person (login): case "},
		"an account less, back":         {"login:adm.maria employee_number:7" + mail, "", "user.rehired", "employee_number:7" + mail, cancelled, ""},
		"a name more, leaving":          {"employee_number:7" + mail, "", "user.terminated", "login:maria employee_number:7" + mail, superseded, ""},
		"renamed, by number":            {"employee_number:7" + mail, "", "user.termination_rescinded", "employee_number:7 email:m.k@acme.example", cancelled, otherwise},
		"renamed, by Okta id":           {"okta_id:00u7 login:maria", "", "user.termination_rescinded", "okta_id:00u7 login:m.k", cancelled, ""},
		"the address is the login":      {"employee_number:7" + mail, "", "user.rehired", "login:maria@acme.example email:m.k@acme.example", cancelled, ""},
		"the same names":                {"employee_number:7" + mail, "", "user.termination_rescinded", "employee_number:7" + mail, cancelled, ""},
		"another spelling":              {"employee_number:7" + mail, "", "user.termination_rescinded", "login:MARIA@Acme.example", cancelled, ""},
		"an address beside the mailbox": {"employee_number:7" + mail, "", "user.termination_rescinded", "email:maria+hr@acme.example", ledger.Scheduled, "it takes nothing back"},
	} {
		w := newWorld(t)
		w.armed = false
		day := begin.Add(24 * time.Hour)
		leaver, _ := w.tellsOf("user.terminated", "1", c.leaver, 0, day)
		if c.between != "" {
			w.tellsOf("user.terminated", "2", c.between, time.Minute, day)
		}
		effective := time.Time{}
		if c.name == "user.terminated" {
			effective = day
		}
		_, line := w.tellsOf(c.name, "3", c.names, time.Hour, effective)
		if s := w.state(ledger.PlanSubject(leaver)); s != c.ends {
			t.Errorf("%s: the termination is %s, want %s", what, s, c.ends)
		}
		told := c.told
		if strings.HasSuffix(told, "case ") {
			told += leaver
		}
		if alert := strings.Contains(line, "alert="); alert != (told != "") || !strings.Contains(line, told) {
			t.Errorf("%s: told %s, want %q", what, line, told)
		}
	}
}

// TestWhoHaveOneNumberAreTakenApart: whoever's termination gave way is named, whichever of the two is taken out, and sent anew by
// the address alone it stands beside the other's.
func TestWhoHaveOneNumberAreTakenApart(t *testing.T) {
	for _, out := range []string{"maria@acme.example", "bob@other.example"} {
		w := newWorld(t)
		w.armed = false
		day := begin.Add(24 * time.Hour)
		hers, _ := w.tellsOf("user.terminated", "1", "employee_number:7 email:maria@acme.example", 0, day)
		his, _ := w.tellsOf("user.terminated", "2", "employee_number:7 email:bob@other.example", time.Hour, day)
		w.send(w.command("c1", events.Unmerge, planner.UnmergeTarget(w.keyer.Key("user:"+out)), "ann"))
		w.settle()
		if r := w.receipt("c1"); !strings.HasSuffix(r.Outcome, "lost to the other: "+hers) {
			t.Errorf("%s: told %s", out, r.Outcome)
		}
		if out != "maria@acme.example" {
			continue
		}
		anew, _ := w.tellsOf("user.terminated", "3", "email:maria@acme.example", 2*time.Hour, day)
		for _, id := range []string{his, anew} {
			if s := w.state(ledger.PlanSubject(id)); s != ledger.Scheduled {
				t.Errorf("%s is %s", id, s)
			}
		}
	}
}

// TestAddressOfTwoAccounts: an administrator's account has the address that is the login of the person's own. Its end is not the
// person's, neither when it comes nor when the person's own is due.
func TestAddressOfTwoAccounts(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	hers, _ := w.tellsOf("user.terminated", "1", "employee_number:7 email:maria@acme.example", 0, begin.Add(24*time.Hour))
	w.tellsOf("user.compromised", "2", "okta_id:00u7 login:maria@acme.example", time.Minute, time.Time{})
	admin, line := w.tellsOf("user.terminated", "3", "login:adm.maria@acme.example email:maria@acme.example", time.Hour, time.Time{})
	w.advance(24 * time.Hour)
	w.settle()
	w.want("her own", hers, planned, closed)
	w.want("the administrator's", admin, planned, closed)
	if !strings.Contains(line, "two people have one name (email)") {
		t.Errorf("told %s", line)
	}
	w.wantDone(append(both(hers), both(admin)...)...)
	w.wantRest()
}
