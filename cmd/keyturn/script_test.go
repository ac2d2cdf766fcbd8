package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/testscript"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ingest"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// TestMain lets the scripts run the real command line: exec and exits in a process of its own, which every command does
// somewhere, call, fails and until in the one process of their script.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"keyturn": main, answering: answerCalls})
}

// endAtOnce keeps a process under the race detector from ending a second after its work.
const endAtOnce = "atexit_sleep_ms=20"

// TestScripts runs the commands against a broker, an intake and a planner in this process. Lanes are left out: what
// they would write to the ledger, a script writes itself.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			s, err := newSite(env.WorkDir)
			if err != nil {
				return err
			}
			env.Defer(s.stop)
			env.Values[siteKey{}] = s
			env.Values[answererKey{}] = &answerer{env: env, dir: "testdata/script"}
			env.Setenv("KEYTURN_STORE", s.store)
			env.Setenv("GORACE", endAtOnce)
			env.Setenv("KEYTURN_CONFIG_DIR", s.config)
			env.Setenv("KEYTURN_LISTEN", s.intake.Listener.Addr().String())
			opts, err := embedded.Find(s.store)
			env.Setenv("SERVER", strings.Replace(opts.URL, "//", "//"+opts.User+":"+opts.Password.Reveal()+"@", 1))
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": cmdExits, "keep": cmdKeep, "act": cmdAct, "bury": cmdBury, "shutdown": cmdShutdown, "until": cmdUntil,
			"deaf": cmdDeaf, "post": cmdPost, "call": cmdCall, "fails": cmdFails,
		},
	})
}

// site is one machine: a store with its broker, an intake, and a planner.
type site struct {
	store, config string
	server        *embedded.Server
	bus           *stream.Bus
	ledger        *ledger.Ledger
	intake        *httptest.Server
	work          sync.WaitGroup
	cancel        context.CancelFunc
	stopped       sync.Once
	deaf          chan struct{} // closed: commands are not worked off any more
}

type siteKey struct{}

func siteOf(ts *testscript.TestScript) *site { return ts.Value(siteKey{}).(*site) }

const sampleSecret = "whsec_c2FtcGxlLXNlY3JldC1vZi1hY21lLWV4YW1wbGU="

const siteSources = `sources:
  hr-relay: {preset: cloudevents, verify: {standard_webhooks: {secrets: ["${file:hr-relay.secret}"]}}}
  siem: {preset: cloudevents, verify: {hmac: {header: X-Signature, prefix: "sha256=", timestamp_header: X-Time, secrets: ["${file:siem.secret}"]}}}
  badges:
    preset: custom
    verify: {hmac: {header: X-Signature, secrets: ["${file:siem.secret}"]}}
    map:
      type: {of: item.kind, table: {revoked: user.terminated}}
      id: ["item.id"]
      data: {user: {email: "${{ item.mail }}"}}
`

// newSite starts everything over a fresh store.
func newSite(dir string) (*site, error) {
	s := &site{store: filepath.Join(dir, "store"), config: filepath.Join(dir, "config"), deaf: make(chan struct{})}
	if err := os.MkdirAll(s.config, 0o700); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"sources.yaml": siteSources, "hr-relay.secret": sampleSecret, "siem.secret": "sample-secret-of-acme-example"} {
		if err := os.WriteFile(filepath.Join(s.config, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if _, err := embedded.DeploymentKey(s.store); err != nil { // before the streams: a store with a ledger makes none
		return nil, err
	}
	var err error
	// The scripts are about the commands, not about the disk: the sync is left out.
	s.server, err = embedded.Start(embedded.Options{Dir: s.store, Listen: true, Durability: stream.Group, Sync: func() error { return nil }})
	if err != nil {
		return nil, err
	}
	if s.bus, err = stream.Connect(context.Background(), s.server.Options()); err != nil {
		return nil, err
	}
	if err := s.bus.CreateTopology(context.Background()); err != nil {
		return nil, err
	}
	s.ledger = ledger.New(s.bus.Log(), nil)
	if err := s.plan(); err != nil {
		return nil, err
	}
	return s, s.take()
}

// take starts the intake.
func (s *site) take() error {
	configured, err := config.ReadSources(s.config, config.Resolver{})
	if err != nil {
		return err
	}
	sources, err := ingest.NewSources(configured)
	if err != nil {
		return err
	}
	h, err := ingest.NewHandler(ingest.Options{Sources: sources, Publisher: s.bus, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	if err != nil {
		return err
	}
	s.intake = httptest.NewServer(h)
	return nil
}

// plan starts the planner.
func (s *site) plan() error {
	key, err := embedded.DeploymentKey(s.store)
	if err != nil {
		return err
	}
	keyer, err := events.NewKeyer([]byte(key.Reveal()))
	if err != nil {
		return err
	}
	p := &planner.Planner{Ledger: s.ledger, Queue: s.bus, Timetable: s.bus, Morgue: s.bus, Plans: offboarding{}, Keyer: keyer,
		Follow: func(context.Context, string) error { return nil }, Worker: "worker-1", NewID: uuid.NewString,
		Remap: ingest.Remapper{Dir: s.config}.Remap, Intake: s.bus}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	consume := func(c stream.Consumer, h stream.Handler) {
		s.work.Go(func() { _ = s.bus.Consume(ctx, c, 1, h) })
	}
	decoded := func(h func(context.Context, events.Event, time.Time) events.Outcome) stream.Handler {
		return func(ctx context.Context, m *stream.Message) events.Outcome {
			e, err := events.Unmarshal(m.Data)
			if err != nil {
				return events.Outcome{Verdict: events.Done, Err: err}
			}
			return h(ctx, e, m.Stored)
		}
	}
	for _, class := range events.Classes() {
		consume(stream.EventsOf(class), decoded(p.Event))
		consume(stream.DueOf(class), decoded(p.Due))
	}
	consume(stream.Faults(), func(ctx context.Context, m *stream.Message) events.Outcome {
		var f events.Fault
		if err := json.Unmarshal(m.Data, &f); err != nil {
			return events.Outcome{Verdict: events.Done, Err: err}
		}
		return p.Fault(ctx, f)
	})
	consume(stream.Commands(), func(ctx context.Context, m *stream.Message) events.Outcome {
		select {
		case <-s.deaf:
			return events.Outcome{Verdict: events.Retry, Delay: time.Minute}
		default:
		}
		var c events.Command
		if err := json.Unmarshal(m.Data, &c); err != nil {
			return events.Outcome{Verdict: events.Done, Err: err}
		}
		return p.Command(ctx, c)
	})
	return nil
}

// stop ends the site as a clean stop does.
func (s *site) stop() {
	s.stopped.Do(func() {
		s.intake.Close()
		s.cancel()
		s.work.Wait()
		_ = s.bus.Close(context.Background())
		_ = s.server.Close()
	})
}

// offboarding is the playbook of the scripts: a person is suspended and loses the devices; whoever is called "held" or
// "protected" waits for one approval, or is refused.
type offboarding struct{}

func (offboarding) Plan(e events.Event) (events.Plan, error) {
	p := events.Plan{Case: e.Case(), Event: e, Class: e.Class, Playbooks: []string{"offboard"}}
	for _, step := range []struct{ name, do, at string }{{"suspend", "okta.suspend_user", "okta-prod"}, {"devices", "asa.revoke_clients", "asa-prod"}} {
		p.Actions = append(p.Actions, events.Action{ID: events.ActionID(p.Case, "offboard", step.name), Case: p.Case, Playbook: "offboard",
			Step: step.name, Do: step.do, Connection: step.at, Class: e.Class, Target: e.Subject})
	}
	return p, nil
}

func (offboarding) Confirms(events.Event) bool { return false }

func (offboarding) Guard(p events.Plan) (planner.Guard, error) {
	switch {
	case strings.HasPrefix(p.Event.Subject, "user:protected"):
		return planner.Guard{Protected: p.Event.Subject}, nil
	case strings.HasPrefix(p.Event.Subject, "user:held"):
		return planner.Guard{Approval: playbook.Approval{Approvers: 1, Why: "okta.suspend_user needs 1 approval"}}, nil
	case strings.HasPrefix(p.Event.Subject, "user:twice"):
		return planner.Guard{Approval: playbook.Approval{Approvers: 2, Why: "okta.suspend_user needs 2 approvals"}}, nil
	}
	return planner.Guard{}, nil
}

// cmdExits runs a command that must end with the given exit code.
func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("exec: %v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// cmdKeep puts what the expression's first group matches in the last output into a variable.
func cmdKeep(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("no match for %q", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// cmdAct writes what a lane would: act CASE STEP STATE. The case closes, or needs a person, with its last action.
func cmdAct(ts *testscript.TestScript, _ bool, args []string) {
	s := siteOf(ts)
	ctx := context.Background()
	id := events.ActionID(args[0], "offboard", args[1])
	state := ledger.State(args[2])
	e := &ledger.Evidence{Pins: map[string]string{"user": "00u1"}}
	switch state {
	case ledger.Verified:
		e.Seen = []ledger.Fact{{What: "user 00u1 status", Value: "SUSPENDED"}}
		e.Applied = []ledger.Effect{{Call: "okta.suspendUser", Target: "00u1", RequestID: "req-1", Time: time.Now()}}
	case ledger.Dead:
		e.Failure = &ledger.Failure{Cause: "permanent", Status: 403, Error: "suspend user 00u1: not allowed", Suggestion: "grant okta.users.manage"}
	}
	ts.Check(s.write(ctx, ledger.Record{Subject: ledger.ActionSubject(args[0], id), State: state, Tries: 1, Attempts: 1, Evidence: e}))
	if state == ledger.Dead {
		ts.Check(s.write(ctx, ledger.Record{Subject: ledger.LifecycleSubject(args[0]), State: ledger.NeedsPerson, Reason: args[1] + " is dead"}))
	}
	if len(args) > 3 && args[3] == "last" {
		ts.Check(s.write(ctx, ledger.Record{Subject: ledger.LifecycleSubject(args[0]), State: ledger.Closed}))
	}
}

// write appends a record behind the last of its subject.
func (s *site) write(ctx context.Context, rec ledger.Record) error {
	prev, err := s.ledger.Last(ctx, rec.Subject)
	if err != nil {
		return err
	}
	rec.By, rec.Attempt = "worker-1", uuid.NewString()
	_, err = s.ledger.Append(ctx, prev, rec)
	return err
}

// cmdBury buries an action as its runner would: bury CASE STEP. With a third word, as one did before letters had a source.
func cmdBury(ts *testscript.TestScript, _ bool, args []string) {
	s := siteOf(ts)
	rec, err := s.ledger.Last(context.Background(), ledger.PlanSubject(args[0]))
	ts.Check(err)
	d, err := planner.Decode(rec)
	ts.Check(err)
	a, ok := d.Action(events.ActionID(args[0], "offboard", args[1]))
	if !ok {
		ts.Fatalf("no action %s", args[1])
	}
	original, err := json.Marshal(a)
	ts.Check(err)
	died, err := s.ledger.Last(context.Background(), ledger.ActionSubject(a.Case, a.ID))
	ts.Check(err)
	source := d.Event.Scope
	if len(args) > 2 {
		source = ""
	}
	ts.Check(s.bus.Bury(context.Background(), events.DeadLetter{ID: a.ID, Kind: events.DeadAction, Case: a.Case, Connection: a.Connection,
		Source: source, Do: a.Do, Principal: a.Target, Cause: "permanent", Status: 403, Error: "suspend user 00u1: not allowed",
		Suggestion: "grant okta.users.manage", Attempts: 1, Time: died.Time, Original: original}))
}

// cmdShutdown stops the site cleanly. (A script's own stop ends the script, with what follows never run.)
func cmdShutdown(ts *testscript.TestScript, _ bool, _ []string) { siteOf(ts).stop() }

// cmdDeaf makes the planner give every command back.
func cmdDeaf(ts *testscript.TestScript, _ bool, _ []string) { close(siteOf(ts).deaf) }

// TestAuditOfABrokenChainFails: a ledger that was tampered with is an error of its own.
func TestAuditOfABrokenChainFails(t *testing.T) {
	var out strings.Builder
	a := &app{out: &out, err: &out, now: time.Now, zone: time.UTC}
	err := a.printAudit(auditResult{Records: 3, Broken: []ledger.Broken{{Subject: "ledger.x.plan", Seq: 2, Why: "the record does not match its hash"}}})
	if exitCode(err) != exitFailed || !strings.Contains(out.String(), "ledger.x.plan") {
		t.Errorf("audit of a broken chain: %v\n%s", err, out.String())
	}
}

// TestEveryCommandHasHelp: each has a short text, and prints its own help.
func TestEveryCommandHasHelp(t *testing.T) {
	a := &app{out: os.Stdout, err: os.Stderr, now: time.Now, zone: time.UTC}
	for _, c := range newRootCmd(a).Commands() {
		if c.Short == "" || c.RunE == nil && c.Run == nil {
			t.Errorf("%s: no short text, or nothing to run", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			if sub.Short == "" {
				t.Errorf("%s: no short text", sub.CommandPath())
			}
		}
	}
}
