package lane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/events"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

// org is the sandbox's Okta in virtual time, its client, and what the calls of many people took.
type org struct {
	t    *testing.T
	sb   *sandbox.Sandbox
	acme sandbox.Acme
	okta *okta.Client
	gate *gate
	took map[string]time.Duration // by call: when the last one of its kind was answered
	mu   sync.Mutex
}

// newOrg makes an org whose clock is wrong by skew and whose calls take 300 ms.
func newOrg(t *testing.T, skew time.Duration, most int, o sandbox.Options) *org {
	t.Helper()
	o.Now = func() time.Time { return time.Now().Add(skew) }
	s := &org{t: t, sb: sandbox.New(o), gate: newGate(most), took: map[string]time.Duration{}}
	s.acme = s.sb.SeedAcme(40)
	if _, err := s.sb.Fault(sandbox.Fault{Kind: sandbox.KindDelay, Times: -1, Delay: 300 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	var err error
	s.okta, err = okta.New(okta.Options{BaseURL: sandbox.OktaURL(sandbox.InProcessURL), SSWS: secret.New(s.sb.Credentials().OktaAPIToken),
		Wiring: apiclient.Wiring{Transport: s.sb.Transport()}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// leave makes the calls of everybody's leaving, each person's one after the other, and gives how long all took.
func (s *org) leave() time.Duration {
	began := time.Now()
	var wg sync.WaitGroup
	for i, p := range s.acme.Staff {
		c := s.okta.WithGate(s.gate.pass(events.Classes()[i%3]))
		wg.Go(func() {
			s.until(began, "get", func(ctx context.Context) error { _, err := c.GetUser(ctx, p.OktaID); return err })
			s.until(began, "suspend", func(ctx context.Context) error { _, err := c.SuspendUser(ctx, p.OktaID); return err })
			s.until(began, "grants", func(ctx context.Context) error { _, err := c.RevokeUserGrants(ctx, p.OktaID); return err })
			s.until(began, "servers", func(ctx context.Context) error {
				_, err := apiclient.Collect(c.ListAuthServers(ctx))
				return err
			})
		})
	}
	wg.Wait()
	return time.Since(began)
}

// until repeats a call that is told to wait, as an action does.
func (s *org) until(began time.Time, what string, call func(context.Context) error) {
	for {
		err := call(s.t.Context())
		if err == nil {
			break
		}
		e, ok := errors.AsType[*apiclient.Error](err)
		if !ok || e.Cause != apiclient.Later || e.RetryAfter <= 0 {
			s.t.Errorf("%s: %v", what, err)
			return
		}
		time.Sleep(e.RetryAfter)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took[what] = time.Since(began)
}

// perMinute are limits of the three buckets.
func perMinute(one, users, other int) map[string]sandbox.Limit {
	return map[string]sandbox.Limit{
		sandbox.BucketOktaGetUser: {Requests: one, Window: time.Minute}, sandbox.BucketOktaUsers: {Requests: users, Window: time.Minute},
		sandbox.BucketOktaOther: {Requests: other, Window: time.Minute},
	}
}

// TestALaneAtOkta: whatever the server's clock says, no call is refused, and all windows are used.
func TestALaneAtOkta(t *testing.T) {
	for _, skew := range []time.Duration{0, 5 * time.Minute, -5 * time.Minute, 90 * time.Minute} {
		t.Run(fmt.Sprint(skew), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newOrg(t, skew, 8, sandbox.Options{Limits: perMinute(1000, 20, 600)})
				took := s.leave()
				if calls, refused := len(s.sb.Journal()), s.sb.Journal().Count(429); refused > 0 || calls != 5*len(s.acme.Staff) { // the servers are listed by two
					t.Errorf("%d calls, %d refused", calls, refused)
				}
				least := time.Duration(2*len(s.acme.Staff)/20-1) * time.Minute // the windows that are spent, but for seconds that are cut off; bulk may wait for the end of the last one
				if took < least-10*time.Second || took > least+time.Minute {
					t.Errorf("it took %s, at least %s are needed", took, least)
				}
			})
		})
	}
}

// TestAThrottledBucketAtOkta: what waits for it keeps nobody from the others.
func TestAThrottledBucketAtOkta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newOrg(t, time.Hour, 8, sandbox.Options{Limits: perMinute(1000, 1000, 600)})
		s.sb.ClearFaults()
		if _, err := s.sb.Fault(sandbox.Fault{Method: "POST", Path: "/okta/api/v1/users/*/lifecycle/suspend", Kind: sandbox.KindStatus,
			Status: 429, RetryIn: 40 * time.Second}); err != nil {
			t.Fatal(err)
		}
		s.leave()
		if s.took["get"] > time.Second || s.took["suspend"] < 40*time.Second || s.took["grants"] > 50*time.Second {
			t.Errorf("took %v", s.took)
		}
		if n := s.sb.Journal().Count(429); n != 1 {
			t.Errorf("%d calls were refused", n)
		}
	})
}

// TestManyAtOnceAtOkta: the org's concurrency limit is found by those that are out at first, and then lived with. A call that
// is refused just as all others end has the lane make one at a time for a minute, once in some hundred orgs.
func TestManyAtOnceAtOkta(t *testing.T) {
	var paces []time.Duration // of a call: 270 ms where one is made at a time
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			s := newOrg(t, 0, 16, sandbox.Options{Limits: sandbox.Unlimited(), Okta: sandbox.OktaOptions{Concurrency: 3}})
			took := s.leave()
			calls, refused := len(s.sb.Journal()), s.sb.Journal().Count(429)
			if s.gate.ceiling > 4 || refused == 0 || refused > 25 {
				t.Errorf("%d of %d calls were refused, in %s; %d at a time in the end", refused, calls, took, s.gate.ceiling)
			}
			paces = append(paces, took/time.Duration(calls))
		})
	}
	slices.Sort(paces)
	if paces[2] > 170*time.Millisecond {
		t.Errorf("a call took %s", paces)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAWindowOfOneCallAtOkta: a call that is forbidden, and the probe that tells whose fault that is, do not fit into one
// window; its action must come to its end all the same.
func TestAWindowOfOneCallAtOkta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newOrg(t, 0, 8, sandbox.Options{Limits: perMinute(1000, 1, 600)})
		app := s.sb.Credentials().OktaApp
		// The token says that it has a scope and has not got it, as where the role of an app may do less.
		less := roundTrip(func(r *http.Request) (*http.Response, error) {
			if !strings.HasSuffix(r.URL.Path, "/token") {
				return s.sb.Transport().RoundTrip(r)
			}
			body, _ := io.ReadAll(r.Body)
			body = bytes.Replace(body, []byte("+okta.users.manage"), nil, 1)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			res, err := s.sb.Transport().RoundTrip(r)
			if err != nil {
				return nil, err
			}
			body, _ = io.ReadAll(res.Body)
			body = bytes.Replace(body, []byte("okta.users.read"), []byte("okta.users.read okta.users.manage"), 1)
			res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			return res, nil
		})
		reads, err := okta.New(okta.Options{BaseURL: sandbox.OktaURL(sandbox.InProcessURL), ServiceApp: &okta.ServiceApp{ClientID: app.ClientID,
			KeyID: app.KeyID, PrivateKey: secret.New(app.PrivateKey), Scopes: []string{"okta.users.read", "okta.users.manage"}},
			Wiring: apiclient.Wiring{Transport: less}})
		if err != nil {
			t.Fatal(err)
		}
		c := reads.WithGate(s.gate.pass(events.Normal))
		for began := time.Now(); ; {
			_, err := c.SuspendUser(t.Context(), s.acme.Staff[0].OktaID)
			e, ok := errors.AsType[*apiclient.Error](err)
			if ok && e.Cause == apiclient.Permanent {
				return
			}
			if !ok || e.Cause != apiclient.Later || time.Since(began) > time.Hour {
				t.Fatalf("after %s: %v", time.Since(began), err)
			}
			time.Sleep(e.RetryAfter)
		}
	})
}
