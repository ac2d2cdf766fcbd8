package events

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// TestTextIsReadAsEncodingJSONReadsIt: the short way for text without escapes is a short way only.
func TestTextIsReadAsEncodingJSONReadsIt(t *testing.T) {
	same := func(t interface{ Errorf(string, ...any) }, raw []byte) {
		var want struct{ Email string }
		var got UserRef
		wrong, fault := json.Unmarshal([]byte(`{"email":`+string(raw)+`}`), &want), json.Unmarshal([]byte(`{"email":`+string(raw)+`}`), &got)
		if (wrong == nil) != (fault == nil) || got.Email != want.Email {
			t.Errorf("%q: %q and %v, want %q and %v", raw, got.Email, fault, want.Email, wrong)
		}
	}
	for _, raw := range []string{`""`, `"a"`, `"a\"b"`, `"\\"`, `"\u00e9"`, `"é"`, "\"\xff\"", `"\ud800"`, `null`, `7`, `"<>&"`, "\"\x7f\""} {
		same(t, []byte(raw))
	}
	rapid.Check(t, func(rt *rapid.T) {
		raw, err := json.Marshal(rapid.String().Draw(rt, "text"))
		if err != nil {
			rt.Fatal(err)
		}
		same(rt, raw)
	})
}
