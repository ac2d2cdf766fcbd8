package apiclient_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/secret"
)

// probed makes a client whose calls below /target are answered with status, and whose probe with probe.
func probed(target, probe *atomic.Int32, probes *atomic.Int32) *apiclient.Client {
	c := inProcess(handlerTransport{func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/probe") {
			probes.Add(1)
			time.Sleep(100 * time.Millisecond)
			w.Header().Set("Retry-After", "9")
			w.WriteHeader(int(probe.Load()))
			return
		}
		w.WriteHeader(int(target.Load()))
	}})
	c.Auth = apiclient.FixedKey{Scheme: "SSWS", Value: secret.New("k")}
	c.Probe = func(q apiclient.Request) (apiclient.Request, bool) {
		return apiclient.Request{Op: "x.probe", Path: []string{"probe"}}, q.Op != "x.probe"
	}
	c.Verdicts = apiclient.NewVerdicts(time.Now)
	c.Classify = func(q apiclient.Request, r apiclient.Response, _ apiclient.Budget) *apiclient.Error {
		e := &apiclient.Error{Op: q.Op, Status: r.Status}
		switch {
		case r.OK():
			return nil
		case r.Status == 401 || r.Status == 403:
			e.Cause = apiclient.Denied
		case r.Status == 429:
			e.Cause, e.RetryAfter = apiclient.Later, apiclient.RetryAfter(r.Header)
		case r.Status < 500:
			e.Cause = apiclient.Permanent
		}
		return e
	}
	return c
}

func TestProbeTellsCredentialFromTarget(t *testing.T) {
	for _, status := range []int32{401, 403} {
		for probeStatus, want := range map[int32]apiclient.Cause{
			200: apiclient.Permanent, 401: apiclient.Denied, 403: apiclient.Denied, 404: apiclient.Denied,
			500: apiclient.Transient, 429: apiclient.Later,
		} {
			synctest.Test(t, func(t *testing.T) {
				var target, probe, probes atomic.Int32
				target.Store(status)
				probe.Store(probeStatus)
				_, err := probed(&target, &probe, &probes).Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"target"}})
				e := mustCause(t, err, want)
				if e.Op != "x.get" || e.Status != int(status) || probes.Load() != 1 {
					t.Errorf("error %+v after %d probes", e, probes.Load())
				}
				if want == apiclient.Later && e.RetryAfter != 9*time.Second {
					t.Errorf("retry after %v", e.RetryAfter)
				}
			})
		}
	}
}

// TestStrayRefusal: a refusal while the probe finds that the credential works is asked once more, and only then believed:
// the credential may have been no good for that moment. A token is renewed before that.
func TestStrayRefusal(t *testing.T) {
	for _, tc := range []struct {
		first, then, probe int32
		token              bool
		calls              int
		want               apiclient.Cause // of an error; none when then is 200
	}{
		{401, 200, 200, false, 2, 0}, {401, 401, 200, false, 2, apiclient.Permanent}, {401, 500, 200, false, 2, apiclient.Transient},
		{401, 200, 401, false, 1, apiclient.Denied}, {401, 200, 500, false, 1, apiclient.Transient},
		{403, 200, 200, false, 2, 0}, {403, 403, 200, false, 2, apiclient.Permanent}, {403, 500, 200, true, 2, apiclient.Transient},
		{403, 200, 403, true, 1, apiclient.Denied}, {401, 200, 200, true, 3, 0}, {401, 401, 200, true, 3, apiclient.Permanent},
	} {
		synctest.Test(t, func(t *testing.T) {
			var target, probe, probes atomic.Int32
			target.Store(tc.first)
			probe.Store(tc.probe)
			c := probed(&target, &probe, &probes)
			if tc.token {
				c.Auth = &countingAuth{}
			}
			calls := 0
			ctx := apiclient.Watch(t.Context(), func(x apiclient.Exchange) {
				if x.Op != "x.get" {
					return
				}
				if calls++; tc.first != 401 || !tc.token || calls == 2 { // another token is as good as the one before
					target.Store(tc.then)
				}
			})
			_, err := c.Do(ctx, apiclient.Request{Op: "x.get", Path: []string{"target"}})
			if calls != tc.calls || probes.Load() != 1 {
				t.Errorf("%+v: %d calls, %d probes", tc, calls, probes.Load())
			}
			if tc.then == 200 && tc.probe == 200 {
				if err != nil {
					t.Errorf("%+v: %v", tc, err)
				}
				return
			}
			mustCause(t, err, tc.want)
		})
	}
}

func TestProbesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var target, probe, probes atomic.Int32
		target.Store(403)
		probe.Store(200)
		c := probed(&target, &probe, &probes)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { _, _ = c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"target"}}) })
		}
		wg.Wait()
		if probes.Load() != 1 {
			t.Errorf("%d probes for 100 failures at a time", probes.Load())
		}
		get := func() error {
			_, err := c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"target"}})
			return err
		}
		mustCause(t, get(), apiclient.Permanent)
		if probes.Load() != 1 {
			t.Errorf("%d probes within a second", probes.Load())
		}
		// The credential is revoked right after the probe that passed: a 401 is never judged by that one.
		target.Store(401)
		probe.Store(401)
		mustCause(t, get(), apiclient.Denied)
		mustCause(t, get(), apiclient.Denied)
		if probes.Load() != 2 {
			t.Errorf("%d probes, want 2", probes.Load())
		}
		probe.Store(200)
		time.Sleep(10 * time.Second)
		mustCause(t, get(), apiclient.Permanent)
		if probes.Load() != 3 {
			t.Errorf("%d probes, want 3", probes.Load())
		}
	})
}
