package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ingest"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
)

// trial is one run of a flow under a script of strikes: its cases, and those who send, decide and send again.
type trial struct {
	*world
	*body
	plot
	n      int
	sent   []delivery
	want   []string // what must happen at Okta and ASA, each of it once
	oktaID string   // of its person
	fault  string   // of the sandbox, until a person sees to it
	app    string   // the app that must have one client in the end; empty = none

	words   []string // names of this trial, each before its word in the names of points
	saying  *strings.Replacer
	changed chan struct{} // something was decided, ended or acknowledged
	deaths  chan struct{} // one for each, and one for that of a whole worker

	hands   sync.Mutex
	open    map[string]bool          // messages that were taken in hand, and whether they are still to be acknowledged
	actions map[string]events.Action // that were published
}

// delivery is an event as its sender sends it, and the case that it must open.
type delivery struct {
	id, caseID string
	body       []byte
}

// begin casts a plot: its people and apps are at the providers when it returns.
func (w *world) begin(p plot) *trial {
	w.mu.Lock()
	tr := &trial{
		world: w, body: newBody(p.script), plot: p, n: len(w.all) + 1, changed: make(chan struct{}, 1),
		deaths: make(chan struct{}, len(p.script)+1), open: map[string]bool{}, actions: map[string]events.Action{},
	}
	w.all = append(w.all, tr)
	w.mu.Unlock()
	tr.name(fmt.Sprintf("c%06d", tr.n), "command")
	for i, s := range w.before.Okta.Servers {
		tr.name(s.ID, fmt.Sprintf("server%d", i+1))
	}
	p.flow.cast(tr)
	tr.saying = strings.NewReplacer(tr.words...)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range tr.sent {
		w.trials[d.id], w.trials[d.caseID] = tr, tr
	}
	return tr
}

// name gives what is this trial's own a word that is the same for all trials of its flow.
func (tr *trial) name(own, word string) { tr.words = append(tr.words, own, word) }

// say puts a subject or a path into these words. A client that Keyturn creates has no name before.
func (tr *trial) say(what string) string {
	what = tr.saying.Replace(what)
	if at := strings.Index(what, "/v1/clients/"); at >= 0 && strings.Contains(what, "/mosaic/") {
		what = what[:at] + "/v1/clients/one"
	}
	return what
}

// event makes an event for the trial to send.
func (tr *trial) event(kind string, data map[string]any) {
	id := fmt.Sprintf("e%06d-%d", tr.n, len(tr.sent)+1)
	raw, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": eventSource, "type": events.TypePrefix + kind + events.TypeSuffix,
		"time": time.Now().UTC().Format(time.RFC3339Nano), "datacontenttype": "application/json", "data": data,
	})
	if err != nil {
		panic(err)
	}
	caseID := events.CaseID(sourceName, events.Event{Source: eventSource, ID: id})
	tr.name(caseID, fmt.Sprintf("case%d", len(tr.sent)+1))
	tr.sent = append(tr.sent, delivery{id: id, caseID: caseID, body: raw})
}

// hit is called before and after every write and call of a visit, and strikes as the script says.
func (tr *trial) hit(v visit, what string, late bool) error {
	s, err := tr.body.hit(v, tr.say(what), late)
	if s != nil && s.mode.dies() {
		tr.deaths <- struct{}{}
		panic(death{})
	}
	return err
}

// enter takes a message in hand.
func (tr *trial) enter(ctx context.Context, m *stream.Message) context.Context {
	tr.hands.Lock()
	defer tr.hands.Unlock()
	v := visit{trial: tr, where: tr.say(m.Subject), seq: m.Seq}
	if _, again := tr.open[v.key()]; !again { // one that comes late and a second time may be acknowledged already
		tr.open[v.key()] = true
	}
	var a events.Action
	if strings.HasPrefix(m.Subject, "actions.") && json.Unmarshal(m.Data, &a) == nil {
		tr.actions[a.ID] = a
	}
	return tr.body.enter(ctx, v)
}

// key tells a message from the others of a trial.
func (v visit) key() string { return fmt.Sprint(v.where, " ", v.seq) }

// wrote is told of everything that a visit wrote.
func (tr *trial) wrote(v visit, op stream.Op, subject string) {
	switch {
	case op == stream.OpAck:
		tr.hands.Lock()
		tr.open[v.key()] = false
		tr.hands.Unlock()
	case op != stream.OpAppend || !(strings.HasSuffix(subject, ".plan") || strings.HasSuffix(subject, ".lifecycle")):
		return
	}
	select {
	case tr.changed <- struct{}{}:
	default:
	}
}

// run sends the events of the trial, does what people do meanwhile, and returns when all its cases are closed and all
// its messages acknowledged.
func (tr *trial) run(ctx context.Context) error {
	err := tr.each(ctx, tr.front)
	if err == nil && tr.flow.play != nil {
		err = tr.flow.play(ctx, tr)
	}
	if err == nil {
		err = tr.await(ctx, "closed", tr.settled)
	}
	if err == nil && tr.app != "" {
		err = tr.retire(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s\n%w", tr, err)
	}
	return nil
}

// each sends all events at once.
func (tr *trial) each(ctx context.Context, h http.Handler) error {
	errs := make(chan error, len(tr.sent))
	for _, d := range tr.sent {
		go func() { errs <- tr.send(ctx, d, h) }()
	}
	var err error
	for range tr.sent {
		if e := <-errs; e != nil {
			err = e
		}
	}
	return err
}

// send delivers an event until it is accepted, as senders do: over again when no answer came.
func (tr *trial) send(ctx context.Context, d delivery, h http.Handler) error {
	for {
		code, answer := tr.post(ctx, d, h)
		switch {
		case code == http.StatusAccepted && strings.Contains(answer, d.caseID):
			return nil
		case code != 0 && code != http.StatusServiceUnavailable:
			return fmt.Errorf("delivery of %s: %d %s", d.id, code, answer)
		case ctx.Err() != nil:
			return ctx.Err()
		}
		h = tr.side
	}
}

// post makes one delivery; 0 = no answer came, because the intake died.
func (tr *trial) post(ctx context.Context, d delivery, h http.Handler) (code int, answer string) {
	defer func() {
		if v := recover(); v != nil {
			rescue(v)
		}
	}()
	ctx = tr.body.enter(ctx, visit{trial: tr, where: intake + " of " + tr.say(d.caseID)})
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/hooks/"+sourceName, bytes.NewReader(d.body))
	req.Header.Set("Content-Type", "application/cloudevents+json")
	if err := ingest.Sign(sourceSpec(), req, d.body, d.id, time.Now()); err != nil {
		panic(err)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Code, rec.Body.String()
}

// command gives an operator's command, again and again until it is stored.
func (tr *trial) command(ctx context.Context, verb events.Verb, target, actor string) error {
	c := events.Command{
		ID: fmt.Sprintf("c%06d-%s", tr.n, actor), Verb: verb, Target: target, Actor: actor, Reason: "sample", Time: time.Now(),
	}
	for bus := tr.bus; ctx.Err() == nil; bus = tr.again {
		if tr.order(ctx, bus, c) {
			return nil
		}
	}
	return ctx.Err()
}

// order gives a command once.
func (tr *trial) order(ctx context.Context, bus *stream.Bus, c events.Command) (stored bool) {
	defer func() {
		if v := recover(); v != nil {
			rescue(v)
		}
	}()
	ctx = tr.body.enter(ctx, visit{trial: tr, where: operator})
	return bus.PublishCommand(ctx, c) == nil
}

// repeat is what comes again after a death: the sender's events, as if the window in which they are known again had
// passed, and whatever was published.
func (tr *trial) repeat(ctx context.Context) error {
	if err := tr.each(ctx, tr.side); err != nil || !tr.copies {
		return err
	}
	tr.hands.Lock()
	published := slices.Collect(maps.Values(tr.actions))
	tr.hands.Unlock()
	for _, a := range published {
		if err := tr.again.PublishAction(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// lookAfter is how long a trial waits for news before it looks without any.
const lookAfter = 3 * time.Second

// await waits until the ledger shows what is waited for, and repeats after every death.
func (tr *trial) await(ctx context.Context, what string, reached func(context.Context) (bool, error)) error {
	look := time.NewTicker(lookAfter)
	defer look.Stop()
	for {
		ok, err := reached(ctx)
		if ok || err != nil {
			return err
		}
		select {
		case <-tr.changed:
			if tr.echo { // what came a second time does not come a third time
				err = tr.repeat(ctx)
			}
		case <-look.C:
		case <-tr.deaths:
			err = tr.repeat(ctx)
		case <-ctx.Done():
			err = fmt.Errorf("never %s: %w\n%s", what, ctx.Err(), tr.report())
		}
		if err != nil {
			return err
		}
	}
}

// settled reports whether all cases are closed and nothing is in hand.
func (tr *trial) settled(ctx context.Context) (bool, error) {
	tr.hands.Lock()
	busy := slices.Contains(slices.Collect(maps.Values(tr.open)), true)
	tr.hands.Unlock()
	if busy || len(tr.deaths) > 0 {
		return false, nil
	}
	for _, d := range tr.sent {
		rec, err := tr.ledger.Last(ctx, ledger.LifecycleSubject(d.caseID))
		if err != nil || (rec.State != ledger.Closed && rec.State != ledger.ClosedWithResidual) {
			return false, err
		}
	}
	return true, nil
}

// String tells which trial it is.
func (tr *trial) String() string {
	text := fmt.Sprintf("%s, trial %d", tr.flow.name, tr.n)
	for _, s := range tr.plot.script {
		text += "\n\t" + s.String()
	}
	return text
}

// report tells where the trial's cases stand.
func (tr *trial) report() string {
	var text strings.Builder
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, d := range tr.sent {
		recs, err := tr.ledger.Case(ctx, d.caseID)
		if err != nil {
			fmt.Fprintln(&text, err)
		}
		for _, r := range recs {
			fmt.Fprintf(&text, "\t%s %s %s %s\n", r.Time.Format(time.StampMilli), tr.say(r.Subject), r.State, r.Reason)
		}
	}
	tr.hands.Lock()
	defer tr.hands.Unlock()
	for _, key := range slices.Sorted(maps.Keys(tr.open)) {
		if tr.open[key] {
			fmt.Fprintf(&text, "\tin hand: %s\n", key)
		}
	}
	return text.String()
}
