package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
	"keyturn/internal/view"
)

const (
	// demoStaff is how many people use the client that is compromised.
	demoStaff = 30
	// demoLimit bounds the whole demo. It takes some 15 s: most of it is waiting that the providers ask for.
	demoLimit = 55 * time.Second
	// demoPoll is how often the demo looks into the ledger.
	demoPoll = 50 * time.Millisecond
)

// newDemoCmd runs the main job and judges it.
func newDemoCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run the main job on a temporary store: signed webhooks become proven revocations",
		Long: "Start everything in one process over a temporary store, send signed webhooks over HTTP while the providers\n" +
			"throttle, fail and lie now and then, and show what becomes of them. The exit code is 0 only if the providers'\n" +
			"own state shows that everything that had to go is gone and nobody else lost anything.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context()) },
	}
}

// stage is a running demo.
type stage struct {
	*app
	sandbox *sandbox.Server
	acme    sandbox.Acme
	machine *machine
	ledger  *ledger.Ledger
	view    *view.Reader
	meter   *meter
	scenes  []scene
	wild    wild
	began   time.Time
	mu      sync.Mutex        // guards cases and wild.scenes: they are shown while they are sent
	cases   map[string]string // by scene id
	resent  int               // resends that were answered with the same case
	forged  int               // the answer to a delivery whose signature is wrong
}

// demo sets the stage, plays, and judges.
func (a *app) demo(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, demoLimit)
	defer cancel()
	dir, err := os.MkdirTemp("", "keyturn-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	st, err := a.newStage(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.sandbox.Close()) }()
	before := st.sandbox.Snapshot()
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- st.machine.run(running) }()
	played := st.play(ctx)
	stop()
	err = errors.Join(played, <-ended)
	if err == nil {
		err = st.conclude(context.WithoutCancel(ctx), before)
	}
	return errors.Join(err, st.machine.close())
}

// newStage builds the sandbox, its company and its troubles, and the machine over dir.
func (a *app) newStage(ctx context.Context, dir string) (*stage, error) {
	sb, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		return nil, err
	}
	st := &stage{app: a, sandbox: sb, acme: sb.SeedAcme(demoStaff), meter: newMeter(), began: a.now(), cases: map[string]string{}}
	st.scenes = script(st.acme, st.began)
	for _, f := range trouble() {
		if _, err := sb.Fault(f); err != nil {
			return nil, errors.Join(err, sb.Close())
		}
	}
	config := filepath.Join(dir, "config")
	if err := writeSample(config, sb.URL, sb.Credentials(), wildBrake); err != nil {
		return nil, errors.Join(err, sb.Close())
	}
	st.machine, err = newMachine(ctx, machineOptions{
		Store: filepath.Join(dir, "store"), MaxStore: 1 << 30, ConfigDir: config, Public: "127.0.0.1:0", Admin: "127.0.0.1:0",
		Log: slog.New(slog.DiscardHandler), Meter: st.meter.of,
	})
	if err != nil {
		return nil, errors.Join(err, sb.Close())
	}
	st.ledger = ledger.New(st.machine.bus.Log(), a.now)
	st.view = view.New(st.ledger)
	return st, nil
}

// play sends every scene and its resend, and one forgery, and shows what happens until all have come to their end.
func (st *stage) play(ctx context.Context) error {
	if err := st.open(); err != nil {
		return err
	}
	watch, stop := context.WithCancel(ctx)
	defer stop()
	shown := make(chan error, 1)
	if err := st.ready(ctx); err != nil {
		return err
	}
	go func() { shown <- st.watch(watch) }()
	if err := st.sendAll(ctx); err != nil {
		return err
	}
	if err := st.forge(ctx); err != nil {
		return err
	}
	err := st.runWild(ctx)
	if err == nil {
		err = st.rest(ctx, st.scenes)
	}
	stop()
	return errors.Join(err, <-shown)
}

// ready waits until the machine takes deliveries.
func (st *stage) ready(ctx context.Context) error {
	return poll(ctx, func() (bool, error) {
		return st.machine.bus.Ready(ctx) == nil && st.machine.server.Ready(ctx) == nil, nil
	})
}

// sendAll delivers every scene, and then every one of them again, as senders do that did not hear the answer.
func (st *stage) sendAll(ctx context.Context) error {
	for _, s := range st.scenes {
		if s.after != "" {
			if err := st.decided(ctx, st.cases[s.after]); err != nil {
				return err
			}
		}
		id, err := st.send(ctx, s)
		if err != nil {
			return err
		}
		st.mu.Lock()
		st.cases[s.id] = id
		st.mu.Unlock()
	}
	for _, s := range st.scenes {
		id, err := st.send(ctx, s)
		if err != nil {
			return err
		}
		if id == st.cases[s.id] {
			st.resent++
		}
	}
	return nil
}

// send delivers a scene and gives its case.
func (st *stage) send(ctx context.Context, s scene) (string, error) {
	cases, err := st.post(ctx, s)
	if err != nil {
		return "", err
	}
	if len(cases) != 1 {
		return "", fmt.Errorf("send %s: %d cases in the answer", s.id, len(cases))
	}
	return cases[0], nil
}

// post delivers a scene and gives the cases of its answer.
func (st *stage) post(ctx context.Context, s scene) ([]string, error) {
	body, err := s.event(st.began)
	if err != nil {
		return nil, err
	}
	req, err := st.machine.request(s, body)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("send %s: %w", s.id, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("send %s: %w", s.id, err)
	}
	cases, err := readAnswer(resp, answer)
	if err != nil {
		return nil, fmt.Errorf("send %s: %w", s.id, err)
	}
	return cases, nil
}

// caseOf is the case of a scene that was sent.
func (st *stage) caseOf(s scene) (string, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	id, ok := st.cases[s.id]
	return id, ok
}

// forge sends a termination of somebody else under a signature that is not the sender's.
func (st *stage) forge(ctx context.Context) error {
	s := scene{source: "hr-relay", id: "hr-6666", kind: "user.terminated", data: object{"user": personOf(st.acme.Staff[0])}}
	body, err := s.event(st.began)
	if err != nil {
		return err
	}
	req, err := st.machine.request(s, append(body, ' '))
	if err != nil {
		return err
	}
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := http.DefaultClient.Do(req.WithContext(ctx))
	if err != nil {
		return err
	}
	st.forged = resp.StatusCode
	return resp.Body.Close()
}

// decided waits until the plan of a case stands.
func (st *stage) decided(ctx context.Context, caseID string) error {
	return poll(ctx, func() (bool, error) {
		rec, err := st.ledger.Last(ctx, ledger.PlanSubject(caseID))
		return rec.State != "", err
	})
}

// rest waits until every scene's case rests. One that never does runs into the demo's limit, which names it.
func (st *stage) rest(ctx context.Context, scenes []scene) error {
	for _, s := range scenes {
		err := poll(ctx, func() (bool, error) {
			v, err := st.view.Case(ctx, st.cases[s.id])
			return err == nil && v.Resting(), err
		})
		if err != nil {
			return fmt.Errorf("%s (case %s) did not come to its end: %w", s.title, st.cases[s.id], err)
		}
	}
	return nil
}

// poll looks until done says so, or ctx ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	ticker := time.NewTicker(demoPoll)
	defer ticker.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
