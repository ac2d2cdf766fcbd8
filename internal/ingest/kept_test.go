package ingest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"keyturn/internal/config"
)

// TestNobodyLooksAtTheProof: an expression that uses what carries the secret of the sender is a fault when it is loaded,
// since what is kept of a delivery would hold the secret.
func TestNobodyLooksAtTheProof(t *testing.T) {
	const token = `header_token: {header: X-Token, values: ["${env:HR}"]}`
	const inQuery = `url_token: {query: key, values: ["${env:HR}"]}`
	for _, c := range []struct{ verify, of, want string }{
		{token, `header["x-token"]`, "uses the header x-token, which carries the secret"},
		{token, `header["x-event"]`, ""},
		{`basic: {users: [{name: a, password: "${env:HR}"}]}`, `header.authorization`, "uses the header authorization, which carries"},
		{inQuery, `query.key`, "uses the query parameter key, which carries"},
		{inQuery, `query.kind`, ""},
		{"any_of: [{" + inQuery + "}, {" + token + "}]", `query.key + header["x-event"]`, "uses the query parameter key"},
		{"all_of: [{" + token + "}, {hmac: {header: X-Signature, secrets: [\"${env:HR}\"]}}]", `header["x-token"]`, "uses the header x-token"},
	} {
		text := strings.Replace(mappedSource("    handshakes: [{accept_ping: {when: 'CHECK'}}]\n"), `hmac: {header: X-Signature, secrets: ["${env:HR}"]}`, c.verify, 1)
		for _, whole := range []string{
			strings.Replace(strings.Replace(text, "item.kind", "'"+c.of+"'", 1), "CHECK", "false", 1),
			strings.Replace(text, "CHECK", c.of+` == "a"`, 1),
		} {
			_, err := NewSource(configuredSource(t, whole))
			if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
				t.Errorf("%s: %s: got %v, want %s", c.verify, c.of, err, c.want)
			}
		}
	}
}

// TestAForgedBodyTokenProvesNothing: until the items have shown the token, a delivery counts as a stranger's.
func TestAForgedBodyTokenProvesNothing(t *testing.T) {
	spec := configuredSource(t, `sources:
  hr:
    preset: graph
    verify: {body_token: {at: item.clientState, values: ["${env:HR}"]}}
`)
	f := open(t, Options{}, spec)
	for i := range 5 * sampleLines {
		for body, want := range map[string]int{fmt.Sprintf(`{"value": [{"clientState": "forged-%d"}]}`, i): http.StatusUnauthorized, "{": http.StatusBadRequest} {
			if got := f.post(spec, "application/json", body); got.status != want {
				t.Fatalf("%s: %d %s", body, got.status, got.body)
			}
		}
	}
	if lines := strings.Count(f.logs.String(), `"msg":"delivery"`); lines > 2*sampleLines {
		t.Errorf("%d lines of strangers", lines)
	}
	if n := f.counter("keyturn_ingest_verified_total", "key", "0"); n != 0 {
		t.Errorf("%v forged deliveries count as verified", n)
	}
	const good = `{"value": [{"clientState": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY4"}]}`
	if got := f.post(spec, "application/json", good); got.Fault == "" || f.counter("keyturn_ingest_verified_total", "key", "0") != 1 {
		t.Errorf("a genuine one: %d %s", got.status, got.body)
	}
}

// TestASignedTokenIsNotKept: the token that a sender hands over is the operator's alone, also when the delivery that
// brings it is signed by an older one.
func TestASignedTokenIsNotKept(t *testing.T) {
	const token = "the-next-token-of-acme-example"
	const body = `{"verification_token": "` + token + `", "webhook_subscription_uuid": "d5b1ac11"}`
	spec := configuredSource(t, "sources:\n  hr:\n    preset: gusto\n    verify: {hmac: {secrets: [\"${env:HR}\"]}}\n")
	f := open(t, Options{}, spec)
	if got := f.post(spec, "application/json", body); got.status != http.StatusUnauthorized {
		t.Errorf("while nobody waits: %d", got.status)
	}
	f.handle.captures.Wait("hr")
	if got := f.post(spec, "application/json", body); got.status != http.StatusOK {
		t.Errorf("while somebody waits: %d", got.status)
	}
	rec, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/capture/hr", nil)
	req.RemoteAddr, req.Host = "127.0.0.1:5000", "localhost"
	req.Header.Set(headerOperator, "yes")
	f.handle.Admin(http.NotFoundHandler()).ServeHTTP(rec, req)
	if !strings.Contains(rec.Body.String(), token) {
		t.Errorf("the operator gets %s", rec.Body)
	}
	if strings.Contains(f.logs.String(), token) || len(f.store.faults)+len(f.store.stored()) != 0 {
		t.Error("the token is in the log or stored")
	}
}

// TestRemapLeavesAloneWhatIsStored: a mended mapping that says more of everybody contradicts no event that was stored.
func TestRemapLeavesAloneWhatIsStored(t *testing.T) {
	spec := configuredSource(t, mappedSource(""))
	f := open(t, Options{}, spec)
	f.post(spec, "application/json", `{"people": [{"kind": "left", "id": "1", "email": "a@acme.example", "number": "7"}, {"kind": "left", "id": "2", "number": "8"}]}`)
	if len(f.store.stored()) != 1 || len(f.store.faults) != 1 {
		t.Fatalf("%d events, %d faults", len(f.store.stored()), len(f.store.faults))
	}
	dir, fault := t.TempDir(), f.store.faults[0]
	writeFile(t, dir, config.SourcesFile, strings.Replace(mappedSource(""), `email: "${{ item.email }}"`, `email: "${{ item.?email }}", employee_number: "${{ item.number }}"`, 1))
	list, _, err := Remapper{Dir: dir}.Remap("hr", fault.Body, fault.Time)
	if err != nil || len(list) != 1 || list[0].ID != "2" {
		t.Errorf("%+v, %v", list, err)
	}
}
