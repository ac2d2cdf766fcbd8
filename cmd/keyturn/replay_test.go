package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/replay"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// past is a store with a history of events, and of the plans that rules made of them at the time.
type past struct {
	tb    testing.TB
	store string
	bus   *stream.Bus
	cases map[string]string // event id → case
}

// newPast starts a broker over an empty store. The disk is no part of these tests.
func newPast(tb testing.TB) *past {
	tb.Helper()
	p := &past{tb: tb, store: filepath.Join(tb.TempDir(), "store"), cases: map[string]string{}}
	broker, err := embedded.Start(embedded.Options{Dir: p.store, Listen: true, Durability: stream.Group, Sync: func() error { return nil }, MaxStore: 8 << 30})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = broker.Close() })
	if p.bus, err = stream.Connect(context.Background(), broker.Options()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.bus.Close(context.Background()) })
	if err := p.bus.CreateTopology(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return p
}

// sampleEvents are n events of many people and things, of the types that a company sees.
func sampleEvents(n int) []events.Event {
	list := make([]events.Event, n)
	for i := range list {
		who := fmt.Sprintf(`{"email":"person%05d@acme.example","employee_number":"%d","login":"person%05d@acme.example"}`, i, 10_000+i, i)
		name, data := "user.terminated", fmt.Sprintf(`{"reason":"left the company","user":%s}`, who)
		subject, class := fmt.Sprintf("user:%d", 10_000+i), events.Normal
		switch i % 10 {
		case 7:
			name, class = "user.compromised", events.Urgent
			data = fmt.Sprintf(`{"reason":"token on a paste site","user":%s}`, who)
		case 8:
			name, class = "client.compromised", events.Urgent
			data, subject = fmt.Sprintf(`{"client_id":"0oa%d"}`, i), fmt.Sprintf("client:0oa%d", i)
		case 9:
			name, class = "device.lost", events.Urgent
			data, subject = fmt.Sprintf(`{"device":{"hostname":"host-%d"},"user":%s}`, i, who), fmt.Sprintf("device:host-%d", i)
		}
		list[i] = events.Event{ID: fmt.Sprintf("e%06d", i), Source: "https://hr.acme.example", Type: events.TypePrefix + name + events.TypeSuffix,
			Subject: subject, Time: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), Scope: "hr-relay", Class: class, Data: json.RawMessage(data)}
	}
	return list
}

// add stores events, and plans of them as the playbooks in dir make them. What their brakes would have said is left out.
func (p *past) add(dir string, list []events.Event) {
	p.tb.Helper()
	for rest := list; len(rest) > 0; {
		n := min(len(rest), 1000)
		if err := p.bus.PublishEvents(p.tb.Context(), rest[:n]); err != nil {
			p.tb.Fatal(err)
		}
		rest = rest[n:]
	}
	given, err := rulesIn(dir)
	if err != nil {
		p.tb.Fatal(err)
	}
	l := ledger.New(p.bus.Log(), nil)
	for _, e := range list {
		p.cases[e.ID] = e.Case()
		j := replay.Judge(given, e, e.EffectiveAt.After(time.Now()))
		j.Plan.Accepted = time.Now().UTC()
		body, err := json.Marshal(j.Plan)
		if err == nil {
			_, err = l.Append(p.tb.Context(), ledger.Record{}, ledger.Record{Subject: ledger.PlanSubject(e.Case()), State: ledger.State(j.State),
				Reason: j.Why, Body: body, By: "worker-1", Attempt: uuid.NewString()})
		}
		if err != nil {
			p.tb.Fatal(err)
		}
	}
}

// keyturn runs a command line over the store.
func (p *past) keyturn(args ...string) (code int, stdout, stderr string) {
	p.tb.Helper()
	var out, errs bytes.Buffer
	err := run(p.tb.Context(), append(args, "--store", p.store), strings.NewReader(""), &out, &errs)
	return exitCode(err), out.String(), errs.String()
}

// playbooks writes playbooks.yaml into a directory of its own.
func playbooksIn(tb testing.TB, text string) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "playbooks.yaml"), []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// BenchmarkReplay plays 100,000 events that were planned by the same playbooks, through the command line and all.
func BenchmarkReplay(b *testing.B) {
	const n = 100_000
	p := newPast(b)
	dir := "../../deploy/config"
	p.add(dir, sampleEvents(n))
	for b.Loop() {
		began := time.Now()
		code, out, errs := p.keyturn("replay", "--playbooks", dir, "--since", "all")
		if !strings.HasPrefix(out, "100000 events") {
			b.Fatalf("exit code %d: %s%s", code, out, errs)
		}
		b.Logf("%d events in %s, exit code %d\n%s", n, time.Since(began), code, out[:min(len(out), 1500)])
		b.ReportMetric(float64(n)/time.Since(began).Seconds(), "events/s")
	}
}
