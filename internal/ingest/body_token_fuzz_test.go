package ingest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/mapping"
	"keyturn/internal/secret"
)

// FuzzBodyToken: items prove a delivery only when there are some and each of them has the token as it is, and wherever a
// token stands in the body, nothing of it is left.
func FuzzBodyToken(f *testing.F) {
	f.Add(canaryOne, `{"value": [{"clientState": "`+canaryOne+`"}]}`)
	f.Add(canaryOne+"\n"+canaryTwo, `["`+canaryTwo+`", {"a": {"b": ["`+canaryOne+`", null]}}]`)
	f.Add(canaryOne+"\n", `"`+canaryOne+` "`)
	f.Add("", `{"`+canaryOne+`": 1}`)
	f.Add(strings.ToUpper(canaryOne), `{"a": "`+canaryOne+`", "a": 1}`)
	known := []string{canaryOne, canaryTwo}
	v := newBodyToken(config.BodyToken{At: "item.a", Values: []secret.Value{secret.New(canaryOne), secret.New(canaryTwo)}})
	f.Fuzz(func(t *testing.T, items, body string) {
		verified, err := v.Verify(Delivery{Body: []byte(body)})
		if err != nil || verified.Settled() {
			t.Fatalf("settled before an item was seen, %v", err)
		}
		var texts []string
		if items != "" {
			texts = strings.Split(items, "\n")
		}
		want := len(texts) > 0 && !slices.ContainsFunc(texts, func(s string) bool { return !slices.Contains(known, s) })
		if err := verified.Pending.Match(texts); (err == nil) != want || verified.Settled() != want {
			t.Errorf("%q: %v, settled %v, want %v", texts, err, verified.Settled(), want)
		}
		tree, err := mapping.ParseJSON([]byte(body))
		if err != nil {
			return
		}
		if _, whole := tree.(string); whole {
			return // no item can be one
		}
		verified.Pending.Forget(tree)
		left, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		var again any
		if err := json.Unmarshal(left, &again); err != nil {
			t.Fatal(err)
		}
		if holds(again, known) {
			t.Errorf("%q: the token is left: %s", body, left)
		}
	})
}

// holds reports whether one of some texts is a value in a tree.
func holds(tree any, texts []string) bool {
	in := func(v any) bool { return holds(v, texts) }
	switch x := tree.(type) {
	case string:
		return slices.Contains(texts, x)
	case []any:
		return slices.ContainsFunc(x, in)
	case map[string]any:
		for _, v := range x {
			if in(v) {
				return true
			}
		}
	}
	return false
}
