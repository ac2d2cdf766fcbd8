package actions_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// TestDeleteRefuses: each of these is for a person, and no client is deleted.
func TestDeleteRefuses(t *testing.T) {
	own := func(o *org) string { return o.sb.Credentials().Mosaic.ClientID }
	for name, tc := range map[string]struct {
		with func(o *org) map[string]any
		says string
	}{
		"the connection's own": {func(o *org) map[string]any { return map[string]any{"client_id": own(o)} }, "signs the calls"},
		"two with the mark": {func(o *org) map[string]any {
			o.addWiki(nil)
			o.addWiki(nil)
			return map[string]any{"app": wiki()}
		}, "2 clients have the mark"},
		"its own with the mark": {func(o *org) map[string]any {
			c := o.clients.Transmit
			if _, _, err := c.UpdateClient(o.t.Context(), own(o), updateOf(actions.MarkOf("sample", "REQ-1"))); err != nil {
				o.t.Fatal(err)
			}
			o.sb.ResetJournal()
			return map[string]any{"app": wiki()}
		}, "signs the calls"},
		"an unknown app":    {func(*org) map[string]any { return map[string]any{"app": wiki()} }, "not_found: holds"},
		"an unknown client": {func(*org) map[string]any { return map[string]any{"client_id": "none"} }, "no client has the id"},
		"nobody":            {func(*org) map[string]any { return map[string]any{"not_found": "holds"} }, "neither app.key nor client_id"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			o := newOrg(t, 0, sandbox.Options{})
			o.run(act("s", "transmit.delete_client", tc.with(o)))
			rec := o.ends("s", ledger.Dead)
			if f := rec.Evidence.Failure; !strings.Contains(f.Error+" "+f.Suggestion, tc.says) || f.Suggestion == "" {
				t.Errorf("failure %+v", f)
			}
			if effects := o.once(); len(effects) != 0 {
				t.Errorf("effects %v", effects)
			}
		})
	}
}

func TestDeleteOfWhatIsGone(t *testing.T) {
	o := newOrg(t, 0, sandbox.Options{})
	o.run(act("s", "transmit.delete_client", map[string]any{"app": wiki(), "not_found": "holds"}))
	o.ends("s", ledger.Verified)

	o = newOrg(t, 0, sandbox.Options{})
	id := o.addWiki(map[string]any{"token_expiration": map[string]any{"access_token_ttl": 7200}})
	o.fault(sandbox.Fault{Method: "DELETE", Kind: sandbox.KindStatus, Status: http.StatusBadGateway})
	o.begin(act("s", "transmit.delete_client", map[string]any{"app": wiki()}))
	o.deliver(o.queue[0])
	if left := o.last("s").Evidence.Residual; len(left) != 1 || left[0].Until.Sub(o.now).Round(time.Minute) != 2*time.Hour {
		t.Errorf("residual %+v", left)
	}
	if _, err := o.clients.Transmit.DeleteClient(t.Context(), id); err != nil { // somebody else was faster
		t.Fatal(err)
	}
	o.work()
	rec := o.ends("s", ledger.Verified)
	if saw(rec, "client "+id) != "not there (404)" || saw(rec, "other clients of the app listed") == "nothing" {
		t.Errorf("evidence %+v", rec.Evidence.Seen)
	}
	if left := rec.Evidence.Residual; len(left) != 1 || !left[0].Until.IsZero() { // nobody could read how long its tokens live
		t.Errorf("residual %+v", left)
	}
}

func everything(app string) events.Action {
	return act("s", "transmit.delete_all_clients", map[string]string{"app_id": app})
}

const allClients = "/mosaic/cis/v1/clients"

// TestDeleteAllSaysWhatItDeletes: number and names stand in the ledger before the call, and that nobody could read the
// end stands in the last record.
func TestDeleteAllSaysWhatItDeletes(t *testing.T) {
	app := application(t)
	o := newOrg(t, 0, sandbox.Options{})
	id := o.addWiki(nil)
	o.run(everything(app))
	rec := o.ends("s", ledger.Applied)
	var first ledger.Record
	_ = o.ledger().Range(t.Context(), rec.Subject, time.Time{}, func(r ledger.Record) error {
		if first.Evidence == nil && r.Evidence != nil && r.Evidence.Pending != "" {
			first = r
		}
		return nil
	})
	own := o.sb.Credentials().Mosaic.ClientID
	if saw(first, "clients of application "+app) != "2" || saw(first, "client "+id) != "Wiki" || !strings.Contains(saw(first, "client "+own), "signs the calls") {
		t.Errorf("before the call: %+v", first.Evidence)
	}
	if len(first.Evidence.Applied) != 0 || len(rec.Evidence.Applied) != 1 || !strings.Contains(saw(rec, "clients of application "+app), "cannot be read") {
		t.Errorf("after the call: %+v", rec.Evidence)
	}
	if left := rec.Evidence.Residual; len(left) != 2 || !left[1].Until.IsZero() || o.life().State != ledger.ClosedWithResidual {
		t.Errorf("residual %+v, case %s", left, o.life().State)
	}
	if len(o.denied) != 0 {
		t.Errorf("the lane was told of %v", o.denied)
	}
}

// TestDeleteAllThatCanBeRead: a token that is still taken shows an empty list, which no application has otherwise.
func TestDeleteAllThatCanBeRead(t *testing.T) {
	app := application(t)
	o := newOrg(t, 0, sandbox.Options{})
	o.fault(sandbox.Fault{Method: "GET", Path: allClients, Skip: 1, Kind: sandbox.KindStatus, Status: 200, Body: "[]", Times: -1})
	o.run(everything(app))
	rec := o.ends("s", ledger.Verified)
	if !strings.HasPrefix(saw(rec, "clients of application "+app), "0") || o.once() == nil {
		t.Errorf("evidence %+v", rec.Evidence)
	}
	o = newOrg(t, 0, sandbox.Options{}) // an empty list at the first look is none
	o.fault(sandbox.Fault{Method: "GET", Path: allClients, Kind: sandbox.KindStatus, Status: 200, Body: "[]"})
	o.begin(everything(app))
	o.deliver(o.queue[0])
	if rec := o.last("s"); rec.State != ledger.Waiting {
		t.Errorf("an empty list at the first look: %s", rec.State)
	}
}

// TestDeleteAllIsNotTakenForDone: a credential that is refused proves nothing while the call was surely not made.
func TestDeleteAllIsNotTakenForDone(t *testing.T) {
	app := application(t)
	for name, f := range map[string]*sandbox.Fault{
		"refused from the start":   nil,
		"refused after a throttle": {Method: "DELETE", Path: allClients, Kind: sandbox.KindStatus, Status: 429},
	} {
		o := newOrg(t, 0, sandbox.Options{})
		if f != nil {
			o.fault(*f)
		}
		o.begin(everything(app))
		if f != nil {
			o.deliver(o.queue[0])
		}
		o.fault(sandbox.Fault{Path: "/mosaic/**", Kind: sandbox.KindStatus, Status: 401, Times: -1})
		for range 3 {
			o.now = o.now.Add(time.Minute)
			if out := o.deliver(o.queue[0]); out.Verdict != events.Retry {
				t.Fatalf("%s: %+v", name, out)
			}
		}
		if rec := o.last("s"); rec.State != ledger.Waiting || len(o.denied) != 3 || len(o.once()) != 0 {
			t.Errorf("%s: %s, told the lane %d times", name, rec.State, len(o.denied))
		}
		o.sb.ClearFaults()
		o.now = o.now.Add(time.Minute)
		o.work() // the credential was renewed
		o.ends("s", ledger.Applied)
	}
	o := newOrg(t, 0, sandbox.Options{})
	o.run(everything("another"))
	if rec := o.ends("s", ledger.Dead); !strings.Contains(rec.Evidence.Failure.Error, "of the application") || len(o.once()) != 0 {
		t.Errorf("failure %+v", rec.Evidence.Failure)
	}
}

// TestTokensThatLiveForEver: what a client says of its tokens bounds no residual to a time that is over.
func TestTokensThatLiveForEver(t *testing.T) {
	for _, ttl := range []float64{1e10, 1e300} {
		o := newOrg(t, 0, sandbox.Options{})
		o.addWiki(map[string]any{"token_expiration": map[string]any{"access_token_ttl": ttl}})
		o.run(change("transmit.delete_client", nil))
		rec := o.ends("s", ledger.Verified)
		if left := rec.Evidence.Residual; len(left) != 1 || left[0].Until.Year() < 2100 || left[0].Until.Year() > 9999 {
			t.Errorf("tokens that live %v s: %v", ttl, left)
		}
	}
}
