package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/reads"
	"keyturn/internal/shield"
	"keyturn/internal/stream"
)

// serveAgain is how soon reads are served again after the broker refused to: actions do not wait for it.
const serveAgain = time.Second

// readPatience is how long a call of a read may wait for the budget: longer than a provider's window, which is a minute
// (Okta, vendor page rate-limits), and no longer than a person waits.
const readPatience = 75 * time.Second

// desk is the bus of a lane that answers reads of its connection's provider for as long as the lane is held, and keeps
// the counts that brakes need: nobody else may, and a read spends what the lane may spend.
type desk struct {
	*stream.Bus
	connection config.Connection
	lane       *lane.Lane
	made       actions.Clients
	fresh      func() (actions.Clients, error) // clients that hold no token yet
	patience   time.Duration                   // how long a call of a read may wait for the budget
	census     census
	log        *slog.Logger
}

// Hold holds the lease as the bus does, and serves reads beside run.
func (d *desk) Hold(ctx context.Context, connection, holder string, run func(ctx context.Context, epoch uint64) error) error {
	return d.Bus.Hold(ctx, connection, holder, func(held context.Context, epoch uint64) error {
		serving, stop := context.WithCancel(held)
		var beside sync.WaitGroup
		keep := func(what string, f func(context.Context)) {
			beside.Go(func() { shield.Keep(serving, d.log, what+" at "+connection, f) })
		}
		keep("the desk of reads", func(ctx context.Context) { d.serve(ctx, holder, epoch) })
		keep("the count for brakes", func(ctx context.Context) { d.census.run(ctx, d, holder) })
		defer func() { stop(); beside.Wait() }() // before the lease is given to somebody else, who serves then
		return run(held, epoch)
	})
}

// serve answers reads until ctx ends.
func (d *desk) serve(ctx context.Context, holder string, epoch uint64) {
	service := stream.Service{
		Connection: d.connection.Name,
		Metadata: map[string]string{"connection": d.connection.Name, "provider": d.connection.Provider,
			"worker": holder, "epoch": strconv.FormatUint(epoch, 10)},
		Readers: map[stream.Read]stream.Reader{
			stream.ReadGet:     d.get,
			stream.ReadObserve: d.observe,
			stream.ReadLane: func(ctx context.Context, _ []byte, send func([]byte) error) error {
				return d.tell(ctx, holder, send)
			},
			stream.ReadCheck: func(ctx context.Context, _ []byte, send func([]byte) error) error {
				return d.check(ctx, holder, epoch, send)
			},
		},
	}
	for ctx.Err() == nil {
		if err := d.Serve(ctx, service); err != nil {
			d.log.WarnContext(ctx, "reads not served", "connection", d.connection.Name, "error", err, "retry_in", serveAgain)
		}
		select {
		case <-ctx.Done():
		case <-time.After(serveAgain):
		}
	}
}

// get answers what the provider has. It asks nothing of it while the credential is refused: each call would count
// against the credential. One that is away is asked: a person may want to know whether it still is.
func (d *desk) get(ctx context.Context, query []byte, send func([]byte) error) error {
	began := time.Now()
	var q reads.Query
	if err := json.Unmarshal(query, &q); err != nil {
		return &stream.ReadError{Code: stream.ReadCode(reads.Invalid), Message: "a question in a form of another version"}
	}
	class := events.Class(cmp.Or(q.Class, string(events.Normal)))
	if !class.Valid() {
		return &stream.ReadError{Code: stream.ReadCode(reads.Invalid), Message: "class " + q.Class + ": none of urgent, normal and bulk"}
	}
	if err := d.lane.Refused(); err != nil && q.Resource != "" {
		return &stream.ReadError{Code: stream.ReadCode(reads.Denied), Message: err.Error(),
			Suggestion: "keyturn connection check " + d.connection.Name + " says what to fix"}
	}
	columns, rows, err := reads.Read(ctx, readers(gated(d.made, d.gate(class))), q)
	sent := 0
	if err == nil {
		sent, err = reads.Send(columns, rows, send)
	}
	f, faulty := errors.AsType[*reads.Fault](err)
	said := err
	if faulty {
		said = f.Err
		err = &stream.ReadError{Code: stream.ReadCode(f.Code), Message: f.Message, Suggestion: f.Suggestion}
	}
	// Neither filter nor message stands in the log: they may name a person.
	d.log.InfoContext(ctx, "read", "connection", d.connection.Name, "resource", q.Resource, "class", string(class), "actor", q.Actor,
		"rows", sent, "took", time.Since(began), "fault", codeOf(f), "error", said)
	return err
}

// gate is what the calls of a read pass.
func (d *desk) gate(class events.Class) apiclient.Gate {
	return impatient{Gate: d.lane.Gate(class), patience: d.patience}
}

// impatient is a gate before which nobody waits for ever.
type impatient struct {
	apiclient.Gate
	patience time.Duration
}

// Admit implements apiclient.Gate. The lane's gate keeps half of a context's time for the call itself.
func (g impatient) Admit(ctx context.Context, bucket string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*g.patience)
	defer cancel()
	return g.Gate.Admit(ctx, bucket)
}

// codeOf is the code of a fault; empty for none.
func codeOf(f *reads.Fault) reads.Code {
	if f == nil {
		return ""
	}
	return f.Code
}

// check answers how the connection stands, on one page. The credential is tried afresh: a token in hand outlives the
// key that it was made with.
func (d *desk) check(ctx context.Context, holder string, epoch uint64, send func([]byte) error) error {
	began := time.Now()
	rights := rightsOf(d.connection.Auth)
	rights.Admins = d.made.LastAdmin != nil && d.made.LastAdmin()
	report := reads.Report{
		Connection: d.connection.Name, Provider: d.connection.Provider, BaseURL: d.connection.BaseURL,
		Credential: rights.Kind, Worker: holder, Epoch: epoch,
	}
	if made, err := d.fresh(); err != nil { // it was right when the worker started: a directory that has gone since
		report.Problems = append(report.Problems, err.Error())
	} else {
		report.Operations = reads.Check(ctx, readers(gated(made, d.gate(events.Normal))), rights)
	}
	if slices.ContainsFunc(report.Operations, func(o reads.Operation) bool { return o.Result == reads.Works }) {
		d.lane.Hasten(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.lane.Err(); err != nil {
		report.Breaker = err.Error()
	}
	seen, atOnce := d.lane.Seen()
	report.AtOnce = atOnce
	for _, s := range seen {
		report.Buckets = append(report.Buckets, bucketOf(s))
	}
	report.Judge()
	d.log.InfoContext(ctx, "checked", "connection", d.connection.Name, "ok", report.OK, "took", time.Since(began))
	page, err := json.Marshal(report)
	if err != nil {
		return err
	}
	return send(page)
}

// bucketOf is a bucket as a report shows it.
func bucketOf(s lane.Seen) reads.Bucket {
	b := reads.Bucket{Name: s.Bucket, Flying: s.Flying, Unknown: !s.Known, Limit: s.Limit}
	if s.Known && s.Limit > 0 {
		b.Left, b.Resets = max(s.Left, 0), s.Reset.UTC()
	}
	if s.Pause.After(time.Now()) {
		b.Paused = s.Pause.UTC()
	}
	return b
}

// readers are the clients of a connection as package reads takes them.
func readers(c actions.Clients) reads.Clients {
	return reads.Clients{Okta: c.Okta, ASA: c.ASA, Transmit: c.Transmit}
}

// rightsOf says what the configuration tells of a credential, which is not the credential.
func rightsOf(a config.Auth) reads.Rights {
	switch {
	case a.SSWS != nil:
		return reads.Rights{Kind: "ssws"}
	case a.ServiceApp != nil:
		return reads.Rights{Kind: "service_app", Scopes: a.ServiceApp.Scopes}
	case a.ServiceUser != nil:
		return reads.Rights{Kind: "service_user"}
	}
	return reads.Rights{Kind: "client_credentials"}
}
