package playbook

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// ridden is a minute of the day on which everybody passes.
func ridden(minute int) time.Time {
	return time.Date(2026, 3, 2, 12, minute, 0, 0, time.UTC)
}

// TestTallyOfRecords: what the ledger has is counted on whatever it is: records of old do not say who passed, or under
// which names, and planners whose clocks differ do not write in the order of time.
func TestTallyOfRecords(t *testing.T) {
	const record = `[{"case":"c1","time":"2026-03-02T12:00:00Z"},{"who":"ann","names":["ann ann@acme.example","ann"],"case":"c2","time":"2026-03-02T12:09:00Z"},` +
		`{"who":"ben","names":["ben"],"case":"c3","time":"2026-03-02T12:05:00Z"},{"case":"c4","time":"2026-03-02T12:08:00Z"}]`
	var passed []Pass
	if err := json.Unmarshal([]byte(record), &passed); err != nil {
		t.Fatal(err)
	}
	ride := func(who, name, id string) Rider { return Rider{Who: who, Keys: []string{who}, Name: name, Case: id} }
	tally := NewTally(passed)
	for _, c := range []struct {
		name  string
		begin int
		rider Rider
		most  int
		want  string
	}{
		{"a case of old", -1, ride("eve", "eve", "c1"), 0, ""},
		{"somebody new", -1, ride("eve", "eve", "c5"), 4, "4 have passed and no more than 4 may"},
		{"somebody new, of more", -1, ride("eve", "eve", "c5"), 5, ""},
		{"the same name of somebody known", -1, ride("ann", "ann", "c5"), 0, ""},
		{"another name of somebody known", -1, ride("ann", "a.", "c5"), 5, ""},
		{"another name, of fewer", -1, ride("ann", "a.", "c5"), 4, "4 have passed under 5 names, which is too many to be sure who is who"},
		{"when the oldest are over", 5, ride("eve", "eve", "c5"), 2, "2 have passed and no more than 2 may"},
		{"one of these once more", 5, ride("ben", "ben", "c3"), 3, ""},
		{"behind the oldest that is left", 8, ride("eve", "eve", "c5"), 1, "1 have passed and no more than 1 may"},
	} {
		if c.begin >= 0 {
			tally.Begin(ridden(c.begin))
		}
		if got := tally.Over(c.rider, c.most); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if !tally.Count(ride("ann", "a.", "c6"), ridden(10)) || tally.Count(ride("ann", "a.", "c6"), ridden(11)) {
		t.Error("a case counts once")
	}
	want := []Pass{{Who: "ann", Names: []string{"a.", "ann ann@acme.example", "ann"}, Case: "c6", Time: ridden(10)}}
	if diff := cmp.Diff(want, tally.Passed()); diff != "" {
		t.Error(diff)
	}
}

// TestTallyOfOnePerson: whoever turned out to be somebody who passed takes their place, with the names of both, until the
// window that began with the last case of theirs is over to the instant.
func TestTallyOfOnePerson(t *testing.T) {
	tally := &Tally{}
	tally.Count(Rider{Who: "ann", Keys: []string{"ann"}, Name: "ann", Case: "c1"}, ridden(0))
	whole := Rider{Who: "a1", Keys: []string{"a1", "ann"}, Name: "a1 ann", Case: "c2"}
	if over := tally.Over(whole, 1); over != "" {
		t.Errorf("%q", over)
	}
	tally.Count(whole, ridden(1))
	tally.Begin(ridden(0))
	want := []Pass{{Who: "a1", Names: []string{"a1 ann", "ann"}, Case: "c2", Time: ridden(1)}}
	if diff := cmp.Diff(want, tally.Passed()); diff != "" {
		t.Error(diff)
	}
	if tally.Begin(ridden(1)); len(tally.Passed()) != 0 {
		t.Errorf("%+v passed in no time", tally.Passed())
	}
}

// TestTallyCountsOn: a tally that a replay keeps, and one that a planner makes of its record for each case, say the same;
// nobody stands in it twice, and there are never more than may pass, by persons and by names.
func TestTallyCountsOn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		most, per := rapid.IntRange(0, 6).Draw(rt, "max"), time.Duration(rapid.IntRange(1, 20).Draw(rt, "per"))*time.Minute
		kept, record, minute := &Tally{}, []Pass(nil), 0
		for i := range rapid.IntRange(1, 30).Draw(rt, "cases") {
			minute += rapid.IntRange(0, 5).Draw(rt, "later")
			keys := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}), 1, 3, rapid.ID).Draw(rt, "keys")
			r := Rider{Who: keys[0], Keys: keys, Name: rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(rt, "name"),
				Case: fmt.Sprint(rapid.IntRange(max(0, i-3), i).Draw(rt, "case"))}
			made := NewTally(record)
			made.Begin(ridden(minute).Add(-per))
			kept.Begin(ridden(minute).Add(-per))
			over := made.Over(r, most)
			if again := kept.Over(r, most); again != over {
				rt.Fatalf("of the record %q, kept %q", over, again)
			}
			if over == "" {
				made.Count(r, ridden(minute))
				kept.Count(r, ridden(minute))
			}
			record = made.Passed()
			check(rt, record, r, over == "", most)
		}
		if diff := cmp.Diff(record, kept.Passed()); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// check holds what must be true of those who passed, whatever came.
func check(rt *rapid.T, passed []Pass, r Rider, counted bool, most int) {
	names := 0
	for i, p := range passed {
		names += len(p.Names)
		if slices.ContainsFunc(passed[:i], func(o Pass) bool { return o.Who == p.Who || o.Case == p.Case }) {
			rt.Fatalf("%+v stands twice among %+v", p, passed)
		}
	}
	if len(passed) > most || names > most+spellings(most) {
		rt.Fatalf("%d passed under %d names, %d may", len(passed), names, most)
	}
	if counted && !slices.ContainsFunc(passed, func(p Pass) bool { return p.Case == r.Case }) {
		rt.Fatalf("%+v passed and is not among %+v", r, passed)
	}
}
