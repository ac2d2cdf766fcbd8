package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/events"
	"keyturn/internal/shield"
)

// Bounds of a delivery.
const (
	MaxBody     = 1 << 20   // bytes of a request body
	MaxEvent    = 900 << 10 // bytes of one encoded event: a NATS message of 1 MiB less its headers, with room
	MaxEvents   = 5_000     // events of one delivery: what a broker stores well within publishTimeout
	concurrency = 256       // deliveries at once, unless Options says otherwise
	pathPrefix  = "/hooks/"

	announcedBody  = 4 << 10          // bytes set aside on the word of Content-Length
	publishTimeout = 10 * time.Second // a broker that needs longer is away
	retryAfter     = 5 * time.Second  // when the publisher does not say
	retryBusy      = time.Second      // when too many deliveries are under way
)

// Publisher stores what ingest takes in. Both methods return nil only when everything handed in is on disk. An error
// may have a method RetryAfter() time.Duration that tells how long a sender should wait.
type Publisher interface {
	PublishEvents(ctx context.Context, list []events.Event) error
	PublishFault(ctx context.Context, f events.Fault) error
}

// Options of a Handler. Sources, Publisher, Log and Metrics are needed.
type Options struct {
	Sources   []*Source
	Publisher Publisher
	Log       *slog.Logger
	Metrics   prometheus.Registerer

	Now            func() time.Time // default time.Now
	MaxEvent       int              // bytes of one encoded event; default and upper bound MaxEvent
	Concurrency    int              // deliveries read and being worked on at once, above which the answer is 503; default 256
	PublishTimeout time.Duration    // default 10 s
	TooLarge       func(error) bool // reports that the publisher will never take an event, for its size: 413
}

// Handler answers POST /hooks/<source>, with or without a slash behind it. It never redirects: senders do not sign
// again, and many do not follow.
type Handler struct {
	sources   atomic.Pointer[map[string]*Source] // by name; never changed, only replaced
	publisher Publisher
	captures  Captures
	log       *slog.Logger
	metrics   *metrics
	now       func() time.Time
	maxEvent  int
	slots     chan struct{}
	heavy     chan struct{} // places for large bodies
	bodies    *budget
	strangers sampler       // of requests for no source
	replaced  chan struct{} // has room for one: the sources are others now
	timeout   time.Duration
	tooLarge  func(error) bool
}

// NewHandler checks the options and registers the metrics.
func NewHandler(o Options) (*Handler, error) {
	if o.Publisher == nil || o.Log == nil || o.Metrics == nil {
		return nil, errors.New("ingest handler: publisher, log and metrics are needed")
	}
	o = o.withDefaults()
	h := &Handler{
		replaced:  make(chan struct{}, 1),
		publisher: o.Publisher, log: o.Log, now: o.Now, maxEvent: o.MaxEvent,
		slots: make(chan struct{}, o.Concurrency), heavy: make(chan struct{}, heavyPlaces), bodies: &budget{most: int64(o.Concurrency) * MaxBody}, timeout: o.PublishTimeout, tooLarge: o.TooLarge,
	}
	var err error
	if h.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, fmt.Errorf("ingest handler: %w", err)
	}
	if err := h.Replace(o.Sources); err != nil {
		return nil, err
	}
	return h, nil
}

// Replace makes these the sources from now on; it may be called at any time. A delivery that is under way is answered
// by the source that it began with. On an error nothing has changed.
func (h *Handler) Replace(list []*Source) error {
	named := make(map[string]*Source, len(list))
	for _, s := range list {
		if _, twice := named[s.name]; twice {
			return fmt.Errorf("ingest handler: source %s given twice", s.name)
		}
		named[s.name] = s
	}
	if before := h.sources.Load(); before != nil {
		keepKeys(*before, list)
	}
	h.metrics.begin(list)
	h.sources.Store(&named)
	select {
	case h.replaced <- struct{}{}:
	default:
	}
	h.warn()
	return nil
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxEvent <= 0 || o.MaxEvent > MaxEvent {
		o.MaxEvent = MaxEvent
	}
	if o.Concurrency <= 0 {
		o.Concurrency = concurrency
	}
	if o.PublishTimeout <= 0 {
		o.PublishTimeout = publishTimeout
	}
	if o.TooLarge == nil {
		o.TooLarge = func(error) bool { return false }
	}
	return o
}

// ServeHTTP answers one delivery and writes one line about it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.now()
	rec := record{source: unknownSource, sampler: &h.strangers}
	a := h.shielded(r.Context(), &rec, func() answer { return h.answer(w, r, start, &rec) })
	a.write(w)
	h.done(r.Context(), rec, a, start)
}

// shielded answers a delivery that meets a panic, which is a fault of ours, with 500: nothing of it is acknowledged, and all
// others go on.
func (h *Handler) shielded(ctx context.Context, rec *record, f func() answer) (a answer) {
	if met := shield.Run(func() { a = f() }); met != nil {
		met.Tell(ctx, h.log, "a delivery meets a fault of Keyturn; it is answered 500, and all others go on", "source", rec.source)
		rec.err = met
		a = refuse(http.StatusInternalServerError, "").with("Connection", "close") // its body may not have been read
	}
	return a
}

// done counts an answered delivery, and writes its line.
func (h *Handler) done(ctx context.Context, rec record, a answer, start time.Time) {
	rec.status, rec.took = a.status, h.now().Sub(start)
	h.metrics.observe(rec)
	if leftOut := rec.log(ctx, h.log, start); leftOut {
		h.metrics.leftOut.WithLabelValues(rec.source).Inc()
	}
}

// answer decides what the sender is told.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, start time.Time, rec *record) answer {
	s := h.find(r)
	if s == nil {
		return refuse(http.StatusNotFound, "")
	}
	rec.source, rec.sampler = s.name, &s.sampler
	if a, ok := s.shakes.echo(r); ok {
		rec.handshake = true
		return a
	}
	if r.Method != http.MethodPost {
		return refuse(http.StatusMethodNotAllowed, "").with("Allow", http.MethodPost)
	}
	d := Delivery{Received: start.UTC(), Method: r.Method, URL: r.URL, Header: r.Header, Remote: r.RemoteAddr, TLS: r.TLS}
	if s.shakes.foreign(r) {
		rec.err = errForeign
		return s.refusal(errForeign).with("Connection", "close")
	}
	most := int64(MaxBody)
	if err := s.verifier.Glance(d); err != nil {
		if rec.err = err; !h.mayShake(s, r) {
			// The body is not waited for, and what may still come of it ends with the connection.
			return s.refusal(err).with("Connection", "close")
		}
		most = maxShake
	}
	return h.receive(w, r, s, d, most, rec)
}

// receive reads the body, of at most so many bytes, and does what is to be done with the delivery once it is proven.
// rec.err is why it cannot be, as far as that is known without its body.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, s *Source, d Delivery, most int64, rec *record) answer {
	h.metrics.inFlight.Inc()
	defer h.metrics.inFlight.Dec()
	body, done, err := h.bodies.read(w, r, most)
	defer done()
	if _, long := errors.AsType[*http.MaxBytesError](err); long && rec.err != nil {
		return s.refusal(rec.err).with("Connection", "close") // too long for a handshake, and nothing else it can be
	}
	if rec.err = err; err != nil {
		return bodyFailed(err)
	}
	rec.bytes = len(body)
	leave, ok := h.place(r.Context(), len(body))
	if !ok {
		return unavailable(retryBusy)
	}
	defer leave()
	// Only now: whoever sends a body slowly would otherwise keep everybody else out, and nobody has proven anything
	// yet. How long a body may take is the server's read time-out.
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return unavailable(retryBusy)
	}
	d.Body = body
	verified, err := s.verifier.Verify(d)
	if err != nil {
		if h.stray(s, d) {
			rec.handshake = true
			return s.accepted(nil, "")
		}
		rec.err = err
		return s.refusal(err)
	}
	rec.key, rec.verified = verified.Key, verified.Settled()
	return h.believed(r.Context(), s, d, verified, rec)
}

// believed does what is to be done with a delivery that is proven to be its sender's.
func (h *Handler) believed(ctx context.Context, s *Source, d Delivery, v Verified, rec *record) answer {
	if s.mapping != nil {
		return h.takeMapped(ctx, s, d, v, rec)
	}
	return h.take(ctx, s, d, v, rec)
}

// take maps, checks and publishes a delivery that is proven to be its sender's.
func (h *Handler) take(ctx context.Context, s *Source, d Delivery, v Verified, rec *record) answer {
	drafts, err := s.preset.Map(d, v)
	if err != nil {
		return h.mapFailed(ctx, s, d, err, rec)
	}
	if !v.Settled() {
		rec.err = errNoToken
		return s.refusal(errNoToken)
	}
	list, err := complete(drafts, s, d)
	if err != nil {
		return h.mapFailed(ctx, s, d, err, rec)
	}
	a, _ := h.store(ctx, s, list, rec)
	return a
}

// store publishes events and answers; rec.stored says whether they are on disk.
func (h *Handler) store(ctx context.Context, s *Source, list []events.Event, rec *record) (answer, []string) {
	rec.events = list
	if i := h.tooBig(list); i >= 0 {
		return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("event %d is over %d bytes", i, h.maxEvent)), nil
	}
	cases := make([]string, len(list))
	for i, e := range list {
		cases[i] = e.Case()
	}
	rec.cases = cases
	var err error
	if len(list) > 0 {
		err = h.publish(ctx, func(ctx context.Context) error { return h.publisher.PublishEvents(ctx, list) })
	}
	// Dying here: every event is on disk and nobody was told. The sender repeats, and gets the same cases.
	switch {
	case err == nil:
		rec.stored = true
		return s.accepted(cases, ""), cases
	case h.tooLarge(err):
		rec.err = err
		return refuse(http.StatusRequestEntityTooLarge, "an event is larger than the broker takes"), nil
	}
	rec.err = err
	return unavailable(waitOf(err)), nil
}

// mapFailed answers a delivery that could not be mapped.
func (h *Handler) mapFailed(ctx context.Context, s *Source, d Delivery, err error, rec *record) answer {
	rec.err = err
	if u, ok := errors.AsType[*Unsupported](err); ok {
		return refuse(http.StatusUnsupportedMediaType, u.Detail)
	}
	if many, ok := errors.AsType[*TooMany](err); ok {
		return refuse(http.StatusRequestEntityTooLarge, many.Error())
	}
	if faults, ok := errors.AsType[Invalid](err); ok {
		return invalid(faults)
	}
	f := events.Fault{ID: faultID(s.name, d.Body, nil, nil), Source: s.name, Error: err.Error(), Time: d.Received}
	if err := h.publish(ctx, func(ctx context.Context) error { return h.publisher.PublishFault(ctx, f) }); err != nil {
		rec.err = err
		return unavailable(waitOf(err))
	}
	return s.accepted(nil, f.ID)
}

// publish runs do under the publisher's deadline. A sender that hangs up does not stop it: the delivery is genuine,
// and some senders never repeat one.
func (h *Handler) publish(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.timeout)
	defer cancel()
	return do(ctx)
}

// find gives the source that a path names, nil for any other path. A token may stand behind the name where the source
// looks for one.
func (h *Handler) find(r *http.Request) *Source {
	name, ok := strings.CutPrefix(r.URL.EscapedPath(), pathPrefix)
	if !ok {
		return nil
	}
	name, token, more := strings.Cut(strings.TrimSuffix(name, "/"), "/")
	s := (*h.sources.Load())[name]
	if more && (s == nil || token == "" || strings.Contains(token, "/") || !takesSegment(s.verifier)) {
		return nil
	}
	return s
}

// tooBig gives the index of an event whose wire form is over the limit, or -1.
func (h *Handler) tooBig(list []events.Event) int {
	for i, e := range list {
		if len(e.Data) < h.maxEvent/4 {
			continue // the attributes are bounded: they cannot fill the rest
		}
		if wire, err := events.Marshal(e); err != nil || len(wire) > h.maxEvent {
			return i
		}
	}
	return -1
}

// waitOf is how long a sender should wait before it repeats.
func waitOf(err error) time.Duration {
	var w interface{ RetryAfter() time.Duration }
	if errors.As(err, &w) && w.RetryAfter() > 0 {
		return w.RetryAfter()
	}
	return retryAfter
}
