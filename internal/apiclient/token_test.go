package apiclient_test

import (
	"context"
	"errors"
	"fmt"
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

// source makes Tokens that fetch t1, t2, … each good for life, unless fail says otherwise.
type source struct {
	apiclient.Tokens
	fetched atomic.Int32
	takes   time.Duration
	fail    func(n int) error
}

func newSource(life, early time.Duration) *source {
	s := &source{}
	s.Now = time.Now
	s.Fetch = func(ctx context.Context) (apiclient.Token, error) {
		n := int(s.fetched.Add(1))
		select {
		case <-time.After(s.takes):
		case <-ctx.Done():
			return apiclient.Token{}, &apiclient.Error{Cause: apiclient.Transient, Err: ctx.Err()}
		}
		if s.fail != nil {
			if err := s.fail(n); err != nil {
				return apiclient.Token{}, err
			}
		}
		token := apiclient.Token{Scheme: "Bearer", Value: secret.New(fmt.Sprint("t", n)), Early: early}
		if life > 0 {
			token.Expires = s.Now().Add(life)
		}
		return token, nil
	}
	return s
}

// used gives the token that a request is sent with.
func (s *source) used(ctx context.Context) (string, *http.Request, error) {
	req, _ := http.NewRequest(http.MethodGet, "http://api.example/", nil)
	err := s.Authorize(ctx, req)
	return strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), req, err
}

func TestTokenIsFetchedOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(time.Hour, time.Minute)
		s.takes = time.Second
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if got, _, err := s.used(t.Context()); err != nil || got != "t1" {
					t.Errorf("got %s, %v", got, err)
				}
			})
		}
		wg.Wait()
		if n := s.fetched.Load(); n != 1 {
			t.Errorf("fetched %d times", n)
		}
	})
}

func TestTokenIsRenewedEarlyAndNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(time.Hour, 2*time.Minute)
		_, _, _ = s.used(t.Context())
		time.Sleep(58*time.Minute + time.Second)
		s.takes = time.Second
		began := time.Now()
		for range 3 {
			if got, _, err := s.used(t.Context()); err != nil || got != "t1" || time.Since(began) != 0 {
				t.Errorf("got %s, %v after %v", got, err, time.Since(began))
			}
		}
		time.Sleep(2 * time.Second)
		if got, _, _ := s.used(t.Context()); got != "t2" || s.fetched.Load() != 2 {
			t.Errorf("got %s after %d fetches", got, s.fetched.Load())
		}
	})
}

func TestFailedEarlyRenewalHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(time.Hour, 2*time.Minute)
		_, _, _ = s.used(t.Context())
		s.fail = func(n int) error { return &apiclient.Error{Cause: apiclient.Transient, Err: errors.New("down")} }
		for range 10 {
			time.Sleep(58*time.Minute/10 + 11*time.Second)
			if got, _, err := s.used(t.Context()); err != nil || got != "t1" {
				t.Fatalf("got %s, %v", got, err)
			}
		}
		synctest.Wait()
		if n := s.fetched.Load(); n < 2 || n > 3 {
			t.Errorf("fetched %d times", n)
		}
		time.Sleep(2 * time.Minute)
		if _, _, err := s.used(t.Context()); apiclient.CauseOf(err) != apiclient.Transient || err == nil {
			t.Errorf("error %v after its end", err)
		}
	})
}

func TestHungTokenEndpointBlocksNobodyForLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(time.Hour, time.Minute)
		s.takes = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		// The caller who began the fetch leaves; the others are not cancelled with it, nor wait for ever.
		if _, _, err := s.used(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
		if _, _, err := s.used(t.Context()); err == nil || time.Since(began) != apiclient.TokenTimeout {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
		s.takes = 0
		if got, _, err := s.used(t.Context()); err != nil || got != "t2" {
			t.Errorf("got %s, %v", got, err)
		}
	})
}

func TestRefusedTokenIsDroppedOnce(t *testing.T) {
	s := newSource(0, 0)
	_, first, _ := s.used(t.Context())
	_, second, _ := s.used(t.Context())
	if !s.Refused(first, http.Header{}) {
		t.Error("no other token")
	}
	if got, _, _ := s.used(t.Context()); got != "t2" {
		t.Errorf("got %s", got)
	}
	// A call that was under way with the old token must not throw the new one away.
	s.Refused(second, http.Header{})
	if got, _, _ := s.used(t.Context()); got != "t2" || s.fetched.Load() != 2 {
		t.Errorf("got %s after %d fetches", got, s.fetched.Load())
	}
	s.Discard()
	if got, _, _ := s.used(t.Context()); got != "t3" {
		t.Errorf("got %s", got)
	}
}

// TestAPartialTokenIsRenewedWhenThatIsWanted, once in a while, and is kept when none comes.
func TestAPartialTokenIsRenewedWhenThatIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, part := newSource(time.Hour, 0), true
		whole := s.Fetch
		s.Fetch = func(ctx context.Context) (apiclient.Token, error) {
			token, err := whole(ctx)
			token.Part = part
			return token, err
		}
		used := func(want string) {
			t.Helper()
			if got, _, err := s.used(t.Context()); err != nil || got != want {
				t.Errorf("got %s, %v, want %s", got, err, want)
			}
		}
		s.Renew(t.Context(), 0)
		used("t1") // there was none
		for range 3 {
			s.Renew(t.Context(), time.Minute)
		}
		used("t1")
		time.Sleep(time.Minute)
		s.fail = func(int) error { return &apiclient.Error{Cause: apiclient.Transient} }
		for range 3 {
			s.Renew(t.Context(), time.Minute)
		}
		used("t1")
		s.fail, part = nil, false
		s.Renew(t.Context(), 0)
		used("t3")
		time.Sleep(time.Minute)
		s.Renew(t.Context(), 0)
		used("t3") // it has all
	})
}

func TestTokenEndpointIsLeftAloneWhenItAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(time.Hour, time.Minute)
		s.fail = func(n int) error {
			if n == 1 {
				return &apiclient.Error{Cause: apiclient.Later, RetryAfter: 30 * time.Second}
			}
			return nil
		}
		if held := s.Held(); !held.IsZero() {
			t.Errorf("held until %s before anybody asked", held)
		}
		until := time.Now().Add(30 * time.Second)
		for range 5 {
			_, _, err := s.used(t.Context())
			mustCause(t, err, apiclient.Later)
			if e, _ := errors.AsType[*apiclient.Error](err); e.RetryAfter != time.Until(until) {
				t.Errorf("told to come in %s, and the endpoint may be asked in %s", e.RetryAfter, time.Until(until))
			}
			if held := s.Held(); !held.Equal(until) {
				t.Errorf("held until %s, want %s", held, until)
			}
			time.Sleep(5 * time.Second)
		}
		if n := s.fetched.Load(); n != 1 {
			t.Errorf("fetched %d times", n)
		}
		time.Sleep(5 * time.Second)
		if held := s.Held(); !held.IsZero() {
			t.Errorf("held until %s when that is over", held)
		}
		if got, _, err := s.used(t.Context()); err != nil || got != "t2" {
			t.Errorf("got %s, %v", got, err)
		}
	})
}

// TestTokenEndpointIsLeftAloneEarly: told to wait while the token in hand is good, it is not asked again before its time, and
// no call waits for it until that token ends.
func TestTokenEndpointIsLeftAloneEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(time.Hour, 2*time.Minute)
		_, _, _ = s.used(t.Context())
		s.fail = func(int) error { return &apiclient.Error{Cause: apiclient.Later, RetryAfter: 3 * time.Minute} }
		began := time.Now()
		for time.Since(began) < time.Hour {
			if got, _, err := s.used(t.Context()); err != nil || got != "t1" || !s.Held().IsZero() {
				t.Fatalf("got %s, %v after %s, held until %s", got, err, time.Since(began), s.Held())
			}
			time.Sleep(10 * time.Second)
		}
		if n := s.fetched.Load(); n != 2 {
			t.Errorf("fetched %d times", n)
		}
		_, _, err := s.used(t.Context())
		mustCause(t, err, apiclient.Later)
		if held := s.Held(); !held.Equal(began.Add(61 * time.Minute)) {
			t.Errorf("held until %s, %s after the first token", held, held.Sub(began))
		}
	})
}

// countingAuth hands out keys k1, k2, … and takes the next after each refusal.
type countingAuth struct {
	n       atomic.Int32
	refused atomic.Int32
}

func (a *countingAuth) Authorize(_ context.Context, req *http.Request) error {
	req.Header.Set("Authorization", fmt.Sprint("Bearer k", a.n.Load()))
	return nil
}

func (a *countingAuth) Refused(*http.Request, http.Header) bool {
	a.n.Add(1)
	a.refused.Add(1)
	return true
}

func TestRefusedCallIsSentOnceMore(t *testing.T) {
	var got []string
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		if got[len(got)-1] != "Bearer k1" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	auth := &countingAuth{}
	c.Auth = auth
	if _, err := c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}}); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", err, got)
	}
	auth.n.Store(2)
	got = nil
	_, err := c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
	if mustCause(t, err, apiclient.Denied); len(got) != 2 {
		t.Errorf("%v, %v", err, got)
	}
	// A 401 that does not speak of the token is not worth another one.
	c.Stale = func(apiclient.Response) bool { return false }
	got = nil
	_, err = c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
	if mustCause(t, err, apiclient.Denied); len(got) != 1 {
		t.Errorf("%v, %v", err, got)
	}
}

// TestATokenEndpointIsNotBelievedForEver: one wrong Retry-After must not stop a connection for an hour.
func TestATokenEndpointIsNotBelievedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(time.Hour, time.Minute)
		s.fail = func(n int) error {
			if n == 1 {
				return &apiclient.Error{Cause: apiclient.Later, RetryAfter: time.Hour}
			}
			return nil
		}
		for range 2 { // the one who asked, and one who is told of it
			_, _, err := s.used(t.Context())
			e, _ := errors.AsType[*apiclient.Error](err)
			if mustCause(t, err, apiclient.Later); e.RetryAfter != 5*time.Minute {
				t.Errorf("told to come in %s", e.RetryAfter)
			}
		}
		time.Sleep(5 * time.Minute)
		if got, _, err := s.used(t.Context()); err != nil || got != "t2" {
			t.Errorf("got %s, %v", got, err)
		}
	})
}
