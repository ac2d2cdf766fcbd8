package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keyturn/internal/ledger"
	"keyturn/internal/ledger/ledgertest"
)

var states = []ledger.State{
	ledger.Scheduled, ledger.Planned, ledger.Held, ledger.Refused, ledger.Superseded, ledger.Cancelled, ledger.Conflict,
	ledger.Started, ledger.Waiting, ledger.Verified, ledger.Applied, ledger.Contested, ledger.Dead, ledger.Redriven,
	ledger.Regressed, ledger.Open, ledger.Closed, ledger.ClosedWithResidual, ledger.NeedsPerson, ledger.Kept,
}

func TestMemoryConforms(t *testing.T) {
	ledgertest.Conform(t, func(*testing.T) ledger.Log { return &ledgertest.Memory{} })
}

// write appends states to a subject one after the other.
func write(t *testing.T, l *ledger.Ledger, subject string, walk ...ledger.State) ledger.Record {
	t.Helper()
	prev, err := l.Last(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range walk {
		rec := ledger.Record{Subject: subject, State: s, By: "worker-1", Attempt: fmt.Sprintf("%s-%d", subject, i)}
		if prev, err = l.Append(t.Context(), prev, rec); err != nil {
			t.Fatalf("%v: %v", walk[:i+1], err)
		}
	}
	return prev
}

func TestTransitions(t *testing.T) {
	plan, action, life := ledger.PlanSubject("c"), ledger.ActionSubject("c", "c:p:s"), ledger.LifecycleSubject("c")
	for _, tc := range []struct {
		subject string
		walk    []ledger.State
		ok      bool
	}{
		{plan, []ledger.State{ledger.Scheduled, ledger.Held, ledger.Held, ledger.Planned}, true},
		{plan, []ledger.State{ledger.Planned, ledger.Planned}, false},
		{plan, []ledger.State{ledger.Planned, ledger.Cancelled, ledger.Scheduled, ledger.Superseded, ledger.Planned}, true},
		{plan, []ledger.State{ledger.Planned, ledger.Held}, false},
		{plan, []ledger.State{ledger.Refused, ledger.Planned}, false},
		{plan, []ledger.State{ledger.Started}, false},
		{action, []ledger.State{ledger.Started, ledger.Started, ledger.Waiting, ledger.Started, ledger.Verified}, true},
		{action, []ledger.State{ledger.Started, ledger.Dead, ledger.Redriven, ledger.Started, ledger.Applied}, true},
		{action, []ledger.State{ledger.Started, ledger.Verified, ledger.Regressed, ledger.Started, ledger.Verified}, true},
		{action, []ledger.State{ledger.Cancelled, ledger.Started}, false},
		{action, []ledger.State{ledger.Verified}, false},
		{action, []ledger.State{ledger.Started, ledger.Verified, ledger.Started}, false},
		{action, []ledger.State{ledger.Started, ledger.Dead, ledger.Started}, false},
		{life, []ledger.State{ledger.Open, ledger.NeedsPerson, ledger.Open, ledger.ClosedWithResidual, ledger.Closed}, true},
		{life, []ledger.State{ledger.ClosedWithResidual}, false},
		{ledger.OrderSubject("k"), []ledger.State{ledger.Kept, ledger.Kept}, true},
		{ledger.PersonSubject("k", "c"), []ledger.State{ledger.Open}, false},
		{"elsewhere", []ledger.State{ledger.Kept}, false},
	} {
		log := &ledgertest.Memory{}
		l := ledger.New(log, nil)
		var prev ledger.Record
		var err error
		for i, s := range tc.walk {
			prev, err = l.Append(t.Context(), prev, ledger.Record{Subject: tc.subject, State: s, Attempt: fmt.Sprint(i)})
			if err != nil {
				break
			}
		}
		if (err == nil) != tc.ok {
			t.Errorf("%s %v: %v, want ok %v", tc.subject, tc.walk, err, tc.ok)
		}
		if !tc.ok && len(log.Entries()) >= len(tc.walk) {
			t.Errorf("%s %v: the forbidden record was stored", tc.subject, tc.walk)
		}
	}
}

// TestWalksVerify: whatever sequence of transitions Append lets through, the chain verifies and the last record is
// the state.
func TestWalksVerify(t *testing.T) {
	subjects := []string{
		ledger.PlanSubject("c"), ledger.LifecycleSubject("c"), ledger.ActionSubject("c", "c:p:a"),
		ledger.ActionSubject("c", "c:p:b"), ledger.OrderSubject("k"),
	}
	rapid.Check(t, func(t *rapid.T) {
		log := &ledgertest.Memory{}
		l := ledger.New(log, nil)
		last := map[string]ledger.Record{}
		stored := 0
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			rec := ledger.Record{
				Subject: rapid.SampledFrom(subjects).Draw(t, "subject"),
				State:   rapid.SampledFrom(states).Draw(t, "state"),
				By:      "worker <1> & co",
				Attempt: fmt.Sprint(i),
				Body:    json.RawMessage(`{ "html": "<b>&", "n": 1e3 }`),
			}
			got, err := l.Append(context.Background(), last[rec.Subject], rec)
			if err != nil {
				continue
			}
			stored++
			last[rec.Subject] = got
		}
		n, broken, err := l.Verify(context.Background(), ledger.Everything())
		if n != stored || len(broken) != 0 || err != nil {
			t.Fatalf("verify = %d %v %v, want %d sound", n, broken, err, stored)
		}
		for subject, want := range last {
			got, err := l.Last(context.Background(), subject)
			if err != nil || got.Hash != want.Hash || got.State != want.State || !got.Time.Equal(want.Time) {
				t.Fatalf("last %s = %+v %v, want %+v", subject, got, err, want)
			}
		}
	})
}

// TestVerifyDetects: a record that was changed, dropped, slipped in or moved shows.
func TestVerifyDetects(t *testing.T) {
	subject := ledger.ActionSubject("c", "c:p:s")
	for name, meddle := range map[string]func([]ledgertest.Entry) []ledgertest.Entry{
		"changed state": func(e []ledgertest.Entry) []ledgertest.Entry {
			e[1].Data = bytes.Replace(e[1].Data, []byte(`"waiting"`), []byte(`"started"`), 1)
			return e
		},
		"changed hash": func(e []ledgertest.Entry) []ledgertest.Entry {
			e[3].Data = bytes.Replace(e[3].Data, []byte(`"hash":"`), []byte(`"hash":"0`), 1)
			return e
		},
		"added field": func(e []ledgertest.Entry) []ledgertest.Entry {
			e[2].Data = bytes.Replace(e[2].Data, []byte(`{`), []byte(`{"note":"looked fine",`), 1)
			return e
		},
		"trailing text": func(e []ledgertest.Entry) []ledgertest.Entry { e[2].Data = append(e[2].Data, " {}"...); return e },
		"dropped":       func(e []ledgertest.Entry) []ledgertest.Entry { return slices.Delete(e, 1, 2) },
		"dropped first": func(e []ledgertest.Entry) []ledgertest.Entry { return slices.Delete(e, 0, 1) },
		"doubled":       func(e []ledgertest.Entry) []ledgertest.Entry { return slices.Insert(e, 1, e[0]) },
		"swapped":       func(e []ledgertest.Entry) []ledgertest.Entry { e[0], e[1] = e[1], e[0]; return e },
		"other subject": func(e []ledgertest.Entry) []ledgertest.Entry { e[2].Subject += "x"; return e },
	} {
		log := &ledgertest.Memory{}
		l := ledger.New(log, nil)
		write(t, l, subject, ledger.Started, ledger.Waiting, ledger.Started, ledger.Verified)
		log.Rewrite(meddle(log.Entries()))
		_, broken, err := l.Verify(t.Context(), ledger.Everything())
		if err != nil || len(broken) == 0 {
			t.Errorf("%s: verify found %v, %v", name, broken, err)
		}
	}
}

// TestVerifyDetectsForgery: a forger who recomputes the hash of a changed record still breaks the link of the next.
func TestVerifyDetectsForgery(t *testing.T) {
	subject := ledger.ActionSubject("c", "c:p:s")
	log, other := &ledgertest.Memory{}, &ledgertest.Memory{}
	l := ledger.New(log, nil)
	write(t, l, subject, ledger.Started, ledger.Waiting, ledger.Started)
	forged := ledger.New(other, func() time.Time { return time.Unix(1, 0) })
	write(t, forged, subject, ledger.Started)
	entries := log.Entries()
	entries[0].Data = other.Entries()[0].Data
	log.Rewrite(entries)
	_, broken, err := l.Verify(t.Context(), ledger.CaseFilter("c"))
	if err != nil || len(broken) != 1 || broken[0].Seq != 2 {
		t.Errorf("verify = %v %v, want the second record broken", broken, err)
	}
}

func TestAppendAfterLostAnswer(t *testing.T) {
	subject := ledger.ActionSubject("c", "c:p:s")
	log := &ledgertest.Memory{}
	l := ledger.New(log, nil)
	first := write(t, l, subject, ledger.Started)
	mine := ledger.Record{Subject: subject, State: ledger.Waiting, Attempt: "mine"}

	lost := errors.New("timeout")
	log.After = func(string) error { return lost }
	if _, err := l.Append(t.Context(), first, mine); !errors.Is(err, lost) {
		t.Fatalf("append with a lost answer: %v", err)
	}
	log.After = nil
	if n := len(log.Entries()); n != 2 {
		t.Fatalf("%d records stored, want 2", n)
	}
	other := ledger.Record{Subject: subject, State: ledger.Waiting, Attempt: "other"}
	if _, err := l.Append(t.Context(), first, other); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("somebody else's append on the same record: %v, want ErrConflict", err)
	}
}

// retrying is a log that publishes twice when the first answer was lost, as a client with retries does.
type retrying struct{ *ledgertest.Memory }

func (r retrying) Append(ctx context.Context, subject string, after uint64, data []byte) (uint64, error) {
	if _, err := r.Memory.Append(ctx, subject, after, data); err != nil {
		return 0, err
	}
	return r.Memory.Append(ctx, subject, after, data)
}

func TestAppendKnowsItsOwnRecord(t *testing.T) {
	subject := ledger.ActionSubject("c", "c:p:s")
	log := retrying{&ledgertest.Memory{}}
	l := ledger.New(log, nil)
	first, err := l.Append(t.Context(), ledger.Record{}, ledger.Record{Subject: subject, State: ledger.Started, Attempt: "a"})
	if err != nil || first.Seq != 1 {
		t.Fatalf("append = %+v %v, want the stored record", first, err)
	}
	second, err := l.Append(t.Context(), first, ledger.Record{Subject: subject, State: ledger.Started, Attempt: "a"})
	if err != nil || second.Seq != 2 {
		t.Fatalf("second append of one attempt = %+v %v", second, err)
	}
	if _, err := l.Append(t.Context(), first, ledger.Record{Subject: subject, State: ledger.Started}); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("append without an attempt id: %v, want ErrConflict", err)
	}
	if n, broken, err := l.Verify(t.Context(), ">"); n != 2 || len(broken) != 0 || err != nil {
		t.Errorf("verify = %d %v %v", n, broken, err)
	}
}

func TestAppendRefusesStrangePrevious(t *testing.T) {
	l := ledger.New(&ledgertest.Memory{}, nil)
	plan := write(t, l, ledger.PlanSubject("c"), ledger.Planned)
	_, err := l.Append(t.Context(), plan, ledger.Record{Subject: ledger.ActionSubject("c", "c:p:s"), State: ledger.Redriven})
	if err == nil || !strings.Contains(err.Error(), "decided upon") {
		t.Errorf("append upon another subject's record: %v", err)
	}
}

func TestSubjects(t *testing.T) {
	for subject, want := range map[string][2]string{
		ledger.PlanSubject("abc"):              {"abc", "plan"},
		ledger.LifecycleSubject("abc"):         {"abc", "lifecycle"},
		ledger.ActionSubject("abc", "abc:p:s"): {"abc", "abc:p:s"},
		ledger.PersonSubject("k1", "abc"):      {"abc", ""},
		ledger.OrderSubject("k1"):              {"", ""},
	} {
		if got := [2]string{ledger.CaseOf(subject), ledger.Entry(subject)}; got != want {
			t.Errorf("%s is about %q, want %q", subject, got, want)
		}
	}
	if !ledgertest.Matches(ledger.CaseFilter("abc"), ledger.ActionSubject("abc", "abc:p:s")) ||
		ledgertest.Matches(ledger.CaseFilter("abc"), ledger.PersonSubject("k", "abc")) ||
		!ledgertest.Matches(ledger.PersonFilter("k"), ledger.OrderSubject("k")) {
		t.Error("the filters do not match what they say")
	}
}
