package apiclient_test

import (
	"crypto/elliptic"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyturn/internal/apiclient"
)

// TestAWrongClockIsNoWrongKey: assertions are dated by the server's clock once it told its time.
func TestAWrongClockIsNoWrongKey(t *testing.T) {
	for name, off := range map[string]time.Duration{"behind": -5 * time.Minute, "ahead": 5 * time.Minute, "a little ahead": 5 * time.Second, "right": 0} {
		calls := 0
		cc := credentials(func(w http.ResponseWriter, r *http.Request) {
			calls++
			now := time.Now()
			w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
			_ = r.ParseForm()
			if iat, exp := dated(t, r.PostForm.Get("client_assertion")); exp.Before(now) || iat.After(now.Add(time.Second)) {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
				return
			}
			_, _ = io.WriteString(w, `{"access_token":"t","expires_in":3600}`)
		})
		var err error
		if cc.Key, err = apiclient.ParseSigningKey(pemKey(t, ecKey(t, elliptic.P256())), "k1", ""); err != nil {
			t.Fatal(err)
		}
		cc.Wiring.Now = func() time.Time { return time.Now().Add(off) }
		for range 2 {
			if _, err := cc.Fetch(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if most := 3; calls > most || off == 0 && calls != 2 {
			t.Errorf("%s: %d calls for two tokens", name, calls)
		}
	}
}

// dated reads from when to when an assertion holds.
func dated(t *testing.T, assertion string) (iat, exp time.Time) {
	t.Helper()
	jws, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Iat, Exp int64 }
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims); err != nil {
		t.Fatal(err)
	}
	return time.Unix(claims.Iat, 0), time.Unix(claims.Exp, 0)
}
