package ingest

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"keyturn/internal/secret"
)

// The vectors that vendors publish. Their inputs are theirs, and so are the signatures.

// TestGitHubVector: docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation".
func TestGitHubVector(t *testing.T) {
	spec := hmacSpec(HMACSpec{
		Signature: SignatureSpec{Header: "X-Hub-Signature-256", Prefix: "sha256="},
		Secrets:   []secret.Value{secret.New("It's a Secret to Everybody")},
	})
	h := http.Header{}
	h.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	d := Delivery{Received: noon, Method: "POST", Header: h, Body: []byte("Hello, World!")}
	v := verifier(t, spec)
	if _, err := v.Verify(d); err != nil {
		t.Error(err)
	}
	d.Body = []byte("Hello, World!\n")
	if _, err := v.Verify(d); !errors.Is(err, errBadSignature) {
		t.Error(err)
	}
}

// TestPagerDutyVector: PagerDuty's Go client, the constants of its tests of webhooks version 3.
func TestPagerDutyVector(t *testing.T) {
	const (
		good = "v1=0c0b9495b893a39e70d1fea2fe11fbe0a825f88b9f67846f6cc07dd2bc5476cd"
		bad  = "v1=7020c8a7ec668a9b7012bc3dd82e483394b038f4230acc6785efbf2a7d8bcaf5"
		body = "{\"event\":{\"id\":\"01BWDWL3NYY7LUFPZCC28QUCMK\",\"event_type\":\"incident.priority_updated\",\"resource_type\"" +
			":\"incident\",\"occurred_at\":\"2021-04-26T17:36:27.458Z\",\"agent\":{\"html_url\":\"https://acme.pagerduty.com" +
			"/users/PLH1HKV\",\"id\":\"PLH1HKV\",\"self\":\"https://api.pagerduty.com/users/PLH1HKV\",\"summary\":\"Tenex Eng" +
			"ineer\",\"type\":\"user_reference\"},\"client\":null,\"data\":{\"id\":\"PGR0VU2\",\"type\":\"incident\",\"self\":\"https" +
			"://api.pagerduty.com/incidents/PGR0VU2\",\"html_url\":\"https://acme.pagerduty.com/incidents/PGR0VU2\",\"n" +
			"umber\":2,\"status\":\"triggered\",\"title\":\"A little bump in the road\",\"service\":{\"html_url\":\"https://acm" +
			"e.pagerduty.com/services/PF9KMXH\",\"id\":\"PF9KMXH\",\"self\":\"https://api.pagerduty.com/services/PF9KMXH\"" +
			",\"summary\":\"API Service\",\"type\":\"service_reference\"},\"assignees\":[{\"html_url\":\"https://acme.pagerdut" +
			"y.com/users/PTUXL6G\",\"id\":\"PTUXL6G\",\"self\":\"https://api.pagerduty.com/users/PTUXL6G\",\"summary\":\"User" +
			" 123\",\"type\":\"user_reference\"}],\"escalation_policy\":{\"html_url\":\"https://acme.pagerduty.com/escalati" +
			"on_policies/PUS0KTE\",\"id\":\"PUS0KTE\",\"self\":\"https://api.pagerduty.com/escalation_policies/PUS0KTE\",\"" +
			"summary\":\"Default\",\"type\":\"escalation_policy_reference\"},\"teams\":[{\"html_url\":\"https://acme.pagerdut" +
			"y.com/teams/PFCVPS0\",\"id\":\"PFCVPS0\",\"self\":\"https://api.pagerduty.com/teams/PFCVPS0\",\"summary\":\"Engi" +
			"neering\",\"type\":\"team_reference\"}],\"priority\":{\"html_url\":\"https://acme.pagerduty.com/account/incide" +
			"nt_priorities\",\"id\":\"PSO75BM\",\"self\":\"https://api.pagerduty.com/priorities/PSO75BM\",\"summary\":\"P1\",\"" +
			"type\":\"priority_reference\"},\"urgency\":\"high\",\"conference_bridge\":{\"conference_number\":1000,\"conferen" +
			"ce_url\":\"https://example.com\"},\"resolve_reason\":null}}}"
	)
	v := verifier(t, hmacSpec(HMACSpec{
		Signature: SignatureSpec{Header: "X-PagerDuty-Signature", Split: ",", Pair: "=", Versions: []string{"v1"}},
		Secrets:   []secret.Value{secret.New("lDQHScfUeXUKaQRNF+8XIiDKZ7XX3itBAYzwU0TARw8lJqRnkKl2iB1anSb0Z+IK")},
	}))
	prefixed := verifier(t, hmacSpec(HMACSpec{
		Signature: SignatureSpec{Header: "X-PagerDuty-Signature", Split: ",", Prefix: "v1="},
		Secrets:   []secret.Value{secret.New("lDQHScfUeXUKaQRNF+8XIiDKZ7XX3itBAYzwU0TARw8lJqRnkKl2iB1anSb0Z+IK")},
	}))
	for signature, want := range map[string]error{
		good: nil, bad: errBadSignature, bad + "," + good: nil, good + "," + bad: nil, bad + ", " + good: nil,
		good[3:]: errBadSignature, "v2=" + good[3:]: errBadSignature, good + "0": errBadSignature, "": errNoSignature,
	} {
		h := http.Header{}
		h.Set("X-PagerDuty-Signature", signature)
		d := Delivery{Received: noon, Method: "POST", Header: h, Body: []byte(body)}
		for _, v := range []Verifier{v, prefixed} {
			if _, err := v.Verify(d); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", signature, err, want)
			}
		}
	}
}

// TestStandardWebhooksVector: the constants of the tests of the reference libraries of Standard Webhooks.
func TestStandardWebhooksVector(t *testing.T) {
	const (
		good  = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
		bad   = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
		stamp = 1614265330
	)
	spec := hrSpec()
	spec.Verify.StandardWebhooks = &StandardWebhooksSpec{Secrets: []secret.Value{secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}}
	svix := hrSpec()
	svix.Verify.StandardWebhooks = &StandardWebhooksSpec{Secrets: spec.Verify.StandardWebhooks.Secrets, HeaderPrefix: "Svix-"}
	for prefix, v := range map[string]Verifier{"webhook-": verifier(t, spec), "svix-": verifier(t, svix)} {
		for signature, want := range map[string]error{
			good: nil, bad: errBadSignature, "v2" + good[2:]: errBadSignature, "v1,": errBadSignature, "v1,dawfeoifkpqwoekfpqoekf": errBadSignature,
			bad + " v2" + bad[2:] + " " + good + " " + bad: nil,
		} {
			h := http.Header{}
			h.Set(prefix+"id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
			h.Set(prefix+"timestamp", "1614265330")
			h.Set(prefix+"signature", signature)
			d := Delivery{Received: time.Unix(stamp, 0), Header: h, Body: []byte(`{"test": 2432232314}`)}
			if _, err := v.Verify(d); !errors.Is(err, want) {
				t.Errorf("%s %s: %v, want %v", prefix, signature, err, want)
			}
		}
	}
}
