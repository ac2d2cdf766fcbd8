package lane

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/sandbox"
)

// TestAWrongTimeToComeAgain: whatever one reply says of a window, calls go on within 90 s; where the provider wants to be left
// alone for long, an urgent call looks within a minute, and others go with it, or when that time is over.
func TestAWrongTimeToComeAgain(t *testing.T) {
	far := strconv.FormatInt(time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC).Unix(), 10)
	for name, c := range map[string]struct {
		status int
		header http.Header
		normal time.Duration // when one who is not urgent is served where nobody is urgent
		urgent time.Duration
	}{
		"429, reset tomorrow":    {429, http.Header{"X-Rate-Limit-Limit": {"600"}, "X-Rate-Limit-Remaining": {"0"}, "X-Rate-Limit-Reset": {far}}, 92 * time.Second, 92 * time.Second},
		"200, reset tomorrow":    {200, http.Header{"X-Rate-Limit-Limit": {"600"}, "X-Rate-Limit-Remaining": {"0"}, "X-Rate-Limit-Reset": {far}}, 90 * time.Second, 90 * time.Second},
		"503, come in two hours": {503, http.Header{"Retry-After": {"7200"}}, time.Hour, urgentLook},
	} {
		for _, class := range []events.Class{events.Urgent, events.Normal} {
			t.Run(name+", "+string(class), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newOrg(t, 0, 4, sandbox.Options{Limits: perMinute(1000, 600, 600)})
					s.sb.ClearFaults()
					kind := sandbox.KindStatus
					if c.status == 200 {
						kind = sandbox.KindEffectThenStatus
					}
					if _, err := s.sb.Fault(sandbox.Fault{Path: "/okta/api/v1/users/*/clients", Kind: kind, Status: c.status, Header: c.header, Body: "[]"}); err != nil {
						t.Fatal(err)
					}
					list := func(class events.Class) error {
						_, err := apiclient.Collect(s.okta.WithGate(s.gate.pass(class)).ListUserClients(t.Context(), s.acme.Staff[0].OktaID))
						return err
					}
					if err := list(events.Normal); (err == nil) != (c.status == 200) {
						t.Fatal(err)
					}
					began, within := time.Now(), c.normal
					if class == events.Urgent {
						within = c.urgent
					}
					for err := list(class); err != nil; err = list(class) {
						time.Sleep(isLater(t, err))
					}
					if d := time.Since(began); d > within {
						t.Errorf("served after %s", d)
					}
					admit(t, s.gate.pass(events.Bulk), "/api/v1/users")
				})
			})
		}
	}
}

// TestTheUrgentLookIsAlone: while the provider goes on refusing, one urgent call in urgentLook goes, and nobody else; a limit
// that is known from elsewhere is kept by the urgent too.
func TestTheUrgentLookIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(8)
		urgent, normal := g.pass(events.Urgent), g.pass(events.Normal)
		refusal := apiclient.Budget{Limit: -1, Remaining: -1, Wait: time.Hour}
		admit(t, normal, "b")
		normal.Learn("b", refusal)
		isLater(t, normal.Admit(t.Context(), "b"))
		for range 10 {
			first, second := ask(t.Context(), urgent, "b"), ask(t.Context(), urgent, "b")
			time.Sleep(urgentLook - time.Millisecond)
			if !first.waits() || !second.waits() {
				t.Fatal("an urgent call went before its time")
			}
			time.Sleep(time.Millisecond)
			if first.waits() == second.waits() {
				t.Fatal("two went, or none")
			}
			isLater(t, normal.Admit(t.Context(), "b"))
			urgent.Learn("b", refusal)
			time.Sleep(urgentLook)
			synctest.Wait()
			urgent.Learn("b", refusal)
		}
		k := knowing(8, 1, time.Hour)
		p := k.pass(events.Urgent)
		admit(t, p, "b")
		p.Learn("b", nothing)
		if d := isLater(t, p.Admit(t.Context(), "b")); d != time.Hour {
			t.Errorf("told to come again in %s", d)
		}
	})
}
