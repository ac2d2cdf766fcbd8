package ingest

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// TestSSFPush: an accepted token is answered 202 without a body, also when it comes again, holds several events, or is of
// a kind that nobody knows (RFC 8935, section 2.2; SSF 1.0).
func TestSSFPush(t *testing.T) {
	spec := pulled(t, "https://idp.acme.example/poll")
	f := open(t, Options{Now: func() time.Time { return noon }}, spec)
	push := func(text string) (int, string, http.Header) {
		t.Helper()
		req := f.plain("idp", text)
		req.Header.Set("Content-Type", "application/secevent+jwt")
		req.Header.Set("Accept", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body), resp.Header
	}
	sign := func(changes map[string]any) string {
		return token(t, "ES256", "ES256", "secevent+jwt", signers()["p256"], setClaims(changes))
	}
	risk := "https://schemas.openid.net/secevent/caep/event-type/risk-level-change"
	for name, c := range map[string]struct {
		text   string
		stored int
	}{
		"one event": {sign(nil), 1},
		"several":   {sign(map[string]any{"jti": "two", "events": map[string]any{revoked: map[string]any{}, risk: map[string]any{"current_level": "HIGH", "principal": "USER"}}}), 2},
		"unknown":   {sign(map[string]any{"jti": "new", "events": map[string]any{"https://acme.example/events/new": map[string]any{}}}), 0},
		"check":     {sign(map[string]any{"jti": "check", "events": map[string]any{ssfVerificationEvent: map[string]any{"state": "s"}}}), 0},
	} {
		cases := map[string]bool{}
		for range 2 {
			before := len(f.store.stored())
			status, body, header := push(c.text)
			if status != http.StatusAccepted || body != "" || header.Get("Content-Language") != "" {
				t.Errorf("%s: %d %q %v", name, status, body, header)
			}
			stored := f.store.stored()[before:]
			if len(stored) != c.stored {
				t.Errorf("%s: stored %d", name, len(stored))
			}
			for _, e := range stored {
				cases[e.Case()] = true
			}
		}
		if len(cases) != c.stored {
			t.Errorf("%s: sent again it is another case: %v", name, cases)
		}
	}
	// What cannot be mapped is kept, and the transmitter is not asked to send it for ever.
	status, body, _ := push(sign(map[string]any{"jti": "nobody", "sub_id": nil}))
	if status != http.StatusAccepted || body != "" || len(f.store.faults) != 1 {
		t.Errorf("%d %q, %d faults", status, body, len(f.store.faults))
	}
}
