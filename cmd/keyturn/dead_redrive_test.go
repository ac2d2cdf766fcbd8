package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// fullRedrive is how many dead letters a redrive must manage.
const fullRedrive = 10_000

// TestRedriveRepeatsNothing sends dead letters again, kills the worker in the middle, interrupts the operator, and has
// the command repeated: everything is done, and nothing twice.
func TestRedriveRepeatsNothing(t *testing.T) {
	t.Parallel()
	n := 300
	if raceDetector {
		n = 40
	}
	cpu, took := redriveAll(t, newYard(t, func() error { return nil }), n, true)
	t.Logf("%d letters: %s of CPU time each, in %s", n, cpu/time.Duration(n), took)
}

// TestRedriveKeepsToTheBudget: what is sent again waits for the provider's budget as everything else does, and does not
// storm into refusals.
func TestRedriveKeepsToTheBudget(t *testing.T) {
	t.Parallel() // it waits for windows
	const n = 40
	y := newYard(t, func() error { return nil })
	for _, bucket := range []string{sandbox.BucketOktaUsers, sandbox.BucketOktaGetUser, sandbox.BucketOktaOther} {
		y.sb.SetLimit(bucket, sandbox.Limit{Requests: 50, Window: 5 * time.Second})
	}
	redriveAll(t, y, n, false)
	calls := y.sb.Journal().Of("okta")
	if refused := calls.Count(429); refused > 2 {
		t.Errorf("%d of %d calls were told to come later", refused, len(calls))
	}
}

// BenchmarkRedrive is 10,000 dead letters sent again over a store that syncs, the worker killed in the middle. It fails
// when an effect happens twice or not at all. "cpu-µs/letter" is what the operator's tool, the planner, the lanes, the
// broker and the sandbox take together.
func BenchmarkRedrive(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		y := newYard(b, nil)
		b.StartTimer()
		cpu, took := redriveAll(b, y, fullRedrive, true)
		b.ReportMetric(float64(cpu.Microseconds())/fullRedrive, "cpu-µs/letter")
		b.ReportMetric(fullRedrive/took.Seconds(), "letters/s")
	}
}

// redriveAll has n actions die, a third of them after their effect, and redrives them. It gives what that took.
func redriveAll(t testing.TB, y *yard, n int, kill bool) (cpu, took time.Duration) {
	t.Helper()
	const suspend = "/okta/api/v1/users/{userId}/lifecycle/suspend"
	for _, f := range []sandbox.Fault{
		{Method: "POST", Path: suspend, Kind: sandbox.KindEffectThenStatus, Status: 405, Times: n / 3},
		{Method: "POST", Path: suspend, Kind: sandbox.KindStatus, Status: 403, Times: -1},
		{Method: "POST", Path: "/mosaic/cis/**", Kind: sandbox.KindStatus, Status: 400, Times: -1},
	} {
		_, err := y.sb.Fault(f)
		y.must(err)
	}
	first := y.employ("worker-1")
	dead := y.ended.expect(n)
	y.leave(n)
	y.wait(dead, n)
	y.sb.ClearFaults()
	y.sent("hr-relay", n)
	y.sent("siem", 0)

	done := y.ended.expect(n)
	began, used := time.Now(), cpuTime(t)
	if kill {
		y.interrupted(first, n)
	}
	out, err := y.tool(t.Context(), "dead", "redrive", "--all", "--yes", "--reason", "scope granted", "--as", "lee@acme.example", "--wait", "2m")
	if err != nil {
		t.Fatalf("redrive: %v\n%s", err, out)
	}
	y.wait(done, n)
	last := y.closed(n)
	cpu, took = cpuTime(t)-used, time.Since(began)
	y.judge(n, last)
	return cpu, took
}

// sent checks how many letters the tool finds to come from a source.
func (y *yard) sent(source string, n int) {
	y.t.Helper()
	var list []events.DeadLetter
	out, err := y.tool(y.t.Context(), "dead", "list", "--source", source, "--json")
	y.must(err)
	y.must(json.Unmarshal([]byte(out), &list))
	if len(list) != n {
		y.t.Errorf("%d letters come from %s, want %d", len(list), source, n)
	}
}

// interrupted begins the redrive, kills the worker in the middle of it and the operator's tool with it, and lets
// another worker take over.
func (y *yard) interrupted(first *hand, n int) {
	y.t.Helper()
	ctx, stop := context.WithCancel(y.t.Context())
	defer stop()
	first.fuse.Store(int64(5 * n)) // of some thirteen writes that each letter takes
	told := make(chan error, 1)
	go func() {
		_, err := y.tool(ctx, "dead", "redrive", "--all", "--yes", "--reason", "scope granted", "--as", "lee@acme.example", "--wait", "2m")
		told <- err
	}()
	select {
	case <-first.died:
	case err := <-told:
		y.t.Fatalf("the redrive ended before the worker died: %v", err)
	case <-time.After(2 * time.Minute):
		y.t.Fatal("the worker never died")
	}
	stop()
	if err := <-told; err == nil {
		y.t.Error("the tool says that all is done though its worker died")
	}
	first.stop()
	y.employ("worker-2")
}

// tool runs the command line over the yard's store.
func (y *yard) tool(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	root := newRootCmd(&app{in: strings.NewReader(""), out: &out, err: &out, now: time.Now, zone: time.UTC})
	root.SetArgs(append(args, "--store", y.store))
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

// wait waits until the messages of so many actions were acknowledged.
func (y *yard) wait(all <-chan struct{}, n int) {
	y.t.Helper()
	select {
	case <-all:
	case <-time.After(time.Minute + time.Duration(n)*30*time.Millisecond):
		y.t.Fatalf("%d of %d actions have ended", y.ended.count(), n)
	}
}

// closed waits until every case is closed: an acknowledgement may be that of the copy of a message from before. It gives
// the last record of each subject of the ledger.
func (y *yard) closed(n int) map[string]ledger.Record {
	y.t.Helper()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-look.C {
		last, closed := map[string]ledger.Record{}, 0
		y.must(y.ledger.Range(y.t.Context(), ledger.AllCases(), time.Time{}, func(rec ledger.Record) error {
			last[rec.Subject] = rec
			return nil
		}))
		for subject, rec := range last {
			if ledger.Entry(subject) == "lifecycle" && rec.State == ledger.Closed {
				closed++
			}
		}
		if closed == n || time.Now().After(deadline) {
			return last
		}
	}
}

// judge compares the providers' and the ledger's words with what had to happen.
func (y *yard) judge(n int, last map[string]ledger.Record) {
	y.t.Helper()
	effects := map[string]int{}
	for _, effect := range y.sb.Journal().Effects() {
		if effects[effect]++; effects[effect] > 1 {
			y.t.Errorf("%d times: %s", effects[effect], effect)
		}
	}
	state, suspended, apps := y.sb.Snapshot(), 0, n/20
	for _, u := range state.Okta.Users {
		if u.Status == sandbox.StatusSuspended {
			suspended++
		}
	}
	created := map[string]int{}
	for _, c := range state.Mosaic.Clients {
		if created[c.Name]++; created[c.Name] > 1 {
			y.t.Errorf("%d clients are named %s", created[c.Name], c.Name)
		}
	}
	if suspended != n-apps || len(effects) != n {
		y.t.Errorf("%d of %d people are suspended, %d effects for %d actions", suspended, n-apps, len(effects), n)
	}
	y.judgeLedger(n, last)
}

// judgeLedger wants every action redriven once and achieved, every case closed, and no letter left.
func (y *yard) judgeLedger(n int, last map[string]ledger.Record) {
	y.t.Helper()
	redriven := map[string]int{}
	y.must(y.ledger.Range(y.t.Context(), ledger.AllCases(), time.Time{}, func(rec ledger.Record) error {
		if rec.State == ledger.Redriven {
			redriven[rec.Subject]++
		}
		return nil
	}))
	standing := map[string]int{}
	for subject, rec := range last {
		entry := ledger.Entry(subject)
		if entry != "plan" && entry != "lifecycle" {
			entry = "action"
			if redriven[subject] != 1 {
				y.t.Errorf("%s was redriven %d times", subject, redriven[subject])
			}
		}
		standing[entry+" "+string(rec.State)]++
	}
	if standing["action verified"] != n || standing["lifecycle closed"] != n || standing["plan planned"] != n {
		y.t.Errorf("of %d cases: %v", n, standing)
	}
	if out, err := y.tool(y.t.Context(), "dead", "list", "--all"); err != nil || !strings.Contains(out, "no dead letter") {
		y.t.Errorf("dead letters are left: %v\n%.2000s", err, out)
	}
	if _, broken, err := y.ledger.Verify(y.t.Context(), ledger.Everything()); err != nil || len(broken) > 0 {
		y.t.Errorf("the chain does not hold: %v, %v", broken, err)
	}
}

// cpuTime is what this process has used so far.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(fmt.Errorf("getrusage: %w", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
