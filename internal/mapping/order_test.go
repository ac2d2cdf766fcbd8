package mapping_test

import "testing"

// TestObjectsHaveAnOrder: whatever goes through the members of an object gives the same every time.
func TestObjectsHaveAnOrder(t *testing.T) {
	for _, id := range []string{
		"digest(item.labels.map(k, k))", "digest(item.labels.map(k, item.labels[k]))", "first(item.labels.filter(k, k != 'b'))",
		"digest(json(item.text).map(k, k))",
	} {
		m := compiled(t, `
split: body.events
type: {of: "'left'", table: {left: user.terminated}}
id: ["`+id+`"]
data: {user: {email: "${{ item.email }}"}}
`)
		said := map[string]bool{}
		for range 40 {
			r := deliver(t, m, `{"events": [{"email": "a@acme.example", "labels": {"e": 5, "b": 2, "d": 4, "a": 1, "c": 3}, "text": "{\"x\": 1, \"z\": 3, \"y\": 2}"}]}`)
			if len(r.Drafts) != 1 {
				t.Fatalf("%s: %v", id, r.Faults)
			}
			said[r.Drafts[0].ID] = true
		}
		if len(said) != 1 {
			t.Errorf("%s: %d different ids of one delivery", id, len(said))
		}
	}
}
