package mapping_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"keyturn/internal/events"
	"keyturn/internal/mapping"
)

// cases names the cases that drafts open, sorted.
func cases(drafts []mapping.Draft) []string {
	var ids []string
	for _, d := range drafts {
		ids = append(ids, events.CaseID("hr", events.Event{Source: d.Source, ID: d.ID}))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// TestResendReorderSplit: however often, in whichever order and in however many deliveries the same items come, they
// are the same cases with the same content.
func TestResendReorderSplit(t *testing.T) {
	m := compiled(t, plainMapping)
	rapid.Check(t, func(t *rapid.T) {
		item := rapid.Custom(func(t *rapid.T) map[string]any {
			one := map[string]any{
				"kind":  rapid.SampledFrom([]string{"left", "back", "moved", "unheard"}).Draw(t, "kind"),
				"email": rapid.SampledFrom([]string{"a@acme.example", "b@acme.example"}).Draw(t, "email"),
				"at":    rapid.SampledFrom([]any{"2026-11-22T11:00:00Z", 1795348800, 1795348800123, "never"}).Draw(t, "at"),
			}
			if id := rapid.SampledFrom([]any{"", "x", 7, nil}).Draw(t, "id"); id != nil {
				one["id"] = id
			}
			return one
		})
		items := rapid.SliceOfN(item, 0, 12).Draw(t, "items")
		whole := mapItems(t, m, items)
		parts := slices.Clone(items)
		for i := len(parts) - 1; i > 0; i-- {
			j := rapid.IntRange(0, i).Draw(t, "swap")
			parts[i], parts[j] = parts[j], parts[i]
		}
		cut := rapid.IntRange(0, len(parts)).Draw(t, "cut")
		again := slices.Concat(mapItems(t, m, parts[:cut]).Drafts, mapItems(t, m, parts[cut:]).Drafts, mapItems(t, m, items).Drafts)
		if got, want := cases(again), cases(whole.Drafts); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		said := map[string]string{}
		for _, d := range whole.Drafts {
			said[fmt.Sprint(d.Item)] = string(d.Data) + d.Time + d.ID
		}
		for _, d := range mapItems(t, m, items).Drafts {
			if said[fmt.Sprint(d.Item)] != string(d.Data)+d.Time+d.ID {
				t.Errorf("item %d says something else the second time", d.Item)
			}
		}
	})
}

func mapItems(t *rapid.T, m *mapping.Mapping, items []map[string]any) mapping.Result {
	if items == nil {
		items = []map[string]any{}
	}
	body, err := json.Marshal(map[string]any{"events": items})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := m.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return m.Map(mapping.Input{Received: received, Body: tree})
}

// FuzzMap: whatever a sender posts, every item is accounted for once, what comes out is readable, and what is kept of
// it maps to the same.
func FuzzMap(f *testing.F) {
	m := compiled(f, plainMapping)
	form := compiled(f, "format: form\n"+plainMapping)
	for _, body := range []string{
		`{"events": [{"kind": "left", "id": 7, "email": "a", "at": 1}]}`, `{"events": [null, 1, "a", [], {}]}`, `{"events": {"a": 1}}`,
		`{"events": [{"kind": "left", "email": {"a": 1}, "at": 1e300, "number": 1.5}]}`, `[]`, `null`, `"events"`, `events[]=a&events[]=b`,
		`{"events": [{"kind": "back", "email": "\ud800", "at": "2026-01-01T00:00:00Z", "id": [1]}]}`, `a[b][c]=1&a[b]=2`, "a=\xf1&\xb0[\xb0]=%f1&events[]=\xf1",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, one := range []*mapping.Mapping{m, form} {
			tree, err := one.Parse(body)
			if err != nil {
				continue
			}
			in := mapping.Input{Received: received, Body: tree}
			r := one.Map(in)
			if whole := len(r.Faults) == 1 && r.Faults[0].Item < 0; !whole && len(r.Drafts)+len(r.Faults)+r.Unknown+r.Skipped != r.Items {
				t.Fatalf("%d items became %+v", r.Items, r)
			}
			for _, d := range r.Drafts {
				if d.ID == "" || d.Type == "" || !json.Valid(d.Data) {
					t.Fatalf("%+v", d)
				}
			}
			back, err := one.Restore([]byte(encode(t, mapping.Keep(in, r.Faults, nil))), received)
			if err != nil {
				t.Fatal(err)
			}
			if again := one.Map(back); encode(t, again.Drafts) != encode(t, r.Drafts) {
				t.Fatalf("what was kept maps to %+v, before to %+v", again.Drafts, r.Drafts)
			}
		}
	})
}
